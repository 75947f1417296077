"""Zoom's wire format, in Zoom's words; what is absent, null or empty all means "none" there."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _text(value: Any) -> Any:
    return "" if value is None else value


def _number(value: Any) -> Any:
    """Meeting numbers come as integers in REST, as text in some events; one form for both."""
    try:
        return str(int(value))
    except (TypeError, OverflowError):
        raise ValueError("not a meeting number") from None


def _list(value: Any) -> Any:
    return () if value is None else value


Text = Annotated[str, BeforeValidator(_text)]
MeetingNumber = Annotated[str, BeforeValidator(_number)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class User(_Wire):
    """One row of ``GET /users``; ``type`` 1 Basic, 2 Licensed, 4 and 99 may not host."""

    id: Text = ""
    email: Text = ""
    type: int = 0
    status: Text = ""
    account_id: Text = ""


class Invitee(_Wire):
    """One entry of ``settings.meeting_invitees``."""

    email: Text = ""


class MeetingSettings(_Wire):
    """The part of ``settings`` the engine reads."""

    meeting_invitees: Annotated[tuple[Invitee, ...], BeforeValidator(_list)] = ()
    alternative_hosts: Text = ""
    private_meeting: bool | None = None
    use_pmi: bool | None = None


class Occurrence(_Wire):
    """One occurrence of a series; ``occurrence_id`` is its original start in epoch milliseconds, as text."""

    occurrence_id: str
    start_time: datetime | None = None
    duration: int | None = None
    status: Text = ""


class TrackingValue(_Wire):
    """One tracking field of a meeting."""

    field: Text = ""
    value: Text = ""


class Meeting(_Wire):
    """A meeting as the list (without ``settings`` and below) or the read by id shows it.

    ``start_time`` is absent for instant and for recurring meetings without fixed time; ``duration`` is
    planned minutes; ``agenda`` is cut at 250 characters in lists.
    """

    id: MeetingNumber
    uuid: Text = ""
    host_id: Text = ""
    host_email: Text = ""
    topic: Text = ""
    type: int
    start_time: datetime | None = None
    duration: int | None = None
    timezone: Text = ""
    agenda: Text = ""
    created_at: datetime | None = None
    join_url: Text = ""
    pmi: Any = None
    settings: MeetingSettings | None = None
    occurrences: Annotated[tuple[Occurrence, ...], BeforeValidator(_list)] = ()
    tracking_fields: Annotated[tuple[TrackingValue, ...], BeforeValidator(_list)] = ()


class TrackingField(_Wire):
    """One tracking field the account has configured."""

    field: Text = ""
    required: bool = False


class Transcript(_Wire):
    """What ``GET /meetings/{id}/transcript`` says: an address, or why there is none."""

    meeting_id: Text = ""
    download_url: Text = ""
    download_restriction_reason: Text = ""
    can_download: bool = False
