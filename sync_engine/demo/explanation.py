"""The life of one meeting: what happened to it, and how each side stands."""

from __future__ import annotations

from rich.text import Text

from sync_engine.demo.data import TITLES
from sync_engine.demo.narrative import name_of, sentence
from sync_engine.demo.screen import Screen, local
from sync_engine.demo.sides import Row
from sync_engine.demo.stage import Stage


def explain(screen: Screen, stage: Stage, row: Row) -> None:
    """Print one meeting's life from the journal, and every side's part in it."""
    meeting = row.meeting
    screen.say(f"[bold]{meeting.title}[/]")
    for name, source in sorted(meeting.provenance.items()):
        screen.say(f"  {name.value:<13}from {name_of(source.connection)}, revision {source.revision}")
    with stage.engine.store.reading() as uow:
        life = uow.journal.of_meeting(meeting.id)
    for entry in life:
        where = name_of(entry.connection or "")
        screen.console.print(Text(f"  {local(entry.at, '%a %H:%M')}  {where:<12} {sentence(entry)}"))
    for name in TITLES:
        cell = row.cells[name]
        screen.say(f"  {TITLES[name]:<13}{cell.mark.value} {'; '.join(cell.why)}")
