"""How an error is shown in a terminal, and the exit code it ends with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sync_engine.configuration.problems import InvalidSettingsError
from sync_engine.errors import (
    ConfigurationError,
    CredentialsError,
    ProviderError,
    SyncError,
    UnavailableError,
)


class ExitCode(IntEnum):
    """What a command's end means to the script that called it."""

    SETTLED = 0
    UNSETTLED = 1
    USAGE = 2
    PROVIDER = 3


def exit_code(error: SyncError) -> ExitCode:
    """Say which exit code an error that ended a command stands for."""
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    if isinstance(error, UnavailableError | CredentialsError):
        return ExitCode.PROVIDER
    return ExitCode.UNSETTLED


def show_error(error: SyncError, console: Console | None = None) -> None:
    """Print an error and what to do about it; on stderr unless a console is given."""
    console = console or Console(stderr=True)
    if isinstance(error, InvalidSettingsError):
        _show_problems(error, console)
        return
    where = ""
    if isinstance(error, ProviderError):
        where = " ".join(part for part in (error.provider, error.operation) if part)
    message = Text("Error: ", style="bold red")
    message.append(f"{where}: " if where else "", style="bold")
    message.append(str(error), style="default")
    console.print(message, soft_wrap=True)


def _show_problems(error: InvalidSettingsError, console: Console) -> None:
    count = len(error.problems)
    title = f"The configuration has {count} problem{'' if count == 1 else 's'}."
    console.print(Text(title, style="bold red"))
    if not console.is_terminal:
        # A log or a pipe has no width; one line a problem can be searched.
        for problem in error.problems:
            console.print(Text(str(problem)), soft_wrap=True)
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column(style="cyan", overflow="fold")
    table.add_column(overflow="fold", ratio=1)
    for problem in error.problems:
        told = Text(problem.key, style="bold")
        told.append(f"{' ' if problem.key else ''}{problem.message}", style="default not bold")
        if problem.fix:
            told.append(f"\n→ {problem.fix}", style="green not bold")
        table.add_row(Text(problem.place), told)
    console.print(table)


@contextmanager
def reported(console: Console | None = None) -> Iterator[None]:
    """End a command in which something went wrong with a message and the right exit code.

    Only errors raised on purpose are caught; anything else is a defect and shows its traceback.
    """
    try:
        yield
    except SyncError as error:
        show_error(error, console)
        raise typer.Exit(exit_code(error)) from error
