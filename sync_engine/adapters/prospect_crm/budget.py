"""Keep to the account's hour window, which the provider's headers hide behind the minute's."""

from __future__ import annotations

from datetime import datetime, timedelta

from sync_engine.core.ports import Now
from sync_engine.errors import RateLimitedError

HOUR = timedelta(hours=1)


class HourBudget:
    """Count requests of this process in hours that begin with their first request; 0 counts nothing."""

    def __init__(self, most: int, now: Now) -> None:
        self._most, self._now = most, now
        self._opened: datetime | None = None
        self._used = 0

    def check(self) -> None:
        """Raise RateLimitedError, with the end of the hour, when the budget is spent."""
        moment = self._now()
        if self._opened is None or moment - self._opened >= HOUR:
            self._opened, self._used = moment, 0
        if self._most and self._used >= self._most:
            raise RateLimitedError("our share of the hour is spent", retry_at=self._opened + HOUR)

    def count(self) -> None:
        """Count one request that was sent."""
        self._used += 1
