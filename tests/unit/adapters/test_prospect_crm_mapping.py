from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_engine.adapters.prospect_crm.capabilities import (
    build_capabilities,
    length_or_assumed,
    place_or_link,
)
from sync_engine.adapters.prospect_crm.carried import entries, planned_length, rewritten
from sync_engine.adapters.prospect_crm.kinds import kind_for, normal_kind
from sync_engine.adapters.prospect_crm.mapping import (
    Known,
    Reading,
    create_body,
    fingerprint,
    observe,
    shows,
    update_body,
    whole_body,
)
from sync_engine.adapters.prospect_crm.owners import Owners
from sync_engine.core.capabilities import Capabilities, Idempotency
from sync_engine.core.meeting import Field, Meeting, Participant, Provenance, Schedule, Value
from sync_engine.core.owned_block import split
from sync_engine.core.ports import Observation
from sync_engine.errors import UnmappableRecordError

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
START = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)
LINK = "https://acme.zoom.us/j/97763643886?pwd=x"
JANE = Known("p1", "jane@prospect.example", "Jane", "Doe")
OWNERS = Owners({"rita@acme.example": "u1", "rita.r@acme.example": "u1", "sam@acme.example": "u2"}, "u1")
READING = Reading(OWNERS, HALF_AN_HOUR, shares_text=False)
SHARING = Reading(OWNERS, HALF_AN_HOUR, shares_text=True)
PLAN = Schedule.timed(START, timedelta(minutes=75), "Europe/Berlin")


def row(**more: Any) -> dict[str, Any]:
    return {
        "id": "m1",
        "prospectId": "p1",
        "meetingDate": 1_796_119_200_000,
        "timeZone": "America/New_York",
        "meetingType": "virtual",
        "ownerId": "u1",
        "location": None,
        "notes": None,
        "createdBy": "u1",
        "createdByApi": False,
        "createdAt": 1,
        "updatedAt": 1,
        "review": None,
        **more,
    }


def seen(known: Known | None = JANE, reading: Reading = READING, **more: Any) -> Observation:
    return observe("m1", row(**more), known, reading, NOW)


def meeting(values: dict[Field, Value], **provenance: Provenance) -> Meeting:
    known = {Field(name): source for name, source in provenance.items()}
    return Meeting("id", "acme", 1, values, known)


def capabilities(**changes: Any) -> Capabilities:
    usual: dict[str, Any] = {
        "connection": "crm",
        "owners": OWNERS,
        "default_length": HALF_AN_HOUR,
        "shares_text": False,
        "keys_work": True,
    }
    return build_capabilities(**{**usual, **changes})


# -- reading -------------------------------------------------------------------------------------------


def test_a_record_without_a_block_has_an_assumed_end_and_an_invented_title() -> None:
    observation = seen(location="Room 1")

    assert observation.values == {
        Field.TITLE: "Virtual with Jane Doe",
        Field.SCHEDULE: Schedule(START, START + HALF_AN_HOUR, "America/New_York", assumed_end=True),
        Field.LOCATION: "Room 1",
        Field.KIND: "virtual",
        Field.ORGANIZER: "rita@acme.example",
        Field.PARTICIPANTS: (Participant("jane@prospect.example"),),
    }
    assert observation.derived == {Field.TITLE}
    assert observation.complete


def test_a_row_whose_prospect_we_never_met_shows_neither_guest_nor_title() -> None:
    observation = seen(None)

    assert {Field.TITLE, Field.PARTICIPANTS}.isdisjoint(observation.values)
    assert not observation.complete


@pytest.mark.parametrize("known", [Known("p1"), Known("p1", "", "Jane", "Doe")])
def test_a_prospect_without_an_address_is_not_a_meeting_without_guests(known: Known) -> None:
    observation = seen(known)

    assert Field.PARTICIPANTS not in observation.values
    assert observation.complete


def test_an_owner_nobody_mapped_is_not_shown() -> None:
    assert Field.ORGANIZER not in seen(ownerId="stranger").values


