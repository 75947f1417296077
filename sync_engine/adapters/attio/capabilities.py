"""What Attio can hold, as data."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from sync_engine.core.capabilities import (
    Capabilities,
    ChangeSignal,
    Creatable,
    FieldCapability,
    Idempotency,
    Ownership,
    Updatable,
)
from sync_engine.core.meeting import Field, Participant, Response, Schedule, Value, participants
from sync_engine.core.normalise import Normaliser, chain, cut, known_end, one_address
from sync_engine.core.owned_block import split
from sync_engine.core.zones import canonical_zone

TITLE_LIMIT = 1_000
DESCRIPTION_LIMIT = 10_000
PEOPLE_LIMIT = 500
# Text, block and both limits below together stay under DESCRIPTION_LIMIT, so that the text that is read
# back is the whole text that was written.
TEXT_LIMIT = 9_000
JOIN_URL_LIMIT = 600
LOCATION_LIMIT = 200

_cut_text = cut(TEXT_LIMIT)


def normal_description(value: Value) -> Value:
    """Keep what people wrote: a block of ours that came along is not part of it."""
    if not isinstance(value, str):
        return value
    bare = _cut_text(split(value).text)
    # Cutting a line can leave something that reads like a mark of ours.
    return split(bare).text.strip() if isinstance(bare, str) else bare


def normal_zone(value: Value) -> Value:
    """Bring the zone to the name Attio knows: an unknown one would silently become UTC."""
    if not isinstance(value, Schedule):
        return value
    return replace(value, zone=None if value.all_day else canonical_zone(value.zone))


def invited(skipped: tuple[str, ...]) -> Normaliser:
    """Keep addresses and responses: names are not shown again, and no answer yet is "pending"."""

    def normalise(value: Value) -> Value:
        if not isinstance(value, tuple):
            return value
        return participants(
            Participant(person.email, None, person.response or Response.PENDING)
            for person in value
            if not any(fnmatchcase(person.email, pattern) for pattern in skipped)
        )

    return normalise


def refuse_crowd(value: Value) -> str | None:
    """Refuse more people than a meeting takes; one place is the organizer's."""
    if isinstance(value, tuple) and len(value) >= PEOPLE_LIMIT:
        return f"Attio holds at most {PEOPLE_LIMIT} people in a meeting"
    return None


def refuse_long_url(value: Value) -> str | None:
    """Refuse a join link that would be useless once cut."""
    if isinstance(value, str) and len(value) > JOIN_URL_LIMIT:
        return f"a join link of more than {JOIN_URL_LIMIT} characters does not fit into Attio's description"
    return None


def capabilities(*, may_replace: bool, skipped: tuple[str, ...] = ()) -> Capabilities:
    """Give what an Attio connection can hold: everything at creation, nothing afterwards."""
    at_create = Updatable.NEVER
    return Capabilities(
        fields={
            Field.TITLE: FieldCapability(updatable=at_create, normalise=cut(TITLE_LIMIT, single_line=True)),
            Field.DESCRIPTION: FieldCapability(updatable=at_create, normalise=normal_description),
            Field.SCHEDULE: FieldCapability(updatable=at_create, normalise=chain(known_end, normal_zone)),
            Field.ORGANIZER: FieldCapability(updatable=at_create, normalise=one_address),
            Field.PARTICIPANTS: FieldCapability(
                updatable=at_create, normalise=invited(skipped), refuse=refuse_crowd
            ),
            Field.LOCATION: FieldCapability(
                readable=False, updatable=at_create, normalise=cut(LOCATION_LIMIT, single_line=True)
            ),
            Field.JOIN_URL: FieldCapability(
                readable=False,
                updatable=at_create,
                normalise=cut(DESCRIPTION_LIMIT, single_line=True),
                refuse=refuse_long_url,
            ),
        },
        create=Creatable.ANY,
        delete=Ownership.OWN,
        replace=Ownership.OWN if may_replace else Ownership.NO,
        restore=False,
        complete_list=True,
        change_signal=ChangeSignal.HASH,
        idempotency=Idempotency.SEARCH,
        twins=True,
        absence_proofs=1,
    )
