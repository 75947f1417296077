"""What needs a person, and which command decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync_engine.cli.words import counted

if TYPE_CHECKING:
    from rich.console import Console

    from sync_engine.services.standing import Standing


@dataclass(frozen=True)
class Need:
    """Something a person has to do: what it is about, how much of it there is, and the command for it."""

    workspace: str
    kind: str
    number: int
    text: str
    command: str


def needs_of(standing: Standing) -> list[Need]:
    """List what waits for a person in one workspace."""
    found: list[Need] = []

    def add(kind: str, number: int, text: str, command: str) -> None:
        if number:
            found.append(Need(standing.workspace, kind, number, text, f"sync-engine {command}"))

    for each in standing.connections.values():
        if each.state == "unauthorised":
            add("credentials", 1, f"{each.name} refuses the credentials: {each.reason}", "check")
        elif each.state == "revoked":
            add("credentials", 1, f"{each.name} was disconnected: {each.reason}", "check")
    add(
        "conflicts",
        standing.open_conflicts,
        counted(standing.open_conflicts, "field was", "fields were") + " changed on two sides",
        "conflicts",
    )
    add(
        "reviews",
        standing.open_reviews,
        counted(standing.open_reviews, "record") + " may belong to a meeting that is known",
        "review",
    )
    add(
        "decisions",
        standing.open_decisions,
        counted(standing.open_decisions, "guarded change") + " to approve or reject",
        "parked",
    )
    writes = sum(each.parked for each in standing.connections.values())
    add("parked", writes, counted(writes, "write") + " parked", "parked")
    add(
        "quarantined",
        standing.quarantined,
        counted(standing.quarantined, "record") + " cannot be read",
        "quarantine",
    )
    return found


def show_needs(console: Console, needs: Sequence[Need], *, name_workspaces: bool) -> None:
    """Print what waits for a person, each with the command that decides it."""
    from rich.table import Table
    from rich.text import Text

    if not needs:
        return
    console.print(Text("\nWaits for you", style="bold yellow"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(overflow="fold", ratio=1)
    grid.add_column(no_wrap=True)
    for need in needs:
        where = f"{need.workspace}: " if name_workspaces else ""
        grid.add_row(Text(f"  {where}{need.text}"), Text(need.command, style="cyan"))
    console.print(grid)
