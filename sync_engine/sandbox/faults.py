"""Faults to switch on at a sandbox: what real networks and providers do on bad days."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Moment(StrEnum):
    """When a fault strikes: before the request had its effect, or after."""

    BEFORE = "before"
    AFTER = "after"


@dataclass
class Fault:
    """One rule: which requests it strikes, what it does, how often.

    ``method`` and ``path`` are regular expressions that must match fully; ``path`` is matched without the
    query. ``skip`` lets that many matching requests pass first; ``times`` is how many it then strikes
    (None: all). What it does: wait ``delay_seconds``; then, if ``cut``, close the connection without an
    answer; else, if ``status`` is set, answer with it; else, if ``rewrite`` is given, let it change the
    bytes of the real answer. ``moment`` says whether the request takes effect before all that. A fault
    with only a delay, or with ``rewrite``, lets the request through.
    """

    method: str = ".*"
    path: str = ".*"
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    rewrite: Callable[[bytes], bytes] | None = None
    delay_seconds: float = 0.0
    moment: Moment = Moment.BEFORE
    skip: int = 0
    times: int | None = 1
    struck: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Tell whether this request is struck, and count it."""
        if self.times is not None and self.struck >= self.times:
            return False
        if not (re.fullmatch(self.method, method) and re.fullmatch(self.path, path)):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.struck += 1
        return True
