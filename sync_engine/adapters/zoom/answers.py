"""What Zoom's answers mean: its own error codes and rate-limit texts, turned into our errors.

``code`` in a body is Zoom's number, not the HTTP status, and the same status carries many meanings.
Texts of Zoom are looked at, never passed on: they can name people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sync_engine.adapters.http import Answer
from sync_engine.adapters.retry_after import parse_retry_after, retry_moment
from sync_engine.core.ports import Now
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    ProviderError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    UnavailableError,
)

HOST_CAP = "host_cap"
TOKEN_REFUSED = "124"
GONE = "3001"
WEBINAR = "3000"
BAD_REQUEST = "300"
NO_HOST = frozenset({"3161", "1001", "1010", "1120"})
MISSING_SCOPE = frozenset({"4711", "4700"})

_CREDENTIALS = {
    TOKEN_REFUSED: "the access token was refused",
    "4702": "client_id or client_secret is wrong",
    "4704": "client_id or client_secret is wrong",
    "4705": "the app does not allow this kind of token",
    "4706": "the token request lacks a credential",
    "4709": "the redirect address of the app does not match",
    "4717": "the app is disabled",
    "4733": "the authorisation code expired",
    "4734": "the authorisation code is not valid",
    "4735": "the user who authorised the app is gone",
    "4737": "the authorisation is not valid",
    "4738": "an administrator disabled the app",
    "4740": "the authorisation is not valid",
    "4741": "the token was revoked",
    "invalid_grant": "the authorisation is not valid any more",
    "invalid_client": "client_id or client_secret is wrong",
    "invalid_request": "the token request was refused",
    "unauthorized_client": "the app does not allow this kind of token",
    "unsupported_grant_type": "the app does not allow this kind of token",
}
_REFUSED = {
    "200": "a paid plan or a permission is missing",
    "201": "the app has no permission for this",
    BAD_REQUEST: "a value was not accepted",
    "1001": "no such user in this account",
    "1010": "the user is not in this account",
    "1120": "the user's invitation is pending or expired",
    "2300": "there is no such endpoint",
    "2305": "access is restricted by the account",
    "2306": "access is restricted by the account",
    WEBINAR: "Zoom refused; the number may belong to a webinar, or the user is blocked",
    "3002": "the meeting is in progress",
    "3003": "the user is not the host of the meeting",
    "3007": "the meeting has ended",
    "3018": "a personal meeting room cannot be deleted",
    "3037": "an audio conference cannot be deleted",
    "3043": "no more people can register",
    "3063": "an on-premise meeting cannot be ended",
    "3161": "the user may not host meetings",
    "12702": "the meeting is more than a year old",
    "12703": "the app has no permission for this group",
}
_GONE = frozenset({GONE, "3301", "3322"})
_SCOPE = re.compile(r"\b[a-z_]+(?::[a-z_]+){1,3}\b")
_FIELD = re.compile(r"[a-z_]+(?:\.[a-z_]+)*(?:\[\d+\])?")

PER_SECOND_WAIT = timedelta(seconds=1)
CONCURRENT_WAIT = timedelta(seconds=2)


class RedirectError(RefusedError):
    """An answer pointed elsewhere; only a download follows it, and only inside Zoom's domain."""

    def __init__(self, location: str) -> None:
        super().__init__("the answer points to another address")
        self.location = location


def next_utc_midnight(now: datetime) -> datetime:
    """Give the moment Zoom's daily counters start anew."""
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def build_classify(
    now: Now, learn_rate: Callable[[str, float], None]
) -> Callable[[Answer], ProviderError | None]:
    """Build the classification of answers; ``learn_rate`` hears of rates that headers name."""

    def classify(answer: Answer) -> ProviderError | None:
        _learn(answer.headers, learn_rate)
        if 200 <= answer.status < 300:
            return _hidden_error(answer)
        if 300 <= answer.status < 400:
            return RedirectError(answer.headers.get("location", ""))
        body = answer.json_or_none()
        code, message = _code(body)
        if answer.status == 429 or code == "429":
            return _limited(answer, message, now())
        if answer.status >= 500 or answer.status in {408, 409, 425}:
            return UnavailableError("Zoom is unavailable", code=code)
        return _by_code(code, body, message) or _by_status(answer.status, code)

    return classify


