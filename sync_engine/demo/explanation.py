"""The life of one meeting: what it is now and why, and how each side stands."""

from __future__ import annotations

from itertools import groupby

from rich.text import Text

from sync_engine.core.meeting import Field, Value
from sync_engine.demo.data import TITLES
from sync_engine.demo.narrative import lines, word_for
from sync_engine.demo.screen import Screen, local
from sync_engine.demo.sides import Mark, Row
from sync_engine.demo.stage import Stage

_TOLD = (Field.TITLE, Field.SCHEDULE, Field.PARTICIPANTS)


def explain(screen: Screen, stage: Stage, row: Row) -> None:
    """Print one meeting's values with their sources, its life from the journal, and every side's part."""
    meeting = row.meeting
    values = [
        (source.connection, f"{word_for(name.value)} {_in_words(meeting.values[name])}")
        for name in _TOLD
        if (source := meeting.provenance.get(name)) is not None
    ]
    screen.show(Text("Its values, and whose they are", style="bold"), above=1)
    screen.lines(values)
    with stage.engine.store.reading() as uow:
        life = uow.journal.of_meeting(meeting.id)
    for when, entries in groupby(life, key=lambda entry: local(entry.at, "%a %H:%M")):
        screen.show(Text(when, style="bold"))
        screen.lines(lines(list(entries)))
    screen.show(Text("Now", style="bold"))
    screen.lines([(name, _standing(row, name)) for name in TITLES])


def _in_words(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return ", ".join(person.email for person in value)
    return f"{local(value.start, '%a %d %b %H:%M')}-{local(value.end)} {value.zone or ''}".strip()


def _standing(row: Row, name: str) -> str:
    cell = row.cells[name]
    why = f": {'; '.join(cell.why)}" if cell.why else ""
    until = f" (from {local(cell.until, '%a %H:%M')})" if cell.mark is Mark.LATER and cell.until else ""
    return f"{cell.mark.value}{why}{until}"
