"""Measure, print, and with ``--write`` keep the figures in the README beside this file."""

from __future__ import annotations

import argparse
import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from sync_engine.cli.app import collect_rarely
from tests.benchmarks import pull_with_dlt
from tests.benchmarks.measure import machine
from tests.benchmarks.scenarios import Figure, load_world, push, whole_sync

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
PLAN = [
    ("timeline", (1_000, 5_000, 10_000)),
    ("zoom singles", (1_000, 10_000)),
    ("everywhere", (1_000, 5_000, 10_000)),
]
QUICK = 500
WHOLE = 1_000
COMPARED = 10_000

Rows = list[tuple[str, ...]]


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK} meetings per world")
    parser.add_argument("--only", choices=["worlds", "push", "dlt"], help="one part alone")
    parser.add_argument("--write", action="store_true", help="put the figures into the README")
    chosen = parser.parse_args()
    # As the command line does: its process is the engine's own.
    collect_rarely()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tables = asyncio.run(_measure(chosen.quick, chosen.only))
    console = Console(width=140)
    console.print(f"[bold]{machine()}[/bold], {datetime.now(UTC):%Y-%m-%d}")
    for title, head, rows in tables:
        console.print(_table(title, head, rows))
    if chosen.write:
        _keep(tables)
        console.print(f"written to {README.name}")


async def _measure(quick: bool, only: str | None) -> list[tuple[str, tuple[str, ...], Rows]]:
    tables: list[tuple[str, tuple[str, ...], Rows]] = []
    if only in {None, "worlds"}:
        figures: list[Figure] = []
        for kind, sizes in PLAN:
            for number in (QUICK,) if quick else sizes:
                figures += await load_world(kind, number)
        tables.append(("Pull and reconcile", FIGURE_HEAD, [_figure(f) for f in figures]))
    if only in {None, "push"}:
        tables.append(("Push at the permitted rate", PUSH_HEAD, await _pushed()))
        tables.append(("First sync, writes included", WHOLE_HEAD, await _whole(QUICK if quick else WHOLE)))
    if only in {None, "dlt"}:
        tables.append(("Pull beside dlt", DLT_HEAD, await _beside_dlt(QUICK if quick else COMPARED)))
    return tables


FIGURE_HEAD = (
    "world", "step", "meetings", "records", "wall s", "own CPU s", "meetings/s", "records/s",
    "requests", "floor", "rows written", "peak MiB", "grown MiB",
)  # fmt: skip
PUSH_HEAD = ("connection", "writes", "writes/s", "permitted/s", "share", "429s")
WHOLE_HEAD = ("meetings", "records created", "wall s", "own CPU s", "own CPU ms per write")
DLT_HEAD = ("tool", "meetings", "first pull s", "own CPU s", "second pull s", "own CPU s ")


def _figure(figure: Figure) -> tuple[str, ...]:
    cost = figure.cost
    return (
        figure.world,
        figure.step,
        f"{figure.meetings}",
        f"{figure.records}",
        f"{cost.wall_seconds:.2f}",
        f"{cost.cpu_seconds:.2f}",
        f"{cost.per_second(figure.meetings):.0f}",
        f"{cost.per_second(figure.records):.0f}",
        f"{figure.requests}",
        f"{figure.floor}",
        f"{figure.rows_written}",
        f"{cost.peak_mib:.0f}",
        f"{cost.grown_mib:.0f}",
    )


async def _pushed() -> Rows:
    return [
        (
            one.connection,
            f"{one.writes}",
            f"{one.per_second:.1f}",
            f"{one.permitted:.0f}",
            f"{one.share:.1%}",
            f"{one.refused}",
        )
        for one in await push()
    ]


async def _whole(number: int) -> Rows:
    summary, cost = await whole_sync(number)
    each = cost.cpu_seconds / max(1, summary.created) * 1000
    return [
        (
            f"{number}",
            f"{summary.created}",
            f"{cost.wall_seconds:.2f}",
            f"{cost.cpu_seconds:.2f}",
            f"{each:.2f}",
        )
    ]


async def _beside_dlt(number: int) -> Rows:
    if not pull_with_dlt.is_installed():
        return [("dlt is not installed: pip install meeting-sync-engine[bench]", "", "", "", "", "")]
    return [
        (
            tool,
            f"{number}",
            f"{first.wall_seconds:.2f}",
            f"{first.cpu_seconds:.2f}",
            f"{second.wall_seconds:.2f}",
            f"{second.cpu_seconds:.2f}",
        )
        for tool, (first, second) in (await pull_with_dlt.compare(number)).items()
    ]


def _table(title: str, head: tuple[str, ...], rows: Rows) -> Table:
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(head):
        table.add_column(name.strip(), justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _keep(tables: list[tuple[str, tuple[str, ...], Rows]]) -> None:
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine()}."]
    for title, head, rows in tables:
        lines = [[name.strip() for name in head], ["---"] * len(head), *[list(row) for row in rows]]
        parts.append(f"### {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    figures = "\n\n".join(parts)
    README.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}")


if __name__ == "__main__":
    main()
