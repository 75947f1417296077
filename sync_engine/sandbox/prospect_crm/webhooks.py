"""Signed deliveries of prospect events; there are none for meetings."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sync_engine.sandbox.server import Delivery


def signature(secrets: Iterable[str], moment: datetime, body: bytes) -> str:
    """Sign a body: ``t=<unix seconds>`` and one ``v1`` for each secret, the current one first."""
    seconds = int(moment.timestamp())
    signed = f"{seconds}.".encode() + body
    macs = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    return ",".join([f"t={seconds}", *(f"v1={mac}" for mac in macs)])


def delivery(
    name: str, header: str, secrets: Iterable[str], moment: datetime, event: str, data: Mapping[str, Any]
) -> Delivery:
    """Build one delivery with its exact bytes."""
    body = json.dumps({"eventType": event, "data": data}, separators=(",", ":")).encode()
    return Delivery(
        name, body, {"Content-Type": "application/json", header: signature(secrets, moment, body)}
    )
