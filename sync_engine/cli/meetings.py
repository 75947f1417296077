"""``sync-engine meetings``: search."""

from __future__ import annotations

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
from sync_engine.cli.words import short, title_of, when

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from sync_engine.services.engine import Engine
    from sync_engine.services.search import Hit, Hits
    from sync_engine.store.refs import RefRow

ROOMY = 110
"""From so many columns on, a line has room for a meeting's end and zone."""

EXAMPLES = examples(
    "sync-engine meetings                            the latest ones",
    "sync-engine meetings kick-off",
    "sync-engine meetings https://us02web.zoom.us/j/84279883862",
    "sync-engine meetings --limit 50 --offset 50 --json",
)


def meetings(
    ctx: typer.Context,
    text: Annotated[
        str,
        typer.Argument(metavar="[TEXT]", help="Words of the title, an id, or a link.", show_default=False),
    ] = "",
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=1000)] = 20,
    offset: Annotated[int, typer.Option(help="How many to pass over.", min=0)] = 0,
    in_json: JsonOption = False,
) -> None:
    """Search meetings by words of the title, by any id, or by a link; latest start first."""
    with ending():

        async def work(engine: Engine) -> Hits:
            from sync_engine.services.search import search

            return search(engine, chosen_workspaces(engine, workspace), text, limit=limit, offset=offset)

        found = with_engine(ctx, config, work)
        if in_json:
            print_json({"meetings": [_as_json(hit) for hit in found.hits], "more": found.more})
            return
        show_hits(stdout(), found, text)


def _as_json(hit: Hit) -> dict[str, Any]:
    from sync_engine.store.codec import values_to_json

    meeting = hit.row.meeting
    return {
        "id": meeting.id,
        "workspace": hit.workspace,
        "status": meeting.status.value,
        "origin": meeting.origin,
        "revision": meeting.revision,
        "values": values_to_json(meeting.values),
        "refs": {
            name: {"state": ref.ref.state.value, "external_id": ref.ref.external_id}
            for name, ref in hit.refs.items()
        },
    }


def show_hits(console: Console, found: Hits, text: str) -> None:
    """Print one page of meetings, and how to go on."""
    from rich.table import Table
    from rich.text import Text

    if not found.hits:
        about = f' match "{text}"' if text else ""
        console.print(f"No meetings{about}.", markup=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True, style="cyan")
    brief = console.width < ROOMY
    table.add_column("when", no_wrap=brief, overflow="fold")
    table.add_column("title", overflow="fold", ratio=1)
    table.add_column("at", overflow="fold")
    for hit in found.hits:
        meeting = hit.row.meeting
        cancelled = meeting.status.value == "cancelled"
        title = Text(title_of(meeting), style="strike dim" if cancelled else "")
        if cancelled:
            title.append(" (cancelled)", style="not strike dim")
        table.add_row(
            Text(short(meeting.id)),
            Text(when(meeting.schedule, brief=brief)),
            title,
            _places(hit.refs.values()),
        )
    console.print(table)
    steps = [("sync-engine explain ID", "the life of one meeting")]
    if found.more:
        steps.insert(0, (f"--offset {found.next_offset}", "the next ones"))
    next_step(console, steps)


def _places(refs: Any) -> Text:
    """Name the connections: those that have the meeting, and in brackets those where it waits or is gone."""
    from rich.text import Text

    told = Text()
    rows: list[RefRow] = sorted(refs, key=lambda row: row.ref.connection)
    for row in rows:
        ref = row.ref
        if told:
            told.append(" ")
        if ref.is_live:
            kept_back = bool(ref.held or ref.hold or ref.frozen)
            told.append(ref.connection, style="yellow" if kept_back else "green")
        else:
            told.append(f"({ref.connection})", style="dim")
    return told
