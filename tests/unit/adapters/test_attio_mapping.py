from __future__ import annotations

import json
import timeit
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_engine.adapters.attio.capabilities import capabilities
from sync_engine.adapters.attio.client import merge_segments
from sync_engine.adapters.attio.mapping import (
    attendees,
    fingerprint,
    links_to_copy,
    to_body,
    to_observation,
    to_sighting,
)
from sync_engine.adapters.attio.schemas import Segment, Speaker
from sync_engine.core.meeting import (
    Field,
    Participant,
    Response,
    Schedule,
    Value,
    participants,
)
from sync_engine.errors import UnmappableRecordError

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


def person(
    email: str | None, *, organizer: bool = False, status: str = "accepted", **more: Any
) -> dict[str, Any]:
    return {"status": status, "is_organizer": organizer, "email_address": email, "name": None, **more}


def row(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": {"workspace_id": "w", "meeting_id": "m1"},
        "title": "Demo",
        "description": "Agenda",
        "is_all_day": False,
        "start": {"datetime": "2026-12-01T16:00:00.000+01:00", "timezone": "Europe/Berlin"},
        "end": {"datetime": "2026-12-01T16:30:00.000+01:00", "timezone": "Europe/Berlin"},
        "participants": [person("rep@acme.example", organizer=True), person("guest@customer.example")],
        "linked_records": [],
        "created_at": "2026-11-16T09:00:00.000000000Z",
        "created_by_actor": {"type": "api-token", "id": "t"},
    }
    return {**base, **changes}


# -- fingerprints --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Other"},
        {"description": "Other"},
        {"start": {"datetime": "2026-12-01T15:00:00.000+01:00", "timezone": "Europe/Berlin"}},
        {"start": {"datetime": "2026-12-01T16:00:00.000+01:00", "timezone": "Europe/Paris"}},
        {"end": {"datetime": "2026-12-01T17:00:00.000+01:00", "timezone": "Europe/Berlin"}},
        {"is_all_day": True, "start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}},
        {"participants": [person("rep@acme.example", organizer=True)]},
        {"participants": [person("rep@acme.example"), person("guest@customer.example", organizer=True)]},
        {
            "participants": [
                person("rep@acme.example", organizer=True),
                person("guest@customer.example", status="declined"),
            ]
        },
    ],
    ids=lambda changes: ",".join(changes),
)
def test_a_change_of_anything_we_use_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(row(**changes)) != fingerprint(row())


@pytest.mark.parametrize(
    "changes",
    [
        {"linked_records": [{"object_slug": "people", "object_id": "o", "record_id": "r"}]},
        {"created_at": "2026-11-16T09:00:01.000000000Z"},
        {"created_by_actor": {"type": "system", "id": None}},
        {"new_key": 7},
        {"participants": [person("guest@customer.example"), person("rep@acme.example", organizer=True)]},
        {
            "participants": [
                {"status": "accepted", "is_organizer": True, "email_address": "rep@acme.example"},
                {"status": "accepted", "is_organizer": False, "email_address": "guest@customer.example"},
            ]
        },
    ],
    ids=lambda changes: ",".join(changes),
)
def test_what_attio_changes_by_itself_does_not(changes: dict[str, Any]) -> None:
    assert fingerprint(row(**changes)) == fingerprint(row())


def test_a_fingerprint_of_an_ordinary_row_costs_microseconds() -> None:
    listed = row(description="Agenda. " * 40)

    seconds = min(timeit.repeat(lambda: to_sighting(listed), number=2_000, repeat=5)) / 2_000

    # Ten times the aim, so that a busy machine does not fail it and a parser in the loop does.
    assert seconds < 60e-6


# -- reading -------------------------------------------------------------------------------------------


def test_an_instant_is_what_counts_and_not_how_its_offset_is_written() -> None:
    other = {"datetime": "2026-12-01T10:00:00.000-05:00", "timezone": "Europe/Berlin"}

    here, there = to_observation(row(), NOW), to_observation(row(start=other), NOW)

    assert here.values[Field.SCHEDULE] == there.values[Field.SCHEDULE]


@pytest.mark.parametrize(
    ("start", "zone"),
    [
        ({"datetime": "2026-12-01T15:00:00.999Z", "timezone": None}, None),
        ({"datetime": "2026-12-01T10:00:00", "timezone": "America/New_York"}, "America/New_York"),
        ({"datetime": "2026-12-01T15:00:00Z", "timezone": "Asia/Calcutta"}, "Asia/Kolkata"),
    ],
    ids=["without zone", "without offset", "old zone name"],
)
def test_times_are_read_in_every_form(start: dict[str, Any], zone: str | None) -> None:
    seen = to_observation(row(start=start), NOW)

    begin = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
    assert seen.values[Field.SCHEDULE] == Schedule(begin, begin + timedelta(minutes=30), zone)


