"""The stage: four providers on loopback, an engine connected to them, and the time of the story."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sync_engine.bootstrap import build_engine
from sync_engine.demo.data import MARCO, WORKSPACE, Week, at, fill
from sync_engine.demo.sides import Board, Record, board_of, live_records
from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.sandbox.world import World
from sync_engine.services.engine import Engine, Tenant
from sync_engine.services.run import Progress
from sync_engine.services.sync import Summary, sync
from sync_engine.settings import load_settings
from sync_engine.store.journal import JournalEntry

OPENING = at(0, "08:30")


@dataclass(frozen=True)
class Act:
    """One sync: what the engine says it did, what its journal holds, what the servers counted.

    ``asked``: requests by connection and HTTP method, as the sandboxes saw them.
    """

    summary: Summary
    journal: tuple[JournalEntry, ...]
    asked: Mapping[str, Mapping[str, int]]
    changed_records: int


@dataclass
class Stage:
    """Everything on the stage while the story runs."""

    world: World
    week: Week
    engine: Engine
    folder: Path

    @property
    def tenant(self) -> Tenant:
        """Give the only workspace."""
        return self.engine.tenants[WORKSPACE]

    @property
    def sandboxes(self) -> dict[str, ProviderSandbox]:
        """Give the sandboxes by the name of the connection to them."""
        by_provider = {sandbox.name: sandbox for sandbox in self.world.sandboxes}
        return {name: by_provider[channel.provider] for name, channel in self.tenant.channels.items()}

    def set_clock(self, moment: datetime) -> None:
        """Let time pass."""
        self.world.clock.set(moment)

    def board(self) -> Board:
        """Read what each side holds now, next to what the engine's store says."""
        return board_of(self.engine, self.tenant, self.sandboxes)

    def records(self) -> dict[str, dict[str, Record]]:
        """Read every record that is there, by connection and external id."""
        return {name: live_records(sandbox) for name, sandbox in self.sandboxes.items()}

    async def sync(self, progress: Progress) -> Act:
        """Run one sync and give what is known of it."""
        before = self.records()
        for sandbox in self.world.sandboxes:
            sandbox.reset_counters()
        summary = await sync(self.engine, [WORKSPACE], progress=progress)
        with self.engine.store.reading() as uow:
            run = uow.runs.latest(WORKSPACE, 1)[0]
            journal = tuple(uow.journal.of_run(run.id))
        return Act(summary, journal, self._asked(), _differences(before, self.records()))

    def _asked(self) -> dict[str, dict[str, int]]:
        asked: dict[str, dict[str, int]] = {}
        for name, sandbox in self.sandboxes.items():
            by_method: Counter[str] = Counter()
            for (method, _route), number in sandbox.requests.items():
                by_method[method] += number
            asked[name] = dict(by_method)
        return asked


def _differences(
    before: Mapping[str, Mapping[str, Record]], after: Mapping[str, Mapping[str, Record]]
) -> int:
    return sum(
        before[name].get(key) != after[name].get(key)
        for name in after
        for key in before[name].keys() | after[name].keys()
    )


@asynccontextmanager
async def staged(folder: Path, seed: int) -> AsyncIterator[Stage]:
    """Set the stage in a folder: the configuration and the store lie there, nothing anywhere else."""
    with World(seed=seed) as world:
        # The clock runs, from the story's moment on: rate limits of the sandboxes need time that passes.
        world.clock.set(OPENING)
        week = fill(world)
        file = folder / "sync-engine.toml"
        file.write_text(
            configuration_of(
                world,
                workspace=WORKSPACE,
                database_url="sqlite:///sync-engine.db",
                default_host=MARCO,
                default_owner_id=week.users[MARCO],
                owner_map=week.users,
                twin_grace_minutes=0,
            ),
            encoding="utf-8",
        )
        file.chmod(0o600)
        engine = build_engine(load_settings(file, {}), now=world.clock.now)
        try:
            yield Stage(world, week, engine, folder)
        finally:
            await engine.aclose()
