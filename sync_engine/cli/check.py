"""``sync-engine check``: verify every connection and say what to fix."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sync_engine.cli.errors import ExitCode
from sync_engine.configuration.problems import SettingProblem
from sync_engine.core.ports import Finding
from sync_engine.errors import ConfigurationError, CredentialsError, SyncError, UnavailableError
from sync_engine.settings import Settings

Examine: TypeAlias = Callable[[str, str], Awaitable[Sequence[Finding]]]
"""Gives the findings for one workspace and connection."""

# What adapters call the finding that says whether the provider can be used at all.
_ACCESS = frozenset({"reachability", "connection", "credentials", "api key"})


class Verdict(StrEnum):
    """What one finding means for the command's end."""

    WELL = "ok"
    UNUSABLE = "unusable"
    WRONG_SETTING = "wrong setting"
    NOT_WELL = "not ok"


@dataclass(frozen=True, slots=True)
class Checked:
    """One finding, and where it was made."""

    workspace: str
    connection: str
    finding: Finding
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a check found. ``notes``: what the configuration had better say differently."""

    rows: tuple[Checked, ...]
    notes: tuple[SettingProblem, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Give the exit code; a setting to mend comes before a provider to wait for."""
        verdicts = {row.verdict for row in self.rows}
        if Verdict.WRONG_SETTING in verdicts:
            return ExitCode.USAGE
        if Verdict.UNUSABLE in verdicts:
            return ExitCode.PROVIDER
        return ExitCode.UNSETTLED if Verdict.NOT_WELL in verdicts else ExitCode.SETTLED


async def check_connections(settings: Settings, examine: Examine, workspace: str | None = None) -> Report:
    """Examine every connection, all at once; one that fails becomes a row and stops no other."""
    names = [workspace] if workspace is not None else list(settings.workspaces)
    places = [(name, connection) for name in names for connection in settings.workspace(name).connections]
    rows = await asyncio.gather(*(_check_one(*place, examine) for place in places))
    return Report(tuple(row for each in rows for row in each), settings.notes)


async def _check_one(workspace: str, connection: str, examine: Examine) -> list[Checked]:
    try:
        findings = await examine(workspace, connection)
    except SyncError as error:
        finding, verdict = _failure(error)
        return [Checked(workspace, connection, finding, verdict)]
    return [Checked(workspace, connection, finding, _verdict(finding)) for finding in findings]


def _failure(error: SyncError) -> tuple[Finding, Verdict]:
    text = str(error)
    if isinstance(error, ConfigurationError):
        return Finding("configuration", False, text), Verdict.WRONG_SETTING
    if isinstance(error, CredentialsError):
        return Finding(
            "credentials", False, text, "renew the credentials in the configuration"
        ), Verdict.UNUSABLE
    if isinstance(error, UnavailableError):
        return Finding("reachability", False, text, "try again; then look at the network"), Verdict.UNUSABLE
    return Finding("check", False, text), Verdict.NOT_WELL


def _verdict(finding: Finding) -> Verdict:
    if finding.ok:
        return Verdict.WELL
    return Verdict.UNUSABLE if finding.subject.casefold() in _ACCESS else Verdict.NOT_WELL


def as_json(report: Report) -> str:
    """Write the report as one JSON object."""
    rows = [
        {
            "workspace": row.workspace,
            "connection": row.connection,
            "subject": row.finding.subject,
            "ok": row.finding.ok,
            "verdict": row.verdict.value,
            "detail": row.finding.detail,
            "fix": row.finding.fix,
        }
        for row in report.rows
    ]
    notes = [
        {"key": note.key, "place": note.place, "detail": note.message, "fix": note.fix}
        for note in report.notes
    ]
    whole: dict[str, Any] = {
        "ok": report.exit_code is ExitCode.SETTLED,
        "exit_code": int(report.exit_code),
        "findings": rows,
        "notes": notes,
    }
    return json.dumps(whole, ensure_ascii=False)


def show_report(report: Report, console: Console) -> None:
    """Print the report as a table, then what the configuration had better say, then the sum."""
    console.print(_table(report.rows))
    for note in report.notes:
        console.print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)
    console.print(_sum(report.rows))


def _table(rows: Iterable[Checked]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("connection", "subject", "", "detail", "fix"):
        table.add_column(title, overflow="fold")
    for row in rows:
        well = row.verdict is Verdict.WELL
        table.add_row(
            Text(f"{row.workspace}/{row.connection}"),
            Text(row.finding.subject),
            Text("ok" if well else "not ok", style="green" if well else "bold red"),
            Text(row.finding.detail),
            Text(row.finding.fix, style="green" if not well else ""),
        )
    return table


def _sum(rows: Sequence[Checked]) -> Text:
    wrong = sum(row.verdict is not Verdict.WELL for row in rows)
    connections = len({(row.workspace, row.connection) for row in rows})
    if wrong:
        return Text(f"{wrong} of {len(rows)} findings need attention.", style="bold red")
    return Text(f"All well at {connections} connection{'' if connections == 1 else 's'}.", style="bold green")


def run_check(
    settings: Settings,
    examine: Examine,
    *,
    workspace: str | None = None,
    in_json: bool = False,
    console: Console | None = None,
) -> ExitCode:
    """Check, print what was found on stdout and give the exit code."""
    report = asyncio.run(check_connections(settings, examine, workspace))
    console = console or Console()
    if in_json:
        console.print(as_json(report), markup=False, highlight=False, soft_wrap=True)
    else:
        show_report(report, console)
    return report.exit_code
