"""What became of a write: move the agreement, the ref and the outbox together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sync_engine.core.creation import asked_digest
from sync_engine.core.deletion import DELETION_ASKED
from sync_engine.core.fields import digest
from sync_engine.core.meeting import Field
from sync_engine.core.plan import Entry, EntryKind
from sync_engine.core.ports import Observation, Operation, Written
from sync_engine.core.refs import Agreed, Held, HoldKind, Origin, PastWrite, RecordHold, Ref, RefState
from sync_engine.errors import UnholdableError
from sync_engine.services.absence import count_gone
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.journal import journalled
from sync_engine.services.lease import HeldLease
from sync_engine.services.linking import cleanup_row
from sync_engine.services.rotation import take_over
from sync_engine.services.run import Run
from sync_engine.store.outbox import OutboxRow
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import UnitOfWork

LOOP_MEMORY = timedelta(hours=24)


def finish(
    uow: UnitOfWork, engine: Engine, channel: Channel, row: OutboxRow, written: Written, run: Run
) -> None:
    """Store a write that took effect."""
    now = engine.now()
    uow.outbox.finish([row.id], now)
    ref = None if row.cleanup else uow.refs.load([row.ref_id]).get(row.ref_id)
    if row.cleanup and row.external_id:
        uow.reviews.withdraw(channel.id, [row.external_id])
    _count(run, row)
    cause = "removed the record another one replaced" if row.cleanup else f"{row.operation.value} done"
    entry = Entry(EntryKind.WRITTEN, channel.name, cause)
    uow.journal.append([journalled(engine, run, row.workspace, row.meeting_id, entry)])
    if ref is None:
        return
    if row.operation is Operation.DELETE:
        ref.ref = replace(ref.ref, state=RefState.GONE, held={}, hold=None)
        ref.absences = max(ref.absences, 1)
        ref.absent_since = ref.absent_since or now
        uow.refs.save([ref])
        return
    if row.operation is Operation.CREATE:
        # A pull may have met the record before we knew it for ours, and asked a person about it.
        uow.reviews.withdraw(channel.id, [written.external_id])
    if row.operation is Operation.CREATE and row.replaces:
        uow.outbox.upsert_open([cleanup_row(engine, ref, row.revision, run)], now)
    before = ref.observed
    _agree(engine, channel, ref, row, written)
    uow.refs.save([ref])
    if _needs_another_look(row, before, written):
        uow.meetings.mark_dirty([row.meeting_id])


def _count(run: Run, row: OutboxRow) -> None:
    if row.operation is Operation.CREATE:
        run.created += 1
    elif row.operation is Operation.DELETE:
        run.deleted += 1
    else:
        run.updated += 1


def _agree(engine: Engine, channel: Channel, ref: RefRow, row: OutboxRow, written: Written) -> None:
    """Take what was sent for ours and what came back for theirs: both now count as settled."""
    now, shown = engine.now(), written.observation
    theirs = shown.values if shown else {}
    settled = row.changed if row.operation is Operation.UPDATE else _told(channel, row)
    # Without an answer that shows the record, what was sent stands for it until the record is read.
    agreement = dict(ref.ref.agreement) if row.operation is Operation.UPDATE else {}
    for name in settled:
        if name in row.values:
            agreement[name] = Agreed(row.values[name], theirs.get(name) if shown else row.values[name])
    if row.operation is Operation.RESTORE:
        # A record that comes back shows what it showed before; ours is written next where it differs.
        agreement = {n: Agreed(None, v) for n, v in theirs.items() if n in row.values}
    recent = [w for w in ref.ref.recent_writes if now - w.at < LOOP_MEMORY]
    if row.operation is Operation.UPDATE or row.replaces:
        recent += [PastWrite(n, digest(row.values[n]), now) for n in sorted(row.changed) if n in row.values]
    state = RefState.READ_ONLY if shown and shown.read_only else RefState.LINKED
    ref.ref = replace(
        ref.ref,
        external_id=written.external_id,
        state=state,
        origin=Origin.CREATED if row.operation is Operation.CREATE else ref.ref.origin,
        agreement=agreement,
        held={n: h for n, h in ref.ref.held.items() if n not in settled},
        hold=None,
        recent_writes=tuple(recent),
    )
    if shown is not None:
        take_over(ref, shown, channel, now)
    else:
        ref.needs_read = True
    ref.absences, ref.absent_since = 0, None


def _told(channel: Channel, row: OutboxRow) -> frozenset[Field]:
    """Name the fields a new record was given; what the side issues itself is news from there."""
    fields = channel.adapter.capabilities.fields
    return frozenset(name for name in row.values if name in fields and fields[name].creatable)


def _needs_another_look(row: OutboxRow, before: Observation | None, written: Written) -> bool:
    """Tell whether the record shows more than the write explains."""
    shown = written.observation
    if shown is None or row.operation is not Operation.UPDATE or before is None:
        # A new record may show what it issued itself (a join link), which others wait for.
        return True
    return any(
        name not in row.changed and before.values.get(name) != value for name, value in shown.values.items()
    )


def stale(uow: UnitOfWork, engine: Engine, row: OutboxRow, shown: Observation) -> None:
    """Give a write up whose record changed meanwhile, and merge again with what it shows now."""
    uow.outbox.supersede([row.id], engine.now())
    ref = uow.refs.load([row.ref_id]).get(row.ref_id)
    if ref is not None:
        ref.observe(shown)
        uow.refs.save([ref])
    uow.meetings.mark_dirty([row.meeting_id])


def gone(uow: UnitOfWork, engine: Engine, channel: Channel, row: OutboxRow) -> None:
    """Give a write up whose record is not there any more, and count its absence."""
    uow.outbox.supersede([row.id], engine.now())
    if row.operation is Operation.RESTORE:
        _forget_record(uow, row)
    elif row.external_id:
        count_gone(uow, engine, channel, {row.external_id: False})
    uow.meetings.mark_dirty([row.meeting_id])


def _forget_record(uow: UnitOfWork, row: OutboxRow) -> None:
    """Forget a record that cannot be restored any more: the next plan makes a new one."""
    ref = uow.refs.load([row.ref_id]).get(row.ref_id)
    if ref is not None:
        ref.ref = replace(ref.ref, external_id=None)
        uow.refs.save([ref])


def held(uow: UnitOfWork, engine: Engine, row: OutboxRow, error: UnholdableError) -> None:
    """Hold what the adapter says cannot be written now, with its reason, until that may have changed."""
    now = engine.now()
    seconds = error.retry_after_seconds
    until = now + timedelta(seconds=seconds) if seconds is not None else None
    uow.outbox.supersede([row.id], now)
    ref = uow.refs.load([row.ref_id]).get(row.ref_id)
    if ref is None or row.cleanup:
        return
    ref.ref = _with_hold(ref.ref, row, error.reason, now, until)
    uow.refs.save([ref])
    uow.meetings.mark_dirty([row.meeting_id])


def _with_hold(ref: Ref, row: OutboxRow, reason: str, now: datetime, until: datetime | None) -> Ref:
    if row.operation is Operation.UPDATE:
        kept = dict(ref.held)
        for name in row.changed & row.values.keys():
            kept[name] = Held(reason, now, digest(row.values[name]), until, imposed=True)
        return replace(ref, held=kept)
    if row.replaces:
        return replace(ref, irreplaceable=reason)
    since = ref.hold.since if ref.hold and ref.hold.reason == reason else now
    asked = DELETION_ASKED if row.operation is Operation.DELETE else asked_digest(row.values)
    return replace(ref, hold=RecordHold(HoldKind.HELD, reason, since, until, asked))


def adopt(
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    lease: HeldLease,
    row: OutboxRow,
    found: Sequence[Observation],
    run: Run,
) -> bool:
    """Take a record that is already there for the one a create would make; tells whether there was one.

    A record that belongs to another meeting is not taken.
    """
    if not found:
        return False
    with engine.store.transaction() as uow:
        lease.check(uow)
        known = uow.refs.known(channel.id, [o.external_id for o in found])
        free = [o for o in found if o.external_id not in known and o.external_id != row.replaces]
        ref = uow.refs.load([row.ref_id]).get(row.ref_id)
        if not free or ref is None:
            return False
        chosen = free[0]
        if row.attempts > 0 or row.meeting_id in chosen.marks:
            finish(uow, engine, channel, row, Written(chosen.external_id, chosen), run)
            return True
        uow.reviews.withdraw(channel.id, [chosen.external_id])
        uow.outbox.supersede([row.id], engine.now())
        ref.ref = replace(
            ref.ref,
            external_id=chosen.external_id,
            state=RefState.READ_ONLY if chosen.read_only else RefState.LINKED,
            origin=Origin.FOUND,
            agreement={},
            hold=None,
        )
        ref.evidence = {"by": "look-up before creating"}
        take_over(ref, chosen, channel, engine.now())
        uow.refs.save([ref])
        uow.meetings.mark_dirty([row.meeting_id])
        entry = Entry(EntryKind.LINKED, channel.name, "found there just before creating")
        uow.journal.append([journalled(engine, run, tenant.name, row.meeting_id, entry)])
    return True
