"""``sync-engine sync``: whole cycles in this process, until nothing is due."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_engine.cli.context import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    chosen_workspaces,
    ending,
    examples,
    print_json,
    quiet_on_a_terminal,
    stdout,
    with_engine,
)

if TYPE_CHECKING:
    from rich.console import Console

    from sync_engine.cli.errors import ExitCode
    from sync_engine.services.engine import Engine
    from sync_engine.services.run import Progress
    from sync_engine.services.standing import Standing
    from sync_engine.services.sync import Summary

EXAMPLES = examples(
    "sync-engine sync",
    "sync-engine sync --workspace acme --json",
    "sync-engine sync --wait 0        give up at once where another run is at work",
)


def sync(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="How long to wait for another run that works on a connection.",
        ),
    ] = 60.0,
) -> None:
    """Pull every connection, then write until everything agrees or waits.

    What waits by itself (held, deferred, rate-limited) is reported and not waited for.
    """
    with ending():
        from sync_engine.services.standing import standing_of
        from sync_engine.services.sync import sync as run_sync

        async def work(engine: Engine) -> tuple[Summary, list[Standing]]:
            names = chosen_workspaces(engine, workspace)
            with shown_progress() as progress:
                # At least one try of a wait: none at all would report another run's work as settled.
                summary = await run_sync(engine, names, progress=progress, patience_seconds=max(wait, 0.2))
            return summary, [standing_of(engine, engine.tenants[name]) for name in names]

        summary, standings = with_engine(ctx, config, work, level=quiet_on_a_terminal() or "info")
        code = exit_code_of(summary)
        if in_json:
            print_json({**asdict(summary), "exit_code": int(code)})
        else:
            show_summary(stdout(), summary, standings)
        raise typer.Exit(code)


def exit_code_of(summary: Summary) -> ExitCode:
    """Give the exit code of a sync; a provider that cannot be used comes before what waits for a person."""
    from sync_engine.cli.errors import ExitCode

    if summary.unreachable:
        return ExitCode.PROVIDER
    return ExitCode.UNSETTLED if summary.needs_attention else ExitCode.SETTLED


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show progress on stderr while a run works; nothing where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda _phase, _connection, _number: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars)


class _Bars:
    """Turn what a run tells of itself into one bar per connection."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._waits: set[str] = set()

    def __call__(self, phase: str, connection: str, number: int) -> None:
        name = connection or "reconcile"
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None, told="")
            self._counts[name] = {}
        if phase == "wait":
            self._waits.add(name)
        else:
            self._waits.discard(name)
            counts = self._counts[name]
            counts[phase] = counts.get(phase, 0) + number
        self._bars.update(self._tasks[name], told=self._told(name))

    def _told(self, name: str) -> str:
        if name in self._waits:
            return "waiting for another run"
        words = {"pull": "read", "push": "written", "reconcile": "reconciled"}
        counts = self._counts[name]
        return ", ".join(f"{number} {words.get(phase, phase)}" for phase, number in counts.items())


def show_summary(console: Console, summary: Summary, standings: list[Standing]) -> None:
    """Print what a sync did, what it leaves, and what a person has to decide."""
    from rich.text import Text

    from sync_engine.cli.needs import needs_of, show_needs

    console.print(_headline(summary))
    console.print(
        Text(
            f"Read {summary.observed} records; created {summary.created}, updated {summary.updated}, "
            f"deleted {summary.deleted}."
        )
    )
    for line in _waiting(summary):
        console.print(Text(line, style="dim"))
    for name, reason in summary.failures.items():
        told = Text(f"{name}: ", style="bold red")
        told.append(reason, style="not bold")
        console.print(told)
    console.print(_requests(summary.requests))
    needs = [need for standing in standings for need in needs_of(standing)]
    show_needs(console, needs, name_workspaces=len(standings) > 1)


def _headline(summary: Summary) -> Any:
    from rich.text import Text

    from sync_engine.cli.words import counted

    seconds = f"{summary.duration_ms / 1000:.1f} s"
    agree = f"{counted(summary.settled, 'meeting')} in agreement"
    if summary.failures:
        return Text(f"Not everything could be worked on: {agree}, in {seconds}.", style="bold red")
    if summary.unsettled:
        return Text(f"{agree}, {summary.unsettled} not yet, in {seconds}.", style="bold yellow")
    if summary.needs_attention:
        return Text(f"{agree}; something waits for you, in {seconds}.", style="bold yellow")
    return Text(f"Settled: {agree}, in {seconds}.", style="bold green")


def _waiting(summary: Summary) -> list[str]:
    from sync_engine.cli.words import counted

    lines = []
    if summary.held:
        records = counted(summary.held, "record holds something", "records hold something")
        lines.append(f"{records} back that the side cannot take (sync-engine explain ID says what).")
    if summary.deferred:
        records = counted(summary.deferred, "record waits", "records wait")
        lines.append(f"{records} for the time when it can be created.")
    if summary.conflicts:
        lines.append(f"{counted(summary.conflicts, 'conflict')} met; the journal has both values.")
    return lines


def _requests(requests: Mapping[str, Mapping[str, int]]) -> Any:
    from rich.text import Text

    parts = []
    for name, by_method in requests.items():
        methods = " ".join(f"{method} {number}" for method, number in sorted(by_method.items()))
        parts.append(f"{name}: {methods or 'none'}")
    return Text(f"Requests: {'; '.join(parts)}.", style="dim")
