"""``sync-engine up``: receiver, worker, beat and console in one go, without any server."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_engine.cli.context import ConfigOption, ending, examples, read_settings, shared, stdout

if TYPE_CHECKING:
    from sync_engine.embedded.children import Family
    from sync_engine.settings import Settings

EXAMPLES = examples(
    "sync-engine up                   everything, with a broker of its own",
    "sync-engine up --port 9000       the receiver and the console elsewhere",
)

ENDS_WITHIN_SECONDS = 9.0
CONCURRENCY = 8
"""Threads, all of which wait for one event loop: small, and one set of connections to every provider."""


def up(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Where webhooks and the console are answered.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port they are answered on.")] = 8080,
    config: ConfigOption = None,
) -> None:
    """Run the whole engine until Ctrl-C: receiver, console, worker and schedule.

    Without redis_url it brings its own broker. Nothing is lost however it ends: the next start goes on.
    """
    with ending(), ExitStack() as stack:
        from sync_engine.embedded.children import Family
        from sync_engine.embedded.folder import alone_in

        settings = read_settings(ctx, config)
        _check_port(host, port)
        _prepare_store(settings)
        folder = _folder(settings)
        stack.enter_context(alone_in(folder))
        family = Family()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: family.stop())
        stack.callback(family.end, ENDS_WITHIN_SECONDS)
        broker_url = settings.redis_url or _start_broker(family, folder)
        _start(family, _environment(settings, broker_url), _common(ctx), host, port)
        _tell(settings, broker_url, folder, host, port)
        family.watch()
        typer.echo("Ending ...", err=True)


def _check_port(host: str, port: int) -> None:
    """See that the port is free, before the receiver falls over it again and again."""
    from sync_engine.errors import ConfigurationError

    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        reason = error.strerror or "it cannot be used"
        raise ConfigurationError(f"port {port} on {host}: {reason}; choose another with --port") from error


def _prepare_store(settings: Settings) -> None:
    """See once, before anything is started, that the database can be used."""
    from sync_engine.bootstrap import open_store

    open_store(settings).close()


def _folder(settings: Settings) -> Path:
    from sync_engine.embedded.folder import state_folder

    places = [settings.path.parent] if settings.path else []
    kind, _, file = settings.database_url.partition(":///")
    if kind == "sqlite" and file:
        # Where the database is we may write, whatever is true of the configuration's folder.
        places.append(Path(file.partition("?")[0]).parent)
    return state_folder(*places, Path())


def _start_broker(family: Family, folder: Path) -> str:
    from sync_engine.embedded.broker import choose_broker

    broker = choose_broker(folder / "broker")
    family.add(f"broker ({broker.kind})", broker.start)
    return broker.url


def _environment(settings: Settings, broker_url: str) -> dict[str, str]:
    environment = {**os.environ, "SYNC_ENGINE__REDIS_URL": broker_url}
    if settings.path is not None:
        environment["SYNC_ENGINE_CONFIG"] = str(settings.path.absolute())
    return environment


def _common(ctx: typer.Context) -> list[str]:
    level = shared(ctx).log_level
    return [sys.executable, "-m", "sync_engine", *(["--log-level", level] if level else [])]


def _start(family: Family, environment: Mapping[str, str], common: list[str], host: str, port: int) -> None:
    from sync_engine.embedded.children import spawn

    commands = {
        "worker": ["worker", "--pool", "threads", "--concurrency", str(CONCURRENCY)],
        "beat": ["beat"],
        "web": ["serve", "--host", host, "--port", str(port)],
    }
    for name, command in commands.items():
        arguments = [*common, *command]
        family.add(name, lambda arguments=arguments: spawn(arguments, environment=environment))  # type: ignore[misc]


def _tell(settings: Settings, broker_url: str, folder: Path, host: str, port: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from sync_engine.configuration.urls import without_password

    at = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in (
        ("Console", f"{at}/"),
        ("Webhooks", f"{at}/webhooks/WORKSPACE/CONNECTION"),
        ("Database", without_password(settings.database_url)),
        ("Broker", without_password(broker_url)),
        ("Files", str(folder)),
        ("Configuration", str(settings.path or "the environment")),
    ):
        grid.add_row(name, Text(value))
    console = stdout()
    console.print(Text(f"Keeping {', '.join(settings.workspaces)} in agreement. Ctrl-C ends it.", "bold"))
    console.print(grid)
    sys.stdout.flush()
