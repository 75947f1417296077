"""Maintain: forget what is over, keep secrets under the newest key, and say what does not go well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from sync_engine.services.engine import Engine, Tenant
from sync_engine.store.connections import ConnectionState
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

BATCH = 10_000
MOST_BATCHES = 50
"""What is left after these is forgotten an hour later: no run of this may last for hours."""
LATE_AFTER_POLLS = 4
"""A connection that was not swept for so many intervals is not well."""


@dataclass(frozen=True)
class Retention:
    """How long what is over is kept."""

    journal: timedelta = timedelta(days=400)
    outbox: timedelta = timedelta(days=30)
    inbox: timedelta = timedelta(days=14)
    runs: timedelta = timedelta(days=90)
    quotas: timedelta = timedelta(days=35)


@dataclass
class Upkeep:
    """What was forgotten, what was encrypted anew, and which connections do not go well."""

    forgotten: dict[str, int] = field(default_factory=dict)
    resealed: int = 0
    unreadable: int = 0
    unwell: dict[str, str] = field(default_factory=dict)


def maintain(engine: Engine, retention: Retention) -> Upkeep:
    """Do everything that has no hurry; safe to run twice, and at once with anything."""
    upkeep = Upkeep()
    _forget(engine, retention, upkeep)
    with engine.store.transaction() as uow:
        upkeep.resealed, upkeep.unreadable = uow.connections.reseal_secrets()
    for tenant in engine.tenants.values():
        upkeep.unwell |= _unwell(engine, tenant)
    for connection_id, reason in upkeep.unwell.items():
        log.warning("connection_unwell", connection_id=connection_id, reason=reason)
    log.info(
        "maintenance_finished",
        **{f"forgotten_{name}": number for name, number in upkeep.forgotten.items()},
        reencrypted=upkeep.resealed,
        undecipherable=upkeep.unreadable,
        unwell=len(upkeep.unwell),
    )
    return upkeep


def _forget(engine: Engine, retention: Retention, upkeep: Upkeep) -> None:
    now = engine.now()
    # The journal is the largest by far: in parts, so that nobody waits long for the database meanwhile.
    upkeep.forgotten["journal"] = _in_batches(
        engine, lambda uow: uow.journal.prune(now - retention.journal, BATCH)
    )
    with engine.store.transaction() as uow:
        upkeep.forgotten["outbox"] = uow.outbox.prune(now - retention.outbox)
    with engine.store.transaction() as uow:
        upkeep.forgotten["inbox"] = uow.inbox.prune(now - retention.inbox)
    with engine.store.transaction() as uow:
        upkeep.forgotten["runs"] = uow.runs.prune(now - retention.runs)
        uow.quotas.prune((now - retention.quotas).date())


def _in_batches(engine: Engine, forget: Callable[[UnitOfWork], int]) -> int:
    total = 0
    for _ in range(MOST_BATCHES):
        with engine.store.transaction() as uow:
            number = forget(uow)
        total += number
        if number < BATCH:
            break
    return total


def _unwell(engine: Engine, tenant: Tenant) -> dict[str, str]:
    """Say for each connection that does not go well why."""
    found: dict[str, str] = {}
    with engine.store.reading() as uow:
        rows = [row for row in uow.connections.of_workspace(tenant.name) if row.name in tenant.channels]
    for row in rows:
        usual = max(tenant.poll, timedelta(seconds=row.poll_seconds or 0))
        if row.state in {ConnectionState.REVOKED, ConnectionState.UNAUTHORISED}:
            found[row.id] = f"{row.state.value}: {row.paused_reason or 'its credentials were refused'}"
        elif _is_late(row.last_complete_sweep_at or row.created_at, usual, engine.now()):
            found[row.id] = f"its list was not read in full for {LATE_AFTER_POLLS} intervals"
    return found


def _is_late(last: datetime, usual: timedelta, now: datetime) -> bool:
    return now - last > LATE_AFTER_POLLS * usual + timedelta(minutes=5)