def test_the_length_in_our_block_holds_for_whatever_start_people_choose() -> None:
    notes = rewritten(None, {Field.SCHEDULE: PLAN}, "id", shares_text=False)
    moved = START + timedelta(days=1)

    schedule = seen(notes=notes, meetingDate=int(moved.timestamp() * 1000)).values[Field.SCHEDULE]

    assert schedule == Schedule(moved, moved + timedelta(minutes=75), "America/New_York")


@pytest.mark.parametrize(
    "planned",
    [
        "", "soon", "2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z/2026-12-01T10:00:00Z",
        "2026-12-01T10:00:00Z/2026-12-01T09:00:00Z", "2026-12-01T10:00:00Z/2027-12-01T09:00:00Z",
        "2026-12-01T10:00:00/2026-12-01T11:00:00Z",
    ],
)  # fmt: skip
def test_a_plan_that_people_broke_is_no_plan(planned: str) -> None:
    text = f"--- meeting sync ---\nPlanned: {planned}\nRef: id\n--- end of meeting sync ---"

    assert planned_length(split(text)) is None


def test_internal_notes_never_leave_but_the_conference_in_them_is_recognised() -> None:
    observation = seen(notes=f"Nervous candidate. {LINK}")

    assert Field.DESCRIPTION not in observation.values
    assert observation.links == {"zoom:97763643886"}


def test_shared_notes_are_the_description_without_our_block() -> None:
    notes = rewritten("Bring papers.", {Field.TITLE: "Intro"}, "id-7", shares_text=False)

    observation = seen(reading=SHARING, notes=notes)

    assert observation.values[Field.DESCRIPTION] == "Bring papers."
    assert observation.marks == {"id-7"}


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({"location": LINK}, LINK),
        ({"location": "HQ", "notes": f"Dial: {LINK}."}, LINK),
        ({"location": "https://video.example.com/room"}, "https://video.example.com/room"),
        ({"location": "https://maps.example.com/cafe", "meetingType": "in-person"}, None),
        ({"notes": "Profile: https://people.example.com/jane"}, None),
        ({"location": f"Zoom, see {LINK}"}, LINK),
        ({}, None),
    ],
)
def test_a_join_link_is_taken_only_from_where_people_join(more: dict[str, Any], url: str | None) -> None:
    observation = seen(**more)

    assert observation.values.get(Field.JOIN_URL) == url
    assert (Field.JOIN_URL in observation.derived) == (url is not None)


def test_a_link_that_we_put_there_ourselves_is_no_news() -> None:
    notes = rewritten(None, {Field.JOIN_URL: LINK}, "id", shares_text=False)

    assert Field.JOIN_URL not in seen(location=LINK, notes=notes).values


def test_parts_of_a_second_are_dropped() -> None:
    schedule = seen(meetingDate=1_796_119_200_987).values[Field.SCHEDULE]

    assert isinstance(schedule, Schedule)
    assert schedule.start == START


@pytest.mark.parametrize(
    ("zone", "shown"), [("US/Eastern", "America/New_York"), ("Nowhere/City", None), (None, None)]
)
def test_a_zone_is_shown_by_its_name_of_today_or_not_at_all(zone: str | None, shown: str | None) -> None:
    schedule = seen(timeZone=zone).values[Field.SCHEDULE]

    assert isinstance(schedule, Schedule)
    assert schedule.zone == shown


@pytest.mark.parametrize(
    ("more", "machine"),
    [
        ({"createdByApi": True}, True),
        ({"createdByApi": True, "updatedAt": 2}, False),
        ({"createdByApi": False}, False),
    ],
)
def test_only_an_untouched_record_of_the_api_counts_as_software(more: dict[str, Any], machine: bool) -> None:
    observation = seen(**more)

    assert observation.machine == (set(observation.values) if machine else set())


@pytest.mark.parametrize(
    "broken",
    [{"meetingDate": None}, {"meetingDate": 10**30}, {"prospectId": None}, {"id": 5}, {"notes": ["x"]}],
)
def test_a_record_that_cannot_be_read_names_the_field_only(broken: dict[str, Any]) -> None:
    with pytest.raises(UnmappableRecordError) as caught:
        seen(location="Secret place", **broken)

    assert next(iter(broken)) in str(caught.value)
    assert "Secret" not in str(caught.value)


