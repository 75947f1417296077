from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest

from sync_engine.adapters.zoom.zones import (
    _SAME_CLOCK,
    ZOOM_ZONES,
    holdable_zone,
    zone_from_zoom,
    zone_to_zoom,
)


@pytest.mark.parametrize("name", sorted(ZOOM_ZONES))
def test_every_zone_of_zoom_is_understood_and_survives_the_way_back(name: str) -> None:
    ours = zone_from_zoom(name)

    assert ours is not None
    assert zone_from_zoom(zone_to_zoom(ours)) == ours == holdable_zone(ours)


def test_every_zone_is_sent_under_a_name_zoom_knows() -> None:
    for name in available_timezones():
        assert zone_to_zoom(name) in ZOOM_ZONES
        assert zone_from_zoom(zone_to_zoom(name)) == holdable_zone(name)
        assert holdable_zone(holdable_zone(name)) == holdable_zone(name)


@pytest.mark.parametrize(
    ("ours", "zooms"),
    [
        ("Asia/Ho_Chi_Minh", "Asia/Saigon"),
        ("Europe/Kyiv", "Europe/Kiev"),
        ("America/Nuuk", "America/Godthab"),
        ("America/Indiana/Indianapolis", "America/Indianapolis"),
        ("America/Toronto", "America/Montreal"),
        ("Pacific/Guadalcanal", "SST"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("Etc/UTC", "UTC"),
        (None, "UTC"),
        ("Mars/Olympus", "UTC"),
        ("Antarctica/Troll", "UTC"),
    ],
)
def test_modern_names_are_sent_as_zoom_spells_them(ours: str | None, zooms: str) -> None:
    assert zone_to_zoom(ours) == zooms


@pytest.mark.parametrize(("ours", "stand_in"), sorted(_SAME_CLOCK.items()))
def test_a_stand_in_zone_shows_the_same_clock_all_year(ours: str, stand_in: str) -> None:
    for month in range(1, 13):
        moment = datetime(2027, month, 15, 12, tzinfo=UTC)
        assert (
            moment.astimezone(ZoneInfo(ours)).utcoffset() == moment.astimezone(ZoneInfo(stand_in)).utcoffset()
        )
