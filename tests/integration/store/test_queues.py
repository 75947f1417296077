"""What waits for a person, what is set aside, what is counted, and the journal of it all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sync_engine.core.meeting import Field, Schedule
from sync_engine.store.conflicts import ConflictRow
from sync_engine.store.connections import ConnectionState
from sync_engine.store.decisions import DecisionKind, DecisionRow, DecisionState
from sync_engine.store.journal import JournalEntry
from sync_engine.store.quarantine import KnownProblem, QuarantineRow
from sync_engine.store.reviews import ReviewRow, ReviewState
from sync_engine.store.runs import RunRow, RunState
from sync_engine.store.unit_of_work import Store
from tests.integration.store.rows import (
    ATTIO,
    NOW,
    WORKSPACE,
    ZOOM,
    keep,
    meeting,
    new_id,
    observation,
    prepare,
)

HOUR = timedelta(hours=1)
TODAY = NOW.date()


@pytest.fixture(autouse=True)
def connections(store: Store) -> None:
    prepare(store)


def _entry(**facts: object) -> JournalEntry:
    entry = JournalEntry(new_id(NOW), WORKSPACE, NOW, "changed", "edited at zoom")
    return replace(entry, **facts)  # type: ignore[arg-type]


def test_the_journal_gives_back_what_was_written_in_the_order_it_happened(store: Store) -> None:
    entries = [
        _entry(meeting_id="m", run_id="r", connection="zoom", field="title", before="A", after="B"),
        _entry(
            meeting_id="m", run_id="r", at=NOW + HOUR, before=None, after={"start": "x"}, details={"n": [1]}
        ),
        _entry(meeting_id="other", run_id="r", at=NOW + 2 * HOUR),
    ]

    with store.transaction() as uow:
        uow.journal.append(entries)
        uow.journal.append([])

    with store.reading() as uow:
        assert uow.journal.of_meeting("m") == entries[:2]
        assert uow.journal.of_meeting("m", limit=1) == entries[1:2]
        assert uow.journal.of_run("r", limit=2) == entries[:2]
        assert uow.journal.of_run("r", after=entries[1].id) == entries[2:]
        assert uow.journal.latest(WORKSPACE, 2) == [entries[2], entries[1]]
        assert uow.journal.latest(WORKSPACE, before=NOW + HOUR) == [entries[0]]
        assert uow.journal.latest("another") == []


def test_pruning_the_journal_forgets_only_what_is_older(store: Store) -> None:
    old, new = _entry(at=NOW - HOUR), _entry()
    with store.transaction() as uow:
        uow.journal.append([old, new])

        forgotten = uow.journal.prune(NOW)

        assert (forgotten, uow.journal.latest(WORKSPACE)) == (1, [new])


def test_a_conflict_is_open_once_and_shows_the_newest_values(store: Store) -> None:
    row = meeting()
    keep(store, row)
    schedule = Schedule.timed(NOW, HOUR)
    first = ConflictRow(new_id(NOW), WORKSPACE, row.id, ZOOM, Field.SCHEDULE, schedule, None, NOW)
    again = replace(first, id=new_id(NOW), theirs=schedule, raised_at=NOW + HOUR)

    with store.transaction() as uow:
        assert uow.conflicts.raise_open([first]) == [first]
        assert uow.conflicts.raise_open([again]) == []

    with store.reading() as uow:
        (found,) = uow.conflicts.open_of_workspace(WORKSPACE)
    assert found == replace(first, theirs=schedule)


def test_a_resolved_conflict_makes_room_for_a_new_one(store: Store) -> None:
    row = meeting()
    keep(store, row)
    first = ConflictRow(new_id(NOW), WORKSPACE, row.id, ZOOM, Field.TITLE, "A", "B", NOW)
    with store.transaction() as uow:
        uow.conflicts.raise_open([first])

        uow.conflicts.resolve([first.id], "ours", NOW + HOUR)

        assert uow.conflicts.count_open(WORKSPACE) == 0
        resolved = uow.conflicts.get(first.id)
        assert resolved is not None
        assert (resolved.resolution, resolved.resolved_at) == ("ours", NOW + HOUR)
        second = replace(first, id=new_id(NOW))
        assert uow.conflicts.raise_open([second]) == [second]
        assert uow.conflicts.open_of_meetings([row.id]) == [second]


def _review(**facts: object) -> ReviewRow:
    row = ReviewRow(
        new_id(NOW), WORKSPACE, ZOOM, "1", observation("1"), [{"meeting_id": "m", "score": 0.6}], NOW, "f1"
    )
    return replace(row, **facts)  # type: ignore[arg-type]


def test_a_review_of_the_same_record_is_asked_once(store: Store) -> None:
    first = _review()
    with store.transaction() as uow:
        uow.reviews.save([first])
        uow.reviews.save([_review(fingerprint="f2", raised_at=NOW + HOUR)])

    with store.reading() as uow:
        assert uow.reviews.open_of_workspace(WORKSPACE) == [replace(first, fingerprint="f2")]
        assert uow.reviews.count_open(WORKSPACE) == 1


def test_a_review_is_decided_once(store: Store) -> None:
    row = _review()
    with store.transaction() as uow:
        uow.reviews.save([row])

        first = uow.reviews.decide(row.id, ReviewState.LINKED, NOW, "m")
        second = uow.reviews.decide(row.id, ReviewState.SEPARATE, NOW)
        uow.reviews.withdraw(ZOOM, ["1"])

        assert (first, second) == (True, False)
        assert uow.reviews.known(ZOOM, ["1", "2"])["1"].meeting_id == "m"
        assert uow.reviews.count_open(WORKSPACE) == 0


def test_a_question_that_answered_itself_is_withdrawn(store: Store) -> None:
    row = _review()
    with store.transaction() as uow:
        uow.reviews.save([row])

        uow.reviews.withdraw(ZOOM, ["1"])

        assert uow.reviews.get(row.id) is None


def _broken(**facts: object) -> QuarantineRow:
    row = QuarantineRow(new_id(NOW), ZOOM, "1", "no start", NOW, NOW, "f1", payload={"id": 1})
    return replace(row, **facts)  # type: ignore[arg-type]


def test_a_broken_record_is_set_aside_once_and_its_attempts_are_counted(store: Store) -> None:
    first = _broken()
    with store.transaction() as uow:
        uow.quarantine.put([first])
        uow.quarantine.put([_broken(fingerprint="f2", first_seen_at=NOW + HOUR, last_seen_at=NOW + HOUR)])

    with store.reading() as uow:
        assert uow.quarantine.known(ZOOM, ["1", "2"]) == {"1": KnownProblem("f2", "no start")}
        assert uow.quarantine.of_workspace(WORKSPACE) == [
            replace(first, fingerprint="f2", last_seen_at=NOW + HOUR, attempts=2)
        ]
        assert uow.quarantine.count(WORKSPACE) == 1


def test_a_record_that_can_be_read_again_leaves_quarantine(store: Store) -> None:
    row = _broken()
    with store.transaction() as uow:
        uow.quarantine.put([row])

        uow.quarantine.release(ZOOM, ["1"])

        assert uow.quarantine.get(row.id) is None


def _question(**facts: object) -> DecisionRow:
    row = DecisionRow(
        new_id(NOW), WORKSPACE, ZOOM, DecisionKind.MASS_DELETION, "digest", {"gone": 480, "of": 500}, NOW
    )
    return replace(row, **facts)  # type: ignore[arg-type]


def test_the_same_question_is_not_asked_twice_and_keeps_its_answer(store: Store) -> None:
    first = _question()
    with store.transaction() as uow:
        uow.decisions.ask(first)
        decided = uow.decisions.decide(first.id, DecisionState.REJECTED, NOW)
        again = uow.decisions.ask(_question())
        twice = uow.decisions.decide(first.id, DecisionState.APPROVED, NOW)

    assert (decided, twice) == (True, False)
    assert again == replace(first, state=DecisionState.REJECTED, decided_at=NOW)


def test_open_questions_are_found_by_workspace_and_by_connection(store: Store) -> None:
    mine, other = _question(), _question(connection_id=ATTIO, kind=DecisionKind.DELETION)
    with store.transaction() as uow:
        for row in (mine, other):
            uow.decisions.ask(row)

    with store.reading() as uow:
        assert uow.decisions.open_of_workspace(WORKSPACE) == [mine, other]
        assert uow.decisions.open_of_connection(ZOOM, DecisionKind.MASS_DELETION) == mine
        assert uow.decisions.open_of_connection(ZOOM, DecisionKind.DELETION) is None


def test_a_run_shows_how_it_ended(store: Store) -> None:
    run = RunRow(new_id(NOW), WORKSPACE, "sync", NOW)
    with store.transaction() as uow:
        uow.runs.start(run)
        before = uow.runs.get(run.id)

        uow.runs.finish(run.id, NOW + HOUR, summary={"created": 3}, requests={"zoom": {"GET": 4}})

        after = uow.runs.latest(WORKSPACE)
        pruned = uow.runs.prune(NOW + HOUR)

    assert before == run
    assert after == [
        replace(
            run,
            state=RunState.FINISHED,
            finished_at=NOW + HOUR,
            summary={"created": 3},
            requests={"zoom": {"GET": 4}},
        )
    ]
    assert pruned == 1


def test_a_quota_is_taken_up_to_its_limit_and_not_beyond(store: Store) -> None:
    with store.transaction() as uow:
        taken = [uow.quotas.take(ZOOM, "host", TODAY, limit=3) for _ in range(4)]
        too_much = uow.quotas.take(ZOOM, "another host", TODAY, limit=3, amount=4)

    assert taken == [1, 2, 3, None]
    assert too_much is None


def test_quotas_are_counted_per_scope_and_day(store: Store) -> None:
    with store.transaction() as uow:
        uow.quotas.add(ZOOM, "h1", TODAY, 5)
        uow.quotas.add(ZOOM, "h1", TODAY, -1)
        uow.quotas.add(ZOOM, "h1", TODAY + timedelta(days=1))
        uow.quotas.correct(ZOOM, "h2", TODAY, 70)

        assert uow.quotas.of_day(ZOOM, TODAY) == {"h1": 4, "h2": 70}
        uow.quotas.prune(TODAY + timedelta(days=1))
        assert uow.quotas.used(ZOOM, "h1", TODAY) == 0
        assert uow.quotas.used(ZOOM, "h1", TODAY + timedelta(days=1)) == 1


def test_a_sweep_without_news_writes_its_connection_and_nothing_else(store: Store) -> None:
    row = meeting(dirty=False)
    keep(store, row)

    with store.transaction() as uow:
        uow.connections.swept(ZOOM, NOW, complete=True, memory={"users": 3}, cursor={"page": 2})

    with store.reading() as uow:
        swept, other = uow.connections.get(ZOOM), uow.connections.get(ATTIO)
        assert swept is not None
        assert (swept.last_sweep_at, swept.last_complete_sweep_at) == (NOW, NOW)
        assert (swept.memory, swept.cursor) == ({"users": 3}, {"page": 2})
        assert other is not None
        assert other.last_sweep_at is None


def test_an_incomplete_sweep_does_not_count_as_complete(store: Store) -> None:
    with store.transaction() as uow:
        uow.connections.swept(ZOOM, NOW, complete=True, memory={})
        uow.connections.swept(ZOOM, NOW + HOUR, complete=False, memory={})
        row = uow.connections.get(ZOOM)

    assert row is not None
    assert (row.last_sweep_at, row.last_complete_sweep_at) == (NOW + HOUR, NOW)


def test_a_paused_connection_rests_alone_until_it_is_resumed(store: Store) -> None:
    with store.transaction() as uow:
        uow.connections.pause(ZOOM, reason="limited", until=NOW + HOUR)
        uow.connections.recognise(ZOOM, "account-1")
        paused, other = uow.connections.get(ZOOM), uow.connections.get(ATTIO)
        uow.connections.resume(ZOOM)
        resumed = uow.connections.get(ZOOM)

    assert paused is not None
    assert (paused.state, paused.paused_until, paused.identity) == (
        ConnectionState.PAUSED,
        NOW + HOUR,
        "account-1",
    )
    assert other is not None
    assert other.state is ConnectionState.OK
    assert resumed is not None
    assert (resumed.state, resumed.paused_until, resumed.paused_reason) == (ConnectionState.OK, None, None)


def test_the_newest_secret_is_the_one_that_is_kept(store: Store) -> None:
    with store.transaction() as uow:
        before = uow.connections.load_secret(ZOOM, "refresh_token")
        uow.connections.store_secret(ZOOM, "refresh_token", "one", NOW)
        uow.connections.store_secret(ZOOM, "refresh_token", "two", NOW)

        assert before is None
        assert uow.connections.load_secret(ZOOM, "refresh_token") == "two"
        assert uow.connections.load_secret(ATTIO, "refresh_token") is None


def test_the_policy_a_workspace_was_reconciled_with_is_kept(store: Store) -> None:
    with store.transaction() as uow:
        uow.connections.keep_policy_fingerprint(WORKSPACE, "p1")

    prepare(store)

    with store.reading() as uow:
        assert uow.connections.policy_fingerprint(WORKSPACE) == "p1"
        assert uow.connections.policy_fingerprint("another") is None


def test_a_connection_moved_to_another_provider_keeps_its_row(store: Store) -> None:
    with store.transaction() as uow:
        rows = uow.connections.ensure(WORKSPACE, [("zoom", "teams")], NOW + HOUR)
        found = uow.connections.get(ZOOM)

    assert found is not None
    assert (found.provider, found.created_at, set(rows)) == ("teams", NOW, {"zoom", "attio"})


def test_forgetting_a_connection_keeps_its_meetings(store: Store) -> None:
    row = meeting()
    keep(store, row)

    with store.transaction() as uow:
        uow.connections.delete(ZOOM)

    with store.reading() as uow:
        assert uow.connections.get(ZOOM) is None
        assert set(uow.meetings.load([row.id])) == {row.id}
