"""Attio's endpoints for call recordings and their transcripts."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.attio.answers import invalid, nanoseconds, not_found
from sync_engine.sandbox.attio.door import endpoint
from sync_engine.sandbox.attio.inputs import data_of, identifier, read_segments, whole_number
from sync_engine.sandbox.attio.state import JsonObject, Recording, StoredMeeting
from sync_engine.sandbox.server import json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.attio.sandbox import AttioSandbox

ALL = "/v2/meetings/{meeting_id}/call_recordings"
ONE = f"{ALL}/{{call_recording_id}}"
TRANSCRIPT_PAGE = 100
Row = TypeVar("Row")


class RecordingEndpoints:
    """List, get, create and delete recordings; read a transcript page by page (deprecated)."""

    def __init__(self, sandbox: AttioSandbox) -> None:
        self._sandbox, self._workspace = sandbox, sandbox.workspace

    def routes(self) -> list[Route]:
        """Give the endpoints."""
        sandbox, reads = self._sandbox, ("meeting:read", "call_recording:read")
        writes = ("meeting:read", "call_recording:read-write")
        return [
            endpoint(sandbox, "GET", ALL, self._list, *reads),
            endpoint(sandbox, "POST", ALL, self._create, *writes, also="create_recording"),
            endpoint(sandbox, "GET", ONE, self._get, *reads),
            endpoint(sandbox, "DELETE", ONE, self._delete, *writes),
            endpoint(sandbox, "GET", f"{ONE}/transcript", self._transcript, *reads),
        ]

    async def _list(self, request: Request) -> Response:
        meeting = self._meeting(request)
        limit = whole_number(request.query_params, "limit", 50, 1, 200)
        rows = list(meeting.recordings.values())
        page, cursor = _cut(rows, request.query_params.get("cursor"), limit)
        data = [self._wire(meeting, recording) for recording in page]
        return json_response({"data": data, "pagination": {"next_cursor": cursor}})

    async def _create(self, request: Request) -> Response:
        meeting = self._meeting(request)
        data = await data_of(request)
        video = data.get("video_url")
        if video is not None:
            _check_video(video)
        segments = read_segments(data.get("transcript"))
        if video is None and segments is None:
            raise invalid("Either video_url or transcript is required.", "data")
        workspace = self._workspace
        recording = Recording(
            workspace.new_id(), workspace.now(), workspace.token_actor, "processing", segments
        )
        workspace.add_recording(meeting, recording)
        return json_response({"data": self._wire(meeting, recording)})

    async def _get(self, request: Request) -> Response:
        meeting, recording = self._recording(request)
        data = self._wire(meeting, recording)
        if self._sandbox.transcript_in_recording:
            data["video_url"] = (
                f"https://video.attio.com/{recording.id}.mp4" if recording.by_attio_recorder else None
            )
            data["transcript"] = None
            if recording.segments is not None:
                data["transcript"] = {
                    "segments": recording.segments,
                    "raw_transcript": _raw(recording.segments),
                }
        return json_response({"data": data})

    async def _delete(self, request: Request) -> Response:
        meeting, recording = self._recording(request)
        del meeting.recordings[recording.id]
        return Response(status_code=204)

    async def _transcript(self, request: Request) -> Response:
        meeting, recording = self._recording(request)
        if recording.segments is None:
            raise not_found("Transcript of call recording", recording.id)
        page, cursor = _cut(recording.segments, request.query_params.get("cursor"), TRANSCRIPT_PAGE)
        data = {
            "id": self._id(meeting, recording),
            "transcript": page,
            "raw_transcript": _raw(page),
            "web_url": self._wire(meeting, recording)["web_url"],
        }
        return json_response({"data": data, "pagination": {"next_cursor": cursor}})

    def _meeting(self, request: Request) -> StoredMeeting:
        number = identifier(request.path_params["meeting_id"], "meeting_id")
        meeting = self._workspace.meetings.by_id.get(number)
        if meeting is None or meeting.hidden:
            raise not_found("Meeting", number)
        return meeting

    def _recording(self, request: Request) -> tuple[StoredMeeting, Recording]:
        meeting = self._meeting(request)
        number = identifier(request.path_params["call_recording_id"], "call_recording_id")
        recording = meeting.recordings.get(number)
        if recording is None:
            raise not_found("Call recording", number)
        return meeting, recording

    def _id(self, meeting: StoredMeeting, recording: Recording) -> JsonObject:
        return {
            "workspace_id": self._workspace.id,
            "meeting_id": meeting.id,
            "call_recording_id": recording.id,
        }

    def _wire(self, meeting: StoredMeeting, recording: Recording) -> JsonObject:
        return {
            "id": self._id(meeting, recording),
            "status": recording.status,
            "web_url": f"https://app.attio.com/sandbox/calls/{meeting.id}/{recording.id}",
            "created_by_actor": recording.actor.wire(),
            "created_at": nanoseconds(recording.created_at),
        }


def _check_video(value: object) -> None:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme != "https":
        raise invalid("Invalid video URL protocol. Only https is supported", "data", "video_url")
    if not parts.path.lower().endswith(".mp4"):
        raise invalid("Invalid video file type. Only .mp4 is supported", "data", "video_url")


def _cut(rows: list[Row], cursor: str | None, limit: int) -> tuple[list[Row], str | None]:
    begin = 0
    if cursor is not None:
        try:
            begin = int(base64.urlsafe_b64decode(cursor.encode()))
        except ValueError:
            raise invalid("Invalid pagination cursor.", "cursor") from None
    end = begin + limit
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(rows) else None
    return rows[begin:end], following


def _raw(segments: list[JsonObject]) -> str:
    lines = []
    for segment in segments:
        minutes, seconds = divmod(int(segment["start_time"]), 60)
        lines.append(f"[{minutes:02d}:{seconds:02d}] {segment['speaker']['name']}: {segment['speech']}")
    return "\n".join(lines)
