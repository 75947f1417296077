"""Lightfield keeps the laws of every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.lightfield.adapter import LIST_LACKS, build
from sync_engine.adapters.lightfield.settings import LightfieldSettings
from sync_engine.core.meeting import Field, Value
from sync_engine.core.ports import Adapter
from sync_engine.sandbox.lightfield import LightfieldSandbox
from tests.contract.bench import GUEST, START, TITLE, Bench
from tests.contract.contract import AdapterContract

ORGANIZER = "recruiter@acme.example"


class TestLightfieldContract(AdapterContract):
    crowd: ClassVar[int] = 27
    list_path: ClassVar[str] = "/v1/meetings"

    def sandbox_of(self, world: Any) -> LightfieldSandbox:
        sandbox = world.lightfield
        assert isinstance(sandbox, LightfieldSandbox)
        return sandbox

    def build(
        self,
        world: Any,
        around: Surroundings,
        *,
        wrong_credentials: bool = False,
        base_url: str | None = None,
    ) -> Adapter:
        sandbox = self.sandbox_of(world)
        key = "sk_lf_wrong" if wrong_credentials else sandbox.token
        return build(LightfieldSettings(base_url=base_url or sandbox.url, api_key=SecretStr(key)), around)

    def secrets(self, world: Any) -> Sequence[str]:
        return [self.sandbox_of(world).token, "sk_lf_wrong"]

    def book_by_person(self, world: Any, number: int) -> str:
        start = START - timedelta(days=2) + timedelta(hours=number)
        return self.sandbox_of(world).people.book(
            f"{TITLE} {number}",
            start,
            start + timedelta(minutes=30),
            organizer=ORGANIZER,
            attendees=[ORGANIZER.title(), GUEST, "Second@Customer.example"],
            description="The agenda:\nhttps://us02web.zoom.us/j/97763643886",
            url="https://us02web.zoom.us/j/97763643886?pwd=abc",
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
        return {**super().values_for_create(bench), Field.ORGANIZER: ORGANIZER}


class TestLightfieldContractWithALaggingIndex(TestLightfieldContract):
    """The same laws where the listing is two minutes behind."""

    settle_time: ClassVar[timedelta] = timedelta(minutes=2)

    def prepare_world(self, world: Any) -> None:
        self.sandbox_of(world).index_lag = timedelta(minutes=2)


class TestLightfieldContractWithOtherHabits(TestLightfieldContract):
    """The same laws where everything undocumented is the other way round."""

    def build(self, world: Any, around: Surroundings, **changes: Any) -> Adapter:
        # What rows lack is learned from the first sweep that shows one; this connection has had its first.
        return super().build(world, replace(around, memory={LIST_LACKS: ["$description"]}), **changes)

    def prepare_world(self, world: Any) -> None:
        sandbox = self.sandbox_of(world)
        sandbox.wrapped_errors = False
        sandbox.rule_status = 400
        sandbox.updated_at_null = True
        sandbox.summaries_lack_description = True
        sandbox.scopes = {"meetings:read", "meetings:create", "meetings:update", "meetings:delete"}
        sandbox.scopes |= {"meetings:restore", "files:create", "files:read"}

    @pytest.mark.parametrize("edit", ["rename", "move"])
    async def test_an_edit_by_a_person_changes_the_fingerprint_and_the_values(
        self, bench: Bench, edit: str
    ) -> None:
        # A description that no listing shows cannot announce its own change.
        await super().test_an_edit_by_a_person_changes_the_fingerprint_and_the_values(bench, edit)
