"""The ``sync-engine`` command: every face it shows in a terminal."""
