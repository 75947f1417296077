"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(pg.JSONB(none_as_null=True), "postgresql")

TABLES = (
    "workspaces",
    "connections",
    "secrets",
    "meetings",
    "external_refs",
    "ref_links",
    "outbox",
    "journal",
    "conflicts",
    "match_reviews",
    "quarantine",
    "decisions",
    "runs",
    "quotas",
    "leases",
)


def upgrade() -> None:
    _create_workspaces()
    _create_connections()
    _create_secrets()
    _create_meetings()
    _create_external_refs()
    _create_ref_links()
    _create_outbox()
    _create_journal()
    _create_conflicts()
    _create_match_reviews()
    _create_quarantine()
    _create_decisions()
    _create_runs()
    _create_quotas()
    _create_leases()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _partial_index(
    name: str, table: str, columns: list[str], *, where: str, postgresql: str = "", unique: bool = False
) -> None:
    """Index some rows only; ``postgresql`` where its words for a boolean differ."""
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(postgresql or where),
    )


def _create_workspaces() -> None:
    op.create_table(
        "workspaces",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("policy_fingerprint", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workspaces"),
    )


def _create_connections() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("paused_until", Moment),
        sa.Column("paused_reason", sa.Text()),
        sa.Column("last_sweep_at", Moment),
        sa.Column("last_complete_sweep_at", Moment),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("cursor", Json),
        sa.Column("memory", Json, nullable=False),
        sa.CheckConstraint(
            "state IN ('ok', 'paused', 'unauthorised', 'revoked')", name=op.f("ck_connections_state")
        ),
        sa.ForeignKeyConstraint(
            ["workspace"], ["workspaces.name"], name="fk_connections_workspace_workspaces", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
        sa.UniqueConstraint("workspace", "name", name="uq_connections_workspace_name"),
    )


def _create_secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_secrets_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "name", name="pk_secrets"),
    )


