"""``sync-engine status``: agreement per connection, what waits, and what needs a person."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from sync_engine.cli.context import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    chosen_workspaces,
    ending,
    examples,
    print_json,
    stdout,
    with_engine,
)
from sync_engine.cli.needs import needs_of, show_needs
from sync_engine.cli.words import ago, counted

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

    from sync_engine.services.engine import Engine, Tenant
    from sync_engine.services.standing import ConnectionStanding, Standing

EXAMPLES = examples("sync-engine status", "sync-engine status --workspace acme --json")


def status(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
) -> None:
    """Show how every connection stands, what waits until when, and what needs a person."""
    with ending():

        async def work(engine: Engine) -> tuple[list[tuple[Standing, datetime | None]], datetime]:
            from sync_engine.services.standing import standing_of

            tenants = [engine.tenants[name] for name in chosen_workspaces(engine, workspace)]
            return [(standing_of(engine, each), next_due(engine, each)) for each in tenants], engine.now()

        found, now = with_engine(ctx, config, work)
        if in_json:
            print_json({"workspaces": [_as_json(standing, due) for standing, due in found]})
            return
        for standing, due in found:
            show_standing(stdout(), standing, due, now)
        needs = [need for standing, _ in found for need in needs_of(standing)]
        show_needs(stdout(), needs, name_workspaces=len(found) > 1)


def next_due(engine: Engine, tenant: Tenant) -> datetime | None:
    """Tell when the next thing that waits comes due: a meeting to look at again, or a write."""
    with engine.store.reading() as uow:
        moments = [uow.meetings.next_due(tenant.name)]
        moments += [uow.outbox.next_due(channel.id) for channel in tenant.channels.values()]
    return min((moment for moment in moments if moment), default=None)


def _as_json(standing: Standing, due: datetime | None) -> dict[str, Any]:
    connections = {
        name: {
            **asdict(each),
            "paused_until": _iso(each.paused_until),
            "last_sweep_at": _iso(each.last_sweep_at),
        }
        for name, each in standing.connections.items()
    }
    return {
        "workspace": standing.workspace,
        "meetings": standing.meetings,
        "settled": standing.settled,
        "unsettled": standing.unsettled,
        "cancelled": standing.cancelled,
        "held": standing.held,
        "deferred": standing.deferred,
        "parked": standing.parked,
        "conflicts": standing.open_conflicts,
        "reviews": standing.open_reviews,
        "decisions": standing.open_decisions,
        "quarantined": standing.quarantined,
        "next_due": _iso(due),
        "connections": connections,
        "needs": [asdict(need) for need in needs_of(standing)],
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def show_standing(console: Console, standing: Standing, due: datetime | None, now: datetime) -> None:
    """Print how one workspace stands."""
    from rich.text import Text

    title = Text(standing.workspace, style="bold")
    agree = f"  {standing.settled} of {counted(standing.meetings, 'meeting')} in agreement"
    title.append(agree, style="green not bold" if not standing.unsettled else "yellow not bold")
    if standing.cancelled:
        title.append(f", {standing.cancelled} of them cancelled", style="dim not bold")
    console.print(title)
    console.print(_table(standing, now))
    for each in standing.connections.values():
        if each.state != "ok":
            until = f", again {ago(each.paused_until, now)}" if each.paused_until else ""
            console.print(Text(f"{each.name} rests: {each.reason}{until}", style="red"))
    if due is not None:
        told = "now" if due <= now else ago(due, now)
        console.print(Text(f"Next thing due: {told}.", style="dim"))


def _table(standing: Standing, now: datetime) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("connection", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("last sweep", no_wrap=True)
    for name in ("linked", "held", "deferred", "waiting", "parked"):
        table.add_column(name, justify="right", no_wrap=True)
    has_quota = any(each.quota_limit for each in standing.connections.values())
    if has_quota:
        table.add_column("today", justify="right", overflow="fold")
    for each in standing.connections.values():
        cells = [
            Text(each.name),
            Text(each.state, style="green" if each.state == "ok" else "bold red"),
            Text(ago(each.last_sweep_at, now)),
            Text(str(each.linked)),
            _number(each.held, "yellow"),
            _number(each.deferred, "cyan"),
            _number(each.waiting, "yellow"),
            _number(each.parked, "bold red"),
        ]
        table.add_row(*cells, *([_quota(each)] if has_quota else []))
    return table


def _number(number: int, style: str) -> Any:
    from rich.text import Text

    return Text(str(number), style=style if number else "dim")


def _quota(each: ConnectionStanding) -> str:
    """Say how much of a daily cap is used: the fullest scope, which is the one that will stop first."""
    if each.quota_limit is None:
        return ""
    return f"{max(each.quota.values(), default=0)}/{each.quota_limit}"
