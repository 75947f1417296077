"""Deletion by proof: what a record that is gone means, and what a cancelled meeting does elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sync_engine.core.capabilities import Ownership
from sync_engine.core.draft import Draft
from sync_engine.core.meeting import Field, Status
from sync_engine.core.merge import Side, Standing
from sync_engine.core.plan import Entry, EntryKind, PlannedWrite, Question
from sync_engine.core.policy import DeletionPolicy
from sync_engine.core.ports import Operation
from sync_engine.core.refs import HoldKind, Origin, RecordHold, Ref, RefState

DELETION_WAITS = "a deletion waits for a person"
DELETION_ASKED = "deletion"
"""Digest of a hold with which an adapter refused to delete a record."""


def settle_absences(draft: Draft, gone: set[str], sides: Mapping[str, Mapping[Field, Side]]) -> None:
    """Decide what every proven absence means: nothing more, a cancellation, or a record to bring back."""
    for name in sorted(gone):
        ref = draft.refs.get(name)
        if ref is None or not ref.is_live:
            continue
        if draft.meeting.status is Status.CANCELLED:
            draft.refs[name] = replace(ref, state=RefState.GONE, hold=None)
            continue
        if draft.has_started:
            _let_go(draft, ref, "gone after the meeting had started; not taken for a cancellation")
            continue
        editor = _edited_elsewhere(draft, name, gone, sides)
        if editor is not None:
            entry = Entry(EntryKind.DELETION_LOST, name, f"deleted there, but edited at {editor}")
            draft.entries.append(entry)
            bring_back(draft, ref)
            continue
        _cancel_as_policy_says(draft, ref)


def _let_go(draft: Draft, ref: Ref, cause: str, state: RefState = RefState.GONE) -> None:
    draft.refs[ref.connection] = replace(ref, state=state, hold=None, held={})
    draft.entries.append(Entry(EntryKind.ABSENT, ref.connection, cause))


def _edited_elsewhere(
    draft: Draft, name: str, gone: set[str], sides: Mapping[str, Mapping[Field, Side]]
) -> str | None:
    """Name who edited the meeting since the deleted side last agreed, if anybody did.

    Either another side shows an edit right now, or a value the deleted record was never told waits; what an
    adapter invented is nobody's edit.
    """
    invented = {field for field, source in draft.meeting.provenance.items() if source.derived}
    for other, fields in sorted(sides.items()):
        if other in gone:
            continue
        if any(s.standing is Standing.EDITED and not s.invented for s in fields.values()):
            return other
    waiting = (s for s in sides.get(name, {}).values() if s.we_changed and s.capability.readable)
    if any(s.field not in invented for s in waiting):
        return "another connection"
    return None


def bring_back(draft: Draft, ref: Ref) -> None:
    """Ask for a record again that was deleted; whether and how it comes back is the creation's matter."""
    draft.refs[ref.connection] = replace(ref, state=RefState.CREATING, held={}, hold=None, agreement={})


def _cancel_as_policy_says(draft: Draft, ref: Ref) -> None:
    name, policy = ref.connection, draft.policy
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


def plan_deletions(draft: Draft, live: Sequence[str]) -> None:
    """Take a cancelled meeting out of every connection that still has it, where that is allowed."""
    for name in live:
        ref = draft.refs.get(name)
        if ref is None:
            continue
        if ref.state is RefState.CREATING:
            _give_up_wanting(draft, ref)
        elif ref.is_live:
            _plan_deletion(draft, ref)


def _give_up_wanting(draft: Draft, ref: Ref) -> None:
    if ref.external_id is None:
        del draft.refs[ref.connection]
    else:
        draft.refs[ref.connection] = replace(ref, state=RefState.GONE, hold=None)


def _plan_deletion(draft: Draft, ref: Ref) -> None:
    told = ref.hold
    if told and told.digest == DELETION_ASKED and (told.until is None or draft.now < told.until):
        draft.look_again(told.until)
        return
    refused = _deletion_refusal(draft, ref)
    if refused is None:
        draft.refs[ref.connection] = replace(ref, hold=None, held={})
        draft.writes.append(PlannedWrite(ref.connection, Operation.DELETE, {}, cause="cancelled"))
        return
    since = told.since if told and told.reason == refused else draft.now
    hold = RecordHold(HoldKind.HELD, refused, since)
    draft.refs[ref.connection] = replace(ref, hold=hold, held={})


def _deletion_refusal(draft: Draft, ref: Ref) -> str | None:
    can, shown = draft.capabilities[ref.connection], draft.shown.get(ref.connection)
    if not draft.rules(ref.connection).may_delete:
        return "cancelled, but deleting is switched off for this connection"
    if can.delete is Ownership.NO or (can.delete is Ownership.OWN and ref.origin is not Origin.CREATED):
        return "cancelled, but only records we created can be deleted there"
    if shown is not None and (shown.read_only or not shown.deletable):
        return shown.read_only or "cancelled, but this record cannot be deleted there"
    if draft.has_started:
        return "cancelled after it had started; left where it is"
    return None
