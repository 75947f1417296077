"""What an Attio workspace holds: meetings, recordings, people, notes, webhooks."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sync_engine.sandbox.attio.answers import nanoseconds

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Actor:
    """Who did something; ``id`` is null for the system."""

    kind: str
    id: str | None

    def wire(self) -> JsonObject:
        """Write it as Attio does."""
        return {"type": self.kind, "id": self.id}


@dataclass(frozen=True)
class Instant:
    """One end of a timed meeting: aware UTC, and the zone's name if one is stored."""

    moment: datetime
    zone: str | None

    def wire(self) -> JsonObject:
        """Write it with the offset of its zone; in UTC where no zone is stored."""
        if self.zone is None:
            text = self.moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
            return {"datetime": f"{text}.{self.moment.microsecond // 1000:03d}Z", "timezone": None}
        local = self.moment.astimezone(ZoneInfo(self.zone))
        return {"datetime": local.isoformat(timespec="milliseconds"), "timezone": self.zone}


@dataclass(frozen=True)
class Day:
    """One end of an all-day meeting."""

    day: date

    def wire(self) -> JsonObject:
        """Write it as a date."""
        return {"date": self.day.isoformat()}


Edge = Instant | Day


def moment_of(edge: Edge, zone: str = "UTC") -> datetime:
    """Give the instant of one end; a date begins at midnight of ``zone``."""
    if isinstance(edge, Instant):
        return edge.moment
    return datetime.combine(edge.day, time(), ZoneInfo(zone)).astimezone(UTC)


@dataclass
class Attendee:
    """One participant; either an address or a name."""

    email: str | None
    name: str | None
    is_organizer: bool
    status: str

    def wire(self) -> JsonObject:
        """Write it as Attio does."""
        return {
            "status": self.status,
            "is_organizer": self.is_organizer,
            "email_address": self.email,
            "name": self.name,
        }


@dataclass
class Recording:
    """One call recording of a meeting."""

    id: str
    created_at: datetime
    actor: Actor
    status: str
    segments: list[JsonObject] | None
    by_attio_recorder: bool = False


@dataclass
class StoredMeeting:
    """One meeting. ``text`` caches its JSON until something changes (``touch``)."""

    id: str
    title: str
    description: str
    start: Edge
    end: Edge
    attendees: list[Attendee]
    created_at: datetime
    actor: Actor
    linked: dict[tuple[str, str], None] = field(default_factory=dict)
    calendar_uid: str | None = None
    external_ref: str | None = None
    by_api: bool = False
    hidden: bool = False
    deleted: bool = False
    recordings: dict[str, Recording] = field(default_factory=dict)
    text: str | None = None

    @property
    def key(self) -> tuple[float, str]:
        """Give the place in the order by start."""
        return (moment_of(self.start).timestamp(), self.id)

    @property
    def emails(self) -> set[str]:
        """Give the addresses of all participants."""
        return {attendee.email for attendee in self.attendees if attendee.email}

    def touch(self) -> None:
        """Forget the cached JSON."""
        self.text = None


@dataclass
class Record:
    """One record of an object: a person, a company, a deal."""

    id: str
    object_slug: str
    created_at: datetime
    emails: list[str] = field(default_factory=list)
    name: JsonObject | None = None
    domain: str | None = None


@dataclass
class Note:
    """One note on a record."""

    id: str
    parent_object: str
    parent_record_id: str
    title: str
    content: str
    created_at: datetime
    meeting_id: str | None


@dataclass
class Webhook:
    """One webhook subscription."""

    id: str
    target_url: str
    subscriptions: list[JsonObject]
    secret: str
    created_at: datetime
    status: str = "active"


@dataclass(frozen=True)
class Member:
    """One user of the workspace."""

    id: str
    first_name: str
    last_name: str
    email: str
    created_at: datetime
    access_level: str = "member"


