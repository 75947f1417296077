"""Time zones: names from all sides brought to one IANA name."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

# Old spellings that are still in use on the wire, and the name IANA gives them today.
_RENAMED = {
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Saigon": "Asia/Ho_Chi_Minh",
    "Asia/Dacca": "Asia/Dhaka",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Europe/Kiev": "Europe/Kyiv",
    "America/Godthab": "America/Nuuk",
    "America/Indianapolis": "America/Indiana/Indianapolis",
    "America/Montreal": "America/Toronto",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "Canada/Atlantic": "America/Halifax",
    "US/Eastern": "America/New_York",
    "US/Central": "America/Chicago",
    "US/Mountain": "America/Denver",
    "US/Pacific": "America/Los_Angeles",
    "Etc/UTC": "UTC",
    "Etc/GMT": "UTC",
    "Etc/Greenwich": "UTC",
    "GMT": "UTC",
    "Z": "UTC",
}
_WINDOWS = {
    "W. Europe Standard Time": "Europe/Berlin",
    "Central Europe Standard Time": "Europe/Budapest",
    "Central European Standard Time": "Europe/Warsaw",
    "Romance Standard Time": "Europe/Paris",
    "GMT Standard Time": "Europe/London",
    "Greenwich Standard Time": "Atlantic/Reykjavik",
    "E. Europe Standard Time": "Europe/Chisinau",
    "FLE Standard Time": "Europe/Kyiv",
    "Russian Standard Time": "Europe/Moscow",
    "Eastern Standard Time": "America/New_York",
    "Central Standard Time": "America/Chicago",
    "Mountain Standard Time": "America/Denver",
    "US Mountain Standard Time": "America/Phoenix",
    "Pacific Standard Time": "America/Los_Angeles",
    "Atlantic Standard Time": "America/Halifax",
    "India Standard Time": "Asia/Kolkata",
    "China Standard Time": "Asia/Shanghai",
    "Tokyo Standard Time": "Asia/Tokyo",
    "Singapore Standard Time": "Asia/Singapore",
    "AUS Eastern Standard Time": "Australia/Sydney",
    "UTC": "UTC",
}


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    """Map every name, case folded, to the name IANA gives it today."""
    names = {name.casefold(): name for name in available_timezones()}
    old = {name.casefold(): modern for name, modern in (*_RENAMED.items(), *_WINDOWS.items())}
    return names | {name: modern for name, modern in old.items() if modern.casefold() in names}


@lru_cache(maxsize=1024)
def canonical_zone(name: str | None) -> str | None:
    """Give the IANA name in use today for a zone name of any side; None if nobody knows it."""
    return _known().get(name.strip().casefold()) if name else None


def zone_info(name: str | None) -> ZoneInfo:
    """Give the rules of a zone, UTC where the name is unknown."""
    return ZoneInfo(canonical_zone(name) or "UTC")
