"""Database connections of worker processes: few, bounded, and replaced when the server drops them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from sync_engine.store.engine import STATEMENT_TIMEOUT_SECONDS
from sync_engine.store.unit_of_work import Store

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    """Give an open store on PostgreSQL."""
    opened = Store.open(postgres_url)
    yield opened
    opened.close()


def shown(store: Store, name: str) -> str:
    with store.engine.connect() as connection:
        return str(connection.execute(sa.text(f"SHOW {name}")).scalar_one())


def test_no_statement_and_no_forgotten_transaction_lasts_for_ever(store: Store) -> None:
    assert shown(store, "statement_timeout") == f"{STATEMENT_TIMEOUT_SECONDS}s"
    assert shown(store, "idle_in_transaction_session_timeout") != "0"


def test_a_transaction_after_the_server_dropped_us_works(store: Store, postgres_url: str) -> None:
    with store.reading() as uow:
        mine = uow.connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    other = Store.open(postgres_url)
    with other.engine.begin() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
    other.close()

    with store.transaction() as uow:
        lease = uow.leases.acquire("pooling", "me")
        assert lease is not None
        uow.leases.release(lease)


def test_a_process_holds_few_connections(store: Store) -> None:
    opened = [store.engine.connect() for _ in range(6)]

    store.engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    with pytest.raises(sa.exc.TimeoutError):
        store.engine.connect()

    for each in opened:
        each.close()
