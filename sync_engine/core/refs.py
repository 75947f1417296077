"""External refs: what ties a meeting to one record at one connection, and what both sides last settled on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sync_engine.core.meeting import Field, Value


class RefState(StrEnum):
    """Where a ref stands.

    ``linked``: a record is there. ``creating``: wanted, and no record yet (waiting, held, or being made).
    ``unknown``: a create was sent and its outcome is not known. ``read_only``: there, and takes no write.
    ``gone``: the record was deleted or expired. ``detached``: a person or the policy cut the tie.
    """

    LINKED = "linked"
    CREATING = "creating"
    UNKNOWN = "unknown"
    READ_ONLY = "read_only"
    GONE = "gone"
    DETACHED = "detached"


LIVE = frozenset({RefState.LINKED, RefState.READ_ONLY})
"""The states of a ref whose record is there."""
DELETED = frozenset({RefState.GONE, RefState.CREATING})
"""The states of a ref whose record, if it names one, was deleted; a person may have brought it back since."""


class Origin(StrEnum):
    """Whether the record was found at the connection or created by us."""

    FOUND = "found"
    CREATED = "created"


@dataclass(frozen=True, slots=True)
class Agreed:
    """The pair both sides of one field settled on.

    ``ours``: the projection we sent or took over; None after an edit of theirs lost, until ours is written.
    ``theirs``: what the record showed then; None while it never showed the field.
    """

    ours: Value | None
    theirs: Value | None


@dataclass(frozen=True, slots=True)
class Held:
    """A canonical value a connection cannot take now; ``digest`` tells whether it is still the same one.

    ``imposed``: the adapter refused it when it was to be written, rather than the capabilities.
    """

    reason: str
    since: datetime
    digest: str
    until: datetime | None = None
    imposed: bool = False


class HoldKind(StrEnum):
    """Why a whole record waits: it cannot be held, or only not yet."""

    HELD = "held"
    DEFERRED = "deferred"
    GRACE = "grace"


@dataclass(frozen=True, slots=True)
class RecordHold:
    """A record that is not created (or not deleted) now, why, and when to look again.

    ``digest`` names what was asked for when the adapter refused, so that another answer is only sought
    once that changed or ``until`` has passed.
    """

    kind: HoldKind
    reason: str
    since: datetime
    until: datetime | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class PastWrite:
    """One field written to one ref: what the loop breaker counts."""

    field: Field
    digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ref:
    """The tie between one meeting and one connection.

    ``since``: when the connection first was a matter for this meeting. ``frozen``: fields nothing is read
    from or written to until a person decides, with the reason. ``irreplaceable``: why the record cannot be
    replaced by a new one (it has recordings).
    """

    id: str
    connection: str
    state: RefState
    origin: Origin
    since: datetime
    external_id: str | None = None
    agreement: Mapping[Field, Agreed] = field(default_factory=dict)
    held: Mapping[Field, Held] = field(default_factory=dict)
    hold: RecordHold | None = None
    frozen: Mapping[Field, str] = field(default_factory=dict)
    recent_writes: tuple[PastWrite, ...] = ()
    irreplaceable: str | None = None

    @property
    def is_live(self) -> bool:
        """Tell whether there is a record to read from and write to."""
        return self.state in LIVE and self.external_id is not None
