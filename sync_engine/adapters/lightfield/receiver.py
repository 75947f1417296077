"""Take the calls of Lightfield's workflows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.lightfield import webhooks
from sync_engine.adapters.lightfield.settings import LightfieldSettings
from sync_engine.adapters.receiving import WebhookSecrets, named, readable
from sync_engine.core.ports import Hints, Observation, Reply


class LightfieldReceiver:
    """Check and read the calls of one connection."""

    def __init__(self, settings: LightfieldSettings, around: Surroundings) -> None:
        self._secrets, self._header = WebhookSecrets(settings, around), settings.webhook_header

    @property
    def listens(self) -> bool:
        """Tell whether there is a secret to check calls with."""
        return bool(self._secrets)

    def authenticate(self, body: bytes, headers: Mapping[str, str], now: datetime) -> bool:
        """Tell whether a call carries the secret; it covers neither body nor time."""
        header = self._header
        return self._secrets.fit(lambda secrets: webhooks.is_authentic(body, headers, secrets, header=header))

    def challenge(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Reply | None:
        """Say that Lightfield asks nothing."""
        return None

    def delivery_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Give a digest of the body, which holds the moment of the change."""
        return webhooks.delivery_id(body, headers)

    def hints(self, body: bytes) -> Hints:
        """Read which meetings are named. Raises UnmappableRecordError."""
        readable(body)
        return Hints(records=named(hint.meeting_id for hint in webhooks.parse_events(body)))

    def is_known(self, claims: Mapping[str, str], shown: Observation) -> bool:
        """Say that what a workflow sends along is not looked at."""
        return False
