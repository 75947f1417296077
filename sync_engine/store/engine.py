"""Opens the database: one way in for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext, make_url

from sync_engine.errors import ConfigurationError
from sync_engine.store.types import dump_json, load_json

READ_ONLY = "sync_engine_read_only"
"""Name of the execution option that makes a transaction a reading one."""

DATABASE_TROUBLE: tuple[type[Exception], ...] = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,
)
"""What a database raises that is away, full or locked: it says nothing about the work at hand."""

_BUSY_TIMEOUT_MILLISECONDS = 30_000

STATEMENT_TIMEOUT_SECONDS = 30
"""The longest statement, waits for locks included; pages are small, so one that lasts longer is stuck."""
IDLE_IN_TRANSACTION_SECONDS = 60

_POSTGRESQL: dict[str, Any] = {
    # Every worker process has a pool of its own, and PostgreSQL often permits no more than a hundred
    # connections; a process does one thing at a time, and a lease is renewed beside it.
    "pool_size": 2,
    "max_overflow": 4,
    "pool_timeout": 30,
    # A database that was restarted, or a firewall that forgot us, is noticed before a statement is lost.
    "pool_pre_ping": True,
    "pool_recycle": 1800,
}

# Parameters are titles and addresses: an error that shows them would carry them into a log.
_COMMON: dict[str, Any] = {
    "json_serializer": dump_json,
    "json_deserializer": load_json,
    "hide_parameters": True,
}


def open_engine(url: str) -> Engine:
    """Open a database by URL: ``sqlite:///file.db`` or ``postgresql+psycopg://...``.

    Raises:
        ConfigurationError: another database, or the PostgreSQL driver is not installed.
    """
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        return _open_sqlite(address)
    return _open_postgresql(address)


def _open_postgresql(address: URL) -> Engine:
    try:
        engine = sa.create_engine(address, **_POSTGRESQL, **_COMMON)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "database_url: the PostgreSQL driver is missing; install meeting-sync-engine[postgres]"
        ) from error
    event.listen(engine, "handle_error", _without_the_row)
    event.listen(engine, "connect", _bound_statements)
    return engine


def _bound_statements(connection: Any, _record: object) -> None:
    """Let no statement, and no transaction that somebody forgot, hold up the others for long."""
    # After connecting, not among the parameters of the connection: poolers in between refuse those.
    was_autocommit, connection.autocommit = connection.autocommit, True
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_SECONDS * 1000}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_SECONDS * 1000}")
    connection.autocommit = was_autocommit


def _without_the_row(context: ExceptionContext) -> None:
    """Cut an error of PostgreSQL down to its first sentence: the details may quote the whole row."""
    diagnosis = getattr(context.original_exception, "diag", None)
    sentence = getattr(diagnosis, "message_primary", None)
    if sentence:
        context.original_exception.args = (sentence,)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (sentence,)


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except sa.exc.ArgumentError as error:
        # The URL may hold a password, so the message does not repeat it.
        raise ConfigurationError("database_url: this is not a database URL") from error
    name = address.get_backend_name()
    if name == "sqlite":
        return address.set(drivername="sqlite+pysqlite")
    if name == "postgresql":
        return address.set(drivername="postgresql+psycopg")
    raise ConfigurationError(f"database_url: {name!r} is not supported; use sqlite or postgresql")


def _open_sqlite(address: URL) -> Engine:
    engine = sa.create_engine(address, **_COMMON)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by us alone: the driver's own way loses updates silently.
    connection.isolation_level = None
    # The timeout comes first, because switching to WAL needs a lock itself.
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MILLISECONDS}",
        "journal_mode=wal",
        "synchronous=normal",
        "foreign_keys=on",
        "temp_store=memory",
        "cache_size=-16000",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns to writing fails at once instead of waiting, so a writer takes
    # the lock at its first statement, and a reader is not allowed to write at all.
    reading = bool(connection.get_execution_options().get(READ_ONLY))
    connection.exec_driver_sql(f"PRAGMA query_only={'on' if reading else 'off'}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
