"""Attio's webhooks: is a delivery authentic, and what does it hint at.

There is no event about meetings. Recordings, notes, records and members have some, and they carry ids
only, so every one is a hint to read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sync_engine.adapters.attio.client import AttioClient

SIGNATURE_HEADERS = ("attio-signature", "x-attio-signature")
EVENT_TYPES = (
    "call-recording.created",
    "note.created",
    "note.deleted",
    "record.merged",
)


@dataclass(frozen=True, slots=True)
class Hint:
    """One event: its type, and the ids it names. ``meeting_id``: the meeting worth reading, if any."""

    event_type: str
    meeting_id: str | None
    ids: Mapping[str, str]


def is_authentic(body: bytes, headers: Mapping[str, str], secrets: Iterable[str]) -> bool:
    """Tell whether the raw body was signed with one of the secrets.

    The signature is the hexadecimal HMAC-SHA256 of the body alone; no time is part of it. Several secrets
    are those of several webhooks, or the old and the new one of a change.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    given = [lower[name].strip().lower() for name in SIGNATURE_HEADERS if name in lower]
    authentic = False
    for secret in secrets:
        if not secret:
            continue
        expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
        for signature in given:
            authentic |= hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    return authentic


def delivery_id(body: bytes, headers: Mapping[str, str]) -> str:
    """Give what identifies a delivery over all its repetitions; without a key, the body's digest."""
    lower = {name.lower(): value for name, value in headers.items()}
    return lower.get("idempotency-key", "").strip() or hashlib.sha256(body).hexdigest()


def parse_events(body: bytes) -> tuple[Hint, ...]:
    """Read the events of a delivery; several are usual, unknown types are kept, unreadable ones left out."""
    try:
        document = json.loads(body)
    except ValueError:
        return ()
    events = document.get("events") if isinstance(document, dict) else None
    hints = (_hint(event) for event in events) if isinstance(events, list) else ()
    return tuple(hint for hint in hints if hint is not None)


def _hint(event: Any) -> Hint | None:
    if not isinstance(event, dict) or not isinstance(event.get("event_type"), str):
        return None
    identity = event.get("id")
    pairs = identity.items() if isinstance(identity, dict) else ()
    ids = {str(name): value for name, value in pairs if isinstance(value, str)}
    return Hint(event["event_type"], ids.get("meeting_id"), ids)


async def ensure_webhook(client: AttioClient, target_url: str) -> str | None:
    """Subscribe unless that is done already; gives the new secret, to be stored at once, or None.

    Attio tells a secret once. Newer servers refuse a second equal subscription, older ones accept it, so
    every page of the existing ones is looked through first.
    """
    wanted = set(EVENT_TYPES)
    for webhook in await client.list_webhooks():
        if webhook.target_url == target_url and webhook.status != "inactive":
            wanted -= {subscription.event_type for subscription in webhook.subscriptions}
    if not wanted:
        return None
    created = await client.create_webhook(target_url, sorted(wanted))
    return created.secret if created else None
