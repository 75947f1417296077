"""Settings of a prospect CRM connection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from sync_engine.adapters.base import ConnectionSettings
from sync_engine.core.meeting import normal_email


class ProspectCrmSettings(ConnectionSettings):
    """Say which CRM account to use and who owns meetings there.

    ``owner_map``: organizer's e-mail → user id; the API shows ids only. ``default_owner_id``: who owns
    meetings whose organizer is not in the map. ``notes``: "internal" keeps what recruiters type inside the
    CRM, "description" shares it as the meeting's description. ``internal_domains``: guests of these are
    colleagues and never looked up as prospects. ``per_minute`` and ``per_hour``: our share of the account's
    two rate windows; ``per_hour = 0`` counts no hours.
    """

    provider: Literal["prospect_crm"] = "prospect_crm"
    base_url: str = "https://api.hiringcenterpro.com/v2"
    api_key: SecretStr
    default_owner_id: str = ""
    owner_map: dict[str, str] = Field(default_factory=dict)
    default_duration_minutes: int = Field(default=30, ge=1, le=24 * 60)
    notes: Literal["internal", "description"] = "internal"
    update_method: Literal["auto", "POST", "PATCH", "PUT"] = "auto"
    create_prospects: bool = False
    internal_domains: tuple[str, ...] = ()
    per_minute: int = Field(default=300, ge=1)
    per_hour: int = Field(default=5400, ge=0)

    @field_validator("api_key")
    @classmethod
    def _present_key(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().strip():
            raise ValueError("must hold the API key made under Settings, API / Webhooks, Add API Key")
        return value

    @field_validator("owner_map")
    @classmethod
    def _normal_owners(cls, value: dict[str, str]) -> dict[str, str]:
        owners = {normal_email(address): user_id.strip() for address, user_id in value.items()}
        if any("@" not in address or not user_id for address, user_id in owners.items()):
            raise ValueError('must map e-mail addresses to user ids: { "anna@example.com" = "b2e7..." }')
        return owners

    @field_validator("internal_domains")
    @classmethod
    def _normal_domains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        domains = tuple(dict.fromkeys(domain.strip().casefold().lstrip("@") for domain in value))
        if any("." not in domain or "@" in domain for domain in domains):
            raise ValueError('must hold domains, such as ["example.com"]')
        return domains
