"""What is measured: first load, a sweep without news, one percent changed, push at a permitted rate."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from math import ceil

from sync_engine.services.run import Run
from sync_engine.services.sync import Summary, prepare, pull_all, settle
from tests.benchmarks.engine import Bench, bench
from tests.benchmarks.measure import Cost, measured
from tests.benchmarks.worlds import HOSTS, PER_SERIES, bookings, served

NO_OPS = 5
PAGES = {"zoom": 300, "attio": 200, "lightfield": 25, "prospect_crm": 200}
CANARIES = 4
USERS_PAGES = 1
PUSHED = 300
PERMITTED_PER_SECOND = {"attio": 25.0, "lightfield": 25.0}


@dataclass
class Figure:
    """One line of the table. ``number`` of ``what`` were done; ``floor``: requests there must be."""

    world: str
    step: str
    meetings: int
    records: int
    cost: Cost
    requests: int
    floor: int
    rows_written: int


@dataclass
class Throughput:
    """How fast writes to one connection went, of the rate its provider permits."""

    connection: str
    writes: int
    per_second: float
    permitted: float
    refused: int

    @property
    def share(self) -> float:
        return self.per_second / self.permitted


async def load_world(kind: str, number: int) -> list[Figure]:
    """Load a world for the first time, sweep it without news, and again with one percent changed."""
    with served(kind, number) as world:
        async with bench(world) as opened:
            records = sum(world.ask("records").values())
            first = await _step(opened, kind, "first load", number, records)
            first.floor += _reads_at_first(kind, number, world.ask("records"))
            if opened.meetings() != number:
                raise RuntimeError(f"{kind}: {opened.meetings()} meetings were made of {number}")
            # What was asked of a person before every side had been read is often answered with a second look.
            await opened.load()
            quiet = [await _step(opened, kind, "no-op", number, records) for _ in range(NO_OPS)]
            world.ask("change", number // 100)
            changed = await _step(opened, kind, "1 % changed", number, records)
            changed.floor += number // 100 if kind == "zoom singles" else 0
    # Other work on the machine only ever adds: the quickest of a few is nearest to what it takes.
    return [first, min(quiet, key=lambda figure: figure.cost.cpu_seconds), changed]


async def _step(opened: Bench, kind: str, step: str, number: int, records: int) -> Figure:
    opened.world.ask("forget")
    before = opened.rows_written
    with measured() as cost:
        run = await opened.load()
    if run.failures:
        raise RuntimeError(f"{kind}, {step}: {run.failures}")
    listed = opened.world.ask("records")
    return Figure(
        world=kind,
        step=step,
        meetings=number,
        records=records,
        cost=cost,
        requests=opened.requests(),
        floor=_floor(kind, number, listed),
        rows_written=opened.rows_written - before,
    )


def _floor(kind: str, number: int, listed: dict[str, int]) -> int:
    """Count what a sweep must ask: canaries, users, list pages, and each series once."""
    pages = {name: max(1, ceil(listed[name] / size)) for name, size in PAGES.items() if name != "zoom"}
    rows = Counter(b.host for b in bookings(number)) if kind == "zoom singles" else Counter[str]()
    zoom = sum(max(1, ceil(rows[host] / PAGES["zoom"])) for host in HOSTS)
    series = ceil(number / PER_SERIES) if kind == "everywhere" else 0
    return CANARIES + USERS_PAGES + sum(pages.values()) + zoom + series


def _reads_at_first(kind: str, number: int, listed: dict[str, int]) -> int:
    """Count the reads by id of rows whose list does not show everything."""
    if kind == "zoom singles":
        return number
    # Each row there is a summary; and each prospect is a stranger once.
    prospects = len({b.prospect for b in bookings(number)[::PER_SERIES]})
    return listed["lightfield"] + prospects if kind == "everywhere" else 0


async def push(number: int = PUSHED) -> list[Throughput]:
    """Push a backlog to connections whose limits are on, at the rates their providers permit."""
    times: defaultdict[str, list[float]] = defaultdict(list)

    def note(phase: str, connection: str, _number: int) -> None:
        if phase == "push":
            times[connection].append(time.perf_counter())

    with served("backlog", number) as world:
        async with bench(world, lines="") as opened:
            run = Run(opened.engine.new_id(), note)
            prepare(opened.engine, opened.tenant)
            await pull_all(opened.engine, opened.tenant, run)
            await settle(opened.engine, opened.tenant, run)
            refused = world.ask("refused")
    return [
        Throughput(
            connection=name,
            writes=len(times[name]),
            per_second=(len(times[name]) - 1) / (times[name][-1] - times[name][0]),
            permitted=permitted,
            refused=refused[name],
        )
        for name, permitted in PERMITTED_PER_SECOND.items()
    ]


async def whole_sync(number: int) -> tuple[Summary, Cost]:
    """Sync a world whose meetings only one connection knows into the other three, pushes included."""
    with served("timeline", number) as world:
        async with bench(world) as opened:
            with measured() as cost:
                summary = await opened.sync()
    return summary, cost
