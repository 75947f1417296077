"""A whole engine against a world of sandboxes, in one process: what scenario tests are written with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sync_engine.bootstrap import build_engine, open_store
from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.sandbox.world import World
from sync_engine.services.engine import Engine, Tenant
from sync_engine.services.run import Run
from sync_engine.services.sync import Summary, sync
from sync_engine.settings import load_settings
from sync_engine.store.journal import JournalEntry
from sync_engine.store.refs import RefRow

MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
HOST = "hanna@acme.example"
JANE = "jane@prospects.example"

# The sandboxes' own limits stay on; what is lifted is only our patience between requests.
FAST = {
    "zoom": "rates = { light = 10000, medium = 10000, heavy = 10000 }",
    "attio": "rates = { read = 10000, write = 10000, recording = 10000 }",
    "lightfield": "rates = { read = 10000, write = 10000, search = 10000 }",
    "prospects": "rates = { all = 10000 }\nper_hour = 0",
}


class Lab:
    """Hold a world, an engine and one workspace ``acme``; a host, a recruiter and one prospect exist."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 1,
        extra: Mapping[str, str] | None = None,
        twin_grace_minutes: float = 0,
        database_url: str | None = None,
    ) -> None:
        self.world = World(seed=seed, start=MONDAY)
        for sandbox in self.world.sandboxes:
            sandbox.rate_limits = False  # type: ignore[attr-defined]
        self.folder = folder
        self._extra = dict(extra or {})
        self._grace = twin_grace_minutes
        self._database_url = database_url or f"sqlite:///{folder}/lab.db"
        self.host = self.world.zoom.add_host(HOST, first_name="Hanna", last_name="Host")
        self.owner = self.world.prospect_crm.add_user("Hanna Host", HOST)
        self.jane = self.world.prospect_crm.add_prospect("Jane", "Doe", JANE)
        self.engine: Engine

    async def __aenter__(self) -> Self:
        self.world.__enter__()
        self.start_engine()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.engine.aclose()
        self.world.__exit__(kind, error, trace)

    def write_configuration(self, **extra: str) -> Path:
        """Write the configuration; ``extra`` replaces further lines per connection."""
        self._extra.update(extra)
        names = {"workspace", *FAST}
        lines = {name: f"{FAST.get(name, '')}\n{self._extra.get(name, '')}" for name in names}
        text = configuration_of(
            self.world,
            database_url=self._database_url,
            default_host=HOST,
            default_owner_id=self.owner,
            owner_map={HOST: self.owner},
            twin_grace_minutes=self._grace,
            extra=lines,
        )
        path = self.folder / "sync-engine.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def start_engine(self, **extra: str) -> None:
        """Start the engine, as a new process would: nothing but the database carries over."""
        settings = load_settings(self.write_configuration(**extra), {})
        store = open_store(settings, self.world.clock.now)
        self.engine = build_engine(settings, store=store, now=self.world.clock.now, sleep=_no_wait)

    async def restart(self, **extra: str) -> None:
        """Stop the engine and start it again; nothing but the database carries over."""
        await self.engine.aclose()
        self.start_engine(**extra)

    @property
    def tenant(self) -> Tenant:
        """Give the one workspace."""
        return self.engine.tenants["acme"]

    def new_run(self) -> Run:
        """Begin a run."""
        return Run(self.engine.new_id())

    async def sync(self) -> Summary:
        """Run one sync."""
        return await sync(self.engine, ["acme"])

    async def settle(self) -> Summary:
        """Sync until a run writes nothing; gives the last summary."""
        for _ in range(6):
            summary = await self.sync()
            if not (summary.created or summary.updated or summary.deleted):
                return summary
        raise AssertionError("six syncs in a row still wrote")

    def pass_time(self, **span: float) -> None:
        """Move the world's clock."""
        self.world.clock.advance(timedelta(**span))

    def book(self, topic: str = "Kick-off", *, days: float = 1, minutes: int = 30, **more: Any) -> str:
        """Book a meeting at Zoom, with Jane invited unless told otherwise; gives its number."""
        more.setdefault("invitees", [JANE])
        more.setdefault("zone", "Europe/Berlin")
        start = self.world.clock.now() + timedelta(days=days)
        return self.world.zoom.people.book(self.host, topic, start, minutes, **more)

    def records(self, sandbox: ProviderSandbox) -> list[dict[str, Any]]:
        """Give the records a provider has now, trash left out."""
        return [r for r in sandbox.records() if not r["deleted"]]  # type: ignore[attr-defined]

    def one(self, sandbox: ProviderSandbox) -> dict[str, Any]:
        """Give the only record a provider has."""
        (record,) = self.records(sandbox)
        return record

    def refs(self) -> dict[str, RefRow]:
        """Give the refs of the only meeting, by connection."""
        with self.engine.store.reading() as uow:
            (meeting,) = uow.meetings.search("acme")
            return {r.ref.connection: r for r in uow.refs.of_meetings([meeting.id])[meeting.id]}

    def journal(self) -> list[JournalEntry]:
        """Give the journal, oldest first."""
        with self.engine.store.reading() as uow:
            return uow.journal.latest("acme", 1000)[::-1]

    def writes(self) -> int:
        """Count what changed anything at any provider."""
        return sum(
            number
            for sandbox in self.world.sandboxes
            for (method, route), number in sandbox.requests.items()
            if method not in {"GET", "HEAD"} and "oauth" not in route
        )

    def forget_requests(self) -> None:
        """Count requests from here on."""
        for sandbox in self.world.sandboxes:
            sandbox.reset_counters()


async def _no_wait(_seconds: float) -> None:
    return None
