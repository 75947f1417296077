"""The tables; every constraint and index has a name, so that a migration can speak of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint

from sync_engine.store.types import Json, UtcDateTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

OPEN_STATES = ("ready", "sealed", "unknown", "failed", "parked")
"""States of an outbox row whose effect is still wanted."""
DUE_STATES = ("ready", "sealed", "unknown", "failed")
"""States of an outbox row that a worker acts upon once ``not_before`` has passed."""


def _one_of(column: str, *allowed: str) -> CheckConstraint:
    words = ", ".join(f"'{word}'" for word in allowed)
    return CheckConstraint(f"{column} IN ({words})", name=column)


def in_states(column: Column[Any], states: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """Ask for states in the words of the partial indexes.

    Literals, not parameters: the condition of a partial index must stand in a statement as it stands in
    the index, or the planner does not see that the index serves it.
    """
    return column.in_([sa.literal_column(f"'{state}'") for state in states])


def _partial(name: str, *columns: Column[Any], where: sa.ColumnElement[bool], unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


workspaces = Table(
    "workspaces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("policy_fingerprint", Text, nullable=False),
)

connections = Table(
    "connections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, ForeignKey("workspaces.name", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("identity", Text),
    Column("state", Text, nullable=False),
    Column("paused_until", UtcDateTime),
    Column("paused_reason", Text),
    Column("last_sweep_at", UtcDateTime),
    Column("last_complete_sweep_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("cursor", Json),
    Column("memory", Json, nullable=False),
    Column("sweep_wanted_at", UtcDateTime),
    Column("poll_seconds", sa.Float),
    Column("delivered_at", UtcDateTime),
    Column("challenged_at", UtcDateTime),
    Column("missed", sa.BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("workspace", "name"),
    _one_of("state", "ok", "paused", "unauthorised", "revoked"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

meetings = Table(
    "meetings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, ForeignKey("workspaces.name", ondelete="CASCADE"), nullable=False),
    Column("revision", sa.Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("cancelled_by", Text),
    Column("series_key", Text),
    Column("original_start", UtcDateTime),
    Column("title", Text, nullable=False),
    Column("starts_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    Column("start_slot", sa.Integer),
    Column("dirty", sa.Boolean, nullable=False),
    Column("due_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("field_values", Json, nullable=False),
    Column("provenance", Json, nullable=False),
    _one_of("status", "scheduled", "cancelled"),
    _one_of("visibility", "open", "private"),
    Index(None, "workspace", "starts_at"),
    Index(None, "workspace", "start_slot"),
)
_partial("ix_meetings_dirty", meetings.c.workspace, meetings.c.id, where=meetings.c.dirty == sa.true())
_partial(
    "ix_meetings_due", meetings.c.workspace, meetings.c.due_at, where=meetings.c.due_at.is_not(sa.null())
)
_partial(
    "ix_meetings_series",
    meetings.c.workspace,
    meetings.c.series_key,
    meetings.c.original_start,
    where=meetings.c.series_key.is_not(sa.null()),
)

# What a no-op sweep looks at comes first: the JSON behind it spills over to further pages of the file.
external_refs = Table(
    "external_refs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("meeting_id", Text, ForeignKey("meetings.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("external_id", Text),
    Column("origin", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("starts_at", UtcDateTime),
    Column("complete", sa.Boolean, nullable=False),
    Column("needs_read", sa.Boolean, nullable=False),
    Column("detail_due_at", UtcDateTime),
    Column("absences", sa.Integer, nullable=False),
    Column("absent_since", UtcDateTime),
    Column("since", UtcDateTime, nullable=False),
    Column("observed_at", UtcDateTime),
    Column("hold_kind", Text),
    Column("irreplaceable", Text),
    Column("hold", Json),
    Column("held", Json),
    Column("frozen", Json),
    Column("recent_writes", Json),
    Column("agreement", Json, nullable=False),
    Column("evidence", Json),
    Column("observed", Json),
    UniqueConstraint("connection_id", "external_id"),
    UniqueConstraint("connection_id", "meeting_id"),
    Index(None, "connection_id", "starts_at"),
    _one_of("origin", "found", "created"),
    _one_of("state", "linked", "creating", "unknown", "read_only", "gone", "detached"),
)
_partial(
    "ix_external_refs_needs_read",
    external_refs.c.connection_id,
    where=external_refs.c.needs_read == sa.true(),
)

ref_links = Table(
    "ref_links",
    metadata,
    Column("ref_id", Text, ForeignKey("external_refs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("starts_at", UtcDateTime),
    Column("meeting_id", Text, nullable=False),
    Index(None, "workspace", "key", "starts_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("meeting_id", Text, ForeignKey("meetings.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ref_id", Text, ForeignKey("external_refs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("operation", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("cleanup", sa.Boolean, nullable=False),
    Column("recreate", sa.Boolean, nullable=False),
    Column("external_id", Text),
    Column("replaces", Text),
    Column("revision", sa.Integer, nullable=False),
    Column("priority", sa.Integer, nullable=False),
    Column("scope", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("last_error", Text),
    Column("decision_id", Text),
    Column("run_id", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sealed_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("base_observed_at", UtcDateTime),
    Column("changed", Json),
    Column("field_values", Json, nullable=False),
    Column("base", Json),
    Column("particulars", Json),
    Column("sealed", Json),
    _one_of("operation", "create", "update", "delete", "restore"),
    _one_of("state", *OPEN_STATES, "done", "superseded"),
)
_partial(
    "uq_outbox_open",
    outbox.c.ref_id,
    where=sa.and_(in_states(outbox.c.state, OPEN_STATES), outbox.c.cleanup == sa.false()),
    unique=True,
)
_partial(
    "ix_outbox_due",
    outbox.c.connection_id,
    outbox.c.priority,
    outbox.c.not_before,
    outbox.c.id,
    where=in_states(outbox.c.state, DUE_STATES),
)
_partial(
    "ix_outbox_open",
    outbox.c.workspace,
    outbox.c.state,
    outbox.c.id,
    where=in_states(outbox.c.state, OPEN_STATES),
)
_partial("ix_outbox_decision", outbox.c.decision_id, where=outbox.c.decision_id.is_not(sa.null()))

# Hints only: a delivery's body holds addresses and passcodes, and is never believed anyway.
inbox = Table(
    "inbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("attempts", sa.Integer, nullable=False),
    Column("request_id", Text),
    Column("reason", Text),
    Column("hints", Json),
    UniqueConstraint("connection_id", "delivery_id"),
    Index(None, "connection_id", "received_at"),
    Index(None, "finished_at"),
    _one_of("state", "pending", "done", "failed", "unusable"),
)
_partial(
    "ix_inbox_pending",
    inbox.c.connection_id,
    inbox.c.received_at,
    inbox.c.id,
    where=in_states(inbox.c.state, ("pending",)),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("meeting_id", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("run_id", Text, index=True),
    Column("connection", Text),
    Column("kind", Text, nullable=False),
    Column("field", Text),
    Column("cause", Text, nullable=False),
    Column("before", Json),
    Column("after", Json),
    Column("details", Json),
    Index(None, "meeting_id", "at"),
    Index(None, "workspace", "at"),
)

conflicts = Table(
    "conflicts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("meeting_id", Text, ForeignKey("meetings.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("field", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("resolution", Text),
    Column("ours", Json),
    Column("theirs", Json),
    _one_of("state", "open", "resolved"),
)
_partial(
    "uq_conflicts_open",
    conflicts.c.meeting_id,
    conflicts.c.connection_id,
    conflicts.c.field,
    where=in_states(conflicts.c.state, ("open",)),
    unique=True,
)
_partial(
    "ix_conflicts_open", conflicts.c.workspace, conflicts.c.id, where=in_states(conflicts.c.state, ("open",))
)

match_reviews = Table(
    "match_reviews",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("meeting_id", Text),
    Column("fingerprint", Text, nullable=False),
    Column("observation", Json, nullable=False),
    Column("candidates", Json, nullable=False),
    UniqueConstraint("connection_id", "external_id"),
    Index(None, "workspace", "state"),
    _one_of("state", "open", "linked", "separate", "ignored"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    Column("payload", Json),
    UniqueConstraint("connection_id", "external_id"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("evidence", Json, nullable=False),
    UniqueConstraint("connection_id", "kind", "digest"),
    Index(None, "workspace", "state"),
    _one_of("kind", "mass_deletion", "mass_creation", "deletion"),
    _one_of("state", "open", "approved", "rejected"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("state", Text, nullable=False),
    Column("summary", Json),
    Column("requests", Json),
    Index(None, "workspace", "started_at"),
    _one_of("state", "running", "finished", "failed"),
)

quotas = Table(
    "quotas",
    metadata,
    Column("connection_id", Text, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("day", sa.Date, primary_key=True),
    Column("used", sa.Integer, nullable=False),
)

# A lease is never deleted: its fence must go on growing, or a run that slept could pass for the newest.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("fence", sa.BigInteger, nullable=False),
)
