"""Settings of a Zoom connection."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from sync_engine.adapters.base import ConnectionSettings, CreateRule, check_base_url
from sync_engine.core.meeting import normal_email

# Zoom allows this many create and update calls per host and UTC day, over all apps of the account.
DAILY_WRITES_PER_HOST = 100


class ZoomSettings(ConnectionSettings):
    """Say which Zoom account to use, as whom, and which hosts.

    Without ``refresh_token`` the app is server-to-server (``account_id`` names the account). With it the
    app acts for the one user who authorised it; the token rotates, the newest is kept in the vault.
    ``hosts``: e-mail addresses; empty means every host of the account. ``default_host``: who hosts
    meetings born elsewhere whose organizer is no host here. ``daily_write_reserve``: of the 100 writes a
    host has per day, how many are kept back for deletions and people.
    """

    provider: Literal["zoom"] = "zoom"
    base_url: str = "https://api.zoom.us/v2"
    auth_url: str = "https://zoom.us/oauth/token"
    account_id: str = ""
    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr | None = None
    hosts: tuple[str, ...] = ()
    default_host: str | None = None
    create: CreateRule = "virtual_without_link"
    daily_write_reserve: int = Field(default=10, ge=0, lt=DAILY_WRITES_PER_HOST)

    @field_validator("auth_url")
    @classmethod
    def _safe_auth_url(cls, value: str) -> str:
        return check_base_url(value)

    @field_validator("hosts")
    @classmethod
    def _normal_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        addresses = tuple(dict.fromkeys(normal_email(address) for address in value))
        if any("@" not in address for address in addresses):
            raise ValueError('must hold e-mail addresses, such as ["anna@example.com"]')
        return addresses

    @field_validator("default_host")
    @classmethod
    def _normal_default_host(cls, value: str | None) -> str | None:
        address = normal_email(value or "")
        if address and "@" not in address:
            raise ValueError("must be the e-mail address of a host of the account")
        return address or None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.account_id and self.refresh_token is None:
            raise ValueError(
                "set account_id (server-to-server app) or refresh_token (app authorised by one user)"
            )
        if self.default_host and self.hosts and self.default_host not in self.hosts:
            raise ValueError(
                "default_host must be one of hosts, or meetings made there would not be seen again"
            )
        return self

    @property
    def acts_for_one_user(self) -> bool:
        """Tell whether the credentials are one user's rather than the account's."""
        return self.refresh_token is not None
