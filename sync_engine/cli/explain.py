"""``sync-engine explain``: the life of one meeting, every value with its cause."""

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
from sync_engine.cli.words import ago, clean, moment, one_line, say, title_of

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sync_engine.core.meeting import Field
    from sync_engine.services.engine import Engine
    from sync_engine.services.explain import ConnectionStory, FieldStory, Story
    from sync_engine.store.journal import JournalEntry

EXAMPLES = examples(
    "sync-engine explain 01a1e395-ae80-7001",
    "sync-engine explain 84279883862          the id a provider gave it",
    "sync-engine explain 84279883862 --json",
)

ROOMY = 100
"""From so many columns on, values can have their dates beside them."""

_WORDS = {
    "agreed": ("ok", "green"),
    "carried": ("ok", "green"),
    "held": ("held", "yellow"),
    "frozen": ("frozen", "bold red"),
    "pending": ("to write", "cyan"),
    "hidden": ("not shown", "dim"),
    "own": ("own", "dim"),
    "none": ("–", "dim"),
}


def explain(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="ID", help="A meeting's id, or the id of its record at any provider.")
    ],
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    journal: Annotated[int, typer.Option(help="How many journal entries to show.", min=1, max=10_000)] = 40,
    in_json: JsonOption = False,
) -> None:
    """Tell the life of one meeting: every value with its cause, every connection, and what happened."""
    with ending():

        async def work(engine: Engine) -> tuple[Story, datetime]:
            from sync_engine.services.explain import explain as tell

            names = chosen_workspaces(engine, workspace)
            return tell(engine, names, name, journal_limit=journal), engine.now()

        story, now = with_engine(ctx, config, work)
        if in_json:
            from sync_engine.cli.story_json import story_json

            print_json(story_json(story))
        else:
            show_story(stdout(), story, now)


def show_story(console: Console, story: Story, now: datetime) -> None:
    """Print a meeting's life: values, connections, what is kept back, and the timeline."""
    from rich.text import Text

    meeting = story.meeting
    head = Text(title_of(meeting), style="bold")
    cancelled = meeting.status.value == "cancelled"
    by = f" at {meeting.cancelled_by}" if meeting.cancelled_by else ""
    head.append(f"  {'cancelled' + by if cancelled else 'scheduled'}", style="red" if cancelled else "green")
    if meeting.visibility.value == "private":
        head.append("  private", style="yellow")
    console.print(head)
    first = f"first seen at {meeting.origin}" if meeting.origin else ""
    facts = f"{meeting.id} · {meeting.workspace} · revision {meeting.revision} · {first}"
    console.print(Text(facts, style="dim"))
    if story.row.dirty:
        console.print(Text("In line to be reconciled; the next sync looks at it.", style="cyan"))
    elif story.next_due is not None:
        told = f"Looked at again {ago(story.next_due, now)} ({moment(story.next_due)})."
        console.print(Text(told, style="dim"))
    console.print()
    console.print(_values(story, dated=console.width >= ROOMY))
    console.print()
    console.print(_connections(story, now))
    _show_kept_back(console, story)
    _show_conflicts(console, story)
    _show_journal(console, story)


def _values(story: Story, *, dated: bool) -> Table:
    """Tabulate the fields: the value, whence it came, and how each connection stands with it."""
    from rich.table import Table
    from rich.text import Text

    from sync_engine.core.meeting import Field

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("field", no_wrap=True)
    table.add_column("value", overflow="fold", ratio=1, min_width=14)
    table.add_column("from", overflow="fold")
    live = [each for each in story.connections.values() if each.fields]
    for each in live:
        table.add_column(each.name[:10], no_wrap=True)
    for name in Field:
        if name not in story.meeting.values and not any(_is_of_note(each.fields[name]) for each in live):
            continue
        states = [_state(each.fields[name]) for each in live]
        value = Text(say(story.meeting.values.get(name), 240))
        source = _source(story, name, dated=dated)
        table.add_row(Text(name.value.replace("_", " "), style="bold"), value, source, *states)
    return table


def _is_of_note(field: FieldStory) -> bool:
    return field.state.value in {"held", "frozen", "pending"}


def _state(field: FieldStory) -> Text:
    from rich.text import Text

    word, style = _WORDS[field.state.value]
    return Text(word, style=style)


def _source(story: Story, name: Field, *, dated: bool) -> Text:
    from rich.text import Text

    source = story.meeting.provenance.get(name)
    if source is None:
        return Text("")
    told = Text(source.connection)
    if dated:
        told.append(f" {source.observed_at:%d %b %H:%M}", style="dim")
    if source.derived:
        told.append(" derived", style="yellow")
    if source.machine:
        told.append(" by software", style="dim")
    return told


