"""What people do in the web portal and the client: more than the API can, and without its limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.zoom import calendar, recurrence
from sync_engine.sandbox.zoom.state import Host, Kind, Meeting, Occurrence
from sync_engine.sandbox.zoom.times import milliseconds, moved_alike

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox


class ZoomPeople:
    """Act as the people of the account.

    Hosts are named by address or id, meetings by the number ``book`` gave (text or int), dates of a series
    by occurrence id. Moments are aware, lengths are minutes.
    """

    def __init__(self, sandbox: ZoomSandbox) -> None:
        self._sandbox = sandbox
        self.at_work = False

    def book(
        self,
        host: str,
        topic: str,
        start: datetime,
        duration: int = 60,
        *,
        zone: str | None = None,
        agenda: str = "",
        invitees: Sequence[str] = (),
        join_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        tracking_fields: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Plan one meeting, in the past too, and give its number."""
        with self._acting():
            meeting = self._draft(host, Kind.ONCE, topic, zone, agenda, invitees, settings, created_at)
            meeting.start, meeting.duration = _whole(start), duration
            meeting.tracking_fields = dict(tracking_fields or {})
            return self._open(meeting, join_url)

    def book_series(
        self,
        host: str,
        topic: str,
        start: datetime,
        duration: int,
        rule: Mapping[str, Any],
        *,
        zone: str | None = None,
        agenda: str = "",
        invitees: Sequence[str] = (),
        join_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Plan a series by a rule in Zoom's own words, and give its number."""
        with self._acting():
            meeting = self._draft(host, Kind.SERIES, topic, zone, agenda, invitees, settings, created_at)
            meeting.duration, meeting.recurrence = duration, recurrence.stored(rule)
            meeting.set_dates(recurrence.expand(meeting.recurrence, _whole(start), meeting.timezone))
            meeting.start = meeting.occurrences[0].start
            return self._open(meeting, join_url)

    def book_occurrences(
        self,
        host: str,
        topic: str,
        starts: Sequence[datetime],
        duration: int,
        zone: str | None = None,
        *,
        agenda: str = "",
        invitees: Sequence[str] = (),
        join_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Plan a series of exactly these dates, any number of them, and give its number.

        Its ``recurrence`` reads as a daily one of as many occurrences as a rule may have.
        """
        with self._acting():
            meeting = self._draft(host, Kind.SERIES, topic, zone, agenda, invitees, settings, created_at)
            meeting.duration, meeting.by_dates = duration, True
            meeting.set_dates(sorted({_whole(start) for start in starts}))
            meeting.start = meeting.occurrences[0].start
            times = min(len(meeting.occurrences), recurrence.MAX_OCCURRENCES)
            meeting.recurrence = {"type": 1, "repeat_interval": 1, "end_times": times}
            return self._open(meeting, join_url)

    def book_standing(
        self,
        host: str,
        topic: str,
        *,
        zone: str | None = None,
        agenda: str = "",
        invitees: Sequence[str] = (),
        join_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> str:
        """Open a recurring meeting without fixed time, and give its number."""
        with self._acting():
            kind = Kind.NO_FIXED_TIME
            meeting = self._draft(host, kind, topic, zone, agenda, invitees, settings, None)
            return self._open(meeting, join_url)

    def book_in_personal_room(
        self,
        host: str,
        topic: str,
        start: datetime,
        duration: int = 60,
        *,
        zone: str | None = None,
        agenda: str = "",
        invitees: Sequence[str] = (),
    ) -> str:
        """Plan a meeting in the host's personal room, and give its number (not the room's)."""
        with self._acting():
            settings = {"use_pmi": True}
            meeting = self._draft(host, Kind.ONCE, topic, zone, agenda, invitees, settings, None)
            meeting.start, meeting.duration = _whole(start), duration
            meeting.pmi = self._host(host).pmi
            return self._open(meeting, None)

    def start_instant(self, host: str, topic: str = "", *, invitees: Sequence[str] = ()) -> str:
        """Start a meeting at once, and give its number; it never shows in a list."""
        with self._acting():
            named = topic or f"{self._host(host).name}'s Zoom Meeting"
            meeting = self._draft(host, Kind.INSTANT, named, None, "", invitees, None, None)
            number = self._open(meeting, None)
            self._sandbox.begin(meeting)
            return number

    def rename(self, number: str | int, topic: str) -> str:
        """Give a meeting another title."""
        with self._editing(number) as meeting:
            meeting.topic = topic
        return str(number)

    def describe(self, number: str | int, agenda: str) -> str:
        """Give a meeting another description."""
        with self._editing(number) as meeting:
            meeting.agenda = agenda
        return str(number)

    def move(
        self, number: str | int, start: datetime, duration: int | None = None, *, zone: str | None = None
    ) -> str:
        """Move a meeting; a series with all its dates to come, by as much as its next one moves."""
        with self._editing(number) as meeting:
            meeting.timezone = zone or meeting.timezone
            meeting.duration = duration or meeting.duration
            if meeting.kind is Kind.SERIES:
                self._move_series(meeting, _whole(start))
            else:
                meeting.start = _whole(start)
        return str(number)

    def _move_series(self, meeting: Meeting, start: datetime) -> None:
        now = self._sandbox.now()
        coming = [each for each in meeting.occurrences if each.start > now and not each.deleted]
        if not coming:
            return
        if coming[0] is meeting.occurrences[0]:
            meeting.start = start
        meeting.occurrences = [each for each in meeting.occurrences if each not in coming]
        before = coming[0].start
        meeting.set_dates([moved_alike(each.start, before, start, meeting.timezone) for each in coming])

    def set_duration(self, number: str | int, minutes: int) -> str:
        """Make a meeting shorter or longer; a series with all its dates to come."""
        with self._editing(number) as meeting:
            meeting.duration = minutes
            now = self._sandbox.now()
            for each in meeting.occurrences:
                each.duration = minutes if each.start > now else each.duration
        return str(number)

    def move_occurrence(
        self, number: str | int, occurrence_id: str, start: datetime, duration: int | None = None
    ) -> str:
        """Move one date of a series; its id stays."""
        with self._editing(number, occurrence_id) as meeting:
            occurrence = self._occurrence(meeting, occurrence_id)
            occurrence.start = _whole(start)
            occurrence.duration = duration or occurrence.duration
        return str(number)

    def describe_occurrence(self, number: str | int, occurrence_id: str, agenda: str) -> str:
        """Give one date of a series a description of its own."""
        with self._editing(number, occurrence_id) as meeting:
            self._occurrence(meeting, occurrence_id).agenda = agenda
        return str(number)

    def occurrences(self, number: str | int) -> list[tuple[str, datetime]]:
        """List the dates of a series that are not cancelled: id and start, in order."""
        with self._sandbox.world.lock:
            meeting = self._meeting(number)
            return [(each.id, each.start) for each in meeting.occurrences if not each.deleted]

    def invite(self, number: str | int, email: str) -> str:
        """Invite somebody."""
        with self._editing(number) as meeting:
            if email.lower() not in {each.lower() for each in meeting.invitees}:
                self._set_invitees(meeting, [*meeting.invitees, email])
        return str(number)

    def uninvite(self, number: str | int, email: str) -> str:
        """Take somebody off the list."""
        with self._editing(number) as meeting:
            self._set_invitees(meeting, [e for e in meeting.invitees if e.lower() != email.lower()])
        return str(number)

    def set_private(self, number: str | int, private: bool = True) -> str:
        """Mark a meeting private, or open."""
        return self.set_settings(number, private_meeting=private)

    def set_settings(self, number: str | int, **settings: Any) -> str:
        """Change settings of a meeting, under Zoom's names."""
        with self._editing(number) as meeting:
            meeting.settings = meeting.settings | settings
        return str(number)

    def reassign_host(self, number: str | int, host: str) -> str:
        """Give a meeting to another host; it leaves one list and appears in the other."""
        with self._editing(number) as meeting:
            meeting.host_id = self._host(host).id
        return str(number)

    def convert_to_webinar(self, number: str | int) -> str:
        """Turn a meeting into a webinar, which is out of the meetings' API."""
        with self._acting():
            meeting = self._meeting(number)
            meeting.is_webinar = True
            self._sandbox.account.settle_in(meeting)
            self._sandbox.notices.became_webinar(meeting)
            calendar.publish(self._sandbox, meeting)
        return str(number)

    def cancel(self, number: str | int) -> str:
        """Put a meeting or a whole series into the trash."""
        with self._acting():
            self._sandbox.trash(self._meeting(number))
        return str(number)

    def cancel_occurrence(self, number: str | int, occurrence_id: str) -> str:
        """Cancel one date of a series."""
        with self._acting():
            meeting = self._meeting(number)
            self._sandbox.drop_occurrence(meeting, self._occurrence(meeting, occurrence_id))
        return str(number)

    def recover(self, number: str | int) -> str:
        """Take a meeting out of the trash again."""
        with self._acting():
            self._sandbox.settle()
            meeting = self._sandbox.account.meetings[int(number)]
            if meeting.purged or meeting.deleted_at is None:
                raise LookupError(f"meeting {number} is not in the trash")
            self._sandbox.untrash(meeting)
        return str(number)

    restore = recover

    def start_meeting(self, number: str | int) -> str:
        """Let a meeting begin now."""
        with self._acting():
            self._sandbox.begin(self._meeting(number))
        return str(number)

    def end_meeting(
        self,
        number: str | int,
        *,
        participants: Sequence[tuple[str, str]] = (),
        transcript: str | None = None,
    ) -> str:
        """Let a meeting end now (it begins now if it does not run), and give the uuid of that run.

        ``participants`` are (name, address or "") of who was there; ``transcript`` is WebVTT.
        """
        with self._acting():
            meeting = self._meeting(number)
            if not meeting.started:
                self._sandbox.begin(meeting)
            run = meeting.runs[-1]
            run.participants, run.transcript = list(participants), transcript
            self._sandbox.finish_run(meeting)
            return run.uuid

    def register(self, number: str | int, email: str) -> str:
        """Register somebody for a meeting."""
        with self._acting():
            self._meeting(number).registrants.append(email)
        return str(number)

    def set_licensed(self, host: str, licensed: bool) -> None:
        """Give a user a licence to host, or take it."""
        with self._acting():
            self._host(host).licensed = licensed

    def set_status(self, host: str, status: str) -> None:
        """Make a user ``active``, ``inactive`` or ``pending``."""
        with self._acting():
            self._host(host).status = status

    def remove_host(self, host: str) -> None:
        """Take a user and her meetings out of the account."""
        with self._acting():
            self._sandbox.account.remove_host(self._host(host))

    def authorize(self, host: str) -> str:
        """Consent to the app as a user; gives the code the redirect would carry."""
        with self._acting():
            return self._sandbox.desk.authorize(self._host(host).id)

    @contextmanager
    def _acting(self) -> Iterator[None]:
        with self._sandbox.world.lock:
            was, self.at_work = self.at_work, True
            try:
                yield
            finally:
                self.at_work = was

    @contextmanager
    def _editing(self, number: str | int, occurrence_id: str | None = None) -> Iterator[Meeting]:
        with self._acting():
            meeting = self._meeting(number)
            with self._sandbox.editing(meeting, "single" if occurrence_id else "all"):
                yield meeting

    def _draft(
        self,
        host: str,
        kind: Kind,
        topic: str,
        zone: str | None,
        agenda: str,
        invitees: Sequence[str],
        settings: Mapping[str, Any] | None,
        created_at: datetime | None,
    ) -> Meeting:
        owner = self._host(host)
        meeting = self._sandbox.new_meeting(owner, kind, topic)
        meeting.timezone, meeting.agenda = zone or owner.timezone, agenda
        meeting.created_at = _whole(created_at) if created_at else meeting.created_at
        meeting.settings = dict(settings or {})
        if invitees:
            self._set_invitees(meeting, invitees)
        return meeting

    def _open(self, meeting: Meeting, join_url: str | None) -> str:
        self._sandbox.set_passcode(meeting, self._sandbox.new_passcode())
        meeting.join_url = join_url or meeting.join_url
        self._sandbox.open(meeting)
        if self._sandbox.publishes_to_calendar:
            meeting.in_calendar = True
            calendar.publish(self._sandbox, meeting)
        return str(meeting.id)

    def _set_invitees(self, meeting: Meeting, emails: Sequence[str]) -> None:
        meeting.settings = meeting.settings | {"meeting_invitees": [{"email": email} for email in emails]}

    def _host(self, key: str) -> Host:
        host = self._sandbox.account.find_host(key)
        if host is None:
            raise LookupError(f"no such host: {key}")
        return host

    def _meeting(self, number: str | int) -> Meeting:
        self._sandbox.settle()
        meeting = self._sandbox.account.meetings.get(int(number))
        if meeting is None or meeting.purged or meeting.deleted_at is not None:
            raise LookupError(f"no such meeting: {number}")
        return meeting

    def _occurrence(self, meeting: Meeting, occurrence_id: str) -> Occurrence:
        occurrence = meeting.occurrence(occurrence_id)
        if occurrence is None or occurrence.deleted:
            raise LookupError(f"no such date: {occurrence_id}")
        return occurrence


def _whole(moment: datetime) -> datetime:
    """Give a moment in UTC and whole seconds, which is all Zoom stores."""
    return moment.astimezone(UTC).replace(microsecond=0)


def occurrence_id(planned_start: datetime) -> str:
    """Give the id a date of a series has, from the start it was planned with."""
    return str(milliseconds(_whole(planned_start)))
