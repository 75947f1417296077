"""Steps, taken one by one as workers would, bring a world into agreement; the tick finds all that waits."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from sync_engine.bootstrap import build_engine, open_store
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.services import steps
from sync_engine.services.due import Due, Task, all_lost, to_queue, unqueued
from sync_engine.services.engine import Engine
from sync_engine.services.lease import hold
from sync_engine.services.tick import find_due, tick
from sync_engine.settings import load_settings
from sync_engine.store.connections import ConnectionState
from tests.lab import Lab

MOST_STEPS = 200


@pytest.fixture
async def lab(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Lab]:
    """Give a whole engine against sandboxes, begun as a worker begins."""
    shutil.copy(sqlite_template, tmp_path / "lab.db")
    async with Lab(tmp_path) as each:
        steps.begin(each.engine)
        yield each


@pytest.fixture
async def shared_lab(tmp_path: Path, database_url: str) -> AsyncIterator[Lab]:
    """Give the same on every database, for what happens at the same moment."""
    async with Lab(tmp_path, database_url=database_url) as each:
        steps.begin(each.engine)
        yield each


async def take(engine: Engine, due: Due) -> list[Due]:
    """Take one step, as the task of that name does."""
    match due.task:
        case Task.PULL:
            return await steps.pull(engine, due.ids[0])
        case Task.PUSH:
            return await steps.push(engine, due.ids[0])
        case Task.INGEST:
            return await steps.ingest(engine, due.ids[0])
        case Task.RECONCILE:
            return steps.reconcile(engine, due.ids)


async def work(engine: Engine, queued: Iterable[Due]) -> Counter[str]:
    """Work until nothing is queued any more; counts the tasks."""
    line, taken = deque(queued), Counter[str]()
    while line:
        due = line.popleft()
        taken[due.task.value] += 1
        assert taken.total() < MOST_STEPS, taken
        line.extend(await take(engine, due))
    return taken


async def test_steps_bring_a_meeting_everywhere_and_then_rest(lab: Lab) -> None:
    lab.book()

    first = await work(lab.engine, tick(lab.engine))
    second = find_due(lab.engine)

    assert len(lab.records(lab.world.attio)) == 1
    assert len(lab.records(lab.world.prospect_crm)) == 1
    assert first["pull_connection"] == 4
    assert not second


async def test_steps_come_to_the_same_end_as_a_sync(lab: Lab) -> None:
    for day in range(1, 4):
        lab.book(f"Talk {day}", days=day)
    await work(lab.engine, tick(lab.engine))
    lab.forget_requests()

    summary = await lab.sync()

    assert summary.settled == 3
    assert not summary.needs_attention
    assert lab.writes() == 0


async def test_the_tick_sweeps_again_once_the_interval_has_passed(lab: Lab) -> None:
    await work(lab.engine, tick(lab.engine))
    lab.pass_time(seconds=250)
    early = find_due(lab.engine)
    lab.pass_time(seconds=50)

    late = find_due(lab.engine)

    assert early == []
    assert {due.task for due in late} == {Task.PULL}
    assert len(late) == 4


async def test_a_sweep_that_was_queued_twice_is_made_once(lab: Lab) -> None:
    await steps.pull(lab.engine, "acme/zoom")
    lab.forget_requests()

    await steps.pull(lab.engine, "acme/zoom")

    assert lab.world.requests() == 0


async def test_what_is_queued_is_not_queued_again(lab: Lab) -> None:
    first = tick(lab.engine)

    again = to_queue(lab.engine, first)

    assert len(first) == 4
    assert again == []


async def test_what_the_broker_did_not_take_is_found_again(lab: Lab) -> None:
    first = tick(lab.engine)
    unqueued(lab.engine, first)

    again = to_queue(lab.engine, find_due(lab.engine))

    assert set(again) == set(first)


async def test_a_connection_that_is_worked_on_is_left_alone(lab: Lab) -> None:
    with lab.engine.store.transaction() as uow:
        uow.leases.acquire("connection:acme/zoom", "somebody else")

    due = tick(lab.engine)

    assert {each.key for each in due} == {"acme/attio", "acme/lightfield", "acme/prospects"}


async def test_a_pause_that_is_over_ends_and_the_connection_is_swept(lab: Lab) -> None:
    until = lab.engine.now() + timedelta(minutes=10)
    with lab.engine.store.transaction() as uow:
        uow.connections.pause("acme/attio", reason="limited", until=until)
    during = find_due(lab.engine)
    lab.pass_time(minutes=11)

    after = tick(lab.engine)

    assert "acme/attio" not in {due.key for due in during}
    assert "acme/attio" in {due.key for due in after}
    with lab.engine.store.reading() as uow:
        row = uow.connections.get("acme/attio")
    assert row is not None
    assert row.state is ConnectionState.OK


async def test_a_revoked_connection_waits_for_a_person(lab: Lab) -> None:
    with lab.engine.store.transaction() as uow:
        uow.connections.pause("acme/attio", reason="revoked", until=None, state=ConnectionState.REVOKED)

    assert "acme/attio" not in {due.key for due in tick(lab.engine)}


async def test_a_side_that_fails_is_not_asked_again_at_once_and_stops_no_other(lab: Lab) -> None:
    lab.world.attio.faults.append(Fault(status=503, times=None))
    lab.book()

    await work(lab.engine, tick(lab.engine))

    assert len(lab.records(lab.world.prospect_crm)) == 1
    assert "acme/attio" not in {due.key for due in find_due(lab.engine)}


async def test_writes_that_have_to_wait_do_not_keep_workers_busy(lab: Lab) -> None:
    # Before a side's list was read in full, nothing new is made there.
    lab.world.attio.faults.append(Fault(method="GET", path=r"/v2/meetings", status=503, times=None))
    lab.book()

    taken = await work(lab.engine, tick(lab.engine))

    assert taken["push_connection"] < 10
    assert lab.records(lab.world.attio) == []


async def test_a_push_that_is_told_to_end_leaves_the_rest_in_line(lab: Lab) -> None:
    for day in range(1, 4):
        lab.book(f"Talk {day}", days=day)
    queue = deque(tick(lab.engine))
    while any(due.task is not Task.PUSH for due in queue):
        due = queue.popleft()
        queue.extend([due] if due.task is Task.PUSH else await take(lab.engine, due))

    await steps.push(lab.engine, "acme/prospects", lambda: True)
    stopped = len(lab.records(lab.world.prospect_crm))
    await steps.push(lab.engine, "acme/prospects")

    assert stopped == 0
    assert len(lab.records(lab.world.prospect_crm)) == 3


async def test_a_task_delivered_again_while_the_first_still_runs_has_one_effect(shared_lab: Lab) -> None:
    lab = shared_lab
    await work(lab.engine, tick(lab.engine))
    lab.book()
    slow = Fault(method="POST", path=r"/v2/meetings", delay_seconds=0.5, moment=Moment.AFTER)
    lab.world.attio.faults.append(slow)
    settings = load_settings(lab.folder / "sync-engine.toml", {})
    now = lab.world.clock.now
    other = build_engine(settings, store=open_store(settings, now), now=now)
    lab.pass_time(minutes=5)
    await steps.pull(lab.engine, "acme/zoom")
    with lab.engine.store.reading() as uow:
        (meeting,) = uow.meetings.search("acme")
    steps.reconcile(lab.engine, [meeting.id])

    async def again() -> list[Due]:
        while not slow.struck:  # noqa: ASYNC110 (a server in another thread counts it)
            await asyncio.sleep(0.01)
        return await steps.push(other, "acme/attio")

    first, second = await asyncio.gather(steps.push(lab.engine, "acme/attio"), again())
    await other.aclose()

    assert len(lab.records(lab.world.attio)) == 1
    assert second == []
    assert Task.RECONCILE in {due.task for due in first}


async def test_what_came_in_while_a_connection_was_swept_follows_the_sweep(lab: Lab) -> None:
    await work(lab.engine, tick(lab.engine))
    lab.book("Late")
    lab.pass_time(minutes=5)
    await steps.pull(lab.engine, "acme/zoom")
    with lab.engine.store.reading() as uow:
        ids = uow.meetings.in_line("acme", 10, lab.engine.now())
    found = steps.reconcile(lab.engine, ids)
    wanted = Due(Task.PUSH, ("acme/attio",), key="acme/attio")
    assert wanted in found

    async with hold(lab.engine, "connection:acme/attio"):
        refused = await steps.push(lab.engine, "acme/attio")
    follow = await steps.pull(lab.engine, "acme/attio")

    assert refused == []
    assert wanted in follow


async def test_two_ticks_at_once_queue_everything_once(shared_lab: Lab) -> None:
    both = await asyncio.gather(*(asyncio.to_thread(tick, shared_lab.engine) for _ in range(2)))

    assert sorted(len(each) for each in both) == [0, 4]


async def test_a_connection_that_is_not_configured_any_more_ends_quietly(lab: Lab) -> None:
    assert await steps.pull(lab.engine, "acme/gone") == []
    assert await steps.push(lab.engine, "nobody/gone") == []
    assert await steps.ingest(lab.engine, "no-such-delivery") == []
    assert steps.reconcile(lab.engine, ["no-such-meeting"]) == []


async def test_a_run_the_journal_speaks_of_is_kept(lab: Lab) -> None:
    lab.book()

    await work(lab.engine, tick(lab.engine))

    with lab.engine.store.reading() as uow:
        known = {run.id for run in uow.runs.latest("acme", 100)}
        spoken_of = {entry.run_id for entry in uow.journal.latest("acme", 100)}
    assert spoken_of <= known


async def test_a_new_record_that_waited_for_its_sides_list_is_made_once_that_was_read(lab: Lab) -> None:
    lab.book()
    await steps.pull(lab.engine, "acme/zoom")
    with lab.engine.store.reading() as uow:
        ids = uow.meetings.in_line("acme", 10, lab.engine.now())
    steps.reconcile(lab.engine, ids)
    await steps.push(lab.engine, "acme/attio")
    early = len(lab.records(lab.world.attio))

    follow = await steps.pull(lab.engine, "acme/attio")
    for due in follow:
        await take(lab.engine, due)

    assert early == 0
    assert len(lab.records(lab.world.attio)) == 1


async def test_a_broker_that_forgot_everything_is_told_everything_again(lab: Lab) -> None:
    first = tick(lab.engine)

    all_lost(lab.engine)

    assert set(to_queue(lab.engine, find_due(lab.engine))) == set(first)
