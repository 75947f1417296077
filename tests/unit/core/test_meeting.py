from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from sync_engine.core.meeting import (
    Field,
    Meeting,
    Participant,
    Response,
    Schedule,
    normal_email,
    participants,
)

emails = st.sampled_from(["a@x.example", "A@X.example ", "b@x.example", "\tc@x.example", "", "  "])
people = st.lists(
    st.builds(
        Participant,
        emails,
        st.none() | st.sampled_from(["Ann", "Bob"]),
        st.none() | st.sampled_from(list(Response)),
    ),
    max_size=8,
)


@given(people)
def test_a_participant_set_has_one_entry_per_address_in_order(invited: list[Participant]) -> None:
    once = participants(invited)

    addresses = [person.email for person in once]
    assert addresses == sorted({normal_email(person.email) for person in invited} - {""})
    assert participants(once) == once


@given(people)
def test_the_order_of_entries_does_not_change_who_is_invited(invited: list[Participant]) -> None:
    assert {p.email for p in participants(invited)} == {p.email for p in participants(invited[::-1])}


def test_a_later_entry_completes_an_earlier_one_of_the_same_address() -> None:
    once = participants(
        [Participant("Ann@x.example", "Ann"), Participant("ann@x.example", None, Response.DECLINED)]
    )

    assert once == (Participant("ann@x.example", "Ann", Response.DECLINED),)


def test_addresses_may_be_given_as_plain_text() -> None:
    assert participants([" B@x.example", "a@x.example"]) == (
        Participant("a@x.example"),
        Participant("b@x.example"),
    )


def test_a_timed_schedule_is_utc_at_whole_seconds() -> None:
    start = datetime(2026, 11, 16, 10, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))

    schedule = Schedule.timed(start, timedelta(minutes=45), "Europe/Berlin")

    assert schedule.start == datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
    assert schedule.start.utcoffset() == timedelta(0)
    assert schedule.length == timedelta(minutes=45)


def test_an_all_day_schedule_runs_from_midnight_to_an_exclusive_midnight() -> None:
    schedule = Schedule.dates(date(2026, 11, 16), date(2026, 11, 18))

    assert schedule.all_day
    assert schedule.length == timedelta(days=2)
    assert schedule.start == datetime(2026, 11, 16, tzinfo=UTC)


def test_a_field_that_is_not_known_is_empty_on_the_meeting() -> None:
    meeting = Meeting(id="1", workspace="acme", revision=1, values={}, provenance={})

    assert (meeting.title, meeting.text(Field.LOCATION), meeting.people, meeting.schedule) == (
        "",
        "",
        (),
        None,
    )