# -- fingerprints --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["updatedAt", "createdAt", "review", "createdByApiKeyName", "somethingNew"])
def test_what_we_do_not_use_leaves_the_fingerprint(name: str) -> None:
    assert fingerprint(row(**{name: "other"})) == fingerprint(row())


@pytest.mark.parametrize(
    "name", ["meetingDate", "timeZone", "meetingType", "ownerId", "location", "notes", "prospectId"]
)
def test_what_we_use_changes_the_fingerprint(name: str) -> None:
    assert fingerprint(row(**{name: "other"})) != fingerprint(row())


def test_a_text_no_encoding_knows_still_has_a_fingerprint() -> None:
    assert fingerprint(row(notes="\ud800"))


# -- kinds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Virtual", "virtual"), ("PHONE", "phone"), ("In Person", "in-person"), ("in_person", "in-person"),
        ("Coffee  chat", "Coffee chat"), ("", ""),
    ],
)  # fmt: skip
def test_known_labels_have_one_spelling_and_others_stay(label: str, kind: str) -> None:
    assert normal_kind(label) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({Field.KIND: "Coffee chat", Field.JOIN_URL: LINK}, "Coffee chat"),
        ({Field.JOIN_URL: LINK}, "virtual"),
        ({Field.LOCATION: LINK}, "virtual"),
        ({Field.LOCATION: "+49 (30) 1234-567"}, "phone"),
        ({Field.LOCATION: "tel:+4930123456"}, "phone"),
        ({Field.LOCATION: "Room 12"}, "in-person"),
        ({}, "in-person"),
    ],
)
def test_a_new_meeting_gets_the_label_of_how_people_get_there(values: dict[Field, Value], kind: str) -> None:
    assert kind_for(values) == kind


# -- owners --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owners", "organizer", "user_id", "shown"),
    [
        (OWNERS, "sam@acme.example", "u2", "sam@acme.example"),
        (OWNERS, "Rita.R@acme.example", "u1", "rita@acme.example"),
        (OWNERS, "stranger@acme.example", "u1", "rita@acme.example"),
        (Owners({}, "u9"), "stranger@acme.example", "u9", ""),
        (Owners({"sam@acme.example": "u2"}, ""), "stranger@acme.example", "", ""),
    ],
)
def test_an_organizer_becomes_the_owner_that_reading_shows_again(
    owners: Owners, organizer: str, user_id: str, shown: str
) -> None:
    assert owners.id_of(organizer) == user_id
    assert owners.normalise(organizer) == shown
    assert (owners.refuse(organizer) is None) == bool(user_id)
    assert owners.normalise(shown) == shown


def test_the_reason_for_a_missing_owner_names_the_setting() -> None:
    assert "default_owner_id" in (Owners({}, "").refuse("x@acme.example") or "")


# -- capabilities --------------------------------------------------------------------------------------


def test_an_assumed_end_is_assumed_again_and_a_planned_one_is_kept() -> None:
    normalise = length_or_assumed(HALF_AN_HOUR)
    assumed = Schedule(START, START + timedelta(hours=9), "UTC", assumed_end=True)

    assert normalise(PLAN) == PLAN
    assert normalise(assumed) == Schedule(START, START + HALF_AN_HOUR, "UTC", assumed_end=True)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({Field.LOCATION: "Room 1", Field.JOIN_URL: LINK}, "Room 1"),
        ({Field.LOCATION: " ", Field.JOIN_URL: LINK}, LINK),
        ({Field.JOIN_URL: LINK}, LINK),
        ({Field.LOCATION: ""}, ""),
        ({}, None),
    ],
)
def test_recruiters_find_the_link_where_there_is_no_place(
    values: dict[Field, Value], place: str | None
) -> None:
    assert place_or_link(meeting(values)) == place


