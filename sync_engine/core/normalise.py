"""Ready-made normalisers for capabilities: pure, and applying one twice is applying it once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from sync_engine.core.meeting import Participant, Schedule, Value, normal_email, participants

Normaliser = Callable[[Value], Value]

_LINE_END = re.compile(r"\r\n?")


def cut(limit: int, *, single_line: bool = False) -> Normaliser:
    """Keep at most ``limit`` characters of a text, without blanks at its ends; line ends become LF."""

    def normalise(value: Value) -> Value:
        if not isinstance(value, str):
            return value
        # A lone CR counts as a line end: else "\r\r\n" would need two rounds to come to rest.
        text = " ".join(value.split()) if single_line else _LINE_END.sub("\n", value).strip()
        return text[:limit].rstrip()

    return normalise


def or_else(fallback: str, inner: Normaliser) -> Normaliser:
    """Put ``fallback`` where a side needs a text and there is none; it is subject to ``inner`` too."""

    def normalise(value: Value) -> Value:
        return inner(value) or inner(fallback) if isinstance(value, str) else inner(value)

    return normalise


def one_address(value: Value) -> Value:
    """Normalise the one e-mail address a field holds."""
    return normal_email(value) if isinstance(value, str) else value


def emails_only(value: Value) -> Value:
    """Keep who is invited; drop names and responses a side cannot show."""
    return participants(p.email for p in value) if isinstance(value, tuple) else value


def without_names(value: Value) -> Value:
    """Keep who is invited and their responses; drop names."""
    if not isinstance(value, tuple):
        return value
    return participants(Participant(p.email, None, p.response) for p in value)


def whole_minutes(value: Value) -> Value:
    """Round the length of a schedule up to whole minutes, at least one."""
    if not isinstance(value, Schedule) or value.all_day:
        return value
    minutes = max(1, -(-value.length // timedelta(minutes=1)))
    return replace(value, end=value.start + timedelta(minutes=minutes), assumed_end=False)


def known_end(value: Value) -> Value:
    """Take an assumed end for a real one, where a side stores every end alike."""
    return replace(value, assumed_end=False) if isinstance(value, Schedule) else value


def without_zone(value: Value) -> Value:
    """Drop the zone of a schedule that a side stores in UTC only."""
    return replace(value, zone=None) if isinstance(value, Schedule) else value


def start_only(default_length: timedelta) -> Normaliser:
    """Keep start and zone of a schedule; the end is assumed after ``default_length``."""

    def normalise(value: Value) -> Value:
        if not isinstance(value, Schedule):
            return value
        return replace(value, end=value.start + default_length, assumed_end=True)

    return normalise


def chain(*steps: Normaliser) -> Normaliser:
    """Apply normalisers one after the other; a step must leave what the steps before it achieved."""

    def normalise(value: Value) -> Value:
        for step in steps:
            value = step(value)
        return value

    return normalise


def refuse_all_day(value: Value) -> str | None:
    """Refuse all-day entries."""
    if isinstance(value, Schedule) and value.all_day:
        return "an all-day entry cannot be held here"
    return None
