"""Zoom's webhooks: is it from Zoom, what is it about, and the answer to its challenge.

A delivery is a hint to read: events come late, twice, out of order, and show only part of a meeting.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

# Zoom retries 5, 25 and 85 minutes after the first attempt, possibly with the first one's timestamp.
TOLERANCE = timedelta(minutes=120)
CHALLENGE = "endpoint.url_validation"
_DELETIONS = frozenset({"meeting.deleted", "meeting.permanently_deleted"})
_OF_MEETINGS = ("meeting.", "recording.")


@dataclass(frozen=True, slots=True)
class Hint:
    """What one event says should be read again.

    ``external_ids``: the occurrences it names, else the meeting or series itself. ``number``: the
    meeting's number. ``moment``: when Zoom says it happened. ``deleted``: the event says these are gone.
    """

    event: str
    number: str
    external_ids: tuple[str, ...]
    host_id: str = ""
    moment: datetime | None = None
    deleted: bool = False
    occurrence_ids: tuple[str, ...] = ()


def is_authentic(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> bool:
    """Tell whether a delivery was signed by Zoom, over its raw bytes, with one of the secrets.

    Several secrets are in use while one is being replaced.
    """
    return _signing_secret(body, headers, secrets, now, tolerance) is not None


def answer_challenge(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> bytes | None:
    """Give the JSON to answer Zoom's challenge with; None for any other delivery, or a forged one.

    Zoom asks when the address is saved and every 72 hours, and wants the answer within 3 seconds.
    """
    event = _event(body)
    token = _dict(event.get("payload")).get("plainToken")
    if event.get("event") != CHALLENGE or not isinstance(token, str):
        return None
    secret = _signing_secret(body, headers, secrets, now, tolerance)
    if secret is None:
        return None
    encrypted = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"plainToken": token, "encryptedToken": encrypted}).encode()


def delivery_id(body: bytes, headers: Mapping[str, str]) -> str:
    """Give what a repeated delivery has in common: Zoom's request id, else a digest of the body."""
    sent = _lower(headers).get("x-zm-request-id", "").strip()
    return sent[:200] or hashlib.sha256(body).hexdigest()


def parse_events(body: bytes) -> tuple[Hint, ...]:
    """Read the hints of a delivery; none where it is about something else or cannot be read."""
    event = _event(body)
    name = event.get("event")
    if not isinstance(name, str) or not name.startswith(_OF_MEETINGS):
        return ()
    payload = _dict(event.get("payload"))
    shown = _dict(payload.get("object"))
    number = _number(shown.get("id", shown.get("meeting_id")))
    if not number:
        return ()
    is_single = "single" in {payload.get("operation"), payload.get("scope")}
    occurrences = tuple(_occurrence_ids(shown)) if is_single else ()
    host = shown.get("host_id")
    return (
        Hint(
            event=name,
            number=number,
            external_ids=tuple(f"{number}/{one}" for one in occurrences) or (number,),
            host_id=host if isinstance(host, str) else "",
            moment=_moment(payload.get("time_stamp")) or _moment(event.get("event_ts")),
            deleted=name in _DELETIONS,
            occurrence_ids=occurrences,
        ),
    )


def _signing_secret(
    body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime, tolerance: timedelta
) -> str | None:
    known = _lower(headers)
    stamp, signature = known.get("x-zm-request-timestamp", ""), known.get("x-zm-signature", "")
    sent = _moment(stamp)
    if sent is None or abs(now - sent) > tolerance:
        return None
    message = b"v0:" + stamp.encode() + b":" + body
    found = None
    for secret in secrets:
        expected = "v0=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        if secret and hmac.compare_digest(expected.encode(), signature.encode()):
            found = secret
    return found


def _moment(value: Any) -> datetime | None:
    """Read seconds or milliseconds since 1970, as a number or as text."""
    try:
        number = int(value)
        return datetime.fromtimestamp(number / 1000 if number > 10**11 else number, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _event(body: bytes) -> dict[str, Any]:
    try:
        return _dict(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.casefold(): value for name, value in headers.items()}


def _number(value: Any) -> str:
    """Give a meeting number as text; Zoom sends it as a number in some events and as text in others."""
    try:
        return "" if isinstance(value, bool) else str(int(value))
    except (TypeError, ValueError, OverflowError):
        return ""


def _occurrence_ids(shown: Mapping[str, Any]) -> Iterator[str]:
    rows = shown.get("occurrences")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("occurrence_id"):
            yield str(row["occurrence_id"])
