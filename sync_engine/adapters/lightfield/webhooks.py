"""Calls from a Lightfield workflow: hints to read a meeting again, and nothing more.

Lightfield signs nothing. The workflow's author puts a fixed secret into a header and types the body,
which the set-up guide wants to be ``{"meetingId": "...", "occurredAt": "..."}``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping

NAMES_OF_THE_ID = ("meetingId", "meeting_id", "id")
LONGEST_ID = 200


def is_authentic(headers: Mapping[str, str], *, secret: str, header: str) -> bool:
    """Tell whether a call carries the secret; takes equally long whatever was sent."""
    sent = next((value for name, value in headers.items() if name.lower() == header.lower()), "")
    return bool(secret) and hmac.compare_digest(sent.encode(), secret.encode())


def parse_events(body: bytes) -> tuple[str, ...]:
    """Give the ids of the meetings a call speaks of; none if the body is of another form."""
    try:
        told = json.loads(body)
    except ValueError:
        return ()
    found = [_meeting_id(item) for item in (told if isinstance(told, list) else [told])]
    return tuple(dict.fromkeys(one for one in found if one))


def _meeting_id(item: object) -> str:
    if not isinstance(item, dict):
        return ""
    values = (item.get(name) for name in NAMES_OF_THE_ID)
    return next((v for v in values if isinstance(v, str) and 0 < len(v) <= LONGEST_ID), "")
