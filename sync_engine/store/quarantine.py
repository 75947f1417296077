"""Quarantine: records that cannot be read; set aside, so that everything else goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sync_engine.store.repository import Repository, chunks
from sync_engine.store.tables import connections, quarantine
from sync_engine.store.types import storable_text


@dataclass(slots=True)
class QuarantineRow:
    """One record that did not parse; ``payload`` has secrets removed, ``attempts`` counts the tries.

    No attempts: a person said to forget the record until it changes.
    """

    id: str
    connection_id: str
    external_id: str
    reason: str
    first_seen_at: datetime
    last_seen_at: datetime
    fingerprint: str = ""
    attempts: int = 1
    payload: Mapping[str, Any] | None = None


class KnownProblem(NamedTuple):
    """What a sweep needs to leave a broken record that did not change alone."""

    fingerprint: str
    reason: str


class Quarantine(Repository):
    """Find and keep records that cannot be read; one row per record."""

    def known(self, connection_id: str, external_ids: Collection[str]) -> dict[str, KnownProblem]:
        """Tell which of these records are set aside, by external id."""
        found: dict[str, KnownProblem] = {}
        for part in chunks(sorted(set(external_ids))):
            query = sa.select(quarantine.c.external_id, quarantine.c.fingerprint, quarantine.c.reason).where(
                quarantine.c.connection_id == connection_id, quarantine.c.external_id.in_(part)
            )
            for external_id, fingerprint, reason in self._connection.execute(query):
                found[external_id] = KnownProblem(fingerprint, reason)
        return found

    def put(self, rows: Sequence[QuarantineRow]) -> None:
        """Set records aside; one that already is keeps its id and age, and counts another attempt."""
        for part in chunks(sorted({row.connection_id for row in rows})):
            attempts = self._attempts(part, [row.external_id for row in rows])
            for row in rows:
                row.attempts += attempts.get((row.connection_id, row.external_id), 0)
        self._upsert(
            quarantine,
            [_to_row(row) for row in rows],
            ("connection_id", "external_id"),
            kept=("id", "first_seen_at"),
        )

    def release(self, connection_id: str, external_ids: Collection[str]) -> None:
        """Take records back that can be read now, or are gone."""
        for part in chunks(sorted(set(external_ids))):
            self._connection.execute(
                sa.delete(quarantine).where(
                    quarantine.c.connection_id == connection_id, quarantine.c.external_id.in_(part)
                )
            )

    def retry(self, row_id: str) -> None:
        """Let the next sweep try a record again although it did not change."""
        self._connection.execute(
            sa.update(quarantine).where(quarantine.c.id == row_id).values(fingerprint="")
        )

    def forget(self, row_id: str) -> None:
        """Take a record off the list until it changes."""
        self._connection.execute(sa.update(quarantine).where(quarantine.c.id == row_id).values(attempts=0))

    def of_workspace(self, workspace: str, limit: int = 500) -> list[QuarantineRow]:
        """List what is set aside, oldest first."""
        query = _of(workspace).order_by(quarantine.c.first_seen_at, quarantine.c.id).limit(limit)
        return [QuarantineRow(**row) for row in self._connection.execute(query).mappings()]

    def count(self, workspace: str) -> int:
        """Count what is set aside."""
        query = sa.select(sa.func.count()).select_from(_of(workspace).subquery())
        return int(self._connection.execute(query).scalar_one())

    def get(self, row_id: str) -> QuarantineRow | None:
        """Load one record that is set aside."""
        row = (
            self._connection.execute(sa.select(quarantine).where(quarantine.c.id == row_id))
            .mappings()
            .first()
        )
        return QuarantineRow(**row) if row else None

    def _attempts(
        self, connection_ids: Sequence[str], external_ids: Sequence[str]
    ) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for part in chunks(sorted(set(external_ids))):
            query = sa.select(
                quarantine.c.connection_id, quarantine.c.external_id, quarantine.c.attempts
            ).where(quarantine.c.connection_id.in_(connection_ids), quarantine.c.external_id.in_(part))
            for connection_id, external_id, attempts in self._connection.execute(query):
                found[connection_id, external_id] = attempts
        return found


def _of(workspace: str) -> sa.Select[Any]:
    return (
        sa.select(quarantine)
        .join(connections, connections.c.id == quarantine.c.connection_id)
        .where(connections.c.workspace == workspace, quarantine.c.attempts > 0)
    )


def _to_row(row: QuarantineRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "connection_id": row.connection_id,
        "external_id": row.external_id,
        "fingerprint": row.fingerprint,
        "reason": storable_text(row.reason),
        "first_seen_at": row.first_seen_at,
        "last_seen_at": row.last_seen_at,
        "attempts": row.attempts,
        "payload": dict(row.payload) if row.payload else None,
    }
