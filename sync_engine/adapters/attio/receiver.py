"""Take Attio's deliveries: none is about a meeting itself, some name one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sync_engine.adapters.attio import webhooks
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.receiving import WebhookSecrets, named, readable
from sync_engine.core.ports import Hints, Observation, Reply
from sync_engine.errors import UnmappableRecordError


class AttioReceiver:
    """Check and read the deliveries of one connection."""

    def __init__(self, settings: AttioSettings, around: Surroundings) -> None:
        self._secrets = WebhookSecrets(settings, around)

    @property
    def listens(self) -> bool:
        """Tell whether there is a secret to check deliveries with."""
        return bool(self._secrets)

    def authenticate(self, body: bytes, headers: Mapping[str, str], now: datetime) -> bool:
        """Tell whether Attio signed the raw body; its signature covers no time."""
        return self._secrets.fit(lambda secrets: webhooks.is_authentic(body, headers, secrets))

    def challenge(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Reply | None:
        """Say that Attio asks nothing."""
        return None

    def delivery_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Give the key that is the same for every repetition."""
        return webhooks.delivery_id(body, headers)[:200]

    def hints(self, body: bytes) -> Hints:
        """Read which meetings are named. Raises UnmappableRecordError."""
        found = readable(body)
        if not isinstance(found, dict) or not isinstance(found.get("events"), list):
            raise UnmappableRecordError("the body has no list of events")
        events = webhooks.parse_events(body)
        return Hints(records=named(event.meeting_id for event in events if event.meeting_id))

    def is_known(self, claims: Mapping[str, str], shown: Observation) -> bool:
        """Say that Attio's deliveries show nothing."""
        return False
