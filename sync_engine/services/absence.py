"""Prove absences: a record the sweep did not show is gone only when the provider says so by id.

A side that suddenly shows much less than yesterday is an alarm, not a wave of deletions: it becomes one
decision for a person, with its evidence, and everything else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from sync_engine.core.fields import digest
from sync_engine.core.ports import Absence, Observation
from sync_engine.core.refs import LIVE
from sync_engine.errors import CredentialsError, ProviderError, UnmappableRecordError
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.run import Run
from sync_engine.services.series import rejoin_series
from sync_engine.store.decisions import DecisionKind, DecisionRow, DecisionState
from sync_engine.store.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from sync_engine.services.pull import Sweep

log = structlog.get_logger()

SAMPLE = 50
"""How many suspects are asked for by id before a person is asked about all of them."""


@dataclass
class Findings:
    """What asking by id brought: records that are there after all, and those that are gone."""

    present: list[Observation] = field(default_factory=list)
    gone: dict[str, bool] = field(default_factory=dict)


async def prove_absences(engine: Engine, tenant: Tenant, channel: Channel, sweep: Sweep, run: Run) -> None:
    """Find the records the sweep must have shown and did not, and settle what became of them."""
    suspects = _suspects(engine, channel, sweep)
    if suspects:
        rejoined = rejoin_series(engine, tenant, channel, sweep.lease, suspects, run)
        suspects = [s for s in suspects if s not in rejoined]
    told_gone = dict.fromkeys(sweep.gone, True)
    if not suspects and not told_gone:
        return
    with engine.store.reading() as uow:
        total = uow.refs.totals(channel.id)
    alarm = tenant.guard.exceeded_by(len(suspects) + len(told_gone), total)
    approved = _approved(engine, channel) if alarm else frozenset()
    asked = [s for s in suspects if s in approved] if alarm else suspects
    sample = [s for s in suspects if s not in approved][:SAMPLE] if alarm else []
    sweep.reads += len(asked) + len(sample)
    found = await _ask(channel, [*asked, *sample])
    if alarm:
        unapproved = {i: p for i, p in {**found.gone, **told_gone}.items() if i not in approved}
        missing = [i for i in [*suspects, *told_gone] if i not in approved]
        if unapproved:
            _raise_alarm(engine, tenant, channel, missing, len(unapproved), len(sample), total)
        found.gone = {i: p for i, p in found.gone.items() if i in approved}
        told_gone = {i: p for i, p in told_gone.items() if i in approved}
    _settle(engine, channel, sweep, found, told_gone)


def _suspects(engine: Engine, channel: Channel, sweep: Sweep) -> list[str]:
    with engine.store.reading() as uow:
        expected = uow.refs.in_window(channel.id, sweep.window.start, sweep.window.end, sorted(sweep.covered))
        return [r.external_id for r in expected if r.state in LIVE and not sweep.has_seen(r.external_id)]


def _approved(engine: Engine, channel: Channel) -> frozenset[str]:
    with engine.store.reading() as uow:
        rows = uow.decisions.of_connection(channel.id, DecisionKind.MASS_DELETION, DecisionState.APPROVED)
    return frozenset(i for row in rows for i in row.evidence.get("records", ()))


async def _ask(channel: Channel, external_ids: Sequence[str]) -> Findings:
    slots = asyncio.Semaphore(channel.concurrency)

    async def one(external_id: str) -> Absence:
        async with slots:
            return await channel.adapter.confirm_absence(external_id)

    answers = await asyncio.gather(*(one(i) for i in external_ids), return_exceptions=True)
    found = Findings()
    for external_id, answer in zip(external_ids, answers, strict=True):
        if isinstance(answer, Absence):
            if answer.observation is not None:
                found.present.append(answer.observation)
            elif not answer.hidden:
                found.gone[external_id] = answer.proven
        elif isinstance(answer, CredentialsError) or not isinstance(
            answer, ProviderError | UnmappableRecordError
        ):
            raise answer
    return found


def _raise_alarm(
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    missing: Sequence[str],
    gone: int,
    asked: int,
    total: int,
) -> None:
    text = f"{channel.name} shows {len(missing)} of {total} records gone"
    log.warning("mass_deletion_held", connection_id=channel.id, missing=len(missing), total=total)
    evidence = {
        "text": text,
        "missing": len(missing),
        "total": total,
        "asked_by_id": asked,
        "confirmed_gone": gone,
        "records": sorted(missing),
    }
    with engine.store.transaction() as uow:
        open_row = uow.decisions.open_of_connection(channel.id, DecisionKind.MASS_DELETION)
        if open_row is not None:
            open_row.evidence = evidence
            open_row.digest = digest(sorted(missing))
            uow.decisions.save(open_row)
            return
        uow.decisions.ask(
            DecisionRow(
                id=engine.new_id(),
                workspace=tenant.name,
                connection_id=channel.id,
                kind=DecisionKind.MASS_DELETION,
                digest=digest(sorted(missing)),
                evidence=evidence,
                raised_at=engine.now(),
            )
        )


def _settle(
    engine: Engine,
    channel: Channel,
    sweep: Sweep,
    found: Findings,
    told_gone: dict[str, bool],
) -> None:
    from sync_engine.services.pull import update_refs

    with engine.store.transaction() as uow:
        sweep.lease.check(uow)
        sweep.repaired |= update_refs(uow, engine, channel, found.present)
        count_gone(uow, engine, channel, {**found.gone, **told_gone})
        sweep.repaired |= found.gone.keys() | told_gone.keys()


def count_gone(uow: UnitOfWork, engine: Engine, channel: Channel, gone: dict[str, bool]) -> None:
    """Count one more absence for each record; a proven one, or enough of them, is for reconciling."""
    proofs = channel.adapter.capabilities.absence_proofs
    rows = uow.refs.by_external_id(channel.id, sorted(gone))
    changed = []
    for external_id, row in rows.items():
        row.absences = proofs if gone[external_id] else row.absences + 1
        row.absent_since = row.absent_since or engine.now()
        changed.append(row)
    uow.refs.save(changed)
    uow.meetings.mark_dirty(sorted({row.meeting_id for row in changed if row.absences >= proofs}))
