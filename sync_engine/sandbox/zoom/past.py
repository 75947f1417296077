"""Meetings that took place: their runs, who was there, what was said."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from sync_engine.sandbox.server import json_response
from sync_engine.sandbox.zoom.call import Call
from sync_engine.sandbox.zoom.refusal import Refusal, no_such_meeting, paid_only
from sync_engine.sandbox.zoom.state import Meeting, Run
from sync_engine.sandbox.zoom.times import stamp

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox

REACH = timedelta(days=365)


def get_past(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /past_meetings/{id or uuid}``: actual times, not the planned ones."""
    meeting, run = _ended_run(sandbox, call)
    assert run.end is not None
    host = sandbox.account.hosts[meeting.host_id]
    minutes = round((run.end - run.start).total_seconds() / 60)
    return json_response(
        {
            "uuid": run.uuid,
            "id": meeting.id,
            "host_id": host.id,
            "type": int(meeting.kind),
            "topic": run.topic,
            "user_name": host.name,
            "user_email": host.email,
            "start_time": stamp(run.start),
            "end_time": stamp(run.end),
            "duration": minutes,
            "total_minutes": minutes * max(len(run.participants), 1),
            "participants_count": max(len(run.participants), 1),
            "dept": "",
            "source": "Zoom" if meeting.source == "web_portal" else "sandbox app",
            "has_meeting_summary": False,
        }
    )


def list_instances(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /past_meetings/{id}/instances``."""
    _check_plan(sandbox)
    meeting, _ = call.run(sandbox)
    ended = [run for run in meeting.runs if run.end is not None]
    return json_response({"meetings": [{"uuid": run.uuid, "start_time": stamp(run.start)} for run in ended]})


def list_participants(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /past_meetings/{id or uuid}/participants``: nobody, when only one person came."""
    _, run = _ended_run(sandbox, call)
    there = run.participants if len(run.participants) > 1 else []
    page = sandbox.pages.turn(
        call.query, ("participants", run.uuid), len(there), most=300, bound=sandbox.binds_page_tokens
    )
    rows = [_participant(sandbox, run, at, *each) for at, each in enumerate(there)]
    envelope = {name: value for name, value in page.envelope.items() if name != "page_number"}
    return json_response(envelope | {"participants": rows[page.shown]})


def _participant(sandbox: ZoomSandbox, run: Run, at: int, name: str, email: str) -> dict[str, Any]:
    assert run.end is not None
    member = sandbox.account.find_host(email) if email else None
    return {
        "id": member.id if member else "",
        "user_id": str(16778240 + at * 1024),
        "registrant_id": "",
        "name": name,
        "user_email": email if member else "",
        "join_time": stamp(run.start),
        "leave_time": stamp(run.end),
        "duration": int((run.end - run.start).total_seconds()),
        "failover": False,
        "status": "in_meeting",
        "internal_user": member is not None,
    }


def get_transcript(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /meetings/{id or uuid}/transcript``."""
    meeting, run = call.run(sandbox)
    if run is None or run.transcript is None or run.end is None:
        raise Refusal(404, 3322, "This meeting transcript does not exist.")
    body: dict[str, Any] = {
        "meeting_id": run.uuid,
        "account_id": sandbox.account_id,
        "meeting_topic": run.topic,
        "host_id": meeting.host_id,
        "transcript_created_time": stamp(run.end),
        "auto_delete": False,
    }
    if meeting.deleted_at is not None:
        return json_response(
            body | {"can_download": False, "download_restriction_reason": "DELETED_OR_TRASHED"}
        )
    key = base64.urlsafe_b64encode(run.uuid.encode()).decode()
    return json_response(body | {"can_download": True, "download_url": f"{sandbox.url}/transcripts/{key}"})


def download_transcript(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer the download address of a transcript: WebVTT."""
    try:
        uuid = base64.urlsafe_b64decode(call.path["key"]).decode()
    except ValueError:
        uuid = ""
    _, run = sandbox.account.runs.get(uuid, (None, None))
    if run is None or run.transcript is None:
        raise Refusal(404, 3322, "This meeting transcript does not exist.")
    return Response(run.transcript, media_type="text/vtt")


def _ended_run(sandbox: ZoomSandbox, call: Call) -> tuple[Meeting, Run]:
    _check_plan(sandbox)
    meeting, run = call.run(sandbox)
    if run is None or run.end is None:
        raise no_such_meeting(call.path["meetingId"])
    if run.end < sandbox.now() - REACH:
        raise Refusal(400, 12702, "Can not access a meeting a year ago.")
    return meeting, run


def _check_plan(sandbox: ZoomSandbox) -> None:
    if sandbox.plan == "free":
        raise paid_only(sandbox.account_id)
