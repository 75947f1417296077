"""Attio's endpoints, one method each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from sync_engine.adapters.attio.answers import classify
from sync_engine.adapters.attio.schemas import (
    AttioWebhook,
    CallRecording,
    Identity,
    PersonRecord,
    Segment,
    Transcript,
    wire_moment,
)
from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.http import Answer, HttpClient
from sync_engine.errors import InvalidResponseError, RecordGoneError, RefusedError

PROVIDER = "attio"
READ, WRITE, CREATE_RECORDING = "read", "write", "create_recording"
# Requests per second over the whole API, and of one endpoint (Attio's guide to rate limits, 2026).
RATES = {READ: 100.0, WRITE: 25.0, CREATE_RECORDING: 1.0}
PAGE_SIZE = 200
WEBHOOK_PAGE_SIZE = 100
# A walk restarts when its cursor is refused; more often than this something else is wrong.
RESTARTS = 3
SEGMENT_LIMIT = 4_000

Parsed = TypeVar("Parsed", bound=BaseModel)


class AttioClient:
    """Speak to one Attio workspace."""

    def __init__(
        self,
        *,
        base_url: str,
        access_token: str,
        surroundings: Surroundings,
        timeout_seconds: float = 30.0,
        concurrency: int = 8,
    ) -> None:
        async def credentials(_: bool) -> Mapping[str, str]:
            return {"Authorization": f"Bearer {access_token}"}

        for category, per_second in RATES.items():
            surroundings.pacer.set_rate(category, per_second)
        self.http = HttpClient(
            provider=PROVIDER,
            base_url=base_url,
            surroundings=surroundings,
            credentials=credentials,
            classify=classify,
            timeout_seconds=timeout_seconds,
            concurrency=concurrency,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def identify(self) -> Identity:
        """Ask what the token is. A dead one is told with HTTP 200 and ``active`` False."""
        answer = await self.http.request("GET", "/v2/self", operation="identify", category=READ)
        return _parse(Identity, answer.json(), answer)

    # Meetings ----------------------------------------------------------------------------------------

    async def iter_meetings(
        self,
        *,
        ends_from: datetime,
        starts_before: datetime,
        participants: Sequence[str] = (),
    ) -> AsyncIterator[tuple[list[Any], bool]]:
        """Walk the pages of meetings that overlap a window, as raw rows; True comes with the last page.

        Every page repeats the same filters. When a cursor is refused the walk begins anew, so rows may
        come twice, but none is left out.
        """
        query: dict[str, str | int | bool] = {
            "limit": PAGE_SIZE,
            "sort": "start_asc",
            "ends_from": wire_moment(ends_from),
            "starts_before": wire_moment(starts_before),
            "timezone": "UTC",
        }
        if participants:
            query["participants"] = ",".join(participants)
        cursor: str | None = None
        restarts = 0
        while True:
            asked = {**query, "cursor": cursor} if cursor else query
            try:
                answer = await self._get("/v2/meetings", "list_meetings", asked)
            except RefusedError as error:
                if cursor is None or error.status_code != 400 or restarts >= RESTARTS:
                    raise
                cursor, restarts = None, restarts + 1
                continue
            rows, following = _page(answer)
            if following is not None and following == cursor:
                raise _invalid(answer, "the cursor does not advance")
            yield rows, following is None
            if following is None:
                return
            cursor = following

    async def get_meeting(self, meeting_id: str) -> dict[str, Any]:
        """Read one meeting, raw. Raises RecordGoneError."""
        return _data(await self._get(f"/v2/meetings/{meeting_id}", "get_meeting"))

    async def create_meeting(self, body: str) -> dict[str, Any]:
        """Create a meeting; never repeated by itself, since every request may make another one."""
        answer = await self.http.request(
            "POST", "/v2/meetings", operation="create_meeting", category=WRITE, content=body
        )
        return _data(answer)

    async def append_linked_records(
        self, meeting_id: str, records: Sequence[tuple[str, str]]
    ) -> dict[str, Any]:
        """Link records (object slug or id, record id) with a meeting; those already linked stay."""
        links = [{"object": slug, "record_id": record_id} for slug, record_id in records]
        answer = await self.http.request(
            "PATCH",
            f"/v2/meetings/{meeting_id}",
            operation="append_linked_records",
            category=WRITE,
            json={"data": {"linked_records": links}},
            repeatable=True,
        )
        return _data(answer)

    async def delete_meeting(self, meeting_id: str) -> None:
        """Delete a meeting. Raises RecordGoneError, or RefusedError for one a calendar owns."""
        await self.http.request(
            "DELETE",
            f"/v2/meetings/{meeting_id}",
            operation="delete_meeting",
            category=WRITE,
            repeatable=True,
        )

    # People ------------------------------------------------------------------------------------------

    async def find_people(self, email: str) -> list[PersonRecord]:
        """Look people up by their exact address; two answers mean that it is ambiguous."""
        answer = await self.http.request(
            "POST",
            "/v2/objects/people/records/query",
            operation="find_people",
            category=READ,
            json={"filter": {"email_addresses": email}, "limit": 2},
            repeatable=True,
        )
        return _parse_all(PersonRecord, answer)

    # Call recordings ---------------------------------------------------------------------------------

    async def list_call_recordings(self, meeting_id: str, *, limit: int = PAGE_SIZE) -> list[CallRecording]:
        """List recordings of a meeting, at most one page, without their transcripts."""
        path = f"/v2/meetings/{meeting_id}/call_recordings"
        return _parse_all(CallRecording, await self._get(path, "list_call_recordings", {"limit": limit}))

    async def get_call_recording(self, meeting_id: str, recording_id: str) -> CallRecording:
        """Read a recording with its transcript, on older servers from the transcript's own endpoint."""
        path = f"/v2/meetings/{meeting_id}/call_recordings/{recording_id}"
        answer = await self._get(path, "get_call_recording")
        data = _data(answer)
        recording = _parse(CallRecording, data, answer)
        if "transcript" in data:
            return recording
        segments = [segment async for segment in self._iter_segments(f"{path}/transcript")]
        transcript = Transcript(segments=tuple(segments)) if segments else None
        return recording.model_copy(update={"transcript": transcript})

    async def _iter_segments(self, path: str) -> AsyncIterator[Segment]:
        query: dict[str, str | int | bool] = {}
        while True:
            try:
                answer = await self._get(path, "get_transcript", query)
            except RecordGoneError:
                return
            rows = _data(answer).get("transcript")
            for row in rows if isinstance(rows, list) else []:
                yield _parse(Segment, row, answer)
            following = _cursor(answer)
            if following is None or following == query.get("cursor"):
                return
            query["cursor"] = following

    async def create_call_recording(self, meeting_id: str, segments: Sequence[Segment]) -> CallRecording:
        """Add a recording made of a transcript alone. Not idempotent: list first."""
        rows = [segment.model_dump() for segment in merge_segments(segments, SEGMENT_LIMIT)]
        answer = await self.http.request(
            "POST",
            f"/v2/meetings/{meeting_id}/call_recordings",
            operation="create_call_recording",
            category=CREATE_RECORDING,
            json={"data": {"transcript": rows}},
        )
        return _parse(CallRecording, _data(answer), answer)

    # Webhooks ----------------------------------------------------------------------------------------

    async def list_webhooks(self) -> list[AttioWebhook]:
        """List every webhook of the workspace."""
        found: list[AttioWebhook] = []
        while True:
            query = {"limit": WEBHOOK_PAGE_SIZE, "offset": len(found)}
            page = _parse_all(AttioWebhook, await self._get("/v2/webhooks", "list_webhooks", query))
            found.extend(page)
            if len(page) < WEBHOOK_PAGE_SIZE:
                return found

    async def create_webhook(self, target_url: str, event_types: Sequence[str]) -> AttioWebhook | None:
        """Subscribe to events; the answer alone tells the secret. None: the same subscription exists."""
        wanted = [{"event_type": event_type, "filter": None} for event_type in event_types]
        try:
            answer = await self.http.request(
                "POST",
                "/v2/webhooks",
                operation="create_webhook",
                category=WRITE,
                json={"data": {"target_url": target_url, "subscriptions": wanted}},
            )
        except RefusedError as error:
            if error.status_code == 409:
                return None
            raise
        return _parse(AttioWebhook, _data(answer), answer)

    async def _get(
        self, path: str, operation: str, query: Mapping[str, str | int | bool] | None = None
    ) -> Answer:
        return await self.http.request("GET", path, operation=operation, category=READ, params=query)


