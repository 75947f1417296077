"""What Zoom counts: requests per account and second or day, writes per host and day."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from starlette.responses import Response

from sync_engine.sandbox.zoom.refusal import Refusal
from sync_engine.sandbox.zoom.times import stamp

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox


class Label(StrEnum):
    """The rate categories the sandbox serves."""

    LIGHT = "Light"
    MEDIUM = "Medium"


class Plan(StrEnum):
    """The plans that differ in rates."""

    FREE = "free"
    PRO = "pro"
    BUSINESS = "business"


_PER_SECOND = {
    (Plan.FREE, Label.LIGHT): 4, (Plan.FREE, Label.MEDIUM): 2,
    (Plan.PRO, Label.LIGHT): 30, (Plan.PRO, Label.MEDIUM): 20,
    (Plan.BUSINESS, Label.LIGHT): 80, (Plan.BUSINESS, Label.MEDIUM): 60,
}  # fmt: skip
_PER_DAY = {(Plan.FREE, Label.LIGHT): 6_000, (Plan.FREE, Label.MEDIUM): 2_000}


class Limits:
    """Count requests and refuse those above a limit. ``real_time`` gives seconds of any steady clock."""

    def __init__(self, sandbox: ZoomSandbox, real_time: Callable[[], float] = time.monotonic) -> None:
        self._sandbox, self._real_time = sandbox, real_time
        self._second = 0
        self._opened = 0.0
        self._in_second: Counter[Label] = Counter()
        self._in_day: Counter[tuple[str, Label]] = Counter()
        self._writes: Counter[tuple[str, str]] = Counter()

    def per_second(self, label: Label) -> int:
        """Tell the account's rate in a category."""
        return _PER_SECOND[Plan(self._sandbox.plan), label]

    def pass_rate(self, label: Label) -> None:
        """Count a request.

        Raises:
            Refusal: 429, above the rate of this second or the quota of this day.
        """
        if not self._sandbox.rate_limits:
            return
        now = self._sandbox.world.clock.now()
        self._turn_second(now)
        self._in_second[label] += 1
        if self._in_second[label] > self.per_second(label):
            raise self._too_many(
                "You have reached the maximum per-second rate limit for this API. Try again later.",
                self._headers(label, "QPS", self.per_second(label), 0),
            )
        day, quota = now.date().isoformat(), _PER_DAY.get((Plan(self._sandbox.plan), label))
        self._in_day[day, label] += 1
        if quota is not None and self._in_day[day, label] > quota:
            raise self._too_many(
                "You have reached the maximum daily rate limit for this API. Refer to the response header "
                "for details on when you can make another request.",
                self._headers(label, "Daily-limit", quota, 0) | self._retry_after(now),
            )

    def _turn_second(self, now: datetime) -> None:
        # A second of the world's clock; of real time while the world's clock stands still.
        second, real = int(now.timestamp()), self._real_time()
        if second != self._second or real - self._opened >= 1.0:
            self._second, self._opened = second, real
            self._in_second.clear()

    def writes_today(self, host_id: str) -> int:
        """Tell how many creates and updates of a host count today (UTC)."""
        return self._writes[host_id, self._sandbox.world.clock.now().date().isoformat()]

    def pass_host(self, host_id: str) -> None:
        """Count a create or an update of a host's meetings.

        Raises:
            Refusal: 429, above the host's daily cap; other hosts are not touched by it.
        """
        cap, now = self._sandbox.host_daily_cap, self._sandbox.world.clock.now()
        if cap is None:
            return
        self._writes[host_id, now.date().isoformat()] += 1
        if self.writes_today(host_id) > cap:
            raise self._too_many(
                f"You have exceeded the daily rate limit ({cap}) of Meeting Create/Update API requests "
                "permitted for this particular user. You may resume these requests at GMT 00:00:00.",
                self._headers(Label.LIGHT, "Daily-limit", cap, 0) | self._retry_after(now),
            )

    def take_back(self, host_id: str) -> None:
        """Let a write that was refused not count (used where failed attempts are free)."""
        self._writes[host_id, self._sandbox.world.clock.now().date().isoformat()] -= 1

    def sign(self, label: Label, response: Response) -> None:
        """Put the standing headers on an answer, as far as the account shows them."""
        shown = self._sandbox.shows_rate_limits
        if shown == "none" or "x-ratelimit-category" in response.headers:
            return
        left = max(self.per_second(label) - self._in_second[label], 0)
        for name, value in self._headers(label, "QPS", self.per_second(label), left).items():
            response.headers[name] = value

    def _headers(self, label: Label, kind: str, limit: int, left: int) -> dict[str, str]:
        shown = self._sandbox.shows_rate_limits
        if shown == "none":
            return {}
        headers = {"X-RateLimit-Category": str(label)}
        if shown == "all":
            headers |= {
                "X-RateLimit-Type": kind,
                "X-RateLimit-Limit": str(limit),
                "X-RateLimit-Remaining": str(left),
            }
        return headers

    def _retry_after(self, now: datetime) -> dict[str, str]:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        match self._sandbox.retry_after_form:
            case "iso":
                return {"Retry-After": stamp(midnight)}
            case "seconds":
                return {"Retry-After": str(int((midnight - now).total_seconds()) + 1)}
            case "http_date":
                return {"Retry-After": format_datetime(midnight, usegmt=True)}
            case _:
                return {}

    def _too_many(self, message: str, headers: dict[str, str]) -> Refusal:
        return Refusal(429, self._sandbox.rate_limit_code, message, headers=headers)
