"""The life of one meeting as the engine explains it: whose value stands, where, and what happened to it."""

from __future__ import annotations

from itertools import groupby

from rich.table import Table
from rich.text import Text

from sync_engine.core.meeting import Field, Value
from sync_engine.demo.data import TITLES, WORKSPACE
from sync_engine.demo.narrative import lines, word_for
from sync_engine.demo.screen import Screen, local
from sync_engine.demo.sides import Mark, Row
from sync_engine.demo.stage import Stage
from sync_engine.services.explain import ConnectionStory, Story, explain

_TOLD = (Field.TITLE, Field.SCHEDULE, Field.PARTICIPANTS, Field.DESCRIPTION, Field.JOIN_URL)
_WIDEST = 29


def show_life(screen: Screen, stage: Stage, row: Row) -> None:
    """Ask the engine to explain a meeting, and print its values, its life, and every side's part."""
    story = explain(stage.engine, [WORKSPACE], row.meeting.id)
    screen.show(_values(screen, story), below=1)
    for when, entries in groupby(story.journal, key=lambda entry: local(entry.at, "%a %H:%M")):
        screen.show(Text(when, style="bold"))
        screen.lines(lines(list(entries)))
    screen.show(Text("Now, on the servers", style="bold"))
    screen.lines([(name, _standing(row, name)) for name in TITLES])


def _values(screen: Screen, story: Story) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("Value", no_wrap=True)
    table.add_column("", overflow="ellipsis", no_wrap=True, max_width=_WIDEST)
    table.add_column("From", no_wrap=True)
    for name in TITLES:
        table.add_column(screen.title(name), no_wrap=True, style="dim")
    for field in _TOLD:
        source, value = story.meeting.provenance.get(field), story.meeting.values.get(field)
        if source is not None and value is not None:
            states = [_state(story.connections[name], field) for name in TITLES]
            table.add_row(word_for(field.value), _in_words(value), screen.title(source.connection), *states)
    return table


def _state(part: ConnectionStory, field: Field) -> str:
    """Say how a field stands at one side; nothing where there is no record."""
    if part.ref is None or part.ref.ref.external_id is None or field not in part.fields:
        return "-"
    return part.fields[field].state.value


def _in_words(value: Value) -> str:
    if isinstance(value, str):
        # What follows the question mark lets anybody in.
        return value.removeprefix("https://").partition("?")[0]
    if isinstance(value, tuple):
        return ", ".join(person.email for person in value)
    return f"{local(value.start, '%a %d %b %H:%M')}-{local(value.end)}"


def _standing(row: Row, name: str) -> str:
    cell = row.cells[name]
    why = f": {'; '.join(cell.why)}" if cell.why else ""
    until = f" (from {local(cell.until, '%a %H:%M')})" if cell.mark is Mark.LATER and cell.until else ""
    return f"{cell.mark.value}{why}{until}"
