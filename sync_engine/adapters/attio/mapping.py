"""Between Attio's meetings and ours; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError

from sync_engine.adapters.attio.capabilities import DESCRIPTION_LIMIT, LOCATION_LIMIT
from sync_engine.adapters.attio.schemas import AttioMeeting, Edge, MeetingParticipant, wire_moment
from sync_engine.core.links import conference_keys
from sync_engine.core.meeting import (
    Field,
    Participant,
    Participants,
    Response,
    Schedule,
    Value,
    Values,
    normal_email,
    participants,
)
from sync_engine.core.owned_block import REFERENCE, compose, split
from sync_engine.core.ports import Observation, Sighting
from sync_engine.core.zones import canonical_zone, zone_info
from sync_engine.errors import UnmappableRecordError

LINK_LIMIT = 50
NO_MEETING = "the row does not have the form of a meeting"
_RESPONSES = {response.value: response for response in Response}
_SEPARATOR = "\x1f"


def fingerprint(row: Mapping[str, Any]) -> str:
    """Hash what a row shows of the fields we use.

    Left out: ``linked_records``, which Attio goes on filling by itself, and who created the meeting when.
    Runs for every row of every sweep, so nothing is parsed. Raises KeyError, TypeError, AttributeError for
    a row of another form.
    """
    start, end = row["start"], row["end"]
    people = [
        f"{p.get('email_address')}\x1e{p.get('name')}\x1e{p.get('is_organizer')}\x1e{p.get('status')}"
        for p in row["participants"]
    ]
    people.sort()
    text = _SEPARATOR.join(
        (
            row["title"] or "",
            row["description"] or "",
            "d" if row["is_all_day"] else "t",
            start.get("datetime") or start.get("date"),
            start.get("timezone") or "",
            end.get("datetime") or end.get("date"),
            *people,
        )
    )
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def to_sighting(row: Any) -> Sighting:
    """Take one listed row. Raises UnmappableRecordError when it has no id or another form."""
    try:
        external_id, digest = row["id"]["meeting_id"], fingerprint(row)
    except (KeyError, TypeError, AttributeError):
        raise UnmappableRecordError(NO_MEETING) from None
    if not isinstance(external_id, str) or not external_id:
        raise UnmappableRecordError("the row names no meeting")
    return Sighting(external_id, digest, row)


def to_observation(row: Mapping[str, Any], observed_at: datetime) -> Observation:
    """Translate one meeting.

    The organizer is who carries the flag; of several, the first by address, so that the order of the list
    plays no part. Guests with a name but no address cannot be told apart and are left out. The join link
    is no field of Attio: it counts as evidence (``links``) only.

    Raises:
        UnmappableRecordError: a meeting without usable times, or of another form.
    """
    wire, digest = _parsed(row), _digest(row)
    text = split(wire.description)
    raw_text = wire.description or ""
    organizer, people = _people(wire.participants)
    values: dict[Field, Value] = {
        Field.TITLE: " ".join((wire.title or "").split()),
        Field.DESCRIPTION: text.text.replace("\r\n", "\n").strip(),
        Field.SCHEDULE: _schedule(wire),
        Field.PARTICIPANTS: people,
    }
    if organizer is not None:
        values[Field.ORGANIZER] = organizer
    creator = wire.created_by_actor.type if wire.created_by_actor else None
    return Observation(
        external_id=wire.id.meeting_id,
        values=values,
        observed_at=observed_at,
        fingerprint=digest,
        links=conference_keys(wire.title, raw_text),
        marks=frozenset({text.mark}) if text.mark else frozenset(),
        # Who is named as creator of synced meetings is not documented; a system is never one of us.
        deletable=creator != "system",
        particulars={"created_by": creator} if creator else {},
    )


def to_body(
    values: Values,
    meeting_id: str,
    *,
    external_ref: str | None,
    linked_records: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Write the body that creates a meeting out of a projection.

    What Attio has no field for (join link, place, our own id) stands in the owned block below the
    description, which proves later that the meeting is ours.
    """
    schedule = values[Field.SCHEDULE]
    assert isinstance(schedule, Schedule)
    data: dict[str, Any] = {
        "title": _text(values, Field.TITLE),
        "description": _description(values, meeting_id),
        "is_all_day": schedule.all_day,
        "start": _edge(schedule.start, schedule),
        "end": _edge(schedule.end, schedule),
        "participants": attendees(values),
    }
    if linked_records:
        data["linked_records"] = [dict(record) for record in linked_records[:LINK_LIMIT]]
    if external_ref is not None:
        data["external_ref"] = external_ref
    return {"data": data}


