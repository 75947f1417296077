"""Say things in a terminal: moments, schedules, values; with nothing in them that a terminal would obey."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from sync_engine.core.meeting import Meeting, Participant, Schedule, Value

SHORT_ID = 18
"""The part of an id that tells when it was made, to the microsecond: enough to tell rows apart."""

# Titles are other people's text: an escape sequence in one must not reach the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BLANK = re.compile(r"\s+")


def clean(text: object) -> str:
    """Take out of other people's text what would move the cursor, colour the screen or reorder letters."""
    return _CONTROL.sub("", str(text))


def one_line(text: object, most: int = 200) -> str:
    """Put a text on one line and cut it."""
    line = _BLANK.sub(" ", clean(text)).strip()
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def short(identifier: str) -> str:
    """Shorten one of our ids; the beginning is accepted wherever an id is."""
    return identifier[:SHORT_ID]


def moment(at: datetime | None) -> str:
    """Say a moment in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M}Z" if at else "never"


def ago(at: datetime | None, now: datetime) -> str:
    """Say how long ago, or how far ahead, a moment is."""
    if at is None:
        return "never"
    span = now - at
    if abs(span) < timedelta(seconds=1):
        return "now"
    words = _span(abs(span))
    return f"{words} ago" if span > timedelta(0) else f"in {words}"


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def when(schedule: Schedule | None, *, brief: bool = False) -> str:
    """Say when a meeting takes place, on the clock of its own zone; ``brief`` leaves end and zone out."""
    if schedule is None:
        return "unknown" if brief else "at an unknown time"
    if brief:
        zone, _ = _zone(schedule.zone)
        start = schedule.start if schedule.all_day else schedule.start.astimezone(zone)
        return f"{start:%a %Y-%m-%d}" if schedule.all_day else f"{start:%a %Y-%m-%d %H:%M}"
    if schedule.all_day:
        last = schedule.end - timedelta(days=1)
        first = f"{schedule.start:%a %Y-%m-%d}"
        return f"{first}, all day" if last <= schedule.start else f"{first} to {last:%a %Y-%m-%d}, all day"
    zone, name = _zone(schedule.zone)
    start, end = schedule.start.astimezone(zone), schedule.end.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%Y-%m-%d %H:%M}"
    assumed = "?" if schedule.assumed_end else ""
    return f"{start:%a %Y-%m-%d %H:%M}–{until}{assumed} {name}"


def _zone(name: str | None) -> tuple[ZoneInfo, str]:
    try:
        return ZoneInfo(name or "UTC"), name or "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC"), "UTC"


def title_of(meeting: Meeting) -> str:
    """Give a meeting's title, or say that it has none."""
    return one_line(meeting.title, 120) or "(no title)"


def say(value: Value | None, most: int = 160) -> str:
    """Say the value of a field on one line; None is nothing known, an empty value is empty."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return one_line(value, most) or "(empty)"
    if isinstance(value, tuple):
        people = [f"{p.email} ({p.response.value})" if p.response else p.email for p in value]
        return one_line(", ".join(people), most) or "(nobody)"
    return when(value)


def difference(before: Value | None, after: Value | None) -> tuple[str, str]:
    """Say a field before and after; of people only who comes and who goes, where that is shorter."""
    if isinstance(before, tuple) and isinstance(after, tuple):
        old, new = {p.email: p for p in before}, {p.email: p for p in after}
        gone = tuple(p for p in before if new.get(p.email) != p)
        come = tuple(p for p in after if old.get(p.email) != p)
        if len(gone) + len(come) < len(before) + len(after):
            return (say(gone) if gone else counted(len(before), "person", "people"), _now(gone, come))
    return say(before), say(after)


def _now(gone: tuple[Participant, ...], come: tuple[Participant, ...]) -> str:
    if not come:
        return "not any more"
    return say(come) if gone else f"and {say(come)}"


def counted(number: int, one: str, many: str = "") -> str:
    """Say a number of things."""
    return f"{number:,} {one if number == 1 else many or one + 's'}".replace(",", " ")
