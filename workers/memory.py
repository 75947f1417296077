"""Whether the broker still knows what it was told."""

from __future__ import annotations

from redis.exceptions import RedisError

from workers.app import KEY_PREFIX
from workers.reachability import broker_client

_KEY = f"{KEY_PREFIX}remembers"


def broker_has_forgotten() -> bool:
    """Tell once after the broker has lost everything, its queues with it; also at the very first start."""
    try:
        return bool(broker_client().set(_KEY, "1", nx=True))
    except (RedisError, OSError):
        return False
