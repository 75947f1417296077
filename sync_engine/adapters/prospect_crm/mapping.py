"""Translate between the CRM's meetings and ours; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from sync_engine.adapters.prospect_crm.capabilities import LONGEST_TITLE, trimmed
from sync_engine.adapters.prospect_crm.carried import JOIN, is_outdated, planned_length, rewritten
from sync_engine.adapters.prospect_crm.kinds import VIRTUAL, kind_for, normal_kind
from sync_engine.adapters.prospect_crm.owners import Owners
from sync_engine.adapters.prospect_crm.schemas import MeetingWire
from sync_engine.core.links import conference_keys, first_url, is_url
from sync_engine.core.meeting import Field, Participant, Schedule, Value, Values, normal_email, participants
from sync_engine.core.owned_block import Split, split
from sync_engine.core.ports import Json, Observation
from sync_engine.core.zones import canonical_zone
from sync_engine.errors import UnmappableRecordError

Row = Mapping[str, Json]

# All that can be written, in the order bodies are made in; a PUT wants every one of them.
WRITABLE = ("meetingDate", "timeZone", "meetingType", "ownerId", "location", "notes")


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of one prospect; a prospect who was deleted, or has no address, has empty texts."""

    id: str
    email: str = ""
    first: str = ""
    last: str = ""

    @property
    def name(self) -> str:
        """Give the full name, empty if there is none."""
        return " ".join(f"{self.first} {self.last}".split())


@dataclass(frozen=True, slots=True)
class Reading:
    """How one connection reads records: its owners, its default length, whether notes are shared."""

    owners: Owners
    default_length: timedelta
    shares_text: bool


