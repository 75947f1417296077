"""Between Zoom's meetings and ours; pure.

A single meeting's external id is its number. An occurrence's is ``<number>/<occurrence id>``; the
occurrence id is the originally planned start and stays when the occurrence is moved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError

from sync_engine.adapters.zoom.capabilities import normal_agenda, normal_schedule, normal_title
from sync_engine.adapters.zoom.schemas import Meeting, Occurrence
from sync_engine.adapters.zoom.zones import zone_from_zoom, zone_to_zoom
from sync_engine.core.links import conference_keys
from sync_engine.core.meeting import (
    Field,
    Participant,
    Participants,
    Schedule,
    Series,
    Value,
    Values,
    normal_email,
    participants,
)
from sync_engine.core.owned_block import split
from sync_engine.core.ports import Json, Observation, Sighting
from sync_engine.errors import RecordGoneError, UnmappableRecordError

SINGLE, NO_FIXED_TIME, PERSONAL_ROOM, SERIES = 2, 3, 4, 8
# Instant, without fixed time, screen sharing: nothing of these has a schedule to keep in agreement.
UNSCHEDULED = (1, NO_FIXED_TIME, 10)
LISTED_AGENDA = 250
MARK_FIELD = "sync_ref"
HOST_EMAIL = "_host_email"
SERIES_BODY, OCCURRENCE = "_series", "_occurrence"
DELETED = "deleted"

# Credentials of a meeting: never kept, not even for a row that is set aside.
_SECRETS = (
    "start_url",
    "password",
    "encrypted_password",
    "pstn_password",
    "h323_password",
    "dynamic_host_key",
)
_PERSONAL_ROOM = "it uses the host's personal meeting room, which Zoom shares between meetings"
_SHARED = "Zoom cannot change the {} of one occurrence"
_FIXED_OF_OCCURRENCE: Mapping[Field, str] = {
    Field.TITLE: _SHARED.format("title"),
    Field.DESCRIPTION: "Zoom shows one agenda for all occurrences of a series",
    Field.PARTICIPANTS: _SHARED.format("invitees"),
    Field.ORGANIZER: _SHARED.format("host"),
}


@dataclass(frozen=True, slots=True)
class Host:
    """One user of the account whose meetings are swept; ``email`` is normalised."""

    id: str
    email: str


@dataclass(frozen=True, slots=True)
class Target:
    """What an external id names: a meeting, or one occurrence of a series."""

    number: str
    occurrence_id: str = ""

    @classmethod
    def of(cls, external_id: str) -> Target:
        """Take an external id apart. Raises RecordGoneError for one that Zoom cannot have given."""
        number, _, occurrence_id = external_id.partition("/")
        if not number.isascii() or not number.isdigit():
            raise RecordGoneError("no Zoom meeting has such an id", provider="zoom")
        return cls(number, occurrence_id)

    @property
    def external_id(self) -> str:
        """Give the external id."""
        return f"{self.number}/{self.occurrence_id}" if self.occurrence_id else self.number


# -- fingerprints: straight from JSON, because almost every row of a sweep is unchanged -----------------


def _digest(facts: object) -> str:
    return blake2b(repr(facts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _link_number(row: Mapping[str, Json]) -> str:
    """Give the number a join link leads to; without the passcode, which Zoom may renew by itself."""
    url = row.get("join_url")
    return url.partition("/j/")[2].partition("?")[0] if isinstance(url, str) else ""


def single_fingerprint(row: Mapping[str, Json]) -> str:
    """Hash what a listed row shows of a single meeting; the read by id of the same state gives the same."""
    get = row.get
    return _digest(
        (
            get("topic") or "", (get("agenda") or "")[:LISTED_AGENDA], get("start_time"), get("duration"),
            get("timezone") or "", get("type"), get("host_id"), _link_number(row),
        )
    )  # fmt: skip


def occurrence_fingerprints(body: Mapping[str, Json]) -> Any:
    """Give a function that hashes occurrences of a series; what they share is looked at once."""
    settings = body.get("settings") or {}
    invitees = settings.get("meeting_invitees") or ()
    shared = (
        body.get("topic") or "", body.get("agenda") or "", body.get("timezone"), body.get("host_id"),
        _link_number(body), sorted(str(i.get("email")) for i in invitees),
        bool(settings.get("private_meeting")),
    )  # fmt: skip

    def fingerprint(occurrence: Mapping[str, Json]) -> str:
        get = occurrence.get
        return _digest(
            (shared, get("occurrence_id"), get("start_time"), get("duration"), get("status") == DELETED)
        )

    return fingerprint


# -- sightings ------------------------------------------------------------------------------------------


def without_secrets(body: Mapping[str, Json]) -> dict[str, Json]:
    """Copy a meeting without the credentials in it."""
    return {key: value for key, value in body.items() if key not in _SECRETS}


def listed_sighting(row: dict[str, Json], host: Host) -> Sighting:
    """Turn one listed row of a single meeting into a sighting; the row learns whose list it stood in."""
    for secret in _SECRETS:
        row.pop(secret, None)
    row[HOST_EMAIL] = host.email
    return Sighting(str(int(row["id"])), single_fingerprint(row), row, host.id)


def occurrence_sightings(body: dict[str, Json], host: Host, start: str, end: str) -> list[Sighting]:
    """Turn a series into one sighting per occurrence that starts in ``start <= t < end`` (``...Z`` texts)."""
    number, shared = str(int(body["id"])), without_secrets(body)
    shared["host_email"] = body.get("host_email") or host.email
    occurrences = shared.pop("occurrences", None) or []
    fingerprint = occurrence_fingerprints(body)
    return [
        Sighting(
            f"{number}/{one['occurrence_id']}",
            fingerprint(one),
            {SERIES_BODY: shared, OCCURRENCE: one},
            host.id,
            gone=one.get("status") == DELETED,
        )
        for one in occurrences
        if start <= str(one.get("start_time") or "") < end
    ]


# -- translating ----------------------------------------------------------------------------------------


def translate(sighting: Sighting, observed_at: datetime) -> Observation:
    """Translate a sighting. Raises UnmappableRecordError, naming fields and never what they hold."""
    raw = sighting.raw
    try:
        if SERIES_BODY in raw or OCCURRENCE in raw:
            meeting = Meeting.model_validate(raw.get(SERIES_BODY))
            occurrence = Occurrence.model_validate(raw.get(OCCURRENCE))
            found = _from_occurrence(meeting, occurrence, sighting.fingerprint, observed_at)
        else:
            meeting = Meeting.model_validate(raw)
            email = raw.get(HOST_EMAIL, "")
            if not isinstance(email, str):
                raise UnmappableRecordError("the host's address is not a text")
            found = _from_meeting(
                meeting, meeting.host_email or email, sighting.fingerprint, observed_at, listed=True
            )
    except ValidationError as error:
        raise unmappable(error) from None
    if found.external_id != sighting.external_id:
        raise UnmappableRecordError("the number of the meeting changed between listing and reading")
    return found


def from_read(body: dict[str, Json], observed_at: datetime, host_email: str = "") -> Observation:
    """Translate a single meeting that was read by id. Raises UnmappableRecordError."""
    try:
        meeting = Meeting.model_validate(body)
        return _from_meeting(
            meeting, meeting.host_email or host_email, single_fingerprint(body), observed_at, listed=False
        )
    except ValidationError as error:
        raise unmappable(error) from None
    except (TypeError, AttributeError):
        raise UnmappableRecordError("the meeting does not have the documented form") from None


def from_series(body: dict[str, Json], occurrence_id: str, observed_at: datetime) -> Observation:
    """Pick one occurrence out of a series that was read by id.

    Raises: RecordGoneError when it was cancelled or is no part of the series any more.
    """
    try:
        meeting = Meeting.model_validate(body)
        if meeting.type in UNSCHEDULED:
            raise UnmappableRecordError("the series has no fixed times any more")
        for raw, occurrence in zip(body.get("occurrences") or (), meeting.occurrences, strict=True):
            if occurrence.occurrence_id == occurrence_id and occurrence.status != DELETED:
                fingerprint = occurrence_fingerprints(body)(raw)
                return _from_occurrence(meeting, occurrence, fingerprint, observed_at)
    except ValidationError as error:
        raise unmappable(error) from None
    except (TypeError, AttributeError):
        raise UnmappableRecordError("the series does not have the documented form") from None
    raise RecordGoneError(
        "the occurrence is no part of its series any more", provider="zoom", code="occurrence"
    )


def unmappable(error: ValidationError) -> UnmappableRecordError:
    """Name the fields that do not fit the schema, without what they hold."""
    fields = sorted({".".join(str(part) for part in entry["loc"]) or "record" for entry in error.errors()})
    return UnmappableRecordError(f"not of the documented form: {', '.join(fields[:8])}")


def _from_meeting(
    meeting: Meeting, host_email: str, fingerprint: str, observed_at: datetime, *, listed: bool
) -> Observation:
    if meeting.type == SERIES:
        raise UnmappableRecordError("it is a recurring series; its occurrences are records of their own")
    if meeting.type in UNSCHEDULED or meeting.start_time is None:
        raise UnmappableRecordError("it has no fixed time")
    is_personal = bool(meeting.pmi) or meeting.type == PERSONAL_ROOM or _uses_pmi(meeting)
    agenda = split(meeting.agenda)
    values = _shared_values(meeting, host_email)
    values[Field.SCHEDULE] = _schedule(meeting.start_time, meeting.duration, meeting.timezone)
    if not listed or len(meeting.agenda) < LISTED_AGENDA:
        values[Field.DESCRIPTION] = normal_agenda(agenda.text)
    return Observation(
        external_id=meeting.id,
        values=values,
        observed_at=observed_at,
        fingerprint=fingerprint,
        complete=not listed and meeting.settings is not None,
        derived=_derived(meeting),
        private=_is_private(meeting),
        links=_links(meeting),
        marks=_marks(meeting, agenda.mark),
        read_only=_PERSONAL_ROOM if is_personal else None,
        deletable=not is_personal,
        scope=meeting.host_id,
        particulars=_particulars(meeting, host_email),
    )


def _from_occurrence(
    meeting: Meeting, occurrence: Occurrence, fingerprint: str, observed_at: datetime
) -> Observation:
    if occurrence.start_time is None:
        raise UnmappableRecordError("the occurrence has no start")
    agenda = split(meeting.agenda)
    values = _shared_values(meeting, meeting.host_email)
    duration = occurrence.duration if occurrence.duration is not None else meeting.duration
    values[Field.SCHEDULE] = _schedule(occurrence.start_time, duration, meeting.timezone)
    values[Field.DESCRIPTION] = normal_agenda(agenda.text)
    is_personal = bool(meeting.pmi) or _uses_pmi(meeting)
    return Observation(
        external_id=Target(meeting.id, occurrence.occurrence_id).external_id,
        values=values,
        observed_at=observed_at,
        fingerprint=fingerprint,
        complete=meeting.settings is not None,
        derived=_derived(meeting),
        private=_is_private(meeting),
        series=Series(meeting.id, _original_start(occurrence)),
        links=_links(meeting),
        fixed=_FIXED_OF_OCCURRENCE,
        read_only=_PERSONAL_ROOM if is_personal else None,
        deletable=not is_personal,
        scope=meeting.host_id,
        particulars=_particulars(meeting, meeting.host_email),
    )


def _shared_values(meeting: Meeting, host_email: str) -> dict[Field, Value]:
    values: dict[Field, Value] = {
        Field.TITLE: normal_title(meeting.topic),
        Field.JOIN_URL: meeting.join_url,
        Field.KIND: "virtual",
    }
    organizer = normal_email(host_email)
    if organizer:
        values[Field.ORGANIZER] = organizer
    if meeting.settings is not None:
        invited = (Participant(invitee.email) for invitee in meeting.settings.meeting_invitees)
        values[Field.PARTICIPANTS] = tuple(p for p in participants(invited) if p.email != organizer)
    return values


def _links(meeting: Meeting) -> frozenset[str]:
    # The number is known even where a company's own domain hides it in the join link.
    return conference_keys(meeting.join_url, meeting.agenda) | {f"zoom:{meeting.id}"}


def _derived(meeting: Meeting) -> frozenset[Field]:
    return frozenset({Field.KIND} if meeting.topic.strip() else {Field.KIND, Field.TITLE})


def _is_private(meeting: Meeting) -> bool:
    return bool(meeting.settings and meeting.settings.private_meeting)


def _uses_pmi(meeting: Meeting) -> bool:
    return bool(meeting.settings and meeting.settings.use_pmi)


def _marks(meeting: Meeting, mark: str | None) -> frozenset[str]:
    ours = {tracked.value for tracked in meeting.tracking_fields if tracked.field == MARK_FIELD}
    return frozenset(value for value in {mark, *ours} if value)


def _particulars(meeting: Meeting, host_email: str) -> dict[str, Json]:
    facts: dict[str, Json] = {
        "host_id": meeting.host_id,
        "host_email": normal_email(host_email),
        "type": meeting.type,
        "uuid": meeting.uuid,
    }
    if meeting.settings and meeting.settings.alternative_hosts:
        facts["alternative_hosts"] = meeting.settings.alternative_hosts
    return facts


def _schedule(start: datetime, duration: int | None, timezone: str) -> Schedule:
    begin = start if start.tzinfo else start.replace(tzinfo=UTC)
    try:
        schedule = Schedule.timed(begin, timedelta(minutes=duration or 0))
        normal = normal_schedule(schedule)
    except (OverflowError, ValueError):
        raise UnmappableRecordError("start or duration is beyond every calendar") from None
    assert isinstance(normal, Schedule)
    return Schedule(normal.start, normal.end, zone_from_zoom(timezone), assumed_end=duration is None)


def _original_start(occurrence: Occurrence) -> datetime:
    """Read the planned start out of the occurrence id; the present start where the id is not one."""
    assert occurrence.start_time is not None
    try:
        return datetime.fromtimestamp(int(occurrence.occurrence_id) / 1000, UTC).replace(microsecond=0)
    except (ValueError, OverflowError, OSError):
        start = occurrence.start_time
        return start if start.tzinfo else start.replace(tzinfo=UTC)


# -- bodies ---------------------------------------------------------------------------------------------


def stamp(moment: datetime) -> str:
    """Write a moment the only way Zoom reads right: UTC, whole seconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def invitees(people: Participants) -> list[dict[str, str]]:
    """Write the whole list of invitees; Zoom wants objects, and mails nobody of them."""
    return [{"email": person.email} for person in people]


