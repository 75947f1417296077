"""The account as test oracles see it: one plain dict per meeting or date."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.zoom.state import Kind, Meeting, Occurrence

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox


def snapshots(sandbox: ZoomSandbox) -> list[dict[str, Any]]:
    """Give every meeting there ever was; a series as one row per date, under its ``occurrence_id``."""
    rows: list[dict[str, Any]] = []
    for meeting in sandbox.account.meetings.values():
        if meeting.kind is Kind.SERIES:
            rows += [_snapshot(sandbox, meeting, each) for each in meeting.occurrences]
        else:
            rows.append(_snapshot(sandbox, meeting, None))
    return rows


def _snapshot(sandbox: ZoomSandbox, meeting: Meeting, occurrence: Occurrence | None) -> dict[str, Any]:
    host = sandbox.account.hosts.get(meeting.host_id)
    start, end = _span(meeting, occurrence)
    gone = meeting.deleted_at is not None or meeting.purged
    return {
        "id": str(meeting.id),
        "occurrence_id": occurrence.id if occurrence else None,
        "type": int(meeting.kind),
        "title": meeting.topic,
        "description": _agenda(meeting, occurrence),
        "start": start,
        "end": end,
        "zone": meeting.timezone,
        "all_day": False,
        "location": None,
        "join_url": meeting.join_url,
        "organizer": host.email if host else None,
        "participants": sorted(meeting.invitees),
        "notes": None,
        "private": bool(meeting.settings.get("private_meeting", False)),
        "deleted": gone or (occurrence is not None and occurrence.deleted),
        "expired": meeting.expired,
        "webinar": meeting.is_webinar,
        "created_by_api": meeting.source == "open_api",
    }


def _agenda(meeting: Meeting, occurrence: Occurrence | None) -> str:
    if occurrence is not None and occurrence.agenda is not None:
        return occurrence.agenda
    return meeting.agenda


def _span(meeting: Meeting, occurrence: Occurrence | None) -> tuple[datetime | None, datetime | None]:
    if occurrence is not None:
        return occurrence.start, occurrence.end
    if meeting.start is None:
        return None, None
    return meeting.start, meeting.start + timedelta(minutes=meeting.duration)
