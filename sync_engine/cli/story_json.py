"""The life of one meeting as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sync_engine.core.refs import Agreed, Held, Ref
from sync_engine.services.explain import ConnectionStory, FieldStory, Story
from sync_engine.store import codec
from sync_engine.store.conflicts import ConflictRow
from sync_engine.store.journal import JournalEntry
from sync_engine.store.outbox import OutboxRow


def story_json(story: Story) -> dict[str, Any]:
    """Give everything that is told of a meeting."""
    meeting = story.meeting
    return {
        "id": meeting.id,
        "workspace": meeting.workspace,
        "revision": meeting.revision,
        "status": meeting.status.value,
        "cancelled_by": meeting.cancelled_by,
        "visibility": meeting.visibility.value,
        "origin": meeting.origin,
        "series": codec.series_to_json(meeting.series),
        "in_line": story.row.dirty,
        "next_due": _iso(story.next_due),
        "values": codec.values_to_json(meeting.values),
        "provenance": codec.provenance_to_json(meeting.provenance),
        "connections": {name: _connection(each) for name, each in story.connections.items()},
        "conflicts": [conflict_json(row) for row in story.conflicts],
        "journal": [_entry(entry) for entry in story.journal],
        "journal_earlier": story.earlier,
    }


def conflict_json(row: ConflictRow) -> dict[str, Any]:
    """Give one conflict."""
    return {
        "id": row.id,
        "workspace": row.workspace,
        "meeting_id": row.meeting_id,
        "connection": row.connection_id.partition("/")[2],
        "field": row.field.value,
        "ours": codec.value_to_json(row.ours),
        "theirs": codec.value_to_json(row.theirs),
        "since": _iso(row.raised_at),
    }


def write_json(row: OutboxRow) -> dict[str, Any]:
    """Give one intended write; what it would write is left to ``explain`` and ``plan``."""
    return {
        "id": row.id,
        "workspace": row.workspace,
        "connection": row.connection_id.partition("/")[2],
        "meeting_id": row.meeting_id,
        "operation": row.operation.value,
        "state": row.state.value,
        "external_id": row.external_id,
        "replaces": row.replaces,
        "cleanup": row.cleanup,
        "fields": sorted(name.value for name in row.changed),
        "attempts": row.attempts,
        "not_before": _iso(row.not_before),
        "reason": row.last_error,
        "decision_id": row.decision_id,
        "created_at": _iso(row.created_at),
    }


def _connection(each: ConnectionStory) -> dict[str, Any]:
    data: dict[str, Any] = {
        "provider": each.provider,
        "state": "none",
        "external_id": None,
        "absent": each.absent,
        "open_writes": [write_json(row) for row in each.open_writes],
    }
    if each.ref is None:
        return data
    row, ref = each.ref, each.ref.ref
    return {
        **data,
        "state": ref.state.value,
        "external_id": ref.external_id,
        "origin": ref.origin.value,
        "since": _iso(ref.since),
        "observed_at": _iso(row.observed_at),
        "shows": codec.values_to_json(row.observed.values) if row.observed else {},
        "fields": {name.value: _field(field) for name, field in each.fields.items()},
        "hold": _hold(ref),
        "frozen": codec.reasons_to_json(ref.frozen),
        "irreplaceable": ref.irreplaceable,
        "read_only": row.observed.read_only if row.observed else None,
        "absences": row.absences,
        "needs_read": row.needs_read,
        "evidence": dict(row.evidence) if row.evidence else None,
    }


def _field(field: FieldStory) -> dict[str, Any]:
    return {
        "state": field.state.value,
        "shows": codec.value_to_json(field.shows),
        "wanted": codec.value_to_json(field.wanted),
        "agreed": _agreed(field.agreed),
        "held": _held(field.held),
        "frozen": field.frozen or None,
    }


def _agreed(agreed: Agreed | None) -> dict[str, Any] | None:
    if agreed is None:
        return None
    return {"ours": codec.value_to_json(agreed.ours), "theirs": codec.value_to_json(agreed.theirs)}


def _held(held: Held | None) -> dict[str, Any] | None:
    if held is None:
        return None
    return {"reason": held.reason, "since": _iso(held.since), "until": _iso(held.until)}


def _hold(ref: Ref) -> dict[str, Any] | None:
    if ref.hold is None:
        return None
    return {
        "kind": ref.hold.kind.value,
        "reason": ref.hold.reason,
        "since": _iso(ref.hold.since),
        "until": _iso(ref.hold.until),
    }


def _entry(entry: JournalEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": _iso(entry.at),
        "kind": entry.kind,
        "cause": entry.cause,
        "connection": entry.connection,
        "field": entry.field,
        "before": entry.before,
        "after": entry.after,
        "details": dict(entry.details) if entry.details else None,
        "run_id": entry.run_id,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