def create_body(values: Values, mark: str | None) -> dict[str, Json]:
    """Build the body of a create: a single scheduled meeting, silent towards everybody."""
    schedule = values[Field.SCHEDULE]
    assert isinstance(schedule, Schedule)
    people = values.get(Field.PARTICIPANTS, ())
    body: dict[str, Json] = {
        "topic": normal_title(values.get(Field.TITLE, "")),
        "type": SINGLE,
        **_schedule_body(schedule),
        "agenda": values.get(Field.DESCRIPTION, ""),
        "settings": {
            # Left out, it follows the host's preference; meetings in a personal room share one number.
            "use_pmi": False,
            "meeting_invitees": invitees(people if isinstance(people, tuple) else ()),
            "email_notification": False,
            "registrants_email_notification": False,
            "registrants_confirmation_email": False,
            "alternative_hosts_email_notification": False,
            "push_change_to_calendar": False,
        },
    }
    if mark:
        body["tracking_fields"] = [{"field": MARK_FIELD, "value": mark}]
    return body


def update_body(values: Values, changed: Collection[Field]) -> dict[str, Json]:
    """Build the body of an update of a single meeting: the changed fields and nothing else."""
    body: dict[str, Json] = {}
    schedule, people = values.get(Field.SCHEDULE), values.get(Field.PARTICIPANTS, ())
    if Field.TITLE in changed:
        body["topic"] = normal_title(values.get(Field.TITLE, ""))
    if Field.DESCRIPTION in changed:
        body["agenda"] = values.get(Field.DESCRIPTION, "")
    if Field.SCHEDULE in changed and isinstance(schedule, Schedule):
        body |= _schedule_body(schedule)
    if Field.PARTICIPANTS in changed and isinstance(people, tuple):
        body["settings"] = {"meeting_invitees": invitees(people)}
    return body