def _code(body: Any) -> tuple[str | None, str]:
    """Read Zoom's code and text; the token endpoint has words where the API has numbers."""
    if not isinstance(body, dict):
        return None, ""
    code, message = body.get("code"), body.get("message") or body.get("errorMessage")
    if code is None:
        code = body.get("errorCode", body.get("error"))
    known = isinstance(code, int) or (isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}|\d{1,6}", code))
    return (str(code) if known else None), message if isinstance(message, str) else ""


def _hidden_error(answer: Answer) -> ProviderError | None:
    """Find the error in an answer that claims success: a gateway's page, or a body with an error code."""
    content = answer.content.lstrip()
    if content.startswith(b"<"):
        return InvalidResponseError("the answer is not JSON")
    # Error bodies are short; a page of meetings is not parsed a second time for this.
    if len(content) > 2_000 or b'"code"' not in content:
        return None
    body = answer.json_or_none()
    code, message = _code(body)
    if not isinstance(body, dict) or "code" not in body or code in {None, "0"}:
        return None
    return _by_code(code, body, message) or RefusedError("Zoom reported an error", code=code)


def _by_code(code: str | None, body: Any, message: str) -> ProviderError | None:
    if code is None:
        return None
    if code in _GONE:
        return RecordGoneError("no such record: deleted, expired, or of another account", code=code)
    if code in MISSING_SCOPE:
        return CredentialsError(_missing_scope(message), code=code)
    if code in _CREDENTIALS:
        return CredentialsError(_CREDENTIALS[code], code=code)
    if code == BAD_REQUEST:
        return RefusedError(f"{_REFUSED[code]}{_fields(body)}", code=code)
    if code in _REFUSED:
        return RefusedError(_REFUSED[code], code=code)
    return None


def _by_status(status: int, code: str | None) -> ProviderError | None:
    if status == 404 and code is None:
        # Only code 3001 says that a meeting is gone; a bare 404 comes from something in between.
        return UnavailableError("an answer 404 without Zoom's code")
    if code is not None and status in {403, 404, 410}:
        return RefusedError(f"Zoom refused the request (HTTP {status})", code=code)
    return None


def _missing_scope(message: str) -> str:
    scopes = sorted(set(_SCOPE.findall(message)))
    return f"the app lacks a scope, one of: {', '.join(scopes)}" if scopes else "the app lacks a scope"


def _fields(body: Any) -> str:
    """Name the fields Zoom complains about (its own names, nothing of what they held)."""
    errors = body.get("errors") if isinstance(body, dict) else None
    names = [e.get("field") for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
    known = [name for name in names if isinstance(name, str) and _FIELD.fullmatch(name)]
    return f": {', '.join(known[:5])}" if known else ""


def _limited(answer: Answer, message: str, now: datetime) -> RateLimitedError:
    """Tell the five kinds of 429 apart by their text, then by their headers."""
    text, headers = message.casefold(), answer.headers
    named, midnight = parse_retry_after(headers.get("retry-after"), now), next_utc_midnight(now)
    if "create/update" in text:
        # ``scope`` is completed by whoever knows the host; it must not be empty, or every host would pause.
        return RateLimitedError(
            "the host's daily limit of writes is reached", retry_at=midnight, scope="host", code=HOST_CAP
        )
    if "per-second" in text or "per second" in text:
        return RateLimitedError("too many requests per second", retry_at=named or now + PER_SECOND_WAIT)
    if "concurrent" in text:
        return RateLimitedError("too many requests at once", retry_at=named or now + CONCURRENT_WAIT)
    if "daily" in text or headers.get("x-ratelimit-type", "").casefold().startswith("daily"):
        return RateLimitedError("a daily limit is reached", retry_at=named or midnight)
    return RateLimitedError(
        "the rate limit is reached", retry_at=retry_moment(headers, now, fallback_seconds=2.0)
    )


def _learn(headers: Mapping[str, str], learn_rate: Callable[[str, float], None]) -> None:
    if headers.get("x-ratelimit-type", "").casefold() != "qps":
        return
    category, limit = headers.get("x-ratelimit-category", ""), headers.get("x-ratelimit-limit", "")
    if category and limit.isascii() and limit.isdigit() and int(limit) > 0:
        learn_rate(category.casefold(), float(limit))
