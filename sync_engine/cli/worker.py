"""``sync-engine worker``, ``beat`` and ``flower``: the processes of a distributed engine."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sync_engine.cli.context import ConfigOption, ending, examples, read_settings, shared

if TYPE_CHECKING:
    from sync_engine.settings import Settings

WORKER_EXAMPLES = examples(
    "sync-engine worker                                    every queue, four processes",
    "sync-engine worker --queues pull --concurrency 2      only sweeps, beside workers for the rest",
)
BEAT_EXAMPLES = examples("sync-engine beat")
FLOWER_EXAMPLES = examples("FLOWER_BASIC_AUTH=anna:secret sync-engine flower")

CONCURRENCY = 4


class Pool(StrEnum):
    """How a worker does several things at once."""

    PREFORK = "prefork"
    THREADS = "threads"


def worker(
    ctx: typer.Context,
    queues: Annotated[
        str,
        typer.Option(
            help="Queues to work on, separated by commas: webhooks, control, reconcile, push, pull; "
            "all of them if none is named.",
            show_default=False,
        ),
    ] = "",
    concurrency: Annotated[int, typer.Option(help="How many tasks at once.", min=1)] = CONCURRENCY,
    pool: Annotated[
        Pool, typer.Option(help="Processes survive each other and have time limits; threads are small.")
    ] = Pool.PREFORK,
    name: Annotated[str, typer.Option(help="What Flower and the log call this worker.")] = "worker",
    config: ConfigOption = None,
) -> None:
    """Work on tasks until told to end; needs a Redis (redis_url) and the database."""
    with ending():
        settings = _ready(ctx, config)
        if pool is Pool.PREFORK:
            # To be read while Celery is imported. With it SIGTERM, which is all that containers and
            # Procfile runners know, lets tasks finish for a while and puts the rest back into its queue.
            os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
        from workers.app import QUEUES, app

        chosen = _chosen_queues(queues, QUEUES)
    _hand_over(
        app,
        "worker",
        f"--pool={pool.value}",
        f"--concurrency={concurrency}",
        f"--queues={','.join(chosen)}",
        f"--hostname={name}@%h",
        f"--loglevel={_level(ctx, settings)}",
        # Workers need not know each other, and introductions take a second at every start.
        "--without-gossip",
        "--without-mingle",
    )


def beat(ctx: typer.Context, config: ConfigOption = None) -> None:
    """Wake the workers every few seconds; a second one stands by and takes over when the first ends."""
    with ending():
        settings = _ready(ctx, config)
        from workers.app import app
    _hand_over(app, "beat", f"--loglevel={_level(ctx, settings)}", "--pidfile=")


def flower(
    ctx: typer.Context,
    login: Annotated[
        str,
        typer.Option(
            envvar="FLOWER_BASIC_AUTH",
            metavar="USER:PASSWORD",
            help="Who may look; there is no Flower without.",
            show_default=False,
        ),
    ] = "",
    address: Annotated[
        str, typer.Option(help="Where to listen; its /metrics asks nobody for a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 5555,
    config: ConfigOption = None,
) -> None:
    """Watch workers and tasks in a browser; remembers what it saw."""
    with ending():
        settings = _ready(ctx, config)
        _check_login(login)
        from workers.app import app

        database = _folder(settings) / "flower.db"
    # Not as an argument, which every user of the machine can read.
    os.environ["FLOWER_BASIC_AUTH"] = login
    _hand_over(
        app,
        "flower",
        f"--address={address}",
        f"--port={port}",
        "--persistent=True",
        f"--db={database}",
        "--state_save_interval=5000",
        f"--logging={_level(ctx, settings)}",
    )


def new_key() -> None:
    """Print a new key for secret_key, which encrypts the tokens that are kept."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())


def _ready(ctx: typer.Context, config: Path | None) -> Settings:
    """Read the settings and see that the database and a broker are there, before anything is forked."""
    from sync_engine.bootstrap import open_store

    settings = read_settings(ctx, config)
    if settings.path is not None:
        # Celery reads the configuration by itself, in this process and in its children.
        os.environ["SYNC_ENGINE_CONFIG"] = str(settings.path.absolute())
    from workers.process import broker_url

    broker_url()
    open_store(settings).close()
    return settings


def _chosen_queues(named: str, known: tuple[str, ...]) -> tuple[str, ...]:
    from sync_engine.configuration.problems import suggestion
    from sync_engine.errors import ConfigurationError

    wanted = [name.strip() for name in named.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise ConfigurationError(f'no queue is named "{name}"; {suggestion(name, known)}')
    # In our order, whatever was typed: it says what is looked at first.
    return tuple(name for name in known if not wanted or name in wanted)


def _check_login(login: str) -> None:
    from sync_engine.errors import ConfigurationError

    user, separator, password = login.partition(":")
    if not (user and separator and password):
        raise ConfigurationError(
            "Flower shows every task and can end workers: set FLOWER_BASIC_AUTH to USER:PASSWORD first"
        )


def _folder(settings: Settings) -> Path:
    from sync_engine.embedded.folder import state_folder

    return state_folder(*([settings.path.parent] if settings.path else []), Path())


def _level(ctx: typer.Context, settings: Settings) -> str:
    return shared(ctx).log_level or settings.log.level


def _hand_over(app: object, *arguments: str) -> NoReturn:
    """Let Celery's own command line go on in this process."""
    app.start(["--quiet", *arguments])  # type: ignore[attr-defined]
    raise typer.Exit
