"""Bring one existing record to the canonical meeting: agree, update, replace, or hold.

The fallback ladder, per field that differs: ``update → replace → hold``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sync_engine.core.capabilities import Ownership, Updatable
from sync_engine.core.draft import Draft
from sync_engine.core.fields import digest, is_empty, same
from sync_engine.core.meeting import Field, Schedule, Value
from sync_engine.core.merge import Side, Standing
from sync_engine.core.plan import Entry, EntryKind, PlannedWrite, Question
from sync_engine.core.ports import Operation
from sync_engine.core.projection import project, projection
from sync_engine.core.refs import Agreed, Held, Origin, Ref

LOOP_SPAN = timedelta(hours=24)
LOOP_WRITES = 4
LOOP_VALUES = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a differing field can reach a record: by ``update``, by ``replace``, or not (``reason``)."""

    how: str
    reason: str = ""
    until: datetime | None = None
    imposed: bool = False


UPDATE, REPLACE = Verdict("update"), Verdict("replace")


def hold(reason: str, until: datetime | None = None) -> Verdict:
    """Say that a value is held, why, and until when if that is known."""
    return Verdict("hold", reason, until)


def settle_ref(draft: Draft, ref: Ref, sides: Mapping[Field, Side]) -> None:
    """Compare one live record with the canonical meeting and plan what it needs.

    A field whose pair still stands is left alone; one that shows what it should is agreed silently, which
    also heals a crash between a write and its record.
    """
    agreement, held, frozen = dict(ref.agreement), dict(ref.held), dict(ref.frozen)
    verdicts: dict[Field, Verdict] = {}
    wanted: dict[Field, Value] = {}
    for name, side in sides.items():
        value = project(draft.meeting, name, side.capability, _last_shown(side))
        if value is None or name in frozen:
            continue
        settled = _settled_pair(side, value, agreement.get(name))
        if settled is not None:
            agreement[name] = settled
            held.pop(name, None)
            continue
        _note_shown(agreement, side)
        if _nothing_to_say(draft, side, agreement.get(name)):
            held.pop(name, None)
            continue
        verdict = _verdict(draft, side, value)
        if verdict.how != "hold" and _loops(ref, name, value, draft.now):
            frozen[name] = "written back and forth; a person has to look"
            draft.entries.append(Entry(EntryKind.LOOP_FROZEN, ref.connection, frozen[name], name))
            draft.questions.append(Question(ref.connection, name, value, side.seen))
            continue
        wanted[name], verdicts[name] = value, verdict
    held = _holds(held, verdicts, wanted, draft.now)
    for hold_of_field in held.values():
        draft.look_again(hold_of_field.until)
    draft.refs[ref.connection] = replace(ref, agreement=agreement, held=held, frozen=frozen, hold=None)
    _plan_write(draft, ref, verdicts, sides)


def _last_shown(side: Side) -> Value | None:
    return side.seen if side.seen is not None else side.before


def _settled_pair(side: Side, wanted: Value, agreed: Agreed | None) -> Agreed | None:
    """Give the pair that now stands, or None if the record still has to be told something."""
    seen = None if side.invented else side.seen
    if side.observation is not None and side.field in side.observation.outdated:
        return None
    if seen is not None and same(seen, wanted):
        if agreed and same(agreed.ours, wanted) and same(agreed.theirs, seen):
            return agreed
        return Agreed(wanted, seen)
    # What they show was taken over whole, and ours differs from it by normalising only.
    taken_over = seen is not None and side.alone is not None and same(side.alone, wanted)
    if agreed is None:
        return Agreed(wanted, seen) if taken_over else None
    if agreed.ours is None:
        return None
    quiet = side.standing in {Standing.QUIET, Standing.NOT_SHOWN} or side.invented
    if quiet and same(wanted, agreed.ours):
        return agreed
    if taken_over and side.standing is Standing.EDITED and not side.we_changed:
        return Agreed(wanted, seen)
    return None


def _note_shown(agreement: dict[Field, Agreed], side: Side) -> None:
    # What they show was weighed in this round, whether it won or lost: it is no news next time.
    if side.seen is None or side.invented:
        return
    agreed = agreement.get(side.field)
    agreement[side.field] = Agreed(agreed.ours if agreed else None, side.seen)


