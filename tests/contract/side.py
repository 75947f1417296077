"""What a provider's test module supplies, and what the laws arrange with it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest

from sync_engine.adapters.base import Surroundings
from sync_engine.core.capabilities import Creatable, Ownership, Updatable
from sync_engine.core.meeting import Field, Participant, Schedule, Value, participants
from sync_engine.core.ports import Adapter, Observation, Sealed
from sync_engine.sandbox.faults import Fault
from sync_engine.sandbox.server import ProviderSandbox
from tests.contract.bench import GUEST, START, TITLE, Bench

EDITED = {"rename": Field.TITLE, "describe": Field.DESCRIPTION, "move": Field.SCHEDULE}


class Side(ABC):
    """The hooks a provider's test module supplies; see ``AdapterContract`` for the list in words."""

    crowd: ClassVar[int] = 7
    list_path: ClassVar[str] = ".*"
    settle_time: ClassVar[timedelta] = timedelta(0)

    @abstractmethod
    def build(
        self,
        world: Any,
        around: Surroundings,
        *,
        wrong_credentials: bool = False,
        base_url: str | None = None,
    ) -> Adapter: ...

    @abstractmethod
    def sandbox_of(self, world: Any) -> ProviderSandbox: ...

    @abstractmethod
    def secrets(self, world: Any) -> Sequence[str]: ...

    @abstractmethod
    def book_by_person(self, world: Any, number: int) -> str: ...

    def open_world(self) -> AbstractContextManager[Any]:
        from sync_engine.sandbox.world import World

        return World(seed=1, start=START)

    def prepare_world(self, world: Any) -> None:
        return None

    def rename_by_person(self, world: Any, external_id: str, title: str) -> bool | None:
        return None

    def describe_by_person(self, world: Any, external_id: str, text: str) -> bool | None:
        return None

    def move_by_person(self, world: Any, external_id: str, start: datetime) -> bool | None:
        return None

    def cancel_by_person(self, world: Any, external_id: str) -> bool | None:
        return None

    def values_for_create(self, bench: Bench) -> dict[Field, Value]:
        """Give a meeting with every field that can be created here at this moment."""
        ended = bench.adapter.capabilities.create is Creatable.PAST
        start = bench.now + (timedelta(days=-1) if ended else timedelta(days=2))
        return {
            Field.TITLE: TITLE,
            Field.DESCRIPTION: "Bring the signed papers.",
            Field.SCHEDULE: Schedule.timed(start, timedelta(minutes=45), "Europe/Berlin"),
            Field.PARTICIPANTS: participants([Participant(GUEST), Participant("second@customer.example")]),
            Field.JOIN_URL: "https://video.example.com/room/51",
            Field.LOCATION: "Room 51",
            Field.KIND: "virtual",
        }

    def particulars_for_create(self, bench: Bench) -> dict[str, Any]:
        return {}

    def other_value(self, bench: Bench, name: Field, seen: Observation) -> Value | None:
        """Give a value to change a field to; None where none is possible. Normalised by the suite."""
        if name is Field.SCHEDULE:
            schedule = seen.values[Field.SCHEDULE]
            assert isinstance(schedule, Schedule)
            return Schedule.timed(
                schedule.start + timedelta(hours=26), timedelta(minutes=75), schedule.zone or "Europe/Berlin"
            )
        others: dict[Field, Value] = {
            Field.TITLE: "Another title",
            Field.DESCRIPTION: "Another text,\nof two lines.",
            Field.LOCATION: "Room 52",
            Field.JOIN_URL: "https://video.example.com/room/52",
            Field.PARTICIPANTS: participants(["third@customer.example", "second@customer.example"]),
            Field.KIND: "phone",
        }
        return others.get(name)

    def moves_with(self, name: Field) -> frozenset[Field]:
        """Say which other fields change by themselves when this one is written."""
        return frozenset()

    def break_row(self, row: dict[str, Any]) -> None:
        """Break one row of a listing so that nobody could read it."""
        for key in row:
            if key != "id":
                row[key] = [{"broken": True}]

    def count_records(self, world: Any) -> int:
        """Count what people see at the provider."""
        sandbox: Any = self.sandbox_of(world)
        return sum(1 for record in sandbox.records() if not record["deleted"])

    # The rest is the suite's own machinery.

    def settle(self, bench: Bench) -> None:
        """Wait until lagging listings have caught up."""
        bench.advance(self.settle_time)

    def make_writable(self, bench: Bench, seen: Observation, name: Field) -> None:
        """Move the clock to where a field can be updated."""
        capability = bench.adapter.capabilities.of(name)
        schedule = seen.values.get(Field.SCHEDULE)
        if capability and capability.updatable is Updatable.AFTER_END and isinstance(schedule, Schedule):
            bench.world.clock.set(max(bench.now, schedule.end + timedelta(hours=1)))

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        with self.open_world() as world:
            self.prepare_world(world)

            def build(around: Surroundings, **changes: Any) -> Adapter:
                return self.build(world, around, **changes)

            bench = Bench(world, self.sandbox_of(world), build)
            bench.another_adapter()
            try:
                yield bench
            finally:
                await bench.close()

    # -- what the laws arrange ---------------------------------------------------------------------------

    async def book(self, bench: Bench, number: int = 0) -> str:
        external_id = self.book_by_person(bench.world, number)
        self.settle(bench)
        return external_id

    async def observed(self, bench: Bench, number: int = 0) -> Observation:
        return await bench.adapter.read(await self.book(bench, number))

    def edit_by_person(self, bench: Bench, edit: str, seen: Observation) -> bool | None:
        world, external_id = bench.world, seen.external_id
        if edit == "rename":
            return self.rename_by_person(world, external_id, "Renamed by hand")
        if edit == "describe":
            return self.describe_by_person(world, external_id, "Described by hand.")
        schedule = seen.values[Field.SCHEDULE]
        assert isinstance(schedule, Schedule)
        return self.move_by_person(world, external_id, schedule.start + timedelta(hours=3))

    def creation(self, bench: Bench) -> dict[Field, Value]:
        if bench.adapter.capabilities.create is Creatable.NEVER:
            pytest.skip("nothing can be created here")
        return bench.project(self.values_for_create(bench))

    async def sealed_creation(self, bench: Bench) -> Sealed:
        write = bench.creating(self.creation(bench), self.particulars_for_create(bench))
        return await bench.adapter.prepare(write)

    async def created(self, bench: Bench) -> Observation:
        written = await bench.adapter.send(await self.sealed_creation(bench))
        self.settle(bench)
        return await bench.adapter.read(written.external_id)

    def striking(self, sealed: Sealed, **fault: Any) -> Fault:
        """Build a fault that strikes exactly the sealed request."""
        path = sealed.path.split("?")[0]
        return Fault(method=sealed.method, path=f".*{re.escape(path)}", **fault)

    async def updatable(self, bench: Bench, name: Field) -> tuple[Observation, Value]:
        """Give a record whose field can be updated now, and a value to change it to."""
        capability = bench.adapter.capabilities.of(name)
        if capability is None or capability.updatable is Updatable.NEVER:
            pytest.skip("this field cannot be updated here")
        seen = await self.observed(bench)
        self.make_writable(bench, seen, name)
        seen = await bench.adapter.read(seen.external_id)
        if seen.read_only or name in seen.fixed:
            pytest.skip("this record cannot change that field")
        value = self.other_value(bench, name, seen)
        if value is None:
            pytest.skip("no other value for this field")
        value = capability.normalise(value)
        assert value != seen.values.get(name), "a hook gave the value that is there already"
        return seen, value

    async def deletable(self, bench: Bench) -> Observation:
        rule = bench.adapter.capabilities.delete
        if rule is Ownership.NO:
            pytest.skip("nothing can be deleted here")
        seen = await (self.created(bench) if rule is Ownership.OWN else self.observed(bench))
        assert seen.deletable
        return seen

    def assert_silent(self, bench: Bench, text: str) -> None:
        words = [TITLE, GUEST, *self.secrets(bench.world)]
        assert [word for word in words if word and word.casefold() in text.casefold()] == []
