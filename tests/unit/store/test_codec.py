"""Whatever the core can hold survives being stored as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync_engine.core.meeting import Field, Participant, Provenance, Response, Schedule, Series, Value
from sync_engine.core.ports import Observation, Operation, Sealed
from sync_engine.core.refs import Agreed, Held, HoldKind, PastWrite, RecordHold
from sync_engine.store import codec
from sync_engine.store.types import dump_json, load_json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 7 * 10**15).map(lambda count: EPOCH + timedelta(microseconds=count))
# What PostgreSQL can store: anything but NUL and half a surrogate pair.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCHEDULES = st.builds(
    Schedule,
    start=MOMENTS,
    end=MOMENTS,
    zone=st.none() | st.sampled_from(["Europe/Berlin", "UTC"]),
    all_day=st.booleans(),
    assumed_end=st.booleans(),
)
PEOPLE = st.lists(
    st.builds(Participant, TEXTS, st.none() | TEXTS, st.none() | st.sampled_from(Response)), max_size=4
).map(tuple)
NAMES = st.sampled_from(Field)


def _value_of(field: Field) -> st.SearchStrategy[Any]:
    return {Field.SCHEDULE: SCHEDULES, Field.PARTICIPANTS: PEOPLE}.get(field, TEXTS)


VALUES = st.fixed_dictionaries({}, optional={field: _value_of(field) for field in Field})
AGREEMENTS = st.fixed_dictionaries(
    {},
    optional={
        field: st.builds(Agreed, st.none() | _value_of(field), st.none() | _value_of(field))
        for field in Field
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBSERVATIONS = st.builds(
    Observation,
    external_id=TEXTS,
    values=VALUES,
    observed_at=MOMENTS,
    fingerprint=TEXTS,
    complete=st.booleans(),
    derived=st.frozensets(NAMES),
    machine=st.frozensets(NAMES),
    private=st.booleans(),
    series=st.none() | st.builds(Series, TEXTS, MOMENTS),
    links=st.frozensets(TEXTS, max_size=3),
    marks=st.frozensets(TEXTS, max_size=3),
    ical_uid=st.none() | TEXTS.filter(bool),
    fixed=st.dictionaries(NAMES, TEXTS, max_size=2),
    read_only=st.none() | TEXTS.filter(bool),
    deletable=st.booleans(),
    scope=TEXTS,
    particulars=st.dictionaries(TEXTS, JSON, max_size=3),
)


def _stored(data: Any) -> Any:
    return load_json(dump_json(data))


@given(VALUES)
def test_values_survive(values: dict[Field, Value]) -> None:
    assert codec.values_from_json(_stored(codec.values_to_json(values))) == values


@given(AGREEMENTS)
def test_agreements_survive(agreement: dict[Field, Agreed]) -> None:
    assert codec.agreement_from_json(_stored(codec.agreement_to_json(agreement))) == agreement


@given(OBSERVATIONS)
def test_observations_survive(seen: Observation) -> None:
    assert codec.observation_from_json(_stored(codec.observation_to_json(seen))) == seen


@given(
    st.dictionaries(
        NAMES, st.builds(Provenance, TEXTS, MOMENTS, st.integers(0), st.booleans(), st.booleans())
    )
)
def test_provenance_survives(provenance: dict[Field, Provenance]) -> None:
    assert codec.provenance_from_json(_stored(codec.provenance_to_json(provenance))) == provenance


@given(st.dictionaries(NAMES, st.builds(Held, TEXTS, MOMENTS, TEXTS, st.none() | MOMENTS)))
def test_held_fields_survive(held: dict[Field, Held]) -> None:
    assert codec.held_from_json(_stored(codec.held_to_json(held))) == held


@given(
    st.none() | st.builds(RecordHold, st.sampled_from(HoldKind), TEXTS, MOMENTS, st.none() | MOMENTS, TEXTS)
)
def test_record_holds_survive(hold: RecordHold | None) -> None:
    assert codec.hold_from_json(_stored(codec.hold_to_json(hold))) == hold


@given(st.lists(st.builds(PastWrite, NAMES, TEXTS, MOMENTS), max_size=3).map(tuple))
def test_past_writes_survive(writes: tuple[PastWrite, ...]) -> None:
    assert codec.past_writes_from_json(_stored(codec.past_writes_to_json(writes))) == writes


@given(
    st.builds(
        Sealed,
        operation=st.sampled_from(Operation),
        method=TEXTS,
        path=TEXTS,
        body=st.none() | TEXTS,
        key=st.none() | TEXTS,
        external_id=st.none() | TEXTS,
        scope=TEXTS,
        details=st.dictionaries(TEXTS, JSON, max_size=3),
    )
)
def test_frozen_requests_survive_to_the_byte(sealed: Sealed) -> None:
    assert codec.sealed_from_json(_stored(codec.sealed_to_json(sealed))) == sealed


def test_a_field_of_a_later_release_is_passed_over() -> None:
    stored = {"title": "Demo", "colour": "red"}
    pair = {"both": "red"}

    assert codec.values_from_json(stored) == {Field.TITLE: "Demo"}
    assert codec.agreement_from_json({"colour": pair}) == {}
    assert codec.fields_from_json(["title", "colour"]) == {Field.TITLE}


def test_an_equal_pair_is_stored_once() -> None:
    schedule = Schedule.timed(datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1))

    equal = dump_json(codec.agreement_to_json({Field.SCHEDULE: Agreed(schedule, schedule)}))
    different = dump_json(codec.agreement_to_json({Field.SCHEDULE: Agreed(schedule, None)}))

    assert equal.count("2026-01-01") == different.count("2026-01-01") == 2


@given(st.text(max_size=30))
def test_any_text_at_all_becomes_json_that_postgresql_takes(text: str) -> None:
    stored = dump_json({"key": [text]})

    assert "\\u0000" not in stored.replace("\\\\", "")
    stored.encode()
