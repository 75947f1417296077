"""What people do with Attio: in its web application, and in the calendars it follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sync_engine.sandbox.attio.inputs import known_zone
from sync_engine.sandbox.attio.state import (
    Actor,
    Attendee,
    Day,
    Edge,
    Instant,
    JsonObject,
    Member,
    Recording,
    StoredMeeting,
    moment_of,
)

if TYPE_CHECKING:
    from sync_engine.sandbox.attio.sandbox import AttioSandbox
    from sync_engine.sandbox.world import CalendarEvent


class AttioPeople:
    """Act as people of the workspace do; every method gives the id of what it touched.

    What the API cannot change, a calendar can: ``book``, ``move``, ``rename``, ``describe``, ``invite``,
    ``uninvite`` and ``respond`` are edits of a calendar event that Attio has already followed.
    """

    def __init__(self, sandbox: AttioSandbox) -> None:
        self._sandbox = sandbox
        self._workspace = sandbox.workspace
        self._lock = sandbox.world.lock

    def book(
        self,
        title: str,
        start: datetime,
        end: datetime,
        *,
        zone: str | None = "UTC",
        organizer: str | None = None,
        attendees: Iterable[str] = (),
        description: str = "",
        all_day: bool = False,
        uid: str | None = None,
    ) -> str:
        """Book an event in a synced calendar. All-day: the dates of ``start`` and ``end`` (exclusive)."""
        with self._lock:
            begin, until = _edges(start, end, zone, all_day=all_day)
            workspace = self._workspace
            meeting = StoredMeeting(
                id=workspace.new_id(),
                title=title,
                description=description,
                start=begin,
                end=until,
                attendees=_attendees(organizer, attendees),
                created_at=workspace.now(),
                actor=self._calendar_actor(),
                calendar_uid=uid or f"{workspace.new_id()}@calendar.example",
            )
            workspace.admit(meeting)
            return meeting.id

    def move(
        self,
        meeting_id: str,
        start: datetime,
        end: datetime | None = None,
        *,
        zone: str | None = None,
        all_day: bool | None = None,
    ) -> str:
        """Move an event; without ``end`` it keeps its length, without ``zone`` its zone."""
        with self._lock:
            meeting = self._workspace.meetings.take(meeting_id)
            length = moment_of(meeting.end) - moment_of(meeting.start)
            kept = meeting.start.zone if isinstance(meeting.start, Instant) else None
            days = isinstance(meeting.start, Day) if all_day is None else all_day
            meeting.start, meeting.end = _edges(start, end or start + length, zone or kept, all_day=days)
            self._workspace.meetings.add(meeting)
            return meeting_id

    def rename(self, meeting_id: str, title: str) -> str:
        """Change the title."""
        with self._lock:
            meeting = self._workspace.meetings.by_id[meeting_id]
            meeting.title = title
            meeting.touch()
            return meeting_id

    def describe(self, meeting_id: str, text: str) -> str:
        """Change the description."""
        with self._lock:
            meeting = self._workspace.meetings.by_id[meeting_id]
            meeting.description = text
            meeting.touch()
            return meeting_id

    def invite(self, meeting_id: str, email: str, *, name: str | None = None) -> str:
        """Invite somebody; with an empty address and a name, a guest known by name only."""
        with self._lock:
            meeting = self._workspace.meetings.take(meeting_id)
            normal = email.strip().lower() or None
            if normal is None or normal not in meeting.emails:
                meeting.attendees.append(Attendee(normal, None if normal else name, False, "pending"))
            self._workspace.admit(meeting)
            return meeting_id

    def uninvite(self, meeting_id: str, email: str) -> str:
        """Take somebody out."""
        with self._lock:
            meeting = self._workspace.meetings.take(meeting_id)
            meeting.attendees = [a for a in meeting.attendees if a.email != email.strip().lower()]
            self._workspace.meetings.add(meeting)
            return meeting_id

    def respond(self, meeting_id: str, email: str, status: str) -> str:
        """Answer an invitation."""
        with self._lock:
            meeting = self._workspace.meetings.by_id[meeting_id]
            for attendee in meeting.attendees:
                if attendee.email == email.strip().lower():
                    attendee.status = status
            meeting.touch()
            return meeting_id

    def cancel(self, meeting_id: str) -> str:
        """Delete a meeting: the calendar event it follows, or the entry itself."""
        with self._lock:
            self._workspace.meetings.delete(meeting_id)
            return meeting_id

    def hide(self, meeting_id: str, *, hidden: bool = True) -> str:
        """Make a meeting private, so that the token does not see it."""
        with self._lock:
            self._workspace.meetings.by_id[meeting_id].hidden = hidden
            return meeting_id

    def record(self, meeting_id: str, segments: Sequence[JsonObject] = ()) -> str:
        """Let Attio's recorder record a meeting."""
        with self._lock:
            workspace = self._workspace
            recording = Recording(
                workspace.new_id(),
                workspace.now(),
                Actor("system", None),
                "processing",
                list(segments),
                by_attio_recorder=True,
            )
            workspace.add_recording(workspace.meetings.by_id[meeting_id], recording)
            return recording.id

    def add_deal(self) -> str:
        """Add a deal."""
        with self._lock:
            return self._workspace.add_deal()

    def merge_people(self, kept_email: str, lost_email: str) -> str:
        """Merge the person of one address into that of another."""
        with self._lock:
            kept, lost = (self._workspace.known_person(email) for email in (kept_email, lost_email))
            if kept is None or lost is None:
                raise KeyError("both addresses must belong to known people")
            self._workspace.merge_people(kept.id, lost.id)
            return kept.id

    def add_member(self, first_name: str, last_name: str, email: str) -> str:
        """Let a colleague join the workspace."""
        with self._lock:
            workspace = self._workspace
            member = Member(workspace.new_id(), first_name, last_name, email, workspace.now())
            workspace.members[member.id] = member
            identity = {"workspace_id": workspace.id, "workspace_member_id": member.id}
            event = {
                "event_type": "workspace-member.created",
                "id": identity,
                "actor": {"type": "system", "id": None},
            }
            workspace.emit([event])
            return member.id

    def sync_event(self, event: CalendarEvent) -> None:
        """Follow one calendar event: add, change or take out its meeting."""
        with self._lock:
            meetings = self._workspace.meetings
            known = meetings.by_uid.get(event.uid)
            if event.cancelled:
                if known is not None:
                    meetings.delete(known)
                return
            text = self._text(event)
            if known is None:
                self.book(
                    event.title,
                    event.start,
                    event.end,
                    zone=event.zone,
                    organizer=event.organizer,
                    attendees=event.attendees,
                    description=text,
                    uid=event.uid,
                )
                return
            meeting = meetings.take(known)
            meeting.title, meeting.description = event.title, text
            meeting.start, meeting.end = _edges(event.start, event.end, event.zone, all_day=False)
            answers = {a.email: a.status for a in meeting.attendees}
            meeting.attendees = _attendees(event.organizer, event.attendees)
            for attendee in meeting.attendees:
                attendee.status = answers.get(attendee.email, attendee.status)
            self._workspace.admit(meeting)

    def _text(self, event: CalendarEvent) -> str:
        link = event.join_url
        if not self._sandbox.calendar_text_has_link or not link or link in event.description:
            return event.description
        return f"{event.description}\n\n{link}".strip()

    def _calendar_actor(self) -> Actor:
        members = self._workspace.members
        if self._sandbox.calendar_actor == "system":
            return Actor("system", None)
        return Actor(self._sandbox.calendar_actor, next(iter(members), None))


def _edges(start: datetime, end: datetime, zone: str | None, *, all_day: bool) -> tuple[Edge, Edge]:
    if all_day:
        first, last = start.date(), end.date()
        return Day(first), Day(max(last, first + timedelta(days=1)))
    stored = known_zone(zone)
    return Instant(start.astimezone(UTC), stored), Instant(end.astimezone(UTC), stored)


def _attendees(organizer: str | None, attendees: Iterable[str]) -> list[Attendee]:
    found: dict[str, Attendee] = {}
    if organizer:
        boss = organizer.strip().lower()
        found[boss] = Attendee(boss, None, True, "accepted")
    for email in attendees:
        guest = email.strip().lower()
        if guest:
            found.setdefault(guest, Attendee(guest, None, False, "pending"))
    return list(found.values())