@pytest.mark.parametrize("flag", [True, False])
def test_dates_mean_all_day_whatever_the_flag_says(flag: bool) -> None:
    seen = to_observation(row(is_all_day=flag, start={"date": "2026-06-03"}, end={"date": "2026-06-04"}), NOW)

    schedule = seen.values[Field.SCHEDULE]
    assert isinstance(schedule, Schedule)
    assert (schedule.all_day, schedule.length, schedule.zone) == (True, timedelta(days=1), None)


def test_addresses_are_compared_without_case_and_unknown_answers_are_pending() -> None:
    people = [person("Rep@Acme.example", organizer=True), person("GUEST@x.example", status="needs-action")]

    seen = to_observation(row(participants=people), NOW)

    assert seen.values[Field.ORGANIZER] == "rep@acme.example"
    assert seen.values[Field.PARTICIPANTS] == (Participant("guest@x.example", None, Response.PENDING),)


def test_of_several_organizers_the_order_of_the_list_does_not_decide() -> None:
    two = [person("b@x.example", organizer=True), person("a@x.example", organizer=True)]

    first, second = (
        to_observation(row(participants=two), NOW),
        to_observation(row(participants=two[::-1]), NOW),
    )

    assert first.values == second.values
    assert first.values[Field.ORGANIZER] == "a@x.example"
    assert first.values[Field.PARTICIPANTS] == (Participant("b@x.example", None, Response.ACCEPTED),)


def test_an_organizer_with_a_name_only_is_no_information() -> None:
    seen = to_observation(row(participants=[person(None, organizer=True, name="Walk-in")]), NOW)

    assert Field.ORGANIZER not in seen.values
    assert seen.values[Field.PARTICIPANTS] == ()


def test_a_description_is_shown_without_our_block_and_a_link_in_it_counts_as_evidence() -> None:
    body = to_body(
        {Field.SCHEDULE: Schedule.timed(NOW, timedelta(hours=1)), Field.DESCRIPTION: "Agenda",
         Field.JOIN_URL: "https://acme.zoom.us/j/97763643886", Field.ORGANIZER: "rep@acme.example"},
        "canonical-1",
        external_ref=None,
    )["data"]  # fmt: skip

    seen = to_observation(row(description=body["description"]), NOW)

    assert seen.values[Field.DESCRIPTION] == "Agenda"
    assert seen.links == {"zoom:97763643886"}
    assert seen.marks == {"canonical-1"}
    assert set(seen.values).isdisjoint({Field.JOIN_URL, Field.LOCATION, Field.KIND})


