"""Page tokens: opaque, short-lived, bound to the request they continue."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sync_engine.sandbox.clock import SandboxClock
from sync_engine.sandbox.zoom.refusal import bad_page_token, invalid

LIVES = timedelta(minutes=15)


@dataclass(frozen=True)
class _Place:
    listing: tuple[object, ...]
    offset: int
    dies_at: datetime


@dataclass(frozen=True)
class Page:
    """One page: what of the whole it shows, and what its envelope says."""

    shown: slice
    envelope: dict[str, Any]


class Pages:
    """Hand out page tokens and find the place again.

    A token is a position in the list as it is when the token comes back: rows added or removed before that
    position shift the pages.
    """

    def __init__(self, clock: SandboxClock, source: random.Random) -> None:
        self._clock, self._random = clock, source
        self._places: dict[str, _Place] = {}

    def turn(
        self,
        query: Mapping[str, str],
        listing: Sequence[object],
        total: int,
        *,
        most: int,
        bound: bool = True,
    ) -> Page:
        """Give the page a query asks for, out of ``total`` rows.

        ``listing`` is what the token is bound to besides the page size.

        Raises:
            Refusal: code 300, for a bad size or number and for a token that does not belong here.
        """
        size = whole_number(query, "page_size", 30, range(1, most + 1))
        number = whole_number(query, "page_number", 1, range(1, 10**9))
        key = (*listing, size)
        token = query.get("next_page_token", "")
        offset = self._find(token, key, bound) if token else (number - 1) * size
        end = min(offset + size, total)
        envelope = {
            "page_count": -(-total // size),
            "page_number": offset // size + 1,
            "page_size": size,
            "total_records": total,
            "next_page_token": self._issue(key, end) if end < total else "",
        }
        return Page(slice(offset, end), envelope)

    def _issue(self, key: tuple[object, ...], offset: int) -> str:
        now = self._clock.now()
        if len(self._places) > 2000:
            self._places = {text: place for text, place in self._places.items() if place.dies_at > now}
        token = base64.b64encode(self._random.randbytes(24)).decode() + "2"
        self._places[token] = _Place(key, offset, now + LIVES)
        return token

    def _find(self, token: str, key: tuple[object, ...], bound: bool) -> int:
        place = self._places.get(token)
        if place is None or place.dies_at <= self._clock.now() or (bound and place.listing != key):
            raise bad_page_token()
        return place.offset


def whole_number(query: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    """Read a whole number of a query.

    Raises:
        Refusal: code 300, when it is none or out of range.
    """
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) not in allowed:
        raise invalid((name, f"The value must be between {allowed[0]} and {allowed[-1]}."))
    return int(text)
