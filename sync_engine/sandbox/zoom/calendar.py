"""What the team's calendars hear of meetings that people booked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sync_engine.sandbox.zoom.state import Kind, Meeting

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox


def publish(sandbox: ZoomSandbox, meeting: Meeting) -> None:
    """Bring the calendars up to date with a meeting that is in them.

    A series is one event per date. A change by the API reaches them only where the meeting's
    ``push_change_to_calendar`` says so.
    """
    if not meeting.in_calendar or not (sandbox.people.at_work or _pushes_changes(meeting)):
        return
    gone = meeting.deleted_at is not None or meeting.is_webinar
    dates: list[tuple[str, datetime, datetime, bool]] = [
        (f"{meeting.id}-{each.id}@zoom.us", each.start, each.end, gone or each.deleted)
        for each in meeting.occurrences
    ]
    if meeting.kind is Kind.ONCE and meeting.start is not None:
        end = meeting.start + timedelta(minutes=meeting.duration)
        dates = [(f"{meeting.id}@zoom.us", meeting.start, end, gone)]
    for uid, start, end, cancelled in dates:
        _publish_one(sandbox, meeting, uid, start, end, cancelled)


def _pushes_changes(meeting: Meeting) -> bool:
    return bool(meeting.settings.get("push_change_to_calendar", False))


def _publish_one(
    sandbox: ZoomSandbox, meeting: Meeting, uid: str, start: datetime, end: datetime, cancelled: bool
) -> None:
    # The world imports the sandboxes, so its event can only be imported when one is needed.
    from sync_engine.sandbox.world import CalendarEvent

    host = sandbox.account.hosts[meeting.host_id]
    sandbox.world.publish(
        CalendarEvent(
            uid=uid,
            title=meeting.topic,
            description=meeting.agenda,
            start=start,
            end=end,
            zone=meeting.timezone,
            organizer=host.email,
            attendees=tuple(meeting.invitees),
            join_url=meeting.join_url,
            cancelled=cancelled,
        )
    )
