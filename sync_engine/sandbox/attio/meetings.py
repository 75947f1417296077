"""Attio's endpoints for meetings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.attio.answers import Refusal, invalid, not_found
from sync_engine.sandbox.attio.door import endpoint
from sync_engine.sandbox.attio.inputs import (
    data_of,
    identifier,
    read_attendees,
    read_edge,
    read_external_ref,
    read_links,
    text_field,
)
from sync_engine.sandbox.attio.listing import Query, page_of
from sync_engine.sandbox.attio.state import JsonObject, StoredMeeting, meeting_text, moment_of
from sync_engine.sandbox.server import json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.attio.sandbox import AttioSandbox

ONE = "/v2/meetings/{meeting_id}"


class MeetingEndpoints:
    """List, get, create, link and delete meetings; nothing changes their content."""

    def __init__(self, sandbox: AttioSandbox) -> None:
        self._sandbox, self._workspace = sandbox, sandbox.workspace

    def routes(self) -> list[Route]:
        """Give the endpoints."""
        sandbox, reads = self._sandbox, ("meeting:read", "record_permission:read")
        writes = ("meeting:read-write", "record_permission:read")
        return [
            endpoint(sandbox, "GET", "/v2/meetings", self._list, *reads, workspace_only=True),
            endpoint(sandbox, "POST", "/v2/meetings", self._create, *writes),
            endpoint(sandbox, "GET", ONE, self._get, *reads),
            endpoint(sandbox, "PATCH", ONE, self._append_links, *writes),
            endpoint(sandbox, "PUT", ONE, self._overwrite_links, *writes),
            endpoint(sandbox, "DELETE", ONE, self._delete, "meeting:read-write"),
        ]

    async def _list(self, request: Request) -> Response:
        query = Query.read(request.query_params, self._workspace)
        cursor = request.query_params.get("cursor")
        page, following = page_of(self._workspace, query, cursor, self._sandbox.paging)
        rows = ",".join(self._text(meeting) for meeting in page)
        next_cursor = f'"{following}"' if following else "null"
        return _json_text(f'{{"data":[{rows}],"pagination":{{"next_cursor":{next_cursor}}}}}')

    async def _get(self, request: Request) -> Response:
        return self._answer(self._meeting(request))

    async def _create(self, request: Request) -> Response:
        try:
            return self._answer(self._created(await data_of(request)))
        except Refusal as refusal:
            refusal.camel = True
            raise

    def _created(self, data: JsonObject) -> StoredMeeting:
        sandbox, workspace = self._sandbox, self._workspace
        ref, uid = self._reference(data)
        new = self._parsed(data)
        links = self._links(data.get("linked_records", []))
        if ref is not None:
            meetings = workspace.meetings
            known = meetings.by_ref.get(ref) or (meetings.by_uid.get(uid) if uid else None)
            if known is not None:
                return self._rewritten(known, new) if sandbox.reposts_update else meetings.by_id[known]
            new.external_ref = ref
        new.linked.update(dict.fromkeys(links))
        workspace.admit(new)
        return new

    def _reference(self, data: JsonObject) -> tuple[str | None, str | None]:
        if self._sandbox.generation == "A":
            return read_external_ref(data.get("external_ref"))
        if self._sandbox.rejects_external_ref and "external_ref" in data:
            raise invalid("Unrecognized key(s) in object: 'external_ref'", "data", "external_ref")
        return None, None

    def _parsed(self, data: JsonObject) -> StoredMeeting:
        newer, workspace = self._sandbox.generation == "B", self._workspace
        all_day = data.get("is_all_day")
        if not isinstance(all_day, bool):
            raise invalid("is_all_day: a boolean is required.", "data", "is_all_day")
        meeting = StoredMeeting(
            id=workspace.new_id(),
            title=text_field(data, "title", 1000 if newer else None),
            description=text_field(data, "description", 10_000 if newer else None),
            start=read_edge(data, "start", all_day=all_day),
            end=read_edge(data, "end", all_day=all_day),
            attendees=read_attendees(data, limit=500 if newer else None),
            created_at=workspace.now(),
            actor=workspace.token_actor,
            by_api=True,
        )
        if moment_of(meeting.end) < moment_of(meeting.start):
            raise invalid("end: must not be before start.", "data", "end")
        return meeting

    def _rewritten(self, known: str, new: StoredMeeting) -> StoredMeeting:
        meetings = self._workspace.meetings
        meeting = meetings.take(known)
        meeting.title, meeting.description = new.title, new.description
        meeting.start, meeting.end, meeting.attendees = new.start, new.end, new.attendees
        meetings.add(meeting)
        return meeting

    async def _append_links(self, request: Request) -> Response:
        meeting, links = await self._to_link(request)
        meeting.linked.update(dict.fromkeys(links))
        meeting.touch()
        return self._answer(meeting)

    async def _overwrite_links(self, request: Request) -> Response:
        meeting, links = await self._to_link(request)
        meeting.linked = dict.fromkeys(links)
        meeting.touch()
        return self._answer(meeting)

    async def _to_link(self, request: Request) -> tuple[StoredMeeting, list[tuple[str, str]]]:
        self._check_route(request)
        meeting = self._meeting(request)
        data = await data_of(request)
        extra = set(data) - {"linked_records"}
        if extra or "linked_records" not in data:
            raise invalid("data: exactly linked_records is allowed.", "data", *sorted(extra)[:1])
        return meeting, self._links(data["linked_records"])

    def _links(self, rows: object) -> list[tuple[str, str]]:
        links = []
        for name, record_id in read_links(rows):
            slug = self._workspace.object_slug(name)
            record = self._workspace.records.get(record_id)
            if slug is None or record is None or record.object_slug != slug:
                message = f'Record with ID "{record_id}" of object "{name}" was not found.'
                raise Refusal(400, "value_not_found", message)
            links.append((slug, record_id))
        return links

    async def _delete(self, request: Request) -> Response:
        self._check_route(request)
        meeting = self._meeting(request)
        if meeting.calendar_uid is not None:
            message = "Cannot delete a meeting which was created by calendar sync."
            raise Refusal(400, "system_edit_unauthorized", message)
        self._workspace.meetings.delete(meeting.id)
        return json_response({})

    def _check_route(self, request: Request) -> None:
        if not self._sandbox.has_delete:
            # The router's own answer also names the id, being part of the path it does not know.
            message = f'Could not find endpoint "{request.method} {request.url.path}".'
            raise Refusal(self._sandbox.missing_route_status, "not_found", message)

    def _meeting(self, request: Request) -> StoredMeeting:
        number = identifier(request.path_params["meeting_id"], "meeting_id")
        meeting = self._workspace.meetings.by_id.get(number)
        if meeting is None or meeting.hidden:
            raise not_found("Meeting", number)
        return meeting

    def _text(self, meeting: StoredMeeting) -> str:
        return meeting_text(meeting, self._workspace.id, self._workspace.object_ids)

    def _answer(self, meeting: StoredMeeting) -> Response:
        return _json_text(f'{{"data":{self._text(meeting)}}}')


def _json_text(text: str) -> Response:
    return Response(text, media_type="application/json")
