"""Fixtures of the process tests: a Redis of our own, and PostgreSQL where one answers, else SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_engine.store import schema
from sync_engine.store.unit_of_work import Store
from tests.conftest import _own_postgres_database, _postgres
from tests.integration.workers.rig import OwnRedis, Rig, opened


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """Give a running redis-server of this test's own, or skip."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        pytest.skip("NOT TESTED: there is no redis-server on this machine")
    server = OwnRedis(binary)
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def shared_database_url(tmp_path: Path) -> Iterator[str]:
    """Give a migrated database for several processes: PostgreSQL where one answers, else SQLite."""
    if _postgres() is None:
        yield f"sqlite:///{tmp_path / 'rig.db'}"
        return
    with _own_postgres_database() as url:
        store = Store.open(url)
        schema.upgrade(store.engine)
        store.close()
        yield url


@pytest.fixture
def rig(tmp_path: Path, shared_database_url: str, own_redis: OwnRedis) -> Iterator[Rig]:
    """Give a world with nothing running yet."""
    with opened(Rig(tmp_path, shared_database_url, own_redis.url)) as each:
        yield each
