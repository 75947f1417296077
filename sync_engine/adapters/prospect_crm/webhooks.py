"""Check and read deliveries. The CRM announces prospects only; meetings have to be polled."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sync_engine.core.ports import Json

HEADERS = ("x-hiringcenter-signature", "x-hiringcenter-pro-signature")
TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Hint:
    """What a delivery says is worth a look: a prospect who may be the one a held meeting waits for."""

    event: str
    prospect_id: str


def is_authentic(body: bytes, headers: Mapping[str, str], secrets: Iterable[str], *, now: datetime) -> bool:
    """Tell whether a delivery was signed with one of our secrets, within five minutes.

    The MAC covers the exact bytes received; during a rotation the header carries several.
    Units: the signature's moment is in seconds.
    """
    for value in _signatures(headers):
        moment, macs = _parts(value)
        if moment is None or abs(now.timestamp() - moment) > TOLERANCE_SECONDS:
            continue
        signed = f"{moment}.".encode() + body
        for secret in secrets:
            expected = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
            # No early end: how long this takes must not tell which secret nearly fits.
            if any([hmac.compare_digest(expected, mac) for mac in macs]):  # noqa: C419
                return True
    return False


def delivery_id(body: bytes, headers: Mapping[str, str]) -> str:  # noqa: ARG001
    """Name a delivery, to recognise a repeated one; the headers hold no id, and a new signature each time."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def parse_events(body: bytes) -> tuple[Hint, ...]:
    """Read which prospects a delivery is about; empty for anything else.

    The envelope is not documented, so its parts are looked for under every name that was seen.
    """
    try:
        found = json.loads(body)
    except ValueError:
        return ()
    if not isinstance(found, dict):
        return ()
    event = _first_text(found, "eventType", "event", "type")
    record = next((found[k] for k in ("data", "item", "prospect") if isinstance(found.get(k), dict)), found)
    inner = record.get("prospect")
    record = inner if isinstance(inner, dict) else record
    prospect_id = _first_text(record, "id", "prospectId", "prospect_id")
    if not prospect_id or (event and not event.startswith("prospect")):
        return ()
    return (Hint(event, prospect_id),)


def _signatures(headers: Mapping[str, str]) -> list[str]:
    lowered = {name.lower(): value for name, value in headers.items()}
    return [lowered[name] for name in HEADERS if name in lowered]


def _parts(value: str) -> tuple[int | None, list[bytes]]:
    moment: int | None = None
    macs: list[bytes] = []
    for part in value.split(","):
        name, _, text = part.strip().partition("=")
        if name == "t":
            moment = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
        elif name == "v1":
            try:
                macs.append(bytes.fromhex(text.strip()))
            except ValueError:
                continue
    return moment, macs


def _first_text(record: Mapping[str, Json], *names: str) -> str:
    texts: list[Any] = [record.get(name) for name in names]
    return next((text for text in texts if isinstance(text, str) and text), "")
