"""What the account holds: hosts, meetings, occurrences, runs; and the order they are listed in."""

from __future__ import annotations

import base64
import heapq
import random
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from sync_engine.sandbox.zoom.times import milliseconds

ONCE_EXPIRES = timedelta(days=30)
RECURRING_EXPIRES = timedelta(days=365)
_NEVER = datetime.max.replace(tzinfo=UTC)


class Kind(IntEnum):
    """The meeting types of the wire."""

    INSTANT = 1
    ONCE = 2
    NO_FIXED_TIME = 3
    PERSONAL_ROOM = 4
    SERIES = 8
    SCREEN_SHARE = 10


@dataclass
class Host:
    """One user of the account. ``licensed`` False: may not host at all."""

    id: str
    email: str
    first_name: str
    last_name: str
    licensed: bool
    timezone: str
    pmi: int
    created_at: datetime
    status: str = "active"

    @property
    def name(self) -> str:
        """Give the display name."""
        return f"{self.first_name} {self.last_name}".strip() or self.email.partition("@")[0]


@dataclass
class Occurrence:
    """One date of a series. ``id`` is its first planned start and never moves with it; minutes long."""

    id: str
    start: datetime
    duration: int
    deleted: bool = False
    agenda: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> datetime:
        """Give the planned end."""
        return self.start + timedelta(minutes=self.duration)


@dataclass
class Run:
    """One time a meeting took place; what Zoom calls an instance."""

    uuid: str
    topic: str
    start: datetime
    end: datetime | None = None
    participants: list[tuple[str, str]] = field(default_factory=list)
    transcript: str | None = None


@dataclass
class Meeting:
    """One meeting, as the account keeps it. ``settings`` holds only what differs from the defaults."""

    id: int
    uuid: str
    host_id: str
    kind: Kind
    topic: str
    created_at: datetime
    timezone: str
    agenda: str = ""
    start: datetime | None = None
    duration: int = 60
    passcode: str = ""
    join_key: str = ""
    join_url: str = ""
    assistant_id: str = ""
    pmi: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    recurrence: dict[str, Any] | None = None
    occurrences: list[Occurrence] = field(default_factory=list)
    tracking_fields: dict[str, str] = field(default_factory=dict)
    source: str = "web_portal"
    started: bool = False
    runs: list[Run] = field(default_factory=list)
    registrants: list[str] = field(default_factory=list)
    last_used: datetime | None = None
    deleted_at: datetime | None = None
    purged: bool = False
    expired: bool = False
    is_webinar: bool = False
    in_calendar: bool = False
    by_dates: bool = False  # the occurrences were given one by one, no rule stands behind them
    place: tuple[datetime, int] | None = None

    @property
    def invitees(self) -> list[str]:
        """List the invited addresses as they were given."""
        return [entry["email"] for entry in self.settings.get("meeting_invitees", ())]

    @property
    def alternative_hosts(self) -> list[str]:
        """List the alternative hosts as they were given."""
        return [
            part.strip() for part in self.settings.get("alternative_hosts", "").split(";") if part.strip()
        ]

    def occurrence(self, key: str) -> Occurrence | None:
        """Find a date of the series."""
        return next((each for each in self.occurrences if each.id == key), None)

    def set_dates(self, starts: list[datetime]) -> None:
        """Give the series these dates; a date that is already among the kept ones stays what it was."""
        known = {each.id for each in self.occurrences}
        fresh = [Occurrence(str(milliseconds(start)), start, self.duration) for start in starts]
        self.occurrences += [each for each in fresh if each.id not in known]
        self.occurrences.sort(key=lambda each: each.start)

    def expires_at(self) -> datetime:
        """Tell when the meeting number dies."""
        used = self.last_used or self.created_at
        if self.kind in (Kind.INSTANT, Kind.SCREEN_SHARE):
            return _NEVER if self.started or not self.runs else used
        if self.kind is Kind.ONCE and self.pmi is None:
            return max(self.start or used, self.last_used or self.start or used) + ONCE_EXPIRES
        planned = [each.start for each in self.occurrences if not each.deleted]
        return max([used, *planned, *([self.start] if self.start else [])]) + RECURRING_EXPIRES

    def last_end(self) -> datetime | None:
        """Tell when the last planned date is over; None: no date is planned."""
        if self.kind is Kind.SERIES:
            return max((each.end for each in self.occurrences if not each.deleted), default=self.start)
        if self.kind is Kind.NO_FIXED_TIME or self.start is None:
            return None
        return self.start + timedelta(minutes=self.duration)


