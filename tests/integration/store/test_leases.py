"""Leases: one holder at a time, a fence against the one that slept, and none held by the dead."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from sync_engine.errors import LeaseLostError
from sync_engine.store.leases import Lease
from sync_engine.store.processes import host, is_dead, new_owner, started
from sync_engine.store.unit_of_work import Store

NAME = "pull:acme/zoom"
LONG = timedelta(minutes=1)
GONE = timedelta(seconds=-1)  # expired at once: no test waits for a clock


def _acquire(store: Store, owner: str, ttl: timedelta = LONG) -> Lease | None:
    with store.transaction() as uow:
        return uow.leases.acquire(NAME, owner, ttl)


def test_a_held_lease_is_refused_to_others(store: Store) -> None:
    mine = _acquire(store, "me")

    assert mine == Lease(NAME, "me", 1)
    assert _acquire(store, "you") is None


def test_an_expired_lease_changes_hands_with_a_higher_fence(store: Store) -> None:
    mine = _acquire(store, "me", GONE)
    yours = _acquire(store, "you")

    assert mine is not None
    assert yours == Lease(NAME, "you", mine.fence + 1)


def test_the_holder_that_was_fenced_off_cannot_write_or_renew(store: Store) -> None:
    mine = _acquire(store, "me", GONE)
    _acquire(store, "you")
    assert mine is not None

    with pytest.raises(LeaseLostError), store.transaction() as uow:
        uow.leases.assert_held(NAME, mine.fence)
    with pytest.raises(LeaseLostError), store.transaction() as uow:
        uow.leases.renew(mine)


def test_a_holder_that_was_fenced_off_does_not_free_the_new_holders_lease(store: Store) -> None:
    mine = _acquire(store, "me", GONE)
    yours = _acquire(store, "you")
    assert mine is not None
    assert yours is not None

    with store.transaction() as uow:
        uow.leases.release(mine)
        uow.leases.assert_held(NAME, yours.fence)


def test_taking_an_own_lease_again_fences_off_the_earlier_self(store: Store) -> None:
    first, second = _acquire(store, "me"), _acquire(store, "me")
    assert first is not None
    assert second is not None

    with store.transaction() as uow:
        uow.leases.assert_held(NAME, second.fence)
    with pytest.raises(LeaseLostError), store.transaction() as uow:
        uow.leases.assert_held(NAME, first.fence)


def test_a_released_lease_is_free_at_once_and_its_fence_goes_on(store: Store) -> None:
    mine = _acquire(store, "me")
    assert mine is not None

    with store.transaction() as uow:
        uow.leases.release(mine)

    with pytest.raises(LeaseLostError), store.transaction() as uow:
        uow.leases.assert_held(NAME, mine.fence)
    assert _acquire(store, "you") == Lease(NAME, "you", mine.fence + 1)


def test_renewing_moves_the_end(store: Store) -> None:
    mine = _acquire(store, "me")
    assert mine is not None
    with store.reading() as uow:
        before = uow.leases.get(NAME)

    with store.transaction() as uow:
        uow.leases.renew(mine, 10 * LONG)

    with store.reading() as uow:
        after = uow.leases.get(NAME)
    assert before is not None
    assert after is not None
    assert after.expires_at > before.expires_at
    assert after.fence == before.fence


def test_only_one_of_many_that_try_at_once_gets_the_lease(store: Store) -> None:
    won: list[Lease] = []

    def try_it(owner: str) -> None:
        lease = _acquire(store, owner)
        if lease is not None:
            won.append(lease)

    threads = [threading.Thread(target=try_it, args=(f"worker-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(won) == 1


def test_nobody_takes_over_while_the_holder_writes(store: Store) -> None:
    if store.engine.dialect.name == "sqlite":
        pytest.skip("on SQLite a second writer waits for the first: nobody can take over meanwhile")
    mine = _acquire(store, "me", GONE)
    assert mine is not None
    taken = threading.Event()

    def take_over() -> None:
        _acquire(store, "you")
        taken.set()

    with store.transaction() as uow:
        uow.leases.assert_held(NAME, mine.fence)
        thread = threading.Thread(target=take_over)
        thread.start()
        # The other one has begun and hangs at the row; it can only go on once we are through.
        assert not taken.wait(timeout=0.3)
        uow.leases.assert_held(NAME, mine.fence)
    thread.join(timeout=30)

    assert taken.is_set()


def test_the_lease_of_a_process_that_ended_is_free_at_once(store: Store) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "from sync_engine.store.processes import new_owner; print(new_owner())"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    _acquire(store, child.stdout.strip())

    with store.transaction() as uow:
        broken = uow.leases.break_if_dead(NAME)

    assert broken is True
    assert _acquire(store, "me") is not None


def test_the_lease_of_a_living_process_is_not_broken(store: Store) -> None:
    _acquire(store, new_owner())

    with store.transaction() as uow:
        assert uow.leases.break_if_dead(NAME) is False
        assert uow.leases.break_if_dead("no such lease") is False


def test_nobody_is_declared_dead_from_another_host() -> None:
    assert is_dead("elsewhere#pid:[1]|999999|1|token") is False
    assert is_dead("not an owner") is False


def test_a_pid_that_was_given_to_another_process_is_dead() -> None:
    name, pid, start, token = new_owner().split("|")
    if started(int(pid)) is None:
        pytest.skip("this system does not tell when a process started")

    assert is_dead("|".join((name, pid, start, token))) is False
    assert is_dead("|".join((name, pid, "1", token))) is True


def test_two_holders_in_one_process_are_told_apart() -> None:
    assert new_owner() != new_owner()
    assert new_owner().startswith(host())


def test_on_sqlite_our_clock_decides_when_a_lease_has_expired(
    store: Store, database_url: str, request: pytest.FixtureRequest
) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL goes by its own clock")
    moment = [datetime(2030, 1, 1, tzinfo=UTC)]
    ours = Store.open(database_url, lambda: moment[0])
    request.addfinalizer(ours.close)

    _acquire(ours, "me")
    refused = _acquire(ours, "you")
    moment[0] += LONG

    assert refused is None
    assert _acquire(ours, "you") is not None
