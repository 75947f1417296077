"""No statement of a quiet cycle looks at every row of a table, however many meetings there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from sync_engine.store import schema
from sync_engine.store.decisions import DecisionKind, DecisionState
from sync_engine.store.unit_of_work import Store, UnitOfWork
from tests.integration.store.rows import NOW, WORKSPACE, ZOOM, keep, meeting, prepare, ref

HOUR = timedelta(hours=1)
MANY_STARTS = {NOW + number * HOUR for number in range(50)}

STEPS: dict[str, Callable[[UnitOfWork], object]] = {
    "known": lambda uow: uow.refs.known(ZOOM, ["1", "2"]),
    "in_window": lambda uow: list(uow.refs.in_window(ZOOM, NOW, NOW + HOUR)),
    "in_window of scopes": lambda uow: list(uow.refs.in_window(ZOOM, NOW, NOW + HOUR, {"h1"})),
    "of_meetings": lambda uow: uow.refs.of_meetings(["m"]),
    "of_meetings_at": lambda uow: uow.refs.of_meetings_at(ZOOM, ["m"]),
    "by_external_id": lambda uow: uow.refs.by_external_id(ZOOM, ["1"]),
    "holders": lambda uow: uow.refs.holders(["m"]),
    "keys_of": lambda uow: uow.refs.keys_of(["m"]),
    "linked": lambda uow: uow.refs.linked(WORKSPACE, [("zoom:1", NOW), ("zoom:2", NOW)]),
    "needing_read": lambda uow: uow.refs.needing_read(ZOOM, 10),
    "mark_needs_read": lambda uow: uow.refs.mark_needs_read(ZOOM, ["1"]),
    "totals": lambda uow: uow.refs.totals(ZOOM),
    "of_connection": lambda uow: uow.refs.of_connection(ZOOM, after="a", limit=10),
    "load": lambda uow: uow.meetings.load(["m"]),
    "take_dirty": lambda uow: uow.meetings.take_dirty(WORKSPACE, 10, NOW),
    "has_dirty": lambda uow: uow.meetings.has_dirty(WORKSPACE),
    "meetings.next_due": lambda uow: uow.meetings.next_due(WORKSPACE),
    "candidates, few": lambda uow: uow.meetings.candidates(WORKSPACE, {NOW}, HOUR / 6),
    "candidates, many": lambda uow: uow.meetings.candidates(WORKSPACE, MANY_STARTS, HOUR / 6),
    "candidates at a connection": lambda uow: uow.meetings.candidates(
        WORKSPACE, MANY_STARTS, HOUR / 6, connection_id=ZOOM
    ),
    "of_series": lambda uow: uow.meetings.of_series(WORKSPACE, ["s-1"]),
    "find": lambda uow: uow.meetings.find(WORKSPACE, "1"),
    "outbox.due": lambda uow: uow.outbox.due(ZOOM, NOW, 10),
    "outbox.due without scopes": lambda uow: uow.outbox.due(ZOOM, NOW, 10, without_scopes={"h1"}),
    "outbox.due_connections": lambda uow: uow.outbox.due_connections(NOW),
    "outbox.next_due": lambda uow: uow.outbox.next_due(ZOOM),
    "outbox.reclaim_sealed": lambda uow: uow.outbox.reclaim_sealed(ZOOM, NOW),
    "outbox.recreates": lambda uow: uow.outbox.recreates(ZOOM),
    "outbox.open_of": lambda uow: uow.outbox.open_of(["r"]),
    "outbox.open_of_meetings": lambda uow: uow.outbox.open_of_meetings(["m"]),
    "outbox.parked": lambda uow: uow.outbox.parked(WORKSPACE),
    "outbox.of_decision": lambda uow: uow.outbox.of_decision("d"),
    "outbox.counts": lambda uow: uow.outbox.counts(WORKSPACE),
    "journal.of_meeting": lambda uow: uow.journal.of_meeting("m"),
    "journal.of_run": lambda uow: uow.journal.of_run("r"),
    "journal.latest": lambda uow: uow.journal.latest(WORKSPACE),
    "conflicts": lambda uow: uow.conflicts.open_of_meetings(["m"]),
    "conflicts of a workspace": lambda uow: uow.conflicts.open_of_workspace(WORKSPACE),
    "reviews.known": lambda uow: uow.reviews.known(ZOOM, ["1"]),
    "quarantine.known": lambda uow: uow.quarantine.known(ZOOM, ["1"]),
    "decisions": lambda uow: uow.decisions.of_connection(
        ZOOM, DecisionKind.MASS_DELETION, DecisionState.OPEN
    ),
    "runs.latest": lambda uow: uow.runs.latest(WORKSPACE),
    "swept": lambda uow: uow.connections.swept(ZOOM, NOW, complete=True, memory={}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give a SQLite store: its planner says what it would do whether or not there are rows."""
    path: Path = tmp_path_factory.mktemp("plans") / "plans.db"
    opened = Store.open(f"sqlite:///{path}")
    schema.upgrade(opened.engine)
    prepare(opened)
    row = meeting()
    keep(opened, row, ref(row, "1"))
    yield opened
    opened.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_a_quiet_cycle_is_served_by_an_index(store: Store, step: str) -> None:
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in rows)

    event.listen(store.engine, "before_cursor_execute", explain)
    try:
        with store.transaction() as uow:
            STEPS[step](uow)
    finally:
        event.remove(store.engine, "before_cursor_execute", explain)

    assert plans
    # The index of the due writes holds nothing but them: going through it is going through the work.
    assert [plan for plan in plans if "SCAN" in plan and "ix_outbox_due" not in plan] == []
