"""Fixtures for every test: real databases, one fresh and empty one per test and dialect.

SQLite always runs. PostgreSQL runs when a server answers on loopback and trusts us (user root or
postgres, database "test"); otherwise its tests are skipped, and the last lines of the run say so.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import URL

from sync_engine.store import schema
from sync_engine.store.tables import metadata
from sync_engine.store.unit_of_work import Store

DIALECTS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@lru_cache(maxsize=1)
def _postgres() -> URL | None:
    """Give the server's URL, None if it does not answer or does not trust us."""
    for user in ("root", "postgres"):
        url = URL.create("postgresql+psycopg", user, host="127.0.0.1", port=5432, database="test")
        engine = sa.create_engine(url, connect_args={"connect_timeout": 2}, poolclass=sa.NullPool)
        try:
            with engine.connect():
                return url
        except sa.exc.OperationalError:
            continue
    return None


def _in_database(url: URL, statement: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


@contextmanager
def _own_postgres_database() -> Iterator[str]:
    """Give a database nobody else uses, so that runs side by side, or one that crashed, never meet."""
    server = _postgres()
    if server is None:
        pytest.skip("PostgreSQL does not answer on 127.0.0.1:5432 (user root or postgres, database test)")
    name = f"sync_engine_{secrets.token_hex(6)}"
    _in_database(server, f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _in_database(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def _log_as_it_comes() -> Iterator[None]:
    """Undo what a command set the log to: a level would keep later tests from hearing an event."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give a migrated database of this session's own on a real PostgreSQL, or skip."""
    with _own_postgres_database() as url:
        store = Store.open(url)
        schema.upgrade(store.engine)
        store.close()
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated, empty SQLite file to copy: migrating anew for every test would be most of its time."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    store = Store.open(f"sqlite:///{path}")
    schema.upgrade(store.engine)
    # Closing the last connection also brings the write-ahead log home into the file.
    store.close()
    return path


@pytest.fixture(params=DIALECTS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database without any table: the test runs once per dialect."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with _own_postgres_database() as url:
        yield url


@pytest.fixture
def database_urls(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give the URL of a database without any table, for each dialect that answers."""
    urls = {"sqlite": f"sqlite:///{tmp_path / 'database.db'}"}
    if _postgres() is None:
        yield urls
        return
    with _own_postgres_database() as url:
        yield urls | {"postgresql": url}


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty, migrated database: the test runs once per dialect."""
    if request.param == "sqlite":
        path = tmp_path / "sync-engine.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        yield f"sqlite:///{path}"
        return
    url = str(request.getfixturevalue("postgres_url"))
    _empty(url)
    yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Give an open store on an empty, migrated database: the test runs once per dialect."""
    opened = Store.open(database_url)
    yield opened
    opened.close()


def _empty(url: str) -> None:
    names = ", ".join(table.name for table in metadata.sorted_tables)
    _in_database(sa.make_url(url), f"TRUNCATE {names} CASCADE")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what was skipped for want of PostgreSQL."""
    if report.skipped and "PostgreSQL does not answer" in str(report.longrepr):
        _skipped.append(report.nodeid)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it where nobody overlooks it."""
    if _skipped:
        terminalreporter.write_line(
            f"NOT TESTED ON POSTGRESQL: {len(_skipped)} tests; no server answers on 127.0.0.1:5432", red=True
        )


_skipped: list[str] = []
