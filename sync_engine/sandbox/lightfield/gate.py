"""What stands before the endpoints: rate limits and remembered idempotency keys."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sync_engine.sandbox.lightfield.problems import ApiError

KEY_LIFETIME = timedelta(hours=24)
LONGEST_KEY = 255


@dataclass
class Bucket:
    """A token bucket that refills by ``capacity`` a second, by the world's clock or by real time.

    Whichever of the two went further counts: a frozen world still serves, an advanced one has waited.
    """

    capacity: float
    tokens: float
    filled_real: float
    filled_world: datetime

    def refill(self, now: datetime) -> None:
        """Put in what the time since the last request is worth."""
        real = time.monotonic()
        elapsed = max(real - self.filled_real, (now - self.filled_world).total_seconds(), 0.0)
        self.tokens = min(self.capacity, self.tokens + elapsed * self.capacity)
        self.filled_real, self.filled_world = real, now


class RateLimits:
    """Limit requests per category; the limits are shared by every key of the organization."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def take(self, category: str, capacity: float, now: datetime) -> tuple[bool, dict[str, str]]:
        """Take one request out of a category; tell whether it passes, and the standing headers."""
        bucket = self._buckets.get(category)
        if bucket is None or bucket.capacity != capacity:
            bucket = self._buckets[category] = Bucket(capacity, capacity, time.monotonic(), now)
        bucket.refill(now)
        passes = bucket.tokens >= 1.0
        if passes:
            bucket.tokens -= 1.0
        full_in = (capacity - bucket.tokens) / capacity
        headers = {
            "X-RateLimit-Limit": f"{capacity:g}",
            "X-RateLimit-Remaining": str(int(bucket.tokens)),
            "X-RateLimit-Reset": str(math.ceil(now.timestamp() + full_in)),
        }
        if not passes:
            headers["Retry-After"] = str(max(1, math.ceil((1.0 - bucket.tokens) / capacity)))
        return passes, headers


@dataclass
class KeyShelf:
    """Remember the answers of keyed requests, each operation in a name space of its own.

    A repeat gives the first answer whatever its payload; a failure is not remembered; a key that is
    still being worked on is refused.
    """

    _answers: dict[tuple[str, str], tuple[datetime, Mapping[str, Any]]] = field(default_factory=dict)
    _in_flight: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, operation: str, key: str | None, now: datetime) -> Mapping[str, Any] | None:
        """Start a request: give the remembered answer, or None and hold the key until ``end``."""
        if key is None:
            return None
        if len(key) > LONGEST_KEY:
            raise ApiError(
                400, "The key is too long.", code="idempotency_key_too_long", param="Idempotency-Key"
            )
        name = (operation, key)
        if name in self._in_flight:
            raise ApiError(409, "The key is in use by another request.", kind="idempotency_conflict")
        remembered = self._answers.get(name)
        if remembered and now - remembered[0] < KEY_LIFETIME:
            return remembered[1]
        self._in_flight.add(name)
        return None

    def end(self, operation: str, key: str | None, now: datetime, answer: Mapping[str, Any] | None) -> None:
        """Finish a request; only a success is remembered."""
        if key is None:
            return
        self._in_flight.discard((operation, key))
        if answer is not None:
            self._answers[(operation, key)] = (now, answer)