class Meetings:
    """All meetings, in the order of their starts, with an index by address.

    A list of keys kept sorted makes a window cost its own rows only; ``longest`` says how far before a
    window a meeting can start and still reach into it.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, StoredMeeting] = {}
        self.deleted: dict[str, StoredMeeting] = {}
        self.by_ref: dict[str, str] = {}
        self.by_uid: dict[str, str] = {}
        self._order: list[tuple[float, str]] = []
        self._by_email: dict[str, set[str]] = {}
        self._longest = 0.0

    def add(self, meeting: StoredMeeting) -> None:
        """Put a meeting in."""
        self.by_id[meeting.id] = meeting
        insort(self._order, meeting.key)
        for email in meeting.emails:
            self._by_email.setdefault(email, set()).add(meeting.id)
        length = (moment_of(meeting.end) - moment_of(meeting.start)).total_seconds()
        self._longest = max(self._longest, length)
        if meeting.external_ref:
            self.by_ref[meeting.external_ref] = meeting.id
        if meeting.calendar_uid:
            self.by_uid[meeting.calendar_uid] = meeting.id

    def take(self, meeting_id: str) -> StoredMeeting:
        """Take a meeting out, to change its times or people and add it again."""
        meeting = self.by_id.pop(meeting_id)
        place = bisect_left(self._order, meeting.key)
        del self._order[place]
        for email in meeting.emails:
            self._by_email[email].discard(meeting_id)
        if meeting.external_ref:
            self.by_ref.pop(meeting.external_ref, None)
        if meeting.calendar_uid:
            self.by_uid.pop(meeting.calendar_uid, None)
        meeting.touch()
        return meeting

    def delete(self, meeting_id: str) -> None:
        """Delete a meeting; it stays known for the people's view."""
        meeting = self.take(meeting_id)
        meeting.deleted = True
        self.deleted[meeting_id] = meeting

    def of_people(self, emails: set[str]) -> set[str]:
        """Give the meetings at least one of the addresses takes part in."""
        found: set[str] = set()
        for email in emails:
            found |= self._by_email.get(email, set())
        return found

    def ordered(
        self,
        *,
        after: tuple[float, str] | None,
        descending: bool,
        ends_from: datetime | None,
        starts_before: datetime | None,
    ) -> Iterator[StoredMeeting]:
        """Walk in order; a superset of the window, a day wider because of all-day meetings."""
        day = timedelta(days=1).total_seconds()
        low, high = 0, len(self._order)
        if ends_from is not None:
            low = bisect_left(self._order, (ends_from.timestamp() - self._longest - day, ""))
        if starts_before is not None:
            high = bisect_left(self._order, (starts_before.timestamp() + day, ""))
        if after is not None:
            place = bisect_left(self._order, after)
            if descending:
                high = min(high, place)
            else:
                beyond = place < len(self._order) and self._order[place] == after
                low = max(low, place + 1 if beyond else place)
        places = range(high - 1, low - 1, -1) if descending else range(low, high)
        for place in places:
            yield self.by_id[self._order[place][1]]


def meeting_text(meeting: StoredMeeting, workspace_id: str, object_ids: dict[str, str]) -> str:
    """Write a meeting as JSON text, all ten keys."""
    if meeting.text is None:
        meeting.text = json.dumps(
            {
                "id": {"workspace_id": workspace_id, "meeting_id": meeting.id},
                "title": meeting.title,
                "description": meeting.description,
                "is_all_day": isinstance(meeting.start, Day),
                "start": meeting.start.wire(),
                "end": meeting.end.wire(),
                "participants": [attendee.wire() for attendee in meeting.attendees],
                "linked_records": [
                    {"object_slug": slug, "object_id": object_ids[slug], "record_id": record_id}
                    for slug, record_id in meeting.linked
                ],
                "created_at": nanoseconds(meeting.created_at),
                "created_by_actor": meeting.actor.wire(),
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )
    return meeting.text
