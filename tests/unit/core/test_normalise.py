from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync_engine.core import normalise
from sync_engine.core.meeting import Participant, Response, Schedule, Value, participants
from sync_engine.core.normalise import Normaliser, chain, cut, or_else, start_only

START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)

texts = st.text(max_size=60)
schedules = st.one_of(
    st.builds(
        lambda after, length, zone, assumed: Schedule.timed(
            START + timedelta(seconds=after), timedelta(seconds=length), zone, assumed_end=assumed
        ),
        st.integers(-(10**8), 10**8),
        st.integers(-100, 200_000),
        st.sampled_from([None, "Europe/Berlin"]),
        st.booleans(),
    ),
    st.builds(
        lambda days, length: Schedule.dates(
            (START + timedelta(days=days)).date(), (START + timedelta(days=days + length)).date()
        ),
        st.integers(-1000, 1000),
        st.integers(1, 10),
    ),
)
people = st.lists(
    st.builds(
        Participant,
        st.sampled_from(["a@x.example", "B@x.example", " b@X.example ", "c@x.example"]),
        st.none() | st.just("Ann"),
        st.none() | st.sampled_from(list(Response)),
    ),
    max_size=5,
).map(tuple)
values = st.one_of(texts, schedules, people)

NORMALISERS: dict[str, Normaliser] = {
    "cut": cut(10),
    "cut to nothing": cut(0),
    "cut to one line": cut(10, single_line=True),
    "fallback": or_else("Meeting without a title", cut(10, single_line=True)),
    "e-mails only": normalise.emails_only,
    "without names": normalise.without_names,
    "whole minutes": normalise.whole_minutes,
    "known end": normalise.known_end,
    "without zone": normalise.without_zone,
    "start only": start_only(timedelta(minutes=30)),
    "chain": chain(normalise.known_end, normalise.whole_minutes, normalise.without_zone),
}


@pytest.mark.parametrize("name", NORMALISERS)
@given(value=values)
@example(value="a\r\r\nb")
@example(value="123456789 \n0")
def test_normalising_twice_is_normalising_once(name: str, value: Value) -> None:
    once = NORMALISERS[name](value)

    assert NORMALISERS[name](once) == once


@pytest.mark.parametrize("name", NORMALISERS)
@given(value=values)
def test_a_normaliser_keeps_the_kind_of_value(name: str, value: Value) -> None:
    assert type(NORMALISERS[name](value)) is type(value)


@given(texts, st.integers(0, 40))
def test_a_cut_text_fits_and_is_the_beginning_of_the_whole(text: str, limit: int) -> None:
    kept = cut(limit)(text)

    assert isinstance(kept, str)
    assert len(kept) <= limit
    assert str(cut(10_000)(text)).startswith(kept)


def test_cutting_leaves_lines_and_inner_blanks_alone() -> None:
    assert cut(100)("\n a  b\r\n\r\n c \n") == "a  b\n\n c"
    assert cut(100, single_line=True)("\n a  b\r\n\r\n c \n") == "a b c"


def test_a_fallback_stands_only_where_there_is_no_text() -> None:
    titled = or_else("Meeting", cut(20))

    assert titled(" ") == "Meeting"
    assert titled("Demo") == "Demo"
    assert titled(()) == ()


def test_lengths_are_rounded_up_to_whole_minutes_and_never_to_zero() -> None:
    def rounded(seconds: int) -> timedelta:
        value = normalise.whole_minutes(Schedule.timed(START, timedelta(seconds=seconds)))
        assert isinstance(value, Schedule)
        return value.length

    minute = timedelta(minutes=1)
    assert [rounded(s) for s in (0, 1, 60, 61, 3600)] == [minute, minute, minute, 2 * minute, 60 * minute]


def test_dates_are_not_rounded() -> None:
    day = Schedule.dates(START.date(), START.date() + timedelta(days=1))

    assert normalise.whole_minutes(day) == day


def test_a_side_that_shows_only_a_start_has_an_assumed_end() -> None:
    value = start_only(timedelta(minutes=30))(Schedule.timed(START, timedelta(hours=2), "Europe/Berlin"))

    assert value == Schedule.timed(START, timedelta(minutes=30), "Europe/Berlin", assumed_end=True)


def test_names_and_responses_are_dropped_where_a_side_cannot_show_them() -> None:
    invited = participants([Participant("a@x.example", "Ann", Response.ACCEPTED)])

    assert normalise.emails_only(invited) == (Participant("a@x.example"),)
    assert normalise.without_names(invited) == (Participant("a@x.example", None, Response.ACCEPTED),)


def test_all_day_entries_are_refused_with_a_reason_and_others_are_not() -> None:
    assert normalise.refuse_all_day(Schedule.dates(START.date(), START.date() + timedelta(days=1)))
    assert normalise.refuse_all_day(Schedule.timed(START, timedelta(hours=1))) is None
