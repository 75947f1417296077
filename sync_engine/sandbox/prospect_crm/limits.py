"""The CRM's two rate windows: a minute and an hour, counted at once and told by one set of headers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.responses import Response

from sync_engine.sandbox.prospect_crm.refusals import RefusalError

if TYPE_CHECKING:
    from sync_engine.sandbox.clock import SandboxClock


@dataclass
class _Fixed:
    """A window that opens with its first request and closes ``seconds`` later."""

    label: str
    seconds: float
    opened: float = -math.inf
    used: int = 0

    def roll(self, now: float) -> None:
        if now - self.opened >= self.seconds:
            self.opened, self.used = now, 0

    def left_seconds(self, now: float) -> float:
        return max(0.0, self.opened + self.seconds - now)


class RateWindows:
    """Count requests of one API key.

    Time is the world's while its clock runs and real time while it stands still, because a clock that
    stands still would never open a new window. ``reset_unit`` is what ``RateLimit-Reset`` counts in.
    """

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._last: datetime | None = None
        self._minute, self._hour = _Fixed("Minute", 60.0), _Fixed("Hour", 3600.0)
        self.per_minute, self.per_hour = 500, 10_000
        self.reset_unit = "s"

    def clear(self) -> None:
        """Open both windows anew."""
        self._minute.opened = self._hour.opened = -math.inf

    def take(self) -> RefusalError | None:
        """Count one request; give the refusal when a window is spent."""
        now = self._seconds()
        for window, most in ((self._minute, self.per_minute), (self._hour, self.per_hour)):
            window.roll(now)
            if window.used >= most:
                wait = max(1, math.ceil(window.left_seconds(now)))
                refusal = RefusalError(429, f"{window.label} limit exceeded. Please try again later.")
                refusal.body = {"error": "Too many requests", "message": str(refusal), "retryAfter": wait}
                return refusal
        self._minute.used += 1
        self._hour.used += 1
        return None

    def put_headers(self, response: Response) -> None:
        """Describe the minute window, or on a 429 the window that is spent."""
        now = self._seconds()
        window, most = self._minute, self.per_minute
        if response.status_code == 429 and self._minute.used < self.per_minute:
            window, most = self._hour, self.per_hour
        left = window.left_seconds(now)
        response.headers["RateLimit-Limit"] = str(most)
        response.headers["RateLimit-Remaining"] = str(max(0, most - window.used))
        response.headers["RateLimit-Reset"] = str(self._reset(left))
        if response.status_code == 429:
            response.headers["Retry-After"] = str(max(1, math.ceil(left)))

    def _reset(self, left: float) -> int:
        if self.reset_unit == "delta":
            return math.ceil(left)
        moment = self._clock.now().timestamp() + left
        return math.ceil(moment * 1000 if self.reset_unit == "ms" else moment)

    def _seconds(self) -> float:
        return time.time() if self._clock.frozen else self._clock.now().timestamp()
