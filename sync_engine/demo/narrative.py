"""Retell the journal: per meeting, who changed what where, and what the engine wrote because of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sync_engine.core.meeting import Field
from sync_engine.core.plan import EntryKind
from sync_engine.demo.data import ZONE
from sync_engine.demo.sides import Board
from sync_engine.store.journal import JournalEntry

Line: TypeAlias = tuple[str, str]
"""A connection, and what happened there."""

REPLACED = "removed the record another one replaced"
_WORDS = {
    Field.SCHEDULE.value: "time",
    Field.PARTICIPANTS.value: "guests",
    Field.DESCRIPTION.value: "agenda",
    Field.JOIN_URL.value: "link",
}
_LONGEST = 44


def told(entries: Sequence[JournalEntry], board: Board) -> list[tuple[str, list[Line]]]:
    """Give a title and the lines of every meeting that something happened to, by time of the meeting."""
    by_meeting: defaultdict[str, list[JournalEntry]] = defaultdict(list)
    for entry in entries:
        by_meeting[entry.meeting_id or ""].append(entry)
    return [
        (row.meeting.title, lines(by_meeting[row.meeting.id]))
        for row in board.rows
        if row.meeting.id in by_meeting
    ]


def lines(entries: Sequence[JournalEntry]) -> list[Line]:
    """Give one line per change, then one per side that was written to."""
    changes = [e for e in entries if e.kind != EntryKind.WRITTEN]
    return [(e.connection or "", sentence(e)) for e in changes] + _writes(entries)


def sentence(entry: JournalEntry) -> str:
    """Say one entry."""
    what = word_for(entry.field or "")
    before, after = _value(entry.field, entry.before), _value(entry.field, entry.after)
    if entry.kind == EntryKind.CHANGED and entry.field == Field.PARTICIPANTS:
        return f"{what} {_people(entry.before, entry.after)}"
    if entry.kind == EntryKind.CHANGED:
        return f"{what} {before} → {after}" if before else f"{what} {after}"
    if entry.kind == EntryKind.CONFLICT:
        return f"{what} {before} against {after}: {entry.cause}"
    if entry.kind == EntryKind.BORN:
        return "booked there"
    return f"{what}: {entry.cause}" if what else entry.cause


def word_for(name: str) -> str:
    """Give the word people use for a field."""
    return _WORDS.get(name, name)


def _writes(entries: Iterable[JournalEntry]) -> list[Line]:
    causes: defaultdict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.kind == EntryKind.WRITTEN and entry.connection:
            causes[entry.connection].append(entry.cause)
    return [(side, "← " + _written(found)) for side, found in causes.items()]


def _written(causes: Sequence[str]) -> str:
    if REPLACED in causes:
        return "replaced"
    return ", ".join(
        f"{cause.removesuffix(' done')}d" if cause.endswith(" done") else cause for cause in causes
    )


def _value(name: str | None, value: Any) -> str:
    if value in (None, "", []):
        return ""
    if name == Field.SCHEDULE:
        return datetime.fromisoformat(value["start"]).astimezone(ZONE).strftime("%a %H:%M")
    text = " ".join(str(value).split())
    return f"“{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}”"


def _people(before: Any, after: Any) -> str:
    was, now = ({person["email"] for person in people or ()} for people in (before, after))
    changes = [f"+ {email}" for email in sorted(now - was)] + [f"- {email}" for email in sorted(was - now)]
    return ", ".join(changes) or "answers changed"
