"""Canonical meetings: kept whole, taken in turn, found by start, words, ids and links."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sync_engine.core.meeting import Field, Provenance, Schedule, Series, Status, Visibility
from sync_engine.errors import LeaseLostError
from sync_engine.store.meetings import MeetingCount
from sync_engine.store.unit_of_work import Store
from tests.integration.store.rows import ATTIO, NOW, WORKSPACE, ZOOM, intent, keep, meeting, prepare, ref

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def connections(store: Store) -> None:
    prepare(store)


def test_a_meeting_with_everything_in_it_comes_back_as_it_was(store: Store) -> None:
    row = meeting(
        status=Status.CANCELLED,
        visibility=Visibility.PRIVATE,
        series=Series("s-1", NOW),
        cancelled_by="zoom",
        values={
            Field.TITLE: "Größe \N{GRINNING FACE}",
            Field.DESCRIPTION: "",
            Field.SCHEDULE: Schedule(NOW, NOW + HOUR, None, assumed_end=True),
            Field.PARTICIPANTS: (),
        },
        provenance={
            Field.TITLE: Provenance("attio", NOW + timedelta(microseconds=3), 4, derived=True, machine=True)
        },
        dirty=False,
        due_at=NOW + HOUR,
    )

    keep(store, row)

    with store.reading() as uow:
        found = uow.meetings.load([row.id])[row.id]
    assert found.meeting == row.meeting
    assert (found.dirty, found.due_at, found.created_at, found.read_revision) == (False, NOW + HOUR, NOW, 1)


def test_a_meeting_changed_by_another_run_since_it_was_read_is_not_overwritten(store: Store) -> None:
    row = meeting()
    keep(store, row)
    with store.reading() as uow:
        mine = uow.meetings.load([row.id])[row.id]
        theirs = uow.meetings.load([row.id])[row.id]
    theirs.meeting = replace(theirs.meeting, revision=2, cancelled_by="attio")
    keep(store, theirs)

    mine.meeting = replace(mine.meeting, revision=2, cancelled_by="zoom")
    with pytest.raises(LeaseLostError):
        keep(store, mine)

    with store.reading() as uow:
        assert uow.meetings.load([row.id])[row.id].meeting.cancelled_by == "attio"


def test_saving_the_same_row_twice_in_a_run_is_no_conflict(store: Store) -> None:
    row = meeting()
    keep(store, row)
    row.meeting = replace(row.meeting, revision=2)

    keep(store, row)

    with store.reading() as uow:
        assert uow.meetings.load([row.id])[row.id].meeting.revision == 2


def test_saving_keeps_the_moment_a_meeting_was_created(store: Store) -> None:
    row = meeting()
    keep(store, row)

    with store.transaction() as uow:
        uow.meetings.save([row], NOW + HOUR)
        found = uow.meetings.load([row.id])[row.id]

    assert (found.created_at, found.updated_at) == (NOW, NOW + HOUR)


def test_changed_meetings_come_before_the_ones_that_are_due(store: Store) -> None:
    changed = meeting(dirty=True)
    late = meeting(dirty=False, due_at=NOW - MINUTE)
    later = meeting(dirty=False, due_at=NOW)
    waiting = meeting(dirty=False, due_at=NOW + MINUTE)
    quiet = meeting(dirty=False)
    keep(store, later, late, changed, waiting, quiet)

    with store.transaction() as uow:
        everything = [row.id for row in uow.meetings.take_dirty(WORKSPACE, 10, NOW)]
        one = [row.id for row in uow.meetings.take_dirty(WORKSPACE, 1, NOW)]
        two = [row.id for row in uow.meetings.take_dirty(WORKSPACE, 2, NOW)]

    assert everything == [changed.id, late.id, later.id]
    assert (one, two) == ([changed.id], [changed.id, late.id])


def test_a_meeting_that_is_both_changed_and_due_is_taken_once(store: Store) -> None:
    row = meeting(dirty=True, due_at=NOW)
    keep(store, row)

    with store.transaction() as uow:
        assert [taken.id for taken in uow.meetings.take_dirty(WORKSPACE, 10, NOW)] == [row.id]


def test_settled_meetings_leave_the_line_until_they_come_due(store: Store) -> None:
    first, second = meeting(), meeting()
    keep(store, first, second)

    with store.transaction() as uow:
        uow.meetings.settle({first.id: None, second.id: NOW + HOUR})

    with store.transaction() as uow:
        assert uow.meetings.has_dirty(WORKSPACE) is False
        assert uow.meetings.take_dirty(WORKSPACE, 10, NOW) == []
        assert uow.meetings.next_due(WORKSPACE) == NOW + HOUR
        assert [row.id for row in uow.meetings.take_dirty(WORKSPACE, 10, NOW + HOUR)] == [second.id]
        uow.meetings.mark_dirty([first.id])
        assert uow.meetings.has_dirty(WORKSPACE) is True


def test_two_workers_never_take_the_same_meeting(store: Store) -> None:
    if store.engine.dialect.name == "sqlite":
        pytest.skip("on SQLite a second writer waits for the first: there is nothing to take meanwhile")
    rows = [meeting() for _ in range(4)]
    keep(store, *rows)

    with store.transaction() as one, store.transaction() as two:
        first = {row.id for row in one.meetings.take_dirty(WORKSPACE, 2, NOW)}
        second = {row.id for row in two.meetings.take_dirty(WORKSPACE, 4, NOW)}

    assert len(first) == 2
    assert first | second == {row.id for row in rows}
    assert first & second == set()


@pytest.mark.parametrize("others", [0, 40])
def test_candidates_start_within_the_tolerance_of_a_wanted_moment(store: Store, others: int) -> None:
    offsets = {"early": -6, "edge": -5, "same": 0, "late": 5, "too late": 6}
    rows = {name: meeting(start=NOW + minutes * MINUTE) for name, minutes in offsets.items()}
    keep(store, *rows.values())
    # Many moments far apart are searched in another way than a few.
    starts = {NOW, *(NOW + timedelta(days=day) for day in range(1, others + 1))}

    with store.reading() as uow:
        near = uow.meetings.candidates(WORKSPACE, starts, 5 * MINUTE)
        exact = uow.meetings.candidates(WORKSPACE, starts)

    assert [row.id for row in near] == [rows["edge"].id, rows["same"].id, rows["late"].id]
    assert [row.id for row in exact] == [rows["same"].id]


def test_candidates_at_a_connection_leave_out_what_it_already_holds(store: Store) -> None:
    free, wanted, held, held_near = meeting(), meeting(), meeting(), meeting(start=NOW + MINUTE)
    keep(store, free, wanted, held, held_near)
    keep(
        store,
        ref(wanted, None, ATTIO),
        ref(held, "a", ATTIO),
        ref(held_near, "b", ATTIO),
        ref(free, "z", ZOOM),
    )

    with store.reading() as uow:
        found = uow.meetings.candidates(WORKSPACE, {NOW}, 5 * MINUTE, connection_id=ATTIO, with_held=False)
        twins = uow.meetings.candidates(WORKSPACE, {NOW}, 5 * MINUTE, connection_id=ATTIO)

    assert {row.id for row in found} == {free.id, wanted.id}
    assert {row.id for row in twins} == {free.id, wanted.id, held.id}


def test_the_occurrences_of_a_series_are_found_by_its_key(store: Store) -> None:
    one = meeting(series=Series("s-1", NOW))
    keep(store, one, meeting(series=Series("s-2", NOW)), meeting())

    with store.reading() as uow:
        assert [row.id for row in uow.meetings.of_series(WORKSPACE, {"s-1"})] == [one.id]


@pytest.mark.parametrize("text", ["GRÜSSE an", "z-1", "https://zoom.us/j/97763643886", "zoom:97763643886"])
def test_a_search_finds_by_words_external_id_and_link(store: Store, text: str) -> None:
    row = meeting("Grüße an alle")
    there = ref(row, "z-1")
    assert there.observed is not None
    there.observed = replace(there.observed, links=frozenset({"zoom:97763643886"}))
    keep(store, row, there, meeting("Something else"))

    with store.reading() as uow:
        found = uow.meetings.search(WORKSPACE, text)

    assert [hit.id for hit in found] == [row.id]


def test_a_search_takes_wildcards_for_what_they_are(store: Store) -> None:
    row = meeting("100 % sure")
    keep(store, row, meeting("100 times"))

    with store.reading() as uow:
        assert [hit.id for hit in uow.meetings.search(WORKSPACE, "100 %")] == [row.id]


def test_a_search_pages_from_the_latest_start(store: Store) -> None:
    rows = [meeting(start=NOW + number * HOUR) for number in range(4)]
    keep(store, *rows)

    with store.reading() as uow:
        first = uow.meetings.search(WORKSPACE, limit=2)
        second = uow.meetings.search(WORKSPACE, limit=2, offset=2)

    assert [row.id for row in first + second] == [row.id for row in reversed(rows)]


def test_an_id_is_resolved_within_its_workspace_only(store: Store) -> None:
    row = meeting()
    keep(store, row, ref(row, "z-1"))

    with store.reading() as uow:
        assert [hit.id for hit in uow.meetings.find(WORKSPACE, row.id)] == [row.id]
        assert [hit.id for hit in uow.meetings.find(WORKSPACE, "z-1")] == [row.id]
        assert uow.meetings.find(WORKSPACE, "z") == []
        assert uow.meetings.find("another", "z-1") == []


def test_counts_tell_the_cancelled_from_the_scheduled(store: Store) -> None:
    keep(store, meeting(dirty=False), meeting(dirty=True), meeting(status=Status.CANCELLED, dirty=False))

    with store.reading() as uow:
        assert uow.meetings.counts(WORKSPACE) == [
            MeetingCount(Status.CANCELLED, 1, 0),
            MeetingCount(Status.SCHEDULED, 2, 1),
        ]


def test_a_meeting_is_unsettled_while_it_is_in_line_or_a_write_is_wanted(store: Store) -> None:
    in_line, writing, settled = meeting(dirty=True), meeting(dirty=False), meeting(dirty=False)
    there = ref(writing, "1")
    keep(store, in_line, writing, settled, there, intent(there))

    with store.transaction() as uow:
        before = uow.meetings.count_unsettled(WORKSPACE, NOW)
        uow.meetings.mark_all_dirty(WORKSPACE)
        after = uow.meetings.count_unsettled(WORKSPACE, NOW)

    assert (before, after) == (2, 3)
