"""Runs: what was started when, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sync_engine.store.repository import Repository
from sync_engine.store.tables import runs


class RunState(StrEnum):
    """How a run stands; one that was killed stays ``running``."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(slots=True)
class RunRow:
    """One run. ``summary``: its counts. ``requests``: counts by connection, then by method."""

    id: str
    workspace: str
    kind: str
    started_at: datetime
    finished_at: datetime | None = None
    state: RunState = RunState.RUNNING
    summary: Mapping[str, Any] | None = None
    requests: Mapping[str, Mapping[str, int]] | None = None


class Runs(Repository):
    """Find and keep runs."""

    def start(self, row: RunRow) -> None:
        """Note that a run begins."""
        self._upsert(runs, [_to_row(row)])

    def finish(
        self,
        run_id: str,
        now: datetime,
        *,
        summary: Mapping[str, Any],
        requests: Mapping[str, Mapping[str, int]],
        state: RunState = RunState.FINISHED,
    ) -> None:
        """Note how a run ended."""
        self._connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id)
            .values(
                state=state.value,
                finished_at=now,
                summary=dict(summary),
                requests={name: dict(counts) for name, counts in requests.items()},
            )
        )

    def get(self, run_id: str) -> RunRow | None:
        """Load one run."""
        row = self._connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().first()
        return _from_row(row) if row else None

    def latest(self, workspace: str, limit: int = 20) -> list[RunRow]:
        """List the latest runs of a workspace, newest first."""
        query = (
            sa.select(runs)
            .where(runs.c.workspace == workspace)
            .order_by(runs.c.started_at.desc(), runs.c.id.desc())
            .limit(limit)
        )
        return [_from_row(row) for row in self._connection.execute(query).mappings()]

    def prune(self, before: datetime) -> int:
        """Forget runs that started earlier; gives how many. Their journal entries stay."""
        statement = sa.delete(runs).where(runs.c.started_at < before).returning(runs.c.id)
        return len(self._connection.execute(statement).all())


def _to_row(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace": row.workspace,
        "kind": row.kind,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "state": row.state.value,
        "summary": row.summary,
        "requests": row.requests,
    }


def _from_row(data: sa.RowMapping) -> RunRow:
    return RunRow(**{**data, "state": RunState(data["state"])})
