"""What the contract of adapters is run on: one sandbox, one adapter, and the people who use the provider."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.pacing import LocalPacer
from sync_engine.core.meeting import Field, Meeting, Value, Values
from sync_engine.core.ports import (
    Adapter,
    Observation,
    Operation,
    Sighting,
    SweepPage,
    Window,
    Write,
    Written,
)
from sync_engine.errors import SyncError
from sync_engine.sandbox.server import ProviderSandbox

START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)

# Words that must never turn up in a log line or an error message.
TITLE = "Sensitive Falcon"
GUEST = "private.guest@customer.example"


class MemoryVault:
    """Keep one secret in memory."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self._lock = asyncio.Lock()

    def load(self) -> str | None:
        return self.secret

    def store(self, secret: str) -> None:
        self.secret = secret

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        async with self._lock:
            yield


class ContractPacer(LocalPacer):
    """Keeps the real pace, but does not wait for pauses: the world's clock moves instead of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[tuple[str, float]] = []

    def pause(self, category: str, seconds: float) -> None:
        self.pauses.append((category, seconds))


@dataclass
class Bench:
    """One world and one adapter on it; ``sent`` hears of every request, ``waits`` of every pause."""

    world: Any
    sandbox: ProviderSandbox
    build: Callable[..., Adapter]
    adapters: list[Adapter] = field(default_factory=list)
    sent: list[tuple[str, str, int | None]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def adapter(self) -> Adapter:
        return self.adapters[0]

    @property
    def now(self) -> datetime:
        moment = self.world.clock.now()
        assert isinstance(moment, datetime)
        return moment

    @property
    def window(self) -> Window:
        return Window(START - timedelta(days=30), START + timedelta(days=60))

    def advance(self, span: timedelta) -> None:
        self.world.clock.advance(span)

    def surroundings(self, memory: Mapping[str, Any] | None = None) -> Surroundings:
        """Surroundings whose sleep moves the world's clock instead of waiting."""

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            self.advance(timedelta(seconds=max(seconds, 0)))
            await asyncio.sleep(0)

        return Surroundings(
            workspace="acme",
            connection="contract",
            now=self.world.clock.now,
            pacer=ContractPacer(),
            vault=MemoryVault(),
            sleep=sleep,
            on_request=lambda method, operation, status, _ms: self.sent.append((method, operation, status)),
            memory=memory or {},
        )

    def another_adapter(self, *, memory: Mapping[str, Any] | None = None, **changes: Any) -> Adapter:
        """Build a further adapter on the same account, as another process would."""
        adapter = self.build(self.surroundings(memory), **changes)
        self.adapters.append(adapter)
        return adapter

    async def close(self) -> None:
        for adapter in self.adapters:
            await adapter.aclose()

    async def pages(self) -> list[SweepPage]:
        return [page async for page in self.adapter.sweep(self.window)]

    async def sightings(self) -> list[Sighting]:
        return [sighting for page in await self.pages() for sighting in page.sightings]

    async def sighting(self, external_id: str) -> Sighting | None:
        return next((s for s in await self.sightings() if s.external_id == external_id), None)

    def new_id(self) -> str:
        return str(UUID(int=(0x0192F7E0_0000_7000_8000 << 48) + next(self.ids)))

    def creating(self, values: Values, particulars: Mapping[str, Any] | None = None) -> Write:
        return Write(
            intent=self.new_id(),
            operation=Operation.CREATE,
            connection="contract",
            meeting_id=self.new_id(),
            revision=1,
            values=values,
            intended_at=self.now,
            particulars=particulars or {},
        )

    def updating(self, seen: Observation, changes: Values) -> Write:
        return Write(
            intent=self.new_id(),
            operation=Operation.UPDATE,
            connection="contract",
            meeting_id=self.new_id(),
            revision=2,
            values={**seen.values, **changes},
            intended_at=self.now,
            external_id=seen.external_id,
            changed=frozenset(changes),
            base=seen.values,
            base_observed_at=seen.observed_at,
            particulars=seen.particulars,
        )

    def changing(self, operation: Operation, seen: Observation) -> Write:
        """Build the write that deletes or restores a record."""
        return Write(
            intent=self.new_id(),
            operation=operation,
            connection="contract",
            meeting_id=self.new_id(),
            revision=3,
            values=seen.values,
            intended_at=self.now,
            external_id=seen.external_id,
            base=seen.values,
            base_observed_at=seen.observed_at,
            particulars=seen.particulars,
        )

    async def carry_out(self, write: Write) -> Written:
        return await self.adapter.send(await self.adapter.prepare(write))

    def project(self, values: Values) -> dict[Field, Value]:
        """Give the values of a new meeting as this connection can hold them: what a create is handed."""
        meeting = Meeting(
            id=self.new_id(), workspace="acme", revision=1, values=values, provenance={}, origin="elsewhere"
        )
        projection: dict[Field, Value] = {}
        for name, capability in self.adapter.capabilities.fields.items():
            value = capability.source(meeting) if capability.source else values.get(name)
            if value is None or not capability.creatable or capability.refuse(value) is not None:
                continue
            projection[name] = capability.normalise(value)
        return projection


@contextmanager
def closed_port() -> Iterator[int]:
    """Give a loopback port on which nobody answers: bound, and never listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def round_trip(value: Any) -> Any:
    return json.loads(json.dumps(value))


async def message_of(doing: Awaitable[Any]) -> str:
    """Give everything an error of ours says about itself; empty when there was none."""
    import traceback

    try:
        await doing
    except SyncError as error:
        return "".join(traceback.format_exception(error)) + repr(vars(error))
    return ""
