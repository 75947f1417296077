"""``sync-engine review``: records of which a person has to say which meeting they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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
from sync_engine.cli.words import clean, counted, one_line, say, short, title_of, when

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from sync_engine.core.meeting import Meeting
    from sync_engine.services.decide import Decided
    from sync_engine.services.engine import Engine
    from sync_engine.store.reviews import ReviewRow

app = typer.Typer(
    invoke_without_command=True,
    epilog=examples(
        "sync-engine review                   what waits for a decision",
        "sync-engine review link ID           it is the proposed meeting",
        "sync-engine review separate ID       it is a meeting of its own",
        "sync-engine review ignore ID         leave the record alone",
    ),
)

RecordArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="The review's id, or the id of the record at its provider.")
]


@dataclass(frozen=True)
class Listed:
    """One record under review, with the meetings it may belong to."""

    row: ReviewRow
    candidates: Sequence[tuple[Meeting | None, str, dict[str, Any]]]


@app.callback()
def review(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
) -> None:
    """List records that look like a meeting that is known, and say which meeting they are."""
    with ending():
        if listing_options(ctx, config, workspace, in_json):
            return

        async def work(engine: Engine) -> list[Listed]:
            return open_reviews(engine, chosen_workspaces(engine, workspace))

        found = with_engine(ctx, config, work)
        if in_json:
            print_json({"reviews": [_as_json(each) for each in found]})
        else:
            show_reviews(stdout(), found)


@app.command(epilog=examples("sync-engine review link ID", "sync-engine review link ID --to MEETING"))
def link(
    ctx: typer.Context,
    name: RecordArgument,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="MEETING", help="Another meeting than the proposed one.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
    in_json: JsonOption = False,
) -> None:
    """Say that the record is the proposed meeting, or the one named with --to."""

    async def decide(engine: Engine, row: ReviewRow) -> Decided:
        from sync_engine.services.decide import link_review
        from sync_engine.services.search import find_meeting

        chosen = find_meeting(engine, [row.workspace], to)[1].id if to else None
        return await link_review(engine, row.id, chosen)

    _decide(ctx, config, name, decide, in_json=in_json)


@app.command(epilog=examples("sync-engine review separate ID"))
def separate(
    ctx: typer.Context, name: RecordArgument, config: ConfigOption = None, in_json: JsonOption = False
) -> None:
    """Say that the record is a meeting of its own."""

    async def decide(engine: Engine, row: ReviewRow) -> Decided:
        from sync_engine.services.decide import separate_review

        return await separate_review(engine, row.id)

    _decide(ctx, config, name, decide, in_json=in_json)


@app.command(epilog=examples("sync-engine review ignore ID"))
def ignore(
    ctx: typer.Context, name: RecordArgument, config: ConfigOption = None, in_json: JsonOption = False
) -> None:
    """Leave the record alone from now on."""

    async def decide(engine: Engine, row: ReviewRow) -> Decided:
        from sync_engine.services.decide import ignore_review

        return await ignore_review(engine, row.id)

    _decide(ctx, config, name, decide, in_json=in_json)


def _decide(
    ctx: typer.Context,
    config: Path | None,
    name: str,
    decide: Callable[[Engine, ReviewRow], Awaitable[Decided]],
    *,
    in_json: bool,
) -> None:
    with ending():

        async def work(engine: Engine) -> Decided:
            from sync_engine.services.search import pick

            with engine.store.reading() as uow:
                rows = [row for each in engine.tenants for row in uow.reviews.open_of_workspace(each)]
            chosen = pick(
                name,
                rows,
                lambda row: (row.id, row.external_id),
                what="record under review",
                listed_by="sync-engine review",
            )
            return await decide(engine, chosen)

        show_decided([with_engine(ctx, config, work)], in_json=in_json)


def open_reviews(engine: Engine, workspaces: Sequence[str]) -> list[Listed]:
    """List the records of workspaces that wait for a person, oldest first."""
    with engine.store.reading() as uow:
        rows = [row for name in workspaces for row in uow.reviews.open_of_workspace(name)]
        ids = {str(c.get("meeting_id")) for row in rows for c in row.candidates}
        meetings = uow.meetings.load(ids)
    found = []
    for row in rows:
        candidates = []
        for candidate in row.candidates:
            meeting_id = str(candidate.get("meeting_id"))
            meeting = meetings[meeting_id].meeting if meeting_id in meetings else None
            candidates.append((meeting, meeting_id, dict(candidate.get("evidence", {}))))
        found.append(Listed(row, candidates))
    return found


def _as_json(each: Listed) -> dict[str, Any]:
    from sync_engine.store.codec import values_to_json

    row = each.row
    return {
        "id": row.id,
        "workspace": row.workspace,
        "connection": row.connection_id.partition("/")[2],
        "external_id": row.external_id,
        "since": row.raised_at.isoformat(),
        "shows": values_to_json(row.observation.values),
        "candidates": [
            {"meeting_id": meeting_id, "title": meeting.title if meeting else None, "evidence": evidence}
            for meeting, meeting_id, evidence in each.candidates
        ],
    }


def show_reviews(console: Console, found: Sequence[Listed]) -> None:
    """Print records under review, each above the meetings it may be."""
    from rich.table import Table
    from rich.text import Text

    from sync_engine.core.meeting import Field, Schedule

    if not found:
        console.print("No record waits for a decision.")
        return
    for each in found:
        row, values = each.row, each.row.observation.values
        schedule = values.get(Field.SCHEDULE)
        head = Text(short(row.id), style="cyan")
        head.append(f"  {row.connection_id.partition('/')[2]} {clean(row.external_id)}", style="default")
        console.print(head)
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold", ratio=1)
        at = when(schedule if isinstance(schedule, Schedule) else None)
        grid.add_row("  shows", Text(f"{one_line(values.get(Field.TITLE, ''), 120) or '(no title)'}, {at}"))
        grid.add_row("", Text(say(values.get(Field.PARTICIPANTS)), style="dim"))
        for meeting, meeting_id, evidence in each.candidates:
            grid.add_row("  may be", _candidate(meeting, meeting_id, evidence))
        console.print(grid)
        console.print()
    console.print(Text(f"{counted(len(found), 'record')} left alone until you decide.", style="dim"))
    next_step(
        console,
        [
            ("sync-engine review link ID", "it is that meeting"),
            ("sync-engine review separate ID", "it is a meeting of its own"),
            ("sync-engine review ignore ID", "leave the record alone"),
        ],
    )


def _candidate(meeting: Meeting | None, meeting_id: str, evidence: dict[str, Any]) -> Any:
    from rich.text import Text

    if meeting is None:
        return Text(f"{short(meeting_id)} (not there any more)", style="dim")
    told = Text(f"{title_of(meeting)}, {when(meeting.schedule)} ")
    told.append(short(meeting_id), style="cyan")
    told.append(f"\n{_because(evidence)}", style="yellow")
    return told


def _because(evidence: dict[str, Any]) -> str:
    told = []
    if evidence.get("already_linked"):
        told.append("a second copy: the meeting has a record there already")
    told.append("the same start" if evidence.get("same_start") else "nearly the same start")
    if "common_people" in evidence:
        told.append(f"{counted(int(evidence['common_people']), 'person', 'people')} in both")
    if "title" in evidence:
        told.append(f"titles {round(100 * float(evidence['title']))} % alike")
    if int(evidence.get("candidates", 1)) > 1:
        told.append(f"{evidence['candidates']} meetings fit equally well")
    return ", ".join(told)
