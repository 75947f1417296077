"""What one worker process has: an engine, and one event loop that all its network traffic belongs to.

Both are made when the first task asks for them, which is after the fork: connections of a database or of
an HTTP client must never be shared between processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any, TypeVar

import structlog

from sync_engine.bootstrap import build_engine
from sync_engine.errors import ConfigurationError
from sync_engine.services.engine import Engine
from sync_engine.services.steps import begin
from sync_engine.settings import Settings, load_settings

T = TypeVar("T")

log = structlog.get_logger()

GRACE_SECONDS = 3.0
"""What is under way when a worker has to end may still finish for so long; then it is cancelled."""


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the settings of this process, once."""
    return load_settings()


def broker_url() -> str:
    """Give the broker's address. Raises ConfigurationError where there is none yet."""
    if url := settings().redis_url:
        return url
    raise ConfigurationError(
        "redis_url is empty: run sync-engine up, which brings a broker of its own, or name a Redis there"
    )


class Home:
    """One engine and the thread its event loop runs in."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.pid = os.getpid()
        self._loop = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop.get_loop()  # made here, so that nobody has to wait for the thread to make it
        self._ends = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="event-loop", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        with self._loop as runner:
            runner.run(self._ends.wait())

    def run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Do one thing on the event loop and wait for it; it is cancelled after so many seconds.

        Raises:
            TimeoutError: it was cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(_bounded(work, seconds), self._loop.get_loop())
        try:
            return future.result()
        finally:
            future.cancel()

    def cancel_all(self) -> None:
        """Cancel whatever is under way; leases are given back, and the next worker goes on from there."""
        loop = self._loop.get_loop()

        def cancel() -> None:
            for task in asyncio.all_tasks(loop):
                if task.get_name().startswith(_NAME):
                    task.cancel()

        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(cancel)

    def close(self) -> None:
        """Close every connection and end the event loop."""
        with contextlib.suppress(Exception):
            self.run(self.engine.aclose(), GRACE_SECONDS)
        with contextlib.suppress(RuntimeError):
            self._loop.get_loop().call_soon_threadsafe(self._ends.set)
        self._thread.join(GRACE_SECONDS)


_NAME = "step:"


async def _bounded(work: Coroutine[Any, Any, T], seconds: float) -> T:
    if task := asyncio.current_task():
        task.set_name(_NAME + task.get_name())
    async with asyncio.timeout(seconds):
        return await work


_guard = threading.Lock()
_ending = threading.Event()
_home: Home | None = None


def home() -> Home:
    """Give this process's engine and event loop, made now if there are none."""
    global _home
    with _guard:
        # What a parent process made stays its own: the child must not even close it.
        if _home is None or _home.pid != os.getpid():
            engine = build_engine(settings())
            begin(engine)
            _home = Home(engine)
        return _home


def engine() -> Engine:
    """Give this process's engine."""
    return home().engine


def run(step: Callable[[Engine], Coroutine[Any, Any, T]], *, seconds: float) -> T:
    """Take one asynchronous step with this process's engine, for at most so many seconds."""
    here = home()
    return here.run(step(here.engine), seconds)


def is_ending() -> bool:
    """Tell whether this process was asked to end: nothing new is begun."""
    return _ending.is_set()


def end_soon() -> None:
    """Begin nothing new, and cancel after a moment what is still under way."""
    _ending.set()
    if _home is not None and _home.pid == os.getpid():
        timer = threading.Timer(GRACE_SECONDS, _home.cancel_all)
        timer.daemon = True
        timer.start()


def close() -> None:
    """Close what this process made, if anything."""
    global _home
    with _guard:
        mine, _home = _home, None
    if mine is not None and mine.pid == os.getpid():
        mine.close()
