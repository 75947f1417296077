"""What reconciling decided: values, no effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sync_engine.core.meeting import Field, Meeting, Value
from sync_engine.core.ports import Operation
from sync_engine.core.refs import Ref


class EntryKind(StrEnum):
    """What a journal entry tells."""

    BORN = "born"
    CHANGED = "changed"
    FIRST_LINK = "first_link"
    CONFLICT = "conflict"
    ASKED = "asked"
    CANCELLED = "cancelled"
    REVIVED = "revived"
    DELETION_LOST = "deletion_lost"
    ABSENT = "absent"
    LOOP_FROZEN = "loop_frozen"
    LINKED = "linked"
    UNLINKED = "unlinked"
    TWIN_ADOPTED = "twin_adopted"
    WRITTEN = "written"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change with its cause, for the journal. ``before`` of a conflict is the value that lost."""

    kind: EntryKind
    connection: str
    cause: str
    field: Field | None = None
    before: Value | None = None
    after: Value | None = None


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """One write the plan wants at one connection.

    ``replaces``: the record a create takes the place of. ``recreate``: the meeting had a record there
    before, which the guard against mass creation counts.
    """

    connection: str
    operation: Operation
    values: Mapping[Field, Value]
    changed: frozenset[Field] = frozenset()
    replaces: str | None = None
    recreate: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A true conflict that policy leaves to a person; ``field`` is None for a deletion."""

    connection: str
    field: Field | None
    ours: Value | None
    theirs: Value | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of reconciling one meeting.

    ``refs`` holds every ref by connection as it shall be, placeholders for wanted records included.
    ``reconsider_at``: when time alone can change the outcome.
    """

    meeting: Meeting
    refs: Mapping[str, Ref]
    writes: tuple[PlannedWrite, ...] = ()
    entries: tuple[Entry, ...] = ()
    questions: tuple[Question, ...] = ()
    reconsider_at: datetime | None = field(default=None)
