"""Bring records nobody knows into the mapping table: tie them to a meeting, make one, or ask."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sync_engine.core.birth import meeting_from
from sync_engine.core.matching import NEARLY_SAME_START, Holding, Known, Match, Outcome, match
from sync_engine.core.meeting import Field, Schedule
from sync_engine.core.plan import Entry, EntryKind
from sync_engine.core.ports import Observation, Operation, Window
from sync_engine.core.refs import Origin, Ref, RefState
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.journal import journalled, note
from sync_engine.services.rotation import take_over
from sync_engine.services.run import Run
from sync_engine.store.meetings import MeetingRow
from sync_engine.store.outbox import IN_FLIGHT, OutboxRow
from sync_engine.store.refs import RefRow
from sync_engine.store.reviews import ReviewRow, ReviewState
from sync_engine.store.unit_of_work import UnitOfWork

CLEANUP_PRIORITY = 3


@dataclass(frozen=True)
class Nearby:
    """A meeting a new record may belong to, with the ref it has at the record's connection, if any."""

    known: Known
    row: MeetingRow
    ref: RefRow | None


def take_in(
    uow: UnitOfWork,
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    observations: Sequence[Observation],
    run: Run,
) -> None:
    """Tie a page of unknown records to meetings. Records outside the window are left alone.

    Evidence goes into the ref and the journal, so that a link can be explained and undone.
    """
    window = engine.window(tenant)
    reviews = uow.reviews.known(channel.id, [o.external_id for o in observations])
    fresh = [o for o in observations if _in_window(o, window) and _is_open(reviews.get(o.external_id))]
    if fresh:
        # What another record took the place of is ours, and on its way out.
        leaving = uow.outbox.being_removed(channel.id)
        fresh = [o for o in fresh if o.external_id not in leaving]
    if not fresh:
        return
    uow.connections.lock_workspace(tenant.name)
    nearby = _ByStart(_nearby(uow, tenant, channel, fresh))
    ties: list[Tie] = []
    taken: set[str] = set()
    born: list[Observation] = []
    asking: set[str] = set()
    for observation in fresh:
        near = [n for n in nearby.near(observation) if n.row.id not in taken]
        found = match(observation, [n.known for n in near], grows_twins=channel.adapter.capabilities.twins)
        chosen = next((n for n in near if n.row.id == found.meeting_id), None)
        if found.outcome is Outcome.SEPARATE or chosen is None:
            born.append(observation)
        elif found.outcome is Outcome.ASK:
            asking.add(observation.external_id)
            _ask(uow, engine, tenant, channel, observation, found)
        else:
            taken.add(chosen.row.id)
            ties += bind(uow, engine, channel, observation, chosen.row, chosen.ref, found.evidence, run)
    _keep(uow, engine, channel, ties, run)
    asked = {o.external_id for o in fresh if o.external_id in reviews} - asking
    uow.reviews.withdraw(channel.id, asked)
    give_birth(uow, engine, tenant, channel, born, run)


def look_again(engine: Engine, tenant: Tenant, channel: Channel, run: Run) -> None:
    """Match again what waits for a person: the meeting it belongs to may have been read since."""
    with engine.store.transaction() as uow:
        open_reviews = uow.reviews.open_of_workspace(tenant.name)
        asked = [r.observation for r in open_reviews if r.connection_id == channel.id]
        take_in(uow, engine, tenant, channel, asked, run)


def _in_window(observation: Observation, window: Window) -> bool:
    schedule = observation.values.get(Field.SCHEDULE)
    return isinstance(schedule, Schedule) and schedule.end > window.start and schedule.start < window.end


def _is_open(review: ReviewRow | None) -> bool:
    """Tell whether matching may look at the record (again): not once a person has decided."""
    return review is None or review.state is ReviewState.OPEN or review.state is ReviewState.SEPARATE


