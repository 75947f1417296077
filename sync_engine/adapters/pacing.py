"""Pace requests so that a provider's permitted rate is used and never exceeded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from weakref import WeakKeyDictionary

# A permit that leaves late may be made up for within TOLERANCE_SECONDS; SHARE leaves room for just that,
# so that for a whole rate R no second holds more than 1 + (1 + TOLERANCE_SECONDS) * SHARE * R < R + 1.
SHARE = 0.97
TOLERANCE_SECONDS = 0.02


# Of a window of a minute, so much may be used at once; the steady rate is lowered by the same share, so
# that no window ever holds more than is permitted.
BURST_SHARE = 0.05


def shape(window_seconds: float) -> tuple[float, float]:
    """Give the share of a rate that is used steadily, and the seconds' worth that may go at once."""
    if window_seconds <= 1.0:
        return SHARE, TOLERANCE_SECONDS
    return 1.0 / (1.0 + BURST_SHARE), BURST_SHARE * window_seconds


class Pacer(Protocol):
    """Hands out permits for requests of one connection, by the provider's rate category."""

    async def acquire(self, category: str) -> None:
        """Wait for a permit of a category."""

    def set_rate(self, category: str, per_second: float, *, window_seconds: float = 1.0) -> None:
        """Learn a category's permitted rate (an adapter's default, or the provider's own header).

        ``window_seconds``: the span the provider counts in; within a long one a few requests may go at once.
        """

    def pause(self, category: str, seconds: float) -> None:
        """Hold every further permit of a category back for a while (the provider said so)."""


class LocalPacer:
    """Pace within one process with GCRA, judged at the moment a permit really leaves.

    ``overrides``: rates an operator set; they beat what adapters declare. Permits are spread evenly: a
    burst at the start of every second would let the provider, whose clock is not ours, count two of them
    into one second.
    """

    def __init__(
        self,
        overrides: Mapping[str, float] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._overrides = dict(overrides or {})
        if any(rate <= 0 for rate in self._overrides.values()):
            raise ValueError("a rate must be more than 0 requests per second")
        self._rates: dict[str, float] = dict(self._overrides)
        self._windows: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._monotonic, self._sleep = monotonic, sleep
        self._guard = threading.Lock()
        # One process may run one event loop after the other; a lock belongs to the loop that waits on it.
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = (
            WeakKeyDictionary()
        )

    def set_rate(self, category: str, per_second: float, *, window_seconds: float = 1.0) -> None:
        """Learn a category's permitted rate, unless an operator set one; nonsense is not learned."""
        if category not in self._overrides and per_second > 0:
            self._rates[category] = per_second
            self._windows[category] = window_seconds

    def pause(self, category: str, seconds: float) -> None:
        """Hold further permits back for ``seconds``."""
        with self._guard:
            self._due[category] = max(self._due.get(category, 0.0), self._monotonic() + seconds)

    async def acquire(self, category: str) -> None:
        """Wait until a permit is due and take it, first come first served.

        A category without a rate is held back by pauses alone.
        """
        queue = self._queues.setdefault(asyncio.get_running_loop(), {}).setdefault(category, asyncio.Lock())
        async with queue:
            while (wait := self._take(category)) > 0:
                await self._sleep(wait)

    def _take(self, category: str) -> float:
        """Take a permit if one is due; else say in how many seconds to ask again."""
        rate = self._rates.get(category)
        with self._guard:
            now, due = self._monotonic(), self._due.get(category, float("-inf"))
            if due > now:
                return due - now
            if rate is not None:
                share, burst = shape(self._windows.get(category, 1.0))
                self._due[category] = max(due, now - burst) + 1.0 / (share * rate)
            return 0.0
