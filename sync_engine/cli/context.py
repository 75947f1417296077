"""What every command shares: its options, the engine it opens, and the way it ends.

Commands import what they need when they run: ``--help`` must not wait for the whole engine.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sync_engine.observability import LogLevel
    from sync_engine.services.engine import Engine
    from sync_engine.settings import Settings

T = TypeVar("T")

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file, if not sync-engine.toml or what $SYNC_ENGINE_CONFIG names.",
        show_default=False,
    ),
]
WorkspaceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workspace", "-w", metavar="W", help="Only this workspace, if not all.", show_default=False
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
]

INTERRUPTED = 130


@dataclass(frozen=True)
class Shared:
    """What was said before a command's name."""

    config: Path | None = None
    log_level: str | None = None


def examples(*lines: str) -> str:
    """Write examples for the end of a command's help."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


def shared(ctx: typer.Context, config: Path | None = None) -> Shared:
    """Give what was said before the command, with what the command itself says instead."""
    known = ctx.obj if isinstance(ctx.obj, Shared) else Shared()
    return known if config is None else replace(known, config=config)


def read_settings(ctx: typer.Context, config: Path | None, level: LogLevel | None = None) -> Settings:
    """Read the settings and set up logging as they say; ``level`` is what suits the command better."""
    from sync_engine.observability import configure_logging
    from sync_engine.settings import load_settings

    chosen = shared(ctx, config)
    settings = load_settings(chosen.config)
    wanted = chosen.log_level or level or settings.log.level
    configure_logging(settings.log.format, wanted, _CurrentStderr())  # type: ignore[arg-type]
    return settings


class _CurrentStderr(io.TextIOBase):
    """Write to what is stderr at the moment: a progress bar takes its place while it is shown."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def quiet_on_a_terminal() -> LogLevel | None:
    """Keep the log from running over what a command draws on a terminal."""
    return "warning" if sys.stderr.isatty() else None


def with_engine(
    ctx: typer.Context,
    config: Path | None,
    work: Callable[[Engine], Awaitable[T]],
    *,
    level: LogLevel | None = None,
) -> T:
    """Open the engine, do one thing with it, and close it whatever happens."""
    import asyncio

    from sync_engine.bootstrap import build_engine

    settings = read_settings(ctx, config, level or "warning")

    async def main() -> T:
        engine = build_engine(settings)
        try:
            return await work(engine)
        finally:
            await engine.aclose()

    return asyncio.run(main())


def chosen_workspaces(engine: Engine, workspace: str | None) -> list[str]:
    """Name the workspaces a command is about. Raises ConfigurationError for one that is not configured."""
    from sync_engine.configuration.problems import suggestion
    from sync_engine.errors import ConfigurationError

    if workspace is None:
        return list(engine.tenants)
    if workspace not in engine.tenants:
        hint = suggestion(workspace, engine.tenants)
        raise ConfigurationError(f'no workspace is named "{workspace}"; {hint}')
    return [workspace]


@contextmanager
def ending() -> Iterator[None]:
    """End a command that failed with a sentence and the right exit code, also when the database fails."""
    from sync_engine.cli.errors import ExitCode, reported, show_error
    from sync_engine.errors import ConfigurationError

    try:
        with reported():
            yield
    except KeyboardInterrupt:
        typer.echo("Interrupted. Nothing is lost: run it again to go on.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        reason = _database_reason(error)
        if reason is None:
            raise
        show_error(ConfigurationError(f"database_url: {reason}"))
        raise typer.Exit(ExitCode.USAGE) from error


def _database_reason(error: Exception) -> str | None:
    """Say what is wrong with the database; its own message quotes no value."""
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy.exc import OperationalError, ProgrammingError

    if not isinstance(error, OperationalError | ProgrammingError):
        return None
    message = str(error.orig).strip().splitlines()[0] if error.orig else "it does not answer"
    if isinstance(error, ProgrammingError):
        return f"its tables are not those of this release ({message}); run sync-engine db upgrade"
    return f"the database cannot be used ({message}); correct database_url, or start the database"


def stdout() -> Console:
    """Give the console of a command's answer."""
    from rich.console import Console

    return Console(highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON value as one line on stdout."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    text = json.dumps(value, ensure_ascii=encoding != "utf8", default=str)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def next_step(console: Console, lines: Sequence[tuple[str, str]]) -> None:
    """Print commands to go on with, each with what it does."""
    from rich.table import Table
    from rich.text import Text

    if not lines:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim")
    for command, purpose in lines:
        grid.add_row(Text(f"  {command}", style="cyan"), Text(purpose))
    console.print(grid)