def _create_meetings() -> None:
    op.create_table(
        "meetings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("cancelled_by", sa.Text()),
        sa.Column("series_key", sa.Text()),
        sa.Column("original_start", Moment),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_at", Moment),
        sa.Column("ends_at", Moment),
        sa.Column("start_slot", sa.Integer()),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("due_at", Moment),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.Column("field_values", Json, nullable=False),
        sa.Column("provenance", Json, nullable=False),
        sa.CheckConstraint("status IN ('scheduled', 'cancelled')", name=op.f("ck_meetings_status")),
        sa.CheckConstraint("visibility IN ('open', 'private')", name=op.f("ck_meetings_visibility")),
        sa.ForeignKeyConstraint(
            ["workspace"], ["workspaces.name"], name="fk_meetings_workspace_workspaces", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_meetings"),
    )
    _partial_index(
        "ix_meetings_dirty", "meetings", ["workspace", "id"], where="dirty = 1", postgresql="dirty = true"
    )
    _partial_index("ix_meetings_due", "meetings", ["workspace", "due_at"], where="due_at IS NOT NULL")
    _partial_index(
        "ix_meetings_series",
        "meetings",
        ["workspace", "series_key", "original_start"],
        where="series_key IS NOT NULL",
    )
    op.create_index("ix_meetings_workspace_starts_at", "meetings", ["workspace", "starts_at"])
    op.create_index("ix_meetings_workspace_start_slot", "meetings", ["workspace", "start_slot"])


def _create_external_refs() -> None:
    op.create_table(
        "external_refs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("meeting_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("starts_at", Moment),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("needs_read", sa.Boolean(), nullable=False),
        sa.Column("detail_due_at", Moment),
        sa.Column("absences", sa.Integer(), nullable=False),
        sa.Column("absent_since", Moment),
        sa.Column("since", Moment, nullable=False),
        sa.Column("observed_at", Moment),
        sa.Column("hold_kind", sa.Text()),
        sa.Column("irreplaceable", sa.Text()),
        sa.Column("hold", Json),
        sa.Column("held", Json),
        sa.Column("frozen", Json),
        sa.Column("recent_writes", Json),
        sa.Column("agreement", Json, nullable=False),
        sa.Column("evidence", Json),
        sa.Column("observed", Json),
        sa.CheckConstraint("origin IN ('found', 'created')", name=op.f("ck_external_refs_origin")),
        sa.CheckConstraint(
            "state IN ('linked', 'creating', 'unknown', 'read_only', 'gone', 'detached')",
            name=op.f("ck_external_refs_state"),
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_external_refs_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meetings.id"], name="fk_external_refs_meeting_id_meetings", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_external_refs"),
        sa.UniqueConstraint(
            "connection_id", "external_id", name="uq_external_refs_connection_id_external_id"
        ),
        sa.UniqueConstraint("connection_id", "meeting_id", name="uq_external_refs_connection_id_meeting_id"),
    )
    op.create_index(
        "ix_external_refs_connection_id_starts_at", "external_refs", ["connection_id", "starts_at"]
    )
    op.create_index("ix_external_refs_meeting_id", "external_refs", ["meeting_id"])
    _partial_index(
        "ix_external_refs_needs_read",
        "external_refs",
        ["connection_id"],
        where="needs_read = 1",
        postgresql="needs_read = true",
    )


def _create_ref_links() -> None:
    op.create_table(
        "ref_links",
        sa.Column("ref_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("starts_at", Moment),
        sa.Column("meeting_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ref_id"], ["external_refs.id"], name="fk_ref_links_ref_id_external_refs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ref_id", "key", name="pk_ref_links"),
    )
    op.create_index("ix_ref_links_workspace_key_starts_at", "ref_links", ["workspace", "key", "starts_at"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("meeting_id", sa.Text(), nullable=False),
        sa.Column("ref_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cleanup", sa.Boolean(), nullable=False),
        sa.Column("recreate", sa.Boolean(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("replaces", sa.Text()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", Moment, nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("decision_id", sa.Text()),
        sa.Column("run_id", sa.Text()),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("sealed_at", Moment),
        sa.Column("finished_at", Moment),
        sa.Column("base_observed_at", Moment),
        sa.Column("changed", Json),
        sa.Column("field_values", Json, nullable=False),
        sa.Column("base", Json),
        sa.Column("particulars", Json),
        sa.Column("sealed", Json),
        sa.CheckConstraint(
            "operation IN ('create', 'update', 'delete', 'restore')", name=op.f("ck_outbox_operation")
        ),
        sa.CheckConstraint(
            "state IN ('ready', 'sealed', 'unknown', 'failed', 'parked', 'done', 'superseded')",
            name=op.f("ck_outbox_state"),
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_outbox_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meetings.id"], name="fk_outbox_meeting_id_meetings", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["ref_id"], ["external_refs.id"], name="fk_outbox_ref_id_external_refs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    _partial_index("ix_outbox_decision", "outbox", ["decision_id"], where="decision_id IS NOT NULL")
    _partial_index(
        "ix_outbox_due",
        "outbox",
        ["connection_id", "priority", "not_before", "id"],
        where="state IN ('ready', 'sealed', 'unknown', 'failed')",
    )
    op.create_index("ix_outbox_meeting_id", "outbox", ["meeting_id"])
    _partial_index(
        "ix_outbox_open",
        "outbox",
        ["workspace", "state", "id"],
        where="state IN ('ready', 'sealed', 'unknown', 'failed', 'parked')",
    )
    op.create_index("ix_outbox_ref_id", "outbox", ["ref_id"])
    _partial_index(
        "uq_outbox_open",
        "outbox",
        ["ref_id"],
        where="state IN ('ready', 'sealed', 'unknown', 'failed', 'parked') AND cleanup = 0",
        postgresql="state IN ('ready', 'sealed', 'unknown', 'failed', 'parked') AND cleanup = false",
        unique=True,
    )


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("meeting_id", sa.Text()),
        sa.Column("at", Moment, nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("connection", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("field", sa.Text()),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("before", Json),
        sa.Column("after", Json),
        sa.Column("details", Json),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
    )
    op.create_index("ix_journal_meeting_id_at", "journal", ["meeting_id", "at"])
    op.create_index("ix_journal_run_id", "journal", ["run_id"])
    op.create_index("ix_journal_workspace_at", "journal", ["workspace", "at"])


def _create_conflicts() -> None:
    op.create_table(
        "conflicts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("meeting_id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("raised_at", Moment, nullable=False),
        sa.Column("resolved_at", Moment),
        sa.Column("resolution", sa.Text()),
        sa.Column("ours", Json),
        sa.Column("theirs", Json),
        sa.CheckConstraint("state IN ('open', 'resolved')", name=op.f("ck_conflicts_state")),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_conflicts_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meetings.id"], name="fk_conflicts_meeting_id_meetings", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conflicts"),
    )
    op.create_index("ix_conflicts_meeting_id", "conflicts", ["meeting_id"])
    _partial_index("ix_conflicts_open", "conflicts", ["workspace", "id"], where="state IN ('open')")
    _partial_index(
        "uq_conflicts_open",
        "conflicts",
        ["meeting_id", "connection_id", "field"],
        where="state IN ('open')",
        unique=True,
    )


def _create_match_reviews() -> None:
    op.create_table(
        "match_reviews",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("raised_at", Moment, nullable=False),
        sa.Column("decided_at", Moment),
        sa.Column("meeting_id", sa.Text()),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("observation", Json, nullable=False),
        sa.Column("candidates", Json, nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'linked', 'separate', 'ignored')", name=op.f("ck_match_reviews_state")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_match_reviews_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_match_reviews"),
        sa.UniqueConstraint(
            "connection_id", "external_id", name="uq_match_reviews_connection_id_external_id"
        ),
    )
    op.create_index("ix_match_reviews_workspace_state", "match_reviews", ["workspace", "state"])


def _create_quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("first_seen_at", Moment, nullable=False),
        sa.Column("last_seen_at", Moment, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("payload", Json),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_quarantine_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
        sa.UniqueConstraint("connection_id", "external_id", name="uq_quarantine_connection_id_external_id"),
    )


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("raised_at", Moment, nullable=False),
        sa.Column("decided_at", Moment),
        sa.Column("evidence", Json, nullable=False),
        sa.CheckConstraint(
            "kind IN ('mass_deletion', 'mass_creation', 'deletion')", name=op.f("ck_decisions_kind")
        ),
        sa.CheckConstraint("state IN ('open', 'approved', 'rejected')", name=op.f("ck_decisions_state")),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_decisions_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sa.UniqueConstraint("connection_id", "kind", "digest", name="uq_decisions_connection_id_kind_digest"),
    )
    op.create_index("ix_decisions_workspace_state", "decisions", ["workspace", "state"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("finished_at", Moment),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("summary", Json),
        sa.Column("requests", Json),
        sa.CheckConstraint("state IN ('running', 'finished', 'failed')", name=op.f("ck_runs_state")),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_workspace_started_at", "runs", ["workspace", "started_at"])


def _create_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_quotas_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "scope", "day", name="pk_quotas"),
    )


def _create_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
