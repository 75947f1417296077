"""What Zoom refuses in the body of a create or an update, before it looks at the meeting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.zoom import recurrence
from sync_engine.sandbox.zoom import settings as meeting_settings
from sync_engine.sandbox.zoom.refusal import Refusal, invalid
from sync_engine.sandbox.zoom.state import Kind
from sync_engine.sandbox.zoom.times import ZONES, read_start

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox

MAX_TOPIC, MAX_AGENDA, MAX_PASSWORD, MAX_MINUTES = 200, 2000, 10, 1440
_PLANNABLE = (Kind.INSTANT, Kind.ONCE, Kind.NO_FIXED_TIME, Kind.SERIES, Kind.SCREEN_SHARE)
_PLAIN: dict[str, Callable[[Any], bool]] = {
    "topic": lambda value: isinstance(value, str),
    "agenda": lambda value: isinstance(value, str),
    "type": lambda value: type(value) is int and value in _PLANNABLE,
    "duration": lambda value: type(value) is int and 1 <= value <= MAX_MINUTES,
    "timezone": lambda value: isinstance(value, str),
    "start_time": lambda value: isinstance(value, str),
    "password": lambda value: isinstance(value, str) and len(value) <= MAX_PASSWORD,
    "default_password": lambda value: isinstance(value, bool),
    "pre_schedule": lambda value: isinstance(value, bool),
    "schedule_for": lambda value: isinstance(value, str),
    "template_id": lambda value: isinstance(value, str),
    "tracking_fields": lambda value: isinstance(value, list) and all(_is_tracking_field(v) for v in value),
    "settings": lambda value: isinstance(value, dict),
    "recurrence": lambda value: isinstance(value, dict),
}


def read_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Refusal: code 300, for anything else.
    """
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, 300, "Request Body should be a valid JSON object.")
    return body


def read_meeting(sandbox: ZoomSandbox, raw: bytes, *, updating: bool) -> dict[str, Any]:
    """Read a meeting body: known fields, valid, over-long texts refused or cut as the sandbox is set.

    Raises:
        Refusal: code 300 with one entry per mistake.
    """
    sent = read_object(raw)
    body = {name: value for name, value in sent.items() if name in _PLAIN}
    found = [*_mistakes(body), *_length_mistakes(sandbox, body), *_zone_mistakes(sandbox, body)]
    if isinstance(body.get("recurrence"), dict):
        found += recurrence.mistakes(body["recurrence"], complete=updating)
    if found:
        raise invalid(*found)
    _check_start(sandbox, body)
    return body


def _mistakes(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        if value is not None and not _PLAIN[name](value):
            yield name, "Invalid field."
    if isinstance(body.get("settings"), dict):
        yield from meeting_settings.mistakes(body["settings"])


def _length_mistakes(sandbox: ZoomSandbox, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, most in (("topic", MAX_TOPIC), ("agenda", MAX_AGENDA)):
        value = body.get(name)
        if not isinstance(value, str) or len(value) <= most:
            continue
        if sandbox.over_length == "cut":
            body[name] = value[:most]
        else:
            yield name, f"The value must have {most} characters or less."


def _zone_mistakes(sandbox: ZoomSandbox, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    zone = body.get("timezone")
    if not isinstance(zone, str) or zone in ZONES:
        return
    if sandbox.unknown_zones == "refused":
        yield "timezone", "Invalid field."
    else:
        body["timezone"] = sandbox.timezone


def _check_start(sandbox: ZoomSandbox, body: dict[str, Any]) -> None:
    text = body.get("start_time")
    if text and read_start(text, body.get("timezone") or sandbox.timezone) is None:
        raise invalid(("start_time", "Invalid field."))


def _is_tracking_field(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("field"), str)
        and isinstance(entry.get("value", ""), str)
    )
