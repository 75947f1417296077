"""How moments, schedules and values are said in a terminal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from sync_engine.cli.words import ago, clean, counted, difference, one_line, say, short, when
from sync_engine.core.meeting import Participant, Response, Schedule, participants

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Pay\x1b[2J now", "Pay[2J now"),
        ("\x9b31mred", "31mred"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("bell\x07", "bell"),
        ("Größe – ok 你好", "Größe – ok 你好"),
    ],
)
def test_other_peoples_text_is_shown_without_what_a_terminal_obeys(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_text_of_many_lines_becomes_one_that_fits() -> None:
    assert one_line("a\n\n  b\tc") == "a b c"
    assert one_line("x" * 300, 20) == "x" * 19 + "…"


def test_a_meeting_is_told_on_the_clock_of_its_own_zone() -> None:
    schedule = Schedule.timed(datetime(2026, 11, 16, 9, tzinfo=UTC), timedelta(minutes=30), "Europe/Berlin")

    assert when(schedule) == "Mon 2026-11-16 10:00–10:30 Europe/Berlin"
    assert when(schedule, brief=True) == "Mon 2026-11-16 10:00"


def test_a_meeting_over_midnight_names_the_day_it_ends() -> None:
    schedule = Schedule.timed(datetime(2026, 11, 16, 22, 30, tzinfo=UTC), timedelta(hours=2), "Europe/Berlin")

    assert when(schedule) == "Mon 2026-11-16 23:30–2026-11-17 01:30 Europe/Berlin"


def test_an_end_nobody_planned_is_marked() -> None:
    schedule = Schedule.timed(NOW, timedelta(minutes=30), assumed_end=True)

    assert when(schedule) == "Mon 2026-11-16 09:00–09:30? UTC"


def test_an_all_day_meeting_is_told_by_its_last_day_and_not_the_one_after() -> None:
    one = Schedule.dates(date(2026, 11, 16), date(2026, 11, 17))
    two = Schedule.dates(date(2026, 11, 16), date(2026, 11, 18))

    assert when(one) == "Mon 2026-11-16, all day"
    assert when(two) == "Mon 2026-11-16 to Tue 2026-11-17, all day"


def test_a_zone_this_machine_does_not_know_is_told_in_utc() -> None:
    assert when(Schedule.timed(NOW, timedelta(hours=1), "Mars/Olympus")).endswith("UTC")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "now"),
        (5, "5 s ago"),
        (150, "2 min ago"),
        (7300, "2 h ago"),
        (200_000, "2 d ago"),
        (-90, "in 1 min"),
    ],
)
def test_a_moment_is_told_by_its_distance(seconds: int, told: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == told


def test_nothing_known_and_empty_are_told_apart() -> None:
    assert (say(None), say(""), say(())) == ("–", "(empty)", "(nobody)")


def test_people_are_told_with_their_answers() -> None:
    people = participants([Participant("a@b.example", response=Response.ACCEPTED), "c@d.example"])

    assert say(people) == "a@b.example (accepted), c@d.example"


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (["a@b.example", "b@b.example"], ("c@b.example", "not any more")),
        (["a@b.example", "b@b.example", "d@b.example"], ("c@b.example", "d@b.example")),
        (["a@b.example", "b@b.example", "c@b.example", "d@b.example"], ("3 people", "and d@b.example")),
    ],
)
def test_of_many_people_only_who_comes_and_goes_is_told(after: list[str], told: tuple[str, str]) -> None:
    before = participants(["a@b.example", "b@b.example", "c@b.example"])

    assert difference(before, participants(after)) == told


def test_a_shortened_id_is_a_beginning_of_it() -> None:
    whole = "01a1e395-ae80-7001-bcd6-032656518fd1"

    assert whole.startswith(short(whole))
    assert len(short(whole)) < len(whole)


def test_numbers_are_told_with_the_right_word() -> None:
    assert (counted(1, "meeting"), counted(12_000, "meeting")) == ("1 meeting", "12 000 meetings")
