"""External refs: one record per meeting and connection, found by id, window, meeting and link."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from sync_engine.core.meeting import Field, Schedule, Series
from sync_engine.core.ports import Observation
from sync_engine.core.refs import Agreed, Held, HoldKind, Origin, PastWrite, RecordHold, Ref, RefState
from sync_engine.store.refs import KnownRef, RefCount, RefRow
from sync_engine.store.unit_of_work import Store
from tests.integration.store.rows import (
    ATTIO,
    NOW,
    WORKSPACE,
    ZOOM,
    keep,
    meeting,
    new_id,
    prepare,
    ref,
    values,
)

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def connections(store: Store) -> None:
    prepare(store)


def test_a_ref_with_everything_in_it_comes_back_as_it_was(store: Store) -> None:
    row = meeting()
    later = Schedule.dates(NOW.date(), NOW.date() + timedelta(days=2))
    core = Ref(
        id=new_id(NOW),
        connection="attio",
        state=RefState.READ_ONLY,
        origin=Origin.CREATED,
        since=NOW + timedelta(microseconds=7),
        external_id="a-1",
        agreement={
            Field.TITLE: Agreed("Demo", "Demo (Attio)"),
            Field.LOCATION: Agreed("Room 1", "Room 1"),
            Field.ORGANIZER: Agreed(None, "ada@acme.example"),
            Field.DESCRIPTION: Agreed("", None),
            Field.SCHEDULE: Agreed(later, replace(later, assumed_end=True)),
        },
        held={
            Field.TITLE: Held("cannot change a title", NOW, "d1"),
            Field.KIND: Held("late", NOW, "d2", NOW + HOUR),
        },
        hold=RecordHold(HoldKind.DEFERRED, "only after the end", NOW, NOW + HOUR, "d3"),
        frozen={Field.LOCATION: "conflict"},
        recent_writes=(PastWrite(Field.TITLE, "d1", NOW),),
        irreplaceable="has a recording",
    )
    seen = Observation(
        "a-1",
        values(),
        NOW,
        fingerprint="f",
        complete=False,
        derived=frozenset({Field.TITLE}),
        machine=frozenset({Field.DESCRIPTION}),
        private=True,
        series=Series("s-1", NOW),
        links=frozenset({"zoom:1", "zoom:2"}),
        marks=frozenset({row.id}),
        ical_uid="uid@x",
        fixed={Field.TITLE: "locked"},
        read_only="no scope",
        deletable=False,
        scope="host",
        particulars={"uuid": "a==", "nested": {"list": [1, None]}},
    )
    full = RefRow(
        core,
        ATTIO,
        row.id,
        observed=seen,
        observed_at=NOW,
        fingerprint="row-f",
        scope="host",
        starts_at=NOW,
        complete=False,
        needs_read=True,
        detail_due_at=NOW + HOUR,
        absences=1,
        absent_since=NOW,
        evidence={"by": "link", "score": 0.9},
    )

    keep(store, row, full)

    with store.reading() as uow:
        assert uow.refs.load([full.id]) == {full.id: full}


def test_a_second_record_of_one_meeting_at_one_connection_is_refused(store: Store) -> None:
    row = meeting()
    keep(store, row, ref(row, "1"))

    with pytest.raises(sa.exc.IntegrityError):
        keep(store, ref(row, "2"))


def test_a_record_cannot_be_tied_to_two_meetings(store: Store) -> None:
    one, other = meeting(), meeting()
    keep(store, one, other, ref(one, "1"))

    with pytest.raises(sa.exc.IntegrityError):
        keep(store, ref(other, "1"))


def test_many_refs_without_a_record_yet_can_wait_side_by_side(store: Store) -> None:
    rows = [meeting() for _ in range(3)]

    keep(store, *rows, *(ref(row, None) for row in rows))

    with store.reading() as uow:
        assert len(uow.refs.of_meetings([row.id for row in rows])) == 3


def test_only_known_records_of_that_connection_are_known(store: Store) -> None:
    row = meeting()
    there = ref(row, "1", detail_due_at=NOW, absences=2)
    keep(store, row, there, ref(row, "2", ATTIO))

    with store.reading() as uow:
        known = uow.refs.known(ZOOM, ["1", "2", "3"])

    assert known == {"1": KnownRef(there.id, row.id, "f1", RefState.LINKED, True, False, NOW, 2)}


def test_more_ids_than_one_statement_takes_are_all_found(store: Store) -> None:
    rows = [meeting() for _ in range(1203)]
    keep(store, *rows, *(ref(row, f"r-{number}") for number, row in enumerate(rows)))

    with store.reading() as uow:
        assert len(uow.refs.known(ZOOM, [f"r-{number}" for number in range(1300)])) == 1203


def test_a_window_shows_the_records_that_start_in_it_and_in_the_covered_scopes(store: Store) -> None:
    starts = {"before": NOW - HOUR, "first": NOW, "last": NOW + HOUR, "end": NOW + 2 * HOUR}
    rows = {name: meeting(start=start) for name, start in starts.items()}
    other = meeting()
    keep(store, *rows.values(), *(ref(row, name, scope="h1") for name, row in rows.items()))
    keep(store, other, ref(other, "other host", scope="h2"))

    with store.reading() as uow:
        listed = {row.external_id for row in uow.refs.in_window(ZOOM, NOW, NOW + 2 * HOUR, {"h1"})}
        everywhere = {row.external_id for row in uow.refs.in_window(ZOOM, NOW, NOW + 2 * HOUR)}

    assert listed == {"first", "last"}
    assert everywhere == {"first", "last", "other host"}


def test_the_refs_of_a_meeting_come_ordered_by_connection(store: Store) -> None:
    row, alone = meeting(), meeting()
    keep(store, row, alone, ref(row, "z", ZOOM), ref(row, "a", ATTIO))

    with store.reading() as uow:
        found = uow.refs.of_meetings([row.id, alone.id])
        holders = uow.refs.holders([row.id, alone.id])

    assert {key: [r.connection_id for r in rows] for key, rows in found.items()} == {row.id: [ATTIO, ZOOM]}
    assert holders == {row.id: frozenset({ATTIO, ZOOM})}


def test_a_meeting_is_found_by_a_link_only_together_with_the_start(store: Store) -> None:
    rows = [meeting(start=NOW + number * HOUR) for number in range(3)]
    room = frozenset({"zoom:555"})
    for number, row in enumerate(rows):
        there = ref(row, f"r-{number}")
        assert there.observed is not None
        there.observed = replace(there.observed, links=room, ical_uid="uid@x")
        keep(store, row, there)

    with store.reading() as uow:
        wanted = [
            ("zoom:555", NOW + HOUR),
            ("ical:uid@x", NOW),
            ("zoom:555", NOW + 9 * HOUR),
            ("zoom:1", NOW),
        ]
        found = uow.refs.linked(WORKSPACE, wanted)
        elsewhere = uow.refs.linked("another", wanted)

    assert found == {
        ("zoom:555", NOW + HOUR): frozenset({rows[1].id}),
        ("ical:uid@x", NOW): frozenset({rows[0].id}),
    }
    assert elsewhere == {}


def test_a_link_follows_the_record_when_it_changes_or_moves(store: Store) -> None:
    first, second = meeting(), meeting()
    there = ref(first, "1")
    assert there.observed is not None
    there.observed = replace(there.observed, links=frozenset({"zoom:1"}))
    keep(store, first, second, there)

    with store.transaction() as uow:
        row = uow.refs.load([there.id])[there.id]
        assert row.observed is not None
        row.observe(replace(row.observed, links=frozenset({"zoom:2"})))
        uow.refs.save([row])
        moved = uow.refs.move(there.id, second.id)

    with store.reading() as uow:
        assert uow.refs.linked(WORKSPACE, [("zoom:1", NOW), ("zoom:2", NOW)]) == {
            ("zoom:2", NOW): frozenset({second.id})
        }
        assert uow.refs.keys_of([first.id, second.id]) == {second.id: frozenset({"zoom:2"})}
    assert moved.ref.agreement == {}


def test_a_hint_asks_for_a_read_of_known_records_only(store: Store) -> None:
    row = meeting()
    keep(store, row, ref(row, "1"))

    with store.transaction() as uow:
        marked = uow.refs.mark_needs_read(ZOOM, ["1", "2"])

    with store.reading() as uow:
        assert marked == ["1"]
        assert [listed.external_id for listed in uow.refs.needing_read(ZOOM, 10)] == ["1"]
        assert uow.refs.needing_read(ATTIO, 10) == []


def test_absences_count_up_and_end_when_the_record_is_seen_again(store: Store) -> None:
    row = meeting()
    there = ref(row, "1")
    keep(store, row, there)

    with store.transaction() as uow:
        first = uow.refs.count_absences([there.id], NOW)
        second = uow.refs.count_absences([there.id], NOW + HOUR)
        since = uow.refs.load([there.id])[there.id].absent_since
        uow.refs.clear_absences([there.id])
        after = uow.refs.load([there.id])[there.id]

    assert (first, second, since) == ({there.id: 1}, {there.id: 2}, NOW)
    assert (after.absences, after.absent_since) == (0, None)


def test_counts_tell_states_holds_and_held_fields_apart(store: Store) -> None:
    rows = [meeting() for _ in range(3)]
    plain, held, deferred = ref(rows[0], "1"), ref(rows[1], "2"), ref(rows[2], None)
    held.ref = replace(held.ref, held={Field.TITLE: Held("no", NOW, "d")}, frozen={Field.LOCATION: "ask"})
    deferred.ref = replace(deferred.ref, hold=RecordHold(HoldKind.DEFERRED, "later", NOW))
    keep(store, *rows, plain, held, deferred)

    with store.reading() as uow:
        assert sorted(uow.refs.counts(WORKSPACE)) == [
            RefCount(ZOOM, RefState.CREATING, "deferred", 1, 0, 0),
            RefCount(ZOOM, RefState.LINKED, None, 2, 1, 1),
        ]
        assert uow.refs.totals(ZOOM) == 2
        assert uow.refs.counts("another") == []


def test_forgetting_a_meeting_forgets_its_refs_and_links(store: Store) -> None:
    row = meeting()
    there = ref(row, "1")
    keep(store, row, there)

    with store.transaction() as uow:
        uow.meetings.delete([row.id])

    with store.reading() as uow:
        assert uow.refs.known(ZOOM, ["1"]) == {}
        assert uow.refs.keys_of([row.id]) == {}


def test_paging_through_a_connection_shows_every_ref_once(store: Store) -> None:
    rows = [meeting() for _ in range(5)]
    keep(store, *rows, *(ref(row, f"r-{number}") for number, row in enumerate(rows)))

    seen: list[str | None] = []
    after = ""
    with store.reading() as uow:
        while page := uow.refs.of_connection(ZOOM, after=after, limit=2):
            seen.extend(row.ref.external_id for row in page)
            after = page[-1].id

    assert sorted(map(str, seen)) == [f"r-{number}" for number in range(5)]
