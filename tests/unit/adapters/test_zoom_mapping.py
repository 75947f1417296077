from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_engine.adapters.zoom import mapping
from sync_engine.adapters.zoom.capabilities import FIELDS, LONGEST, refuse_schedule
from sync_engine.adapters.zoom.listing import _Page
from sync_engine.adapters.zoom.mapping import Host, Target
from sync_engine.core.meeting import Field, Participant, Schedule, Series
from sync_engine.errors import RecordGoneError, UnmappableRecordError

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
HOST = Host("host-1", "anna@acme.example")
URL = "https://us02web.zoom.us/j/97763643886?pwd=abc.1"


def row(**changes: Any) -> dict[str, Any]:
    given = {
        "uuid": "aDYlohsHRtCd4ii1uC2+hA==",
        "id": 97763643886,
        "host_id": "host-1",
        "topic": "Kick-off",
        "type": 2,
        "start_time": "2026-12-01T09:00:00Z",
        "duration": 30,
        "timezone": "Europe/Berlin",
        "agenda": "short",
        "created_at": "2026-11-18T08:11:02Z",
        "join_url": URL,
    }
    return {**given, **changes}


def body(**changes: Any) -> dict[str, Any]:
    settings = {"meeting_invitees": [{"email": "Jane@Customer.example", "internal_user": False}]}
    given = row(
        host_email="Anna@acme.example", settings=settings, status="waiting", start_url="https://x/zak"
    )
    return {**given, **changes}


def series(**changes: Any) -> dict[str, Any]:
    dates = [
        {"occurrence_id": "1796115600000", "start_time": "2026-12-01T09:00:00Z", "duration": 30,
         "status": "available"},
        {"occurrence_id": "1796202000000", "start_time": "2026-12-02T11:00:00Z", "duration": 45,
         "status": "available"},
        {"occurrence_id": "1796288400000", "start_time": "2026-12-03T09:00:00Z", "duration": 30,
         "status": "deleted"},
    ]  # fmt: skip
    return body(type=8, occurrences=dates, **changes)


def single_fingerprint(**changes: Any) -> str:
    return mapping.single_fingerprint(row(**changes))


def test_a_row_becomes_the_fields_it_shows() -> None:
    sighting = mapping.listed_sighting(row(), HOST)

    seen = mapping.translate(sighting, NOW)

    assert seen.external_id == "97763643886"
    assert dict(seen.values) == {
        Field.TITLE: "Kick-off",
        Field.DESCRIPTION: "short",
        Field.SCHEDULE: Schedule.timed(
            datetime(2026, 12, 1, 9, tzinfo=UTC), timedelta(minutes=30), "Europe/Berlin"
        ),
        Field.JOIN_URL: URL,
        Field.ORGANIZER: "anna@acme.example",
        Field.KIND: "virtual",
    }
    assert (seen.complete, seen.scope, seen.derived) == (False, "host-1", frozenset({Field.KIND}))
    assert seen.links == {"zoom:97763643886"}


def test_a_read_shows_the_invitees_without_the_organizer() -> None:
    invitees = [{"email": "Jane@Customer.example"}, {"email": "ANNA@acme.example"}, {"email": None}]

    seen = mapping.from_read(body(settings={"meeting_invitees": invitees, "private_meeting": True}), NOW)

    assert seen.values[Field.PARTICIPANTS] == (Participant("jane@customer.example"),)
    assert seen.private
    assert seen.complete


@pytest.mark.parametrize("nothing", [None, "", "absent"])
def test_an_agenda_that_is_absent_null_or_empty_is_an_empty_description(nothing: str | None) -> None:
    given = row(agenda=nothing)
    if nothing == "absent":
        del given["agenda"]

    seen = mapping.translate(mapping.listed_sighting(given, HOST), NOW)

    assert seen.values[Field.DESCRIPTION] == ""
    assert seen.fingerprint == single_fingerprint(agenda="")


def test_an_answer_without_settings_says_nothing_of_invitees() -> None:
    answer = body()
    del answer["settings"]

    seen = mapping.from_read(answer, NOW)

    assert Field.PARTICIPANTS not in seen.values
    assert not seen.complete


def test_a_listed_row_and_a_read_of_the_same_state_have_one_fingerprint() -> None:
    agenda = "x" * 250 + "more"

    listed = single_fingerprint(agenda=agenda[:250])
    read = mapping.from_read(body(agenda=agenda), NOW).fingerprint

    assert listed == read


@pytest.mark.parametrize(
    "volatile",
    [{"uuid": "another"}, {"join_url": URL.replace("abc", "xyz")}, {"created_at": "2026-11-18T08:11:03Z"}],
)
def test_a_fingerprint_leaves_out_what_changes_by_itself(volatile: dict[str, Any]) -> None:
    assert single_fingerprint(**volatile) == single_fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "x"},
        {"agenda": "x"},
        {"start_time": "2026-12-01T09:30:00Z"},
        {"duration": 31},
        {"timezone": "UTC"},
        {"host_id": "host-2"},
        {"join_url": "https://zoom.us/j/1112223334"},
    ],
)
def test_a_fingerprint_tells_every_shown_change(change: dict[str, Any]) -> None:
    assert single_fingerprint(**change) != single_fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"agenda": "x" * 300},
        {"settings": {"meeting_invitees": []}},
        {"settings": {"meeting_invitees": [{"email": "Jane@Customer.example"}], "private_meeting": True}},
        {"timezone": "UTC"},
    ],
)
def test_an_occurrence_fingerprint_tells_what_only_a_read_shows(change: dict[str, Any]) -> None:
    before = mapping.from_series(series(), "1796115600000", NOW).fingerprint

    assert mapping.from_series(series(**change), "1796115600000", NOW).fingerprint != before


