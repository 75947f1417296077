"""The meetings' endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from starlette.responses import Response

from sync_engine.sandbox.server import json_response
from sync_engine.sandbox.zoom import wire, writing
from sync_engine.sandbox.zoom.bodies import read_meeting, read_object
from sync_engine.sandbox.zoom.call import Call
from sync_engine.sandbox.zoom.refusal import Refusal, invalid, no_such_meeting
from sync_engine.sandbox.zoom.state import Host, Kind, Meeting, Occurrence
from sync_engine.sandbox.zoom.times import ZONES, day_bounds, stamp

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox

MAX_PAGE = 300
_SIX_MONTHS = timedelta(days=183)
_TYPES = ("scheduled", "live", "upcoming", "upcoming_meetings", "previous_meetings")


def list_meetings(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /users/{userId}/meetings``: scheduled, unexpired, hosted by this user."""
    host = call.host(sandbox)
    kind = call.query.get("type", "scheduled")
    if kind not in _TYPES:
        raise invalid(("type", "Invalid field."))
    after, before = _day_filter(sandbox, call)
    places = sandbox.account.listed(host)
    if kind != "scheduled":
        places = [each for each in places if _belongs(sandbox, each[1], kind)]
    if after or before:
        places = [each for each in places if _within(sandbox, each[1], after, before)]
    listing = ("meetings", host.id, kind, *(call.query.get(name) for name in ("from", "to", "timezone")))
    page = sandbox.pages.turn(
        call.query, listing, len(places), most=MAX_PAGE, bound=sandbox.binds_page_tokens
    )
    rows = [wire.list_row(sandbox.account.meetings[number]) for _, number in places[page.shown]]
    return json_response(page.envelope | {"meetings": rows})


def _day_filter(sandbox: ZoomSandbox, call: Call) -> tuple[datetime | None, datetime | None]:
    zone = call.query.get("timezone", "UTC")
    if zone not in ZONES:
        raise invalid(("timezone", "Invalid field."))
    first, last = (_day(call, name) for name in ("from", "to"))
    return day_bounds(first, last, zone) if sandbox.filters_by_date else (None, None)


def _day(call: Call, name: str) -> date | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone of its own
    except ValueError:
        raise invalid((name, "Invalid field.")) from None


def _within(sandbox: ZoomSandbox, number: int, after: datetime | None, before: datetime | None) -> bool:
    start = sandbox.account.meetings[number].start
    if start is None:
        return True
    return (after is None or start >= after) and (before is None or start < before)


def _belongs(sandbox: ZoomSandbox, number: int, kind: str) -> bool:
    meeting, now = sandbox.account.meetings[number], sandbox.now()
    if kind == "live" or meeting.started:
        return meeting.started and kind != "previous_meetings"
    end, start = meeting.last_end(), meeting.start
    if kind == "previous_meetings":
        return end is not None and now - _SIX_MONTHS <= end <= now
    return end is None or (end > now and (start is None or start <= now + _SIX_MONTHS))


