"""The canonical meeting: the one record all connections are reconciled with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias


class Field(StrEnum):
    """The fields that are merged one by one."""

    TITLE = "title"
    DESCRIPTION = "description"
    SCHEDULE = "schedule"
    LOCATION = "location"
    JOIN_URL = "join_url"
    ORGANIZER = "organizer"
    PARTICIPANTS = "participants"
    KIND = "kind"


class Status(StrEnum):
    """Whether the meeting takes place."""

    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"


class Visibility(StrEnum):
    """Whether a connection marked the meeting as private."""

    OPEN = "open"
    PRIVATE = "private"


class Response(StrEnum):
    """A participant's answer to the invitation."""

    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a meeting takes place; one unit, merged as a block.

    ``start`` and ``end`` are aware UTC at whole seconds; of an all-day meeting they are midnight UTC of
    its dates, ``end`` exclusive. ``zone`` is an IANA name, or None where a side does not show it.
    ``assumed_end`` marks an end that an adapter invented: it never wins a merge.
    """

    start: datetime
    end: datetime
    zone: str | None = None
    all_day: bool = False
    assumed_end: bool = False

    @property
    def length(self) -> timedelta:
        """Give the planned length."""
        return self.end - self.start

    @classmethod
    def timed(
        cls,
        start: datetime,
        length: timedelta,
        zone: str | None = None,
        *,
        assumed_end: bool = False,
    ) -> Schedule:
        """Build a timed schedule from an aware start; parts of a second are dropped."""
        begin = start.astimezone(UTC).replace(microsecond=0)
        return cls(begin, begin + length, zone, assumed_end=assumed_end)

    @classmethod
    def dates(cls, first: date, end_exclusive: date) -> Schedule:
        """Build an all-day schedule from its first date and its exclusive last one."""
        midnight = datetime.min.time()
        return cls(
            datetime.combine(first, midnight, UTC),
            datetime.combine(end_exclusive, midnight, UTC),
            all_day=True,
        )


@dataclass(frozen=True, slots=True, order=True)
class Participant:
    """One invited person; ``email`` is normalised and is the key.

    ``name`` and ``response`` are None where a side does not show them: no information, not empty.
    """

    email: str
    name: str | None = None
    response: Response | None = None


Participants: TypeAlias = tuple[Participant, ...]
Value: TypeAlias = str | Schedule | Participants
Values: TypeAlias = Mapping[Field, Value]


def normal_email(address: str) -> str:
    """Normalise an e-mail address for comparison: trimmed, case folded."""
    return address.strip().casefold()


def participants(people: Iterable[Participant | str]) -> Participants:
    """Build a participant set: normalised addresses, one entry each, ordered by address.

    Entries without an address are dropped; a later entry completes an earlier one of the same address.
    """
    by_email: dict[str, Participant] = {}
    for person in people:
        someone = Participant(person) if isinstance(person, str) else person
        email = normal_email(someone.email)
        if not email:
            continue
        known = by_email.get(email)
        by_email[email] = Participant(
            email,
            someone.name or (known.name if known else None),
            someone.response or (known.response if known else None),
        )
    return tuple(by_email[email] for email in sorted(by_email))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a canonical value came from.

    ``derived``: an adapter invented it. ``machine``: software rather than a person typed it.
    """

    connection: str
    observed_at: datetime
    revision: int
    derived: bool = False
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """The series an occurrence belongs to, and where the series had planned it to start."""

    key: str
    original_start: datetime


@dataclass(frozen=True, slots=True)
class Meeting:
    """One meeting as the engine holds it; ``values`` has an entry only for fields that are known.

    ``id`` is a time-ordered UUID; ``revision`` grows by one with every change; ``origin`` is the name of
    the connection that showed the meeting first.
    """

    id: str
    workspace: str
    revision: int
    values: Values
    provenance: Mapping[Field, Provenance]
    status: Status = Status.SCHEDULED
    visibility: Visibility = Visibility.OPEN
    series: Series | None = None
    origin: str = ""
    cancelled_by: str | None = field(default=None)

    @property
    def title(self) -> str:
        """Give the title, empty if none is known."""
        value = self.values.get(Field.TITLE, "")
        return value if isinstance(value, str) else ""

    @property
    def schedule(self) -> Schedule | None:
        """Give the schedule, if one is known."""
        value = self.values.get(Field.SCHEDULE)
        return value if isinstance(value, Schedule) else None

    def text(self, name: Field) -> str:
        """Give a text field, empty if unknown."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else ""

    @property
    def people(self) -> Participants:
        """Give the participants, without the organizer."""
        value = self.values.get(Field.PARTICIPANTS, ())
        return value if isinstance(value, tuple) else ()