def _nearby(uow: UnitOfWork, tenant: Tenant, channel: Channel, fresh: Sequence[Observation]) -> list[Nearby]:
    starts = {s.start for o in fresh if isinstance(s := o.values.get(Field.SCHEDULE), Schedule)}
    # A connection that grows no twins shows no second copy: meetings it already has cannot be meant.
    rows = uow.meetings.candidates(
        tenant.name,
        starts,
        NEARLY_SAME_START,
        connection_id=channel.id,
        with_held=channel.adapter.capabilities.twins,
    )
    marked = {mark for o in fresh for mark in o.marks} - {row.id for row in rows}
    rows += [r for r in uow.meetings.load(sorted(marked)).values() if r.meeting.workspace == tenant.name]
    ids = [row.id for row in rows]
    keys = uow.refs.keys_of(ids)
    held = uow.refs.of_meetings_at(channel.id, ids)
    return [
        Nearby(
            Known(row.meeting, _holding(held.get(row.id)), keys.get(row.id, frozenset())),
            row,
            held.get(row.id),
        )
        for row in rows
    ]


def _holding(ref: RefRow | None) -> Holding:
    if ref is None or ref.ref.state is RefState.GONE:
        return Holding.NOTHING if ref is None else Holding.THEIRS
    if ref.ref.state in {RefState.CREATING, RefState.UNKNOWN}:
        return Holding.WANTED
    return Holding.OURS if ref.ref.origin is Origin.CREATED else Holding.THEIRS


class _ByStart:
    """The meetings near a page of records, by start: a busy page has hundreds of each."""

    def __init__(self, nearby: Sequence[Nearby]) -> None:
        self._by_id = {n.row.id: n for n in nearby}
        timed = [(s.start, n) for n in nearby if (s := n.row.meeting.schedule) is not None]
        timed.sort(key=lambda pair: (pair[0], pair[1].row.id))
        self._timed = [n for _, n in timed]
        self._starts = [start for start, _ in timed]

    def near(self, observation: Observation) -> list[Nearby]:
        """Give the meetings a record may belong to: named by its marks, or starting at nearly its time."""
        schedule = observation.values.get(Field.SCHEDULE)
        if not isinstance(schedule, Schedule):
            return []
        first = bisect_left(self._starts, schedule.start - NEARLY_SAME_START)
        last = bisect_right(self._starts, schedule.start + NEARLY_SAME_START)
        found = self._timed[first:last]
        there = {n.row.id for n in found}
        marked = (self._by_id.get(mark) for mark in sorted(observation.marks - there))
        return [n for n in marked if n is not None] + found


def give_birth(
    uow: UnitOfWork,
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    observations: Sequence[Observation],
    run: Run,
) -> list[str]:
    """Make a meeting of each record; gives the meetings' ids."""
    now = engine.now()
    twins = channel.adapter.capabilities.twins
    meetings = [
        meeting_from(o, engine.new_id(), tenant.name, channel.name, grows_twins=twins) for o in observations
    ]
    uow.meetings.save([MeetingRow(meeting, dirty=True) for meeting in meetings], now)
    uow.refs.save([new_ref(engine, channel, o, m.id) for o, m in zip(observations, meetings, strict=True)])
    born = Entry(EntryKind.BORN, channel.name, "first seen there")
    uow.journal.append([journalled(engine, run, tenant.name, m.id, born) for m in meetings])
    return [meeting.id for meeting in meetings]


def new_ref(
    engine: Engine,
    channel: Channel,
    observation: Observation,
    meeting_id: str,
    evidence: Mapping[str, object] | None = None,
) -> RefRow:
    """Build the ref of a record that was found at a connection."""
    state = RefState.READ_ONLY if observation.read_only else RefState.LINKED
    ref = Ref(engine.new_id(), channel.name, state, Origin.FOUND, engine.now(), observation.external_id)
    row = RefRow(ref, channel.id, meeting_id, evidence=evidence)
    take_over(row, observation, channel, engine.now())
    return row


@dataclass(frozen=True)
class Tie:
    """A record that now belongs to a meeting; still to be stored."""

    ref: RefRow
    evidence: Mapping[str, object]


