"""An engine on a real store and served sandboxes, for tests of use cases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sync_engine.bootstrap import build_engine
from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.world import World
from sync_engine.services.engine import Engine
from sync_engine.services.sync import Summary, sync
from sync_engine.settings import load_settings

HOST, GUEST, OTHER = "host@acme.example", "jane@example.org", "bob@example.org"
MONDAY = datetime(2026, 11, 16, 9, tzinfo=UTC)


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[Engine]:
    """Open an engine by its configuration and the real clock."""
    engine = build_engine(load_settings(file, {}))
    try:
        yield engine
    finally:
        await engine.aclose()


class Bench:
    """A world with a frozen clock, an engine connected to it, and shorthands for what people do."""

    def __init__(self, world: World, engine: Engine, host: str, user: str, prospect: str) -> None:
        self.world, self.engine = world, engine
        self.host, self.user, self.prospect = host, user, prospect

    async def sync(self) -> Summary:
        """Sync the only workspace."""
        return await sync(self.engine, ["acme"])

    def book(self, title: str = "Kick-off", *, days: float = 1, agenda: str = "") -> str:
        """Let the host plan a meeting with the guest; gives its number at Zoom."""
        start = self.world.clock.now() + timedelta(days=days)
        return self.world.zoom.people.book(self.host, title, start, agenda=agenda, invitees=[GUEST])

    def pass_time(self, **span: float) -> None:
        """Let time go by."""
        self.world.clock.advance(timedelta(**span))


@asynccontextmanager
async def bench(world: World, folder: Path, extra: Mapping[str, str] | None = None) -> AsyncIterator[Bench]:
    """Connect an engine to a world that has one host, one recruiter and one prospect."""
    host = world.zoom.add_host(HOST, first_name="Hanna", last_name="Ost")
    user = world.prospect_crm.add_user("Hanna Ost", HOST)
    prospect = world.prospect_crm.add_prospect("Jane", "Doe", GUEST)
    file = folder / "sync-engine.toml"
    text = configuration_of(
        world,
        default_host=HOST,
        default_owner_id=user,
        owner_map={HOST: user},
        twin_grace_minutes=0,
        extra=extra,
    )
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    engine = build_engine(load_settings(file, {}), now=world.clock.now)
    try:
        yield Bench(world, engine, host, user, prospect)
    finally:
        await engine.aclose()
