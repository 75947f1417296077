"""Decisions: guarded writes that one answer of a person lets go on or drops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sync_engine.store.repository import Repository
from sync_engine.store.tables import decisions


class DecisionKind(StrEnum):
    """What is asked."""

    MASS_DELETION = "mass_deletion"
    MASS_CREATION = "mass_creation"
    DELETION = "deletion"


class DecisionState(StrEnum):
    """What a person said."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(slots=True)
class DecisionRow:
    """One question. ``digest`` names exactly what is asked, so that the same is not asked twice."""

    id: str
    workspace: str
    connection_id: str
    kind: DecisionKind
    digest: str
    evidence: Mapping[str, Any]
    raised_at: datetime
    state: DecisionState = DecisionState.OPEN
    decided_at: datetime | None = None


class Decisions(Repository):
    """Find and keep decisions."""

    def ask(self, row: DecisionRow) -> DecisionRow:
        """Put a question, unless the same one has been put: then give that one, with its answer."""
        there = self.find(row.connection_id, row.kind, row.digest)
        if there is not None:
            return there
        self.save(row)
        return row

    def save(self, row: DecisionRow) -> None:
        """Write a whole decision."""
        self._upsert(decisions, [_to_row(row)])

    def find(self, connection_id: str, kind: DecisionKind, digest: str) -> DecisionRow | None:
        """Load the decision on exactly this question."""
        condition = sa.and_(
            decisions.c.connection_id == connection_id,
            decisions.c.kind == kind.value,
            decisions.c.digest == digest,
        )
        return next(iter(self._rows(condition)), None)

    def get(self, decision_id: str) -> DecisionRow | None:
        """Load one decision."""
        return next(iter(self._rows(decisions.c.id == decision_id)), None)

    def open_of_workspace(self, workspace: str) -> list[DecisionRow]:
        """List what waits for an answer, oldest first."""
        return self._rows(
            sa.and_(decisions.c.workspace == workspace, decisions.c.state == DecisionState.OPEN.value)
        )

    def of_connection(
        self, connection_id: str, kind: DecisionKind, state: DecisionState
    ) -> list[DecisionRow]:
        """List the questions of one kind about a connection that stand so, oldest first."""
        condition = sa.and_(
            decisions.c.connection_id == connection_id,
            decisions.c.kind == kind.value,
            decisions.c.state == state.value,
        )
        return self._rows(condition)

    def open_of_connection(self, connection_id: str, kind: DecisionKind) -> DecisionRow | None:
        """Load the oldest open question of one kind about a connection."""
        return next(iter(self.of_connection(connection_id, kind, DecisionState.OPEN)), None)

    def decide(self, decision_id: str, state: DecisionState, now: datetime) -> bool:
        """Keep a person's answer; False if there was one already."""
        statement = (
            sa.update(decisions)
            .where(decisions.c.id == decision_id, decisions.c.state == DecisionState.OPEN.value)
            .values(state=state.value, decided_at=now)
            .returning(decisions.c.id)
        )
        return self._connection.execute(statement).first() is not None

    def _rows(self, condition: sa.ColumnElement[bool]) -> list[DecisionRow]:
        query = sa.select(decisions).where(condition).order_by(decisions.c.id)
        return [_from_row(row) for row in self._connection.execute(query).mappings()]


def _to_row(row: DecisionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace": row.workspace,
        "connection_id": row.connection_id,
        "kind": row.kind.value,
        "digest": row.digest,
        "state": row.state.value,
        "raised_at": row.raised_at,
        "decided_at": row.decided_at,
        "evidence": dict(row.evidence),
    }


def _from_row(data: sa.RowMapping) -> DecisionRow:
    return DecisionRow(
        id=data["id"],
        workspace=data["workspace"],
        connection_id=data["connection_id"],
        kind=DecisionKind(data["kind"]),
        digest=data["digest"],
        evidence=data["evidence"],
        raised_at=data["raised_at"],
        state=DecisionState(data["state"]),
        decided_at=data["decided_at"],
    )
