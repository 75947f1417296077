"""A host whose clock is an hour wrong neither takes leases it must not have, nor makes others wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sync_engine.services import marks
from sync_engine.store.clock import DatabaseClock, clock_of
from sync_engine.store.leases import LEASE_TTL
from sync_engine.store.unit_of_work import Store

HOUR = timedelta(hours=1)


def right() -> datetime:
    return datetime.now(UTC)


def an_hour_fast() -> datetime:
    return right() + HOUR


def an_hour_slow() -> datetime:
    return right() - HOUR


@pytest.fixture
def postgres(postgres_url: str) -> str:
    """Give a database several hosts share."""
    store = Store.open(postgres_url)
    with store.transaction() as uow:
        marks.take_away(uow, "clock")
    store.close()
    return postgres_url


@pytest.mark.postgres
@pytest.mark.parametrize("wrong", [an_hour_fast, an_hour_slow])
def test_a_host_with_a_wrong_clock_tells_the_databases_time(postgres: str, wrong: object) -> None:
    store = Store.open(postgres)
    clock = DatabaseClock(store.engine, wrong)  # type: ignore[arg-type]

    told = clock()
    store.close()

    assert abs(told - right()) < timedelta(seconds=5)


@pytest.mark.postgres
def test_a_host_with_a_fast_clock_does_not_take_a_held_lease(postgres: str) -> None:
    here, there = Store.open(postgres, right), Store.open(postgres, an_hour_fast)
    with here.transaction() as uow:
        mine = uow.leases.acquire("clock", "me", LEASE_TTL)

    with there.transaction() as uow:
        theirs = uow.leases.acquire("clock", "you", LEASE_TTL)
        held = uow.leases.held(["clock", "nothing"])
    assert mine is not None
    with here.transaction() as uow:
        uow.leases.release(mine)
    here.close()
    there.close()

    assert theirs is None
    assert held == {"clock"}


@pytest.mark.postgres
def test_a_mark_of_a_host_with_a_slow_clock_lasts_as_long_as_meant(postgres: str) -> None:
    here, there = Store.open(postgres, an_hour_slow), Store.open(postgres, right)

    with here.transaction() as uow:
        first = marks.put(uow, "clock", timedelta(seconds=30))
    with there.transaction() as uow:
        second = marks.put(uow, "clock", timedelta(seconds=30))
        standing = marks.standing(uow, ["clock"])
        marks.take_away(uow, "clock")
        third = marks.put(uow, "clock", timedelta(seconds=30))
    here.close()
    there.close()

    assert (first, second, third) == (True, False, True)
    assert standing == {"clock"}


@pytest.mark.postgres
def test_a_database_that_is_away_leaves_the_time_that_was_told_last(postgres: str) -> None:
    ticks = [0.0]
    store = Store.open(postgres)
    clock = DatabaseClock(store.engine, an_hour_fast, monotonic=lambda: ticks[0])
    clock()
    lost = Store.open("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    away = DatabaseClock(lost.engine, right)

    ticks[0] += 30
    later = clock()
    store.close()
    alone = away()
    lost.close()

    assert abs(later - right()) < timedelta(seconds=5)
    assert abs(alone - right()) < timedelta(seconds=5)


def test_one_host_alone_uses_its_own_clock() -> None:
    store = Store.open("sqlite://")

    assert clock_of(store.engine, an_hour_fast) is an_hour_fast
    store.close()
