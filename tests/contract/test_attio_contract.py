from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from sync_engine.adapters.attio.adapter import build
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.adapters.base import Surroundings
from sync_engine.core.meeting import Field, Value
from sync_engine.core.ports import Adapter
from sync_engine.sandbox.attio import AttioSandbox
from tests.contract.bench import GUEST, START, TITLE, Bench
from tests.contract.contract import AdapterContract

REP = "anna@acme.example"


class TestAttioContract(AdapterContract):
    list_path = "/v2/meetings"

    def sandbox_of(self, world: Any) -> AttioSandbox:
        sandbox = world.attio
        assert isinstance(sandbox, AttioSandbox)
        return sandbox

    def prepare_world(self, world: Any) -> None:
        self.sandbox_of(world).paging.largest_page = 3

    def build(
        self,
        world: Any,
        around: Surroundings,
        *,
        wrong_credentials: bool = False,
        base_url: str | None = None,
    ) -> Adapter:
        attio = self.sandbox_of(world)
        settings = AttioSettings(
            base_url=base_url or attio.url,
            access_token=SecretStr("not-the-token" if wrong_credentials else attio.token),
        )
        return build(settings, around)

    def secrets(self, world: Any) -> Sequence[str]:
        return [self.sandbox_of(world).token, "not-the-token"]

    def book_by_person(self, world: Any, number: int) -> str:
        start = START + timedelta(days=1, hours=number)
        return self.sandbox_of(world).people.book(
            TITLE,
            start,
            start + timedelta(minutes=30),
            zone="Europe/Berlin",
            organizer=REP,
            attendees=[GUEST],
            description="Agenda.",
        )

    def rename_by_person(self, world: Any, external_id: str, title: str) -> bool:
        return bool(self.sandbox_of(world).people.rename(external_id, title))

    def describe_by_person(self, world: Any, external_id: str, text: str) -> bool:
        return bool(self.sandbox_of(world).people.describe(external_id, text))

    def move_by_person(self, world: Any, external_id: str, start: datetime) -> bool:
        return bool(self.sandbox_of(world).people.move(external_id, start))

    def cancel_by_person(self, world: Any, external_id: str) -> bool:
        return bool(self.sandbox_of(world).people.cancel(external_id))

    def values_for_create(self, bench: Bench) -> dict[Field, Value]:
        return {**super().values_for_create(bench), Field.ORGANIZER: REP}


def only_writing(suite: type[AdapterContract]) -> type[AdapterContract]:
    """Leave out the laws about reading: the generations of Attio's API differ in writing alone."""
    for name in dir(suite):
        if name.startswith("test_") and not any(
            word in name for word in ("creat", "delet", "sealed", "find")
        ):
            setattr(suite, name, None)
    return suite


@only_writing
class TestAttioContractOnTheOlderGeneration(TestAttioContract):
    """Servers that find or create, and demand ``external_ref``."""

    def prepare_world(self, world: Any) -> None:
        super().prepare_world(world)
        self.sandbox_of(world).generation = "A"


@only_writing
class TestAttioContractWhereExternalRefIsRefused(TestAttioContract):
    """Servers that answer 400 to ``external_ref``; an adapter that has learned it sends none."""

    def prepare_world(self, world: Any) -> None:
        super().prepare_world(world)
        self.sandbox_of(world).rejects_external_ref = True

    def build(self, world: Any, around: Surroundings, **changes: Any) -> Adapter:
        return super().build(world, replace(around, memory={"external_ref": "refused"}), **changes)
