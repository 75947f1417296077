"""Time-ordered identifiers (UUID version 7); time and randomness come in as arguments."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

RandomBits: TypeAlias = Callable[[int], int]
"""Gives that many random bits, as ``random.Random.getrandbits`` and ``secrets.randbits`` do."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TICKS_PER_MILLISECOND = 4096
_RANDOM_BITS = 62


def uuid7(now: datetime, random_bits: RandomBits | bytes) -> str:
    """Build one time-ordered UUID; ids of one microsecond are not ordered among themselves.

    ``now`` is aware. ``random_bits``: a source of bits, or at least eight random bytes. Whoever needs ids
    that always grow uses ``Ids``.

    Source: RFC 9562, section 5.7 and, for the fraction of the millisecond, section 6.2 method 3.
    """
    return _text(_ticks(now), _random(random_bits))


class Ids:
    """Give UUIDs that grow with every call of this instance, whatever its clock does; safe in threads.

    A run that must be reproducible makes its own instance from a seeded source.
    """

    def __init__(self, random_bits: RandomBits = secrets.randbits) -> None:
        self._random_bits = random_bits
        self._last = -1
        self._lock = threading.Lock()

    def __call__(self, now: datetime) -> str:
        """Give the next id at an aware moment."""
        ticks = _ticks(now)
        with self._lock:
            # A clock that stands still or runs back borrows from the future: order matters more here
            # than the exact millisecond.
            ticks = max(ticks, self._last + 1)
            self._last = ticks
            noise = self._random_bits(_RANDOM_BITS)
        return _text(ticks, noise)


def _ticks(now: datetime) -> int:
    """Count 1/4096 milliseconds since 1970, so that the 12 bits below the milliseconds order ids."""
    milliseconds, rest = divmod((now - _EPOCH) // _MICROSECOND, 1000)
    return milliseconds * _TICKS_PER_MILLISECOND + rest * _TICKS_PER_MILLISECOND // 1000


def _random(source: RandomBits | bytes) -> int:
    if isinstance(source, bytes):
        return int.from_bytes(source[:8], "big") & ((1 << _RANDOM_BITS) - 1)
    return source(_RANDOM_BITS)


def _text(ticks: int, noise: int) -> str:
    milliseconds, fraction = divmod(ticks, _TICKS_PER_MILLISECOND)
    number = (milliseconds << 80) | (0x7000 | fraction) << 64 | 0b10 << _RANDOM_BITS | noise
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
