"""Moments as Zoom reads and writes them, and the zones it knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_START = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?")

_LAST_YEAR = 2999
# Zoom's own list; old spellings included, many modern ones missing.
_LISTED = """
Africa/Algiers Africa/Bangui Africa/Cairo Africa/Casablanca Africa/Djibouti Africa/Harare
Africa/Johannesburg Africa/Khartoum Africa/Mogadishu Africa/Nairobi Africa/Nouakchott Africa/Tripoli
Africa/Tunis America/Anchorage America/Araguaina America/Argentina/Buenos_Aires America/Bogota
America/Caracas America/Chicago America/Costa_Rica America/Denver America/Edmonton America/El_Salvador
America/Godthab America/Guatemala America/Halifax America/Indianapolis America/Lima America/Los_Angeles
America/Managua America/Mazatlan America/Mexico_City America/Montevideo America/Montreal America/New_York
America/Panama America/Phoenix America/Puerto_Rico America/Regina America/Santiago America/Sao_Paulo
America/St_Johns America/Tegucigalpa America/Tijuana America/Vancouver America/Winnipeg Asia/Aden
Asia/Almaty Asia/Amman Asia/Baghdad Asia/Bahrain Asia/Baku Asia/Bangkok Asia/Beirut Asia/Calcutta
Asia/Dacca Asia/Damascus Asia/Dhaka Asia/Dubai Asia/Hong_Kong Asia/Irkutsk Asia/Jakarta Asia/Jerusalem
Asia/Kabul Asia/Kamchatka Asia/Kathmandu Asia/Kolkata Asia/Krasnoyarsk Asia/Kuala_Lumpur Asia/Kuwait
Asia/Magadan Asia/Manila Asia/Muscat Asia/Nicosia Asia/Novosibirsk Asia/Qatar Asia/Riyadh Asia/Saigon
Asia/Seoul Asia/Shanghai Asia/Singapore Asia/Taipei Asia/Tashkent Asia/Tehran Asia/Tokyo Asia/Vladivostok
Asia/Yakutsk Asia/Yekaterinburg Atlantic/Azores Atlantic/Cape_Verde Atlantic/Reykjavik Australia/Adelaide
Australia/Brisbane Australia/Darwin Australia/Hobart Australia/Perth Australia/Sydney Canada/Atlantic CET
Etc/Greenwich Europe/Amsterdam Europe/Athens Europe/Belgrade Europe/Berlin Europe/Brussels
Europe/Bucharest Europe/Budapest Europe/Copenhagen Europe/Dublin Europe/Helsinki Europe/Istanbul
Europe/Kiev Europe/Lisbon Europe/London Europe/Luxembourg Europe/Madrid Europe/Moscow Europe/Oslo
Europe/Paris Europe/Prague Europe/Rome Europe/Sofia Europe/Stockholm Europe/Vienna Europe/Warsaw
Europe/Zurich Pacific/Apia Pacific/Auckland Pacific/Fiji Pacific/Honolulu Pacific/Midway Pacific/Noumea
Pacific/Pago_Pago Pacific/Port_Moresby SST UTC
"""
ZONES = frozenset(_LISTED.split())


@lru_cache(maxsize=256)
def zone_info(name: str) -> ZoneInfo:
    """Give the rules of a zone. ``SST`` is Zoom's name for the Solomon Islands, which nobody else uses."""
    return ZoneInfo("Pacific/Guadalcanal" if name == "SST" else name)


def stamp(moment: datetime) -> str:
    """Write a moment as Zoom does: UTC, whole seconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime) -> int:
    """Write a moment as webhooks and occurrence ids do."""
    return round(moment.timestamp() * 1000)


@dataclass(frozen=True)
class SentStart:
    """A ``start_time`` as somebody sent it; ``fractional`` tells that it carried fractions of a second."""

    moment: datetime
    fractional: bool


def read_start(text: str, zone: str) -> SentStart | None:
    """Read a ``start_time`` the way Zoom does; None when it makes no sense.

    With ``Z`` the clock reading is UTC, without it is local to ``zone``. An offset is dropped and the reading
    taken as UTC, which is what surprises everybody who sends one.
    """
    found = _START.fullmatch(text)
    if not found:
        return None
    try:
        reading = datetime.fromisoformat(found[1] + (found[2] or ":00"))
        moment = reading.replace(tzinfo=UTC if found[4] else zone_info(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # Dates are reckoned onwards from a start, which the last years of the calendar have no room for.
    return SentStart(moment, found[3] is not None) if moment.year <= _LAST_YEAR else None


def read_moment(text: str) -> datetime | None:
    """Read a UTC date-time; None when it makes no sense."""
    start = read_start(text, "UTC")
    return start.moment if start else None


def day_bounds(first: date | None, last: date | None, zone: str) -> tuple[datetime | None, datetime | None]:
    """Give the moments at which a span of days begins and has passed, read in ``zone``."""
    rules = zone_info(zone)

    def midnight(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=rules).astimezone(UTC)

    return midnight(first) if first else None, midnight(last + timedelta(days=1)) if last else None


def moved_alike(moment: datetime, before: datetime, after: datetime, zone: str) -> datetime:
    """Move a moment as far on the clock of ``zone`` as ``before`` went to become ``after``."""
    rules = zone_info(zone)
    here, old, new = (each.astimezone(rules).replace(tzinfo=None) for each in (moment, before, after))
    return (here + (new - old)).replace(tzinfo=rules).astimezone(UTC)
