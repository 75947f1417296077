"""Decide whether a connection that has no record of a meeting is given one, now, later, or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sync_engine.core.capabilities import Capabilities, Creatable
from sync_engine.core.draft import Draft
from sync_engine.core.fields import digest
from sync_engine.core.links import first_url
from sync_engine.core.meeting import Field, Meeting, Values
from sync_engine.core.plan import PlannedWrite
from sync_engine.core.policy import CreateRule
from sync_engine.core.ports import Operation
from sync_engine.core.projection import projection, refusal
from sync_engine.core.refs import HoldKind, Origin, RecordHold, Ref, RefState

# One side that is slow to issue a link must not keep a meeting from all others.
LINK_WAIT = timedelta(minutes=2)


def plan_record(draft: Draft, connection: str) -> None:
    """Plan a record for a connection that has none, or say what it waits for.

    A wanted record gets a placeholder ref, so that waiting is visible and its beginning is remembered.
    """
    ref = draft.refs.get(connection)
    if ref is not None and ref.state is not RefState.CREATING:
        return
    if not _wanted(draft, connection):
        _give_up(draft, ref)
        return
    ref = ref or Ref(draft.new_ref_id(), connection, RefState.CREATING, Origin.CREATED, since=draft.now)
    can = draft.capabilities[connection]
    values = projection(draft.meeting, can)
    waiting = _reason_to_wait(draft, ref, asked_digest(values))
    draft.refs[connection] = replace(ref, hold=waiting)
    if waiting is not None:
        draft.look_again(waiting.until)
        return
    operation = Operation.RESTORE if _can_be_restored(draft, ref) else Operation.CREATE
    again = ref.external_id is not None
    draft.writes.append(PlannedWrite(connection, operation, values, frozenset(values), recreate=again))


def _give_up(draft: Draft, ref: Ref | None) -> None:
    """Drop a placeholder nobody wants any more; a record that was there before stays remembered."""
    if ref is None:
        return
    if ref.external_id is None:
        del draft.refs[ref.connection]
        return
    hold = RecordHold(HoldKind.HELD, "deleted there, and cannot be brought back", draft.now)
    draft.refs[ref.connection] = replace(ref, state=RefState.GONE, hold=hold)


def issues_links(capabilities: Capabilities) -> bool:
    """Tell whether a connection makes the join link of its meetings itself."""
    field = capabilities.of(Field.JOIN_URL)
    return field is not None and field.issued


def _link_is_coming(draft: Draft, ref: Ref) -> datetime | None:
    """Give until when a new record waits for the join link another side is about to issue."""
    if draft.meeting.text(Field.JOIN_URL) or issues_links(draft.capabilities[ref.connection]):
        return None
    due = ref.since + LINK_WAIT
    for name, can in draft.capabilities.items():
        maker = draft.refs.get(name)
        if name == ref.connection or maker is None or not issues_links(can):
            continue
        if maker.state is RefState.CREATING and maker.hold is None and draft.now < due:
            return due
    return None


def asked_digest(values: Values) -> str:
    """Name what a record was asked to be, to recognise the same request later."""
    return digest(repr(sorted(values.items(), key=lambda item: item[0].value)))


def _wanted(draft: Draft, connection: str) -> bool:
    """Tell whether a connection is to have a record of this meeting at all, now or later."""
    can, rules, schedule = draft.capabilities[connection], draft.rules(connection), draft.meeting.schedule
    if can.create is Creatable.NEVER or not rules.may_create or rules.create is CreateRule.NEVER:
        return False
    window = draft.policy.window
    if schedule is None or schedule.end <= window.start or schedule.start >= window.end:
        return False
    # A list row alone may hide who is invited; the record is made once one side was read in full.
    others = [shown for name, shown in draft.shown.items() if name != connection]
    if others and not any(shown.complete for shown in others):
        return False
    ref = draft.refs.get(connection)
    had_record = ref is not None and ref.external_id is not None
    needs_link = rules.create is CreateRule.VIRTUAL_WITHOUT_LINK and not had_record
    if needs_link and not _virtual_without_link(draft.meeting):
        return False
    return not (can.create is Creatable.FUTURE and draft.has_started)


def _virtual_without_link(meeting: Meeting) -> bool:
    has_link = bool(meeting.text(Field.JOIN_URL) or first_url(meeting.text(Field.LOCATION)))
    return meeting.text(Field.KIND) == "virtual" and not has_link


def _reason_to_wait(draft: Draft, ref: Ref, asked: str) -> RecordHold | None:
    """Say what a wanted record waits for; None once it can be made."""
    refused = refusal(draft.meeting, draft.capabilities[ref.connection])
    if refused:
        return _hold(draft, ref, HoldKind.HELD, refused[1])
    origin = draft.meeting.origin
    if origin != ref.connection and draft.keeps_private(origin):
        return _hold(draft, ref, HoldKind.HELD, f"private at {origin}")
    later = None if _can_be_restored(draft, ref) else _too_early_to_create(draft, ref)
    if later is not None:
        return later
    told = ref.hold
    if told and told.digest == asked and (told.until is None or draft.now < told.until):
        return told
    return None


def _can_be_restored(draft: Draft, ref: Ref) -> bool:
    return ref.external_id is not None and draft.capabilities[ref.connection].restore


def _too_early_to_create(draft: Draft, ref: Ref) -> RecordHold | None:
    """Say what a new record waits for; one that only comes back out of the trash waits for none of it."""
    can, schedule = draft.capabilities[ref.connection], draft.meeting.schedule
    if can.create is Creatable.PAST and schedule is not None:
        due = schedule.end + can.create_margin
        if draft.now < due:
            return _hold(draft, ref, HoldKind.DEFERRED, "can only be created there after the meeting", due)
    grace_end = ref.since + draft.rules(ref.connection).twin_grace
    if can.twins and draft.now < grace_end:
        return _hold(draft, ref, HoldKind.GRACE, "waits for the side's own calendar copy", grace_end)
    link_due = _link_is_coming(draft, ref)
    if link_due is not None:
        return _hold(draft, ref, HoldKind.GRACE, "waits for the join link", link_due)
    return None


def _hold(draft: Draft, ref: Ref, kind: HoldKind, reason: str, until: datetime | None = None) -> RecordHold:
    known = ref.hold
    since = known.since if known and known.kind is kind and known.reason == reason else draft.now
    return RecordHold(kind, reason, since, until)
