"""What Lightfield's answers mean, turned into our errors; its texts are never passed on.

Errors come wrapped in ``error`` or bare, and a gateway's error need not be JSON at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sync_engine.adapters.http import Answer
from sync_engine.errors import (
    CredentialsError,
    ProviderError,
    RecordGoneError,
    RefusedError,
    UnavailableError,
)

IN_FLIGHT = "idempotency_conflict"
UNKNOWN_FIELD = "unknown_field"

# Requests of which an answer 403 speaks of one record or one right, and not of the whole key.
CREATE, UPDATE, DELETE, RESTORE = "create_meeting", "update_meeting", "delete_meeting", "restore_meeting"
LIST, LIST_TRASH, READ = "list_meetings", "list_trashed_meetings", "get_meeting"
VALIDATE, DEFINITIONS = "validate_key", "get_definitions"
UPLOAD = "upload_file"
_NARROW = frozenset({CREATE, UPDATE, DELETE, RESTORE, LIST_TRASH, DEFINITIONS, UPLOAD})
# Requests about one record, of which an answer 404 says that it is not there.
_OF_ONE_RECORD = frozenset({READ, UPDATE, DELETE, RESTORE, "complete_file", "get_file_url"})

CATEGORIES = ("write", "read", "search")
WRITE, READING, SEARCH = CATEGORIES
_SEARCHES = frozenset({LIST, LIST_TRASH})
_READS = frozenset({READ, VALIDATE, DEFINITIONS, "get_file_url"})

# The rate is the whole organization's; pacing keeps the little below it that clocks may differ by.
DOCUMENTED_PER_SECOND = 25.0


class RuleError(RefusedError):
    """A request was refused because of one of its values; ``param`` names it."""

    def __init__(self, message: str, *, param: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.param = param


class ForbiddenError(RefusedError):
    """A right is missing for this one operation or record; the key is good otherwise."""


class ConcurrentChangeError(RefusedError):
    """Somebody else changes the record right now; nothing was written."""


def category_of(operation: str) -> str:
    """Give the rate category of an operation."""
    if operation in _SEARCHES:
        return SEARCH
    return READING if operation in _READS else WRITE


def build_classify(learn_rate: Callable[[str, float], None]) -> Callable[[Answer], ProviderError | None]:
    """Build the classification of answers; ``learn_rate`` hears of the rates that headers name."""

    def classify(answer: Answer) -> ProviderError | None:
        if answer.operation != UPLOAD:
            _learn(answer, learn_rate)
        if 200 <= answer.status < 300:
            return None
        facts = _facts(answer.json_or_none())
        if answer.status == 409:
            return _conflict(facts)
        return _by_status(answer, facts)

    return classify


def _learn(answer: Answer, learn_rate: Callable[[str, float], None]) -> None:
    try:
        limit = float(answer.headers.get("x-ratelimit-limit", ""))
    except ValueError:
        return
    if 0 < limit < 100_000:
        learn_rate(category_of(answer.operation), limit)


def _facts(body: Any) -> Mapping[str, str]:
    """Read type, code and param of an error in either form; nothing that could hold a person's data."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if not isinstance(body, dict):
        return {}
    form = re.compile(r"[A-Za-z0-9_$.\[\]-]{1,80}")
    return {
        key: value
        for key in ("type", "code", "param")
        if isinstance(value := body.get(key), str) and form.fullmatch(value)
    }


def _conflict(facts: Mapping[str, str]) -> ProviderError:
    if facts.get("type") == IN_FLIGHT:
        # The first request with this key is still at work; the same key will give its answer.
        return UnavailableError("an earlier request with this key is still in progress", code=IN_FLIGHT)
    return ConcurrentChangeError("the record is being changed by somebody else", code="conflict")


def _by_status(answer: Answer, facts: Mapping[str, str]) -> ProviderError | None:
    code = facts.get("code") or facts.get("type")
    if answer.status == 401 and answer.operation != UPLOAD:
        return CredentialsError("the API key is missing, wrong or revoked", code=code)
    if answer.status in {401, 403}:
        if answer.operation in _NARROW:
            return ForbiddenError("the key may not do this", code=code)
        return CredentialsError("the API key lacks a scope", code=code)
    if answer.status == 404:
        if answer.operation in _OF_ONE_RECORD:
            return RecordGoneError("no such record: deleted, unknown, or hidden from this key", code=code)
        return RefusedError("there is no such endpoint; is base_url right?", code=code)
    if answer.status in {400, 422} and "param" in facts:
        return RuleError("a value was not accepted", param=facts["param"], code=code)
    if 400 <= answer.status < 500 and answer.status not in {408, 425, 429}:
        return RefusedError(f"Lightfield refused the request (HTTP {answer.status})", code=code)
    return None
