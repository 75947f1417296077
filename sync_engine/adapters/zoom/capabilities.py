"""What Zoom can hold, as data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sync_engine.adapters.zoom.settings import DAILY_WRITES_PER_HOST
from sync_engine.adapters.zoom.zones import holdable_zone
from sync_engine.core.capabilities import (
    Capabilities,
    ChangeSignal,
    Creatable,
    DailyCap,
    FieldCapability,
    Idempotency,
    Ownership,
    Updatable,
)
from sync_engine.core.meeting import Field, Schedule, Value
from sync_engine.core.normalise import (
    chain,
    cut,
    emails_only,
    one_address,
    or_else,
    refuse_all_day,
    whole_minutes,
)

TITLE_LIMIT = 200
AGENDA_LIMIT = 2_000
LONGEST = timedelta(minutes=1440)
UNTITLED = "Meeting"


def _from_a_whole_minute(value: Value) -> Value:
    """Let a schedule start at its minute: Zoom plans in minutes."""
    if not isinstance(value, Schedule) or value.all_day:
        return value
    start = value.start.replace(second=0, microsecond=0)
    return replace(value, start=start, end=start + value.length)


def _with_zoom_zone(value: Value) -> Value:
    if not isinstance(value, Schedule) or value.all_day:
        return value
    return replace(value, zone=holdable_zone(value.zone))


def refuse_schedule(value: Value) -> str | None:
    """Refuse all-day entries and meetings of more than a day."""
    if reason := refuse_all_day(value):
        return reason
    if isinstance(value, Schedule) and value.length > LONGEST:
        return "Zoom plans meetings of at most 24 hours"
    return None


normal_title = or_else(UNTITLED, cut(TITLE_LIMIT, single_line=True))
normal_agenda = cut(AGENDA_LIMIT)
normal_schedule = chain(_from_a_whole_minute, whole_minutes, _with_zoom_zone)

FIELDS = {
    Field.TITLE: FieldCapability(normalise=normal_title),
    Field.DESCRIPTION: FieldCapability(normalise=normal_agenda),
    Field.SCHEDULE: FieldCapability(
        updatable=Updatable.BEFORE_START, normalise=normal_schedule, refuse=refuse_schedule
    ),
    Field.JOIN_URL: FieldCapability(creatable=False, updatable=Updatable.NEVER, issued=True),
    Field.ORGANIZER: FieldCapability(updatable=Updatable.NEVER, normalise=one_address),
    Field.PARTICIPANTS: FieldCapability(normalise=emails_only),
    Field.KIND: FieldCapability(creatable=False, updatable=Updatable.NEVER),
}


def capabilities(daily_write_reserve: int) -> Capabilities:
    """Give what a Zoom connection can hold."""
    return Capabilities(
        fields=FIELDS,
        create=Creatable.FUTURE,
        delete=Ownership.ANY,
        replace=Ownership.NO,
        restore=True,
        complete_list=False,
        change_signal=ChangeSignal.WEBHOOK,
        idempotency=Idempotency.SEARCH,
        absence_proofs=1,
        forgets_past=True,
        daily_cap=DailyCap(limit=DAILY_WRITES_PER_HOST, reserve=daily_write_reserve),
    )
