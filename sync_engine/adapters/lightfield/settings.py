"""Settings of a Lightfield connection."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from sync_engine.adapters.base import ConnectionSettings


class LightfieldSettings(ConnectionSettings):
    """Say which Lightfield organization to use.

    ``create_margin_minutes``: how long after its end a meeting is created; Lightfield takes only meetings
    that are over by its own clock. ``auto_create_records``: let Lightfield make accounts and contacts of
    external attendees, which it may bill. ``webhook_secret``: the fixed text a Lightfield workflow sends
    in the header ``webhook_header``.
    """

    provider: Literal["lightfield"] = "lightfield"
    base_url: str = "https://api.lightfield.app"
    api_key: SecretStr
    twin_grace_minutes: float = Field(default=15, ge=0)
    create_margin_minutes: float = Field(default=5, ge=0)
    auto_create_records: bool = False
    webhook_header: str = "X-Sync-Secret"

    @field_validator("base_url")
    @classmethod
    def _without_version(cls, value: str) -> str:
        # Some of Lightfield's pages quote the address with /v1, which every path begins with anyway.
        return value.removesuffix("/v1").rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _one_word(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value().strip()
        if not key or re.search(r"\s", key):
            raise ValueError("must be one API key such as sk_lf_..., without blanks")
        return SecretStr(key)

    @field_validator("webhook_header")
    @classmethod
    def _header_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
            raise ValueError("must be the name of an HTTP header, such as X-Sync-Secret")
        return value
