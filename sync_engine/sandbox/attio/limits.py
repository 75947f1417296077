"""Attio's rate limits: so many reads and writes a second, told with an HTTP date."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from email.utils import format_datetime

from starlette.responses import Response

from sync_engine.sandbox.attio.answers import Refusal
from sync_engine.sandbox.clock import SandboxClock


class Limits:
    """Count requests per second and category.

    A running world clock gives the seconds; with a frozen one it is real time, or nothing would ever
    be permitted again.
    """

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self.per_second: dict[str, int] = {
            "read": 100,
            "write": 25,
            "create_recording": 1,
            "list_notes": 10,
        }
        self.refused = 0
        self._counts: dict[str, tuple[int, int]] = {}

    def refuse(self, *categories: str) -> Response | None:
        """Count one request in its categories; answer it when one of them is spent."""
        second = int(time.time() if self._clock.frozen else self._clock.now().timestamp())
        spent = {name: self._count(name, second) for name in categories}
        if any(count >= self.per_second[name] for name, count in spent.items()):
            self.refused += 1
            return self.answer(self._clock.now())
        for name, count in spent.items():
            self._counts[name] = (second, count + 1)
        return None

    @staticmethod
    def answer(now: datetime) -> Response:
        """Build the 429; the moment to come back is the next full second."""
        moment = now.replace(microsecond=0) + timedelta(seconds=1)
        refusal = Refusal(429, "rate_limit_exceeded", "Rate limit exceeded.", kind="rate_limit_error")
        return refusal.response({"Retry-After": format_datetime(moment, usegmt=True)})

    def _count(self, name: str, second: int) -> int:
        known, count = self._counts.get(name, (second, 0))
        return count if known == second else 0
