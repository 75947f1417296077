"""One world with a CRM account, and adapters on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.pacing import LocalPacer
from sync_engine.adapters.prospect_crm.adapter import ProspectCrmAdapter, build
from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings
from sync_engine.core.meeting import Field, Schedule, Value, Values, participants
from sync_engine.core.ports import Observation, Operation, Sealed, Sighting, Window, Write, Written
from sync_engine.sandbox.prospect_crm import ProspectCrmSandbox
from sync_engine.sandbox.world import World
from tests.contract.bench import MemoryVault

START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
WINDOW = Window(START - timedelta(days=30), START + timedelta(days=60))
RITA, SAM, GUEST = "rita@acme.example", "sam@acme.example", "jane@prospect.example"
LINK = "https://acme.zoom.us/j/97763643886?pwd=x"


@dataclass
class CrmBench:
    """A CRM with two users and one prospect; ``adapter`` is the first one on it."""

    world: World
    waits: list[float] = field(default_factory=list)
    adapters: list[ProspectCrmAdapter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.crm: ProspectCrmSandbox = self.world.prospect_crm
        self.crm.rate_limits = False
        self.rita = self.crm.add_user("Rita", RITA)
        self.sam = self.crm.add_user("Sam", SAM)
        self.jane = self.crm.add_prospect("Jane", "Doe", GUEST)
        self._ids = count(1)
        self.real_sleep = False
        self.another()

    @property
    def adapter(self) -> ProspectCrmAdapter:
        return self.adapters[0]

    def another(self, memory: Mapping[str, Any] | None = None, **changes: Any) -> ProspectCrmAdapter:
        settings = {
            "base_url": self.crm.url,
            "api_key": self.crm.token,
            "owner_map": {RITA: self.rita, SAM: self.sam},
            "default_owner_id": self.rita,
            **changes,
        }

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            await asyncio.sleep(seconds if self.real_sleep else 0)

        around = Surroundings(
            workspace="acme",
            connection="crm",
            now=self.world.clock.now,
            pacer=LocalPacer({"all": 5000}),
            vault=MemoryVault(),
            sleep=sleep,
            memory=memory or {},
        )
        adapter = build(ProspectCrmSettings.model_validate(settings), around)
        self.adapters.append(adapter)
        return adapter

    def book(self, hours: float = 24, **more: Any) -> str:
        return self.crm.people.book(self.jane, START + timedelta(hours=hours), owner_id=self.rita, **more)

    def raw(self, meeting_id: str) -> dict[str, Any]:
        return self.crm.account.meetings.by_id[meeting_id]

    def sent(self) -> list[tuple[str, str]]:
        return [(method, path.partition("?")[0]) for method, path, _ in self.crm.log]

    async def sightings(self, adapter: ProspectCrmAdapter | None = None) -> list[Sighting]:
        pages = (adapter or self.adapter).sweep(WINDOW)
        return [sighting async for page in pages for sighting in page.sightings]

    def values(self, **more: Value) -> dict[Field, Value]:
        usual: dict[Field, Value] = {
            Field.TITLE: "Intro call",
            Field.SCHEDULE: Schedule.timed(START + timedelta(days=2), timedelta(minutes=75), "Europe/Berlin"),
            Field.LOCATION: LINK,
            Field.JOIN_URL: LINK,
            Field.ORGANIZER: RITA,
            Field.PARTICIPANTS: participants([GUEST, "someone@else.example"]),
            Field.KIND: "virtual",
        }
        return {**usual, **{Field(name): value for name, value in more.items()}}

    def creating(self, values: Values | None = None, meeting_id: str = "meeting-1") -> Write:
        return Write(
            intent=f"intent-{next(self._ids)}",
            operation=Operation.CREATE,
            connection="crm",
            meeting_id=meeting_id,
            revision=1,
            values=values or self.values(),
            intended_at=self.world.clock.now(),
        )

    def updating(
        self,
        seen: Observation,
        values: Values,
        changed: set[Field] | None = None,
        meeting_id: str = "meeting-1",
    ) -> Write:
        return Write(
            intent=f"intent-{next(self._ids)}",
            operation=Operation.UPDATE,
            connection="crm",
            meeting_id=meeting_id,
            revision=2,
            values={**seen.values, **values},
            intended_at=self.world.clock.now(),
            external_id=seen.external_id,
            changed=frozenset(changed or values),
            base=seen.values,
            base_observed_at=seen.observed_at,
            particulars=seen.particulars,
        )

    async def sealed(self, write: Write, adapter: ProspectCrmAdapter | None = None) -> Sealed:
        return await (adapter or self.adapter).prepare(write)

    async def carry_out(self, write: Write, adapter: ProspectCrmAdapter | None = None) -> Written:
        adapter = adapter or self.adapter
        return await adapter.send(await adapter.prepare(write))

    async def close(self) -> None:
        for adapter in self.adapters:
            await adapter.aclose()
