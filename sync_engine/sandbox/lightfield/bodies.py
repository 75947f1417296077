"""Read request bodies as strictly as the API does: unknown properties are refused at every level."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sync_engine.sandbox.lightfield.problems import (
    ApiError,
    invalid_type,
    missing,
    unknown_field,
    unknown_relationship,
)

MOST_ATTENDEES = 500
CREATE_FIELDS = frozenset(
    {
        "$title",
        "$startDate",
        "$endDate",
        "$description",
        "$meetingUrl",
        "$organizerEmail",
        "$attendeeEmails",
        "$privacySetting",
    }
)
UPDATE_FIELDS = frozenset({"$privacySetting", "$attendeeEmails", "$meetingPrep", "$postMeetingSummary"})
UPDATE_FIELDS_BEFORE = frozenset({"$privacySetting"})
_TEXTS = ("$description", "$meetingUrl", "$organizerEmail", "$meetingPrep", "$postMeetingSummary")


def members(body: Any, known: Collection[str]) -> dict[str, Any]:
    """Check the top level of a body."""
    if not isinstance(body, dict):
        raise invalid_type("body")
    for key in body:
        if key not in known:
            raise ApiError(400, "This property is not accepted.", code="unknown_field", param=key)
    return body


def fields(body: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Check the ``fields`` member: its keys and the types of its values."""
    values = body.get("fields", {})
    if not isinstance(values, dict):
        raise invalid_type("fields")
    for key in values:
        if key not in known:
            raise unknown_field(key)
    for key in _TEXTS:
        if values.get(key) is not None and not isinstance(values[key], str):
            raise invalid_type(f"fields.{key}")
    if "$attendeeEmails" in values:
        _addresses(values["$attendeeEmails"])
    if values.get("$privacySetting") not in (None, "FULL", "METADATA"):
        raise invalid_type("fields.$privacySetting")
    organizer = values.get("$organizerEmail")
    if organizer and "@" not in organizer:
        raise invalid_type("fields.$organizerEmail")
    return values


def _addresses(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and "@" in item for item in value):
        raise invalid_type("fields.$attendeeEmails")


def required_texts(values: Mapping[str, Any]) -> None:
    """Check the three fields every new meeting needs."""
    for key in ("$title", "$startDate", "$endDate"):
        if key not in values:
            raise missing(f"fields.{key}")
        if not isinstance(values[key], str) or not values[key]:
            raise invalid_type(f"fields.{key}")


def moment(values: Mapping[str, Any], key: str) -> datetime:
    """Read a moment with an offset."""
    try:
        read = datetime.fromisoformat(values[key])
    except ValueError:
        raise invalid_type(f"fields.{key}") from None
    if read.tzinfo is None:
        raise invalid_type(f"fields.{key}")
    return read.astimezone(UTC)


def new_transcript(body: Mapping[str, Any]) -> str | None:
    """Read the file id a create attaches; the relationship is required once ``relationships`` is sent."""
    if "relationships" not in body:
        return None
    given = _relationships(body)
    value = given.get("$transcript")
    if value is None:
        raise missing("relationships.$transcript")
    ids = value if isinstance(value, list) else [value]
    if len(ids) != 1 or not isinstance(ids[0], str):
        raise invalid_type("relationships.$transcript")
    return ids[0]


def replaced_transcript(body: Mapping[str, Any]) -> str | None:
    """Read the file id an update makes canonical."""
    if "relationships" not in body:
        return None
    given = _relationships(body)
    value = given.get("$transcript")
    if value is None:
        raise missing("relationships.$transcript")
    if not isinstance(value, dict) or set(value) != {"replace"} or not isinstance(value["replace"], str):
        raise invalid_type("relationships.$transcript")
    return value["replace"]


def _relationships(body: Mapping[str, Any]) -> dict[str, Any]:
    given = body["relationships"]
    if not isinstance(given, dict):
        raise invalid_type("relationships")
    for key in given:
        if key != "$transcript":
            raise unknown_relationship(key)
    return given


def page_bounds(query: Mapping[str, str], largest: int, *, clamp: bool) -> tuple[int, int]:
    """Read ``limit`` and ``offset``."""
    limit, offset = _number(query, "limit", largest), _number(query, "offset", 0)
    if limit < 1 or offset < 0 or (limit > largest and not clamp):
        raise ApiError(400, "The page bounds are out of range.", code="invalid_type", param="limit")
    return min(limit, largest), offset


def _number(query: Mapping[str, str], key: str, fallback: int) -> int:
    try:
        return int(query.get(key, fallback))
    except ValueError:
        raise ApiError(400, "Not a number.", code="invalid_type", param=key) from None
