"""``sync-engine demo``: see it work, without an account and without a server."""

from __future__ import annotations

import typer

from sync_engine.cli.context import ending, examples

EXAMPLES = examples("sync-engine demo")


def demo() -> None:
    """Show a day of edits, a conflict and a cancellation between four sandbox providers."""
    from sync_engine.demo import run_demo

    with ending():
        raise typer.Exit(run_demo())
