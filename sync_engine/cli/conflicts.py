"""``sync-engine conflicts``: fields two sides changed, where the policy asks a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

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
from sync_engine.cli.words import counted, moment, say, short, title_of, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from sync_engine.core.meeting import Meeting
    from sync_engine.services.decide import Decided
    from sync_engine.services.engine import Engine
    from sync_engine.store.conflicts import ConflictRow

app = typer.Typer(
    invoke_without_command=True,
    epilog=examples(
        "sync-engine conflicts                         what waits for a decision",
        "sync-engine conflicts resolve ID theirs       take the connection's value everywhere",
    ),
)


class Winner(StrEnum):
    """Whose value wins."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True)
class Listed:
    """One open conflict, with the meeting as it is now."""

    row: ConflictRow
    meeting: Meeting | None


@app.callback()
def conflicts(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
) -> None:
    """List and resolve fields that two sides changed, where the policy asks a person."""
    with ending():
        if listing_options(ctx, config, workspace, in_json):
            return

        async def work(engine: Engine) -> list[Listed]:
            return open_conflicts(engine, chosen_workspaces(engine, workspace))

        found = with_engine(ctx, config, work)
        if in_json:
            print_json({"conflicts": [_as_json(each) for each in found]})
        else:
            show_conflicts(stdout(), found)


@app.command(
    epilog=examples(
        "sync-engine conflicts resolve 01a1e395-ae80-7001 theirs",
        "sync-engine conflicts resolve 84279883862 ours       by the record's id, if it has one conflict",
    )
)
def resolve(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID", help="The conflict, its meeting, or its record.")],
    winner: Annotated[
        Winner, typer.Argument(help="ours: the canonical value; theirs: the connection's value.")
    ],
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """Let one side win; the next sync carries its value everywhere."""
    with ending():

        async def work(engine: Engine) -> Decided:
            from sync_engine.services.decide import Side, resolve_conflict
            from sync_engine.services.search import pick

            found = open_conflicts(engine, list(engine.tenants))
            external = external_ids(engine, [each.row for each in found])
            chosen = pick(
                name,
                found,
                lambda each: (
                    each.row.id,
                    each.row.meeting_id,
                    external.get((each.row.meeting_id, each.row.connection_id)),
                ),
                what="open conflict",
                listed_by="sync-engine conflicts",
            )
            return await resolve_conflict(engine, chosen.row.id, Side(winner.value))

        show_decided([with_engine(ctx, config, work)], in_json=in_json)


def open_conflicts(engine: Engine, workspaces: Sequence[str]) -> list[Listed]:
    """List the open conflicts of workspaces, oldest first."""
    with engine.store.reading() as uow:
        rows = [row for name in workspaces for row in uow.conflicts.open_of_workspace(name)]
        meetings = uow.meetings.load({row.meeting_id for row in rows})
    return [
        Listed(row, meetings[row.meeting_id].meeting if row.meeting_id in meetings else None) for row in rows
    ]


def external_ids(engine: Engine, rows: Sequence[ConflictRow]) -> dict[tuple[str, str], str | None]:
    """Give the records' ids at their providers, by meeting and connection."""
    with engine.store.reading() as uow:
        refs = uow.refs.of_meetings({row.meeting_id for row in rows})
    return {
        (ref.meeting_id, ref.connection_id): ref.ref.external_id for each in refs.values() for ref in each
    }


def _ours(each: Listed) -> Any:
    # The canonical value may have changed since the question was put.
    return each.meeting.values.get(each.row.field) if each.meeting else each.row.ours


def _as_json(each: Listed) -> dict[str, Any]:
    from sync_engine.cli.story_json import conflict_json
    from sync_engine.store.codec import value_to_json

    title = each.meeting.title if each.meeting else ""
    return {**conflict_json(each.row), "ours": value_to_json(_ours(each)), "title": title}


def show_conflicts(console: Console, found: Sequence[Listed]) -> None:
    """Print open conflicts, both values beside each other."""
    from rich.table import Table
    from rich.text import Text

    if not found:
        console.print("No conflict waits for a decision.")
        return
    for each in found:
        row, connection = each.row, each.row.connection_id.partition("/")[2]
        head = Text(short(row.id), style="cyan")
        head.append(f"  {row.field.value.replace('_', ' ')}", style="bold default")
        if each.meeting:
            head.append(f" of {title_of(each.meeting)}, {when(each.meeting.schedule)}", style="default")
        console.print(head)
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold", ratio=1)
        source = each.meeting.provenance.get(row.field) if each.meeting else None
        grid.add_row("  ours", Text(say(_ours(each)) + (f"  (from {source.connection})" if source else "")))
        grid.add_row("  theirs", Text(f"{say(row.theirs)}  ({connection}, since {moment(row.raised_at)})"))
        console.print(grid)
        console.print()
    console.print(Text(f"{counted(len(found), 'conflict')}; nothing else waits for them.", style="dim"))
    next_step(
        console,
        [
            ("sync-engine conflicts resolve ID ours", "keep the canonical value"),
            ("sync-engine conflicts resolve ID theirs", "take the connection's value"),
        ],
    )
