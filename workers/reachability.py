"""Whether the broker answers: what a process is ready for depends on it."""

from __future__ import annotations

from functools import lru_cache

import redis

from workers.process import broker_url
from workers.schedule import redbeat_url

SECONDS = 2.0


@lru_cache(maxsize=1)
def _client_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        redbeat_url(url), socket_connect_timeout=SECONDS, socket_timeout=SECONDS, retry=None
    )


def broker_client() -> redis.Redis:
    """Give this process's client of the broker; it waits two seconds and does not ask twice."""
    return _client_of(broker_url())


def broker_answers() -> bool:
    """Ask the broker for a sign of life. Raises what its client raises when there is none."""
    return bool(broker_client().ping())
