"""The wire of the prospect CRM, in its own words; both stored response generations fit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class MeetingWire(_Wire):
    """One meeting; dates are Unix milliseconds. Never shown: title, end, guests, status, version."""

    id: str
    prospect_id: str
    meeting_date: int
    time_zone: str | None = None
    meeting_type: str | None = None
    owner_id: str | None = None
    location: str | None = None
    notes: str | None = None
    created_by_api: bool = False
    created_at: int | None = None
    updated_at: int | None = None


class ProspectWire(_Wire):
    """One prospect, as far as we use it."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None


class AuthWire(_Wire):
    """Whose key it is; beyond the account's id the documents disagree or are silent."""

    account_id: str
    active: bool = True
    is_active: bool = True
