"""What Lightfield can hold, as data."""

from __future__ import annotations

from datetime import timedelta

from sync_engine.core.capabilities import (
    Capabilities,
    ChangeSignal,
    Creatable,
    FieldCapability,
    Idempotency,
    Ownership,
    Updatable,
)
from sync_engine.core.meeting import Field, Value
from sync_engine.core.normalise import (
    chain,
    cut,
    emails_only,
    known_end,
    one_address,
    or_else,
    refuse_all_day,
    without_zone,
)

MOST_ATTENDEES = 500
# No limits are documented; these only keep a runaway text from being refused as a whole.
TITLE_LIMIT = 1_000
DESCRIPTION_LIMIT = 20_000
URL_LIMIT = 4_000
# Room for the block that names the meeting, under the longest description.
BLOCK_ROOM = 300
UNTITLED = "Meeting"
KEY_LIFETIME = timedelta(hours=24)

NO_ATTENDEE_UPDATES = "this Lightfield cannot change attendees yet"


def _refuse_crowd(value: Value) -> str | None:
    # The organizer stands in the same list.
    if isinstance(value, tuple) and len(value) >= MOST_ATTENDEES:
        return f"Lightfield holds at most {MOST_ATTENDEES} attendees"
    return None


normal_title = or_else(UNTITLED, cut(TITLE_LIMIT, single_line=True))
normal_description = cut(DESCRIPTION_LIMIT - BLOCK_ROOM)
normal_schedule = chain(without_zone, known_end)
normal_url = cut(URL_LIMIT, single_line=True)

_AT_CREATE = {
    Field.TITLE: FieldCapability(updatable=Updatable.NEVER, normalise=normal_title),
    Field.DESCRIPTION: FieldCapability(updatable=Updatable.NEVER, normalise=normal_description),
    Field.SCHEDULE: FieldCapability(
        updatable=Updatable.NEVER, normalise=normal_schedule, refuse=refuse_all_day
    ),
    Field.JOIN_URL: FieldCapability(updatable=Updatable.NEVER, normalise=normal_url),
    Field.ORGANIZER: FieldCapability(updatable=Updatable.NEVER, normalise=one_address),
}


def capabilities(create_margin: timedelta, *, attendees_updatable: bool) -> Capabilities:
    """Give what a Lightfield connection can hold; the older API cannot change attendees."""
    people = FieldCapability(
        updatable=Updatable.AFTER_END if attendees_updatable else Updatable.NEVER,
        normalise=emails_only,
        refuse=_refuse_crowd,
    )
    return Capabilities(
        fields={**_AT_CREATE, Field.PARTICIPANTS: people},
        create=Creatable.PAST,
        create_margin=create_margin,
        delete=Ownership.ANY,
        replace=Ownership.OWN,
        restore=True,
        complete_list=False,
        change_signal=ChangeSignal.HASH,
        idempotency=Idempotency.KEY,
        key_lifetime=KEY_LIFETIME,
        twins=True,
        absence_proofs=2,
    )
