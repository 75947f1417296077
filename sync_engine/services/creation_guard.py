"""Guard against mass creation: a side that forgot its records must not be filled again blindly."""

from __future__ import annotations

import structlog

from sync_engine.core.fields import digest
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.lease import HeldLease
from sync_engine.store.decisions import DecisionKind, DecisionRow, DecisionState
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()


def _approved(uow: UnitOfWork, channel: Channel) -> frozenset[str]:
    """Name what a person has let go on: a run that carries out half of it must not ask about the rest."""
    rows = uow.decisions.of_connection(channel.id, DecisionKind.MASS_CREATION, DecisionState.APPROVED)
    return frozenset(row.id for row in rows)


def guard_creations(engine: Engine, tenant: Tenant, channel: Channel, lease: HeldLease) -> None:
    """Park creates of meetings that already had a record there as one decision, when there are too many.

    New meetings, deferred ones and a first contact are not counted: they never had a record there.
    """
    with engine.store.transaction() as uow:
        lease.check(uow)
        approved = _approved(uow, channel)
        rows = [row for row in uow.outbox.recreates(channel.id) if row.decision_id not in approved]
        total = uow.refs.totals(channel.id) + len(rows)
        if not tenant.guard.exceeded_by(len(rows), total):
            return
        what = digest(sorted(row.meeting_id for row in rows))
        evidence = {
            "text": f"{len(rows)} records would be made again at {channel.name}",
            "records": len(rows),
            "total": total,
        }
        decision = uow.decisions.ask(
            DecisionRow(
                id=engine.new_id(),
                workspace=tenant.name,
                connection_id=channel.id,
                kind=DecisionKind.MASS_CREATION,
                digest=what,
                evidence=evidence,
                raised_at=engine.now(),
            )
        )
        if decision.state is DecisionState.APPROVED:
            return
        log.warning("mass_creation_held", connection_id=channel.id, records=len(rows))
        uow.outbox.park([row.id for row in rows], str(evidence["text"]), decision_id=decision.id)
