"""``sync-engine quarantine``: records that cannot be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from sync_engine.cli.context import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    chosen_workspaces,
    ending,
    examples,
    next_step,
    print_json,
    stdout,
    with_engine,
)
from sync_engine.cli.deciding import listing_options, show_decided
from sync_engine.cli.words import ago, clean, one_line, short

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from rich.console import Console

    from sync_engine.services.decide import Decided
    from sync_engine.services.engine import Engine
    from sync_engine.store.quarantine import QuarantineRow

app = typer.Typer(
    invoke_without_command=True,
    epilog=examples(
        "sync-engine quarantine               which records cannot be read, and why",
        "sync-engine quarantine retry ID      try again with the next sync",
        "sync-engine quarantine forget ID     off the list, until the record changes",
    ),
)

RecordArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="The entry's id, or the id of the record at its provider.")
]


@app.callback()
def quarantine(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
) -> None:
    """List records that were set aside because they cannot be read; everything else went on."""
    with ending():
        if listing_options(ctx, config, workspace, in_json):
            return

        async def work(engine: Engine) -> tuple[list[QuarantineRow], datetime]:
            return set_aside(engine, chosen_workspaces(engine, workspace)), engine.now()

        rows, now = with_engine(ctx, config, work)
        if in_json:
            print_json({"quarantined": [_as_json(row) for row in rows]})
        else:
            show_quarantine(stdout(), rows, now)


@app.command(epilog=examples("sync-engine quarantine retry ID"))
def retry(
    ctx: typer.Context, name: RecordArgument, config: ConfigOption = None, in_json: JsonOption = False
) -> None:
    """Let the next sync try the record again, although it did not change."""

    async def decide(engine: Engine, row: QuarantineRow) -> Decided:
        from sync_engine.services.decide import retry_quarantined

        return await retry_quarantined(engine, row.id)

    _decide(ctx, config, name, decide, in_json=in_json)


@app.command(epilog=examples("sync-engine quarantine forget ID"))
def forget(
    ctx: typer.Context, name: RecordArgument, config: ConfigOption = None, in_json: JsonOption = False
) -> None:
    """Take the record off the list; it comes back when it changes and still cannot be read."""

    async def decide(engine: Engine, row: QuarantineRow) -> Decided:
        from sync_engine.services.decide import forget_quarantined

        return await forget_quarantined(engine, row.id)

    _decide(ctx, config, name, decide, in_json=in_json)


def _decide(
    ctx: typer.Context,
    config: Path | None,
    name: str,
    decide: Callable[[Engine, QuarantineRow], Awaitable[Decided]],
    *,
    in_json: bool,
) -> None:
    with ending():

        async def work(engine: Engine) -> Decided:
            from sync_engine.services.search import pick

            chosen = pick(
                name,
                set_aside(engine, list(engine.tenants)),
                lambda row: (row.id, row.external_id),
                what="record that is set aside",
                listed_by="sync-engine quarantine",
            )
            return await decide(engine, chosen)

        show_decided([with_engine(ctx, config, work)], in_json=in_json)


def set_aside(engine: Engine, workspaces: Sequence[str]) -> list[QuarantineRow]:
    """List what is set aside in workspaces, oldest first."""
    with engine.store.reading() as uow:
        return [row for name in workspaces for row in uow.quarantine.of_workspace(name)]


def _as_json(row: QuarantineRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "connection": row.connection_id,
        "external_id": row.external_id,
        "reason": row.reason,
        "attempts": row.attempts,
        "first_seen_at": row.first_seen_at.isoformat(),
        "last_seen_at": row.last_seen_at.isoformat(),
        "payload": dict(row.payload) if row.payload else None,
    }


def show_quarantine(console: Console, rows: Sequence[QuarantineRow], now: datetime) -> None:
    """Print what is set aside, each record with the reason."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        console.print("Every record can be read.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True, style="cyan")
    table.add_column("record", overflow="fold")
    table.add_column("reason", overflow="fold", ratio=1)
    table.add_column("since", no_wrap=True)
    for row in rows:
        name = row.connection_id.partition("/")[2]
        table.add_row(
            Text(short(row.id)),
            Text(f"{name} {clean(row.external_id)}"),
            Text(one_line(row.reason), style="yellow"),
            Text(ago(row.first_seen_at, now)),
        )
    console.print(table)
    next_step(
        console,
        [
            ("sync-engine quarantine retry ID", "try again with the next sync"),
            ("sync-engine quarantine forget ID", "off the list, until the record changes"),
        ],
    )
