"""Guards against disasters: a side that suddenly shows nothing is an alarm, not a wave of deletions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threshold:
    """More than ``percent`` of a connection's refs *and* more than ``count`` needs a person."""

    percent: float = 10.0
    count: int = 5

    def exceeded_by(self, number: int, total: int) -> bool:
        """Tell whether so many of so many need a person's word."""
        return number > self.count and number * 100 > total * self.percent