def _nothing_to_say(draft: Draft, side: Side, agreed: Agreed | None) -> bool:
    """Tell whether a difference is no matter for this record."""
    source = draft.meeting.provenance.get(side.field)
    if source is not None and source.derived and source.connection == side.connection:
        return True
    if source is not None and source.derived and side.capability.readable and is_empty(side.seen):
        # What an adapter invented fills a new record, and is not pressed upon one that is there.
        return True
    if side.capability.readable:
        # Never shown (redacted, cut, not in the list): no information, so nothing to correct either.
        return agreed is None or agreed.theirs is None
    # Carried values cannot be added to records that others made and nobody can change.
    return side.ref.origin is Origin.FOUND and side.capability.updatable is Updatable.NEVER


def _verdict(draft: Draft, side: Side, wanted: Value) -> Verdict:
    """Decide how a differing field can reach the record: update, replace, or hold with a reason."""
    forbidden = _forbidden(draft, side)
    if forbidden:
        return hold(forbidden)
    told = side.ref.held.get(side.field)
    if (
        told
        and told.imposed
        and told.digest == digest(wanted)
        and (told.until is None or draft.now < told.until)
    ):
        return Verdict("hold", told.reason, told.until, imposed=True)
    in_place = _in_place(draft, side)
    if in_place.how == "update" or _replace_refusal(draft, side.ref):
        return in_place
    return REPLACE


def _forbidden(draft: Draft, side: Side) -> str | None:
    """Say why this value must not, or cannot, be written to this record by any means."""
    capability, shown = side.capability, side.observation
    value = capability.source(draft.meeting) if capability.source else draft.meeting.values.get(side.field)
    refused = capability.refuse(value) if value is not None else None
    if refused:
        return refused
    if shown is not None and shown.read_only:
        return shown.read_only
    source = draft.meeting.provenance.get(side.field)
    if source is not None and source.connection != side.connection and draft.keeps_private(source.connection):
        return f"private at {source.connection}"
    return shown.fixed.get(side.field) if shown is not None else None


def _in_place(draft: Draft, side: Side) -> Verdict:
    when, schedule = side.capability.updatable, draft.meeting.schedule
    if when is Updatable.NEVER:
        return hold("cannot be changed there")
    if not draft.rules(side.connection).may_update:
        return hold("updates are switched off for this connection")
    if when is Updatable.BEFORE_START and schedule is not None:
        known = side.before if isinstance(side.before, Schedule) else schedule
        if draft.now >= min(known.start, schedule.start):
            return hold("cannot be changed there once the meeting has started")
    if when is Updatable.AFTER_END and schedule is not None and draft.now < schedule.end:
        return hold("can only be changed there after the meeting", schedule.end)
    return UPDATE


def _replace_refusal(draft: Draft, ref: Ref) -> str | None:
    rules = draft.rules(ref.connection)
    if draft.capabilities[ref.connection].replace is not Ownership.OWN or ref.origin is not Origin.CREATED:
        return "only records we created can be replaced"
    if not (rules.replace and rules.may_create and rules.may_delete):
        return "replacing is switched off for this connection"
    return ref.irreplaceable or draft.too_early_or_late(ref.connection)


def _loops(ref: Ref, name: Field, wanted: Value, now: datetime) -> bool:
    """Tell whether one more write would only go on swapping the same two values."""
    recent = [w for w in ref.recent_writes if w.field is name and now - w.at < LOOP_SPAN]
    values = {w.digest for w in recent} | {digest(wanted)}
    return len(recent) >= LOOP_WRITES and len(values) <= LOOP_VALUES


def _holds(
    held: dict[Field, Held],
    verdicts: dict[Field, Verdict],
    wanted: dict[Field, Value],
    now: datetime,
) -> dict[Field, Held]:
    kept = dict(held)
    for name, verdict in verdicts.items():
        if verdict.how != "hold":
            kept.pop(name, None)
            continue
        name_of_value = digest(wanted[name])
        known = held.get(name)
        since = known.since if known and known.digest == name_of_value else now
        kept[name] = Held(verdict.reason, since, name_of_value, verdict.until, verdict.imposed)
    return kept


def _plan_write(
    draft: Draft, ref: Ref, verdicts: Mapping[Field, Verdict], sides: Mapping[Field, Side]
) -> None:
    changed = frozenset(n for n, v in verdicts.items() if v.how != "hold")
    if not changed:
        return
    shown = {n: v for n, s in sides.items() if (v := _last_shown(s)) is not None}
    values = projection(draft.meeting, draft.capabilities[ref.connection], shown)
    if any(v.how == "replace" for v in verdicts.values()):
        write = PlannedWrite(ref.connection, Operation.CREATE, values, changed, replaces=ref.external_id)
    else:
        write = PlannedWrite(ref.connection, Operation.UPDATE, values, changed)
    draft.writes.append(write)
