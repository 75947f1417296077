from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.zoom.adapter import build
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.core.meeting import Field, Value
from sync_engine.core.ports import Adapter
from sync_engine.sandbox.zoom import ZoomSandbox
from tests.contract.bench import GUEST, START, TITLE, Bench
from tests.contract.contract import AdapterContract

HOST = "anna@acme.example"


class TestZoomContract(AdapterContract):
    list_path = r".*/users.*"

    def sandbox_of(self, world: Any) -> ZoomSandbox:
        sandbox = world.zoom
        assert isinstance(sandbox, ZoomSandbox)
        return sandbox

    def prepare_world(self, world: Any) -> None:
        self.sandbox_of(world).add_host(HOST, timezone="Europe/Berlin")
        self.sandbox_of(world).add_host("ben@acme.example")

    def build(
        self,
        world: Any,
        around: Surroundings,
        *,
        wrong_credentials: bool = False,
        base_url: str | None = None,
    ) -> Adapter:
        zoom = self.sandbox_of(world)
        settings = ZoomSettings(
            base_url=base_url or zoom.url,
            auth_url=f"{base_url}/oauth/token" if base_url else zoom.token_url,
            account_id=zoom.account_id,
            client_id=zoom.client_id,
            client_secret=SecretStr("not-the-secret" if wrong_credentials else zoom.client_secret),
            default_host=HOST,
        )
        return build(settings, around)

    def secrets(self, world: Any) -> Sequence[str]:
        zoom = self.sandbox_of(world)
        return [zoom.client_secret, "not-the-secret", zoom.token]

    def book_by_person(self, world: Any, number: int) -> str:
        start = START + timedelta(days=1, hours=number)
        people = self.sandbox_of(world).people
        return people.book(HOST, TITLE, start, 30, zone="Europe/Berlin", agenda="Agenda.", invitees=[GUEST])

    def rename_by_person(self, world: Any, external_id: str, title: str) -> bool:
        return bool(self.sandbox_of(world).people.rename(external_id, title))

    def describe_by_person(self, world: Any, external_id: str, text: str) -> bool:
        return bool(self.sandbox_of(world).people.describe(external_id, text))

    def move_by_person(self, world: Any, external_id: str, start: datetime) -> bool:
        return bool(self.sandbox_of(world).people.move(external_id, start))

    def cancel_by_person(self, world: Any, external_id: str) -> bool:
        return bool(self.sandbox_of(world).people.cancel(external_id))

    def values_for_create(self, bench: Bench) -> dict[Field, Value]:
        return {**super().values_for_create(bench), Field.ORGANIZER: HOST}
