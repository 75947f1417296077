"""The schedule: a tick every few seconds and maintenance every hour; everything else is found by the tick."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import structlog
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis
from redis.exceptions import LockError, RedisError

log = structlog.get_logger()

TICK_EVERY = timedelta(seconds=2)
MAINTAIN_EVERY = timedelta(hours=1)
LOCK_SECONDS = 15.0
"""How long a second beat waits before it takes over from one that died."""
TRY_AGAIN_SECONDS = 1.0


def schedule_settings(broker_url: str, key_prefix: str) -> dict[str, Any]:
    """Give the settings of beat."""
    return {
        "beat_scheduler": "workers.schedule:SteadyScheduler",
        "beat_schedule": {
            "tick": {"task": "tick", "schedule": TICK_EVERY},
            "maintain": {"task": "maintain", "schedule": MAINTAIN_EVERY},
        },
        "beat_max_loop_interval": TICK_EVERY.total_seconds(),
        # The schedule lives in Redis, so that of several beats only one is at work.
        "redbeat_redis_url": redbeat_url(broker_url),
        "redbeat_key_prefix": f"{key_prefix}redbeat:",
        # Named, or it would be handed the broker's options, which it does not all understand.
        "redbeat_redis_options": {"socket_timeout": 5, "socket_connect_timeout": 2},
    }


def redbeat_url(broker_url: str) -> str:
    """Spell a broker's address as redis-py does; Celery's spelling of a socket ends RedBeat."""
    if not broker_url.startswith("redis+socket://"):
        return broker_url
    path, _, query = broker_url.removeprefix("redis+socket://").partition("?")
    return f"unix://{path}" + (f"?{query.replace('virtual_host=', 'db=')}" if query else "")


class SteadyScheduler(RedBeatScheduler):
    """RedBeat that goes on after Redis was away, or came back empty.

    RedBeat's own lock is taken once, at the start, and a beat whose lock is gone ends. This one asks for
    the lock with every round: who has it schedules, who has not stands by.
    """

    def __init__(self, app: Any, **kwargs: Any) -> None:
        self._token = secrets.token_hex(8)
        self._leads = False
        self._was_lost = False
        # Not before Redis answers; ``tick`` does it.
        super().__init__(app, **{**kwargs, "lazy": True})
        self._own_lock_key = f"{app.redbeat_conf.key_prefix}:leader"
        # Without a key RedBeat leaves locking to us.
        self.lock_key = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, if this beat is the one to do so; gives the seconds until the next round."""
        try:
            if not self._lead():
                return TRY_AGAIN_SECONDS
            seconds = float(super().tick(*args, **kwargs))
        except (RedisError, OSError) as error:
            self._leads = False
            if not self._was_lost:
                self._was_lost = True
                log.warning("beat_lost_redis", error=type(error).__name__)
            return TRY_AGAIN_SECONDS
        if self._was_lost:
            self._was_lost = False
            log.info("beat_regained_redis")
        # A schedule that vanished is put back at the next round, not after the longest interval.
        return min(seconds, TICK_EVERY.total_seconds())

    def close(self) -> None:
        """Let another beat take over at once."""
        try:
            if self._leads:
                self._lock().release()
        except (LockError, RedisError, OSError):
            pass  # it ends by itself
        self._leads = False
        super().close()

    def _lead(self) -> bool:
        """Keep the lock, or take it; who takes it writes the schedule anew."""
        lock = self._lock()
        if self._leads:
            try:
                lock.reacquire()
                return True
            except LockError:
                self._leads = False
                log.warning("beat_lost_its_lock")
        if not lock.acquire(blocking=False, token=self._token):
            return False
        self._leads = True
        self.setup_schedule()
        log.info("beat_leads")
        return True

    def _lock(self) -> Any:
        client = get_redis(self.app)
        lock = client.lock(self._own_lock_key, timeout=LOCK_SECONDS, thread_local=False)
        if self._leads:
            lock.local.token = self._token.encode()
        return lock
