"""Check what clients send against Attio's schemas, and read it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from starlette.requests import Request

from sync_engine.sandbox.attio.answers import invalid
from sync_engine.sandbox.attio.state import Attendee, Day, Edge, Instant, JsonObject

STATUSES = ("accepted", "tentative", "declined", "pending")


async def body_of(request: Request) -> JsonObject:
    """Read a JSON object, whatever it holds."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise invalid("Body payload must be valid JSON.") from None
    if not isinstance(body, dict):
        raise invalid("Body payload must be an object.")
    return body


async def data_of(request: Request) -> JsonObject:
    """Read the ``data`` envelope of a body."""
    data = (await body_of(request)).get("data")
    if not isinstance(data, dict):
        raise invalid("Required", "data")
    return data


def text_field(data: Mapping[str, Any], name: str, limit: int | None) -> str:
    """Read a required text."""
    value = data.get(name)
    if not isinstance(value, str):
        raise invalid(f"{name}: a string is required.", "data", name)
    if limit is not None and len(value) > limit:
        raise invalid(f"{name}: must contain at most {limit} character(s).", "data", name)
    return value


def identifier(value: Any, *path: str | int) -> str:
    """Read a UUID."""
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise invalid("Invalid uuid", *path) from None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def known_zone(name: str | None) -> str | None:
    """Take a zone name; an unknown one silently becomes UTC."""
    return name if not name else (name if name in _zones() else "UTC")


def read_moment(text: str, zone: str | None, *path: str | int) -> datetime:
    """Read an ISO 8601 moment; without an offset it is wall time in ``zone``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("Invalid datetime", *path) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone or "UTC"))
    utc = aware.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def read_edge(data: Mapping[str, Any], name: str, *, all_day: bool) -> Edge:
    """Read ``start`` or ``end``: one of two closed shapes, the one ``is_all_day`` asks for."""
    value = data.get(name)
    if not isinstance(value, dict):
        raise invalid(f"{name}: required.", "data", name)
    extra = set(value) - ({"date"} if "date" in value else {"datetime", "timezone"})
    if extra:
        raise invalid(f"{name}: unrecognized key(s): {', '.join(sorted(extra))}.", "data", name)
    if ("date" in value) is not all_day:
        raise invalid(f"{name}: does not match is_all_day.", "data", name)
    if all_day:
        try:
            return Day(date.fromisoformat(str(value["date"])))
        except ValueError:
            raise invalid("Invalid date", "data", name, "date") from None
    zone, text = value.get("timezone"), value.get("datetime")
    if not isinstance(text, str) or not (zone is None or isinstance(zone, str)):
        raise invalid(f"{name}: a datetime is required.", "data", name)
    stored = known_zone(zone or None)
    return Instant(read_moment(text, stored, "data", name, "datetime"), stored)


def read_attendees(data: Mapping[str, Any], *, limit: int | None) -> list[Attendee]:
    """Read the participants: addresses are normalised, one entry each, and hide their names."""
    rows = data.get("participants")
    if not isinstance(rows, list):
        raise invalid("participants: an array is required.", "data", "participants")
    if not rows:
        raise invalid("No participants were provided.")
    if limit is not None and len(rows) > limit:
        raise invalid(f"participants: must contain at most {limit} element(s).", "data", "participants")
    found: dict[str, Attendee] = {}
    for place, row in enumerate(rows):
        attendee = _read_attendee(row, place)
        found.setdefault(attendee.email or f"name:{place}", attendee)
    return list(found.values())


def _read_attendee(row: Any, place: int) -> Attendee:
    path = ("data", "participants", place)
    if not isinstance(row, dict):
        raise invalid("participants: an object is required.", *path)
    email, name = row.get("email_address"), row.get("name")
    organizer, status = row.get("is_organizer"), row.get("status")
    if not isinstance(organizer, bool) and organizer not in ("true", "false"):
        raise invalid("is_organizer: a boolean is required.", *path, "is_organizer")
    if status not in STATUSES:
        raise invalid(f"status: must be one of {', '.join(STATUSES)}.", *path, "status")
    if email is None and name is None:
        raise invalid("A participant needs an email_address or a name.", *path)
    if name is not None and (not isinstance(name, str) or not name):
        raise invalid("name: must contain at least 1 character(s).", *path, "name")
    if email is not None and (not isinstance(email, str) or not _is_address(email)):
        raise invalid("email_address: not a valid e-mail address.", *path, "email_address")
    normal = email.strip().lower() if email else None
    return Attendee(normal, None if normal else name, organizer in (True, "true"), status)


def _is_address(text: str) -> bool:
    local, at, domain = text.strip().rpartition("@")
    return bool(local and at and "." in domain and " " not in text.strip())


def read_links(rows: Any) -> list[tuple[str, str]]:
    """Read linked records in their write shape: ``object`` (slug or id) and ``record_id``."""
    if not isinstance(rows, list):
        raise invalid("linked_records: an array is required.", "data", "linked_records")
    if len(rows) > 50:
        raise invalid("linked_records: must contain at most 50 element(s).", "data", "linked_records")
    links = []
    for place, row in enumerate(rows):
        path = ("data", "linked_records", place)
        if not isinstance(row, dict) or not isinstance(row.get("object"), str):
            raise invalid("linked_records: object and record_id are required.", *path)
        links.append((row["object"], identifier(row.get("record_id"), *path, "record_id")))
    return links


def read_external_ref(value: Any) -> tuple[str, str | None]:
    """Read the reference the find-or-create generation demands: its key, and the iCal UID it may name."""
    path = ("data", "external_ref")
    if isinstance(value, str) and value:
        return value, None
    if not isinstance(value, dict):
        raise invalid("external_ref: required.", *path)
    uid, recurring = value.get("ical_uid"), value.get("is_recurring")
    if not isinstance(uid, str) or value.get("provider") not in ("google", "microsoft"):
        raise invalid("external_ref: ical_uid and provider are required.", *path)
    if not isinstance(recurring, bool):
        raise invalid("external_ref: is_recurring is required.", *path)
    original = value.get("original_start_time")
    return json.dumps(["ical", uid, original]), uid if original is None else None


def read_segments(value: Any) -> list[JsonObject] | None:
    """Read a transcript; the address of a speaker is taken in and never shown again."""
    if value is None:
        return None
    path = ("data", "transcript")
    if not isinstance(value, list) or len(value) > 4000:
        raise invalid("transcript: must contain at most 4000 element(s).", *path)
    segments = []
    for place, row in enumerate(value):
        speaker = row.get("speaker") if isinstance(row, dict) else None
        if not isinstance(speaker, dict) or not isinstance(speaker.get("name"), str):
            raise invalid("transcript: speaker.name is required.", *path, place)
        start, end = row.get("start_time"), row.get("end_time")
        if not isinstance(start, (int, float)) or not isinstance(end, (int, float)) or start < 0:
            raise invalid("transcript: start_time and end_time are required.", *path, place)
        if not isinstance(row.get("speech"), str):
            raise invalid("transcript: speech is required.", *path, place)
        segments.append(
            {
                "speech": row["speech"],
                "start_time": start,
                "end_time": end,
                "speaker": {"name": speaker["name"]},
            }
        )
    return segments


def whole_number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """Read a bounded number from the query."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise invalid(f"{name}: must be between {low} and {high}.", name)
    return int(text)
