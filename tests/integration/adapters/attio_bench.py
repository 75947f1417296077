"""What the tests of the Attio adapter share: a bench that knows it is Attio's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from sync_engine.adapters.attio.adapter import AttioAdapter, build
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.core.meeting import (
    Field,
    Participant,
    Response,
    Schedule,
    Value,
    Values,
    participants,
)
from sync_engine.core.ports import Observation, Operation, Sealed, Write
from sync_engine.sandbox.attio import AttioSandbox
from sync_engine.sandbox.world import World
from tests.contract.bench import START, Bench

REP, GUEST = "rep@acme.example", "guest@customer.example"
ZOOM_URL = "https://acme.zoom.us/j/97763643886"
DAY = timedelta(days=1)


class AttioBench(Bench):
    """A bench that knows it is Attio's."""

    @property
    def attio(self) -> AttioSandbox:
        assert isinstance(self.sandbox, AttioSandbox)
        return self.sandbox

    @property
    def it(self) -> AttioAdapter:
        assert isinstance(self.adapter, AttioAdapter)
        return self.adapter

    def another(self, memory: Mapping[str, Any] | None = None, **settings: Any) -> AttioAdapter:
        adapter = self.another_adapter(memory=memory, **settings)
        assert isinstance(adapter, AttioAdapter)
        return adapter

    def live(self) -> list[dict[str, Any]]:
        return [record for record in self.attio.records() if not record["deleted"]]

    def create(self, **changes: Any) -> Write:
        return self.creating(self.project({**standard_values(), **changes.pop("values", {})}))

    async def created(self, **changes: Any) -> tuple[Write, Observation]:
        write = self.create(**changes)
        written = await self.carry_out(write)
        return write, await self.it.read(written.external_id)

    def replacing(self, write: Write, seen: Observation, values: Values) -> Write:
        return replace(
            write,
            intent=self.new_id(),
            revision=write.revision + 1,
            values={**write.values, **values},
            changed=frozenset(values),
            base=seen.values,
            base_observed_at=seen.observed_at,
            replaces=seen.external_id,
        )

    def deleting(self, external_id: str) -> Write:
        return Write(
            intent=self.new_id(),
            operation=Operation.DELETE,
            connection="contract",
            meeting_id=self.new_id(),
            revision=9,
            values={},
            intended_at=self.now,
            external_id=external_id,
        )

    def row(self, external_id: str) -> dict[str, Any]:
        return next(record for record in self.attio.records() if record["id"] == external_id)


def standard_values() -> dict[Field, Value]:
    return {
        Field.TITLE: "Demo",
        Field.DESCRIPTION: "Bring papers.",
        Field.SCHEDULE: Schedule.timed(START + DAY, timedelta(minutes=30), "Europe/Berlin"),
        Field.ORGANIZER: REP,
        Field.PARTICIPANTS: participants(
            [Participant(GUEST, "Guest", Response.ACCEPTED), "new@customer.example"]
        ),
        Field.JOIN_URL: ZOOM_URL,
        Field.LOCATION: "Room 5",
    }


def moved(by: timedelta = timedelta(hours=3)) -> dict[Field, Value]:
    return {Field.SCHEDULE: Schedule.timed(START + DAY + by, timedelta(minutes=30), "Europe/Berlin")}


@asynccontextmanager
async def opened() -> AsyncIterator[AttioBench]:
    """Open a world with one adapter on it; rate limits are off, for a frozen world is asked quickly."""
    with World(seed=1, start=START) as world:
        attio = world.attio
        attio.rate_limits = False

        def make(around: Any, **settings: Any) -> AttioAdapter:
            facts: dict[str, Any] = {
                "base_url": attio.url,
                "access_token": SecretStr(attio.token),
                **settings,
            }
            return build(AttioSettings(**facts), around)

        bench = AttioBench(world, attio, make)
        bench.another_adapter()
        try:
            yield bench
        finally:
            await bench.close()


def post_body(bench: AttioBench, sealed: Sealed) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(sealed.body or "")["data"]
    return data


def book(bench: AttioBench, **changes: Any) -> str:
    facts: dict[str, Any] = {
        "title": "Demo",
        "start": START + DAY,
        "end": START + DAY + timedelta(minutes=30),
        "organizer": REP,
        "attendees": [GUEST],
        **changes,
    }
    return bench.attio.people.book(facts.pop("title"), facts.pop("start"), facts.pop("end"), **facts)
