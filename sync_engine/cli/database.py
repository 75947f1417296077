"""``sync-engine db``: bring the database's tables to this release."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sync_engine.cli.context import ConfigOption, ending, examples, read_settings, stdout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

app = typer.Typer(no_args_is_help=True, help="Bring the database's tables to this release.")


@contextmanager
def _database(ctx: typer.Context, config: Path | None) -> Iterator[Engine]:
    from sync_engine.store.unit_of_work import Store

    store = Store.open(read_settings(ctx, config, "warning").database_url)
    try:
        yield store.engine
    finally:
        store.close()


@app.command(epilog=examples("sync-engine db upgrade"))
def upgrade(ctx: typer.Context, config: ConfigOption = None) -> None:
    """Migrate the database; safe to run twice, and by several processes at once."""
    with ending():
        from sync_engine.store import schema

        with _database(ctx, config) as engine:
            before, head = schema.current(engine), schema.head()
            schema.upgrade(engine)
        if before == head:
            stdout().print(f"The database is up to date ({head}).")
        else:
            stdout().print(f"The database was {before or 'empty'} and is {head} now.")


@app.command(epilog=examples("sync-engine db current"))
def current(ctx: typer.Context, config: ConfigOption = None) -> None:
    """Say at which revision the database is; ends with 1 if it needs an upgrade."""
    with ending():
        from sync_engine.store import schema

        with _database(ctx, config) as engine:
            there, head = schema.current(engine), schema.head()
            usable = schema.is_usable(engine)
        if usable:
            stdout().print(
                f"{there} ({'up to date' if there == head else 'of a later release, which is fine'})"
            )
            return
        stdout().print(f"{there or 'no tables'}; this release needs {head}: run sync-engine db upgrade")
        raise typer.Exit(1)
