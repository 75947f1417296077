"""``sync-engine sandbox``: the four providers on this machine, to try everything without an account."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_engine.cli.context import ending, examples, next_step

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

    from sync_engine.sandbox.start_state import StartState
    from sync_engine.sandbox.world import World

EXAMPLES = examples(
    "sync-engine sandbox --write sync-engine.toml     then, in another terminal: sync-engine sync",
    "sync-engine sandbox --empty --port-base 9400",
    "sync-engine sandbox --port-base 0 > try.toml     on any free ports",
)
WORKSPACE = "acme"
PORT_BASE = 8811


def sandbox(
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FILE",
            help="Write the configuration here instead of printing it.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    port_base: Annotated[
        int, typer.Option(help="The first of four ports; 0 takes any free ones.", min=0, max=65_532)
    ] = PORT_BASE,
    seed: Annotated[int, typer.Option(help="Varies ids and links.")] = 1,
    empty: Annotated[bool, typer.Option("--empty", help="Begin with a team, and without meetings.")] = False,
    webhooks: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Send webhooks to the engine that serves there, as http://127.0.0.1:8080.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve Zoom, Attio, Lightfield and the prospect CRM on this machine until Ctrl-C.

    The configuration to use goes to stdout, or into a file; everything else to stderr. What happens in the
    sandboxes is kept in memory only.
    """
    with ending():
        from sync_engine.cli.init import refuse_to_overwrite, write_private

        if write is not None:
            refuse_to_overwrite(write, force=force)
        stop = _stop_on_signals()
        with _served(seed, port_base, webhooks) as world:
            from sync_engine.sandbox.start_state import populate

            state = populate(world, empty=empty)
            text = _configuration(world, state, webhooks)
            if write is not None:
                write_private(write, text, force=force)
            else:
                typer.echo(text)
            _announce(world, state, write)
            stop.wait()
        typer.echo("Stopped.", err=True)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    return stop


def _served(seed: int, port_base: int, webhooks: str | None) -> World:
    from sync_engine.cli.courier import Courier
    from sync_engine.errors import ConfigurationError
    from sync_engine.sandbox.world import World

    names = ("zoom", "attio", "lightfield", "prospect_crm")
    ports = {name: port_base + number for number, name in enumerate(names)} if port_base else None
    send = Courier(webhooks, WORKSPACE).take if webhooks else _forget
    try:
        world = World(seed=seed, ports=ports, on_delivery=send)
    except OSError as error:
        ends = f"{port_base} to {port_base + 3}"
        raise ConfigurationError(
            f"--port-base: one of the ports {ends} cannot be used ({error.strerror}); "
            "choose another, or 0 for any free ones"
        ) from error
    if webhooks:
        world.zoom.webhook_secret = _secret("zoom")
        world.attio.webhook_secret = _secret("attio")
        world.lightfield.webhook_secret = _secret("lightfield")
        world.prospect_crm.webhook_secret = _secret("prospects")
    return world


def _secret(connection: str) -> str:
    return f"sandbox-{connection}-webhook-secret"


def _forget(_delivery: Any) -> None:
    return None


def _configuration(world: World, state: StartState, webhooks: str | None) -> str:
    from sync_engine.sandbox.configuration import configuration_of

    names = ("zoom", "attio", "lightfield", "prospects") if webhooks else ()
    return configuration_of(
        world,
        workspace=WORKSPACE,
        default_host=state.default_host,
        default_owner_id=state.default_owner_id,
        owner_map=state.owner_map,
        twin_grace_minutes=0,
        extra={name: f'webhook_secret = "{_secret(name)}"' for name in names},
    )


def _announce(world: World, state: StartState, write: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console: Console = Console(stderr=True, highlight=False)
    console.print(Text(f"Four providers, {state.meetings} records; Ctrl-C ends them.", style="bold green"))
    grid = Table.grid(padding=(0, 2))
    for side in world.sandboxes:
        grid.add_row(Text(f"  {side.name}"), Text(side.url, style="cyan"))
    console.print(grid)
    if write is None:
        told = "Save what stands on stdout as sync-engine.toml, or begin again with --write FILE."
        console.print(Text(told))
        return
    named = "" if write == Path("sync-engine.toml") else f" --config {write}"
    console.print(Text(f"Wrote {write}. In another terminal:"))
    next_step(
        console,
        [
            (f"sync-engine{named} plan", "what a sync would do"),
            (f"sync-engine{named} sync", "does it"),
            (f"sync-engine{named} meetings", "what there is"),
        ],
    )
