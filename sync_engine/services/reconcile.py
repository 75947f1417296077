"""Reconcile: bring the meetings that are in line to a plan, and put the plan's writes into the outbox."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from sync_engine.core.capabilities import Capabilities
from sync_engine.core.fields import digest
from sync_engine.core.plan import EntryKind, Plan, PlannedWrite
from sync_engine.core.ports import Operation
from sync_engine.core.reconcile import Missing, Shown, reconcile
from sync_engine.core.refs import DELETED
from sync_engine.services.engine import Engine, Tenant
from sync_engine.services.journal import journalled
from sync_engine.services.run import Run
from sync_engine.store.conflicts import ConflictRow
from sync_engine.store.decisions import DecisionKind, DecisionRow
from sync_engine.store.meetings import MeetingRow
from sync_engine.store.outbox import IN_FLIGHT, OutboxRow
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

PAGE = 200
AFTER_A_BUG = timedelta(hours=1)
_PRIORITY = {Operation.DELETE: 1, Operation.RESTORE: 2, Operation.UPDATE: 2, Operation.CREATE: 5}
SOON = timedelta(days=2)
SOON_PRIORITY = 4


@dataclass(frozen=True)
class Case:
    """One meeting with everything reconciling needs to know about it."""

    row: MeetingRow
    refs: Mapping[str, RefRow]
    open_rows: Mapping[str, OutboxRow]

    @property
    def busy(self) -> frozenset[str]:
        """Name the connections where a write of this meeting may be under way."""
        return frozenset(
            name
            for name, ref in self.refs.items()
            if (row := self.open_rows.get(ref.id)) and row.state in IN_FLIGHT
        )


def reconcile_page(engine: Engine, tenant: Tenant, run: Run, limit: int = PAGE) -> int:
    """Reconcile the next meetings in line, in one transaction; gives how many there were."""
    with engine.store.transaction() as uow:
        rows = uow.meetings.take_dirty(tenant.name, limit, engine.now())
        if rows:
            reconcile_rows(uow, engine, tenant, rows, run)
    run.progress("reconcile", "", len(rows))
    return len(rows)


def reconcile_rows(
    uow: UnitOfWork, engine: Engine, tenant: Tenant, rows: Sequence[MeetingRow], run: Run
) -> list[tuple[Case, Plan]]:
    """Plan these meetings and store the plans; gives the plans with what they were made from."""
    cases = load_cases(uow, rows)
    planned: list[tuple[Case, Plan]] = []
    settled: dict[str, object] = {}
    for case in cases:
        try:
            planned.append((case, plan_case(engine, tenant, case)))
        except Exception as error:
            # One meeting that meets a bug of ours must not stop the others of its page.
            log.error(
                "reconcile_failed",
                meeting_id=case.row.id,
                error=type(error).__name__,
                at=_place(error),
            )
            run.fail(f"meeting {case.row.id}", f"cannot be reconciled ({type(error).__name__})")
            settled[case.row.id] = engine.now() + AFTER_A_BUG
    _store(uow, engine, tenant, planned, run)
    uow.meetings.settle(settled)  # type: ignore[arg-type]
    return planned


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""


def load_cases(uow: UnitOfWork, rows: Sequence[MeetingRow]) -> list[Case]:
    """Load everything that reconciling needs to know about these meetings."""
    ids = [row.id for row in rows]
    refs = uow.refs.of_meetings(ids)
    open_rows = {o.ref_id: o for o in uow.outbox.open_of_meetings(ids) if not o.cleanup}
    return [Case(row, {r.ref.connection: r for r in refs.get(row.id, [])}, open_rows) for row in rows]


def plan_case(engine: Engine, tenant: Tenant, case: Case) -> Plan:
    """Reconcile one meeting: no effect, no I/O."""
    capabilities = tenant.capabilities
    shown = {n: _shown(row, capabilities[n]) for n, row in case.refs.items() if n in capabilities}
    return reconcile(
        case.row.meeting,
        {name: row.ref for name, row in case.refs.items()},
        shown,
        capabilities,
        engine.policy(tenant),
        engine.now(),
        new_ref_id=engine.new_id,
        busy=case.busy,
    )


def _shown(row: RefRow, capabilities: Capabilities) -> Shown:
    """Give what a record shows now; what a record that is gone showed last is not shown any more."""
    if row.ref.state in DELETED:
        return row.observed if row.absences == 0 else None
    return Missing() if row.absences >= capabilities.absence_proofs else row.observed


def _store(
    uow: UnitOfWork,
    engine: Engine,
    tenant: Tenant,
    planned: Sequence[tuple[Case, Plan]],
    run: Run,
) -> None:
    now = engine.now()
    changed_meetings, changed_refs, dropped, writes, unwanted = [], [], [], [], []
    entries, due = [], {}
    for case, plan in planned:
        if plan.meeting != case.row.meeting:
            case.row.meeting = plan.meeting
            case.row.dirty, case.row.due_at = False, plan.reconsider_at
            changed_meetings.append(case.row)
        elif case.row.dirty or case.row.due_at != plan.reconsider_at:
            due[case.row.id] = plan.reconsider_at
        rows = _changed_refs(case, plan, tenant)
        changed_refs += rows
        dropped += [row.id for name, row in case.refs.items() if name not in plan.refs]
        wanted = _outbox_rows(engine, tenant, case, plan, {r.ref.connection: r for r in rows}, run)
        refs_written = {row.ref_id for row in wanted}
        writes += wanted
        unwanted += [
            o.id
            for ref in case.refs.values()
            if (o := case.open_rows.get(ref.id)) and o.state not in IN_FLIGHT and ref.id not in refs_written
        ]
        entries += [journalled(engine, run, tenant.name, plan.meeting.id, e) for e in plan.entries]
        run.conflicts += sum(e.kind in {EntryKind.CONFLICT, EntryKind.ASKED} for e in plan.entries)
        _ask(uow, engine, tenant, plan)
    uow.meetings.save(changed_meetings, now)
    uow.outbox.supersede(unwanted, now)
    uow.refs.delete(dropped)
    uow.refs.save(changed_refs)
    uow.outbox.upsert_open(writes, now)
    uow.journal.append(entries)
    uow.meetings.settle(due)


def _changed_refs(case: Case, plan: Plan, tenant: Tenant) -> list[RefRow]:
    changed: list[RefRow] = []
    for name, ref in plan.refs.items():
        row = case.refs.get(name)
        if row is None:
            changed.append(RefRow(ref, tenant.channels[name].id, case.row.id))
        elif row.ref != ref:
            row.ref = ref
            changed.append(row)
    return changed


def _outbox_rows(
    engine: Engine,
    tenant: Tenant,
    case: Case,
    plan: Plan,
    changed: Mapping[str, RefRow],
    run: Run,
) -> list[OutboxRow]:
    refs = {**case.refs, **changed}
    return [_outbox_row(engine, tenant, plan, w, refs[w.connection], run) for w in plan.writes]


def _outbox_row(
    engine: Engine, tenant: Tenant, plan: Plan, write: PlannedWrite, ref: RefRow, run: Run
) -> OutboxRow:
    now = engine.now()
    observed = ref.observed
    in_words = sorted((name.value, value) for name, value in write.values.items() if name in write.changed)
    return OutboxRow(
        id=engine.new_id(),
        connection_id=tenant.channels[write.connection].id,
        meeting_id=plan.meeting.id,
        ref_id=ref.id,
        operation=write.operation,
        values=write.values,
        revision=plan.meeting.revision,
        created_at=now,
        not_before=now,
        workspace=tenant.name,
        changed=write.changed,
        base=observed.values if observed else {},
        base_observed_at=ref.observed_at,
        particulars=observed.particulars if observed else {},
        external_id=None if write.operation is Operation.CREATE else ref.ref.external_id,
        replaces=write.replaces,
        recreate=write.recreate,
        priority=_priority(plan, write, engine),
        digest=digest((write.operation.value, write.replaces, in_words)),
        run_id=run.id,
    )


def _priority(plan: Plan, write: PlannedWrite, engine: Engine) -> int:
    """Order writes: cancellations, then people's edits, then new records, the soonest meetings first."""
    schedule = plan.meeting.schedule
    if write.operation is Operation.CREATE and write.replaces:
        return _PRIORITY[Operation.UPDATE]
    soon = schedule is not None and abs(schedule.start - engine.now()) <= SOON
    return SOON_PRIORITY if write.operation is Operation.CREATE and soon else _PRIORITY[write.operation]


def _ask(uow: UnitOfWork, engine: Engine, tenant: Tenant, plan: Plan) -> None:
    now = engine.now()
    conflicts: list[ConflictRow] = []
    for question in plan.questions:
        connection_id = tenant.channels[question.connection].id
        if question.field is not None:
            conflicts.append(
                ConflictRow(
                    id=engine.new_id(),
                    workspace=tenant.name,
                    meeting_id=plan.meeting.id,
                    connection_id=connection_id,
                    field=question.field,
                    ours=question.ours,
                    theirs=question.theirs,
                    raised_at=now,
                )
            )
            continue
        uow.decisions.ask(
            DecisionRow(
                id=engine.new_id(),
                workspace=tenant.name,
                connection_id=connection_id,
                kind=DecisionKind.DELETION,
                digest=digest((plan.meeting.id, plan.meeting.revision)),
                evidence={
                    "text": f"{question.connection} deleted a meeting",
                    "meeting_id": plan.meeting.id,
                },
                raised_at=now,
            )
        )
    if conflicts:
        uow.conflicts.raise_open(conflicts)
