"""Carry out what a person decided: whose value wins, which record is which meeting, what may go on.

Every decision changes our side only; the next sync carries it to the providers. Each is journalled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from sync_engine.core.fields import apply_edit
from sync_engine.core.meeting import Provenance, Value
from sync_engine.core.plan import Entry, EntryKind
from sync_engine.core.projection import project
from sync_engine.core.refs import Agreed, Origin
from sync_engine.errors import ConfigurationError, SyncError
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.journal import journalled, note
from sync_engine.services.lease import HeldLease, hold
from sync_engine.services.linking import give_birth, tie
from sync_engine.services.run import Run
from sync_engine.store.conflicts import ConflictRow
from sync_engine.store.meetings import MeetingRow
from sync_engine.store.outbox import IN_FLIGHT
from sync_engine.store.quarantine import QuarantineRow
from sync_engine.store.refs import RefRow, connection_name, workspace_name
from sync_engine.store.reviews import ReviewRow, ReviewState
from sync_engine.store.unit_of_work import UnitOfWork

PATIENCE_SECONDS = 30.0
MANUAL = {"by": "a person"}


class Side(StrEnum):
    """Whose value of a conflict a person chose: the canonical one, or the connection's."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True)
class Decided:
    """What a decision did, in a sentence, and the meetings it is about.

    ``needs_sync``: the providers hear of it with the next sync.
    """

    text: str
    meeting_ids: Sequence[str] = ()
    needs_sync: bool = True


def channel_of(engine: Engine, connection_id: str) -> tuple[Tenant, Channel]:
    """Give the configured connection with this id. Raises ConfigurationError for one that is not."""
    tenant = engine.tenants.get(workspace_name(connection_id))
    channel = tenant.channels.get(connection_name(connection_id)) if tenant else None
    if tenant is None or channel is None:
        raise ConfigurationError(
            f"the connection {connection_id} is not configured any more; "
            "put it back into the configuration to decide about its records"
        )
    return tenant, channel


@asynccontextmanager
async def exclusively(engine: Engine, channel: Channel) -> AsyncIterator[HeldLease]:
    """Keep runs away from a connection while a decision changes what they work on.

    Raises:
        SyncError: a run is still working on it after half a minute.
    """
    async with hold(engine, f"connection:{channel.id}", patience_seconds=PATIENCE_SECONDS) as lease:
        if lease is None:
            raise SyncError(f"a run is working on {channel.name}; decide again when it has finished")
        yield lease


def _channels_asked(engine: Engine, tenant: Tenant, conflict: ConflictRow) -> list[Channel]:
    """Name the connections that are asked about the same field of the same meeting."""
    with engine.store.reading() as uow:
        rivals = uow.conflicts.open_of_meetings([conflict.meeting_id])
    names = {connection_name(c.connection_id) for c in rivals if c.field is conflict.field}
    return [tenant.channels[name] for name in sorted(names) if name in tenant.channels]


@asynccontextmanager
async def _all_exclusively(engine: Engine, channels: Sequence[Channel]) -> AsyncIterator[list[HeldLease]]:
    # Always in the order of their names, so that two decisions at once cannot wait for each other.
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(exclusively(engine, channel)) for channel in channels]


def load_meeting(uow: UnitOfWork, meeting_id: str) -> MeetingRow:
    """Load and lock a meeting. Raises ConfigurationError when it is not there any more."""
    row = uow.meetings.load([meeting_id], lock=True).get(meeting_id)
    if row is None:
        raise ConfigurationError("the meeting this is about is not there any more")
    return row


async def resolve_conflict(engine: Engine, conflict_id: str, side: Side) -> Decided:
    """Let one side of a conflict win; the field is no longer frozen and the winner is carried everywhere.

    With ``theirs`` the question is answered for every other connection that had changed the field, too.
    """
    with engine.store.reading() as uow:
        known = uow.conflicts.get(conflict_id)
    if known is None or known.state.value != "open":
        raise ConfigurationError(
            "this conflict has been decided already; sync-engine conflicts lists open ones"
        )
    tenant, channel = channel_of(engine, known.connection_id)
    async with _all_exclusively(engine, _channels_asked(engine, tenant, known)) as leases:
        with engine.store.transaction() as uow:
            for lease in leases:
                lease.check(uow)
            answered = _answer(uow, engine, tenant, channel, known, side)
    winner = channel.name if side is Side.THEIRS else "the canonical value"
    others = f" and {answered - 1} more of this field" if answered > 1 else ""
    return Decided(f"{known.field.value}: {winner} wins{others}", [known.meeting_id])


