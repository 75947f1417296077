"""Answer what a guard or the policy held back, and decide about single writes that were parked."""

from __future__ import annotations

from dataclasses import replace

from sync_engine.core.meeting import Status
from sync_engine.core.plan import EntryKind
from sync_engine.core.ports import Observation, Operation
from sync_engine.core.refs import HoldKind, RecordHold, RefState
from sync_engine.errors import ConfigurationError, UnholdableError
from sync_engine.services import outcome
from sync_engine.services.decide import Decided, channel_of, exclusively, load_meeting
from sync_engine.services.engine import Channel, Engine
from sync_engine.services.journal import note
from sync_engine.services.run import Run
from sync_engine.store.decisions import DecisionKind, DecisionRow, DecisionState
from sync_engine.store.outbox import OutboxRow, OutboxState
from sync_engine.store.refs import RefRow, connection_name
from sync_engine.store.reviews import ReviewRow, ReviewState
from sync_engine.store.unit_of_work import UnitOfWork

DISCARDED = "discarded by a person"


async def answer_decision(engine: Engine, decision_id: str, *, approve: bool) -> Decided:
    """Approve or reject everything one guarded decision is about.

    Mass deletion: approved, the next sync takes the missing records for deleted; rejected, they count as
    gone without cancelling their meetings. Mass creation: the parked writes go on, or are dropped and the
    records stay gone. Deletion (policy ``ask``): the meeting is cancelled everywhere, or kept.
    """
    known = _open_decision(engine, decision_id)
    _tenant, channel = channel_of(engine, known.connection_id)
    async with exclusively(engine, channel) as lease:
        with engine.store.transaction() as uow:
            lease.check(uow)
            # Whatever a run added to the evidence meanwhile was not what the person saw.
            row = uow.decisions.get(known.id)
            state = DecisionState.APPROVED if approve else DecisionState.REJECTED
            if row is None or row.digest != known.digest:
                raise ConfigurationError(
                    "the question has changed meanwhile; look at sync-engine parked again"
                )
            if not uow.decisions.decide(row.id, state, engine.now()):
                raise ConfigurationError("this has just been decided elsewhere")
            answered = _ANSWERS[row.kind](uow, engine, channel, row, approve)
            _note_answer(uow, engine, row, answered, approve=approve)
    return answered


def _open_decision(engine: Engine, decision_id: str) -> DecisionRow:
    with engine.store.reading() as uow:
        row = uow.decisions.get(decision_id)
    if row is None or row.state is not DecisionState.OPEN:
        raise ConfigurationError("this has been decided already; sync-engine parked lists open decisions")
    return row


def _answer_mass_deletion(
    uow: UnitOfWork, engine: Engine, channel: Channel, row: DecisionRow, approve: bool
) -> Decided:
    records = [str(each) for each in row.evidence.get("records", ())]
    if approve:
        text = f"the next sync takes {len(records)} missing records of {channel.name} for deleted"
        return Decided(text)
    refs = list(uow.refs.by_external_id(channel.id, records).values())
    _let_go(uow, engine, refs)
    text = f"{len(refs)} records of {channel.name} count as gone; their meetings stay as they are"
    return Decided(text, sorted({ref.meeting_id for ref in refs}), needs_sync=False)


def _let_go(uow: UnitOfWork, engine: Engine, refs: list[RefRow]) -> None:
    """Note that records are gone; should one of them be seen again, it is linked again."""
    open_rows = uow.outbox.open_of([ref.id for ref in refs])
    uow.outbox.supersede([o.id for o in open_rows if not o.cleanup], engine.now())
    for ref in refs:
        ref.ref = replace(ref.ref, state=RefState.GONE, hold=None, held={})
        # Something counted is what tells a record that is gone from one that has come back.
        ref.absences = max(ref.absences, 1)
        ref.absent_since = ref.absent_since or engine.now()
    uow.refs.save(refs)


def _answer_mass_creation(
    uow: UnitOfWork, engine: Engine, channel: Channel, row: DecisionRow, approve: bool
) -> Decided:
    ids = uow.outbox.of_decision(row.id)
    writes = list(uow.outbox.load(ids).values())
    meetings = sorted({write.meeting_id for write in writes})
    if approve:
        uow.outbox.unpark(ids, engine.now())
        return Decided(f"the next sync makes {len(ids)} records at {channel.name} again", meetings)
    _let_go(uow, engine, list(uow.refs.load([write.ref_id for write in writes]).values()))
    text = f"{len(ids)} records are not made again at {channel.name}"
    return Decided(text, meetings, needs_sync=False)


def _answer_deletion(
    uow: UnitOfWork, engine: Engine, channel: Channel, row: DecisionRow, approve: bool
) -> Decided:
    meeting = load_meeting(uow, str(row.evidence.get("meeting_id", "")))
    if not approve:
        text = f"the meeting stays, without its record at {channel.name}"
        return Decided(text, [meeting.id], needs_sync=False)
    there = uow.refs.of_meetings_at(channel.id, [meeting.id]).get(meeting.id)
    if there is not None and there.ref.state is RefState.DETACHED:
        _let_go(uow, engine, [there])
    before = meeting.meeting
    meeting.meeting = replace(
        before, status=Status.CANCELLED, cancelled_by=channel.name, revision=before.revision + 1
    )
    meeting.dirty = True
    uow.meetings.save([meeting], engine.now())
    return Decided("the meeting is cancelled; the next sync takes it out everywhere", [meeting.id])


