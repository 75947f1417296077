"""Deletion by proof: what a record that is gone means, and what a cancelled meeting does elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sync_engine.core.capabilities import Capabilities, Ownership
from sync_engine.core.draft import Draft
from sync_engine.core.meeting import Field, Meeting, Status
from sync_engine.core.merge import Side, Standing
from sync_engine.core.plan import Entry, EntryKind, PlannedWrite, Question
from sync_engine.core.policy import DeletionPolicy, Policy
from sync_engine.core.ports import Observation, Operation
from sync_engine.core.refs import HoldKind, Origin, RecordHold, Ref, RefState

DELETION_WAITS = "a deletion waits for a person"


def settle_absences(
    draft: Draft,
    gone: set[str],
    sides: Mapping[str, Mapping[Field, Side]],
    policy: Policy,
    now: datetime,
) -> None:
    """Decide what every proven absence means: nothing more, a cancellation, or a record to bring back."""
    for name in sorted(gone):
        ref = draft.refs.get(name)
        if ref is None or not ref.is_live:
            continue
        if draft.meeting.status is Status.CANCELLED:
            draft.refs[name] = replace(ref, state=RefState.GONE, hold=None)
            continue
        if _has_started(draft.meeting, now):
            _let_go(draft, ref, "gone after the meeting had started; not taken for a cancellation")
            continue
        editor = _edited_elsewhere(name, gone, sides)
        if editor is not None:
            entry = Entry(EntryKind.DELETION_LOST, name, f"deleted there, but edited at {editor}")
            draft.entries.append(entry)
            bring_back(draft, ref)
            continue
        _cancel_as_policy_says(draft, ref, policy)


def _has_started(meeting: Meeting, now: datetime) -> bool:
    return meeting.schedule is not None and meeting.schedule.start <= now


def _let_go(draft: Draft, ref: Ref, cause: str, state: RefState = RefState.GONE) -> None:
    draft.refs[ref.connection] = replace(ref, state=state, hold=None, held={})
    draft.entries.append(Entry(EntryKind.ABSENT, ref.connection, cause))


def _edited_elsewhere(name: str, gone: set[str], sides: Mapping[str, Mapping[Field, Side]]) -> str | None:
    """Name who edited the meeting since the deleted side last agreed, if anybody did.

    Either another side shows an edit right now, or a value the deleted record was never told waits.
    """
    for other, fields in sorted(sides.items()):
        if other in gone:
            continue
        if any(s.standing is Standing.EDITED and not s.invented for s in fields.values()):
            return other
    if any(s.we_changed and s.capability.readable for s in sides.get(name, {}).values()):
        return "another connection"
    return None


def bring_back(draft: Draft, ref: Ref) -> None:
    """Ask for a record again that was deleted; whether and how it comes back is the creation's matter."""
    draft.refs[ref.connection] = replace(ref, state=RefState.CREATING, held={}, hold=None, agreement={})


def _cancel_as_policy_says(draft: Draft, ref: Ref, policy: Policy) -> None:
    name = ref.connection
    if policy.deletions is DeletionPolicy.KEEP:
        _let_go(draft, ref, "deleted there; kept elsewhere as the policy says", RefState.DETACHED)
        return
    if policy.deletions is DeletionPolicy.ASK:
        draft.refs[name] = replace(ref, state=RefState.DETACHED, hold=None, held={})
        draft.questions.append(Question(name, None, None, None))
        draft.entries.append(Entry(EntryKind.ASKED, name, DELETION_WAITS))
        return
    draft.refs[name] = replace(ref, state=RefState.GONE, hold=None, held={})
    draft.meeting = replace(draft.meeting, status=Status.CANCELLED, cancelled_by=name)
    draft.entries.append(Entry(EntryKind.CANCELLED, name, "deleted there"))


def plan_deletions(
    draft: Draft,
    live: Sequence[str],
    shown: Mapping[str, Observation],
    capabilities: Mapping[str, Capabilities],
    policy: Policy,
    now: datetime,
) -> None:
    """Take a cancelled meeting out of every connection that still has it, where that is allowed."""
    for name in live:
        ref = draft.refs.get(name)
        if ref is None:
            continue
        if ref.state is RefState.CREATING:
            del draft.refs[name]
            continue
        if not ref.is_live:
            continue
        refused = _deletion_refusal(draft.meeting, ref, shown.get(name), capabilities[name], policy, now)
        if refused is None:
            draft.refs[name] = replace(ref, hold=None, held={})
            draft.writes.append(PlannedWrite(name, Operation.DELETE, {}, cause="cancelled"))
            continue
        known = ref.hold
        since = known.since if known and known.reason == refused else now
        draft.refs[name] = replace(ref, hold=RecordHold(HoldKind.HELD, refused, since), held={})


def _deletion_refusal(
    meeting: Meeting,
    ref: Ref,
    observation: Observation | None,
    can: Capabilities,
    policy: Policy,
    now: datetime,
) -> str | None:
    if not policy.connections[ref.connection].may_delete:
        return "cancelled, but deleting is switched off for this connection"
    if can.delete is Ownership.NO or (can.delete is Ownership.OWN and ref.origin is not Origin.CREATED):
        return "cancelled, but only records we created can be deleted there"
    if observation is not None and (observation.read_only or not observation.deletable):
        return observation.read_only or "cancelled, but this record cannot be deleted there"
    if _has_started(meeting, now):
        return "cancelled after it had started; left where it is"
    return None