def _answer(
    uow: UnitOfWork, engine: Engine, tenant: Tenant, channel: Channel, known: ConflictRow, side: Side
) -> int:
    """Carry a resolution out on our side; gives how many questions it answered."""
    row = load_meeting(uow, known.meeting_id)
    refs = {r.connection_id: r for r in uow.refs.of_meetings([row.id]).get(row.id, [])}
    rivals = [c for c in uow.conflicts.open_of_meetings([row.id]) if c.field is known.field]
    conflict = next((c for c in rivals if c.id == known.id), None)
    if conflict is None:
        raise ConfigurationError("this conflict has just been decided elsewhere")
    before = row.meeting.values.get(conflict.field)
    decided = [conflict]
    if side is Side.THEIRS:
        _take_theirs(uow, engine, channel, row, refs.get(conflict.connection_id), conflict)
        decided += [c for c in rivals if c is not conflict]
    for each in decided:
        if ref := refs.get(each.connection_id):
            _thaw(tenant, row, ref, each, took=side is Side.THEIRS and each is conflict)
    uow.refs.save([refs[c.connection_id] for c in decided if c.connection_id in refs])
    uow.conflicts.resolve([c.id for c in decided], side.value, engine.now())
    uow.meetings.mark_dirty([row.id])
    _note_winner(uow, engine, conflict, side, before, row.meeting.values.get(conflict.field))
    return len(decided)


def _take_theirs(
    uow: UnitOfWork,
    engine: Engine,
    channel: Channel,
    row: MeetingRow,
    ref: RefRow | None,
    conflict: ConflictRow,
) -> None:
    """Make a connection's value the canonical one, as if it alone had been edited."""
    if conflict.theirs is None:
        raise ConfigurationError(f"{channel.name} shows no value there; resolve it with ours")
    meeting, name = row.meeting, conflict.field
    agreed = ref.ref.agreement.get(name) if ref else None
    value = apply_edit(name, meeting.values.get(name), agreed.theirs if agreed else None, conflict.theirs)
    seen_at = (ref.observed_at if ref else None) or engine.now()
    revision = meeting.revision + 1
    row.meeting = replace(
        meeting,
        revision=revision,
        values={**meeting.values, name: value},
        provenance={**meeting.provenance, name: Provenance(channel.name, seen_at, revision)},
    )
    row.dirty = True
    uow.meetings.save([row], engine.now())


def _thaw(tenant: Tenant, row: MeetingRow, ref: RefRow, conflict: ConflictRow, *, took: bool) -> None:
    """Let a field take part again, agreed so that reconciling does what was decided.

    What the person saw counts as shown: an edit made there since is an edit, and asked about if need be.
    """
    name = conflict.field
    ours: Value | None = None
    can = tenant.capabilities[ref.ref.connection].of(name)
    if took and can is not None:
        ours = project(row.meeting, name, can, conflict.theirs)
    agreement = dict(ref.ref.agreement)
    known = agreement.get(name)
    shown = conflict.theirs if conflict.theirs is not None else (known.theirs if known else None)
    agreement[name] = Agreed(ours, shown)
    ref.ref = replace(
        ref.ref,
        agreement=agreement,
        frozen={field: why for field, why in ref.ref.frozen.items() if field is not name},
        # The loop breaker starts counting anew, or it would freeze the field again at once.
        recent_writes=tuple(w for w in ref.ref.recent_writes if w.field is not name),
    )


def _note_winner(
    uow: UnitOfWork,
    engine: Engine,
    conflict: ConflictRow,
    side: Side,
    before: Value | None,
    after: Value | None,
) -> None:
    name = connection_name(conflict.connection_id)
    took = side is Side.THEIRS
    cause = f"a person chose the value of {name}" if took else f"a person kept ours over the value of {name}"
    entry = Entry(
        EntryKind.DECIDED,
        name,
        cause,
        conflict.field,
        before=before if took else conflict.theirs,
        after=after,
    )
    run = Run(engine.new_id())
    uow.journal.append([journalled(engine, run, conflict.workspace, conflict.meeting_id, entry)])


async def link_review(engine: Engine, review_id: str, meeting_id: str | None = None) -> Decided:
    """Tie a record under review to a meeting: the proposed one unless another is named.

    Raises:
        ConfigurationError: the meeting already has a record there that others made; says what to do.
    """
    review = _open_review(engine, review_id)
    tenant, channel = channel_of(engine, review.connection_id)
    chosen = meeting_id or _proposed(review)
    if chosen is None:
        raise ConfigurationError("no meeting is proposed; name one with --to ID, or keep it separate")
    async with exclusively(engine, channel) as lease:
        with engine.store.transaction() as uow:
            lease.check(uow)
            uow.connections.lock_workspace(tenant.name)
            _refuse_known(uow, channel, review)
            row = load_meeting(uow, chosen)
            there = uow.refs.of_meetings_at(channel.id, [row.id]).get(row.id)
            _refuse_second_record(uow, channel, there)
            run = Run(engine.new_id())
            tie(uow, engine, channel, review.observation, row, there, MANUAL, run)
            uow.reviews.decide(review.id, ReviewState.LINKED, engine.now(), row.id)
            _note_review(uow, engine, review, row.id, "a person said that this record is the meeting", run)
    return Decided(f"linked the record {review.external_id} of {channel.name} to the meeting", [chosen])


