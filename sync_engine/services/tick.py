"""Tick: look every few seconds what is due, so that no wait needs a timer anywhere else.

Everything that waits is a column: ``not_before`` of writes and deliveries, ``due_at`` of meetings, the
last sweep and the pause of a connection. Whatever the broker lost is found here again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_engine.services import marks
from sync_engine.services.due import Due, Task, to_queue
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.reconcile import PAGE
from sync_engine.services.webhook_health import next_sweep_due
from sync_engine.store.connections import ConnectionRow, ConnectionState
from sync_engine.store.unit_of_work import UnitOfWork

AT_MOST_EVERY = timedelta(seconds=1)
"""Ticks in between have nothing to do: a second schedule by mistake, or a pile from an outage."""
LOOK_AHEAD = timedelta(seconds=2)
FORGOTTEN_AFTER = timedelta(seconds=5)
"""A delivery is worked on at once; one that still waits after this was forgotten."""
_SILENT = frozenset({ConnectionState.REVOKED, ConnectionState.UNAUTHORISED})


def tick(engine: Engine) -> list[Due]:
    """Find what is due in every workspace and mark it as queued; the caller queues it."""
    with engine.store.transaction() as uow:
        if not marks.put(uow, "tick", AT_MOST_EVERY):
            return []
        _end_pauses(uow, engine)
    return to_queue(engine, find_due(engine))


def find_due(engine: Engine) -> list[Due]:
    """Find what is due; changes nothing. Deliveries come first and sweeps last."""
    with engine.store.reading() as uow:
        look = _Look(uow, engine)
        return [*look.deliveries(), *look.meetings(), *look.writes(), *look.sweeps()]


def line_of(uow: UnitOfWork, engine: Engine, tenant: Tenant) -> list[Due]:
    """Give the next page of a workspace's meetings in line as a task, if there are any."""
    ids = uow.meetings.in_line(tenant.name, PAGE, engine.now())
    return [Due(Task.RECONCILE, tuple(ids), key=tenant.name)] if ids else []


def resting_mark(task: Task, connection_id: str) -> str:
    """Name the mark that stands while a task has proven useless for a connection."""
    return f"resting:{task.value}:{connection_id}"


def lease_name(connection_id: str) -> str:
    """Name the lease under which one run at a time works on a connection."""
    return f"connection:{connection_id}"


def _end_pauses(uow: UnitOfWork, engine: Engine) -> None:
    for tenant in engine.tenants.values():
        for row in uow.connections.of_workspace(tenant.name):
            if row.state is ConnectionState.PAUSED and not is_paused(row, engine.now()):
                uow.connections.resume(row.id)


def is_sweep_due(row: ConnectionRow | None, tenant: Tenant, now: datetime) -> bool:
    """Tell whether a connection is to be swept now; the next tick would be late for what comes due before."""
    return next_sweep_due(row, tenant, now) <= now + min(LOOK_AHEAD, tenant.poll / 4)


def is_paused(row: ConnectionRow, now: datetime) -> bool:
    """Tell whether a connection rests until a moment that has not come yet."""
    return row.state is ConnectionState.PAUSED and (row.paused_until is None or row.paused_until > now)


@dataclass(frozen=True)
class _Standing:
    """One configured connection as it stands."""

    tenant: Tenant
    channel: Channel
    row: ConnectionRow


class _Look:
    """One look at everything that may be due."""

    def __init__(self, uow: UnitOfWork, engine: Engine) -> None:
        self._uow, self._engine, self._now = uow, engine, engine.now()
        self._connections = {each.row.id: each for each in _standings(uow, engine)}
        self._busy = uow.leases.held([lease_name(name) for name in self._connections])
        self._marks = marks.standing(uow, list(self._marks_of(self._connections)))

    def deliveries(self) -> Iterator[Due]:
        """Find connections whose deliveries nobody works on."""
        found = self._uow.inbox.forgotten(self._now, self._now - FORGOTTEN_AFTER)
        for connection_id, row_id in found.items():
            if self._is_free(Task.INGEST, connection_id):
                yield Due(Task.INGEST, (row_id,), key=connection_id)

    def meetings(self) -> Iterator[Due]:
        """Find meetings in line."""
        for tenant in self._engine.tenants.values():
            yield from line_of(self._uow, self._engine, tenant)

    def writes(self) -> Iterator[Due]:
        """Find connections with writes to act upon now."""
        for connection_id in self._uow.outbox.due_connections(self._now):
            each = self._connections.get(connection_id)
            # Refused credentials are tried with a sweep's single request, not with people's writes.
            if each and each.row.state not in _SILENT and self._is_free(Task.PUSH, connection_id):
                yield Due(Task.PUSH, (connection_id,), key=connection_id)

    def sweeps(self) -> Iterator[Due]:
        """Find connections whose next sweep is due."""
        for connection_id, each in self._connections.items():
            is_due = is_sweep_due(each.row, each.tenant, self._now)
            revoked = each.row.state is ConnectionState.REVOKED
            if is_due and not revoked and self._is_free(Task.PULL, connection_id):
                yield Due(Task.PULL, (connection_id,), key=connection_id)

    def _is_free(self, task: Task, connection_id: str) -> bool:
        each = self._connections.get(connection_id)
        if each is not None and is_paused(each.row, self._now):
            return False
        marked = {Due(task, (), key=connection_id).mark, resting_mark(task, connection_id)}
        return lease_name(connection_id) not in self._busy and not marked & self._marks

    def _marks_of(self, connections: Mapping[str, _Standing]) -> Iterator[str]:
        for connection_id in connections:
            for task in (Task.PULL, Task.INGEST, Task.PUSH):
                yield Due(task, (), key=connection_id).mark
                yield resting_mark(task, connection_id)


def _standings(uow: UnitOfWork, engine: Engine) -> Iterator[_Standing]:
    for tenant in engine.tenants.values():
        for row in uow.connections.of_workspace(tenant.name):
            if channel := tenant.channels.get(row.name):
                yield _Standing(tenant, channel, row)