def tie(
    uow: UnitOfWork,
    engine: Engine,
    channel: Channel,
    observation: Observation,
    meeting: MeetingRow,
    there: RefRow | None,
    evidence: Mapping[str, object],
    run: Run,
) -> None:
    """Tie a record to a meeting; a record we made there before makes way for the side's own twin."""
    _keep(uow, engine, channel, bind(uow, engine, channel, observation, meeting, there, evidence, run), run)


def bind(
    uow: UnitOfWork,
    engine: Engine,
    channel: Channel,
    observation: Observation,
    meeting: MeetingRow,
    there: RefRow | None,
    evidence: Mapping[str, object],
    run: Run,
) -> list[Tie]:
    """Decide how a record is tied to a meeting; gives the tie to keep, none while ours is under way."""
    if there is None:
        return [Tie(new_ref(engine, channel, observation, meeting.id, evidence), evidence)]
    open_rows = uow.outbox.open_of([there.id])
    if any(o.state in IN_FLIGHT and not o.cleanup for o in open_rows):
        # A create of ours is under way and may be this very record: its outcome comes first.
        return []
    uow.outbox.supersede([o.id for o in open_rows if not o.cleanup], engine.now())
    if there.ref.is_live:
        _remove_ours(uow, engine, meeting, there, run)
    own = meeting.id in observation.marks
    there.ref = replace(
        there.ref,
        external_id=observation.external_id,
        state=RefState.READ_ONLY if observation.read_only else RefState.LINKED,
        origin=Origin.CREATED if own else Origin.FOUND,
        agreement={},
        held={},
        hold=None,
    )
    there.evidence = evidence
    take_over(there, observation, channel, engine.now())
    return [Tie(there, evidence)]


def _keep(uow: UnitOfWork, engine: Engine, channel: Channel, ties: Sequence[Tie], run: Run) -> None:
    """Store ties, a page of them at once, and put their meetings in line."""
    uow.refs.save([t.ref for t in ties])
    uow.meetings.mark_dirty([t.ref.meeting_id for t in ties])
    uow.journal.append(
        [
            replace(
                journalled(
                    engine,
                    run,
                    t.ref.workspace,
                    t.ref.meeting_id,
                    Entry(EntryKind.LINKED, channel.name, f"matched by {t.evidence.get('by', 'a person')}"),
                ),
                details=dict(t.evidence),
            )
            for t in ties
        ]
    )


def _remove_ours(uow: UnitOfWork, engine: Engine, meeting: MeetingRow, there: RefRow, run: Run) -> None:
    now = engine.now()
    row = cleanup_row(engine, there, meeting.meeting.revision, run)
    uow.outbox.upsert_open([row], now)
    cause = "the side has its own copy now; ours is removed"
    note(uow, engine, run, there.workspace, meeting.id, EntryKind.TWIN_ADOPTED, there.ref.connection, cause)


def cleanup_row(engine: Engine, there: RefRow, revision: int, run: Run) -> OutboxRow:
    """Build the intent to delete the record a ref points to now, beside whatever the ref wants next."""
    now = engine.now()
    return OutboxRow(
        id=engine.new_id(),
        connection_id=there.connection_id,
        meeting_id=there.meeting_id,
        ref_id=there.id,
        operation=Operation.DELETE,
        values={},
        revision=revision,
        created_at=now,
        not_before=now,
        workspace=there.workspace,
        external_id=there.ref.external_id,
        particulars=there.observed.particulars if there.observed else {},
        cleanup=True,
        priority=CLEANUP_PRIORITY,
        run_id=run.id,
    )


def _ask(
    uow: UnitOfWork,
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    observation: Observation,
    found: Match,
) -> None:
    candidate = {"meeting_id": found.meeting_id, "evidence": dict(found.evidence)}
    uow.reviews.save(
        [
            ReviewRow(
                id=engine.new_id(),
                workspace=tenant.name,
                connection_id=channel.id,
                external_id=observation.external_id,
                observation=observation,
                candidates=[candidate],
                raised_at=engine.now(),
                fingerprint=observation.fingerprint,
            )
        ]
    )
