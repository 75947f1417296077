"""Conflicts that the policy puts before a person: both values kept, the field frozen on both sides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sync_engine.core.meeting import Field, Value
from sync_engine.store import codec
from sync_engine.store.repository import Repository, chunks
from sync_engine.store.tables import conflicts, in_states


class ConflictState(StrEnum):
    """Whether a person has decided."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(slots=True)
class ConflictRow:
    """One field that two sides changed differently. ``resolution``: whose value a person chose."""

    id: str
    workspace: str
    meeting_id: str
    connection_id: str
    field: Field
    ours: Value | None
    theirs: Value | None
    raised_at: datetime
    state: ConflictState = ConflictState.OPEN
    resolved_at: datetime | None = None
    resolution: str | None = None


class Conflicts(Repository):
    """Find and keep conflicts; at most one is open per meeting, connection and field."""

    def raise_open(self, rows: Sequence[ConflictRow]) -> list[ConflictRow]:
        """Put conflicts before a person; one that is already open keeps its id and takes the new values.

        Gives those that are new.
        """
        there = {
            (row.meeting_id, row.connection_id, row.field): row
            for row in self.open_of_meetings({row.meeting_id for row in rows})
        }
        fresh: list[ConflictRow] = []
        for row in rows:
            known = there.get((row.meeting_id, row.connection_id, row.field))
            if known is None:
                fresh.append(row)
            else:
                row.id, row.raised_at = known.id, known.raised_at
        self._upsert(conflicts, [_to_row(row) for row in rows])
        return fresh

    def open_of_meetings(self, meeting_ids: Collection[str]) -> list[ConflictRow]:
        """Load the open conflicts of meetings."""
        found: list[ConflictRow] = []
        for part in chunks(sorted(set(meeting_ids))):
            found.extend(self._rows(_open().where(conflicts.c.meeting_id.in_(part))))
        return found

    def open_of_workspace(self, workspace: str, limit: int = 500) -> list[ConflictRow]:
        """List the open conflicts of a workspace, oldest first."""
        return self._rows(_open().where(conflicts.c.workspace == workspace).limit(limit))

    def get(self, conflict_id: str) -> ConflictRow | None:
        """Load one conflict."""
        rows = self._rows(sa.select(conflicts).where(conflicts.c.id == conflict_id))
        return rows[0] if rows else None

    def resolve(self, conflict_ids: Collection[str], resolution: str, now: datetime) -> None:
        """Note how open conflicts ended."""
        for part in chunks(sorted(set(conflict_ids))):
            self._connection.execute(
                sa.update(conflicts)
                .where(conflicts.c.id.in_(part), in_states(conflicts.c.state, ("open",)))
                .values(state=ConflictState.RESOLVED.value, resolution=resolution, resolved_at=now)
            )

    def count_open(self, workspace: str) -> int:
        """Count the open conflicts of a workspace."""
        query = sa.select(sa.func.count()).where(
            conflicts.c.workspace == workspace, in_states(conflicts.c.state, ("open",))
        )
        return int(self._connection.execute(query).scalar_one())

    def _rows(self, query: sa.Select[Any]) -> list[ConflictRow]:
        return [_from_row(row) for row in self._connection.execute(query).mappings()]


def _open() -> sa.Select[Any]:
    return sa.select(conflicts).where(in_states(conflicts.c.state, ("open",))).order_by(conflicts.c.id)


def _to_row(row: ConflictRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace": row.workspace,
        "meeting_id": row.meeting_id,
        "connection_id": row.connection_id,
        "field": row.field.value,
        "state": row.state.value,
        "raised_at": row.raised_at,
        "resolved_at": row.resolved_at,
        "resolution": row.resolution,
        "ours": codec.value_to_json(row.ours),
        "theirs": codec.value_to_json(row.theirs),
    }


def _from_row(data: sa.RowMapping) -> ConflictRow:
    field = Field(data["field"])
    return ConflictRow(
        id=data["id"],
        workspace=data["workspace"],
        meeting_id=data["meeting_id"],
        connection_id=data["connection_id"],
        field=field,
        ours=codec.value_from_json(field, data["ours"]),
        theirs=codec.value_from_json(field, data["theirs"]),
        raised_at=data["raised_at"],
        state=ConflictState(data["state"]),
        resolved_at=data["resolved_at"],
        resolution=data["resolution"],
    )
