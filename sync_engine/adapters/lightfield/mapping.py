"""Between Lightfield's meeting and ours; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError

from sync_engine.adapters.lightfield.capabilities import (
    DESCRIPTION_LIMIT,
    UNTITLED,
    normal_description,
    normal_title,
    normal_url,
)
from sync_engine.adapters.lightfield.schemas import Meeting
from sync_engine.core.links import conference_keys
from sync_engine.core.meeting import Field, Schedule, Value, Values, normal_email, participants
from sync_engine.core.owned_block import REFERENCE, Split, compose, split
from sync_engine.core.ports import Json, Observation
from sync_engine.errors import UnmappableRecordError

FULL = "FULL"
TITLE, START, END = "$title", "$startDate", "$endDate"
DESCRIPTION, URL = "$description", "$meetingUrl"
ORGANIZER, ATTENDEES, PRIVACY = "$organizerEmail", "$attendeeEmails", "$privacySetting"
# Everything a fingerprint covers. Left out on purpose: updatedAt, which may move for a text an assistant
# wrote, those texts themselves, and relationships that Lightfield derives from the attendees.
KEYS = (TITLE, START, END, DESCRIPTION, URL, ORGANIZER, ATTENDEES, PRIVACY)

ATTENDEES_HIDDEN = "the attendees are not shown to this key, and only a whole list can be written"


def fingerprint(row: Mapping[str, Json], lacking: Collection[str] = ()) -> str:
    """Hash what a row shows of the fields we use; 24 hex characters.

    ``lacking``: keys that list rows of this account do not have; left out of a read too, so that both
    give the same. A row of an unknown form gets a fingerprint as well: translating it will complain.
    """
    try:
        fields = row["fields"]
        shown: list[Any] = [row["accessLevel"]]
        for key in KEYS:
            entry = fields.get(key)
            value = None if entry is None or key in lacking else entry["value"]
            shown.append(sorted(value) if isinstance(value, list) else value)
    except (KeyError, TypeError, AttributeError):
        shown = [repr(row)]
    return blake2b(repr(shown).encode("utf-8", "replace"), digest_size=12).hexdigest()


def keys_missing(row: Mapping[str, Json], among: set[str]) -> set[str]:
    """Give which of the keys a row leaves out; a redacted row tells nothing and gives all back."""
    fields = row.get("fields")
    if row.get("accessLevel") != FULL or not isinstance(fields, dict):
        return among
    return among - fields.keys()


@dataclass(frozen=True, slots=True)
class _Shown:
    """The fields of one record, and which of them may be trusted.

    With full access what is shown counts, empty or not. Otherwise Lightfield takes content away by
    nulling or by leaving out, so only a value that is there says anything.
    """

    fields: Mapping[str, Json]
    full: bool

    def trusts(self, key: str) -> bool:
        return key in self.fields and (self.full or bool(self.fields[key]))

    def text(self, key: str) -> str:
        value = self.fields.get(key)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value is not None and not isinstance(value, str):
            raise UnmappableRecordError(f"{key} is not a text")
        return value or ""

    def addresses(self) -> list[str]:
        value = self.fields.get(ATTENDEES) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UnmappableRecordError(f"{ATTENDEES} is not a list of texts")
        return value

    def moment(self, key: str) -> datetime:
        try:
            moment = datetime.fromisoformat(self.text(key))
        except ValueError:
            raise UnmappableRecordError(f"{key} is not a moment") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def to_observation(
    row: Mapping[str, Json],
    *,
    external_id: str,
    observed_at: datetime,
    complete: bool,
    print_of_row: str,
) -> Observation:
    """Translate one record.

    Raises:
        UnmappableRecordError: a form we do not know, or a meeting that does not say when it is.
    """
    try:
        wire = Meeting.model_validate(row)
    except ValidationError:
        raise UnmappableRecordError("the record does not have the documented form") from None
    shown = _Shown({key: field.value for key, field in wire.fields.items()}, wire.access_level == FULL)
    described = split(shown.text(DESCRIPTION) if shown.trusts(DESCRIPTION) else "")
    values, derived = _values(shown, described)
    return Observation(
        external_id=external_id,
        values=values,
        observed_at=observed_at,
        fingerprint=print_of_row,
        complete=complete,
        derived=derived,
        private=shown.fields.get(PRIVACY) == "METADATA",
        links=conference_keys(shown.text(URL), shown.text(DESCRIPTION)),
        marks=frozenset({described.mark} if described.mark else ()),
        fixed={} if shown.full or Field.PARTICIPANTS in values else {Field.PARTICIPANTS: ATTENDEES_HIDDEN},
    )


def _values(shown: _Shown, described: Split) -> tuple[dict[Field, Value], frozenset[Field]]:
    values: dict[Field, Value] = {}
    derived: set[Field] = set()
    if shown.trusts(TITLE):
        values[Field.TITLE] = normal_title(shown.text(TITLE))
        if not shown.text(TITLE).strip():
            derived.add(Field.TITLE)
    if shown.trusts(DESCRIPTION):
        values[Field.DESCRIPTION] = normal_description(described.text)
    if shown.full or (shown.trusts(START) and shown.trusts(END)):
        values[Field.SCHEDULE] = _schedule(shown)
    if shown.trusts(URL):
        values[Field.JOIN_URL] = normal_url(shown.text(URL))
    organizer = normal_email(shown.text(ORGANIZER))
    if shown.trusts(ORGANIZER):
        values[Field.ORGANIZER] = organizer
    if shown.trusts(ATTENDEES):
        people = participants(shown.addresses())
        values[Field.PARTICIPANTS] = tuple(person for person in people if person.email != organizer)
    return values, frozenset(derived)


def _schedule(shown: _Shown) -> Schedule:
    start, end = (shown.moment(key).replace(microsecond=0) for key in (START, END))
    if end < start:
        raise UnmappableRecordError("the meeting ends before it starts")
    return Schedule.timed(start, end - start)


def to_fields(values: Values, meeting_id: str) -> dict[str, Json]:
    """Build the fields of a new meeting; the description carries the meeting's id as our mark."""
    schedule = values.get(Field.SCHEDULE)
    if not isinstance(schedule, Schedule):
        raise UnmappableRecordError("a meeting without a time cannot be created")
    description = compose(_text(values, Field.DESCRIPTION), {REFERENCE: meeting_id}, limit=DESCRIPTION_LIMIT)
    organizer = _text(values, Field.ORGANIZER)
    return {
        TITLE: _text(values, Field.TITLE) or UNTITLED,
        START: to_moment(schedule.start),
        END: to_moment(schedule.end),
        DESCRIPTION: description,
        URL: _text(values, Field.JOIN_URL) or None,
        ORGANIZER: organizer or None,
        ATTENDEES: [*([organizer] if organizer else []), *to_addresses(values)],
    }


