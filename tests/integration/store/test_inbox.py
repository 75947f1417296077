"""The inbox on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from sync_engine.core.ports import Hints
from sync_engine.store.inbox import InboxRow, InboxState
from sync_engine.store.unit_of_work import Store
from tests.integration.store.rows import ATTIO, NOW, ZOOM, new_id, prepare

ALL = Hints(
    records=("1", "2/3"),
    groups=("4",),
    told_gone=frozenset({"4"}),
    people=("p",),
    sweep=True,
    claims={"4": {"topic": "digest"}},
)


def delivery(name: str, *, seconds: float = 0, connection: str = ZOOM, hints: Hints = ALL) -> InboxRow:
    moment = NOW + timedelta(seconds=seconds)
    return InboxRow(new_id(NOW), connection, name, moment, moment, hints=hints)


@pytest.fixture(autouse=True)
def connections(store: Store) -> None:
    prepare(store)


def put(store: Store, *rows: InboxRow) -> frozenset[str]:
    with store.transaction() as uow:
        return uow.inbox.put(rows)


def names(rows: list[InboxRow]) -> list[str]:
    return [row.delivery_id for row in rows]


def pending(store: Store, *, seconds: float = 3600, connection: str = ZOOM, limit: int = 100) -> list[str]:
    with store.reading() as uow:
        return names(uow.inbox.pending(connection, NOW + timedelta(seconds=seconds), limit))


def test_a_delivery_comes_back_as_it_was_stored(store: Store) -> None:
    row = delivery("one")

    put(store, row)

    with store.reading() as uow:
        assert uow.inbox.get(row.id) == row


def test_a_repeated_delivery_is_not_stored_again(store: Store) -> None:
    first, again, elsewhere = delivery("one"), delivery("one"), delivery("one", connection=ATTIO)

    assert put(store, first) == {first.id}
    assert put(store, again, elsewhere) == {elsewhere.id}
    assert pending(store) == ["one"]


def test_a_delivery_repeated_within_one_batch_is_stored_once(store: Store) -> None:
    first, again = delivery("one"), delivery("one")

    assert put(store, first, again) == {first.id}


def test_a_closed_delivery_is_still_recognised(store: Store) -> None:
    first = delivery("one")
    put(store, first)
    with store.transaction() as uow:
        uow.inbox.finish([first.id], NOW)

    assert put(store, delivery("one")) == frozenset()
    assert pending(store) == []


def test_the_oldest_comes_first_and_what_waits_is_passed_over(store: Store) -> None:
    late, early, waiting = delivery("late", seconds=9), delivery("early", seconds=1), delivery("waiting")
    put(store, late, early, waiting)
    with store.transaction() as uow:
        uow.inbox.retry([waiting.id], NOW + timedelta(seconds=60), "no answer")

    assert pending(store, seconds=30) == ["early", "late"]
    assert pending(store, seconds=90, limit=2) == ["waiting", "early"]


def test_each_retry_counts_and_a_pause_does_not(store: Store) -> None:
    row = delivery("one")
    put(store, row)
    with store.transaction() as uow:
        uow.inbox.retry([row.id], NOW, "no answer")
        uow.inbox.retry([row.id], NOW, "no answer")
        uow.inbox.postpone(ZOOM, NOW + timedelta(hours=2), "limited")

    with store.reading() as uow:
        kept = uow.inbox.get(row.id)
        due = uow.inbox.next_due(ZOOM)
    assert kept is not None
    assert (kept.attempts, kept.reason, kept.state) == (2, "limited", InboxState.PENDING)
    assert due == NOW + timedelta(hours=2)


def test_a_pause_never_brings_anything_forward(store: Store) -> None:
    row = delivery("one")
    put(store, row)
    with store.transaction() as uow:
        uow.inbox.retry([row.id], NOW + timedelta(hours=2), "no answer")
        uow.inbox.postpone(ZOOM, NOW + timedelta(hours=1), "limited")
        assert uow.inbox.next_due(ZOOM) == NOW + timedelta(hours=2)


def test_what_is_closed_stays_closed(store: Store) -> None:
    row = delivery("one")
    put(store, row)
    with store.transaction() as uow:
        uow.inbox.finish([row.id], NOW, reason="read")
        uow.inbox.retry([row.id], NOW, "a slower worker")
        uow.inbox.finish([row.id], NOW, state=InboxState.FAILED)

    with store.reading() as uow:
        kept = uow.inbox.get(row.id)
    assert kept is not None
    assert (kept.state, kept.attempts, kept.reason) == (InboxState.DONE, 0, "read")


def test_one_forgotten_delivery_is_named_for_each_connection(store: Store) -> None:
    old, older, new = delivery("old", seconds=1), delivery("older"), delivery("new", seconds=50)
    there = delivery("there", connection=ATTIO)
    put(store, old, older, new, there)

    with store.reading() as uow:
        found = uow.inbox.forgotten(NOW + timedelta(seconds=60), NOW + timedelta(seconds=30))

    assert set(found) == {ZOOM, ATTIO}
    assert found[ZOOM] in {old.id, older.id}


def test_what_deliveries_told_is_found_since_a_moment(store: Store) -> None:
    put(
        store,
        delivery("before", hints=Hints(records=("1",))),
        delivery("after", seconds=60, hints=Hints(records=("2",))),
        delivery("empty", seconds=61, hints=Hints()),
    )

    with store.reading() as uow:
        told = uow.inbox.told_since(ZOOM, NOW + timedelta(seconds=60))

    assert sorted(told, key=repr) == sorted([Hints(records=("2",)), Hints()], key=repr)


def test_pending_deliveries_are_counted_by_connection(store: Store) -> None:
    first = delivery("1")
    put(store, first, delivery("2", seconds=3), delivery("3", connection=ATTIO))
    with store.transaction() as uow:
        uow.inbox.finish([first.id], NOW)

    with store.reading() as uow:
        counts = [(c.connection_id, c.rows, c.oldest) for c in uow.inbox.counts()]

    assert counts == [(ATTIO, 1, NOW), (ZOOM, 1, NOW + timedelta(seconds=3))]


def test_only_what_was_closed_long_ago_is_forgotten(store: Store) -> None:
    old, young, waiting = delivery("old"), delivery("young"), delivery("waiting")
    put(store, old, young, waiting)
    with store.transaction() as uow:
        uow.inbox.finish([old.id], NOW)
        uow.inbox.finish([young.id], NOW + timedelta(days=2))

    with store.transaction() as uow:
        forgotten = uow.inbox.prune(NOW + timedelta(days=1))

    with store.reading() as uow:
        left = [name for name in (old, young, waiting) if uow.inbox.get(name.id)]
    assert (forgotten, names(left)) == (1, ["young", "waiting"])


def test_saving_a_connection_leaves_what_is_known_of_its_webhooks(store: Store) -> None:
    with store.transaction() as uow:
        uow.connections.adapt_polling(ZOOM, 75.0, missed=2)
        uow.connections.adapt_polling(ZOOM, 60.0, missed=1)
        uow.connections.want_sweep(ZOOM, NOW)
        row = uow.connections.get(ZOOM)
        assert row is not None
        row.missed, row.poll_seconds = 0, None
        uow.connections.save(row)

    with store.reading() as uow:
        kept = uow.connections.get(ZOOM)
    assert kept is not None
    assert (kept.missed, kept.poll_seconds, kept.sweep_wanted_at) == (3, 60.0, NOW)


def test_two_receivers_that_store_the_same_deliveries_at_once_store_them_once(store: Store) -> None:
    mine = [delivery(str(n)) for n in range(200)]
    yours = [delivery(str(n)) for n in reversed(range(200))]
    stored: list[frozenset[str]] = []
    threads = [
        threading.Thread(target=lambda r=rows: stored.append(put(store, *r))) for rows in (mine, yours)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(len(ids) for ids in stored) == 200
    assert len(pending(store, limit=1000)) == 200
