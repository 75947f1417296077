"""Turns core values into what a JSON column holds, and back; on the hot path of every load.

Defaults are left out, so that a row is short. A field name that this release does not know (a newer one
wrote it) is skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from sync_engine.core.meeting import (
    Field,
    Participant,
    Participants,
    Provenance,
    Response,
    Schedule,
    Series,
    Value,
    Values,
)
from sync_engine.core.ports import Observation, Operation, Sealed
from sync_engine.core.refs import Agreed, Held, HoldKind, PastWrite, RecordHold

JsonObject: TypeAlias = dict[str, Any]

# Enum calls cost more than everything else in these functions together.
_FIELDS: dict[str, Field] = {field.value: field for field in Field}
_NAMES: dict[Field, str] = {field: field.value for field in Field}
_RESPONSES: dict[str, Response] = {response.value: response for response in Response}
_ANSWERS: dict[Response, str] = {response: response.value for response in Response}

# The same moments and the same people stand in the meeting, in the observation and in the agreement of
# each connection; making them once is most of what can be saved here.
_moment = lru_cache(maxsize=8192)(datetime.fromisoformat)
_person = lru_cache(maxsize=16384)(Participant)


@lru_cache(maxsize=8192)
def _stamp(moment: datetime) -> str:
    return moment.isoformat()


def schedule_to_json(schedule: Schedule) -> JsonObject:
    """Encode a schedule."""
    data: JsonObject = {"start": _stamp(schedule.start), "end": _stamp(schedule.end)}
    if schedule.zone is not None:
        data["zone"] = schedule.zone
    if schedule.all_day:
        data["all_day"] = True
    if schedule.assumed_end:
        data["assumed_end"] = True
    return data


def schedule_from_json(data: JsonObject) -> Schedule:
    """Decode a schedule."""
    return Schedule(
        _moment(data["start"]),
        _moment(data["end"]),
        data.get("zone"),
        data.get("all_day", False),
        data.get("assumed_end", False),
    )


def participants_to_json(people: Participants) -> list[JsonObject]:
    """Encode a participant set."""
    return [_participant_to_json(person) for person in people]


def _participant_to_json(person: Participant) -> JsonObject:
    data: JsonObject = {"email": person.email}
    if person.name is not None:
        data["name"] = person.name
    if person.response is not None:
        data["response"] = _ANSWERS[person.response]
    return data


def participants_from_json(data: Iterable[JsonObject]) -> Participants:
    """Decode a participant set, in the order it was stored."""
    return tuple(
        _person(person["email"], person.get("name"), _RESPONSES.get(person.get("response", "")))
        for person in data
    )


def value_to_json(value: Value | None) -> Any:
    """Encode the value of one field; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return schedule_to_json(value) if isinstance(value, Schedule) else participants_to_json(value)


def value_from_json(field: Field, data: Any) -> Value | None:
    """Decode the value of one field."""
    if data is None:
        return None
    if field is Field.SCHEDULE:
        return schedule_from_json(data)
    return participants_from_json(data) if field is Field.PARTICIPANTS else str(data)


def values_to_json(values: Values) -> JsonObject:
    """Encode values by field."""
    return {_NAMES[field]: value_to_json(value) for field, value in values.items()}


def values_from_json(data: Mapping[str, Any] | None) -> dict[Field, Value]:
    """Decode values by field."""
    found: dict[Field, Value] = {}
    for name, item in (data or {}).items():
        field = _FIELDS.get(name)
        value = None if field is None else value_from_json(field, item)
        if field is not None and value is not None:
            found[field] = value
    return found


def fields_to_json(fields: Collection[Field]) -> list[str]:
    """Encode a set of fields, in a stable order."""
    return sorted(_NAMES[field] for field in fields)


def fields_from_json(data: Iterable[str] | None) -> frozenset[Field]:
    """Decode a set of fields."""
    return frozenset(_FIELDS[name] for name in data or () if name in _FIELDS)


def reasons_to_json(reasons: Mapping[Field, str]) -> JsonObject:
    """Encode a reason per field."""
    return {_NAMES[field]: reason for field, reason in reasons.items()}


def reasons_from_json(data: Mapping[str, str] | None) -> dict[Field, str]:
    """Decode a reason per field."""
    return {_FIELDS[name]: reason for name, reason in (data or {}).items() if name in _FIELDS}


def provenance_to_json(provenance: Mapping[Field, Provenance]) -> JsonObject:
    """Encode where each value came from."""
    return {_NAMES[field]: _source_to_json(source) for field, source in provenance.items()}


def _source_to_json(source: Provenance) -> JsonObject:
    data: JsonObject = {
        "connection": source.connection,
        "at": _stamp(source.observed_at),
        "revision": source.revision,
    }
    if source.derived:
        data["derived"] = True
    if source.machine:
        data["machine"] = True
    return data


def provenance_from_json(data: Mapping[str, JsonObject]) -> dict[Field, Provenance]:
    """Decode where each value came from."""
    return {
        _FIELDS[name]: Provenance(
            source["connection"],
            _moment(source["at"]),
            source["revision"],
            source.get("derived", False),
            source.get("machine", False),
        )
        for name, source in data.items()
        if name in _FIELDS
    }


def agreement_to_json(agreement: Mapping[Field, Agreed]) -> JsonObject:
    """Encode the pair of every field; one entry where both sides are the same."""
    data: JsonObject = {}
    for field, pair in agreement.items():
        ours = value_to_json(pair.ours)
        # Most pairs are equal, and most of a row is its agreement: this halves it.
        if pair.theirs == pair.ours:
            data[_NAMES[field]] = {"both": ours}
        else:
            data[_NAMES[field]] = {"ours": ours, "theirs": value_to_json(pair.theirs)}
    return data


