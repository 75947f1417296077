"""``sync-engine demo``: see it work, without an account and without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sync_engine.cli.context import ending, examples

EXAMPLES = examples(
    "sync-engine demo",
    "sync-engine demo --pause --keep demo     step by step; look at what is left with status and explain",
)


def demo(
    pause: Annotated[bool, typer.Option("--pause", help="Wait for Enter between the acts.")] = False,
    seed: Annotated[int, typer.Option(help="Varies ids and links.")] = 7,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep configuration and store in this folder.", show_default=False),
    ] = None,
) -> None:
    """Show a day of edits, a conflict and a cancellation between four sandbox providers."""
    with ending():
        from rich.console import Console

        from sync_engine.demo import run_demo

        raise typer.Exit(run_demo(Console(), pause=pause, seed=seed, keep=keep))
