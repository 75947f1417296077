"""The ``sync-engine`` command."""

from __future__ import annotations

import gc
from enum import StrEnum
from typing import Annotated

import typer

from sync_engine.cli import (
    check_command,
    conflicts,
    database,
    demo,
    explain,
    init,
    meetings,
    parked,
    plan,
    quarantine,
    review,
    sandbox,
    serve,
    status,
    sync,
    up,
    worker,
)
from sync_engine.cli.context import ConfigOption, Shared, examples

app = typer.Typer(
    name="sync-engine",
    no_args_is_help=True,
    # Local variables hold tokens and addresses; a defect shows its place, not its values.
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=examples(
        "sync-engine demo                 see it work; needs no account",
        "sync-engine init                 begin with a commented configuration",
        "sync-engine plan                 see what would change; writes nothing",
        "sync-engine explain ID           why did this meeting move?",
    ),
)


class LogLevelName(StrEnum):
    """How much of the log is written to stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _show_version(wanted: bool) -> None:
    if wanted:
        from sync_engine import __version__

        typer.echo(f"sync-engine {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    ctx: typer.Context,
    config: ConfigOption = None,
    log_level: Annotated[
        LogLevelName | None,
        typer.Option("--log-level", help="What the log on stderr tells.", show_default=False),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Keep one meeting in agreement over Zoom, Attio, Lightfield and a prospect CRM, field by field.

    Exit codes: 0 settled; 1 something is parked, failed, set aside or waits for a person; 2 wrong usage or
    configuration; 3 a provider is unreachable or refused the credentials.
    """
    ctx.obj = Shared(config, log_level.value if log_level else None)


BEGIN, RUN, LOOK, DECIDE = "Begin", "Keep in agreement", "Look", "Decide"

app.command("demo", rich_help_panel=BEGIN, epilog=demo.EXAMPLES)(demo.demo)
app.command("init", rich_help_panel=BEGIN, epilog=init.EXAMPLES)(init.init)
app.command("check", rich_help_panel=BEGIN, epilog=check_command.EXAMPLES)(check_command.check)
app.command("sandbox", rich_help_panel=BEGIN, epilog=sandbox.EXAMPLES)(sandbox.sandbox)
app.command("plan", rich_help_panel=RUN, epilog=plan.EXAMPLES)(plan.plan)
app.command("sync", rich_help_panel=RUN, epilog=sync.EXAMPLES)(sync.sync)
app.command("serve", rich_help_panel=RUN, epilog=serve.EXAMPLES)(serve.serve)
app.command("up", rich_help_panel=RUN, epilog=up.EXAMPLES)(up.up)
app.command("worker", rich_help_panel=RUN, epilog=worker.WORKER_EXAMPLES)(worker.worker)
app.command("beat", rich_help_panel=RUN, epilog=worker.BEAT_EXAMPLES)(worker.beat)
app.command("flower", rich_help_panel=RUN, epilog=worker.FLOWER_EXAMPLES)(worker.flower)
app.command("new-key", rich_help_panel=RUN)(worker.new_key)
app.add_typer(database.app, name="db", rich_help_panel=RUN)
app.command("status", rich_help_panel=LOOK, epilog=status.EXAMPLES)(status.status)
app.command("meetings", rich_help_panel=LOOK, epilog=meetings.EXAMPLES)(meetings.meetings)
app.command("explain", rich_help_panel=LOOK, epilog=explain.EXAMPLES)(explain.explain)
app.add_typer(conflicts.app, name="conflicts", rich_help_panel=DECIDE)
app.add_typer(review.app, name="review", rich_help_panel=DECIDE)
app.add_typer(parked.app, name="parked", rich_help_panel=DECIDE)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=DECIDE)


def collect_rarely() -> None:
    """Let the garbage collector look for cycles less often; for a process that is the engine's own.

    A page of records is many thousand objects that live for a moment and form no cycles: with Python's own
    thresholds a quarter of a first load's time goes into looking through them (tests/benchmarks/README.md).
    """
    gc.set_threshold(20_000, 20, 100)


def main() -> None:
    """Run the command line."""
    collect_rarely()
    app(prog_name="sync-engine")
