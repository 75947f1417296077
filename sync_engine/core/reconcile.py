"""Reconcile one meeting with every connection: a pure function from what is known to a plan.

A star: each connection is compared with the canonical meeting through the pair last agreed with it,
never with another connection, and no clocks of two systems are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sync_engine.core.capabilities import Capabilities
from sync_engine.core.creation import issues_links, plan_record
from sync_engine.core.deletion import bring_back, plan_deletions, settle_absences
from sync_engine.core.draft import Draft, Missing, Shown
from sync_engine.core.ladder import settle_ref
from sync_engine.core.meeting import Field, Meeting, Status, Value, Visibility
from sync_engine.core.merge import Side, Standing, settle_field, stand
from sync_engine.core.plan import Entry, EntryKind, Plan, Question
from sync_engine.core.policy import Policy
from sync_engine.core.ports import Observation
from sync_engine.core.refs import DELETED, Ref, RefState

__all__ = ["Missing", "Shown", "reconcile"]


def reconcile(
    meeting: Meeting,
    refs: Mapping[str, Ref],
    observations: Mapping[str, Shown],
    capabilities: Mapping[str, Capabilities],
    policy: Policy,
    now: datetime,
    *,
    new_ref_id: Callable[[], str],
    busy: Collection[str] = (),
) -> Plan:
    """Decide what becomes of one meeting.

    ``refs``, ``observations`` and ``capabilities`` are keyed by connection; only connections the policy
    names take part. An observation is what the record shows now, or last showed. ``new_ref_id`` names
    placeholders for records that are wanted. ``busy``: connections where a write of this meeting is under
    way; they are left out until its outcome is known.

    Running it again on its own outcome plans nothing, and the order of connections does not matter.
    Source: docs/decisions/0001-agreement-pairs.md and 0002-star-with-canonical-meeting.md.
    """
    live = [name for name in sorted(policy.connections) if name in capabilities and name not in busy]
    shown = {n: o for n in live if isinstance(o := observations.get(n), Observation)}
    draft = Draft(meeting, dict(refs), shown, capabilities, policy, now, new_ref_id)
    _recognise_returned(draft)
    sides = _merge_fields(draft, live)
    _mark_visibility(draft)
    gone = {n for n in live if isinstance(observations.get(n), Missing)}
    settle_absences(draft, gone, sides)
    _revive_when_edited(draft, sides)
    if draft.meeting.status is Status.CANCELLED:
        plan_deletions(draft, live)
    else:
        # Who issues join links comes first: others wait for the link rather than be made without it.
        for name in sorted(live, key=lambda n: not issues_links(capabilities[n])):
            ref = draft.refs.get(name)
            if ref is not None and ref.is_live:
                settle_ref(draft, ref, sides[name])
            else:
                plan_record(draft, name)
    return _finish(draft, meeting)


def _recognise_returned(draft: Draft) -> None:
    """Take a record that was gone and is shown again for restored by a person."""
    back = [n for n in draft.shown if (r := draft.refs.get(n)) and r.state in DELETED and r.external_id]
    for name in back:
        draft.refs[name] = replace(draft.refs[name], state=RefState.LINKED, hold=None)
    for name in back:
        if draft.meeting.status is Status.CANCELLED:
            _revive(draft, name, "the record is back")


def _merge_fields(draft: Draft, live: Sequence[str]) -> dict[str, dict[Field, Side]]:
    """Merge every field over all sides into the canonical meeting; give the sides as they stood."""
    revision = draft.meeting.revision + 1
    sides: dict[str, dict[Field, Side]] = {name: {} for name in live}
    before = draft.meeting
    for name in live:
        ref = draft.refs.get(name)
        if ref is None or not ref.is_live:
            continue
        for wanted, capability in draft.capabilities[name].fields.items():
            sides[name][wanted] = stand(before, wanted, capability, ref, draft.shown.get(name))
    values: dict[Field, Value] = dict(before.values)
    provenance = dict(before.provenance)
    for wanted in Field:
        taking_part = [s[wanted] for s in sides.values() if wanted in s]
        if not any(s.standing in {Standing.EDITED, Standing.FIRST} for s in taking_part):
            continue
        settled = settle_field(before, wanted, taking_part, draft.policy, revision)
        if settled.value is not None and settled.provenance is not None:
            values[wanted], provenance[wanted] = settled.value, settled.provenance
        draft.entries += settled.entries
        draft.questions += settled.questions
        _note_losers(draft, wanted, settled.losers, settled.questions)
    draft.meeting = replace(before, values=values, provenance=provenance)
    return sides


def _note_losers(draft: Draft, name: Field, losers: frozenset[str], questions: tuple[Question, ...]) -> None:
    for connection in losers:
        ref = draft.refs[connection]
        agreed = ref.agreement.get(name)
        if agreed is not None:
            # Their edit lost: the pair no longer stands, and ours must be written (or held) again.
            draft.refs[connection] = replace(
                ref, agreement={**ref.agreement, name: replace(agreed, ours=None)}
            )
    for question in questions:
        ref = draft.refs[question.connection]
        draft.refs[question.connection] = replace(
            ref, frozen={**ref.frozen, name: "a conflict waits for a person"}
        )


def _mark_visibility(draft: Draft) -> None:
    """A meeting is private when the connection it was born at marks it so."""
    origin = draft.shown.get(draft.meeting.origin)
    # A list row that hides things may hide this too.
    if origin is not None and origin.complete:
        visibility = Visibility.PRIVATE if origin.private else Visibility.OPEN
        if visibility is not draft.meeting.visibility:
            draft.meeting = replace(draft.meeting, visibility=visibility)


def _revive_when_edited(draft: Draft, sides: Mapping[str, Mapping[Field, Side]]) -> None:
    """Let an edit made elsewhere after the agreement beat an earlier cancellation."""
    if draft.meeting.status is not Status.CANCELLED:
        return
    for name, fields in sides.items():
        edited = [s for s in fields.values() if s.standing is Standing.EDITED and not s.invented]
        if edited and name != draft.meeting.cancelled_by:
            _revive(draft, name, "edited there after the cancellation")
            return


def _revive(draft: Draft, connection: str, cause: str) -> None:
    """Let a cancelled meeting take place after all; every side that lost its record gets it back."""
    draft.meeting = replace(draft.meeting, status=Status.SCHEDULED, cancelled_by=None)
    draft.entries.append(Entry(EntryKind.REVIVED, connection, cause))
    for ref in list(draft.refs.values()):
        if ref.state is RefState.GONE:
            bring_back(draft, ref)


def _finish(draft: Draft, before: Meeting) -> Plan:
    after = draft.meeting
    if after != before:
        after = replace(after, revision=before.revision + 1)
    return Plan(
        after,
        draft.refs,
        tuple(draft.writes),
        tuple(draft.entries),
        tuple(draft.questions),
        draft.reconsider_at,
    )
