"""Take the CRM's deliveries: they announce prospects, whom a held meeting may be waiting for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.prospect_crm import webhooks
from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings
from sync_engine.adapters.receiving import WebhookSecrets, named, readable
from sync_engine.core.ports import Hints, Observation, Reply
from sync_engine.errors import UnmappableRecordError


class ProspectCrmReceiver:
    """Check and read the deliveries of one connection."""

    def __init__(self, settings: ProspectCrmSettings, around: Surroundings) -> None:
        self._secrets = WebhookSecrets(settings, around)

    @property
    def listens(self) -> bool:
        """Tell whether there is a secret to check deliveries with."""
        return bool(self._secrets)

    def authenticate(self, body: bytes, headers: Mapping[str, str], now: datetime) -> bool:
        """Tell whether the CRM signed the raw body within five minutes."""
        return self._secrets.fit(lambda secrets: webhooks.is_authentic(body, headers, secrets, now=now))

    def challenge(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Reply | None:
        """Say that the CRM asks nothing."""
        return None

    def delivery_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Give a digest of the body: the CRM sends no id."""
        return webhooks.delivery_id(body, headers)

    def hints(self, body: bytes) -> Hints:
        """Read which prospects are named. Raises UnmappableRecordError."""
        if not isinstance(readable(body), dict):
            raise UnmappableRecordError("the body is JSON, but no object")
        return Hints(people=named(hint.prospect_id for hint in webhooks.parse_events(body)))

    def is_known(self, claims: Mapping[str, str], shown: Observation) -> bool:
        """Say that no delivery is about a meeting."""
        return False