def agreement_from_json(data: Mapping[str, JsonObject]) -> dict[Field, Agreed]:
    """Decode the pair of every field."""
    return {_FIELDS[name]: _pair(_FIELDS[name], pair) for name, pair in data.items() if name in _FIELDS}


def _pair(field: Field, data: JsonObject) -> Agreed:
    if "both" in data:
        both = value_from_json(field, data["both"])
        return Agreed(both, both)
    return Agreed(value_from_json(field, data["ours"]), value_from_json(field, data["theirs"]))


def held_to_json(held: Mapping[Field, Held]) -> JsonObject | None:
    """Encode what a connection cannot take now; None if nothing is held."""
    return {_NAMES[field]: _held_to_json(item) for field, item in held.items()} or None


def _held_to_json(item: Held) -> JsonObject:
    data: JsonObject = {
        "reason": item.reason,
        "since": _stamp(item.since),
        "digest": item.digest,
        "until": _stamp(item.until) if item.until else None,
    }
    if item.imposed:
        data["imposed"] = True
    return data


def held_from_json(data: Mapping[str, JsonObject] | None) -> dict[Field, Held]:
    """Decode what a connection cannot take now."""
    return {
        _FIELDS[name]: Held(
            item["reason"],
            _moment(item["since"]),
            item["digest"],
            _moment(item["until"]) if item["until"] else None,
            item.get("imposed", False),
        )
        for name, item in (data or {}).items()
        if name in _FIELDS
    }


def hold_to_json(hold: RecordHold | None) -> JsonObject | None:
    """Encode why a whole record waits."""
    if hold is None:
        return None
    return {
        "kind": hold.kind.value,
        "reason": hold.reason,
        "since": _stamp(hold.since),
        "until": _stamp(hold.until) if hold.until else None,
        "digest": hold.digest,
    }


def hold_from_json(data: JsonObject | None) -> RecordHold | None:
    """Decode why a whole record waits."""
    if data is None:
        return None
    return RecordHold(
        HoldKind(data["kind"]),
        data["reason"],
        _moment(data["since"]),
        _moment(data["until"]) if data["until"] else None,
        data["digest"],
    )


def past_writes_to_json(writes: Iterable[PastWrite]) -> list[JsonObject] | None:
    """Encode what the loop breaker counts; None if there is nothing to count."""
    return [
        {"field": write.field.value, "digest": write.digest, "at": _stamp(write.at)} for write in writes
    ] or None


def past_writes_from_json(data: Iterable[JsonObject] | None) -> tuple[PastWrite, ...]:
    """Decode what the loop breaker counts."""
    return tuple(
        PastWrite(_FIELDS[item["field"]], item["digest"], _moment(item["at"]))
        for item in data or ()
        if item["field"] in _FIELDS
    )


def series_to_json(series: Series | None) -> JsonObject | None:
    """Encode the series of an occurrence."""
    return None if series is None else {"key": series.key, "original_start": _stamp(series.original_start)}


def series_from_json(data: JsonObject | None) -> Series | None:
    """Decode the series of an occurrence."""
    return None if data is None else Series(data["key"], _moment(data["original_start"]))


def observation_to_json(seen: Observation) -> JsonObject:
    """Encode what a connection showed of one record."""
    data: JsonObject = {
        "external_id": seen.external_id,
        "values": values_to_json(seen.values),
        "at": _stamp(seen.observed_at),
    }
    optional: dict[str, Any] = {
        "fingerprint": seen.fingerprint,
        "partial": not seen.complete,
        "derived": fields_to_json(seen.derived),
        "machine": fields_to_json(seen.machine),
        "outdated": fields_to_json(seen.outdated),
        "private": seen.private,
        "series": series_to_json(seen.series),
        "links": sorted(seen.links),
        "marks": sorted(seen.marks),
        "ical_uid": seen.ical_uid,
        "fixed": reasons_to_json(seen.fixed),
        "read_only": seen.read_only,
        "undeletable": not seen.deletable,
        "scope": seen.scope,
        "particulars": dict(seen.particulars),
    }
    data.update({name: item for name, item in optional.items() if item})
    return data


def observation_from_json(data: JsonObject) -> Observation:
    """Decode what a connection showed of one record."""
    get = data.get
    return Observation(
        external_id=data["external_id"],
        values=values_from_json(data["values"]),
        observed_at=_moment(data["at"]),
        fingerprint=get("fingerprint", ""),
        complete=not get("partial", False),
        derived=fields_from_json(get("derived")),
        machine=fields_from_json(get("machine")),
        outdated=fields_from_json(get("outdated")),
        private=get("private", False),
        series=series_from_json(get("series")),
        links=frozenset(get("links", ())),
        marks=frozenset(get("marks", ())),
        ical_uid=get("ical_uid"),
        fixed=reasons_from_json(get("fixed")),
        read_only=get("read_only"),
        deletable=not get("undeletable", False),
        scope=get("scope", ""),
        particulars=get("particulars", {}),
    )


def sealed_to_json(sealed: Sealed) -> JsonObject:
    """Encode a frozen request; its body stays the exact text."""
    return {
        "operation": sealed.operation.value,
        "method": sealed.method,
        "path": sealed.path,
        "body": sealed.body,
        "key": sealed.key,
        "external_id": sealed.external_id,
        "scope": sealed.scope,
        "details": dict(sealed.details),
    }


def sealed_from_json(data: JsonObject) -> Sealed:
    """Decode a frozen request."""
    return Sealed(
        operation=Operation(data["operation"]),
        method=data["method"],
        path=data["path"],
        body=data["body"],
        key=data["key"],
        external_id=data["external_id"],
        scope=data["scope"],
        details=data["details"],
    )