def test_a_title_that_this_connection_made_up_is_not_carried_back_to_it() -> None:
    source = capabilities().fields[Field.TITLE].source
    values: dict[Field, Value] = {Field.TITLE: "Virtual with Jane Doe"}
    assert source is not None

    assert source(meeting(values, title=Provenance("crm", NOW, 1, derived=True))) is None
    assert source(meeting(values, title=Provenance("zoom", NOW, 1))) == "Virtual with Jane Doe"


def test_a_description_exists_only_where_notes_are_shared() -> None:
    assert capabilities().of(Field.DESCRIPTION) is None
    assert capabilities(shares_text=True).of(Field.DESCRIPTION) is not None


def test_without_working_keys_a_create_is_searched_for() -> None:
    assert capabilities(keys_work=False).idempotency is Idempotency.SEARCH


# -- writing -------------------------------------------------------------------------------------------


def test_a_new_meeting_carries_what_the_crm_has_no_field_for() -> None:
    values: dict[Field, Value] = {
        Field.TITLE: "Intro\ncall",
        Field.SCHEDULE: PLAN,
        Field.LOCATION: LINK,
        Field.JOIN_URL: LINK,
    }

    body = create_body(values, prospect_id="p1", owner_id="u1", meeting_id="id-7", shares_text=False)

    assert {k: v for k, v in body.items() if k != "notes"} == {
        "prospectId": "p1",
        "meetingDate": 1_796_119_200_000,
        "timeZone": "Europe/Berlin",
        "meetingType": "virtual",
        "ownerId": "u1",
        "location": LINK,
    }
    assert split(body["notes"]).entries == {
        "Title": "Intro call",
        "Planned": "2026-12-01T10:00:00Z/2026-12-01T11:15:00Z",
        "Join": LINK,
        "Ref": "id-7",
    }


def test_an_assumed_end_is_not_written_down() -> None:
    assumed = Schedule(START, START + HALF_AN_HOUR, "UTC", assumed_end=True)

    assert entries({Field.SCHEDULE: assumed}, "id")["Planned"] == ""


def test_what_people_typed_stays_when_the_block_is_rewritten() -> None:
    first = rewritten("Likes tea.\n\nCall before.", {Field.TITLE: "A"}, "id", shares_text=False)
    around = f"On top.\n{first}\nBelow."

    again = rewritten(around, {Field.TITLE: "B"}, "id", shares_text=False)

    assert split(again).entries == {"Title": "B", "Ref": "id"}
    for line in ("On top.", "Likes tea.", "Call before.", "Below."):
        assert line in again


def test_an_internal_text_is_not_replaced_by_a_description() -> None:
    written = rewritten("Private.", {Field.DESCRIPTION: "Public."}, "id", shares_text=False)

    assert split(written).text == "Private."


def test_an_update_names_only_what_changed() -> None:
    values: dict[Field, Value] = {Field.KIND: "phone", Field.LOCATION: "", Field.SCHEDULE: PLAN}

    body = update_body(values, frozenset({Field.LOCATION}), current=None, owner_id="u1", notes=None)

    assert body == {"location": None}


def test_a_date_travels_with_its_zone() -> None:
    body = update_body(
        {Field.SCHEDULE: PLAN}, frozenset({Field.SCHEDULE}), current=None, owner_id="", notes=None
    )

    assert body == {"meetingDate": 1_796_119_200_000, "timeZone": "Europe/Berlin"}


def test_a_whole_body_keeps_what_did_not_change_and_null_clears() -> None:
    body = whole_body(row(notes="keep", location="x", prospectId="p1"), {"location": None})

    assert body == {
        "meetingDate": 1_796_119_200_000,
        "timeZone": "America/New_York",
        "meetingType": "virtual",
        "ownerId": "u1",
        "location": None,
        "notes": "keep",
    }


def test_blanks_at_the_ends_of_a_text_are_no_difference() -> None:
    assert shows(row(notes="a\r\nb\n", location=""), {"notes": "a\nb", "location": None})
    assert not shows(row(notes="a"), {"notes": "b"})
