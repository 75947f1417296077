"""The inbox: received deliveries, each kept once, until what they hint at was read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sync_engine.core.ports import Hints
from sync_engine.store.repository import Repository, chunks
from sync_engine.store.tables import in_states, inbox
from sync_engine.store.types import storable_text


class InboxState(StrEnum):
    """Where a delivery stands.

    ``pending``: what it hints at is to be read, from ``not_before`` on. ``failed``: given up after many
    attempts; the sweep will find what it was about. ``unusable``: it could not be read.
    """

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNUSABLE = "unusable"


@dataclass(slots=True)
class InboxRow:
    """One delivery. ``request_id``: of the HTTP request that brought it. ``reason``: what went wrong."""

    id: str
    connection_id: str
    delivery_id: str
    received_at: datetime
    not_before: datetime
    state: InboxState = InboxState.PENDING
    hints: Hints = field(default_factory=Hints)
    finished_at: datetime | None = None
    attempts: int = 0
    request_id: str | None = None
    reason: str | None = None


class InboxCount(NamedTuple):
    """How many deliveries of one connection stand alike; ``oldest``: when the first of them arrived."""

    connection_id: str
    state: InboxState
    rows: int
    oldest: datetime


class Inbox(Repository):
    """Keep deliveries and hand them out in order of age."""

    def put(self, rows: Sequence[InboxRow]) -> frozenset[str]:
        """Store deliveries; gives the ids of those that are new, a repeated one is left as it is."""
        # Sorted, so that two receivers that store the same repeated deliveries cannot deadlock.
        by_key = {(row.connection_id, row.delivery_id): row for row in reversed(rows)}
        ordered = [by_key[key] for key in sorted(by_key)]
        insert = postgresql.insert if self._dialect == "postgresql" else sqlite.insert
        statement = (
            insert(inbox)
            .on_conflict_do_nothing(index_elements=["connection_id", "delivery_id"])
            .returning(inbox.c.id)
        )
        if not ordered:
            return frozenset()
        return frozenset(self._connection.execute(statement, [_to_row(row) for row in ordered]).scalars())

    def get(self, row_id: str) -> InboxRow | None:
        """Load one delivery."""
        row = self._connection.execute(sa.select(inbox).where(inbox.c.id == row_id)).mappings().first()
        return _from_row(row) if row else None

    def pending(self, connection_id: str, now: datetime, limit: int) -> list[InboxRow]:
        """Load what is to be worked on now at one connection, the oldest first."""
        query = (
            sa.select(inbox)
            .where(inbox.c.connection_id == connection_id, _is_pending(), inbox.c.not_before <= now)
            .order_by(inbox.c.received_at, inbox.c.id)
            .limit(limit)
        )
        return [_from_row(row) for row in self._connection.execute(query).mappings()]

    def forgotten(self, now: datetime, received_before: datetime) -> dict[str, str]:
        """Name, for each connection that has deliveries nobody worked on, one of them.

        One is enough: who works on it works on everything that is pending at its connection.
        """
        query = (
            sa.select(inbox.c.connection_id, sa.func.min(inbox.c.id))
            .where(_is_pending(), inbox.c.not_before <= now, inbox.c.received_at <= received_before)
            .group_by(inbox.c.connection_id)
        )
        return {row.connection_id: row[1] for row in self._connection.execute(query)}

    def next_due(self, connection_id: str) -> datetime | None:
        """Tell when the first pending delivery of a connection is to be worked on."""
        query = sa.select(sa.func.min(inbox.c.not_before)).where(
            inbox.c.connection_id == connection_id, _is_pending()
        )
        return self._connection.execute(query).scalar_one_or_none()

    def finish(
        self,
        row_ids: Collection[str],
        now: datetime,
        *,
        state: InboxState = InboxState.DONE,
        reason: str | None = None,
    ) -> None:
        """Close deliveries."""
        self._change(row_ids, state=state.value, finished_at=now, reason=_short(reason))

    def retry(self, row_ids: Collection[str], not_before: datetime, reason: str) -> None:
        """Try deliveries again later; one more attempt has failed."""
        self._change(row_ids, not_before=not_before, attempts=inbox.c.attempts + 1, reason=_short(reason))

    def postpone(self, connection_id: str, not_before: datetime, reason: str) -> None:
        """Let everything pending at a connection wait; no attempt was made."""
        self._connection.execute(
            sa.update(inbox)
            .where(inbox.c.connection_id == connection_id, _is_pending(), inbox.c.not_before < not_before)
            .values(not_before=not_before, reason=_short(reason))
        )

    def told_since(self, connection_id: str, moment: datetime) -> list[Hints]:
        """Give the hints of every delivery that arrived since a moment."""
        query = sa.select(inbox.c.hints).where(
            inbox.c.connection_id == connection_id, inbox.c.received_at >= moment
        )
        return [hints_from_json(found) for found in self._connection.execute(query).scalars()]

    def counts(self) -> list[InboxCount]:
        """Count what is pending, by connection."""
        query = (
            sa.select(inbox.c.connection_id, sa.func.count(), sa.func.min(inbox.c.received_at))
            .where(_is_pending())
            .group_by(inbox.c.connection_id)
            .order_by(inbox.c.connection_id)
        )
        return [
            InboxCount(connection_id, InboxState.PENDING, rows, oldest)
            for connection_id, rows, oldest in self._connection.execute(query)
        ]

    def prune(self, before: datetime) -> int:
        """Forget what was closed before a moment; gives how many.

        A repetition that arrives later is taken for a new delivery, which costs a read and does no harm.
        """
        statement = sa.delete(inbox).where(inbox.c.finished_at < before).returning(inbox.c.id)
        return len(self._connection.execute(statement).all())

    def _change(self, row_ids: Collection[str], **values: Any) -> None:
        for part in chunks(sorted(set(row_ids))):
            self._connection.execute(
                sa.update(inbox).where(inbox.c.id.in_(part), _is_pending()).values(**values)
            )


def _is_pending() -> sa.ColumnElement[bool]:
    return in_states(inbox.c.state, ("pending",))


def _short(reason: str | None) -> str | None:
    return None if reason is None else storable_text(reason)[:500]


def hints_to_json(hints: Hints) -> dict[str, Any] | None:
    """Encode hints, leaving out what is empty; None for none at all."""
    found: dict[str, Any] = {
        "records": list(hints.records),
        "groups": list(hints.groups),
        "told_gone": sorted(hints.told_gone),
        "people": list(hints.people),
        "sweep": hints.sweep,
        "claims": {name: dict(claims) for name, claims in hints.claims.items()},
    }
    return {name: value for name, value in found.items() if value} or None


def hints_from_json(found: Mapping[str, Any] | None) -> Hints:
    """Decode hints."""
    told = found or {}
    return Hints(
        records=_texts(told.get("records")),
        groups=_texts(told.get("groups")),
        told_gone=frozenset(_texts(told.get("told_gone"))),
        people=_texts(told.get("people")),
        sweep=bool(told.get("sweep")),
        claims=told.get("claims") or {},
    )


def _texts(found: Iterable[Any] | None) -> tuple[str, ...]:
    return tuple(str(one) for one in found or ())


def _to_row(row: InboxRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "connection_id": row.connection_id,
        "delivery_id": storable_text(row.delivery_id),
        "state": row.state.value,
        "received_at": row.received_at,
        "not_before": row.not_before,
        "finished_at": row.finished_at,
        "attempts": row.attempts,
        "request_id": row.request_id,
        "reason": _short(row.reason),
        "hints": hints_to_json(row.hints),
    }


def _from_row(data: sa.RowMapping) -> InboxRow:
    return InboxRow(
        **{name: data[name] for name in _VERBATIM},
        state=InboxState(data["state"]),
        hints=hints_from_json(data["hints"]),
    )


_VERBATIM = (
    "id",
    "connection_id",
    "delivery_id",
    "received_at",
    "not_before",
    "finished_at",
    "attempts",
    "request_id",
    "reason",
)
