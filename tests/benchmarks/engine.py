"""One engine on a served world, and the steps of a sync one by one."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event

from sync_engine.bootstrap import build_engine
from sync_engine.services.engine import Engine, Tenant
from sync_engine.services.reconcile import reconcile_page
from sync_engine.services.run import Run
from sync_engine.services.sync import Summary, prepare, pull_all, sync
from sync_engine.settings import load_settings
from tests.benchmarks.worlds import WORKSPACE, ServedWorld

WRITING = ("INSERT", "UPDATE", "DELETE")


@dataclass
class Bench:
    """An engine, its world, and how many rows it wrote to its database."""

    engine: Engine
    world: ServedWorld
    rows_written: int = 0

    @property
    def tenant(self) -> Tenant:
        return self.engine.tenants[WORKSPACE]

    async def load(self) -> Run:
        """Pull every connection and reconcile what is in line; nothing is pushed."""
        run = Run(self.engine.new_id())
        prepare(self.engine, self.tenant)
        await pull_all(self.engine, self.tenant, run)
        while reconcile_page(self.engine, self.tenant, run):
            pass
        return run

    async def sync(self) -> Summary:
        """Run one whole sync."""
        return await sync(self.engine, [WORKSPACE])

    def requests(self) -> int:
        """Count the requests the sandboxes answered since they last forgot, without those for tokens."""
        counted: dict[str, Counter[tuple[str, str]]] = self.world.ask("requests")
        return sum(
            number
            for by_route in counted.values()
            for (_, route), number in by_route.items()
            if not route.startswith("/oauth")
        )

    def meetings(self) -> int:
        """Count canonical meetings."""
        with self.engine.store.reading() as uow:
            return sum(count.meetings for count in uow.meetings.counts(WORKSPACE))

    def _count(
        self, _connection: Any, cursor: Any, statement: str, given: Any, _context: Any, many: bool
    ) -> None:
        if statement.lstrip().startswith(WRITING):
            self.rows_written += len(given) if many else max(0, cursor.rowcount)


@asynccontextmanager
async def bench(world: ServedWorld, *, writes: bool = True, lines: str | None = None) -> AsyncIterator[Bench]:
    """Open an engine with a database of its own on a world; ``lines`` replaces the unlimited rates."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sync-engine.toml"
        given: dict[str, Any] = {"database": str(Path(folder) / "engine.db"), "writes": writes}
        file.write_text(world.ask("configuration", given | ({} if lines is None else {"lines": lines})))
        engine = build_engine(load_settings(file), now=world.now)
        opened = Bench(engine, world)
        event.listen(engine.store.engine, "after_cursor_execute", opened._count)
        try:
            yield opened
        finally:
            await engine.aclose()
