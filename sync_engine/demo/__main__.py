"""Play the demo: ``python -m sync_engine.demo``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sync_engine.demo.play import run_demo
from sync_engine.errors import ConfigurationError


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="python -m sync_engine.demo", description="Play the demo.")
    parser.add_argument("--pause", action="store_true", help="wait for Enter between the acts")
    parser.add_argument("--seed", type=int, default=7, help="varies ids and links (default: 7)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep configuration and store in this folder"
    )
    chosen = parser.parse_args()
    try:
        return run_demo(pause=chosen.pause, seed=chosen.seed, keep=chosen.keep)
    except ConfigurationError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
