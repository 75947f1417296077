"""Between Lightfield's meeting and ours."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_engine.adapters.lightfield.capabilities import (
    DESCRIPTION_LIMIT,
    capabilities,
    normal_description,
)
from sync_engine.adapters.lightfield.mapping import (
    fingerprint,
    keys_missing,
    to_fields,
    to_observation,
    whole_list,
)
from sync_engine.core.meeting import Field, Participant, Response, Schedule, Value, participants
from sync_engine.core.owned_block import OPENING, split
from sync_engine.core.ports import Observation
from sync_engine.errors import UnmappableRecordError

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
MEETING_ID = "0192f7e0-0000-7000-8000-000000000001"


def row(access: str = "FULL", /, **changes: Any) -> dict[str, Any]:
    fields = {
        "$title": "Screening",
        "$startDate": "2026-11-18T14:00:00.000Z",
        "$endDate": "2026-11-18T14:30:00.000Z",
        "$description": "Agenda",
        "$meetingUrl": "https://zoom.us/j/91234567890",
        "$organizerEmail": "Olga@acme.example",
        "$attendeeEmails": ["olga@ACME.example", "B@c.d", "a@c.d"],
        "$privacySetting": "FULL",
    }
    fields |= changes
    return {
        "id": "mtg_1",
        "objectType": "meeting",
        "accessLevel": access,
        "createdAt": "2026-11-18T14:40:12.000Z",
        "updatedAt": None,
        "fields": {key: {"valueType": "TEXT", "value": value} for key, value in fields.items()},
        "relationships": {},
        "somethingNew": {"future": True},
    }


def observe(wire: dict[str, Any]) -> Observation:
    return to_observation(wire, external_id="mtg_1", observed_at=NOW, complete=True, print_of_row="x")


def test_a_meeting_is_translated_field_by_field() -> None:
    seen = observe(row())

    assert seen.values == {
        Field.TITLE: "Screening",
        Field.DESCRIPTION: "Agenda",
        Field.SCHEDULE: Schedule.timed(datetime(2026, 11, 18, 14, tzinfo=UTC), timedelta(minutes=30)),
        Field.JOIN_URL: "https://zoom.us/j/91234567890",
        Field.ORGANIZER: "olga@acme.example",
        Field.PARTICIPANTS: (Participant("a@c.d"), Participant("b@c.d")),
    }
    assert seen.links == {"zoom:91234567890"}
    assert not seen.private
    assert not seen.derived


def test_a_url_may_come_as_a_list_of_one() -> None:
    assert (
        observe(row(**{"$meetingUrl": ["https://a.example"]})).values[Field.JOIN_URL] == "https://a.example"
    )


@pytest.mark.parametrize(
    "moment", ["2026-11-18T15:00:00+01:00", "2026-11-18T14:00:00.999Z", "2026-11-18T14:00:00"]
)
def test_times_become_whole_seconds_of_utc(moment: str) -> None:
    schedule = observe(row(**{"$startDate": moment})).values[Field.SCHEDULE]

    assert isinstance(schedule, Schedule)
    assert schedule.start == datetime(2026, 11, 18, 14, tzinfo=UTC)
    assert schedule.zone is None


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_text_is_empty_with_full_access_and_unknown_without(empty: str | None) -> None:
    changes = {"$description": empty, "$meetingUrl": empty, "$organizerEmail": empty}

    full, redacted = observe(row(**changes)), observe(row("METADATA", **changes))

    for name in (Field.DESCRIPTION, Field.JOIN_URL, Field.ORGANIZER):
        assert full.values[name] == ""
        assert name not in redacted.values


@pytest.mark.parametrize("access", ["METADATA", "SOMETHING_NEW"])
def test_without_full_access_what_is_shown_still_counts(access: str) -> None:
    seen = observe(row(access, **{"$description": None, "$attendeeEmails": []}))

    assert seen.values[Field.TITLE] == "Screening"
    assert Field.DESCRIPTION not in seen.values
    assert Field.PARTICIPANTS not in seen.values
    assert Field.PARTICIPANTS in seen.fixed


def test_a_key_that_is_left_out_says_nothing() -> None:
    wire = row()
    for key in ("$description", "$meetingUrl", "$attendeeEmails", "$organizerEmail", "$title"):
        del wire["fields"][key]

    seen = observe(wire)

    assert set(seen.values) == {Field.SCHEDULE}
    assert not seen.fixed


@pytest.mark.parametrize("setting", ["FULL", None])
def test_only_the_meetings_own_setting_makes_it_private(setting: str | None) -> None:
    assert not observe(row("METADATA", **{"$privacySetting": setting})).private
    assert observe(row("FULL", **{"$privacySetting": "METADATA"})).private


@pytest.mark.parametrize(
    "changes",
    [
        {"$startDate": None},
        {"$endDate": "soon"},
        {"$endDate": "2026-11-18T13:00:00.000Z"},
        {"$title": ["a", "b"]},
        {"$attendeeEmails": "a@b.c"},
        {"$attendeeEmails": [1]},
    ],
)
def test_a_meeting_that_makes_no_sense_is_set_aside_without_its_data(changes: dict[str, Any]) -> None:
    with pytest.raises(UnmappableRecordError) as caught:
        observe(row(**changes))

    assert "Screening" not in str(caught.value)
    assert "@" not in str(caught.value)


# Fingerprints.


@pytest.mark.parametrize("key", list(row()["fields"]))
def test_every_field_we_use_is_part_of_the_fingerprint(key: str) -> None:
    changed: Any = ["x@y.z"] if key == "$attendeeEmails" else "other"

    assert fingerprint(row(**{key: changed})) != fingerprint(row())
    assert fingerprint(row("METADATA")) != fingerprint(row())


def test_what_moves_by_itself_is_no_part_of_the_fingerprint() -> None:
    moved = copy.deepcopy(row())
    moved |= {"updatedAt": "2026-11-19T00:00:00.000Z", "externalId": "x", "httpLink": "y"}
    moved["fields"]["$postMeetingSummary"] = {"valueType": "MARKDOWN", "value": "## New"}
    moved["fields"]["$attendeeEmails"]["value"].reverse()
    moved["relationships"] = {"$contact": {"values": ["con_1"]}}

    assert fingerprint(moved) == fingerprint(row())


def test_a_null_and_a_missing_key_are_the_same_to_a_fingerprint() -> None:
    missing = row()
    del missing["fields"]["$description"]

    assert fingerprint(missing) == fingerprint(row(**{"$description": None}))
    assert fingerprint(row(), ["$description"]) == fingerprint(missing)


@pytest.mark.parametrize("broken", [{}, {"fields": None, "accessLevel": 1}, {"fields": {"$title": 3}}])
def test_a_row_of_an_unknown_form_has_a_fingerprint_too(broken: dict[str, Any]) -> None:
    assert len(fingerprint(broken)) == 24


def test_only_rows_with_full_access_tell_which_keys_are_missing() -> None:
    wanted = {"$title", "$description", "$other"}

    assert keys_missing(row(), wanted) == {"$other"}
    assert keys_missing(row("METADATA"), wanted) == wanted


# Writing.


def values(**changes: Value) -> dict[Field, Value]:
    found: dict[Field, Value] = {
        Field.TITLE: "Screening",
        Field.DESCRIPTION: "Agenda",
        Field.SCHEDULE: Schedule.timed(datetime(2026, 11, 18, 14, tzinfo=UTC), timedelta(minutes=30)),
        Field.ORGANIZER: "olga@acme.example",
        Field.PARTICIPANTS: participants(["b@c.d"]),
    }
    return found | {Field(name): value for name, value in changes.items()}


def test_a_new_meeting_is_written_in_bare_values_and_reads_back_the_same() -> None:
    fields = to_fields(values(), MEETING_ID)

    assert fields["$startDate"] == "2026-11-18T14:00:00.000Z"
    assert fields["$meetingUrl"] is None
    assert fields["$attendeeEmails"] == ["olga@acme.example", "b@c.d"]
    assert set(fields) <= {*row()["fields"]}
    seen = observe(row(**fields))
    assert {name: seen.values[name] for name in values()} == values()
    assert seen.marks == {MEETING_ID}


def test_the_longest_description_leaves_room_for_the_mark() -> None:
    text = normal_description("x" * 50_000)

    fields = to_fields(values(description=text), MEETING_ID)

    assert len(fields["$description"]) <= DESCRIPTION_LIMIT
    assert split(fields["$description"]).text == text
    assert OPENING in fields["$description"]


def test_a_meeting_without_a_time_cannot_be_written() -> None:
    without = values()
    del without[Field.SCHEDULE]

    with pytest.raises(UnmappableRecordError):
        to_fields(without, MEETING_ID)


@pytest.mark.parametrize(
    ("current", "intended", "organizer", "expected"),
    [
        (["A@b.c", "x@b.c"], ["a@b.c"], "", ["A@b.c"]),
        (["o@b.c"], ["a@b.c"], "o@b.c", ["o@b.c", "a@b.c"]),
        (["a@b.c"], ["a@b.c"], "o@b.c", ["a@b.c"]),
        ([], ["b@b.c", "a@b.c"], "o@b.c", ["a@b.c", "b@b.c"]),
        (["a@b.c"], [], "", []),
        ([], ["o@b.c"], "o@b.c", []),
    ],
)
def test_a_list_is_written_whole(
    current: list[str], intended: list[str], organizer: str, expected: list[str]
) -> None:
    assert whole_list(current, intended, organizer) == expected


def test_more_people_than_fit_are_refused() -> None:
    can = capabilities(timedelta(minutes=5), attendees_updatable=True).fields[Field.PARTICIPANTS]
    crowd = participants(f"p{number}@b.c" for number in range(500))

    assert can.refuse(crowd)
    assert not can.refuse(crowd[1:])


def test_what_lightfield_cannot_show_of_people_is_dropped() -> None:
    can = capabilities(timedelta(minutes=5), attendees_updatable=True).fields[Field.PARTICIPANTS]

    people = participants([Participant("a@b.c", "Anna", Response.ACCEPTED)])

    assert can.normalise(people) == (Participant("a@b.c"),)