def to_moment(moment: datetime) -> str:
    """Write a moment with its offset; one without would be read in nobody knows which zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def to_addresses(values: Values) -> list[str]:
    """Give the addresses of the participants, in order."""
    people = values.get(Field.PARTICIPANTS, ())
    return [person.email for person in people] if isinstance(people, tuple) else []


def whole_list(current: Iterable[str], intended: Iterable[str], organizer: str) -> list[str]:
    """Build the attendee list to write: it replaces all there is.

    Who stays keeps the spelling and the place the record has; the organizer stays exactly if she is in
    the list now, because she is no participant of ours.
    """
    wanted = {normal_email(address) for address in intended}
    kept = [a for a in current if normal_email(a) in wanted or normal_email(a) == organizer]
    there = {normal_email(address) for address in kept}
    return [*kept, *sorted(address for address in wanted if address not in there and address != organizer)]


def raw_addresses(row: Mapping[str, Json]) -> tuple[list[str], str]:
    """Give the attendee addresses as a record spells them, and its organizer's, normalised."""
    fields = Meeting.model_validate(row).fields
    shown = _Shown({key: field.value for key, field in fields.items()}, full=True)
    return shown.addresses(), normal_email(shown.text(ORGANIZER))


def _text(values: Values, name: Field) -> str:
    value = values.get(name, "")
    return value if isinstance(value, str) else ""
