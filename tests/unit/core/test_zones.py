from __future__ import annotations

from datetime import datetime
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_engine.core.zones import _RENAMED, _WINDOWS, canonical_zone, zone_info


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("America/Indianapolis", "America/Indiana/Indianapolis"),
        ("Etc/Greenwich", "UTC"),
        ("Etc/UTC", "UTC"),
        ("Z", "UTC"),
        ("utc", "UTC"),
        ("europe/berlin", "Europe/Berlin"),
        (" Europe/Berlin ", "Europe/Berlin"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("FLE Standard Time", "Europe/Kyiv"),
    ],
)
def test_a_zone_has_one_name_whichever_side_shows_it(shown: str, name: str) -> None:
    assert canonical_zone(shown) == name


@pytest.mark.parametrize("name", ["", None, "Mars/Olympus", "../etc/passwd", "+01:00", "\x00"])
def test_a_zone_that_nobody_knows_is_no_zone_and_counts_as_utc(name: str | None) -> None:
    assert canonical_zone(name) is None
    assert zone_info(name).key == "UTC"


@given(st.sampled_from(sorted(available_timezones())))
def test_every_known_zone_comes_to_rest_with_rules_of_its_own(name: str) -> None:
    once = canonical_zone(name)

    assert once is not None
    assert canonical_zone(once) == once
    assert zone_info(name).key == once


@pytest.mark.parametrize("old", sorted(_RENAMED.keys() & available_timezones()))
def test_a_renamed_zone_keeps_its_rules(old: str) -> None:
    moments = [datetime(year, month, 15, 12) for year in (2024, 2026, 2030) for month in range(1, 13)]  # noqa: DTZ001

    before = [moment.replace(tzinfo=zone_info(old)).utcoffset() for moment in moments]

    from zoneinfo import ZoneInfo

    assert before == [moment.replace(tzinfo=ZoneInfo(old)).utcoffset() for moment in moments]


def test_every_alias_leads_to_a_zone_that_exists() -> None:
    assert set(_RENAMED.values()) | set(_WINDOWS.values()) <= available_timezones()
