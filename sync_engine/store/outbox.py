"""The outbox: intended writes, from the merge that wanted them to the effect at the provider."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from sync_engine.core.meeting import Field, Values
from sync_engine.core.ports import Operation, Sealed, Write
from sync_engine.errors import LeaseLostError
from sync_engine.store import codec
from sync_engine.store.refs import connection_name
from sync_engine.store.repository import Repository, chunks
from sync_engine.store.tables import DUE_STATES, OPEN_STATES, in_states, outbox
from sync_engine.store.types import Json, UtcDateTime, storable_text


class OutboxState(StrEnum):
    """Where an intended write stands.

    ``ready``: nothing was sent. ``sealed``: the request is frozen and may be under way. ``unknown``: it
    was sent and nobody knows whether it took effect. ``failed``: it certainly had no effect; again at
    ``not_before``. ``parked``: needs a person or another event. ``superseded``: no longer wanted.
    """

    READY = "ready"
    SEALED = "sealed"
    UNKNOWN = "unknown"
    FAILED = "failed"
    PARKED = "parked"
    DONE = "done"
    SUPERSEDED = "superseded"


_STATES = {state.value: state for state in OutboxState}
_OPERATIONS = {operation.value: operation for operation in Operation}
IN_FLIGHT = frozenset({OutboxState.SEALED, OutboxState.UNKNOWN})


@dataclass(slots=True)
class OutboxRow:
    """One intended write; ``id`` names the intent and is the stem of its idempotency key.

    ``cleanup``: removes a record that another one has replaced, beside whatever else its ref wants.
    ``recreate``: a create of a meeting that already had a record there. ``digest``: of what is wanted, so
    that wanting the same again changes nothing. ``priority``: lower goes first.
    """

    id: str
    connection_id: str
    meeting_id: str
    ref_id: str
    operation: Operation
    values: Values
    revision: int
    created_at: datetime
    not_before: datetime
    workspace: str
    state: OutboxState = OutboxState.READY
    changed: frozenset[Field] = frozenset()
    base: Values = field(default_factory=dict)
    base_observed_at: datetime | None = None
    particulars: Mapping[str, Any] = field(default_factory=dict)
    external_id: str | None = None
    replaces: str | None = None
    cleanup: bool = False
    recreate: bool = False
    priority: int = 5
    scope: str = ""
    digest: str = ""
    attempts: int = 0
    last_error: str | None = None
    decision_id: str | None = None
    run_id: str | None = None
    sealed: Sealed | None = None
    sealed_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the effect is still wanted."""
        return self.state.value in OPEN_STATES

    def write(self) -> Write:
        """Give the write as an adapter takes it."""
        return Write(
            intent=self.id,
            operation=self.operation,
            connection=connection_name(self.connection_id),
            meeting_id=self.meeting_id,
            revision=self.revision,
            values=self.values,
            intended_at=self.created_at,
            external_id=self.external_id,
            changed=self.changed,
            base=self.base,
            base_observed_at=self.base_observed_at,
            particulars=self.particulars,
            replaces=self.replaces,
        )


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of intended writes: ids of rows, and of refs where nothing could be put in line.

    ``inserted``: new rows. ``merged``: open rows that now say what the new intent says. ``kept``: open
    rows that already said it. ``busy``: refs whose earlier write may be under way; once it is finished,
    reconciling must look again.
    """

    inserted: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()


class OutboxCount(NamedTuple):
    """How many open writes of one connection stand alike; ``first`` is the earliest ``not_before``."""

    connection_id: str
    state: OutboxState
    operation: Operation
    rows: int
    first: datetime


def outbox_to_row(row: OutboxRow) -> dict[str, Any]:
    """Encode an intended write as the columns of its table."""
    return {
        "id": row.id,
        "workspace": row.workspace,
        "connection_id": row.connection_id,
        "meeting_id": row.meeting_id,
        "ref_id": row.ref_id,
        "operation": row.operation.value,
        "state": row.state.value,
        "cleanup": row.cleanup,
        "recreate": row.recreate,
        "external_id": row.external_id,
        "replaces": row.replaces,
        "revision": row.revision,
        "priority": row.priority,
        "scope": row.scope,
        "digest": row.digest,
        "attempts": row.attempts,
        "not_before": row.not_before,
        "last_error": row.last_error,
        "decision_id": row.decision_id,
        "run_id": row.run_id,
        "created_at": row.created_at,
        "sealed_at": row.sealed_at,
        "finished_at": row.finished_at,
        "base_observed_at": row.base_observed_at,
        "changed": codec.fields_to_json(row.changed) or None,
        "field_values": codec.values_to_json(row.values),
        "base": codec.values_to_json(row.base) or None,
        "particulars": dict(row.particulars) or None,
        "sealed": codec.sealed_to_json(row.sealed) if row.sealed else None,
    }


_VERBATIM = (
    "id",
    "workspace",
    "connection_id",
    "meeting_id",
    "ref_id",
    "cleanup",
    "recreate",
    "external_id",
    "replaces",
    "revision",
    "priority",
    "scope",
    "digest",
    "attempts",
    "not_before",
    "last_error",
    "decision_id",
    "run_id",
    "created_at",
    "sealed_at",
    "finished_at",
    "base_observed_at",
)


def outbox_from_row(data: sa.RowMapping) -> OutboxRow:
    """Decode an intended write from the columns of its table."""
    return OutboxRow(
        operation=_OPERATIONS[data["operation"]],
        state=_STATES[data["state"]],
        values=codec.values_from_json(data["field_values"]),
        changed=codec.fields_from_json(data["changed"]),
        base=codec.values_from_json(data["base"]),
        particulars=data["particulars"] or {},
        sealed=codec.sealed_from_json(data["sealed"]) if data["sealed"] else None,
        **{name: data[name] for name in _VERBATIM},
    )


class Outbox(Repository):
    """Keep intended writes and their fate."""

    def upsert_open(self, rows: Sequence[OutboxRow], now: datetime) -> Upserted:
        """Put intents in line, at most one open row per ref; several edits become one write.

        A row nobody has sealed takes over the new intent and keeps its id, its age and its attempts. A
        sealed request is never changed: where it failed without effect the intent gets a new row, and
        with it a new idempotency key; where it may be under way, the ref is busy. Cleanups stand beside.
        """
        wanted = {row.ref_id: row for row in rows if not row.cleanup}
        inserted = [row for row in rows if row.cleanup]
        merged: list[OutboxRow] = []
        kept: list[str] = []
        busy: list[str] = []
        superseded: list[str] = []
        open_rows = {row.ref_id: row for row in self.open_of(wanted, lock=True) if not row.cleanup}
        for ref_id, row in wanted.items():
            there = open_rows.get(ref_id)
            if there is None:
                inserted.append(row)
            elif there.state in IN_FLIGHT:
                busy.append(ref_id)
            elif row.digest and there.digest == row.digest and there.operation is row.operation:
                kept.append(there.id)
            elif there.sealed is not None:
                superseded.append(there.id)
                inserted.append(row)
            else:
                merged.append(_merged(there, row))
        # First the old row leaves the line: the database allows one open row per ref at any moment.
        self.supersede(superseded, now)
        self._upsert(outbox, [outbox_to_row(row) for row in [*inserted, *merged]])
        return Upserted(
            tuple(row.id for row in inserted), tuple(row.id for row in merged), tuple(kept), tuple(busy)
        )

    def due(
        self,
        connection_id: str,
        now: datetime,
        limit: int,
        *,
        without_scopes: Collection[str] = (),
        passing_over: Collection[str] = (),
    ) -> list[OutboxRow]:
        """Load the rows to act upon now, most urgent first.

        ``without_scopes``: parts of the account that are limited at the moment. ``passing_over``: rows that
        are due and have to wait for something else; they must not hide those behind them.
        """
        # Ids first, from the index alone; sorting whole rows would carry their JSON through the sort.
        query = (
            sa.select(outbox.c.id)
            .where(outbox.c.connection_id == connection_id, outbox.c.not_before <= now)
            .where(in_states(outbox.c.state, DUE_STATES))
            .order_by(outbox.c.priority, outbox.c.not_before, outbox.c.id)
            .limit(limit + len(passing_over))
        )
        if without_scopes:
            query = query.where(outbox.c.scope.not_in(sorted(without_scopes)))
        due = self._connection.execute(query).scalars()
        ids = [row_id for row_id in due if row_id not in passing_over][:limit]
        rows = self.load(ids)
        return [rows[row_id] for row_id in ids]

    def due_connections(self, now: datetime) -> dict[str, int]:
        """Count the rows to act upon now, by connection; connections without any are missing."""
        query = (
            sa.select(outbox.c.connection_id, sa.func.count())
            .where(in_states(outbox.c.state, DUE_STATES), outbox.c.not_before <= now)
            .group_by(outbox.c.connection_id)
        )
        return {row.connection_id: row[1] for row in self._connection.execute(query)}

    def next_due(self, connection_id: str) -> datetime | None:
        """Tell when the first waiting row of a connection may be acted upon."""
        query = sa.select(sa.func.min(outbox.c.not_before)).where(
            outbox.c.connection_id == connection_id, in_states(outbox.c.state, DUE_STATES)
        )
        return self._connection.execute(query).scalar_one_or_none()

    def load(self, row_ids: Collection[str]) -> dict[str, OutboxRow]:
        """Load rows by id."""
        return {row.id: row for row in self._load("id", row_ids)}

    def open_of(self, ref_ids: Collection[str], *, lock: bool = False) -> list[OutboxRow]:
        """Load the open rows of refs, cleanups included, oldest first."""
        rows = self._load("ref_id", ref_ids, is_open=True, lock=lock)
        return sorted(rows, key=lambda row: row.id)

    def open_of_meetings(self, meeting_ids: Collection[str]) -> list[OutboxRow]:
        """Load the open rows of meetings, oldest first."""
        rows = self._load("meeting_id", meeting_ids, is_open=True)
        return sorted(rows, key=lambda row: row.id)

    def of_meeting(self, meeting_id: str, limit: int = 200) -> list[OutboxRow]:
        """Load the rows of one meeting, finished ones too, newest first."""
        query = sa.select(outbox).where(outbox.c.meeting_id == meeting_id).order_by(outbox.c.id.desc())
        return [outbox_from_row(row) for row in self._connection.execute(query.limit(limit)).mappings()]

    def seal(self, row_id: str, sealed: Sealed, now: datetime) -> None:
        """Freeze the request of a row; commit before its first byte leaves.

        Raises:
            LeaseLostError: another run sealed it, or it is no longer wanted.
        """
        frozen = {
            "row_id": row_id,
            "frozen": codec.sealed_to_json(sealed),
            "frozen_scope": sealed.scope,
            "frozen_at": now,
        }
        if self._connection.execute(_SEAL, frozen).first() is None:
            raise LeaseLostError(f"outbox row {row_id} is not to be sealed any more")

    def reclaim_sealed(self, connection_id: str, now: datetime) -> int:
        """Take requests that a dead run froze for sent, perhaps; call it under the connection's lease."""
        statement = (
            sa.update(outbox)
            .where(outbox.c.connection_id == connection_id)
            # Sealed is one of the due states; saying so lets their index serve this.
            .where(in_states(outbox.c.state, DUE_STATES), outbox.c.state == OutboxState.SEALED.value)
            .values(state=OutboxState.UNKNOWN.value, last_error="the run that sent it ended", not_before=now)
            .returning(outbox.c.id)
        )
        return len(self._connection.execute(statement).all())

    def recreates(self, connection_id: str) -> list[OutboxRow]:
        """Load the due writes that would bring records back which the connection had before."""
        query = (
            sa.select(outbox)
            .where(outbox.c.connection_id == connection_id, outbox.c.recreate == sa.true())
            .where(in_states(outbox.c.state, DUE_STATES))
            .order_by(outbox.c.id)
        )
        return [outbox_from_row(row) for row in self._connection.execute(query).mappings()]

    def resend(self, row_id: str, now: datetime) -> None:
        """Note that a frozen request is about to be sent once more, unchanged; commit before it leaves.

        Raises:
            LeaseLostError: another run did that, or it is no longer wanted.
        """
        if self._connection.execute(_RESEND, {"row_id": row_id, "frozen_at": now}).first() is None:
            raise LeaseLostError(f"outbox row {row_id} is not to be sent again")

    def finish(self, row_ids: Collection[str], now: datetime) -> None:
        """Note that the writes took effect."""
        self._change(row_ids, state=OutboxState.DONE.value, finished_at=now, last_error=None)

    def supersede(self, row_ids: Collection[str], now: datetime) -> None:
        """Take writes out of the line that nobody wants any more."""
        self._change(row_ids, state=OutboxState.SUPERSEDED.value, finished_at=now)

    def fail(
        self, row_ids: Collection[str], error: str, not_before: datetime, *, unseal: bool = False
    ) -> None:
        """Note that the writes had no effect; they are due again at ``not_before``.

        ``unseal``: the request must be decided anew (what it was planned upon has changed).
        """
        forgotten: dict[str, Any] = {"sealed": None, "sealed_at": None} if unseal else {}
        self._change(
            row_ids,
            state=OutboxState.FAILED.value,
            last_error=storable_text(error),
            not_before=not_before,
            **forgotten,
        )

    def unknown(self, row_ids: Collection[str], error: str, not_before: datetime) -> None:
        """Note that nobody knows whether the writes took effect; look at ``not_before``."""
        self._change(
            row_ids, state=OutboxState.UNKNOWN.value, last_error=storable_text(error), not_before=not_before
        )

    def park(self, row_ids: Collection[str], reason: str, *, decision_id: str | None = None) -> None:
        """Set writes aside until a person, or another event, decides."""
        self._change(
            row_ids,
            state=OutboxState.PARKED.value,
            last_error=storable_text(reason),
            decision_id=decision_id,
        )

    def unpark(self, row_ids: Collection[str], now: datetime) -> None:
        """Put parked writes back in line, to be decided anew."""
        self._change(
            row_ids,
            state=OutboxState.READY.value,
            sealed=None,
            sealed_at=None,
            not_before=now,
            last_error=None,
        )

    def delay(self, row_ids: Collection[str], reason: str, not_before: datetime) -> None:
        """Let writes wait that a provider's limit turned away untouched; they are decided anew then."""
        self._change(
            row_ids,
            state=OutboxState.READY.value,
            sealed=None,
            sealed_at=None,
            last_error=storable_text(reason),
            not_before=not_before,
        )

    def postpone(self, row_ids: Collection[str], not_before: datetime) -> None:
        """Let writes wait (a quota is spent) without counting it as a failure."""
        self._change(row_ids, not_before=not_before)

    def parked(self, workspace: str, limit: int = 500) -> list[OutboxRow]:
        """List writes that wait for a person, oldest first."""
        query = (
            sa.select(outbox)
            # Parked is one of the open states; saying so lets the index of the open rows serve this.
            .where(outbox.c.workspace == workspace, outbox.c.state == OutboxState.PARKED.value)
            .where(in_states(outbox.c.state, OPEN_STATES))
            .order_by(outbox.c.id)
            .limit(limit)
        )
        return [outbox_from_row(row) for row in self._connection.execute(query).mappings()]

    def of_decision(self, decision_id: str) -> list[str]:
        """Give the ids of the parked rows that wait for one decision."""
        query = (
            sa.select(outbox.c.id)
            .where(outbox.c.decision_id == decision_id, outbox.c.state == OutboxState.PARKED.value)
            .order_by(outbox.c.id)
        )
        return list(self._connection.execute(query).scalars())

    def counts(self, workspace: str) -> list[OutboxCount]:
        """Count open writes by connection, state and operation."""
        columns = (outbox.c.connection_id, outbox.c.state, outbox.c.operation)
        query = (
            sa.select(*columns, sa.func.count(), sa.func.min(outbox.c.not_before))
            .where(outbox.c.workspace == workspace, in_states(outbox.c.state, OPEN_STATES))
            .group_by(*columns)
            .order_by(*columns)
        )
        return [
            OutboxCount(connection_id, _STATES[state], _OPERATIONS[operation], rows, first)
            for connection_id, state, operation, rows, first in self._connection.execute(query)
        ]

    def being_removed(self, connection_id: str) -> frozenset[str]:
        """Name the records of a connection that are to be deleted because others took their place."""
        query = (
            sa.select(outbox.c.external_id)
            .where(outbox.c.connection_id == connection_id, outbox.c.cleanup == sa.true())
            .where(in_states(outbox.c.state, OPEN_STATES), outbox.c.external_id.is_not(None))
        )
        return frozenset(self._connection.execute(query).scalars())

    def postponed(self, workspace: str, now: datetime) -> dict[str, int]:
        """Count writes that only wait for their time, by connection."""
        query = (
            sa.select(outbox.c.connection_id, sa.func.count())
            .where(outbox.c.workspace == workspace, in_states(outbox.c.state, ("ready",)))
            .where(outbox.c.not_before > now)
            .group_by(outbox.c.connection_id)
        )
        return {row.connection_id: row[1] for row in self._connection.execute(query)}

    def prune(self, before: datetime) -> int:
        """Forget finished rows that are older; gives how many."""
        statement = (
            sa.delete(outbox)
            .where(outbox.c.finished_at.is_not(None), outbox.c.finished_at < before)
            .returning(outbox.c.id)
        )
        return len(self._connection.execute(statement).all())

    def _change(self, row_ids: Collection[str], **values: Any) -> None:
        given = {f"new_{name}": value for name, value in values.items()}
        for part in chunks(sorted(set(row_ids))):
            self._connection.execute(_change_of(tuple(values)), {"keys": part, **given})

    def _load(
        self,
        column: str,
        keys: Iterable[str],
        *,
        is_open: bool = False,
        lock: bool = False,
    ) -> Iterator[OutboxRow]:
        for part in chunks(sorted(set(keys))):
            found = self._connection.execute(_rows_by(column, is_open, lock), {"keys": part})
            yield from (outbox_from_row(row) for row in found.mappings())