def test_the_order_of_invitees_does_not_matter() -> None:
    one, two = {"email": "a@x.example"}, {"email": "b@x.example"}

    first = mapping.from_series(series(settings={"meeting_invitees": [one, two]}), "1796115600000", NOW)
    second = mapping.from_series(series(settings={"meeting_invitees": [two, one]}), "1796115600000", NOW)

    assert first.fingerprint == second.fingerprint


def test_a_moved_occurrence_keeps_its_planned_start_in_the_series() -> None:
    seen = mapping.from_series(series(), "1796202000000", NOW)

    assert seen.external_id == "97763643886/1796202000000"
    assert seen.series == Series("97763643886", datetime(2026, 12, 2, 9, tzinfo=UTC))
    assert isinstance(schedule := seen.values[Field.SCHEDULE], Schedule)
    assert (schedule.start.hour, schedule.length) == (11, timedelta(minutes=45))


@pytest.mark.parametrize("occurrence", ["1796288400000", "1"])
def test_a_cancelled_or_unknown_occurrence_is_gone(occurrence: str) -> None:
    with pytest.raises(RecordGoneError):
        mapping.from_series(series(), occurrence, NOW)


def test_sightings_of_a_series_carry_no_credentials() -> None:
    found = mapping.occurrence_sightings(
        series(password="123456", encrypted_password="s3cret"), HOST, "2026-12-01T00:00:00Z", "2026-12-03"
    )

    text = json.dumps([dict(s.raw) for s in found])
    assert len(found) == 2
    assert not any(word in text for word in ("start_url", "123456", "s3cret"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": 8}, "series"),
        ({"type": 3, "start_time": None}, "fixed time"),
        ({"start_time": None}, "fixed time"),
        ({"start_time": "9999-12-31T23:59:00Z", "duration": 1440}, "calendar"),
        ({"duration": "long"}, "duration"),
        ({"id": "x"}, "id"),
    ],
)
def test_what_is_no_meeting_is_unmappable_with_a_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnmappableRecordError, match=reason):
        mapping.from_read(body(**changes), NOW)


def test_an_unmappable_record_does_not_name_what_it_held() -> None:
    with pytest.raises(UnmappableRecordError) as caught:
        mapping.from_read(
            body(topic={"secret": "Falcon"}, settings={"meeting_invitees": ["jane@x.example"]}), NOW
        )

    assert "Falcon" not in str(caught.value)
    assert "jane" not in str(caught.value)


def test_a_page_sorts_its_rows() -> None:
    rows = [
        row(id=1), row(id=2, type=8), row(id=3, type=3), row(id=4, type=1), row(id=5, type=10),
        row(id=6, type=4, start_time=None), row(id=7, type=4), row(id=8, pmi="123"), None, {"type": 2},
        row(id=9, type=8, start_time="2027-06-01T09:00:00Z"),
    ]  # fmt: skip

    page = _Page(rows, HOST, "2027-01-01T00:00:00Z")

    assert [s.external_id for s in page.sightings] == ["1", "7", "8"]
    assert page.series == ["2"]
    assert len(page.problems) == 2


def test_an_id_that_zoom_cannot_have_given_is_gone() -> None:
    with pytest.raises(RecordGoneError):
        Target.of("lf_abc/1")


def test_a_vanity_link_still_has_the_meetings_key() -> None:
    seen = mapping.from_read(body(join_url="https://meet.acme.example/kickoff"), NOW)

    assert seen.links == {"zoom:97763643886"}


def test_an_untitled_meeting_has_a_derived_title() -> None:
    seen = mapping.from_read(body(topic=None), NOW)

    assert seen.values[Field.TITLE] == "Meeting"
    assert seen.derived == {Field.KIND, Field.TITLE}


def test_a_candidate_must_agree_in_title_start_length_and_be_made_since() -> None:
    wanted = {"topic": "Kick-off", "start_time": "2026-12-01T09:00:00Z", "duration": 30}
    since = datetime(2026, 11, 18, 8, 11, tzinfo=UTC)

    assert mapping.is_candidate(row(), wanted, since)
    for change in (
        {"topic": "x"},
        {"duration": 31},
        {"start_time": "2026-12-01T09:15:00Z"},
        {"created_at": "2026-11-18T08:10:00Z"},
        {"created_at": None},
        {"type": 8},
    ):
        assert not mapping.is_candidate(row(**change), wanted, since)


def test_schedules_that_zoom_cannot_hold_are_refused() -> None:
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)

    assert refuse_schedule(Schedule.dates(start.date(), start.date() + timedelta(days=1)))
    assert refuse_schedule(Schedule.timed(start, LONGEST + timedelta(minutes=1)))
    assert refuse_schedule(Schedule.timed(start, LONGEST)) is None


def test_a_schedule_is_brought_to_whole_minutes_and_a_zone_of_zooms() -> None:
    start = datetime(2026, 12, 1, 9, 0, 30, tzinfo=UTC)

    held = FIELDS[Field.SCHEDULE].normalise(Schedule.timed(start, timedelta(seconds=90), "Antarctica/Troll"))

    assert held == Schedule.timed(start.replace(second=0), timedelta(minutes=2), "UTC")
