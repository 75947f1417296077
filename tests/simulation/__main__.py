"""Play any number of histories: ``python -m tests.simulation --count N --seed S [--shrink] [--verbose]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import warnings
from collections import Counter

from tests.simulation.history import Outcome, history_of, play
from tests.simulation.shrink import shrink


def main() -> int:
    """Play histories, print the ones that fall, and what all of them reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument(
        "--shrink", action="store_true", help="drop steps of a falling history while it falls"
    )
    parser.add_argument("--verbose", action="store_true", help="tell every history")
    chosen = parser.parse_args()
    warnings.simplefilter("error")
    stats: Counter[str] = Counter()
    fallen: list[int] = []
    started = time.perf_counter()
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        outcome = asyncio.run(play(seed))
        stats.update(outcome.stats)
        if chosen.verbose:
            print("\n".join(outcome.told))
        if outcome.violations:
            fallen.append(seed)
            _report(outcome, shortest=chosen.shrink)
    seconds = time.perf_counter() - started
    print(f"{chosen.count} histories in {seconds:.0f} s, {len(fallen)} fell: {fallen}")
    for name, number in sorted(stats.items()):
        print(f"  {name:40} {number}")
    return 1 if fallen else 0


def _report(outcome: Outcome, *, shortest: bool) -> None:
    print(f"\nseed {outcome.seed} fell:")
    for violation in outcome.violations:
        print(f"  {violation}")
    print(f"  again: python -m tests.simulation --seed {outcome.seed} --count 1 --verbose", flush=True)
    if shortest:
        steps, last = shrink(outcome.seed, history_of(outcome.seed), outcome.violations)
        print(f"  shrunk to {len(steps)} steps: {' '.join(map(str, steps))}")
        print("\n".join(f"    {line}" for line in last.told))
        print("\n".join(f"    ! {line}" for line in last.violations), flush=True)


if __name__ == "__main__":
    sys.exit(main())
