from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync_engine.adapters.retry_after import SHORTEST_WAIT, parse_reset, parse_retry_after, retry_moment

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("30", 30),
        (" 30 ", 30),
        ("1.5", 1.5),
        ("Mon, 16 Nov 2026 09:00:30 GMT", 30),
        ("Mon, 16 Nov 2026 10:00:30 +0100", 30),
        ("2026-11-16T09:00:30Z", 30),
        ("2026-11-16T10:00:30+01:00", 30),
        ("2026-11-16T09:00:30", 30),
        ("2026-11-16T09:00:30.250000Z", 30.25),
        ("2026-11-17T00:00:00Z", 15 * 3600),
        ("1794819630", 30),
        ("1794819630000", 30),
    ],
)
def test_every_form_names_the_moment_to_come_back(text: str, wait: float) -> None:
    assert parse_retry_after(text, NOW) == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize("text", ["0", "-5", "Mon, 16 Nov 2020 09:00:00 GMT", "2020-01-01T00:00:00Z"])
def test_a_moment_that_has_passed_still_asks_for_a_short_wait(text: str) -> None:
    assert parse_retry_after(text, NOW) == NOW + SHORTEST_WAIT


@pytest.mark.parametrize("text", [None, "", "  ", "soon", "nan", "inf", "1e400", "Mon, 99 Foo 2026", "12:30"])
def test_what_cannot_be_read_names_no_moment(text: str | None) -> None:
    assert parse_retry_after(text, NOW) is None
    assert parse_reset(text, NOW) is None


@given(st.text(max_size=40) | st.from_regex(r"[0-9eE+.:TZ -]{1,30}", fullmatch=True))
@example("9999-12-31T23:59:59-05:00")
@example("0001-01-01T00:00:00+14:00")
@example("Fri, 31 Dec 9999 23:59:59 -0500")
@example("Mon, 16 Nov 2026 09:00:30 +99999999999999")
def test_no_header_makes_reading_fail(text: str) -> None:
    for moment in (parse_retry_after(text, NOW), parse_reset(text, NOW)):
        assert moment is None or (moment >= NOW + SHORTEST_WAIT and moment.utcoffset() == timedelta(0))


@pytest.mark.parametrize(("text", "wait"), [("30", 30), ("1794819630", 30), ("1794819630000", 30)])
def test_the_unit_of_a_reset_is_told_by_its_size(text: str, wait: float) -> None:
    assert parse_reset(text, NOW) == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7", "x-ratelimit-reset": "30"}, 7),
        ({"ratelimit-reset": "9"}, 9),
        ({"x-ratelimit-reset": "11"}, 11),
        ({"retry-after": "soon", "x-ratelimit-reset": "11"}, 11),
        ({}, 2),
        ({"retry-after": "soon"}, 2),
    ],
)
def test_the_most_explicit_header_decides_and_silence_falls_back(
    headers: dict[str, str], wait: float
) -> None:
    assert retry_moment(headers, NOW, fallback_seconds=2.0) == NOW + timedelta(seconds=wait)
