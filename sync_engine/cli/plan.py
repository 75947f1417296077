"""``sync-engine plan``: what a sync would do, what it costs, whom it touches; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_engine.cli.context import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    chosen_workspaces,
    ending,
    examples,
    next_step,
    print_json,
    quiet_on_a_terminal,
    stdout,
    with_engine,
)
from sync_engine.cli.sync import shown_progress
from sync_engine.cli.words import counted, difference, moment, one_line, say, short, title_of, when

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sync_engine.cli.errors import ExitCode
    from sync_engine.core.plan import Entry
    from sync_engine.services.engine import Engine
    from sync_engine.services.preview import Change, Forecast, MeetingPreview, Preview

EXAMPLES = examples(
    "sync-engine plan",
    "sync-engine plan --limit 0               every meeting",
    "sync-engine plan --workspace acme --json",
)

_STYLES = {
    "create": "green",
    "update": "yellow",
    "replace": "magenta",
    "delete": "bold red",
    "restore": "green",
    "hold": "dim",
    "defer": "dim",
    "ask": "bold yellow",
}
_COLUMNS = ("create", "update", "replace", "delete", "restore", "hold", "defer", "ask")
_UNTOLD = frozenset({"written", "asked"})


def plan(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    limit: Annotated[
        int | None,
        typer.Option(help="How many meetings to show in detail; 0 shows all.", min=0, show_default="40"),
    ] = None,
    in_json: JsonOption = False,
) -> None:
    """Show field by field what a sync would change, the requests it costs, and how many people it touches.

    Providers are read, never written to. What a first write brings about (a join link that then goes
    everywhere) is not foreseen, only announced.
    """
    with ending():
        wanted = (0 if in_json else 40) if limit is None else limit

        async def work(engine: Engine) -> list[Preview]:
            from sync_engine.services.preview import preview

            with shown_progress() as progress:
                return [
                    await preview(engine, name, limit=wanted or None, progress=progress)
                    for name in chosen_workspaces(engine, workspace)
                ]

        previews = with_engine(ctx, config, work, level=quiet_on_a_terminal() or "info")
        if in_json:
            print_json({"workspaces": [as_json(each) for each in previews]})
        else:
            for each in previews:
                show_preview(stdout(), each)
        raise typer.Exit(exit_code_of(previews))


def exit_code_of(previews: Iterable[Preview]) -> ExitCode:
    """Give the exit code of a plan: whether everything could be looked at."""
    from sync_engine.cli.errors import ExitCode

    made = list(previews)
    if any(each.unreachable for each in made):
        return ExitCode.PROVIDER
    return ExitCode.UNSETTLED if any(each.failures for each in made) else ExitCode.SETTLED


def as_json(made: Preview) -> dict[str, Any]:
    """Give a preview as plain JSON."""
    return {
        "workspace": made.workspace,
        "meetings_changed": made.written,
        "meetings_concerned": made.total,
        "people": made.people,
        "observed": made.observed,
        "connections": {name: _forecast_json(each) for name, each in made.forecasts.items()},
        "requests": {
            "reads": sum(each.reads for each in made.forecasts.values()),
            "writes": sum(each.writes for each in made.forecasts.values()),
        },
        "failures": made.failures,
        "unreachable": made.unreachable,
        "decisions": [
            {"id": row.id, "kind": row.kind.value, "text": row.evidence.get("text", "")}
            for row in made.decisions
        ],
        "meetings": [_meeting_json(each) for each in made.meetings],
        "meetings_omitted": made.total - len(made.meetings),
    }


def _forecast_json(forecast: Forecast) -> dict[str, Any]:
    data = asdict(forecast)
    data["actions"] = {action.value: number for action, number in forecast.actions.items()}
    for internal in ("scopes", "issues", "connection", "prepared"):
        del data[internal]
    return data


def _meeting_json(each: MeetingPreview) -> dict[str, Any]:
    from sync_engine.store.codec import schedule_to_json

    meeting = each.meeting
    return {
        "id": meeting.id,
        "title": meeting.title,
        "schedule": schedule_to_json(meeting.schedule) if meeting.schedule else None,
        "status": meeting.status.value,
        "changes": [_change_json(change) for change in each.changes],
        "causes": [_cause_json(entry) for entry in each.causes],
    }


def _change_json(change: Change) -> dict[str, Any]:
    from sync_engine.store.codec import value_to_json

    return {
        "connection": change.connection,
        "action": change.action.value,
        "external_id": change.external_id,
        "reason": change.reason,
        "until": change.until.isoformat() if change.until else None,
        "parked": change.parked,
        "fields": {
            each.field.value: {"before": value_to_json(each.before), "after": value_to_json(each.after)}
            for each in change.fields
        },
    }


def _cause_json(entry: Entry) -> dict[str, Any]:
    from sync_engine.store.codec import value_to_json

    return {
        "kind": entry.kind.value,
        "connection": entry.connection,
        "cause": entry.cause,
        "field": entry.field.value if entry.field else None,
        "before": value_to_json(entry.before),
        "after": value_to_json(entry.after),
    }


def show_preview(console: Console, made: Preview) -> None:
    """Print a preview: meeting by meeting, then the sums."""
    from rich.rule import Rule
    from rich.text import Text

    console.print(Rule(Text(f"Plan for {made.workspace}", style="bold"), align="left", style="dim"))
    for each in made.meetings:
        _show_meeting(console, each)
    if made.total > len(made.meetings):
        rest = made.total - len(made.meetings)
        console.print(Text(f"… and {counted(rest, 'more meeting')}; --limit 0 shows all.\n", style="dim"))
    if made.total:
        console.print(_totals(made))
    _show_sums(console, made)


def _show_meeting(console: Console, each: MeetingPreview) -> None:
    from rich.table import Table
    from rich.text import Text

    head = Text(title_of(each.meeting), style="bold")
    head.append(f"  {when(each.meeting.schedule)}", style="not bold")
    head.append(f"  {short(each.meeting.id)}", style="not bold cyan")
    if each.meeting.status.value == "cancelled":
        head.append("  cancelled", style="bold red")
    console.print(head)
    if causes := _causes(each.causes):
        console.print(Text(f"  because {causes}", style="dim"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for change in each.changes:
        grid.add_row(
            Text(f"  {change.connection}"),
            Text(change.action.value, style=_STYLES[change.action.value]),
            _what(change),
        )
    console.print(grid)
    console.print()


def _causes(entries: Sequence[Entry]) -> str:
    told = []
    for entry in entries:
        if entry.kind.value in _UNTOLD:
            continue
        about = f"{entry.field.value} " if entry.field else ""
        where = f" ({entry.connection})" if entry.connection else ""
        told.append(f"{about}{one_line(entry.cause, 80)}{where}")
    return "; ".join(dict.fromkeys(told))


def _what(change: Change) -> Text:
    """Say what one change does: field by field, or why not, or until when not."""
    from rich.text import Text

    told = Text()
    if change.parked:
        told.append(f"parked: {one_line(change.reason)}\n", style="bold red")
    elif change.reason:
        until = f", until {moment(change.until)}" if change.until else ""
        told.append(f"{one_line(change.reason)}{until}\n", style="dim")
    elif change.until:
        told.append(f"not before {moment(change.until)}\n", style="dim")
    if change.action.value in {"create", "restore"}:
        told.append("with " + _contents(change))
        return told
    for each in change.fields:
        before, after = difference(each.before, each.after)
        told.append(f"{each.field.value}  ", style="bold")
        told.append(before, style="red")
        told.append(" → ")
        told.append(f"{after}\n", style="green")
    told.rstrip()
    return told


def _contents(change: Change) -> str:
    parts = []
    for each in change.fields:
        if isinstance(each.after, tuple):
            parts.append(counted(len(each.after), "participant"))
        elif each.field.value in {"organizer", "location", "kind"}:
            told = say(each.after, 60)
            parts.append(each.field.value if "://" in told else f"{each.field.value} {told}")
        else:
            parts.append(each.field.value.replace("_", " "))
    return ", ".join(parts) or "nothing but its mark"


def _totals(made: Preview) -> Table:
    from rich.table import Table
    from rich.text import Text

    used = [name for name in _COLUMNS if any(f.actions.get(_action(name)) for f in made.forecasts.values())]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("connection", no_wrap=True)
    for name in used:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("requests to come", justify="right", no_wrap=True)
    for forecast in made.forecasts.values():
        numbers = [forecast.actions.get(_action(name), 0) for name in used]
        cells = [
            Text(str(n), style=_STYLES[name] if n else "dim") for name, n in zip(used, numbers, strict=True)
        ]
        cost = f"~{forecast.reads + forecast.writes}" if forecast.reads + forecast.writes else "0"
        table.add_row(Text(forecast.connection), *cells, Text(cost))
    return table


def _action(name: str) -> Any:
    from sync_engine.services.preview import Action

    return Action(name)


def _show_sums(console: Console, made: Preview) -> None:
    from rich.text import Text

    reads = sum(each.reads for each in made.forecasts.values())
    writes = sum(each.writes for each in made.forecasts.values())
    if made.is_settled:
        console.print(Text("Nothing to write: every connection agrees as far as it can.", style="bold green"))
    else:
        people = counted(made.people, "person", "people")
        cost = f"about {counted(reads + writes, 'request')} ({reads} reading, {writes} writing)"
        told = f"{counted(made.written, 'meeting')} would change; {people} on them; {cost}."
        console.print(Text(told, style="bold"))
    for forecast in made.forecasts.values():
        for line in _warnings(forecast):
            console.print(Text(f"{forecast.connection}: {line}", style="yellow"))
    for row in made.decisions:
        text = f"Waits for you: {row.evidence.get('text', row.kind.value)} (sync-engine parked)"
        console.print(Text(text, style="bold yellow"))
    for name, reason in made.failures.items():
        console.print(Text(f"{name}: {reason}; what it holds was not looked at", style="bold red"))
    if made.written and not made.failures:
        next_step(console, [("sync-engine sync", "carries it out")])


def _warnings(forecast: Forecast) -> list[str]:
    lines = []
    if forecast.tomorrow:
        lines.append(f"{counted(forecast.tomorrow, 'write')} will wait for a day whose quota has room")
    if forecast.unprepared:
        unasked = counted(forecast.unprepared, "create was", "creates were")
        lines.append(f"{unasked} not tried out; it may hold some of them")
    if forecast.guarded:
        again = counted(forecast.recreates, "record")
        lines.append(f"{again} would be made again, so many that you will be asked first")
    if forecast.issues and any(forecast.actions.get(_action(name)) for name in ("create", "restore")):
        lines.append(
            "it issues join links; they then go to the other connections, which costs further writes"
        )
    return lines