def list_upcoming(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /users/{userId}/upcoming_meetings``: the next 24 hours, invitations included."""
    try:
        host = call.user(sandbox)
    except Refusal as refusal:
        # An unknown user has the number of an unknown meeting here.
        raise Refusal(404, 3001, refusal.message) if refusal.code == 1001 else refusal from None
    rows = [
        _upcoming_row(host, meeting, start)
        for meeting in sandbox.account.meetings.values()
        if meeting.place is not None and (meeting.host_id == host.id or _invited(host, meeting))
        for start in _starts_within_a_day(sandbox, meeting)
    ]
    rows.sort(key=lambda row: str(row["start_time"]))
    return json_response({"total_records": len(rows), "meetings": rows})


def _invited(host: Host, meeting: Meeting) -> bool:
    return host.email.lower() in (email.lower() for email in meeting.invitees)


def _starts_within_a_day(sandbox: ZoomSandbox, meeting: Meeting) -> list[datetime]:
    now = sandbox.now()
    starts = [each.start for each in meeting.occurrences if not each.deleted]
    if meeting.kind is Kind.ONCE and meeting.start is not None:
        starts = [meeting.start]
    return [start for start in starts if now <= start <= now + timedelta(days=1)]


def _upcoming_row(host: Host, meeting: Meeting, start: datetime) -> dict[str, object]:
    return {
        "id": meeting.id,
        "topic": meeting.topic,
        "type": int(meeting.kind),
        "start_time": stamp(start),
        "duration": meeting.duration,
        "timezone": meeting.timezone,
        "created_at": stamp(meeting.created_at),
        "join_url": meeting.join_url,
        "passcode": meeting.passcode,
        "use_pmi": meeting.pmi is not None,
        "is_host": meeting.host_id == host.id,
        "is_all_day": False,
    }


def get_meeting(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /meetings/{meetingId}``."""
    meeting = call.meeting(sandbox)
    key = call.query.get("occurrence_id")
    if key:
        occurrence = meeting.occurrence(key)
        if occurrence is None or occurrence.deleted:
            raise no_such_meeting(meeting.id)
        return json_response(wire.one_occurrence(sandbox, meeting, occurrence))
    previous = _flag(call, "show_previous_occurrences", False)
    return json_response(wire.full(sandbox, meeting, show_previous=previous))


def create_meeting(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``POST /users/{userId}/meetings``; a repeated one makes a second meeting."""
    host = call.host(sandbox)
    with _counted_write(sandbox, host.id):
        body = read_meeting(sandbox, call.body, updating=False)
        meeting = writing.create(sandbox, host, body)
    return json_response(wire.full(sandbox, meeting), 201)


def update_meeting(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``PATCH /meetings/{meetingId}``: nothing, whatever was taken of the body."""
    meeting = call.meeting(sandbox)
    with _counted_write(sandbox, meeting.host_id):
        occurrence = _occurrence(call, meeting)
        body = read_meeting(sandbox, call.body, updating=True)
        if occurrence is None:
            writing.update(sandbox, meeting, body)
        else:
            writing.update_occurrence(sandbox, meeting, occurrence, body)
    return Response(status_code=204)


def delete_meeting(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``DELETE /meetings/{meetingId}``: the whole series, unless one date is named."""
    meeting = call.meeting(sandbox)
    if sandbox.counts_deletes:
        sandbox.limits.pass_host(meeting.host_id)
    occurrence = _occurrence(call, meeting)
    mail_hosts = _flag(call, "schedule_for_reminder", sandbox.reminds_by_default)
    mail_registrants = _flag(call, "cancel_meeting_reminder", False)
    writing.delete(sandbox, meeting, occurrence, mail_hosts=mail_hosts, mail_registrants=mail_registrants)
    return Response(status_code=204)


def set_status(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``PUT /meetings/{meetingId}/status``: end a running meeting, or recover a deleted one."""
    action = read_object(call.body).get("action")
    if action not in ("end", "recover"):
        raise invalid(("action", "Invalid field."))
    meeting = call.meeting(sandbox, in_trash=action == "recover")
    if action == "recover" and meeting.deleted_at is not None:
        sandbox.untrash(meeting)
    if action == "end":
        if not meeting.started:
            raise Refusal(400, 3000, "The meeting is not running.")
        sandbox.finish_run(meeting)
    return Response(status_code=204)


def get_invitation(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /meetings/{meetingId}/invitation``: plain text that holds the passcode."""
    meeting = call.meeting(sandbox)
    host = sandbox.account.hosts[meeting.host_id]
    lines = [
        f"{host.name} is inviting you to a scheduled Zoom meeting.",
        "",
        f"Topic: {meeting.topic}",
        *([f"Time: {stamp(meeting.start)}"] if meeting.start else []),
        "",
        "Join Zoom Meeting",
        meeting.join_url,
        "",
        f"Meeting ID: {meeting.id}",
        f"Passcode: {meeting.passcode}",
    ]
    sip = f"sip:{meeting.id}@zoomcrc.com"
    return json_response({"invitation": "\r\n".join(lines), "sip_links": [sip]})


def _occurrence(call: Call, meeting: Meeting) -> Occurrence | None:
    key = call.query.get("occurrence_id")
    if not key:
        return None
    occurrence = meeting.occurrence(key)
    if occurrence is None or occurrence.deleted:
        raise Refusal(400, 300, "Invalid parameter: occurrence_id.")
    return occurrence


def _flag(call: Call, name: str, default: bool) -> bool:
    text = call.query.get(name, "").lower()
    if text not in ("", "true", "false"):
        raise invalid((name, "Invalid field."))
    return default if not text else text == "true"


@contextmanager
def _counted_write(sandbox: ZoomSandbox, host_id: str) -> Iterator[None]:
    sandbox.limits.pass_host(host_id)
    try:
        yield
    except Refusal:
        if not sandbox.counts_failed_writes:
            sandbox.limits.take_back(host_id)
        raise
