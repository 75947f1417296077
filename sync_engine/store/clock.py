"""The time all hosts agree on: the database's, where several hosts share one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from sync_engine.core.ports import Now
from sync_engine.store.types import UtcDateTime

log = structlog.get_logger()

ASK_AGAIN_SECONDS = 60.0
NOTEWORTHY = timedelta(seconds=5)


class DatabaseClock:
    """Tell the database's time, asking it once a minute and counting on with this host's own clock.

    ``not_before`` columns are written by one host and read by another: with a clock an hour ahead, one
    host would make every other wait for an hour.
    """

    def __init__(
        self,
        engine: Engine,
        system: Now = lambda: datetime.now(UTC),
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._system, self._monotonic = engine, system, monotonic
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        self._ask_at = float("-inf")

    def __call__(self) -> datetime:
        """Give the time, aware UTC."""
        if self._monotonic() >= self._ask_at:
            self._ask()
        return self._system() + self._offset

    def _ask(self) -> None:
        with self._lock:
            if self._monotonic() < self._ask_at:
                return
            self._ask_at = self._monotonic() + ASK_AGAIN_SECONDS
            try:
                with self._engine.connect() as connection:
                    before = self._system()
                    query = sa.select(sa.func.clock_timestamp(type_=UtcDateTime))
                    there: datetime = connection.execute(query).scalar_one()
                    after = self._system()
            except SQLAlchemyError:
                return  # it is away: whatever needs it says so better than a clock could
            offset = there - (before + (after - before) / 2)
            # Less than the way there and back is noise, and time must not jump for noise.
            if abs(offset - self._offset) > max(after - before, timedelta(milliseconds=50)):
                self._offset = offset
        if abs(offset) > NOTEWORTHY:
            log.warning("clock_differs_from_database", seconds=round(offset.total_seconds(), 1))


def clock_of(engine: Engine, system: Now) -> Now:
    """Give the clock for work on a database: its own on PostgreSQL, this host's on SQLite."""
    return DatabaseClock(engine, system) if engine.dialect.name == "postgresql" else system