def fingerprint(row: Row) -> str:
    """Hash the raw fields we use. ``updatedAt`` is not among them: a review moves it and changes nothing."""
    get = row.get
    seen = (
        get("meetingDate"), get("timeZone"), get("meetingType"), get("ownerId"), get("location"),
        get("notes"), get("prospectId"),
    )  # fmt: skip
    return hashlib.blake2b(repr(seen).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def parse_meeting(row: Json) -> MeetingWire:
    """Read one meeting off the wire.

    Raises:
        UnmappableRecordError: a field is missing or has a form nobody documents; names the field only.
    """
    try:
        return MeetingWire.model_validate(row)
    except ValidationError as error:
        where = error.errors(include_input=False, include_url=False)[0]["loc"]
        raise UnmappableRecordError(
            f"the meeting cannot be read: {where[0] if where else 'no object'}"
        ) from None


def observe(external_id: str, row: Row, known: Known | None, reading: Reading, now: datetime) -> Observation:
    """Translate one meeting.

    ``known`` is its prospect, None when we never looked: then title and guest are not shown, and the
    observation is incomplete.

    Units: milliseconds on the wire, whole seconds here.

    Raises:
        UnmappableRecordError: the record does not have the documented form.
    """
    wire = parse_meeting(row)
    parted = split(wire.notes)
    values: dict[Field, Value] = {Field.SCHEDULE: _schedule(wire, parted, reading.default_length)}
    values[Field.LOCATION] = trimmed(wire.location or "")
    if reading.shares_text:
        values[Field.DESCRIPTION] = trimmed(parted.text)
    if wire.meeting_type and wire.meeting_type.strip():
        values[Field.KIND] = normal_kind(wire.meeting_type)
    owner = reading.owners.email_of(wire.owner_id)
    if owner:
        values[Field.ORGANIZER] = owner
    # A prospect who lost the address is not a guest who was taken out, so an empty one is not shown.
    if known is not None and known.email and not reading.owners.knows(known.email):
        values[Field.PARTICIPANTS] = participants([Participant(known.email)])
    invented = _invented(wire, parted, known)
    values.update(invented)
    untouched = wire.created_by_api and wire.created_at is not None and wire.created_at == wire.updated_at
    return Observation(
        external_id=external_id,
        values=values,
        observed_at=now,
        fingerprint=fingerprint(row),
        complete=known is not None,
        derived=frozenset(invented),
        # Nothing tells who changed a record last, so only one that never changed is surely software's.
        machine=frozenset(values) if untouched else frozenset(),
        outdated=_outdated(values, parted),
        links=conference_keys(wire.location, wire.notes),
        marks=frozenset({parted.mark}) if parted.mark else frozenset(),
        particulars={
            "prospect_id": wire.prospect_id,
            "owner_id": wire.owner_id or "",
            "created_by_api": wire.created_by_api,
        },
    )


def _outdated(values: Values, parted: Split) -> frozenset[Field]:
    schedule = values[Field.SCHEDULE]
    moved = isinstance(schedule, Schedule) and is_outdated(parted, schedule.start)
    return frozenset({Field.SCHEDULE}) if moved else frozenset()


def _schedule(wire: MeetingWire, parted: Split, default_length: timedelta) -> Schedule:
    length = planned_length(parted)
    try:
        start = datetime.fromtimestamp(wire.meeting_date // 1000, UTC)
        return Schedule.timed(
            start, length or default_length, canonical_zone(wire.time_zone), assumed_end=length is None
        )
    except (ValueError, OverflowError, OSError):
        raise UnmappableRecordError("the meeting cannot be read: meetingDate is out of range") from None


def _invented(wire: MeetingWire, parted: Split, known: Known | None) -> dict[Field, Value]:
    invented: dict[Field, Value] = {}
    if known is not None and known.name:
        kind = " ".join((wire.meeting_type or "meeting").split()) or "meeting"
        invented[Field.TITLE] = f"{kind[:1].upper()}{kind[1:]} with {known.name}"[:LONGEST_TITLE].rstrip()
    url = _join_url(wire, parted)
    if url and url != (parted.entries or {}).get(JOIN):
        invented[Field.JOIN_URL] = url
    return invented


def _join_url(wire: MeetingWire, parted: Split) -> str | None:
    """Find the link people join by: a conference's anywhere, any other only as a virtual meeting's place."""
    for text in (wire.location, parted.text):
        for word in (text or "").split():
            url = first_url(word)
            if url and conference_keys(url):
                return url
    place = (wire.location or "").strip()
    kind = normal_kind(wire.meeting_type or "")
    return place if kind == VIRTUAL and is_url(place) else None


def milliseconds(moment: datetime) -> int:
    """Give Unix milliseconds: the one form of a date whose zone nobody can mistake."""
    return int(moment.timestamp()) * 1000


def create_body(
    values: Values, *, prospect_id: str, owner_id: str, meeting_id: str, shares_text: bool
) -> dict[str, Json]:
    """Build the body of a new meeting. ``userId`` is left out, or it would not count as made by our key."""
    schedule = values[Field.SCHEDULE]
    assert isinstance(schedule, Schedule)
    location = values.get(Field.LOCATION)
    return {
        "prospectId": prospect_id,
        "meetingDate": milliseconds(schedule.start),
        "timeZone": schedule.zone or "UTC",
        "meetingType": kind_for(values),
        "ownerId": owner_id,
        "location": location if isinstance(location, str) and location else None,
        "notes": rewritten(None, values, meeting_id, shares_text=shares_text),
    }


def update_body(
    values: Values,
    changed: frozenset[Field],
    *,
    current: MeetingWire | None,
    owner_id: str,
    notes: str | None,
) -> dict[str, Json]:
    """Build the body of a change: the changed fields alone; null clears.

    ``current``: the record as just read; a time zone nobody knows stays as it is there. ``owner_id``:
    empty leaves the owner. ``notes``: the text to write, None where no note changes.
    """
    body: dict[str, Json] = {}
    schedule = values.get(Field.SCHEDULE)
    if Field.SCHEDULE in changed and isinstance(schedule, Schedule):
        # The zone travels with the date, because the provider does not say what one means without the other.
        body["meetingDate"] = milliseconds(schedule.start)
        body["timeZone"] = schedule.zone or (current.time_zone if current else None) or "UTC"
    kind, location = values.get(Field.KIND), values.get(Field.LOCATION)
    if Field.KIND in changed and isinstance(kind, str) and kind:
        body["meetingType"] = kind
    if Field.ORGANIZER in changed and owner_id:
        body["ownerId"] = owner_id
    if Field.LOCATION in changed:
        body["location"] = location if isinstance(location, str) and location else None
    if notes is not None:
        body["notes"] = notes or None
    return body


def whole_body(row: Row, changes: Row) -> dict[str, Json]:
    """Build what replaces a record: all six fields, as they were and with the changes on top."""
    return {name: changes[name] if name in changes else row.get(name) for name in WRITABLE}


def shows(row: Row, changes: Row) -> bool:
    """Tell whether a record shows what was written; blanks at a text's ends are no difference."""
    return all(_bare(row.get(name)) == _bare(value) for name, value in changes.items())


def _bare(value: Any) -> Any:
    return (value.replace("\r\n", "\n").strip() or None) if isinstance(value, str) else value


def known_prospect(prospect_id: str, email: str | None, first: str | None, last: str | None) -> Known:
    """Build what we keep of a prospect."""
    return Known(prospect_id, normal_email(email or ""), (first or "").strip(), (last or "").strip())
