"""What the deciding commands share: whom to ask for their lists, and how a decision is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from sync_engine.cli.context import next_step, print_json, shared, stdout

if TYPE_CHECKING:
    from pathlib import Path

    from sync_engine.services.decide import Decided


def listing_options(ctx: typer.Context, config: Path | None, workspace: str | None, in_json: bool) -> bool:
    """Keep what was said before a subcommand; tells whether there is one, so that nothing is listed."""
    ctx.obj = shared(ctx, config)
    if ctx.invoked_subcommand is None:
        return False
    if workspace is not None or in_json:
        raise typer.BadParameter("--workspace and --json belong behind the subcommand's name")
    return True


def show_decided(decisions: Sequence[Decided], *, in_json: bool) -> None:
    """Print what a decision did, and how to go on."""
    if in_json:
        print_json({"decided": [asdict(each) for each in decisions]})
        return
    console = stdout()
    for each in decisions:
        console.print(f"{each.text[:1].upper()}{each.text[1:]}.", markup=False)
    if any(each.needs_sync for each in decisions):
        next_step(console, [("sync-engine sync", "carries it to the providers")])
