"""Run the command line with ``python -m sync_engine``."""

from sync_engine.cli.app import main

if __name__ == "__main__":
    main()