# Built once, like what follows: they run for every write that is sent, and building costs more than running.
@lru_cache(maxsize=32)
def _change_of(names: tuple[str, ...]) -> sa.Update:
    changed = {name: sa.bindparam(f"new_{name}", type_=outbox.c[name].type) for name in names}
    return sa.update(outbox).where(outbox.c.id.in_(sa.bindparam("keys", expanding=True))).values(changed)


@lru_cache(maxsize=8)
def _rows_by(column: str, is_open: bool, lock: bool) -> sa.Select[Any]:
    query = sa.select(outbox).where(outbox.c[column].in_(sa.bindparam("keys", expanding=True)))
    if is_open:
        query = query.where(in_states(outbox.c.state, OPEN_STATES))
    query = query.order_by(outbox.c.id)
    return query.with_for_update() if lock else query


_SEAL = (
    sa.update(outbox)
    .where(
        outbox.c.id == sa.bindparam("row_id"),
        outbox.c.state.in_((OutboxState.READY.value, OutboxState.FAILED.value)),
    )
    .values(
        state=OutboxState.SEALED.value,
        sealed=sa.bindparam("frozen", type_=Json),
        scope=sa.bindparam("frozen_scope"),
        sealed_at=sa.bindparam("frozen_at", type_=UtcDateTime),
        attempts=outbox.c.attempts + 1,
    )
    .returning(outbox.c.id)
)

_RESEND = (
    sa.update(outbox)
    .where(
        outbox.c.id == sa.bindparam("row_id"),
        outbox.c.sealed.is_not(sa.null()),
        outbox.c.state.in_(tuple(DUE_STATES)),
    )
    .values(
        state=OutboxState.SEALED.value,
        sealed_at=sa.bindparam("frozen_at", type_=UtcDateTime),
        attempts=outbox.c.attempts + 1,
    )
    .returning(outbox.c.id)
)


def _merged(there: OutboxRow, row: OutboxRow) -> OutboxRow:
    row.id = there.id
    row.created_at = there.created_at
    row.attempts = there.attempts
    return row
