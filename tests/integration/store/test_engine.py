"""Transactions do not lose updates, do not leak values, and readers cannot write, on both databases."""

from __future__ import annotations

import threading
import traceback
from enum import StrEnum
from pathlib import Path

import pytest
import sqlalchemy as sa

from sync_engine.store.unit_of_work import Store, UnitOfWork
from tests.integration.store.rows import NOW, WORKSPACE, ZOOM, keep, meeting, prepare, ref


class _Unheard(StrEnum):
    OF = "unheard of"


def test_counting_from_several_threads_at_once_loses_nothing(store: Store) -> None:
    prepare(store)

    def count() -> None:
        for _ in range(25):
            with store.transaction() as uow:
                uow.quotas.add(ZOOM, "host", NOW.date())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    with store.reading() as uow:
        assert uow.quotas.used(ZOOM, "host", NOW.date()) == 100


def test_a_transaction_that_raises_leaves_nothing_behind(store: Store) -> None:
    prepare(store)
    row = meeting()

    def fail_halfway() -> None:
        with store.transaction() as uow:
            uow.meetings.save([row], NOW)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_halfway()

    with store.reading() as uow:
        assert uow.meetings.load([row.id]) == {}


def test_a_failing_savepoint_keeps_the_rest_of_its_transaction(store: Store) -> None:
    prepare(store)
    kept, dropped = meeting(), meeting()

    def fail_inside(uow: UnitOfWork) -> None:
        with uow.savepoint():
            uow.meetings.save([dropped], NOW)
            raise RuntimeError("this one only")

    with store.transaction() as uow:
        uow.meetings.save([kept], NOW)
        with pytest.raises(RuntimeError, match="this one only"):
            fail_inside(uow)

    with store.reading() as uow:
        assert set(uow.meetings.load([kept.id, dropped.id])) == {kept.id}


def test_reading_refuses_to_write(store: Store) -> None:
    prepare(store)

    with pytest.raises(sa.exc.DBAPIError), store.reading() as uow:
        uow.quotas.add(ZOOM, "host", NOW.date())

    with store.transaction() as uow:
        assert uow.quotas.add(ZOOM, "host", NOW.date()) == 1


def test_reading_sees_one_state_while_others_write(store: Store) -> None:
    prepare(store)
    with store.reading() as uow:
        before = uow.quotas.used(ZOOM, "host", NOW.date())

        with store.transaction() as other:
            other.quotas.add(ZOOM, "host", NOW.date())

        assert uow.quotas.used(ZOOM, "host", NOW.date()) == before


def test_an_error_of_the_database_does_not_repeat_titles(store: Store) -> None:
    prepare(store)
    one, other = meeting("Very private title"), meeting("Another private title")
    keep(store, one, other, ref(one, "1"))

    with pytest.raises(sa.exc.IntegrityError) as caught, store.transaction() as uow:
        uow.refs.save([ref(other, "1")])

    assert "private" not in str(caught.value)
    assert "ada@acme.example" not in str(caught.value)


def test_an_error_does_not_quote_the_row_that_failed(store: Store) -> None:
    prepare(store)
    row = meeting("Very private title", status=_Unheard.OF)

    with pytest.raises(sa.exc.IntegrityError) as caught:
        keep(store, row)

    shown = "".join(traceback.format_exception(caught.value))
    assert "ck_meetings_status" in shown
    assert "private title" not in shown
    assert "ada@acme.example" not in shown


def test_text_that_no_database_stores_is_kept_readable(store: Store) -> None:
    prepare(store)
    row = meeting("cut in two \ud83d and nul \0 here")

    keep(store, row)

    with store.reading() as uow:
        assert uow.meetings.load([row.id])[row.id].meeting.title == "cut in two ? and nul \ufffd here"


def test_a_naive_moment_is_refused(store: Store) -> None:
    prepare(store)
    row = meeting(due_at=NOW.replace(tzinfo=None))

    with pytest.raises(sa.exc.StatementError, match="must be aware"):
        keep(store, row)


def test_sqlite_runs_in_wal_with_enforced_foreign_keys(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'pragmas.db'}")

    with store.reading() as uow:
        found = {
            name: uow.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }

    store.close()
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000, "synchronous": 1}


def test_a_ref_without_its_meeting_is_refused(store: Store) -> None:
    prepare(store)

    with pytest.raises(sa.exc.IntegrityError), store.transaction() as uow:
        uow.refs.save([ref(meeting(), "1")])


def test_connections_and_workspace_are_made_once(store: Store) -> None:
    prepare(store)
    prepare(store)

    with store.reading() as uow:
        assert uow.connections.workspaces() == [WORKSPACE]
        assert [row.id for row in uow.connections.of_workspace(WORKSPACE)] == ["acme/attio", "acme/zoom"]
