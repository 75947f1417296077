"""No lost update: every edit of a person is in the world, in the journal, or was overwritten by people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.case import Case
from tests.simulation.ledger import Deed, Seen

CLASSES = {
    "start": "schedule", "end": "schedule", "zone": "schedule", "title": "title",
    "description": "description",
    "invite": "participants", "uninvite": "participants", "location": "location", "kind": "kind",
}  # fmt: skip
LONGEST_COPY_DELAY = timedelta(minutes=90)


def every_edit_is_accounted_for(case: Case) -> Iterator[str]:
    """Each value a person typed can be found again."""
    told = _journal(case)
    for number, deed in enumerate(case.ledger.deeds):
        if deed.field not in CLASSES or deed.raced:
            continue
        records = case.groups.get(deed.token, [])
        if _overwritten(case, deed, case.ledger.deeds[number + 1 :]):
            continue
        seen = next((s for s in records if s.key == (deed.connection, deed.record)), None)
        if seen is None or _never_shown(case, deed, seen):
            continue
        standing = [s for s in records if s.live] or records
        ref = case.says.refs.get(seen.key)
        if ref is not None and ref.ref.since >= deed.at:
            if deed.field == "uninvite":
                # Two records that meet for the first time unite their guests.
                continue
            # What a record showed when it was first seen is no news; it may lie in the trash by now.
            standing = [*standing, seen]
        if not _stands(deed, standing) and not _is_told(deed, told):
            yield f"step {deed.step}: {deed} is lost"


def _journal(case: Case) -> dict[str, list[tuple[Any, Any, str]]]:
    told: dict[str, list[tuple[Any, Any, str]]] = {}
    for entry in case.says.journal:
        if entry.field:
            text = json.dumps([entry.before, entry.after])
            told.setdefault(entry.field, []).append((entry.before, entry.after, text))
    return told


def _overwritten(case: Case, deed: Deed, later: list[Deed]) -> bool:
    for other in later:
        same = (other.connection, _whose(other)) == (deed.connection, _whose(deed))
        if same and (other.field == "cancel" or CLASSES.get(other.field) == CLASSES[deed.field]):
            # Guests and lines are single things: another guest does not overwrite this one.
            if deed.field in {"invite", "uninvite"}:
                if other.field == "cancel" or other.value == deed.value:
                    return True
                continue
            return True
    return _calendar_overwrote(case, deed)


def _whose(deed: Deed) -> str:
    """Name what was edited: of a Zoom series everything but the times belongs to all dates at once."""
    return deed.record if deed.field in {"start", "end", "cancel"} else deed.record.partition("/")[0]


def _calendar_overwrote(case: Case, deed: Deed) -> bool:
    """A copy follows its calendar: what Zoom's people did there goes over what was typed into the copy."""
    if not case.stage.mood.calendars or deed.connection not in {"attio", "lightfield"}:
        return False
    since = deed.at - LONGEST_COPY_DELAY
    touched = any(d.connection == "zoom" and d.at >= since for d in case.ledger.of(deed.token))
    fresh = case.ledger.matters[deed.token].born_at == "zoom"
    return touched or fresh


def _never_shown(case: Case, deed: Deed, seen: Seen) -> bool:
    """Nobody could show the engine this edit: hidden, out of its window, or waiting for a person."""
    if case.is_waiting(seen) or seen.hidden:
        return True
    hidden = [d for d in case.ledger.of(deed.token, ["private"]) if d.record == deed.record]
    ref = case.says.refs.get(seen.key)
    return bool(hidden) or (ref is None and not seen.live)


def _stands(deed: Deed, live: list[Seen]) -> bool:
    for seen in live:
        match deed.field:
            case "start":
                found = seen.start == deed.value
            case "end":
                start, end = deed.value
                found = bool(seen.start and seen.end) and seen.end - seen.start == end - start  # type: ignore[operator]
            case "title":
                found = seen.title == deed.value or (
                    len(seen.title) >= 200 and deed.value.startswith(seen.title)
                )
            case "description":
                found = deed.value in seen.words
            case "invite":
                found = deed.value in seen.people
            case "uninvite":
                found = seen.connection in {"zoom", "attio", "lightfield"} and deed.value not in seen.people
            case "zone":
                found = seen.zone == deed.value
            case "location":
                found = seen.location == deed.value
            case _:
                found = seen.kind == deed.value
        if found:
            return True
    return False


def _is_told(deed: Deed, told: dict[str, list[tuple[Any, Any, str]]]) -> bool:
    entries = told.get(CLASSES[deed.field], [])
    match deed.field:
        case "start":
            return any(f'"start": "{deed.value.isoformat()}"' in text for *_, text in entries)
        case "end":
            start, end = deed.value
            return any(_has_length(value, end - start) for b, a, _ in entries for value in (b, a))
        case "uninvite":
            return any(_takes_out(b, a, deed.value) for b, a, _ in entries)
        case "title":
            return any(json.dumps(deed.value)[:-1][:180] in text for *_, text in entries)
        case _:
            return any(deed.value in text for *_, text in entries)


def _has_length(value: Any, length: timedelta) -> bool:
    if not isinstance(value, dict) or "start" not in value:
        return False
    return datetime.fromisoformat(value["end"]) - datetime.fromisoformat(value["start"]) == length


def _takes_out(before: Any, after: Any, email: str) -> bool:
    def has(value: Any) -> bool:
        return isinstance(value, list) and any(p.get("email") == email for p in value)

    return has(before) != has(after)


def the_recruiters_notes_are_untouched(case: Case) -> Iterator[str]:
    """What recruiters typed stands in the CRM, and, as long as notes are internal, nowhere else."""
    for deed in case.ledger.deeds:
        if deed.field != "notes":
            continue
        records = case.groups.get(deed.token, [])
        crm = next((s for s in records if s.key == (deed.connection, deed.record)), None)
        if case.stage.mood.shares_notes:
            continue
        if crm is not None and crm.live and not deed.raced and deed.value not in crm.words:
            yield f"{deed} is not in the notes any more"
        for seen in records:
            if seen.connection != "prospects" and deed.value in seen.whole_text:
                yield f"{deed} left the CRM for {seen.connection}"
