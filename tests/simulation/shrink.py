"""Make a falling history short: leave steps out as long as it still falls for the same reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.simulation.history import Outcome, Step, play


def reasons(violations: Sequence[str]) -> set[str]:
    """Name what does not hold, without whose and where."""
    return {v.removeprefix("later: ").partition(":")[0] for v in violations}


def shrink(seed: int, steps: Sequence[Step], violations: Sequence[str]) -> tuple[list[Step], Outcome]:
    """Give a shorter history that falls for one of the same reasons, and how it went."""
    wanted, best = reasons(violations), list(steps)
    last = asyncio.run(play(seed, best))
    size = max(1, len(best) // 2)
    while True:
        position = 0
        while position < len(best):
            shorter = best[:position] + best[position + size :]
            outcome = asyncio.run(play(seed, shorter))
            if reasons(outcome.violations) & wanted:
                best, last = shorter, outcome
            else:
                position += size
        if size == 1:
            return best, last
        size //= 2