def test_keys_that_older_servers_lack_are_not_needed() -> None:
    bare = row(participants=[{"status": "accepted", "is_organizer": False, "email_address": "a@x.example"}])
    del bare["created_by_actor"]
    del bare["created_at"]

    seen = to_observation(bare, NOW)

    assert seen.deletable
    assert seen.particulars == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"start": {"datetime": "soon"}},
        {"start": {"date": "2026-12-01"}},
        {"start": {}},
        {"start": None},
        {"end": {"datetime": "2026-12-01T10:00:00Z"}},
        {"start": {"datetime": "0001-01-01T00:00:00+14:00"}},
        {"id": {"workspace_id": "w"}},
        {"participants": {"email_address": "secret@x.example"}},
        {"title": ["secret@x.example"]},
    ],
    ids=str,
)
def test_a_row_of_another_form_is_unmappable_and_its_words_stay_out_of_the_reason(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(UnmappableRecordError) as caught:
        to_observation(row(**changes), NOW)

    assert "secret" not in str(caught.value)
    assert "soon" not in str(caught.value)


@pytest.mark.parametrize(
    "junk", [None, 7, "text", [], {}, {"id": {"meeting_id": "m"}}, row(id={"meeting_id": 7})]
)
def test_a_listed_row_that_is_no_meeting_is_unmappable(junk: Any) -> None:
    with pytest.raises(UnmappableRecordError):
        to_sighting(junk)


# -- writing -------------------------------------------------------------------------------------------


def test_times_are_sent_in_utc_with_the_zone_as_a_label() -> None:
    schedule = Schedule.timed(NOW, timedelta(hours=1), "Europe/Berlin")

    data = to_body({Field.SCHEDULE: schedule, Field.ORGANIZER: "a@x.example"}, "c", external_ref="r")["data"]

    assert data["start"] == {"datetime": "2026-11-16T09:00:00Z", "timezone": "Europe/Berlin"}
    assert data["external_ref"] == "r"
    assert (data["title"], data["is_all_day"]) == ("", False)


def test_without_a_zone_none_is_sent() -> None:
    schedule = Schedule.timed(NOW, timedelta(hours=1))

    data = to_body({Field.SCHEDULE: schedule, Field.ORGANIZER: "a@x.example"}, "c", external_ref=None)["data"]

    assert data["end"] == {"datetime": "2026-11-16T10:00:00Z"}
    assert "external_ref" not in data
    assert "linked_records" not in data


def test_an_organizer_among_the_participants_is_sent_once() -> None:
    people = participants(["Rep@acme.example", "guest@x.example"])

    rows = attendees({Field.ORGANIZER: "rep@acme.example", Field.PARTICIPANTS: people})

    assert [(r["email_address"], r["is_organizer"]) for r in rows] == [
        ("rep@acme.example", True),
        ("guest@x.example", False),
    ]


def test_a_location_that_is_the_link_is_written_once() -> None:
    url = "https://video.example.com/1"
    values: dict[Field, Value] = {
        Field.SCHEDULE: Schedule.timed(NOW, timedelta(hours=1)),
        Field.JOIN_URL: url,
        Field.LOCATION: url,
    }

    assert to_body(values, "c", external_ref=None)["data"]["description"].count(url) == 1


def test_links_are_copied_in_their_write_shape_with_the_automatic_ones_last() -> None:
    slugs = ["people"] * 30 + ["companies"] * 20 + ["deals"] * 3
    links = [{"object_slug": slug, "object_id": "o", "record_id": str(n)} for n, slug in enumerate(slugs)]

    copied = links_to_copy(row(linked_records=links))

    assert len(copied) == 50
    assert [link["object"] for link in copied[:3]] == ["deals"] * 3
    assert set(copied[0]) == {"object", "record_id"}


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=400)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.fixed_dictionaries(
        {Field.TITLE: texts, Field.DESCRIPTION: texts, Field.LOCATION: texts, Field.JOIN_URL: texts}
    ),
    st.booleans(),
)
def test_what_is_written_reads_back_as_it_was_projected(values: dict[Field, str], all_day: bool) -> None:
    fields = capabilities(may_replace=True).fields
    schedule = Schedule.timed(NOW, timedelta(minutes=50), "Europe/Berlin")
    if all_day:
        schedule = Schedule.dates(NOW.date(), NOW.date() + timedelta(days=2))
    meeting: dict[Field, Value] = {
        **values,
        Field.SCHEDULE: schedule,
        Field.ORGANIZER: "rep@acme.example",
        Field.PARTICIPANTS: participants(["guest@x.example"]),
    }
    projection = {name: fields[name].normalise(value) for name, value in meeting.items()}

    data = to_body(projection, "canonical-1", external_ref=None)["data"]
    seen = to_observation(row(**json.loads(json.dumps(data))), NOW)

    assert len(data["title"]) <= 1_000
    assert len(data["description"]) <= 10_000
    assert seen.values == {name: value for name, value in projection.items() if fields[name].readable}
    assert seen.marks == {"canonical-1"}


def test_too_many_people_and_too_long_links_are_refused_with_a_reason() -> None:
    fields = capabilities(may_replace=True).fields
    crowd = participants([f"p{n}@x.example" for n in range(500)])

    assert fields[Field.PARTICIPANTS].refuse(crowd)
    assert fields[Field.PARTICIPANTS].refuse(crowd[1:]) is None
    assert fields[Field.JOIN_URL].refuse("https://x.example/" + "j" * 600)


# -- transcripts ---------------------------------------------------------------------------------------


def test_a_transcript_under_the_limit_stays_as_it_is() -> None:
    said = [Segment(speech=str(n), start_time=n, end_time=n + 1, speaker=Speaker(name="A")) for n in range(3)]

    assert merge_segments(said, 3) == said


def test_a_transcript_of_alternating_speakers_still_gets_under_the_limit_without_losing_a_word() -> None:
    said = [
        Segment(speech=f"w{n}", start_time=n, end_time=n + 1, speaker=Speaker(name="AB"[n % 2]))
        for n in range(9)
    ]

    merged = merge_segments(said, 4)

    assert len(merged) == 4
    text = " ".join(segment.speech for segment in merged)
    assert [word for word in text.split() if word.startswith("w")] == [f"w{n}" for n in range(9)]
    assert merged[-1].end_time == 9
