"""The smaller endpoints: the key check, notes and tasks on a prospect."""

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

NOTE: dict[str, fields.Check] = {
    "prospectId": fields.text,
    "body": fields.text,
    "userId": fields.text,
    "date": fields.moment,
    "mentions": fields.texts,
    "pin": fields.truth,
    "fileUrl": fields.text_or_null,
}
TASK: dict[str, fields.Check] = {
    "prospectId": fields.text,
    "assignedTo": fields.text,
    "task": fields.text,
    "userId": fields.text,
    "dueAt": fields.moment,
}


class ExtraEndpoints:
    """Answer what meetings do not need; called under the world's lock."""

    def __init__(self, crm: ProspectCrmSandbox) -> None:
        self._crm = crm

    def auth(self, request: Request, body: bytes) -> Response:
        """Tell whose key this is."""
        crm = self._crm
        return json_response(
            crm.item(
                {
                    "accountId": crm.account.id,
                    "keyId": crm.key_id,
                    "name": crm.key_name,
                    "permissions": sorted(crm.scopes),
                    "active": True,
                }
            )
        )

    def list_notes(self, request: Request, body: bytes) -> Response:
        """Give notes, newest first."""
        rows = [
            row for row in reversed(self._crm.account.notes) if _equal(row, request, "prospectId", "userId")
        ]
        return self._page(request, rows)

    def get_note(self, request: Request, body: bytes) -> Response:
        """Give one note."""
        for row in self._crm.account.notes:
            if row["id"] == request.path_params["note_id"]:
                return json_response(self._crm.item(row))
        raise RefusalError(404, "Note not found")

    def create_note(self, request: Request, body: bytes) -> Response:
        """Put a note on a prospect."""
        crm = self._crm
        given = self._given(body, NOTE, ("prospectId", "body"))
        record = {
            "id": crm.account.new_id(),
            "createdAt": given.pop("date", None) or crm.now_ms(),
            "mentions": [],
            "pin": False,
            "fileUrl": None,
            **self._attribution(given),
            **given,
        }
        crm.account.notes.append(record)
        return json_response(crm.item(record), 201)

    def list_tasks(self, request: Request, body: bytes) -> Response:
        """Give tasks by due date; both bounds are inclusive."""
        query = request.query_params
        rows = [
            row
            for row in self._crm.account.tasks
            if _equal(row, request, "prospectId", "assignedTo", "userId")
            and ("dueAfter" not in query or row["dueAt"] >= fields.moment("dueAfter", query["dueAfter"]))
            and ("dueBefore" not in query or row["dueAt"] <= fields.moment("dueBefore", query["dueBefore"]))
        ]
        return self._page(request, sorted(rows, key=lambda row: (row["dueAt"], row["id"])))

    def create_task(self, request: Request, body: bytes) -> Response:
        """Give somebody a task about a prospect."""
        crm = self._crm
        given = self._given(body, TASK, ("prospectId", "assignedTo", "task"))
        if given["assignedTo"] not in crm.account.users:
            raise bad_request("assignedTo does not name a user of this account")
        record = {
            "id": crm.account.new_id(),
            "dueAt": crm.now_ms(),
            "completed": False,
            "createdAt": crm.now_ms(),
            **self._attribution(given),
            **given,
        }
        crm.account.tasks.append(record)
        return json_response(crm.item(record), 201)

    def _given(
        self, body: bytes, checks: dict[str, fields.Check], required: tuple[str, ...]
    ) -> dict[str, Any]:
        given = fields.checked(
            fields.json_object(body),
            checks,
            required=required,
            reject_unknown=self._crm.unknown_keys == "reject",
        )
        if given["prospectId"] not in self._crm.account.prospects:
            raise bad_request("prospectId does not name a prospect")
        return given

    def _attribution(self, given: dict[str, Any]) -> dict[str, Any]:
        by_api = "userId" not in given
        return {
            "userId": None,
            "createdByApi": by_api,
            "createdByApiKeyId": self._crm.key_id if by_api else None,
            "createdByApiKeyName": self._crm.key_name if by_api else None,
        }

    def _page(self, request: Request, rows: list[Record]) -> Response:
        query = request.query_params
        size = fields.limit(query.get("limit"), default=50, highest=200, clamp=self._crm.clamps_limits)
        if token := query.get("pageToken"):
            after = fields.anchor(token)
            place = next((index for index, row in enumerate(rows) if row["id"] == after), None)
            if place is None:
                raise bad_request("Invalid page token")
            rows = rows[place + 1 :]
        page = rows[:size]
        pagination: dict[str, Any] = {}
        if len(rows) > size:
            pagination["nextPageToken"] = fields.page_token(page[-1]["id"])
        return json_response({"success": True, "items": page, "pagination": pagination})


def _equal(row: Record, request: Request, *names: str) -> bool:
    query = request.query_params
    return all(name not in query or row.get(name) == query[name] for name in names)