def _open_review(engine: Engine, review_id: str) -> ReviewRow:
    with engine.store.reading() as uow:
        review = uow.reviews.get(review_id)
    if review is None or review.state is not ReviewState.OPEN:
        raise ConfigurationError("this match has been decided already; sync-engine review lists open ones")
    return review


def _proposed(review: ReviewRow) -> str | None:
    ids = [candidate.get("meeting_id") for candidate in review.candidates]
    return next((str(each) for each in ids if each), None)


def _refuse_known(uow: UnitOfWork, channel: Channel, review: ReviewRow) -> None:
    if uow.refs.known(channel.id, [review.external_id]):
        raise ConfigurationError(
            "this record belongs to a meeting by now; sync-engine explain with its id shows to which"
        )


def _refuse_second_record(uow: UnitOfWork, channel: Channel, there: RefRow | None) -> None:
    """Keep a record of others safe: a link would put the new one in its place and remove it."""
    if there is None:
        return
    if there.ref.is_live and there.ref.origin is not Origin.CREATED:
        raise ConfigurationError(
            f"the meeting already has the record {there.ref.external_id} at {channel.name}, and one meeting "
            "has one record there; ignore this copy, keep it separate, or name another meeting with --to"
        )
    if any(o.state in IN_FLIGHT and not o.cleanup for o in uow.outbox.open_of([there.id])):
        raise ConfigurationError(
            f"a write of this meeting to {channel.name} is under way; run sync-engine sync, then decide"
        )


def _note_review(
    uow: UnitOfWork, engine: Engine, review: ReviewRow, meeting_id: str | None, cause: str, run: Run
) -> None:
    name = connection_name(review.connection_id)
    facts = {"external_id": review.external_id}
    note(uow, engine, run, review.workspace, meeting_id, EntryKind.DECIDED, name, cause, details=facts)


async def separate_review(engine: Engine, review_id: str) -> Decided:
    """Make a meeting of its own of a record under review."""
    review = _open_review(engine, review_id)
    tenant, channel = channel_of(engine, review.connection_id)
    async with exclusively(engine, channel) as lease:
        with engine.store.transaction() as uow:
            lease.check(uow)
            uow.connections.lock_workspace(tenant.name)
            _refuse_known(uow, channel, review)
            run = Run(engine.new_id())
            born = give_birth(uow, engine, tenant, channel, [review.observation], run)
            uow.reviews.decide(review.id, ReviewState.SEPARATE, engine.now(), born[0])
            _note_review(
                uow, engine, review, born[0], "a person said that this record is its own meeting", run
            )
    return Decided(f"the record {review.external_id} of {channel.name} is a meeting of its own", born)


async def ignore_review(engine: Engine, review_id: str) -> Decided:
    """Leave a record under review alone from now on."""
    review = _open_review(engine, review_id)
    proposed = _proposed(review)
    with engine.store.transaction() as uow:
        if not uow.reviews.decide(review.id, ReviewState.IGNORED, engine.now()):
            raise ConfigurationError("this match has just been decided elsewhere")
        cause = "a person said to leave a similar record alone"
        _note_review(uow, engine, review, proposed, cause, Run(engine.new_id()))
    name = connection_name(review.connection_id)
    return Decided(f"the record {review.external_id} of {name} is left alone", needs_sync=False)


async def retry_quarantined(engine: Engine, row_id: str) -> Decided:
    """Let the next sync try a record again that could not be read."""
    row = _quarantined(engine, row_id)
    with engine.store.transaction() as uow:
        uow.quarantine.retry(row.id)
        _note_quarantine(uow, engine, row, "a person asked to try an unreadable record again")
    return Decided(f"the next sync tries the record {row.external_id} again")


async def forget_quarantined(engine: Engine, row_id: str) -> Decided:
    """Take a record that cannot be read off the list; it comes back if it changes and is still unreadable."""
    row = _quarantined(engine, row_id)
    with engine.store.transaction() as uow:
        uow.quarantine.forget(row.id)
        _note_quarantine(uow, engine, row, "a person said to forget an unreadable record until it changes")
    return Decided(f"the record {row.external_id} is forgotten until it changes", needs_sync=False)


def _quarantined(engine: Engine, row_id: str) -> QuarantineRow:
    with engine.store.reading() as uow:
        row = uow.quarantine.get(row_id)
    if row is None:
        raise ConfigurationError(
            "this record is not set aside any more; sync-engine quarantine lists those that are"
        )
    return row


def _note_quarantine(uow: UnitOfWork, engine: Engine, row: QuarantineRow, cause: str) -> None:
    workspace, name = workspace_name(row.connection_id), connection_name(row.connection_id)
    facts = {"external_id": row.external_id}
    run = Run(engine.new_id())
    note(uow, engine, run, workspace, None, EntryKind.DECIDED, name, cause, details=facts)
