"""The inbox, and how the webhooks of a connection are doing.

Everything new is a table of its own, or a column that may be empty or has a default: the release before
goes on working meanwhile.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(pg.JSONB(none_as_null=True), "postgresql")

WEBHOOK_COLUMNS = ("sweep_wanted_at", "poll_seconds", "delivered_at", "challenged_at", "missed")


def upgrade() -> None:
    # Not in a batch, which would build the table anew: every other table refers to it.
    op.add_column("connections", sa.Column("sweep_wanted_at", Moment))
    op.add_column("connections", sa.Column("poll_seconds", sa.Float()))
    op.add_column("connections", sa.Column("delivered_at", Moment))
    op.add_column("connections", sa.Column("challenged_at", Moment))
    op.add_column("connections", sa.Column("missed", sa.BigInteger(), nullable=False, server_default="0"))
    _create_inbox()


def downgrade() -> None:
    op.drop_table("inbox")
    for column in reversed(WEBHOOK_COLUMNS):
        op.drop_column("connections", column)


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("received_at", Moment, nullable=False),
        sa.Column("not_before", Moment, nullable=False),
        sa.Column("finished_at", Moment),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("hints", Json),
        sa.CheckConstraint("state IN ('pending', 'done', 'failed', 'unusable')", name=op.f("ck_inbox_state")),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name="fk_inbox_connection_id_connections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sa.UniqueConstraint("connection_id", "delivery_id", name="uq_inbox_connection_id_delivery_id"),
    )
    op.create_index("ix_inbox_connection_id_received_at", "inbox", ["connection_id", "received_at"])
    op.create_index("ix_inbox_finished_at", "inbox", ["finished_at"])
    pending = sa.text("state IN ('pending')")
    op.create_index(
        "ix_inbox_pending",
        "inbox",
        ["connection_id", "received_at", "id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