_ANSWERS = {
    DecisionKind.MASS_DELETION: _answer_mass_deletion,
    DecisionKind.MASS_CREATION: _answer_mass_creation,
    DecisionKind.DELETION: _answer_deletion,
}


def _note_answer(
    uow: UnitOfWork, engine: Engine, row: DecisionRow, answered: Decided, *, approve: bool
) -> None:
    verb = "approved" if approve else "rejected"
    cause = f"a person {verb} it: {row.evidence.get('text', row.kind.value)}"
    name, run = connection_name(row.connection_id), Run(engine.new_id())
    about: list[str | None] = list(answered.meeting_ids) or [None]
    facts = {"decision": row.id}
    for meeting_id in about:
        note(uow, engine, run, row.workspace, meeting_id, EntryKind.DECIDED, name, cause, details=facts)


async def retry_write(engine: Engine, outbox_id: str) -> Decided:
    """Put one parked write back in line. Raises ConfigurationError when it waits for a decision."""
    row = _parked(engine, outbox_id)
    _tenant, channel = channel_of(engine, row.connection_id)
    with engine.store.transaction() as uow:
        uow.outbox.unpark([row.id], engine.now())
        _note_write(uow, engine, row, f"a person asked to try a parked {row.operation.value} again")
    return Decided(f"the next sync tries the {row.operation.value} at {channel.name} again", [row.meeting_id])


def _parked(engine: Engine, outbox_id: str) -> OutboxRow:
    with engine.store.reading() as uow:
        row = uow.outbox.load([outbox_id]).get(outbox_id)
        decision = uow.decisions.get(row.decision_id) if row and row.decision_id else None
    if row is None or row.state is not OutboxState.PARKED:
        raise ConfigurationError("this write is not parked any more; sync-engine parked lists those that are")
    if decision is not None and decision.state is DecisionState.OPEN:
        raise ConfigurationError(
            f"this write waits, with others, for one decision; sync-engine parked approve {decision.id}, "
            "or reject it"
        )
    return row


def _note_write(uow: UnitOfWork, engine: Engine, row: OutboxRow, cause: str) -> None:
    name, run = connection_name(row.connection_id), Run(engine.new_id())
    facts = {"outbox_id": row.id}
    note(uow, engine, run, row.workspace, row.meeting_id, EntryKind.DECIDED, name, cause, details=facts)


async def discard_write(engine: Engine, outbox_id: str) -> Decided:
    """Give one parked write up; what it would have written is held, until somebody changes it again.

    A deletion that is given up leaves the record where it is and cuts the tie to it.
    """
    known = _parked(engine, outbox_id)
    _tenant, channel = channel_of(engine, known.connection_id)
    async with exclusively(engine, channel) as lease:
        with engine.store.transaction() as uow:
            lease.check(uow)
            row = uow.outbox.load([known.id])[known.id]
            if row.state is not OutboxState.PARKED:
                raise ConfigurationError(
                    "this write has just left the list; look at sync-engine parked again"
                )
            if row.operation in {Operation.CREATE, Operation.UPDATE}:
                outcome.held(uow, engine, row, UnholdableError(DISCARDED))
            else:
                _give_up(uow, engine, row)
            _note_write(uow, engine, row, f"a person discarded a parked {row.operation.value}")
    return Decided(
        f"the {row.operation.value} at {channel.name} is given up", [row.meeting_id], needs_sync=False
    )


def _give_up(uow: UnitOfWork, engine: Engine, row: OutboxRow) -> None:
    now = engine.now()
    uow.outbox.supersede([row.id], now)
    if row.cleanup:
        _leave_alone(uow, engine, row)
        return
    ref = uow.refs.load([row.ref_id]).get(row.ref_id)
    if ref is None:
        return
    if row.operation is Operation.DELETE:
        ref.ref = replace(ref.ref, state=RefState.DETACHED, hold=None, held={})
    else:
        ref.ref = replace(
            ref.ref, state=RefState.GONE, held={}, hold=RecordHold(HoldKind.HELD, DISCARDED, now)
        )
        ref.absences = max(ref.absences, 1)
    uow.refs.save([ref])


def _leave_alone(uow: UnitOfWork, engine: Engine, row: OutboxRow) -> None:
    """Remember that a record another one replaced stays: the next sweep must not take it for a new one."""
    external_id = row.external_id or ""
    seen = Observation(external_id, {}, engine.now())
    uow.reviews.save(
        [
            ReviewRow(
                id=engine.new_id(),
                workspace=row.workspace,
                connection_id=row.connection_id,
                external_id=external_id,
                observation=seen,
                candidates=[{"meeting_id": row.meeting_id, "evidence": {"by": "replaced record"}}],
                raised_at=engine.now(),
                state=ReviewState.IGNORED,
                decided_at=engine.now(),
            )
        ]
    )