def merge_segments(segments: Sequence[Segment], limit: int) -> list[Segment]:
    """Bring a transcript under a number of segments by joining neighbours of the same speaker.

    What is then still too long is joined over speakers at its end, the names kept within the text.
    """
    merged = list(segments)
    if len(merged) > limit:
        merged = []
        for segment in segments:
            if merged and merged[-1].speaker == segment.speaker:
                merged[-1] = _joined(merged[-1], segment, segment.speech)
            else:
                merged.append(segment)
    while len(merged) > limit:
        last = merged.pop()
        merged[-1] = _joined(merged[-1], last, f"{last.speaker.name}: {last.speech}")
    return merged


def _joined(first: Segment, second: Segment, speech: str) -> Segment:
    return first.model_copy(update={"speech": f"{first.speech} {speech}", "end_time": second.end_time})


def _page(answer: Answer) -> tuple[list[Any], str | None]:
    body = answer.json()
    rows = body.get("data") if isinstance(body, dict) else None
    # Without "pagination" rows may be missing, and what is missing would pass for deleted.
    if not isinstance(rows, list) or not isinstance(body.get("pagination"), dict):
        raise _invalid(answer, "a list has another form")
    following = body["pagination"].get("next_cursor")
    if following is not None and not isinstance(following, str):
        raise _invalid(answer, "a cursor has another form")
    return rows, following or None


def _cursor(answer: Answer) -> str | None:
    body = answer.json()
    pagination = body.get("pagination") if isinstance(body, dict) else None
    following = pagination.get("next_cursor") if isinstance(pagination, dict) else None
    return following if isinstance(following, str) and following else None


def _data(answer: Answer) -> dict[str, Any]:
    body = answer.json()
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise _invalid(answer, "an answer has another form")
    return data


def _parse(model: type[Parsed], value: Any, answer: Answer) -> Parsed:
    try:
        return model.model_validate(value)
    except ValidationError:
        # The details of pydantic quote the value, which holds people's words.
        raise _invalid(answer, f"an answer is no {model.__name__}") from None


def _invalid(answer: Answer, reason: str) -> InvalidResponseError:
    return InvalidResponseError(
        reason, provider=PROVIDER, operation=answer.operation, status_code=answer.status
    )


def _parse_all(model: type[Parsed], answer: Answer) -> list[Parsed]:
    body = answer.json()
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise _invalid(answer, "a list has another form")
    return [_parse(model, row, answer) for row in rows]
