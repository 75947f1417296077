"""What the prospect CRM can hold, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from sync_engine.adapters.prospect_crm.carried import LONGEST
from sync_engine.adapters.prospect_crm.kinds import normal_kind
from sync_engine.adapters.prospect_crm.owners import Owners
from sync_engine.core.capabilities import Capabilities, ChangeSignal, FieldCapability, Idempotency, Updatable
from sync_engine.core.meeting import Field, Meeting, Schedule, Value
from sync_engine.core.normalise import Normaliser, cut, emails_only, refuse_all_day

# The provider documents no lengths; what is too long for it, it refuses itself.
UNBOUNDED = 1_000_000
LONGEST_TITLE = 1000

trimmed = cut(UNBOUNDED)
one_line = cut(UNBOUNDED, single_line=True)


def build_capabilities(
    *, connection: str, owners: Owners, default_length: timedelta, shares_text: bool, keys_work: bool
) -> Capabilities:
    """Say what one connection can hold.

    ``keys_work``: the account's API honours idempotency keys (its newest generation does).
    """
    carried = FieldCapability(readable=False)
    fields = {
        Field.TITLE: replace(
            carried,
            normalise=cut(LONGEST_TITLE, single_line=True),
            source=_own_text(Field.TITLE, connection),
        ),
        Field.SCHEDULE: FieldCapability(normalise=length_or_assumed(default_length), refuse=refuse_all_day),
        Field.LOCATION: FieldCapability(normalise=trimmed, source=place_or_link),
        Field.JOIN_URL: replace(carried, normalise=one_line, source=_own_text(Field.JOIN_URL, connection)),
        Field.ORGANIZER: FieldCapability(normalise=owners.normalise, refuse=owners.refuse),
        Field.PARTICIPANTS: FieldCapability(
            normalise=emails_only, updatable=Updatable.NEVER, fixed_members=True
        ),
        Field.KIND: FieldCapability(normalise=normal_kind),
    }
    if shares_text:
        fields[Field.DESCRIPTION] = FieldCapability(normalise=trimmed)
    return Capabilities(
        fields=fields,
        complete_list=False,
        change_signal=ChangeSignal.UPDATED_AT,
        idempotency=Idempotency.KEY if keys_work else Idempotency.SEARCH,
    )


def length_or_assumed(default_length: timedelta) -> Normaliser:
    """Keep a planned end, which our block remembers; an assumed one is assumed anew by our default."""

    def normalise(value: Value) -> Value:
        if not isinstance(value, Schedule) or value.all_day:
            return value
        start = value.start.replace(microsecond=0)
        end = value.end.replace(microsecond=0)
        if value.assumed_end or not timedelta(0) < end - start <= LONGEST:
            return replace(value, start=start, end=start + default_length, assumed_end=True)
        return replace(value, start=start, end=end)

    return normalise


def place_or_link(meeting: Meeting) -> Value | None:
    """Give the place, or where there is none the join link, so that recruiters can click it."""
    if Field.LOCATION not in meeting.values and Field.JOIN_URL not in meeting.values:
        return None
    return meeting.text(Field.LOCATION).strip() or meeting.text(Field.JOIN_URL)


def _own_text(name: Field, connection: str) -> Callable[[Meeting], Value | None]:
    """Carry a text, but not back to the connection that made it up."""

    def source(meeting: Meeting) -> Value | None:
        known = meeting.provenance.get(name)
        if known is not None and known.derived and known.connection == connection:
            return None
        return meeting.values.get(name)

    return source
