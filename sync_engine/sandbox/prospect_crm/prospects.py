"""The prospect endpoints: search, get, create-or-update, and the poll feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from sync_engine.sandbox.prospect_crm import fields
from sync_engine.sandbox.prospect_crm.refusals import RefusalError, bad_request
from sync_engine.sandbox.prospect_crm.state import Record
from sync_engine.sandbox.server import json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.prospect_crm.sandbox import ProspectCrmSandbox

HIGHEST_LIMIT = 100


def _labels(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [label.strip() for label in value.split(",") if label.strip()]
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return value
    raise bad_request(f"{name} must be a list of strings or a comma-separated string")


def _license(name: str, value: Any) -> Any:
    if value not in {"not_started", "in_progress", "licensed", None}:
        raise bad_request(f"{name} is not a known status")
    return value


SHOWN: dict[str, fields.Check] = {
    "firstName": fields.text,
    "lastName": fields.text,
    "email": fields.text_or_null,
    "phone": fields.text_or_null,
    "title": fields.text_or_null,
    "company": fields.text_or_null,
    "labels": _labels,
}
ACCEPTED: dict[str, fields.Check] = {
    **SHOWN,
    "update": fields.truth,
    "userId": fields.text,
    "licenseStatus": _license,
    **dict.fromkeys(
        ("stageId", "pipelineId", "notes", "streetAddress", "city", "state", "postalCode"),
        fields.text_or_null,
    ),
}


def phone_digits(phone: str | None) -> str | None:
    """Bring a phone number to ``+digits``; None if it cannot be one."""
    digits = "".join(c for c in phone or "" if c.isdigit())
    if len(digits) == 10:
        digits = f"1{digits}"
    return f"+{digits}" if 11 <= len(digits) <= 15 else None


class ProspectEndpoints:
    """Answer prospect requests; called under the world's lock."""

    def __init__(self, crm: ProspectCrmSandbox) -> None:
        self._crm = crm

    def search(self, request: Request, body: bytes) -> Response:
        """Search prospects; there are no further pages."""
        crm, query = self._crm, request.query_params
        size = fields.limit(
            query.get("limit"),
            default=1 if crm.generation == "G2" else 25,
            highest=HIGHEST_LIMIT,
            clamp=crm.clamps_limits,
        )
        among: Iterable[Record] = crm.account.prospects.values()
        if "email" in query and crm.email_match != "contains":
            among = crm.account.with_email(query["email"])
        found = [record for record in among if self._matches(record, request)]
        found.sort(key=lambda record: -record["createdAt"])
        if crm.generation == "G2":
            return json_response({"prospects": found[:size], "totalCount": len(found)})
        pagination = {"totalCount": len(found)}
        return json_response({"success": True, "items": found[:size], "pagination": pagination})

    def get(self, request: Request, body: bytes) -> Response:
        """Give one prospect."""
        record = self._crm.account.prospects.get(request.path_params["prospect_id"])
        if record is None:
            raise RefusalError(404, "Prospect not found")
        return json_response(self._crm.item(record))

    def create_or_update(self, request: Request, body: bytes) -> Response:
        """Create a prospect, or find one by e-mail or phone and, unless told not to, update it."""
        crm = self._crm
        given = fields.checked(
            fields.json_object(body),
            ACCEPTED,
            required=("firstName", "lastName"),
            reject_unknown=crm.unknown_keys == "reject",
        )
        default = crm.updates_prospects if crm.updates_prospects is not None else crm.generation == "G3"
        may_update = given.pop("update", default)
        shown = {name: value for name, value in given.items() if name in SHOWN}
        warning = None
        if shown.get("phone") is not None:
            shown["phone"] = phone_digits(shown["phone"])
            warning = None if shown["phone"] else "The phone number is invalid and was not stored"
        known = self._known(shown)
        if known is None:
            known = crm.new_prospect(**shown)
        elif may_update:
            known.update(shown, updatedAt=crm.now_ms())
            crm.account.prospects_changed()
        answer = crm.item(known)
        if warning:
            answer["message"] = warning
        return json_response(answer, 201)

    def poll(self, request: Request, body: bytes) -> Response:
        """Give the newest prospects as a flat feed."""
        if request.query_params.get("eventType", "prospect.created") != "prospect.created":
            raise bad_request("eventType is not supported")
        newest = sorted(self._crm.account.prospects.values(), key=lambda record: -record["createdAt"])
        return json_response([self._fed(record) for record in newest[:100]])

    def _fed(self, record: Record) -> dict[str, Any]:
        return {
            "id": record["id"],
            "first_name": record["firstName"],
            "last_name": record["lastName"],
            "email": record["email"],
            "phone": record["phone"],
            "title": record["title"],
            "company": record["company"],
            "created_at": fields.from_ms(record["createdAt"]).isoformat(),
            "updated_at": fields.from_ms(record["updatedAt"]).isoformat(),
        }

    def _known(self, shown: dict[str, Any]) -> Record | None:
        phone = shown.get("phone")
        for record in self._crm.account.with_email((shown.get("email") or "").strip()):
            return record
        for record in self._crm.account.prospects.values():
            if phone and record["phone"] == phone:
                return record
        return None

    def _matches(self, record: Record, request: Request) -> bool:
        query = request.query_params
        if "email" in query and not self._same_email(record["email"] or "", query["email"]):
            return False
        if "phone" in query and record["phone"] != phone_digits(query["phone"]):
            return False
        if "name" in query and query["name"].casefold() not in (
            f"{record['firstName']} {record['lastName']}".casefold()
        ):
            return False
        for name, key in (("title", "title"), ("company", "company"), ("stage", "currentStage")):
            if name in query and (record[key] or "").casefold() != query[name].casefold():
                return False
        labels = [one for text in query.getlist("label") for one in text.split(",")]
        return not labels or bool(set(labels[:10]) & set(record["labels"]))

    def _same_email(self, held: str, asked: str) -> bool:
        if self._crm.email_match == "contains":
            return asked.casefold() in held.casefold()
        if self._crm.email_match == "exact":
            return asked == held
        return asked.casefold() == held.casefold()
