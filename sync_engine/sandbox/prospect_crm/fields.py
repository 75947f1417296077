"""Read and check what callers send: moments, zones, bodies, limits."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

from sync_engine.sandbox.prospect_crm.refusals import bad_request

ZONES = frozenset(available_timezones())

Check = Callable[[str, Any], Any]
"""Takes a field's name and value, gives the value as it is stored, or refuses."""


def epoch_ms(moment: datetime) -> int:
    """Give Unix milliseconds of an aware moment."""
    return round(moment.timestamp() * 1000)


def from_ms(number: int) -> datetime:
    """Give the aware moment of Unix milliseconds."""
    return datetime.fromtimestamp(number / 1000, UTC)


def moment(name: str, value: Any) -> int:
    """Read epoch milliseconds or an ISO 8601 string (in UTC where it has no offset)."""
    if isinstance(value, bool):
        raise bad_request(f"{name} must be epoch milliseconds or an ISO 8601 date")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.lstrip("-").isdigit():
            return int(text)
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            raise bad_request(f"{name} must be epoch milliseconds or an ISO 8601 date") from None
        return epoch_ms(read if read.tzinfo else read.replace(tzinfo=UTC))
    raise bad_request(f"{name} must be epoch milliseconds or an ISO 8601 date")


def zone(name: str, value: Any) -> str:
    """Accept an IANA zone name."""
    if not isinstance(value, str) or value not in ZONES:
        raise bad_request(f"{name} must be an IANA time zone")
    return value


def text(name: str, value: Any) -> str:
    """Accept a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise bad_request(f"{name} must be a non-empty string")
    return value


def text_or_null(name: str, value: Any) -> str | None:
    """Accept any text, or null."""
    if value is not None and not isinstance(value, str):
        raise bad_request(f"{name} must be a string or null")
    return value


def truth(name: str, value: Any) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise bad_request(f"{name} must be a boolean")
    return value


def texts(name: str, value: Any) -> list[str]:
    """Accept a list of strings."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise bad_request(f"{name} must be a list of strings")
    return value


def json_object(raw: bytes) -> dict[str, Any]:
    """Read a body that must be a JSON object."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise bad_request("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise bad_request("The request body must be an object")
    return body


def checked(
    body: Mapping[str, Any],
    checks: Mapping[str, Check],
    *,
    required: Iterable[str] = (),
    reject_unknown: bool = True,
) -> dict[str, Any]:
    """Check a body against its fields and keep those that are known.

    ``reject_unknown``: refuse keys nobody documents; otherwise they are ignored.
    """
    if reject_unknown and (strange := sorted(set(body) - set(checks))):
        raise bad_request(f"Unknown field: {strange[0]}")
    if missing := [name for name in required if body.get(name) is None]:
        raise bad_request(f"Missing required field: {missing[0]}")
    return {name: checks[name](name, value) for name, value in body.items() if name in checks}


def limit(text: str | None, *, default: int, highest: int, clamp: bool) -> int:
    """Read a page size."""
    if text is None:
        return default
    if not text.isdigit() or int(text) < 1:
        raise bad_request("limit must be a positive integer")
    if int(text) > highest and not clamp:
        raise bad_request(f"limit must not exceed {highest}")
    return min(int(text), highest)


def page_token(record_id: str) -> str:
    """Give the token of the page that starts after a record."""
    return base64.urlsafe_b64encode(json.dumps({"id": record_id}).encode()).decode().rstrip("=")


def anchor(token: str) -> str:
    """Read the record a page token starts after."""
    try:
        read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return str(read["id"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise bad_request("Invalid page token") from None
