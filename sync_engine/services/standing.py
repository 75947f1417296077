"""How things stand: what is in agreement, and what is held, deferred, parked, set aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sync_engine.core.refs import HoldKind, RefState
from sync_engine.services.engine import Engine, Tenant
from sync_engine.store.connections import ConnectionState
from sync_engine.store.outbox import OutboxState
from sync_engine.store.unit_of_work import UnitOfWork


@dataclass
class ConnectionStanding:
    """How one connection stands. ``quota``: writes used today by scope, where there is a daily cap."""

    name: str
    provider: str
    state: str = ConnectionState.OK.value
    reason: str | None = None
    paused_until: datetime | None = None
    last_sweep_at: datetime | None = None
    linked: int = 0
    gone: int = 0
    held: int = 0
    deferred: int = 0
    waiting: int = 0
    parked: int = 0
    quota: dict[str, int] = field(default_factory=dict)
    quota_limit: int | None = None


@dataclass
class Standing:
    """How one workspace stands now."""

    workspace: str
    connections: dict[str, ConnectionStanding] = field(default_factory=dict)
    meetings: int = 0
    cancelled: int = 0
    unsettled: int = 0
    quarantined: int = 0
    open_conflicts: int = 0
    open_reviews: int = 0
    open_decisions: int = 0

    @property
    def held(self) -> int:
        """Count refs that hold a value or a whole record back."""
        return sum(c.held for c in self.connections.values())

    @property
    def deferred(self) -> int:
        """Count records that wait for their time."""
        return sum(c.deferred for c in self.connections.values())

    @property
    def parked(self) -> int:
        """Count what waits for a person: writes, matches, decisions, conflicts."""
        writes = sum(c.parked for c in self.connections.values())
        return writes + self.open_reviews + self.open_decisions + self.open_conflicts

    @property
    def settled(self) -> int:
        """Count meetings on which every connection agrees, as far as it can hold them."""
        return max(0, self.meetings - self.unsettled)


def standing_of(engine: Engine, tenant: Tenant) -> Standing:
    """Count how a workspace stands."""
    standing = Standing(tenant.name)
    with engine.store.reading() as uow:
        for row in uow.connections.of_workspace(tenant.name):
            if row.name in tenant.channels:
                standing.connections[row.name] = ConnectionStanding(
                    row.name,
                    row.provider,
                    row.state.value,
                    row.paused_reason,
                    row.paused_until,
                    row.last_sweep_at,
                )
        _count_refs(uow, tenant, standing)
        _count_writes(uow, engine, tenant, standing)
        for count in uow.meetings.counts(tenant.name):
            standing.meetings += count.meetings
            if count.status.value == "cancelled":
                standing.cancelled += count.meetings
        standing.unsettled = uow.meetings.count_unsettled(tenant.name, engine.now())
        standing.quarantined = uow.quarantine.count(tenant.name)
        standing.open_conflicts = uow.conflicts.count_open(tenant.name)
        standing.open_reviews = uow.reviews.count_open(tenant.name)
        standing.open_decisions = len(uow.decisions.open_of_workspace(tenant.name))
    return standing


def _count_refs(uow: UnitOfWork, tenant: Tenant, standing: Standing) -> None:
    for count in uow.refs.counts(tenant.name):
        connection = standing.connections.get(count.connection_id.partition("/")[2])
        if connection is None:
            continue
        if count.state in {RefState.LINKED, RefState.READ_ONLY}:
            connection.linked += count.refs
        elif count.state is RefState.GONE:
            connection.gone += count.refs
        if count.hold_kind == HoldKind.HELD.value:
            connection.held += count.refs
        elif count.hold_kind is not None:
            connection.deferred += count.refs
        else:
            connection.held += count.with_held


def _count_writes(uow: UnitOfWork, engine: Engine, tenant: Tenant, standing: Standing) -> None:
    today = engine.now().date()
    for count in uow.outbox.counts(tenant.name):
        connection = standing.connections.get(count.connection_id.partition("/")[2])
        if connection is None:
            continue
        if count.state is OutboxState.PARKED:
            connection.parked += count.rows
        else:
            connection.waiting += count.rows
    for connection_id, rows in uow.outbox.postponed(tenant.name, engine.now()).items():
        postponed = standing.connections.get(connection_id.partition("/")[2])
        if postponed is not None:
            postponed.deferred += rows
            postponed.waiting -= rows
    for name, connection in standing.connections.items():
        cap = tenant.channels[name].adapter.capabilities.daily_cap
        if cap is not None:
            connection.quota = uow.quotas.of_day(tenant.channels[name].id, today)
            connection.quota_limit = cap.limit
