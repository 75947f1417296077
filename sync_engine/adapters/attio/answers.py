"""What Attio's error answers mean."""

from __future__ import annotations

import re
from typing import Any

from sync_engine.adapters.http import Answer
from sync_engine.errors import CredentialsError, ProviderError, RecordGoneError, RefusedError

ABOUT_EXTERNAL_REF = "validation_type:external_ref"
CALENDAR_SYNCED = "system_edit_unauthorized"
NO_SUCH_RECORD = "not_found"
UNCLEAR_NOT_FOUND = "not_found:unclear"
NO_SUCH_ROUTE = "no_route"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CODE = re.compile(r"[a-z_]{1,40}")
_ROUTE = re.compile(r"/v2/|endpoint|route", re.IGNORECASE)
# Account limits are told with the status of a missing permission.
_PLAN_CODES = frozenset({"billing_error", "quota_exceeded"})


def classify(answer: Answer) -> ProviderError | None:
    """Name what an error answer means; None leaves it to its status.

    The status decides first, the open set of ``code`` values refines. The body writes its own status as
    ``status_code`` or ``statusCode``, so it is not read at all.
    """
    if answer.status not in {400, 403, 404, 405}:
        return None
    body = answer.json_or_none()
    known = body if isinstance(body, dict) else {}
    told = known.get("code")
    # A code goes into messages and logs, so it has to look like one.
    code = told if isinstance(told, str) and _CODE.fullmatch(told) else None
    if answer.status == 400:
        return _bad_request(code, known)
    if answer.status == 403:
        if code in _PLAN_CODES:
            return RefusedError(f"Attio refused the request ({code})", code=code)
        return CredentialsError("the token lacks a scope or a level that this call needs", code=code)
    return _not_found(answer.status, code, str(known.get("message", "")))


def _bad_request(code: str | None, body: dict[str, Any]) -> ProviderError:
    if (
        code == "validation_type"
        and "external_ref" in f"{body.get('message')} {body.get('validation_errors')}"
    ):
        code = ABOUT_EXTERNAL_REF
    return RefusedError(f"Attio refused the request ({code or 'HTTP 400'})", code=code)


def _not_found(status: int, code: str | None, message: str) -> ProviderError:
    """Tell a missing record from a missing route: only a record is named without a path."""
    if status == 405 or code not in {"not_found", "value_not_found"}:
        return RefusedError("Attio does not know this endpoint", code=NO_SUCH_ROUTE)
    named = bool(_UUID.search(message)) and not _ROUTE.search(message)
    return RecordGoneError("no such record", code=NO_SUCH_RECORD if named else UNCLEAR_NOT_FOUND)
