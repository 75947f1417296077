"""Child processes that never outlive us, and are started again when they fall over."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import structlog

log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1
# Loaded now: between fork and exec nothing may be imported.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_HARD: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL

STEADY_SECONDS = 30.0
"""A child that lived this long has recovered; its next fall counts as the first."""
LONGEST_PAUSE_SECONDS = 10.0
_POLL_SECONDS = 0.2


def spawn(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    dies_with: signal.Signals | None = None,
    output: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own; on Linux it is sent a signal when this process dies.

    Call it from the main thread: to Linux a child's parent is the thread that started it. The group keeps
    Ctrl-C to us: we end the children in their order.
    """
    parent = os.getpid()
    with_us = int(dies_with if dies_with is not None else _HARD)

    def tie() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, with_us, 0, 0, 0)
            # We may have died before the child asked to be told.
            if os.getppid() != parent:
                os._exit(1)

    return subprocess.Popen(
        list(arguments),
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=os.name == "posix",
        preexec_fn=tie if os.name == "posix" else None,
    )


def end(child: subprocess.Popen[bytes], *, within_seconds: float) -> None:
    """Ask a child to end, and make it end when it takes too long."""
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(max(0.0, within_seconds))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@dataclass
class Child:
    """One child that is to be there all the time. ``start`` starts it anew."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    falls: int = 0
    again_at: float = 0.0


@dataclass
class Family:
    """Keep children alive until it is told to end; they are started in order and ended in reverse."""

    members: list[Child] = field(default_factory=list)
    _ending: bool = False

    def add(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        """Start a child and look after it from now on."""
        child = Child(name, start)
        self.members.append(child)
        self._begin(child)

    def stop(self) -> None:
        """Have ``watch`` return; may be called by a signal handler."""
        self._ending = True

    def watch(self) -> None:
        """Look after the children until ``stop`` is called."""
        while not self._ending:
            for child in self.members:
                self._look_at(child)
            time.sleep(_POLL_SECONDS)

    def end(self, within_seconds: float) -> None:
        """End all children: all but the first are asked at once, the first ends last.

        The first is the broker: the others still talk to it while they end.
        """
        until = time.monotonic() + within_seconds
        for child in self.members[1:]:
            if child.process is not None and child.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    child.process.terminate()
        for child in reversed(self.members):
            if child.process is not None:
                end(child.process, within_seconds=until - time.monotonic())

    def _begin(self, child: Child) -> None:
        child.process, child.started_at = child.start(), time.monotonic()

    def _look_at(self, child: Child) -> None:
        assert child.process is not None
        now = time.monotonic()
        code = child.process.poll()
        if code is None or self._ending:
            return
        if not child.again_at:
            child.falls = 1 if now - child.started_at > STEADY_SECONDS else child.falls + 1
            pause = min(LONGEST_PAUSE_SECONDS, 0.25 * 2**child.falls)
            child.again_at = now + pause
            log.warning("child_ended", child=child.name, exit_code=code, again_in_seconds=pause)
        elif now >= child.again_at:
            child.again_at = 0.0
            self._begin(child)
            log.info("child_started_again", child=child.name, pid=child.process.pid)
