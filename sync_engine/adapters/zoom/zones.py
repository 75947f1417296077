"""Zoom's own list of time zones, and the way between it and the IANA names in use today."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sync_engine.core.zones import canonical_zone

# Zoom's ids, including names that IANA has retired and one (SST) it never had. Read 2026-11-20.
ZOOM_ZONES = frozenset(
    """
    Africa/Algiers Africa/Bangui Africa/Cairo Africa/Casablanca Africa/Djibouti Africa/Harare
    Africa/Johannesburg Africa/Khartoum Africa/Mogadishu Africa/Nairobi Africa/Nouakchott Africa/Tripoli
    Africa/Tunis America/Anchorage America/Araguaina America/Argentina/Buenos_Aires America/Bogota
    America/Caracas America/Chicago America/Costa_Rica America/Denver America/Edmonton America/El_Salvador
    America/Godthab America/Guatemala America/Halifax America/Indianapolis America/Lima
    America/Los_Angeles America/Managua America/Mazatlan America/Mexico_City America/Montevideo
    America/Montreal America/New_York America/Panama America/Phoenix America/Puerto_Rico America/Regina
    America/Santiago America/Sao_Paulo America/St_Johns America/Tegucigalpa America/Tijuana
    America/Vancouver America/Winnipeg Asia/Aden Asia/Almaty Asia/Amman Asia/Baghdad Asia/Bahrain
    Asia/Baku Asia/Bangkok Asia/Beirut Asia/Calcutta Asia/Dacca Asia/Damascus Asia/Dhaka Asia/Dubai
    Asia/Hong_Kong Asia/Irkutsk Asia/Jakarta Asia/Jerusalem Asia/Kabul Asia/Kamchatka Asia/Kathmandu
    Asia/Kolkata Asia/Krasnoyarsk Asia/Kuala_Lumpur Asia/Kuwait Asia/Magadan Asia/Manila Asia/Muscat
    Asia/Nicosia Asia/Novosibirsk Asia/Qatar Asia/Riyadh Asia/Saigon Asia/Seoul Asia/Shanghai
    Asia/Singapore Asia/Taipei Asia/Tashkent Asia/Tehran Asia/Tokyo Asia/Vladivostok Asia/Yakutsk
    Asia/Yekaterinburg Atlantic/Azores Atlantic/Cape_Verde Atlantic/Reykjavik Australia/Adelaide
    Australia/Brisbane Australia/Darwin Australia/Hobart Australia/Perth Australia/Sydney Canada/Atlantic
    CET Etc/Greenwich Europe/Amsterdam Europe/Athens Europe/Belgrade Europe/Berlin Europe/Brussels
    Europe/Bucharest Europe/Budapest Europe/Copenhagen Europe/Dublin Europe/Helsinki Europe/Istanbul
    Europe/Kiev Europe/Lisbon Europe/London Europe/Luxembourg Europe/Madrid Europe/Moscow Europe/Oslo
    Europe/Paris Europe/Prague Europe/Rome Europe/Sofia Europe/Stockholm Europe/Vienna Europe/Warsaw
    Europe/Zurich Pacific/Apia Pacific/Auckland Pacific/Fiji Pacific/Honolulu Pacific/Midway
    Pacific/Noumea Pacific/Pago_Pago Pacific/Port_Moresby SST UTC
    """.split()  # noqa: SIM905 - a list of one name a line would take three screens
)
_ONLY_ZOOM = {"SST": "Pacific/Guadalcanal"}

# Zones Zoom does not list, with one it does list whose clocks agree with them all year.
_SAME_CLOCK = {
    "Africa/Lagos": "Africa/Bangui",
    "America/Detroit": "America/New_York",
    "Asia/Macau": "Asia/Shanghai",
    "Asia/Thimbu": "Asia/Dhaka",
    "Atlantic/Bermuda": "America/Halifax",
    "Australia/Melbourne": "Australia/Sydney",
    "Europe/Bratislava": "Europe/Prague",
    "Europe/Ljubljana": "Europe/Belgrade",
    "Europe/Riga": "Europe/Helsinki",
    "Europe/Sarajevo": "Europe/Belgrade",
    "Europe/Skopje": "Europe/Belgrade",
    "Europe/Tallinn": "Europe/Helsinki",
    "Europe/Vilnius": "Europe/Helsinki",
    "Europe/Zagreb": "Europe/Belgrade",
}


def zone_from_zoom(name: str | None) -> str | None:
    """Give the IANA name in use today for a Zoom zone id, None if nobody knows it."""
    return canonical_zone(_ONLY_ZOOM.get(name or "", name))


def _by_canonical_name() -> Mapping[str, str]:
    chosen: dict[str, str] = {}
    for zoom_id in sorted(ZOOM_ZONES):
        name = zone_from_zoom(zoom_id)
        # Of two spellings in Zoom's list the one that is also today's IANA name is sent.
        if name and (name not in chosen or zoom_id == name):
            chosen[name] = zoom_id
    return MappingProxyType(chosen)


_TO_ZOOM = _by_canonical_name()


def holdable_zone(name: str | None) -> str:
    """Give the zone Zoom will show (by its IANA name) after a meeting was written with ``name``.

    A zone Zoom does not know becomes one with the same clock, else UTC: the instants stay right.
    """
    canonical = canonical_zone(name) or "UTC"
    canonical = _SAME_CLOCK.get(canonical, canonical)
    return canonical if canonical in _TO_ZOOM else "UTC"


def zone_to_zoom(name: str | None) -> str:
    """Give the Zoom zone id to send for an IANA name."""
    return _TO_ZOOM[holdable_zone(name)]
