"""The journal: every change with its cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sync_engine.store.repository import Repository
from sync_engine.store.tables import journal


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing that happened. ``before``, ``after`` and ``details`` are JSON; ``cause`` is a sentence.

    ``connection``: the name of the connection it happened at or came from.
    """

    id: str
    workspace: str
    at: datetime
    kind: str
    cause: str
    meeting_id: str | None = None
    run_id: str | None = None
    connection: str | None = None
    field: str | None = None
    before: Any = None
    after: Any = None
    details: Mapping[str, Any] | None = None


_COLUMNS = (
    "id",
    "workspace",
    "at",
    "kind",
    "cause",
    "meeting_id",
    "run_id",
    "connection",
    "field",
    "before",
    "after",
    "details",
)


class Journal(Repository):
    """Write and read the journal; entries are never changed."""

    def append(self, entries: Sequence[JournalEntry]) -> None:
        """Write entries."""
        self._insert(journal, [{name: getattr(entry, name) for name in _COLUMNS} for entry in entries])

    def of_meeting(self, meeting_id: str, limit: int = 1000) -> list[JournalEntry]:
        """Read the latest entries of one meeting, oldest first."""
        return self._latest(journal.c.meeting_id == meeting_id, limit)[::-1]

    def of_run(self, run_id: str, *, after: str = "", limit: int = 1000) -> list[JournalEntry]:
        """Read the entries of a run in pages, oldest first; ``after`` is the last id of the page before."""
        query = (
            sa.select(journal)
            .where(journal.c.run_id == run_id, journal.c.id > after)
            .order_by(journal.c.id)
            .limit(limit)
        )
        return self._entries(query)

    def latest(self, workspace: str, limit: int = 100, before: datetime | None = None) -> list[JournalEntry]:
        """Read the latest entries of a workspace, newest first."""
        condition = journal.c.workspace == workspace
        return self._latest(condition if before is None else condition & (journal.c.at < before), limit)

    def prune(self, before: datetime, limit: int = 10_000) -> int:
        """Forget at most ``limit`` entries that are older; gives how many."""
        workspaces = self._connection.execute(sa.select(journal.c.workspace).distinct()).scalars().all()
        forgotten = 0
        for workspace in workspaces:
            old = (
                sa.select(journal.c.id)
                .where(journal.c.workspace == workspace, journal.c.at < before)
                .limit(limit - forgotten)
            )
            statement = sa.delete(journal).where(journal.c.id.in_(old)).returning(journal.c.id)
            forgotten += len(self._connection.execute(statement).all())
        return forgotten

    def _latest(self, condition: sa.ColumnElement[bool], limit: int) -> list[JournalEntry]:
        query = sa.select(journal).where(condition).order_by(journal.c.at.desc(), journal.c.id.desc())
        return self._entries(query.limit(limit))

    def _entries(self, query: sa.Select[Any]) -> list[JournalEntry]:
        return [JournalEntry(**row) for row in self._connection.execute(query).mappings()]
