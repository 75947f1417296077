"""What the CRM has no field for, kept in our own block inside a meeting's notes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sync_engine.core.meeting import Field, Schedule, Values
from sync_engine.core.owned_block import REFERENCE, Split, compose, split

TITLE, PLANNED, JOIN = "Title", "Planned", "Join"
LONGEST = timedelta(days=31)

CARRIED = frozenset({Field.TITLE, Field.SCHEDULE, Field.JOIN_URL, Field.DESCRIPTION})
"""Fields whose change rewrites the notes."""


def entries(values: Values, meeting_id: str) -> dict[str, str]:
    """Give the entries of the block; those without a value are left out when it is composed."""
    schedule = values.get(Field.SCHEDULE)
    return {
        TITLE: _text(values, Field.TITLE),
        PLANNED: _planned(schedule) if isinstance(schedule, Schedule) else "",
        JOIN: _text(values, Field.JOIN_URL),
        REFERENCE: meeting_id,
    }


def rewritten(notes: str | None, values: Values, meeting_id: str, *, shares_text: bool) -> str:
    """Give the notes with our block brought up to date.

    What people typed stays; with ``shares_text`` it is the description, and is written when known.
    """
    text = split(notes).text
    if shares_text and Field.DESCRIPTION in values:
        text = _text(values, Field.DESCRIPTION)
    return compose(text, entries(values, meeting_id))


def planned_length(parted: Split) -> timedelta | None:
    """Give the length our block remembers; it holds for whatever start a person moved the meeting to."""
    first, _, last = (parted.entries or {}).get(PLANNED, "").partition("/")
    try:
        length = datetime.fromisoformat(last.strip()) - datetime.fromisoformat(first.strip())
    except (ValueError, TypeError):
        return None
    return length if timedelta(0) < length <= LONGEST else None


def is_outdated(parted: Split, start: datetime) -> bool:
    """Tell whether our block still names a start the meeting no longer has: a person moved it."""
    first = (parted.entries or {}).get(PLANNED, "").partition("/")[0].strip()
    return bool(first) and first != _iso(start)


def _planned(schedule: Schedule) -> str:
    # An end that somebody assumed is no plan: written down it would come back as a real one.
    if schedule.assumed_end or not timedelta(0) < schedule.length <= LONGEST:
        return ""
    return f"{_iso(schedule.start)}/{_iso(schedule.end)}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(values: Values, name: Field) -> str:
    value = values.get(name, "")
    return value if isinstance(value, str) else ""
