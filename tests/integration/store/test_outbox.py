"""The outbox: one open write per ref, sealed requests never change, waits live in the rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from sync_engine.core.meeting import Field
from sync_engine.core.ports import Operation, Write
from sync_engine.errors import LeaseLostError
from sync_engine.store.outbox import OutboxCount, OutboxRow, OutboxState, Upserted, outbox_to_row
from sync_engine.store.refs import RefRow
from sync_engine.store.tables import outbox
from sync_engine.store.unit_of_work import Store
from tests.integration.store.rows import (
    NOW,
    WORKSPACE,
    ZOOM,
    intent,
    keep,
    meeting,
    prepare,
    ref,
    sealed,
    values,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def linked(store: Store) -> RefRow:
    prepare(store)
    row = meeting()
    there = ref(row, "1")
    keep(store, row, there)
    return there


def _another(store: Store, external_id: str) -> RefRow:
    row = meeting()
    there = ref(row, external_id)
    keep(store, row, there)
    return there


def _load(store: Store, row: OutboxRow) -> OutboxRow:
    with store.reading() as uow:
        return uow.outbox.load([row.id])[row.id]


def test_an_intent_with_everything_in_it_comes_back_as_it_was(store: Store, linked: RefRow) -> None:
    row = intent(
        linked,
        operation=Operation.CREATE,
        state=OutboxState.UNKNOWN,
        changed=frozenset({Field.TITLE, Field.SCHEDULE}),
        base=values("Before"),
        base_observed_at=NOW - MINUTE,
        particulars={"host": "u1"},
        replaces="old",
        cleanup=True,
        recreate=True,
        priority=1,
        scope="host",
        attempts=3,
        last_error="timeout",
        decision_id="d",
        run_id="r",
        sealed=sealed(details={"topic": "Demo"}),
        sealed_at=NOW,
        finished_at=NOW,
    )

    keep(store, row)

    assert _load(store, row) == row


def test_a_row_becomes_the_write_an_adapter_takes(linked: RefRow) -> None:
    row = intent(linked, particulars={"host": "u1"})

    assert row.write() == Write(
        intent=row.id,
        operation=Operation.UPDATE,
        connection="zoom",
        meeting_id=linked.meeting_id,
        revision=1,
        values=values(),
        intended_at=NOW,
        external_id="1",
        changed=frozenset({Field.TITLE}),
        particulars={"host": "u1"},
    )


def test_three_edits_before_the_first_is_sealed_are_one_write(store: Store, linked: RefRow) -> None:
    first = intent(linked, "d1")
    keep(store, first)

    with store.transaction() as uow:
        for digest, title in (("d2", "Two"), ("d3", "Three")):
            done = uow.outbox.upsert_open([intent(linked, digest, values=values(title))], NOW + MINUTE)
            assert done == Upserted(merged=(first.id,))

    with store.reading() as uow:
        (row,) = uow.outbox.open_of([linked.id])
    assert (row.id, row.digest, row.values[Field.TITLE], row.created_at) == (first.id, "d3", "Three", NOW)


def test_wanting_the_same_again_changes_nothing(store: Store, linked: RefRow) -> None:
    first = intent(linked)
    keep(store, first)

    with store.transaction() as uow:
        uow.outbox.park([first.id], "a person decides")
        done = uow.outbox.upsert_open([intent(linked)], NOW)

    assert done == Upserted(kept=(first.id,))
    assert _load(store, first).state is OutboxState.PARKED


@pytest.mark.parametrize("state", [OutboxState.SEALED, OutboxState.UNKNOWN])
def test_a_ref_whose_write_may_be_under_way_is_busy(store: Store, linked: RefRow, state: OutboxState) -> None:
    first = intent(linked, state=state, sealed=sealed())
    keep(store, first)

    with store.transaction() as uow:
        done = uow.outbox.upsert_open([intent(linked, "d2")], NOW)

    assert done == Upserted(busy=(linked.id,))
    assert _load(store, first).digest == "d1"


def test_a_new_intent_after_a_failed_request_gets_a_key_of_its_own(store: Store, linked: RefRow) -> None:
    first = intent(linked, state=OutboxState.FAILED, sealed=sealed())
    keep(store, first)
    second = intent(linked, "d2")

    with store.transaction() as uow:
        done = uow.outbox.upsert_open([second], NOW)

    assert done == Upserted(inserted=(second.id,))
    assert _load(store, first).state is OutboxState.SUPERSEDED


def test_removing_a_replaced_record_stands_beside_the_write_of_the_new_one(
    store: Store, linked: RefRow
) -> None:
    removal = intent(linked, operation=Operation.DELETE, cleanup=True, external_id="old")
    update = intent(linked)

    with store.transaction() as uow:
        done = uow.outbox.upsert_open([removal, update], NOW)

    assert set(done.inserted) == {removal.id, update.id}
    with store.reading() as uow:
        assert [row.id for row in uow.outbox.open_of([linked.id])] == [removal.id, update.id]


def test_the_database_refuses_a_second_open_write_of_one_ref(store: Store, linked: RefRow) -> None:
    keep(store, intent(linked))

    with pytest.raises(sa.exc.IntegrityError), store.transaction() as uow:
        uow.connection.execute(outbox.insert(), [outbox_to_row(intent(linked, "d2"))])


def test_due_rows_come_most_urgent_first_and_only_when_their_time_has_come(
    store: Store, linked: RefRow
) -> None:
    urgent, early, late = _another(store, "2"), _another(store, "3"), _another(store, "4")
    waiting, parked = _another(store, "5"), _another(store, "6")
    rows = {
        "late": intent(late, not_before=NOW),
        "early": intent(early, not_before=NOW - MINUTE, state=OutboxState.FAILED),
        "urgent": intent(urgent, priority=0, state=OutboxState.UNKNOWN, sealed=sealed()),
        "waiting": intent(waiting, not_before=NOW + MINUTE),
        "parked": intent(parked, state=OutboxState.PARKED),
    }
    keep(store, *rows.values())

    with store.reading() as uow:
        due = [row.id for row in uow.outbox.due(ZOOM, NOW, 10)]
        two = [row.id for row in uow.outbox.due(ZOOM, NOW, 2)]
        counted = uow.outbox.due_connections(NOW)
        elsewhere = uow.outbox.due("acme/attio", NOW, 10)

    assert due == [rows["urgent"].id, rows["early"].id, rows["late"].id]
    assert (two, counted, elsewhere) == (due[:2], {ZOOM: 3}, [])


def test_rows_of_a_limited_scope_let_the_others_pass(store: Store, linked: RefRow) -> None:
    limited, free = intent(linked, scope="h1"), intent(_another(store, "2"), scope="h2")
    keep(store, limited, free)

    with store.reading() as uow:
        assert [row.id for row in uow.outbox.due(ZOOM, NOW, 10, without_scopes={"h1"})] == [free.id]


def test_the_next_due_moment_passes_over_what_waits_for_a_person(store: Store, linked: RefRow) -> None:
    keep(store, intent(linked, not_before=NOW + 2 * MINUTE))
    keep(store, intent(_another(store, "2"), not_before=NOW, state=OutboxState.PARKED))

    with store.reading() as uow:
        assert uow.outbox.next_due(ZOOM) == NOW + 2 * MINUTE
        assert uow.outbox.next_due("acme/attio") is None


def test_sealing_freezes_the_exact_request_and_counts_the_attempt(store: Store, linked: RefRow) -> None:
    row = intent(linked)
    keep(store, row)
    request = sealed('{"b": "\\u0000 \\ud83d ü",\n "a": 1}', scope="host")

    with store.transaction() as uow:
        uow.outbox.seal(row.id, request, NOW)

    found = _load(store, row)
    assert (found.state, found.sealed, found.sealed_at, found.attempts, found.scope) == (
        OutboxState.SEALED,
        request,
        NOW,
        1,
        "host",
    )


@pytest.mark.parametrize(
    "state", [OutboxState.SEALED, OutboxState.UNKNOWN, OutboxState.PARKED, OutboxState.DONE]
)
def test_only_what_is_wanted_and_not_under_way_can_be_sealed(
    store: Store, linked: RefRow, state: OutboxState
) -> None:
    row = intent(linked, state=state)
    keep(store, row)

    with pytest.raises(LeaseLostError), store.transaction() as uow:
        uow.outbox.seal(row.id, sealed(), NOW)


def test_a_request_of_unknown_outcome_is_sent_again_unchanged(store: Store, linked: RefRow) -> None:
    row = intent(linked)
    keep(store, row)

    with store.transaction() as uow:
        uow.outbox.seal(row.id, sealed(), NOW)
        uow.outbox.unknown([row.id], "timeout", NOW + MINUTE)
        uow.outbox.resend(row.id, NOW + MINUTE)

    found = _load(store, row)
    assert (found.state, found.sealed, found.attempts) == (OutboxState.SEALED, sealed(), 2)


def test_a_request_that_was_never_sealed_cannot_be_sent_again(store: Store, linked: RefRow) -> None:
    row = intent(linked)
    keep(store, row)

    with pytest.raises(LeaseLostError), store.transaction() as uow:
        uow.outbox.resend(row.id, NOW)


def test_a_finished_write_makes_room_for_the_next(store: Store, linked: RefRow) -> None:
    first, second = intent(linked), intent(linked)
    keep(store, first)

    with store.transaction() as uow:
        uow.outbox.finish([first.id], NOW)
        done = uow.outbox.upsert_open([second], NOW)

    assert done == Upserted(inserted=(second.id,))
    with store.reading() as uow:
        assert [row.id for row in uow.outbox.of_meeting(linked.meeting_id)] == [second.id, first.id]
        assert [row.id for row in uow.outbox.open_of_meetings([linked.meeting_id])] == [second.id]


def test_a_failure_keeps_the_frozen_request_unless_it_has_to_be_decided_anew(
    store: Store, linked: RefRow
) -> None:
    row = intent(linked)
    keep(store, row)

    with store.transaction() as uow:
        uow.outbox.seal(row.id, sealed(), NOW)
        uow.outbox.fail([row.id], "503", NOW + MINUTE)
        kept = uow.outbox.load([row.id])[row.id]
        uow.outbox.fail([row.id], "stale", NOW, unseal=True)
        anew = uow.outbox.load([row.id])[row.id]

    assert (kept.state, kept.sealed, kept.not_before) == (OutboxState.FAILED, sealed(), NOW + MINUTE)
    assert (anew.sealed, anew.last_error) == (None, "stale")


def test_a_decision_finds_its_parked_writes_and_puts_them_back(store: Store, linked: RefRow) -> None:
    row = intent(linked)
    keep(store, row)

    with store.transaction() as uow:
        uow.outbox.park([row.id], "480 of 500 gone", decision_id="d-1")
        parked = uow.outbox.parked(WORKSPACE)
        waiting = uow.outbox.of_decision("d-1")
        uow.outbox.unpark(waiting, NOW + MINUTE)

    assert ([p.last_error for p in parked], waiting) == (["480 of 500 gone"], [row.id])
    found = _load(store, row)
    assert (found.state, found.not_before, found.last_error) == (OutboxState.READY, NOW + MINUTE, None)


def test_waiting_for_a_quota_is_no_failure(store: Store, linked: RefRow) -> None:
    row = intent(linked)
    keep(store, row)

    with store.transaction() as uow:
        uow.outbox.postpone([row.id], NOW + MINUTE)

    found = _load(store, row)
    assert (found.state, found.attempts, found.not_before) == (OutboxState.READY, 0, NOW + MINUTE)


def test_counts_show_what_is_open_per_connection(store: Store, linked: RefRow) -> None:
    done = intent(_another(store, "2"), state=OutboxState.DONE)
    keep(store, intent(linked), done, intent(_another(store, "3"), not_before=NOW - MINUTE))

    with store.reading() as uow:
        assert uow.outbox.counts(WORKSPACE) == [
            OutboxCount(ZOOM, OutboxState.READY, Operation.UPDATE, 2, NOW - MINUTE)
        ]


def test_only_finished_rows_are_pruned(store: Store, linked: RefRow) -> None:
    old = intent(_another(store, "2"), state=OutboxState.DONE, finished_at=NOW - MINUTE)
    new = intent(_another(store, "3"), state=OutboxState.DONE, finished_at=NOW)
    keep(store, intent(linked), old, new)

    with store.transaction() as uow:
        assert uow.outbox.prune(NOW) == 1
        assert uow.outbox.load([old.id, new.id]) == {new.id: new}


def test_a_batch_that_names_a_ref_twice_keeps_the_last_intent(store: Store, linked: RefRow) -> None:
    rows = [intent(linked, "d1"), replace(intent(linked, "d2"), priority=1)]

    with store.transaction() as uow:
        done = uow.outbox.upsert_open(rows, NOW)

    assert done.inserted == (rows[1].id,)


def test_what_a_dead_run_froze_counts_as_perhaps_sent(store: Store, linked: RefRow) -> None:
    frozen = intent(linked, state=OutboxState.SEALED, sealed=sealed(), not_before=NOW + MINUTE)
    ready = intent(_another(store, "2"))
    keep(store, frozen, ready)

    with store.transaction() as uow:
        reclaimed = uow.outbox.reclaim_sealed(ZOOM, NOW)

    assert reclaimed == 1
    found = _load(store, frozen)
    assert (found.state, found.sealed, found.not_before) == (OutboxState.UNKNOWN, sealed(), NOW)
    assert _load(store, ready).state is OutboxState.READY


def test_writes_that_bring_records_back_are_told_from_first_creates(store: Store, linked: RefRow) -> None:
    again = intent(linked, operation=Operation.CREATE, recreate=True)
    first = intent(_another(store, "2"), operation=Operation.CREATE)
    parked = intent(_another(store, "3"), operation=Operation.CREATE, recreate=True, state=OutboxState.PARKED)
    keep(store, again, first, parked)

    with store.reading() as uow:
        assert [row.id for row in uow.outbox.recreates(ZOOM)] == [again.id]