def attendees(values: Values) -> list[dict[str, Any]]:
    """Write organizer and participants as one list, one entry per address."""
    organizer = normal_email(_text(values, Field.ORGANIZER))
    people = values.get(Field.PARTICIPANTS, ())
    rows: list[dict[str, Any]] = []
    if organizer:
        rows.append({"email_address": organizer, "is_organizer": True, "status": Response.ACCEPTED.value})
    for person in people if isinstance(people, tuple) else ():
        if person.email != organizer:
            status = (person.response or Response.PENDING).value
            rows.append({"email_address": person.email, "is_organizer": False, "status": status})
    return rows


def links_to_copy(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """Turn the linked records of a meeting into the shape they are written in.

    People and companies come last, as Attio links most of them by itself and only so many can be sent.
    """
    automatic = {"people": 1, "companies": 2}
    records = sorted(_parsed(row).linked_records, key=lambda link: automatic.get(link.object_slug, 0))
    links = [{"object": link.object_slug, "record_id": link.record_id} for link in records]
    return links[:LINK_LIMIT]


def edge_schedule(data: Mapping[str, Any]) -> Schedule:
    """Read the schedule back out of a body or a row. Raises UnmappableRecordError."""
    try:
        return _between(Edge.model_validate(data["start"]), Edge.model_validate(data["end"]))
    except (KeyError, ValidationError):
        raise UnmappableRecordError("start or end cannot be read") from None


def _digest(row: Mapping[str, Any]) -> str:
    try:
        return fingerprint(row)
    except (KeyError, TypeError, AttributeError):
        raise UnmappableRecordError(NO_MEETING) from None


def _parsed(row: Mapping[str, Any]) -> AttioMeeting:
    try:
        return AttioMeeting.model_validate(row)
    except ValidationError as error:
        # The places alone: the values are people's words.
        places = sorted({".".join(str(step) for step in each["loc"][:2]) for each in error.errors()})
        raise UnmappableRecordError(f"these parts have another form: {', '.join(places)}") from None


def _schedule(wire: AttioMeeting) -> Schedule:
    return _between(wire.start, wire.end)


def _between(start: Edge, end: Edge) -> Schedule:
    """Read a schedule off the two ends; their form tells all-day, whatever the flag says."""
    if start.day is not None and end.day is not None:
        schedule = Schedule.dates(start.day, end.day)
    elif start.moment is not None and end.moment is not None:
        begin, until = _instant(start.moment, start.timezone), _instant(end.moment, end.timezone)
        schedule = Schedule(begin, until, canonical_zone(start.timezone))
    else:
        raise UnmappableRecordError("start and end are not both moments or both dates")
    if schedule.end < schedule.start:
        raise UnmappableRecordError("the end lies before the start")
    return schedule


def _instant(moment: datetime, zone: str | None) -> datetime:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone_info(zone))
    try:
        return aware.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise UnmappableRecordError("a moment lies outside the calendar") from None


def _people(rows: Sequence[MeetingParticipant]) -> tuple[str | None, Participants]:
    """Take the organizer (None if nobody with an address carries the flag) out of the participants."""
    flagged = sorted(
        normal_email(row.email_address) for row in rows if row.is_organizer and row.email_address
    )
    organizer = flagged[0] if flagged else None
    guests = (
        Participant(row.email_address, None, _RESPONSES.get(row.status or "", Response.PENDING))
        for row in rows
        if row.email_address and normal_email(row.email_address) != organizer
    )
    return organizer, participants(guests)


def _description(values: Values, meeting_id: str) -> str:
    join_url = _text(values, Field.JOIN_URL)
    location = _text(values, Field.LOCATION)[:LOCATION_LIMIT]
    entries = {
        "Join": join_url,
        "Where": "" if location == join_url else location,
        REFERENCE: meeting_id,
    }
    return compose(_text(values, Field.DESCRIPTION), entries, limit=DESCRIPTION_LIMIT)


def _edge(moment: datetime, schedule: Schedule) -> dict[str, Any]:
    if schedule.all_day:
        return {"date": moment.date().isoformat()}
    # The instant stands alone; the zone is a label, and an unknown one is better left out.
    written: dict[str, Any] = {"datetime": wire_moment(moment)}
    if schedule.zone is not None:
        written["timezone"] = schedule.zone
    return written


def _text(values: Values, name: Field) -> str:
    value = values.get(name, "")
    return value if isinstance(value, str) else ""
