"""Histories of the whole world with fixed seeds; ``make soak`` plays any number of others."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.history import Outcome, play

FIRST_SEED = 1000
CHUNKS, PER_CHUNK = 12, 5
# What a chunk of histories reaches between them, or the generator has become too tame.
EACH_CHUNK_REACHES = {"edits": 10, "creates": 10, "updates": 3, "holds": 3}


def told(outcome: Outcome) -> str:
    """Tell a fallen history, and how to play it again."""
    again = f"python -m tests.simulation --seed {outcome.seed} --count 1 --verbose --shrink"
    return "\n".join([f"seed {outcome.seed} fell", *outcome.violations, *outcome.told, again])


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_whatever_happens_all_sides_agree_and_nothing_is_lost_or_doubled(chunk: int) -> None:
    reached: Counter[str] = Counter()
    first = FIRST_SEED + chunk * PER_CHUNK

    outcomes = [await play(seed) for seed in range(first, first + PER_CHUNK)]

    for outcome in outcomes:
        assert not outcome.violations, told(outcome)
        reached.update(outcome.stats)
    tame = {name: reached[name] for name, least in EACH_CHUNK_REACHES.items() if reached[name] < least}
    assert not tame
