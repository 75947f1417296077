"""``sync-engine parked``: guarded changes to approve or reject, and writes that need a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
from sync_engine.cli.words import counted, moment, one_line, short, title_of, when

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from sync_engine.core.meeting import Meeting
    from sync_engine.services.decide import Decided
    from sync_engine.services.engine import Engine
    from sync_engine.store.decisions import DecisionRow
    from sync_engine.store.outbox import OutboxRow

app = typer.Typer(
    invoke_without_command=True,
    epilog=examples(
        "sync-engine parked                   what waits for you",
        "sync-engine parked approve ID        let a guarded change go on",
        "sync-engine parked retry --all       try every parked write again",
    ),
)

WriteArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="The write, its meeting, or its record at the provider.")
]
DecisionArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="The guarded change, or the meeting it is about.")
]


@dataclass(frozen=True)
class Parked:
    """Everything parked: guarded changes, and single writes with their meetings."""

    decisions: Sequence[DecisionRow] = ()
    writes: Sequence[OutboxRow] = ()
    meetings: dict[str, Meeting] = field(default_factory=dict)

    @property
    def single(self) -> list[OutboxRow]:
        """Give the writes that are not part of a guarded change."""
        guarded = {row.id for row in self.decisions}
        return [row for row in self.writes if row.decision_id not in guarded]


@app.callback()
def parked(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
) -> None:
    """List what was set aside: guarded changes to approve or reject, and writes to retry or discard."""
    with ending():
        if listing_options(ctx, config, workspace, in_json):
            return

        async def work(engine: Engine) -> Parked:
            return everything_parked(engine, chosen_workspaces(engine, workspace))

        found = with_engine(ctx, config, work)
        if in_json:
            print_json(_as_json(found))
        else:
            show_parked(stdout(), found)


@app.command(epilog=examples("sync-engine parked retry ID", "sync-engine parked retry --all"))
def retry(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="The write, its meeting, or its record at the provider.", show_default=False
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every parked write.")] = False,
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """Try parked writes again with the next sync."""
    if (name is None) is not everything:
        raise typer.BadParameter("give either an ID or --all")
    with ending():

        async def work(engine: Engine) -> list[Decided]:
            from sync_engine.services.guarded import retry_write

            found = everything_parked(engine, list(engine.tenants))
            rows = found.single if name is None else [_pick_write(name, found)]
            return [await retry_write(engine, row.id) for row in rows]

        decided = with_engine(ctx, config, work)
        if not decided and not in_json:
            stdout().print("No write is parked.")
            return
        show_decided(decided, in_json=in_json)


@app.command(epilog=examples("sync-engine parked discard ID"))
def discard(
    ctx: typer.Context, name: WriteArgument, config: ConfigOption = None, in_json: JsonOption = False
) -> None:
    """Give a parked write up; what it would have written is held until somebody changes it again."""
    with ending():

        async def work(engine: Engine) -> Decided:
            from sync_engine.services.guarded import discard_write

            row = _pick_write(name, everything_parked(engine, list(engine.tenants)))
            return await discard_write(engine, row.id)

        show_decided([with_engine(ctx, config, work)], in_json=in_json)


@app.command(epilog=examples("sync-engine parked approve ID"))
def approve(
    ctx: typer.Context, name: DecisionArgument, config: ConfigOption = None, in_json: JsonOption = False
) -> None:
    """Let a guarded change go on, all of it."""
    _answer(ctx, config, name, approved=True, in_json=in_json)


@app.command(epilog=examples("sync-engine parked reject ID"))
def reject(
    ctx: typer.Context, name: DecisionArgument, config: ConfigOption = None, in_json: JsonOption = False
) -> None:
    """Stop a guarded change, all of it; meetings stay as they are."""
    _answer(ctx, config, name, approved=False, in_json=in_json)


def _answer(ctx: typer.Context, config: Path | None, name: str, *, approved: bool, in_json: bool) -> None:
    with ending():

        async def work(engine: Engine) -> Decided:
            from sync_engine.services.guarded import answer_decision
            from sync_engine.services.search import pick

            found = everything_parked(engine, list(engine.tenants))
            chosen = pick(
                name,
                found.decisions,
                lambda row: (row.id, row.evidence.get("meeting_id")),
                what="guarded change",
                listed_by="sync-engine parked",
            )
            return await answer_decision(engine, chosen.id, approve=approved)

        show_decided([with_engine(ctx, config, work)], in_json=in_json)


def _pick_write(name: str, found: Parked) -> OutboxRow:
    from sync_engine.services.search import pick

    return pick(
        name,
        found.writes,
        lambda row: (row.id, row.meeting_id, row.external_id, row.replaces),
        what="parked write",
        listed_by="sync-engine parked",
    )


def everything_parked(engine: Engine, workspaces: Sequence[str]) -> Parked:
    """List what is parked in workspaces, oldest first."""
    with engine.store.reading() as uow:
        decisions = [row for name in workspaces for row in uow.decisions.open_of_workspace(name)]
        writes = [row for name in workspaces for row in uow.outbox.parked(name)]
        asked = {str(row.evidence.get("meeting_id")) for row in decisions}
        meetings = uow.meetings.load(asked | {row.meeting_id for row in writes})
    return Parked(decisions, writes, {row.id: row.meeting for row in meetings.values()})


def _as_json(found: Parked) -> dict[str, Any]:
    from sync_engine.cli.story_json import write_json

    return {
        "decisions": [_decision_json(row) for row in found.decisions],
        "writes": [
            {**write_json(row), "title": found.meetings[row.meeting_id].title} for row in found.writes
        ],
    }


def _decision_json(row: DecisionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace": row.workspace,
        "connection": row.connection_id.partition("/")[2],
        "kind": row.kind.value,
        "evidence": dict(row.evidence),
        "since": row.raised_at.isoformat(),
    }


def show_parked(console: Console, found: Parked) -> None:
    """Print guarded changes with their evidence, then single writes with their reasons."""
    from rich.text import Text

    if not found.decisions and not found.writes:
        console.print("Nothing is parked.")
        return
    if found.decisions:
        console.print(Text("Guarded changes", style="bold"))
        for row in found.decisions:
            _show_decision(console, row, found)
    if found.single:
        console.print(Text("Writes", style="bold"))
        for write in found.single:
            _show_write(console, write, found)
    steps = []
    if found.decisions:
        steps += [
            ("sync-engine parked approve ID", "let it go on"),
            ("sync-engine parked reject ID", "stop it; meetings stay as they are"),
        ]
    if found.single:
        steps += [
            ("sync-engine parked retry ID", "try again; --all tries every write"),
            ("sync-engine parked discard ID", "give it up"),
        ]
    next_step(console, steps)


def _show_decision(console: Console, row: DecisionRow, found: Parked) -> None:
    from rich.padding import Padding
    from rich.text import Text

    told = Text(short(row.id), style="cyan")
    told.append(f"  {one_line(row.evidence.get('text', row.kind.value))}", style="bold default")
    told.append(f", since {moment(row.raised_at)}", style="dim")
    console.print(Padding(told, (0, 0, 0, 2)))
    console.print(Padding(Text(_evidence(row, found), style="dim"), (0, 0, 0, 4)))
    console.print(Padding(Text(_CONSEQUENCES[row.kind.value]), (0, 0, 1, 4)))


_CONSEQUENCES = {
    "mass_deletion": "approve: their meetings are cancelled everywhere; reject: only this side goes without.",
    "mass_creation": "approve: the records are made again; reject: this side goes without.",
    "deletion": "approve: the meeting is cancelled everywhere; reject: only this side goes without.",
}


def _evidence(row: DecisionRow, found: Parked) -> str:
    facts = row.evidence
    if row.kind.value == "mass_deletion":
        asked, gone = facts.get("asked_by_id", 0), facts.get("confirmed_gone", 0)
        return f"asked for {asked} of them by id: {gone} are gone"
    if row.kind.value == "mass_creation":
        writes = [write for write in found.writes if write.decision_id == row.id]
        return f"{counted(len(writes), 'write')} parked; the side knows {facts.get('total', 0)} records"
    meeting = found.meetings.get(str(facts.get("meeting_id")))
    if meeting is None:
        return "the meeting is not there any more"
    return f"{title_of(meeting)}, {when(meeting.schedule)}"


def _show_write(console: Console, write: OutboxRow, found: Parked) -> None:
    from rich.padding import Padding
    from rich.text import Text

    meeting, connection = found.meetings[write.meeting_id], write.connection_id.partition("/")[2]
    what = "replacement" if write.replaces else write.operation.value
    told = Text(short(write.id), style="cyan")
    told.append(f"  {what} at {connection}", style="bold default")
    told.append(f"  {title_of(meeting)}, {when(meeting.schedule)}", style="default")
    console.print(Padding(told, (0, 0, 0, 2)))
    reason = f"{one_line(write.last_error or 'no reason was given')} (since {moment(write.created_at)})"
    console.print(Padding(Text(reason, style="yellow"), (0, 0, 1, 4)))
