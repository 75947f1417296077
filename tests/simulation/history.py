"""One history: what people, the engine, the clock and the weather did, in the order the seed drew."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.services.pull import pull_connection
from sync_engine.services.push import push_connection
from sync_engine.services.reconcile import reconcile_page
from sync_engine.services.sync import Summary
from tests.simulation.ledger import Ledger
from tests.simulation.mood import Mood
from tests.simulation.oracle import Oracle
from tests.simulation.people import People
from tests.simulation.stage import PROVIDERS, CrashPlan, Stage
from tests.simulation.weather import Weather, broken_record

MOST_SYNCS_TO_QUIET = 24
# Zoom's guests show only in a read by id, which the slow rotation makes within this time.
ROTATION = timedelta(hours=31)


@dataclass(frozen=True)
class Step:
    """One step; ``salt`` seeds what it draws, so that leaving others out leaves it alone."""

    kind: str
    salt: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.salt}"


WEIGHTS = {
    "edit": 11, "book": 2, "pull": 3, "reconcile": 2, "push": 3, "sync": 5, "wait": 2,
    "crash": 1.5, "between": 2, "storm": 2, "calm": 0.7, "restart": 0.3, "database": 0.8,
}  # fmt: skip


def history_of(seed: int) -> list[Step]:
    """Draw the steps of a seed."""
    rng, mood = random.Random(f"{seed}:history"), Mood.of(seed)
    weights = {**WEIGHTS, "storm": WEIGHTS["storm"] * mood.stormy}
    kinds = rng.choices(list(weights), list(weights.values()), k=rng.randint(15, 40))
    first = ["book"] * rng.randint(2, 4)
    return [Step(kind, rng.randrange(10**6)) for kind in [*first, *kinds]]


@dataclass
class Outcome:
    """What became of a history: what does not hold, what was reached, what happened."""

    seed: int
    violations: list[str] = field(default_factory=list)
    stats: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)


async def play(seed: int, steps: Sequence[Step] | None = None) -> Outcome:
    """Play a history and check it; ``steps`` replaces what the seed draws."""
    outcome = Outcome(seed)
    async with Stage(seed, Mood.of(seed)) as stage:
        player = Player(stage, outcome)
        await player.play(history_of(seed) if steps is None else steps)
        outcome.stats = stage.stats
        outcome.violations += stage.incidents
    return outcome


class Player:
    """Carry out steps, then let everything come to rest and ask the oracle."""

    def __init__(self, stage: Stage, outcome: Outcome) -> None:
        self.stage, self.outcome = stage, outcome
        self.ledger = Ledger()
        self.people = People(stage, self.ledger)
        self.weather = Weather(stage)
        self.oracle = Oracle(stage, self.ledger)

    def tell(self, line: str) -> None:
        """Write the story down."""
        self.outcome.told.append(f"{self.ledger.step:3} {self.stage.now():%m-%d %H:%M:%S} {line}")

    async def play(self, steps: Sequence[Step]) -> None:
        """Play all steps, come to rest, check."""
        self.stage.prepare()
        for number, step in enumerate(steps):
            self.ledger.step = number
            rng = random.Random(f"{self.stage.seed}:{step.salt}")
            # Nothing in the real world happens within one frozen moment.
            self.stage.advance(timedelta(seconds=rng.randint(11, 60)))
            await getattr(self, f"_{step.kind}")(rng)
        self.ledger.step = len(steps)
        self.weather.clear()
        self.tell("people and weather have come to rest")
        await self._come_to_rest()

    # -- steps ------------------------------------------------------------------------------------

    async def _edit(self, rng: random.Random) -> None:
        deed = self.people.act(rng)
        if deed is not None:
            self.tell(f"edit {deed}")

    async def _book(self, rng: random.Random) -> None:
        self.people.book(rng)
        matter = list(self.ledger.matters.values())[-1]
        self.tell(f"book {matter.title} at {matter.born_at}")

    async def _pull(self, rng: random.Random) -> None:
        await self._engine(self._step("pull", rng))

    async def _reconcile(self, rng: random.Random) -> None:
        await self._engine(self._step("reconcile", rng))

    async def _push(self, rng: random.Random) -> None:
        await self._engine(self._step("push", rng))

    async def _sync(self, rng: random.Random) -> None:
        await self._engine(self._step("sync", rng))

    async def _wait(self, rng: random.Random) -> None:
        minutes = rng.choice([1, 5, 20, 20, 90, 90, 600, 1900])
        self.stage.advance(timedelta(minutes=minutes))
        self.tell(f"wait {minutes} minutes")

    async def _crash(self, rng: random.Random) -> None:
        kind = rng.choice(["pull", "push", "push", "sync", "sync"])
        if rng.random() < 0.4:
            plan = CrashPlan(at_commit=rng.randint(1, 14))
        else:
            plan = CrashPlan(at_request=rng.randint(1, 24), moment=rng.choice(list(Moment)))
        await self._engine(self._step(kind, rng), plan)

    async def _between(self, rng: random.Random) -> None:
        """Let a person come in between two requests of one step."""
        marks = {name: len(s.log) for name, s in self.stage.sandbox.items()}
        deeds: list[Any] = []

        def edit() -> None:
            marks.update({name: len(s.log) for name, s in self.stage.sandbox.items()})
            deed = self.people.act(rng)
            if deed is not None:
                deeds.append(deed)
                self.tell(f"in between: edit {deed}")

        kind = rng.choice(["pull", "push", "sync", "sync"])
        await self._engine(self._step(kind, rng), CrashPlan(at_request=rng.randint(1, 30), edit=edit))
        for deed in deeds:
            self.stage.stats["edits in between"] += 1
            number = deed.record.partition("/")[0]
            newer = self.stage.sandbox[deed.connection].log[marks[deed.connection] :]
            deed.raced = any(method != "GET" and number in path for method, path, _ in newer)
            self.stage.stats["edits raced"] += deed.raced

    async def _storm(self, rng: random.Random) -> None:
        self.tell(f"weather: {self.weather.worsen(rng)}")

    async def _calm(self, rng: random.Random) -> None:
        self.weather.clear()
        self.tell("weather: calm")

    async def _restart(self, rng: random.Random) -> None:
        await self.stage.restart()
        self.tell("restart")

    async def _database(self, rng: random.Random) -> None:
        """Let commits of the next step fail."""
        process = self.stage.process
        process.commits_to_failure, process.failing = rng.randint(0, 12), rng.choice([1, 1, 3])
        await self._engine(self._step(rng.choice(["pull", "push", "sync"]), rng))
        process.commits_to_failure, process.failing = None, 0

    # -- the engine -------------------------------------------------------------------------------

    def _step(self, kind: str, rng: random.Random) -> tuple[str, Callable[[], Coroutine[Any, Any, Any]]]:
        stage = self.stage
        name = rng.choice(list(PROVIDERS))

        async def pull() -> None:
            await pull_connection(stage.engine, stage.tenant, stage.channel(name), stage.new_run())

        async def reconcile() -> None:
            reconcile_page(stage.engine, stage.tenant, stage.new_run(), limit=rng.choice([1, 3, 200]))

        async def push() -> None:
            await push_connection(stage.engine, stage.tenant, stage.channel(name), stage.new_run())

        steps: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "pull": pull, "reconcile": reconcile, "push": push, "sync": stage.sync,
        }  # fmt: skip
        label = f"{kind} {name}" if kind in {"pull", "push"} else kind
        return label, steps[kind]

    async def _engine(
        self, step: tuple[str, Callable[[], Coroutine[Any, Any, Any]]], plan: CrashPlan | None = None
    ) -> None:
        label, run = step
        lived = await self.stage.run(run, crash=plan)
        self.tell(label if lived else f"{label}: the engine was killed")

    # -- the end ----------------------------------------------------------------------------------

    async def _come_to_rest(self) -> None:
        violations = self.outcome.violations
        await self._with_one_in_trouble()
        await self._quiet("soon")
        self.stage.advance(ROTATION)
        quiet = await self._quiet("after the rotation")
        violations += self.oracle.check() if quiet else []
        if not violations:
            # Long after: everything is over, and what waited for that has been made.
            self.stage.advance(timedelta(days=10))
            quiet = await self._quiet("after the last meeting")
            violations += [f"later: {v}" for v in self.oracle.check()] if quiet else []
        self.oracle.count()

    async def _with_one_in_trouble(self) -> None:
        """Leave one side, or one record, broken for a while: everything else has to settle all the same."""
        rng = random.Random(f"{self.stage.seed}:trouble")
        how, connection = rng.choice(["none", "none", "side", "record"]), rng.choice(list(PROVIDERS))
        if how == "none":
            return
        token = rng.choice(sorted(self.ledger.matters)) if how == "record" and self.ledger.matters else 0
        fault = broken_record(connection, token) if token else Fault(status=503, times=None)
        self.stage.sandbox[connection].faults.append(fault)
        self.tell(f"{connection} stays in trouble" + (f" with m{token:03}" if token else ""))
        quiet = await self._quiet("with one in trouble", in_trouble=connection)
        if quiet:
            self.stage.advance(ROTATION)
            quiet = await self._quiet("with one in trouble, later", in_trouble=connection)
        if quiet:
            self.outcome.violations += self.oracle.check_the_others(connection, token)
        self.stage.sandbox[connection].faults.remove(fault)
        self.stage.stats["settled beside one in trouble"] += quiet

    async def _quiet(self, when: str, *, in_trouble: str = "") -> bool:
        """Sync until one sync writes nothing and nothing waits that a little time would bring."""
        stage, calm = self.stage, 0
        last: list[Summary] = []

        async def sync() -> None:
            last.append(await stage.sync())

        for _ in range(MOST_SYNCS_TO_QUIET):
            for sandbox in stage.world.sandboxes:
                sandbox.reset_counters()
            await stage.run(sync)
            wrote = sum(
                number
                for name, sandbox in stage.sandbox.items()
                for (method, route), number in sandbox.requests.items()
                if name != in_trouble and method not in {"GET", "HEAD"} and "oauth" not in route
            )
            failed = [n for n in last[-1].failures if n.split()[0] != in_trouble] if last else ["no sync"]
            calm = 0 if wrote or failed else calm + 1
            # Twice lightfield's proof of absence, with the time of twins and back-offs in between.
            if calm >= 3:
                return True
            stage.advance(timedelta(minutes=7))
        summary = last[-1] if last else None
        facts = (summary.failures, summary.created, summary.updated, summary.deleted) if summary else None
        self.outcome.violations.append(f"never quiet {when}: {facts}")
        return False
