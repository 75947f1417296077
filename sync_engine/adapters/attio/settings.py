"""Settings of an Attio connection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from sync_engine.adapters.base import ConnectionSettings
from sync_engine.core.meeting import normal_email


class AttioSettings(ConnectionSettings):
    """Say which Attio workspace to use: one token opens exactly one.

    ``twin_grace_minutes``: how long Attio's own calendar sync may take to bring a meeting before we
    create it. ``replace``: whether a change is carried out by creating the meeting anew and deleting
    the old one, since Attio changes nothing in place. ``skip_participants``: patterns of addresses that
    are not written, because each address becomes a person in the CRM (rooms, bots): "room-*@example.com".
    """

    provider: Literal["attio"] = "attio"
    base_url: str = "https://api.attio.com"
    access_token: SecretStr
    twin_grace_minutes: float = Field(default=15, ge=0)
    replace: bool = True
    skip_participants: tuple[str, ...] = ()

    @field_validator("access_token")
    @classmethod
    def _usable_token(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value().strip()
        if not token or any(sign.isspace() for sign in token):
            raise ValueError(
                "must be the workspace access token made in Attio: Workspace settings, Developers"
            )
        return SecretStr(token)

    @field_validator("skip_participants")
    @classmethod
    def _normal_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        patterns = tuple(dict.fromkeys(normal_email(pattern) for pattern in value))
        if any(not pattern or pattern == "*" for pattern in patterns):
            raise ValueError('must hold patterns of addresses, such as ["room-*@example.com"]')
        return patterns
