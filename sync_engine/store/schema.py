"""Brings a database to the tables of this release, and tells whether it is there."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

# Any number will do, as long as it stays the same: two processes that migrate at once meet at it.
_MIGRATION_LOCK = 7_310_426_001


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate up, in one transaction; safe when several processes start at once."""
    with engine.begin() as connection:
        _lock(connection)
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Migrate down, in one transaction; to ``base`` drops every table."""
    with engine.begin() as connection:
        _lock(connection)
        command.downgrade(_config(connection), revision)


def current(engine: Engine) -> str | None:
    """Give the revision a database is at; None for one without our tables."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Give the revision this release works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # the first migration is part of every release
    return revision


def is_current(engine: Engine) -> bool:
    """Tell whether a database is at the revision this release works with."""
    return current(engine) == head()


def is_usable(engine: Engine) -> bool:
    """Tell whether this release can work with a database: at its own revision, or at a later one.

    A migration leaves tables that the release before it works with, so that processes of both may run
    side by side while a release is rolled out. A revision this release has never heard of came later.
    """
    there = current(engine)
    return there is not None and (there == head() or not _is_known(there))


def _is_known(revision: str) -> bool:
    return any(each.revision == revision for each in ScriptDirectory.from_config(_config()).walk_revisions())


def _lock(connection: Connection) -> None:
    # SQLite's writing transactions are alone by nature.
    if connection.dialect.name == "postgresql":
        # A migration of a large table, or the wait for another process that migrates, may take its time.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def _config(connection: Connection | None = None) -> Config:
    # Made here rather than read from an alembic.ini, so that an installed wheel can migrate.
    config = Config()
    config.set_main_option("script_location", "sync_engine.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
