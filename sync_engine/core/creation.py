"""Decide whether a connection that has no record of a meeting is given one, now, later, or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sync_engine.core.capabilities import Capabilities, Creatable
from sync_engine.core.draft import Draft
from sync_engine.core.fields import digest
from sync_engine.core.links import first_url
from sync_engine.core.meeting import Field, Meeting, Schedule, Values, Visibility
from sync_engine.core.plan import PlannedWrite
from sync_engine.core.policy import CreateRule, Policy, Rules
from sync_engine.core.ports import Observation, Operation
from sync_engine.core.projection import projection, refusal
from sync_engine.core.refs import HoldKind, Origin, RecordHold, Ref, RefState

# One side that is slow to issue a link must not keep a meeting from all others.
LINK_WAIT = timedelta(minutes=2)


def plan_record(
    draft: Draft,
    connection: str,
    shown: Mapping[str, Observation],
    capabilities: Mapping[str, Capabilities],
    policy: Policy,
    now: datetime,
    new_ref_id: Callable[[], str],
) -> None:
    """Plan a record for a connection that has none, or say what it waits for.

    A wanted record gets a placeholder ref, so that waiting is visible and its beginning is remembered.
    """
    ref = draft.refs.get(connection)
    if ref is not None and ref.state is not RefState.CREATING:
        return
    can, rules, meeting = capabilities[connection], policy.connections[connection], draft.meeting
    schedule = meeting.schedule
    again = ref is not None and ref.external_id is not None
    wanted = schedule is not None and _wanted(draft, connection, schedule, can, rules, policy, shown, now)
    if schedule is None or not wanted:
        _give_up(draft, ref, now)
        return
    ref = ref or Ref(new_ref_id(), connection, RefState.CREATING, Origin.CREATED, since=now)
    values = projection(meeting, can)
    asked = asked_digest(values)
    waiting = _reason_to_wait(draft, ref, schedule, capabilities, rules, policy, now, asked)
    draft.refs[connection] = replace(ref, hold=waiting)
    if waiting is None:
        operation = Operation.RESTORE if again and can.restore else Operation.CREATE
        draft.writes.append(PlannedWrite(connection, operation, values, frozenset(values), recreate=again))
    else:
        draft.look_again(waiting.until)


def _give_up(draft: Draft, ref: Ref | None, now: datetime) -> None:
    """Drop a placeholder nobody wants any more; a record that was there before stays remembered."""
    if ref is None:
        return
    if ref.external_id is None:
        del draft.refs[ref.connection]
        return
    hold = RecordHold(HoldKind.HELD, "deleted there, and cannot be brought back", now)
    draft.refs[ref.connection] = replace(ref, state=RefState.GONE, hold=hold)


def issues_links(capabilities: Capabilities) -> bool:
    """Tell whether a connection makes the join link of its meetings itself."""
    field = capabilities.of(Field.JOIN_URL)
    return field is not None and field.issued


def _link_is_coming(
    draft: Draft, ref: Ref, capabilities: Mapping[str, Capabilities], now: datetime
) -> datetime | None:
    """Give until when a new record waits for the join link another side is about to issue."""
    if draft.meeting.text(Field.JOIN_URL) or issues_links(capabilities[ref.connection]):
        return None
    due = ref.since + LINK_WAIT
    makers = [n for n, can in capabilities.items() if n != ref.connection and issues_links(can)]
    for name in makers:
        maker = draft.refs.get(name)
        if maker is not None and maker.state is RefState.CREATING and maker.hold is None and now < due:
            return due
    return None


def asked_digest(values: Values) -> str:
    """Name what a record was asked to be, to recognise the same request later."""
    return digest(repr(sorted(values.items(), key=lambda item: item[0].value)))


def _wanted(
    draft: Draft,
    connection: str,
    schedule: Schedule,
    can: Capabilities,
    rules: Rules,
    policy: Policy,
    shown: Mapping[str, Observation],
    now: datetime,
) -> bool:
    meeting = draft.meeting
    if can.create is Creatable.NEVER or not rules.may_create or rules.create is CreateRule.NEVER:
        return False
    if schedule.end <= policy.window.start or schedule.start >= policy.window.end:
        return False
    # A list row alone may hide who is invited; the record is made once one side was read in full.
    others = [o for n, o in shown.items() if n != connection]
    if others and not any(o.complete for o in others):
        return False
    ref = draft.refs.get(connection)
    had_record = ref is not None and ref.external_id is not None
    if rules.create is CreateRule.VIRTUAL_WITHOUT_LINK and not (had_record or _virtual_without_link(meeting)):
        return False
    return not (can.create is Creatable.FUTURE and now >= schedule.start)


def _virtual_without_link(meeting: Meeting) -> bool:
    has_link = bool(meeting.text(Field.JOIN_URL) or first_url(meeting.text(Field.LOCATION)))
    return meeting.text(Field.KIND) == "virtual" and not has_link


def _reason_to_wait(
    draft: Draft,
    ref: Ref,
    schedule: Schedule,
    capabilities: Mapping[str, Capabilities],
    rules: Rules,
    policy: Policy,
    now: datetime,
    asked: str,
) -> RecordHold | None:
    can = capabilities[ref.connection]
    refused = refusal(draft.meeting, can)
    if refused:
        return _hold(ref, HoldKind.HELD, refused[1], now)
    if _is_private(draft.meeting, ref.connection, policy):
        return _hold(ref, HoldKind.HELD, f"private at {draft.meeting.origin}", now)
    if can.create is Creatable.PAST and now < schedule.end + can.create_margin:
        due = schedule.end + can.create_margin
        return _hold(ref, HoldKind.DEFERRED, "can only be created there after the meeting", now, due)
    if can.twins and now < ref.since + rules.twin_grace:
        due = ref.since + rules.twin_grace
        return _hold(ref, HoldKind.GRACE, "waits for the side's own calendar copy", now, due)
    link_due = _link_is_coming(draft, ref, capabilities, now)
    if link_due is not None:
        return _hold(ref, HoldKind.GRACE, "waits for the join link", now, link_due)
    told = ref.hold
    if told and told.digest == asked and (told.until is None or now < told.until):
        return told
    return None


def _hold(ref: Ref, kind: HoldKind, reason: str, now: datetime, until: datetime | None = None) -> RecordHold:
    known = ref.hold
    since = known.since if known and known.kind is kind and known.reason == reason else now
    return RecordHold(kind, reason, since, until)


def _is_private(meeting: Meeting, connection: str, policy: Policy) -> bool:
    if meeting.visibility is not Visibility.PRIVATE or meeting.origin == connection:
        return False
    rules = policy.connections.get(meeting.origin)
    return not (rules and rules.share_private)