def _connections(story: Story, now: datetime) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("connection", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("record", overflow="fold", ratio=1)
    table.add_column("last seen", no_wrap=True)
    table.add_column("note", overflow="fold", ratio=2)
    for each in story.connections.values():
        if each.ref is None:
            table.add_row(Text(each.name), Text("none", style="dim"), "", "", Text(each.absent, style="dim"))
            continue
        ref = each.ref.ref
        table.add_row(
            Text(each.name),
            Text(ref.state.value.replace("_", " "), style="green" if ref.is_live else "yellow"),
            Text(clean(ref.external_id or "")),
            Text(ago(each.ref.observed_at, now)),
            _note(each),
        )
    return table


def _note(each: ConnectionStory) -> Text:
    """Say what there is to know of a ref beyond its fields."""
    from rich.text import Text

    assert each.ref is not None
    row, ref, told = each.ref, each.ref.ref, []
    if ref.hold:
        word = "deferred" if ref.hold.kind.value != "held" else "held"
        until = f", until {moment(ref.hold.until)}" if ref.hold.until else ""
        told.append(f"{word} since {moment(ref.hold.since)}: {ref.hold.reason}{until}")
    for write in each.open_writes:
        told.append(_open_write(write))
    if row.observed and row.observed.read_only:
        told.append(f"takes no write: {row.observed.read_only}")
    if ref.irreplaceable:
        told.append(f"cannot be replaced: {ref.irreplaceable}")
    if row.absences and ref.is_live:
        told.append(f"not found {row.absences} time(s) since {moment(row.absent_since)}")
    if row.needs_read and ref.is_live:
        told.append("is read in full by the next sync")
    origin = "made by us" if ref.origin.value == "created" else "found there"
    by = (row.evidence or {}).get("by")
    if ref.external_id:
        told.append(f"{origin}, linked by {by}" if by else origin)
    return Text(one_line("; ".join(told), 400))


def _open_write(write: Any) -> str:
    what = write.operation.value
    if write.operation.value == "create" and write.replaces:
        what = "replacement"
    fields = ", ".join(sorted(name.value for name in write.changed))
    about = f" of {fields}" if fields and what == "update" else ""
    error = f" ({write.last_error})" if write.last_error else ""
    if write.state.value == "parked":
        return f"{what}{about} parked{error}: sync-engine parked"
    waits = {"unknown": "sent, outcome not known", "sealed": "being sent"}.get(write.state.value, "in line")
    return f"{what}{about} {waits}{error}"


def _show_kept_back(console: Console, story: Story) -> None:
    """Print every field that differs on purpose, with the reason."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for each in story.connections.values():
        for name, field in each.fields.items():
            if not _is_of_note(field):
                continue
            label = Text(f"  {each.name} {name.value.replace('_', ' ')}", style="bold")
            grid.add_row(label, _kept_back(field))
    if grid.row_count:
        console.print(Text("\nKept back", style="bold"))
        console.print(grid)


def _kept_back(field: FieldStory) -> Text:
    from rich.text import Text

    told = Text(f"shows {say(field.shows)}, should show {say(field.wanted)}")
    if field.held:
        until = f", until {moment(field.held.until)}" if field.held.until else ""
        reason = f"held since {moment(field.held.since)}: {one_line(field.held.reason)}{until}"
        told.append(f"\n{reason}", style="yellow")
    if field.frozen:
        told.append(f"\nfrozen: {field.frozen}", style="bold red")
    return told


def _show_conflicts(console: Console, story: Story) -> None:
    from rich.text import Text

    for row in story.conflicts:
        name = row.connection_id.partition("/")[2]
        told = f"\n{row.field.value} waits for you: ours is {say(row.ours)}, {name} has {say(row.theirs)}"
        console.print(Text(told, style="bold yellow"))
        next_step(
            console,
            [
                (f"sync-engine conflicts resolve {row.id} ours", "keep ours"),
                (f"sync-engine conflicts resolve {row.id} theirs", f"take the value of {name}"),
            ],
        )


def _show_journal(console: Console, story: Story) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(Text("\nWhat happened", style="bold"))
    if story.earlier:
        console.print(Text("  … earlier entries; --journal shows more of them", style="dim"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for entry in story.journal:
        grid.add_row(
            Text(f"  {entry.at:%Y-%m-%d %H:%M:%S}Z"), Text(entry.connection or "–"), _happened(entry)
        )
    console.print(grid)


def _happened(entry: JournalEntry) -> Text:
    from rich.text import Text

    told = Text(entry.kind.replace("_", " "), style="bold")
    about = f" {entry.field.replace('_', ' ')}" if entry.field else ""
    told.append(f"{about}: ", style="not bold")
    told.append(one_line(entry.cause), style="not bold")
    if entry.before is not None or entry.after is not None:
        told.append(f"\n{_journal_value(entry, entry.before)}", style="red not bold")
        told.append(" → ", style="not bold")
        told.append(_journal_value(entry, entry.after), style="green not bold")
    return told


def _journal_value(entry: JournalEntry, data: Any) -> str:
    from sync_engine.core.meeting import Field
    from sync_engine.store.codec import value_from_json

    try:
        return say(value_from_json(Field(entry.field or ""), data))
    except (ValueError, KeyError, TypeError, AttributeError):
        # A journal outlives the release that wrote it.
        return one_line(data)
