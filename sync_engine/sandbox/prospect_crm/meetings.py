"""The meeting endpoints: list, create, get, update, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from sync_engine.sandbox.prospect_crm import fields
from sync_engine.sandbox.prospect_crm.refusals import RefusalError, bad_request
from sync_engine.sandbox.prospect_crm.state import Record
from sync_engine.sandbox.server import json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.prospect_crm.sandbox import ProspectCrmSandbox

WRITABLE: dict[str, fields.Check] = {
    "meetingDate": fields.moment,
    "timeZone": fields.zone,
    "meetingType": fields.text,
    "ownerId": fields.text,
    "location": fields.text_or_null,
    "notes": fields.text_or_null,
}
REQUIRED = ("meetingDate", "timeZone", "meetingType", "ownerId")
LIST_PARAMETERS = frozenset(
    {"prospectId", "ownerId", "meetingType", "meetingDateAfter", "meetingDateBefore", "limit", "pageToken"}
)
HIGHEST_LIMIT, DEFAULT_LIMIT = 200, 50


class MeetingEndpoints:
    """Answer meeting requests; called under the world's lock."""

    def __init__(self, crm: ProspectCrmSandbox) -> None:
        self._crm = crm

    def search(self, request: Request, body: bytes) -> Response:
        """Give one page, latest meeting first."""
        crm, query = self._crm, request.query_params
        if crm.unknown_keys == "reject" and (strange := sorted(set(query) - LIST_PARAMETERS)):
            raise bad_request(f"Unknown parameter: {strange[0]}")
        size = fields.limit(
            query.get("limit"), default=DEFAULT_LIMIT, highest=HIGHEST_LIMIT, clamp=crm.clamps_limits
        )
        before, after = (
            self._bound(query.get("meetingDateBefore"), -1),
            self._bound(query.get("meetingDateAfter"), 1),
        )
        equal = {k: query[k] for k in ("prospectId", "ownerId", "meetingType") if k in query}
        rows: list[Record] = []
        anchor, more = self._anchor(query.get("pageToken")), False
        for row in crm.account.meetings.latest_first(before_ms=before, after_id=anchor):
            if after is not None and row["meetingDate"] < after:
                break
            if any(row[name] != wanted for name, wanted in equal.items()):
                continue
            if len(rows) == size:
                more = True
                break
            rows.append(row)
        return json_response(self._page(rows, fields.page_token(rows[-1]["id"]) if more else None))

    def create(self, request: Request, body: bytes) -> Response:
        """Create a meeting with exactly one prospect."""
        crm = self._crm
        given = fields.checked(
            fields.json_object(body),
            {**WRITABLE, "prospectId": fields.text, "userId": fields.text},
            required=("prospectId", *REQUIRED),
            reject_unknown=crm.unknown_keys == "reject",
        )
        if given["prospectId"] not in crm.account.prospects:
            raise bad_request("prospectId does not name a prospect")
        actor = self._checked_users(given)
        by_api = {"createdByApi": True, "createdByApiKeyId": crm.key_id, "createdByApiKeyName": crm.key_name}
        record = crm.account.add_meeting(
            crm.now_ms(), **given, **({"createdBy": actor} if actor is not None else by_api)
        )
        return json_response(crm.item(record), 201)

    def get(self, request: Request, body: bytes) -> Response:
        """Give one meeting."""
        return json_response(self._crm.item(self._record(request)))

    def update(self, request: Request, body: bytes) -> Response:
        """Change a meeting, by the one verb this account's API has."""
        crm = self._crm
        if request.method != crm.update_method:
            raise RefusalError(crm.wrong_verb_status, "This method is not available for this path")
        record = self._record(request)
        given = fields.checked(
            fields.json_object(body),
            {**WRITABLE, "userId": fields.text},
            required=REQUIRED if crm.update_method == "PUT" else (),
            reject_unknown=crm.unknown_keys == "reject",
        )
        if missing := [name for name in REQUIRED if name in given and given[name] is None]:
            raise bad_request(f"{missing[0]} must not be null")
        self._checked_users(given)
        if crm.update_method == "PUT":
            given = {"location": None, "notes": None, **given}
        crm.account.meetings.change(record["id"], **given, updatedAt=crm.now_ms())
        return json_response(crm.item(record))

    def delete(self, request: Request, body: bytes) -> Response:
        """Delete a meeting; nothing tells of it afterwards."""
        crm = self._crm
        crm.remove(self._record(request)["id"])
        if crm.delete_status == 204:
            return Response(status_code=204)
        return json_response({"success": True, "message": "Meeting deleted"})

    def _record(self, request: Request) -> Record:
        crm, meeting_id = self._crm, request.path_params["meeting_id"]
        record = crm.account.meetings.by_id.get(meeting_id)
        if record is None:
            status = 410 if crm.soft_delete and meeting_id in crm.account.deleted else 404
            raise RefusalError(status, "Meeting not found")
        return record

    def _checked_users(self, given: dict[str, Any]) -> str | None:
        actor: str | None = given.pop("userId", None)
        for name, user in (("userId", actor), ("ownerId", given.get("ownerId"))):
            if user is not None and user not in self._crm.account.users:
                raise bad_request(f"{name} does not name a user of this account")
        return actor

    def _bound(self, text: str | None, inwards: int) -> int | None:
        if text is None:
            return None
        return fields.moment("meetingDate bound", text) + (0 if self._crm.bounds_inclusive else inwards)

    def _anchor(self, token: str | None) -> str | None:
        if not token:
            return None
        record_id = fields.anchor(token)
        if record_id not in self._crm.account.meetings.by_id:
            raise bad_request("Invalid page token")
        return record_id

    def _page(self, rows: list[Record], token: str | None) -> dict[str, Any]:
        crm = self._crm
        if crm.generation == "G2":
            return {"success": True, "items": rows, "nextPageToken": token}
        pagination: dict[str, Any] = {}
        if token or crm.last_page_token == "null":
            pagination["nextPageToken"] = token
        if crm.counts_meetings:
            pagination["totalCount"] = len(crm.account.meetings)
        return {"success": True, "items": rows, "pagination": pagination}
