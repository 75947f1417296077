"""Attio's endpoints for records (people above all) and the notes on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.attio.answers import Refusal, invalid, nanoseconds, not_found
from sync_engine.sandbox.attio.door import endpoint
from sync_engine.sandbox.attio.inputs import body_of, data_of, identifier, text_field, whole_number
from sync_engine.sandbox.attio.state import JsonObject, Note, Record
from sync_engine.sandbox.server import json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.attio.sandbox import AttioSandbox

RECORDS = "/v2/objects/{object}/records"
NOTE_SCOPES = ("object_configuration:read", "record_permission:read")


class RecordEndpoints:
    """Query and upsert records; create and list notes."""

    def __init__(self, sandbox: AttioSandbox) -> None:
        self._sandbox, self._workspace = sandbox, sandbox.workspace

    def routes(self) -> list[Route]:
        """Give the endpoints."""
        sandbox, reads = self._sandbox, ("record_permission:read", "object_configuration:read")
        writes = ("record_permission:read-write", "object_configuration:read")
        notes = "/v2/notes"
        return [
            endpoint(sandbox, "POST", f"{RECORDS}/query", self._query, *reads, category="read"),
            endpoint(sandbox, "GET", f"{RECORDS}/{{record_id}}", self._get, *reads),
            endpoint(sandbox, "PUT", RECORDS, self._upsert, *writes),
            endpoint(sandbox, "GET", notes, self._list_notes, "note:read", *NOTE_SCOPES, also="list_notes"),
            endpoint(sandbox, "POST", notes, self._create_note, "note:read-write", *NOTE_SCOPES),
        ]

    async def _query(self, request: Request) -> Response:
        slug = self._slug(request)
        body = await body_of(request)
        wanted = _addresses(body.get("filter") or {})
        found = [
            record
            for record in self._workspace.records.values()
            if record.object_slug == slug and (wanted is None or wanted & set(record.emails))
        ]
        limit, offset = body.get("limit", 500), body.get("offset", 0)
        if not isinstance(limit, int) or not isinstance(offset, int) or limit < 0 or offset < 0:
            raise invalid("limit and offset must be numbers.", "limit")
        return json_response({"data": [self._wire(record) for record in found[offset : offset + limit]]})

    async def _get(self, request: Request) -> Response:
        number = request.path_params["record_id"]
        record = self._workspace.records.get(number)
        if record is None or record.object_slug != self._slug(request):
            raise not_found("Record", number)
        return json_response({"data": self._wire(record)})

    async def _upsert(self, request: Request) -> Response:
        if self._slug(request) != "people":
            raise invalid("This sandbox upserts people only.", "object")
        if request.query_params.get("matching_attribute") != "email_addresses":
            raise invalid("matching_attribute: a unique attribute is required.", "matching_attribute")
        values = (await data_of(request)).get("values")
        if not isinstance(values, dict):
            raise invalid("values: an object is required.", "data", "values")
        emails = [_address(each) for each in _as_list(values.get("email_addresses"))]
        if not emails:
            raise Refusal(400, "missing_value", "email_addresses: a value is required.")
        record = self._upserted(emails)
        names = _as_list(values.get("name"))
        if names:
            record.name = _name(names[0])
        return json_response({"data": self._wire(record)})

    def _upserted(self, emails: list[str]) -> Record:
        workspace = self._workspace
        matches = {person.id for email in emails if (person := workspace.known_person(email))}
        if len(matches) > 1:
            message = "More than one record matches the matching attribute."
            raise Refusal(400, "multiple_match_results", message)
        events: list[JsonObject] = []
        record = workspace.person(next(e for e in emails if not matches or workspace.known_person(e)), events)
        for email in emails:
            workspace.give_email(record, email)
        workspace.emit(events or [workspace.record_event("record.updated", record)])
        return record

    def _slug(self, request: Request) -> str:
        name = request.path_params["object"]
        slug = self._workspace.object_slug(name)
        if slug is None:
            raise not_found("Object", name)
        return slug

    async def _list_notes(self, request: Request) -> Response:
        limit = whole_number(request.query_params, "limit", 10, 1, 50)
        offset = whole_number(request.query_params, "offset", 0, 0, 10**9)
        notes = list(self._workspace.notes.values())[offset : offset + limit]
        return json_response({"data": [self._note(note) for note in notes]})

    async def _create_note(self, request: Request) -> Response:
        data, workspace = await data_of(request), self._workspace
        slug = workspace.object_slug(text_field(data, "parent_object", None))
        parent = identifier(data.get("parent_record_id"), "data", "parent_record_id")
        record = workspace.records.get(parent)
        if slug is None or record is None or record.object_slug != slug:
            raise not_found("Record", parent)
        if data.get("format") not in ("plaintext", "markdown"):
            raise invalid("format: must be plaintext or markdown.", "data", "format")
        meeting_id = data.get("meeting_id")
        if meeting_id is not None and identifier(meeting_id, "data") not in workspace.meetings.by_id:
            raise not_found("Meeting", str(meeting_id))
        title, content = text_field(data, "title", None), text_field(data, "content", None)
        note = Note(workspace.new_id(), slug, parent, title, content, workspace.now(), meeting_id)
        workspace.notes[note.id] = note
        event_id = {"workspace_id": workspace.id, "note_id": note.id}
        event = {
            "event_type": "note.created",
            "id": event_id,
            "parent_object_id": workspace.object_ids[slug],
            "parent_record_id": parent,
            "actor": workspace.token_actor.wire(),
        }
        workspace.emit([event])
        return json_response({"data": self._note(note)})

    def _note(self, note: Note) -> JsonObject:
        return {
            "id": {"workspace_id": self._workspace.id, "note_id": note.id},
            "parent_object": note.parent_object,
            "parent_record_id": note.parent_record_id,
            "title": note.title,
            "meeting_id": note.meeting_id,
            "content_plaintext": note.content,
            "content_markdown": note.content,
            "tags": [],
            "created_by_actor": self._workspace.token_actor.wire(),
            "created_at": nanoseconds(note.created_at),
        }

    def _wire(self, record: Record) -> JsonObject:
        workspace = self._workspace
        stamp = nanoseconds(record.created_at)
        since: JsonObject = {
            "active_from": stamp,
            "active_until": None,
            "created_by_actor": workspace.token_actor.wire(),
        }
        values: JsonObject = {
            "email_addresses": [{**since, **_email_value(email)} for email in record.emails]
        }
        if record.name:
            values["name"] = [{**since, **record.name, "attribute_type": "personal-name"}]
        if record.domain:
            domain = {"domain": record.domain, "root_domain": record.domain, "attribute_type": "domain"}
            values = {"domains": [{**since, **domain}]}
        object_id = workspace.object_ids[record.object_slug]
        return {
            "id": {"workspace_id": workspace.id, "object_id": object_id, "record_id": record.id},
            "created_at": stamp,
            "web_url": f"https://app.attio.com/sandbox/{record.object_slug}/{record.id}",
            "values": values,
        }


def _email_value(email: str) -> JsonObject:
    local, _, domain = email.rpartition("@")
    return {
        "original_email_address": email,
        "email_address": email,
        "email_domain": domain,
        "email_root_domain": domain,
        "email_local_specifier": local,
        "attribute_type": "email-address",
    }


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _address(value: Any) -> str:
    text = value.get("email_address") if isinstance(value, dict) else value
    if not isinstance(text, str) or "@" not in text:
        raise invalid("email_addresses: not a valid e-mail address.", "data", "values", "email_addresses")
    return text.strip().lower()


def _name(value: Any) -> JsonObject:
    if isinstance(value, str):
        last, _, first = value.partition(",")
        return {
            "first_name": first.strip(),
            "last_name": last.strip(),
            "full_name": f"{first} {last}".strip(),
        }
    if not isinstance(value, dict) or not {"first_name", "last_name", "full_name"} <= set(value):
        raise invalid("name: first_name, last_name and full_name are required.", "data", "values", "name")
    return {part: str(value[part]) for part in ("first_name", "last_name", "full_name")}


def _addresses(rule: Any) -> set[str] | None:
    """Read a filter by address; None for no filter at all."""
    if rule == {}:
        return None
    if isinstance(rule, dict) and set(rule) == {"$or"}:
        return {address for part in rule["$or"] for address in _addresses(part) or ()}
    if not isinstance(rule, dict) or set(rule) != {"email_addresses"}:
        raise Refusal(400, "filter_error", "This filter is not understood.")
    value = rule["email_addresses"]
    if isinstance(value, dict):
        value = value.get("email_address", value)
    if isinstance(value, dict):
        value = value.get("$eq")
    if not isinstance(value, str):
        raise Refusal(400, "filter_error", "This filter is not understood.")
    return {value.strip().lower()}
