"""What the receivers of all adapters share: the secrets in use, and reading a body with suspicion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from sync_engine.adapters.base import ConnectionSettings, Surroundings
from sync_engine.core.ports import Json, Vault
from sync_engine.errors import UnmappableRecordError

# Somebody who sends forged deliveries must not make us ask the store for each of them.
LOOK_AGAIN_AFTER = timedelta(seconds=10)
# A delivery names a handful of records; more is not worth believing.
MOST_NAMED = 500
MOST_KEPT = 3
_USABLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=@+-]{0,199}")


class WebhookSecrets:
    """Know the secrets a delivery may be signed with.

    Those of the settings, the current one first, then those that were kept when we registered webhooks.
    The latter may have been stored by another process since, so a delivery that fits none makes us look.
    """

    def __init__(self, settings: ConnectionSettings, around: Surroundings) -> None:
        given = (settings.webhook_secret, settings.previous_webhook_secret)
        self._configured = tuple(text for one in given if (text := _text_of(one)))
        self._vault, self._now = around.webhook_vault, around.now
        self._kept: tuple[str, ...] = ()
        self._looked_at: datetime | None = None

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._configured or self._kept or self._look())

    def fit(self, check: Callable[[Sequence[str]], bool]) -> bool:
        """Tell whether a delivery fits one of the secrets."""
        return check(self.known) or (self._look() and check(self.known))

    @property
    def known(self) -> tuple[str, ...]:
        """Give the secrets known now."""
        return (*self._configured, *self._kept)

    def _look(self) -> bool:
        """Look for a kept secret, now and then; tells whether another one was found."""
        now = self._now()
        recently = self._looked_at is not None and abs(now - self._looked_at) < LOOK_AGAIN_AFTER
        if self._vault is None or recently:
            return False
        self._looked_at = now
        found = tuple((self._vault.load() or "").split())
        is_new = bool(found) and found != self._kept
        self._kept = found
        return is_new


def keep_secret(vault: Vault, secret: str) -> None:
    """Keep the secret of a webhook that was just registered; earlier webhooks may still deliver."""
    earlier = [one for one in (vault.load() or "").split() if one != secret]
    vault.store("\n".join([secret, *earlier][:MOST_KEPT]))


def _text_of(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def readable(body: bytes) -> Json:
    """Parse a body. Raises UnmappableRecordError for one that is not JSON; never quotes it."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise UnmappableRecordError("the body is not JSON") from None
    if not isinstance(found, dict | list):
        raise UnmappableRecordError("the body is JSON, but no object")
    return found


def named(ids: Iterable[str]) -> tuple[str, ...]:
    """Give the ids once each, without what no provider would use as one: they become parts of paths."""
    usable = dict.fromkeys(one for one in ids if _USABLE_ID.fullmatch(one) and ".." not in one)
    return tuple(usable)[:MOST_NAMED]
