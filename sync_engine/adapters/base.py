"""What every adapter package is built with: its settings and its surroundings."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    SecretStr,
    field_validator,
    model_validator,
)

from sync_engine.adapters.pacing import Pacer
from sync_engine.core.ports import Json, Now, Vault

WriteKind = Literal["create", "update", "delete"]
CreateRule = Literal["always", "never", "virtual_without_link"]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_base_url(value: str) -> str:
    """Refuse a base URL that would send credentials in the clear; a trailing slash is dropped."""
    value = value.strip()
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as https://api.example.com")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("plain http is allowed for this machine only; use https")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not hold credentials, a query or a fragment")
    return value.rstrip("/")


class ConnectionSettings(BaseModel):
    """Settings that stand on every connection; an adapter adds its own.

    ``previous_webhook_secret`` is accepted beside ``webhook_secret``, so that a secret can be changed at
    the provider and here one after the other.
    """

    # A refused value can be a secret, or a URL with one in it: errors name the key and the rule only.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    provider: str
    base_url: str
    webhook_secret: SecretStr | None = None
    previous_webhook_secret: SecretStr | None = None
    writes: tuple[WriteKind, ...] = ("create", "update", "delete")
    create: CreateRule = "always"
    replace: bool = False
    twin_grace_minutes: float = Field(default=0, ge=0)
    share_private: bool = False
    transcripts: bool = False
    timeout_seconds: float = Field(default=30, gt=0)
    concurrency: int = Field(default=8, ge=1, le=64)
    rates: dict[str, PositiveFloat] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _safe_base_url(cls, value: str) -> str:
        return check_base_url(value)

    @model_validator(mode="after")
    def _current_secret_first(self) -> Self:
        if self.previous_webhook_secret is not None and self.webhook_secret is None:
            raise ValueError("previous_webhook_secret needs webhook_secret, which is the current one")
        return self


@dataclass(frozen=True)
class Surroundings:
    """Everything an adapter is given besides its settings.

    ``on_request`` hears of every request sent: HTTP method, operation name, status code (None when no
    answer came) and milliseconds. ``memory``: what ``Adapter.memory`` gave at the end of an earlier run.
    ``sleep`` waits between attempts. ``webhook_vault`` keeps the secret of a webhook we registered.
    """

    workspace: str
    connection: str
    now: Now
    pacer: Pacer
    vault: Vault
    sleep: Callable[[float], Awaitable[None]]
    on_request: Callable[[str, str, int | None, float], None] = lambda *_: None
    memory: Mapping[str, Json] = field(default_factory=dict)
    webhook_vault: Vault | None = None


Build = Callable[[Any, Surroundings], Any]