def occurrence_body(schedule: Schedule) -> dict[str, Json]:
    """Build the body that moves one occurrence; its zone is its series'."""
    return {"start_time": stamp(schedule.start), "duration": minutes(schedule)}


def minutes(schedule: Schedule) -> int:
    """Give the planned length in whole minutes."""
    return -(-schedule.length // timedelta(minutes=1))


def _schedule_body(schedule: Schedule) -> dict[str, Json]:
    return {**occurrence_body(schedule), "timezone": zone_to_zoom(schedule.zone)}


# -- finding a create again -----------------------------------------------------------------------------


def is_candidate(row: Mapping[str, Json], wanted: Mapping[str, Json], created_since: datetime) -> bool:
    """Tell whether a listed row can be the meeting a create of ``wanted`` made."""
    try:
        created = datetime.fromisoformat(str(row.get("created_at")))
        start, asked = (datetime.fromisoformat(str(r.get("start_time"))) for r in (row, wanted))
    except ValueError:
        return False
    return (
        row.get("type") == SINGLE
        and row.get("topic") == wanted.get("topic")
        and row.get("duration") == wanted.get("duration")
        and start.replace(second=0) == asked.replace(second=0)
        and created >= created_since
    )


def mark_of(body: Mapping[str, Json]) -> str | None:
    """Give the value of our tracking field, None where the meeting has none."""
    fields: Iterable[Any] = body.get("tracking_fields") or ()
    for entry in fields:
        if isinstance(entry, dict) and entry.get("field") == MARK_FIELD and entry.get("value"):
            return str(entry["value"])
    return None
