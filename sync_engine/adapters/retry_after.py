"""Read the moment a provider asks us to come back, in every form the four providers use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Clock skew can put the named moment into our past; a short wait then still spreads the next attempts.
SHORTEST_WAIT = timedelta(milliseconds=200)


def parse_retry_after(text: str | None, now: datetime) -> datetime | None:
    """Read ``Retry-After``: seconds, an HTTP date, or an ISO 8601 moment. None if absent or unreadable."""
    text = (text or "").strip()
    return _numbered(text, now) or _dated(text, now)


def parse_reset(text: str | None, now: datetime) -> datetime | None:
    """Read ``RateLimit-Reset``, whose unit is told by its size: delta s, epoch s, or epoch ms."""
    return _numbered((text or "").strip(), now)


def retry_moment(headers: Mapping[str, str], now: datetime, *, fallback_seconds: float) -> datetime:
    """Decide when to come back after a 429: what the headers say, else ``fallback_seconds`` from now."""
    return (
        parse_retry_after(headers.get("retry-after"), now)
        or parse_reset(headers.get("ratelimit-reset") or headers.get("x-ratelimit-reset"), now)
        or now + timedelta(seconds=fallback_seconds)
    )


def _numbered(text: str, now: datetime) -> datetime | None:
    try:
        number = float(text)
        # Nobody asks for a wait of more than eleven days; what is larger counts from 1970.
        if number < 1e6:
            moment = now + timedelta(seconds=number)
        else:
            moment = datetime.fromtimestamp(number if number < 1e11 else number / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return max(moment, now + SHORTEST_WAIT)


def _dated(text: str, now: datetime) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
            aware = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        return max(aware, now + SHORTEST_WAIT)
    return None
