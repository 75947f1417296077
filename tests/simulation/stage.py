"""What a history is played on: a world of sandboxes, and one engine after the other on one database."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import event

from sync_engine.adapters.base import Build, ConnectionSettings, Surroundings
from sync_engine.adapters.pacing import LocalPacer
from sync_engine.adapters.registry import ProviderEntry, known_providers
from sync_engine.bootstrap import build_engine
from sync_engine.core.ids import Ids
from sync_engine.observability import configure_logging
from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.sandbox.world import World
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.run import Run
from sync_engine.services.sync import Summary, prepare, sync
from sync_engine.settings import load_settings
from sync_engine.store import schema
from sync_engine.store.engine import READ_ONLY
from sync_engine.store.unit_of_work import Store
from tests.lab import FAST, MONDAY
from tests.simulation.mood import Mood

HOSTS = ("hanna@acme.example", "henry@acme.example")
PROVIDERS = {"zoom": "zoom", "attio": "attio", "lightfield": "lightfield", "prospects": "prospect_crm"}
# A lease that a dead process left behind is free again after this.
LEASE_EXPIRES = timedelta(seconds=61)
LONGEST_STEP_SECONDS = 60.0


class Unhurried:
    """Tell a pacer's time, which passes only by waiting: pauses are kept, and cost nothing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Give the time in seconds."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        await asyncio.sleep(0)


async def _no_wait(_seconds: float) -> None:
    return None


def _unhurried(entry: ProviderEntry) -> ProviderEntry:
    def build(settings: ConnectionSettings, around: Surroundings) -> Any:
        time = Unhurried()
        pacer = LocalPacer(settings.rates, monotonic=time, sleep=time.sleep)
        return entry.build(settings, replace(around, pacer=pacer))

    chosen: Build = build
    return replace(entry, load_build=lambda: chosen)


@lru_cache(maxsize=1)
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        store = Store.open(f"sqlite:///{path}")
        schema.upgrade(store.engine)
        store.close()
        return path.read_bytes()