class Account:
    """Keep hosts and meetings, each host's meetings in listing order, and let numbers expire and trash empty.

    The order is by start (creation where there is none), then by number.
    """

    def __init__(self, source: random.Random, trash_keeps: timedelta) -> None:
        self.hosts: dict[str, Host] = {}
        self.meetings: dict[int, Meeting] = {}
        self.runs: dict[str, tuple[Meeting, Run | None]] = {}
        self.trash_keeps = trash_keeps
        self._random = source
        self._by_email: dict[str, str] = {}
        self._listed: dict[str, list[tuple[datetime, int]]] = {}
        self._expiries: list[tuple[datetime, int]] = []
        self._trash: list[tuple[datetime, int]] = []

    def add_host(self, host: Host) -> None:
        """Take a user in."""
        self.hosts[host.id] = host
        self._by_email[host.email.lower()] = host.id
        self._listed[host.id] = []

    def remove_host(self, host: Host) -> None:
        """Let a user go; the meetings go with her."""
        for meeting in [each for each in self.meetings.values() if each.host_id == host.id]:
            meeting.purged = True
            self.settle_in(meeting)
        del self.hosts[host.id], self._by_email[host.email.lower()], self._listed[host.id]

    def find_host(self, key: str) -> Host | None:
        """Find a user by id or address."""
        return self.hosts.get(key) or self.hosts.get(self._by_email.get(key.lower(), ""))

    def add(self, meeting: Meeting) -> None:
        """Take a new meeting in."""
        self.meetings[meeting.id] = meeting
        self.runs[meeting.uuid] = (meeting, None)
        self.settle_in(meeting)

    def settle_in(self, meeting: Meeting) -> None:
        """Put a meeting where it belongs in the lists after any change."""
        self._take_out(meeting)
        gone = meeting.purged or meeting.expired or meeting.deleted_at is not None or meeting.is_webinar
        if meeting.deleted_at is not None and not meeting.purged:
            heapq.heappush(self._trash, (meeting.deleted_at + self.trash_keeps, meeting.id))
        if gone:
            return
        heapq.heappush(self._expiries, (meeting.expires_at(), meeting.id))
        if meeting.kind in (Kind.ONCE, Kind.NO_FIXED_TIME, Kind.SERIES):
            meeting.place = (meeting.start or meeting.created_at, meeting.id)
            insort(self._listed[meeting.host_id], meeting.place)

    def _take_out(self, meeting: Meeting) -> None:
        if meeting.place is None:
            return
        for places in self._lists_of(meeting):
            at = bisect_left(places, meeting.place)
            if at < len(places) and places[at] == meeting.place:
                del places[at]
                break
        meeting.place = None

    def _lists_of(self, meeting: Meeting) -> Iterator[list[tuple[datetime, int]]]:
        """Give the lists a meeting can stand in: its host's first, the others for one that has just moved."""
        if meeting.host_id in self._listed:
            yield self._listed[meeting.host_id]
        yield from (places for host, places in self._listed.items() if host != meeting.host_id)

    def listed(self, host: Host) -> list[tuple[datetime, int]]:
        """Give (start, number) of what a host's list shows, in order. Not to be changed."""
        return self._listed[host.id]

    def expire(self, now: datetime) -> None:
        """Let the numbers die that are due."""
        while self._expiries and self._expiries[0][0] <= now:
            _, number = heapq.heappop(self._expiries)
            meeting = self.meetings[number]
            # A meeting that changed since has a later entry of its own.
            if not meeting.expired and meeting.deleted_at is None and meeting.expires_at() <= now:
                meeting.expired = True
                self.settle_in(meeting)

    def empty_trash(self, now: datetime) -> list[Meeting]:
        """Purge what lay in the trash for too long, and give it."""
        purged = []
        while self._trash and self._trash[0][0] <= now:
            _, number = heapq.heappop(self._trash)
            meeting = self.meetings[number]
            if meeting.deleted_at and not meeting.purged and meeting.deleted_at + self.trash_keeps <= now:
                meeting.purged = True
                purged.append(meeting)
        return purged

    def new_number(self) -> int:
        """Draw a free meeting number; eleven digits, more than 32 bits."""
        while (number := self._random.randrange(80_000_000_000, 99_999_999_999)) in self.meetings:
            pass
        return number

    def new_uuid(self) -> str:
        """Draw the id of a run: base64, so slashes and plus signs occur."""
        return base64.b64encode(self._random.randbytes(16)).decode()

    def new_user_id(self) -> str:
        """Draw a user id."""
        return base64.urlsafe_b64encode(self._random.randbytes(16)).decode().rstrip("=")

    def start_run(self, meeting: Meeting, now: datetime) -> Run:
        """Let a meeting begin."""
        run = Run(meeting.uuid, meeting.topic, now)
        meeting.runs.append(run)
        meeting.started, meeting.last_used = True, now
        self.runs[run.uuid] = (meeting, run)
        self.settle_in(meeting)
        return run

    def end_run(self, meeting: Meeting, now: datetime) -> Run:
        """Let a running meeting end; its next run has a new uuid."""
        run = meeting.runs[-1]
        run.end = now
        meeting.started, meeting.last_used, meeting.uuid = False, now, self.new_uuid()
        self.runs[meeting.uuid] = (meeting, None)
        self.settle_in(meeting)
        return run
