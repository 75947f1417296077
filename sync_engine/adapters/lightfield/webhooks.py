"""Calls from a Lightfield workflow: hints to read a meeting again, and nothing more.

Lightfield signs nothing. The workflow's author puts a fixed secret into a header and types the body,
which the set-up guide wants to be ``{"meetingId": "...", "occurredAt": "..."}``. There is no event for a
deletion.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sync_engine.core.ports import Json

NAMES_OF_THE_ID = ("meetingId", "meeting_id", "id")
LONGEST_ID = 200
DEFAULT_HEADER = "X-Sync-Secret"


@dataclass(frozen=True, slots=True)
class Hint:
    """Which meeting a call says should be read again."""

    meeting_id: str


def is_authentic(
    body: bytes,  # noqa: ARG001 - the secret stands in a header and covers no body
    headers: Mapping[str, str],
    secrets: Iterable[str],
    *,
    header: str = DEFAULT_HEADER,
) -> bool:
    """Tell whether a call carries one of the secrets; takes equally long whatever was sent.

    Several secrets are in use while one is being replaced.
    """
    sent = next((value for name, value in headers.items() if name.lower() == header.lower()), "")
    given = sent.encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(given, secret.encode()) for secret in secrets if secret]
    return any(matches)


def delivery_id(body: bytes, headers: Mapping[str, str]) -> str:  # noqa: ARG001 - none is sent
    """Give what a repeated call has in common: a digest of the body, which holds the moment of the change."""
    return hashlib.sha256(body).hexdigest()


def parse_events(body: bytes) -> tuple[Hint, ...]:
    """Read which meetings a call speaks of; none if the body is of another form."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    found = [_meeting_id(item) for item in (told if isinstance(told, list) else [told])]
    return tuple(Hint(one) for one in dict.fromkeys(found) if one)


def _meeting_id(item: Json) -> str:
    if not isinstance(item, dict):
        return ""
    values: list[Any] = [item.get(name) for name in NAMES_OF_THE_ID]
    return next((v for v in values if isinstance(v, str) and 0 < len(v) <= LONGEST_ID), "")