@dataclass
class Process:
    """One life of an engine. ``dead``: it commits nothing any more, as a killed process does not.

    ``commits_to_failure``: how many commits succeed before ``failing`` ones fail. ``dies_at_commit``:
    the process dies right after that many more commits.
    """

    engine: Engine
    dead: bool = False
    commits_to_failure: int | None = None
    failing: int = 0
    dies_at_commit: int | None = None
    running: asyncio.Task[Any] | None = None
    failed_commits: int = 0

    def on_commit(self, connection: sa.Connection) -> None:
        """Let a commit fail; called before the database hears of it."""
        if connection.get_execution_options().get(READ_ONLY):
            return
        if self.dead:
            raise _broken_database()
        if self.commits_to_failure is not None:
            self.commits_to_failure -= 1
            if self.commits_to_failure < 0 and self.failing > 0:
                self.failing -= 1
                self.failed_commits += 1
                raise _broken_database()
        if self.dies_at_commit is not None:
            self.dies_at_commit -= 1
            if self.dies_at_commit <= 0:
                self.dies_at_commit = None
                self.kill_soon(asyncio.get_running_loop())

    def kill_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Kill the process at its next await; may be called from another thread."""
        loop.call_soon_threadsafe(self._kill)

    def _kill(self) -> None:
        self.dead = True
        if self.running is not None:
            self.running.cancel()


def _broken_database() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("COMMIT", None, Exception("the simulated database broke"))


@dataclass
class Tripwire(Fault):
    """Not a fault by itself: runs an action at the n-th request any sandbox sees, and may then strike."""

    counter: Counter[str] | None = None
    at_request: int = 1
    action: Callable[[], None] | None = None
    effect: str = "none"

    def strikes(self, method: str, path: str) -> bool:
        """Count the request and act once its turn has come."""
        assert self.counter is not None
        if "oauth" in path or self.action is None:
            return False
        self.counter["seen"] += 1
        if self.counter["seen"] != self.at_request:
            return False
        action, self.action = self.action, None
        action()
        self.struck += 1
        return self.effect != "none"


class Stage:
    """Hold the world and the engine under test, and let the engine take single steps."""

    def __init__(self, seed: int, mood: Mood) -> None:
        self.seed, self.mood = seed, mood
        self._folder = tempfile.TemporaryDirectory(prefix="simulation-")
        self.folder = Path(self._folder.name)
        (self.folder / "engine.db").write_bytes(_empty_database())
        self.world = World(seed=seed, start=MONDAY)
        self.sandbox: dict[str, ProviderSandbox] = {
            name: getattr(self.world, attribute) for name, attribute in PROVIDERS.items()
        }
        for each in self.world.sandboxes:
            each.rate_limits = False  # type: ignore[attr-defined]
        self.hosts = [self.world.zoom.add_host(email, first_name=email[:5]) for email in HOSTS]
        self.owners = [self.world.prospect_crm.add_user(email[:5], email) for email in HOSTS]
        mood.apply(self.world)
        self.log = io.StringIO()
        self.stats: Counter[str] = Counter()
        self.incidents: list[str] = []
        self.mails = 0
        self.process: Process

    async def __aenter__(self) -> Stage:
        configure_logging("json", "debug", self.log)
        random.seed(self.seed)
        self._ids = Ids(random.Random(f"{self.seed}:ids").getrandbits)
        self.world.__enter__()
        self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._bury(self.process)
            self.world.__exit__(None, None, None)
        finally:
            structlog.reset_defaults()
            root = logging.getLogger()
            for handler in [h for h in root.handlers if h.get_name() == "sync_engine"]:
                root.removeHandler(handler)
            self._folder.cleanup()

    # -- the engine's lives -----------------------------------------------------------------------

    def _start(self) -> None:
        extra = {name: "\n".join([FAST.get(name, ""), *self.mood.lines.get(name, ())]) for name in PROVIDERS}
        extra["workspace"] = "\n".join(self.mood.lines.get("workspace", ()))
        text = configuration_of(
            self.world,
            database_url=f"sqlite:///{self.folder}/engine.db",
            default_host=HOSTS[0],
            default_owner_id=self.owners[0],
            owner_map=dict(zip(HOSTS, self.owners, strict=True)),
            twin_grace_minutes=self.mood.grace_minutes,
            extra=extra,
        )
        path = self.folder / "sync-engine.toml"
        path.write_text(text)
        path.chmod(0o600)
        settings = load_settings(path, {})
        now = self.world.clock.now
        store = Store.open(settings.database_url, now)
        providers = {name: _unhurried(entry) for name, entry in known_providers().items()}
        engine = build_engine(settings, store=store, now=now, sleep=_no_wait, providers=providers)
        # The same seed gives the same ids, and with them the same order.
        engine = replace(engine, new_id=lambda: self._ids(now()))
        self.process = Process(engine)
        event.listen(store.engine, "commit", self.process.on_commit)

    async def _bury(self, process: Process) -> None:
        process.dead = True
        await process.engine.aclose()

    async def restart(self, *, crashed: bool = False) -> None:
        """Begin another life on the same database; after a crash its leases have to expire first."""
        await self._bury(self.process)
        if crashed:
            self.world.clock.advance(LEASE_EXPIRES)
        self._start()

    @property
    def engine(self) -> Engine:
        """Give the engine that lives now."""
        return self.process.engine

    @property
    def tenant(self) -> Tenant:
        """Give the one workspace."""
        return self.engine.tenants["acme"]

    def channel(self, name: str) -> Channel:
        """Give one connection."""
        return self.tenant.channels[name]

    def new_run(self) -> Run:
        """Begin a run."""
        return Run(self.engine.new_id())

    # -- steps ------------------------------------------------------------------------------------

    async def run(
        self, step: Callable[[], Coroutine[Any, Any, Any]], *, crash: CrashPlan | None = None
    ) -> bool:
        """Let the engine take a step; tells whether it lived through it.

        What the step left running in the background ends before the next one begins.
        """
        process, mails = self.process, len(self.world.zoom.mails_sent)
        task = asyncio.ensure_future(step())
        process.running = task
        wires = self._set_wires(process, crash)
        try:
            await asyncio.wait_for(asyncio.shield(task), LONGEST_STEP_SECONDS)
        except asyncio.CancelledError:
            if not process.dead:
                raise
        except TimeoutError:
            self.incidents.append("hung: a step of the engine did not end")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        except sa.exc.OperationalError:
            # A run that loses its database ends; the next one begins anew.
            self.stats["runs ended by the database"] += 1
        finally:
            process.running = process.dies_at_commit = None
            await self._let_orphans_end(process)
            for sandbox, wire in wires:
                sandbox.faults.remove(wire)
        self.stats["commits failed"] += process.failed_commits
        process.failed_commits = 0
        self.mails += len(self.world.zoom.mails_sent) - mails
        if process.dead:
            self.stats["crashes"] += 1
            await self.restart(crashed=True)
            return False
        return True

    def _set_wires(self, process: Process, crash: CrashPlan | None) -> list[tuple[ProviderSandbox, Tripwire]]:
        if crash is None:
            return []
        if crash.at_commit is not None:
            process.dies_at_commit = crash.at_commit
            return []
        loop, counter = asyncio.get_running_loop(), Counter[str]()

        def act() -> None:
            if crash.edit is not None:
                crash.edit()
            else:
                process.kill_soon(loop)

        once = _once(act)
        wires = []
        for sandbox in self.world.sandboxes:
            # The answer of the request it dies in never arrives; `moment` tells whether it had an effect.
            dies = crash.edit is None
            wire = Tripwire(
                cut=dies, delay_seconds=0.02 if dies else 0.0, moment=crash.moment, counter=counter,
                at_request=crash.at_request, action=once, effect="cut" if dies else "none",
            )  # fmt: skip
            sandbox.faults.insert(0, wire)
            wires.append((sandbox, wire))
        return wires

    async def _let_orphans_end(self, process: Process) -> None:
        for _ in range(3):
            me = asyncio.current_task()
            others = [t for t in asyncio.all_tasks() if t is not me and not t.done()]
            if not others:
                return
            if process.dead:
                for task in others:
                    task.cancel()
            await asyncio.wait(others, timeout=LONGEST_STEP_SECONDS)

    async def sync(self) -> Summary:
        """Run one whole sync that waits for nobody."""
        return await sync(self.engine, ["acme"], patience_seconds=0)

    def prepare(self) -> None:
        """Make the workspace known, as every run begins."""
        with contextlib.suppress(sa.exc.OperationalError):
            prepare(self.engine, self.tenant)

    def advance(self, span: timedelta) -> None:
        """Move the world's clock."""
        self.world.clock.advance(span)

    def now(self) -> datetime:
        """Give the world's time."""
        return self.world.clock.now()


@dataclass
class CrashPlan:
    """Where in a step the process dies, or (``edit``) where in it a person comes in between."""

    at_request: int = 1
    moment: Moment = Moment.BEFORE
    at_commit: int | None = None
    edit: Callable[[], None] | None = None


def _once(action: Callable[[], None]) -> Callable[[], None]:
    done: list[bool] = []

    def act() -> None:
        if not done:
            done.append(True)
            action()

    return act
