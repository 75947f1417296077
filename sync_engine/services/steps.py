"""Steps: one bounded piece of work each, and what has to follow it.

A worker takes one step per task. Every step loads what stands in the database now, may run twice, and
may run beside any other; what it leaves undone because it was cut short is due again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from sync_engine.services import marks
from sync_engine.services.due import Due, Task, begun, to_queue
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.ingest import ingest_delivery
from sync_engine.services.pull import pull_connection
from sync_engine.services.push import push_connection
from sync_engine.services.reconcile import PAGE, reconcile_rows
from sync_engine.services.run import Run
from sync_engine.services.sync import prepare
from sync_engine.services.tick import is_paused, is_sweep_due, lease_name, line_of, resting_mark
from sync_engine.store.connections import ConnectionState
from sync_engine.store.inbox import InboxState
from sync_engine.store.refs import connection_name, workspace_name
from sync_engine.store.runs import RunRow, RunState
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

PUSH_SECONDS = 5.0
"""A push begins no write after this long: the connection goes to the end of the queue, others get a turn."""
NOTHING_TO_PUSH = timedelta(seconds=5)
"""Writes can be due and still have to wait (for a side's list, for a twin): asking on and on is no use."""
AFTER_A_FAILURE = timedelta(seconds=60)


def begin(engine: Engine) -> None:
    """Make sure every workspace is known, before the first step."""
    for tenant in engine.tenants.values():
        prepare(engine, tenant)


async def pull(engine: Engine, connection_id: str) -> list[Due]:
    """Sweep one connection once, if that is still due: where queues are long, it may be queued again."""
    found = _channel_of(engine, connection_id)
    if found is None:
        return []
    tenant, channel = found
    begun(engine, Task.PULL, connection_id)
    with engine.store.reading() as uow:
        if not is_sweep_due(uow.connections.get(connection_id), tenant, engine.now()):
            return []
    run, started = Run(engine.new_id()), time.monotonic()
    finished = await pull_connection(engine, tenant, channel, run)
    _finish(engine, tenant, run, "pull", started, connection_id)
    if channel.name in run.busy:
        return []
    if run.failures:
        _let_rest(engine, Task.PULL, connection_id, min(tenant.poll, AFTER_A_FAILURE))
    if finished:
        # New records wait for their side's list; now it was read.
        _wake(engine, Task.PUSH, connection_id)
    return _follow(engine, tenant, channel)


async def push(engine: Engine, connection_id: str, is_over: Callable[[], bool] | None = None) -> list[Due]:
    """Carry out what is due at one connection, for a few seconds; ``is_over`` ends it sooner."""
    found = _channel_of(engine, connection_id)
    if found is None:
        return []
    tenant, channel = found
    begun(engine, Task.PUSH, connection_id)
    with engine.store.reading() as uow:
        if _is_worked_on(uow, connection_id):
            return []
    started = time.monotonic()
    run = Run(engine.new_id())
    run.is_over = lambda: time.monotonic() - started > PUSH_SECONDS or bool(is_over and is_over())
    done = await push_connection(engine, tenant, channel, run)
    _finish(engine, tenant, run, "push", started, connection_id)
    if channel.name in run.busy:
        return []
    if not done and not run.is_over():
        _let_rest(engine, Task.PUSH, connection_id, NOTHING_TO_PUSH)
    return _follow(engine, tenant, channel)


async def ingest(engine: Engine, inbox_id: str) -> list[Due]:
    """Read what a delivery hints at; what it touched is reconciled at once."""
    with engine.store.reading() as uow:
        row = uow.inbox.get(inbox_id)
    if row is None:
        return []
    begun(engine, Task.INGEST, row.connection_id)
    with engine.store.reading() as uow:
        if row.state is not InboxState.PENDING or _is_worked_on(uow, row.connection_id):
            return []
    touched = await ingest_delivery(engine, inbox_id)
    follow = _pages(touched, request_id=row.request_id or row.id)
    found = _channel_of(engine, row.connection_id)
    return [*follow, *_follow(engine, *found)] if found else follow


def reconcile(engine: Engine, meeting_ids: Collection[str]) -> list[Due]:
    """Bring these meetings to a plan, as far as they are in line, and push what is wanted now."""
    run, started = Run(engine.new_id()), time.monotonic()
    follow: list[Due] = []
    with engine.store.reading() as uow:
        by_workspace: defaultdict[str, list[str]] = defaultdict(list)
        for row in uow.meetings.load(meeting_ids).values():
            by_workspace[row.meeting.workspace].append(row.id)
    for workspace, ids in by_workspace.items():
        if tenant := engine.tenants.get(workspace):
            follow += _reconcile(engine, tenant, ids, run)
            _finish(engine, tenant, run, "reconcile", started)
    return follow


def _reconcile(engine: Engine, tenant: Tenant, ids: Sequence[str], run: Run) -> list[Due]:
    begun(engine, Task.RECONCILE, tenant.name)
    with engine.store.transaction() as uow:
        now = engine.now()
        locked = uow.meetings.load(ids, lock=True).values()
        rows = [row for row in locked if row.dirty or (row.due_at is not None and row.due_at <= now)]
        planned = reconcile_rows(uow, engine, tenant, rows, run) if rows else []
    written = {write.connection for _, plan in planned for write in plan.writes}
    with engine.store.reading() as uow:
        more = line_of(uow, engine, tenant)
    pushes = [_push_of(tenant.channels[name]) for name in sorted(written)]
    return to_queue(engine, [*pushes, *more])


def _is_worked_on(uow: UnitOfWork, connection_id: str) -> bool:
    """Tell whether another run works on a connection; it looks for more when it is done.

    Waiting for it here would cost a place in the worker for nothing, once for every delivery of a storm.
    """
    return bool(uow.leases.held([lease_name(connection_id)]))


def _follow(engine: Engine, tenant: Tenant, channel: Channel) -> list[Due]:
    """Find what a step left, or kept waiting while it worked on the connection."""
    now, found = engine.now(), []
    with engine.store.reading() as uow:
        found += line_of(uow, engine, tenant)
        if not _is_worked_on(uow, channel.id):
            if delivery := uow.inbox.pending(channel.id, now, 1):
                found.append(Due(Task.INGEST, (delivery[0].id,), key=channel.id))
            if _has_writes(uow, engine, channel):
                found.append(_push_of(channel))
    return to_queue(engine, found)


def _has_writes(uow: UnitOfWork, engine: Engine, channel: Channel) -> bool:
    due, row = uow.outbox.next_due(channel.id), uow.connections.get(channel.id)
    if due is None or due > engine.now() or row is None:
        return False
    silent = row.state in {ConnectionState.REVOKED, ConnectionState.UNAUTHORISED}
    rests = marks.standing(uow, [resting_mark(Task.PUSH, channel.id)])
    return not (silent or rests or is_paused(row, engine.now()))


def _push_of(channel: Channel) -> Due:
    return Due(Task.PUSH, (channel.id,), key=channel.id)


def _pages(meeting_ids: Collection[str], *, request_id: str) -> list[Due]:
    ordered = sorted(meeting_ids)
    pages = (ordered[start : start + PAGE] for start in range(0, len(ordered), PAGE))
    return [Due(Task.RECONCILE, tuple(page), request_id=request_id) for page in pages]


def _let_rest(engine: Engine, task: Task, connection_id: str, lasts: timedelta) -> None:
    with engine.store.transaction() as uow:
        marks.put(uow, resting_mark(task, connection_id), lasts)


def _wake(engine: Engine, task: Task, connection_id: str) -> None:
    mark = resting_mark(task, connection_id)
    with engine.store.reading() as uow:
        rests = bool(marks.standing(uow, [mark]))
    if rests:
        with engine.store.transaction() as uow:
            marks.take_away(uow, mark)


def _channel_of(engine: Engine, connection_id: str) -> tuple[Tenant, Channel] | None:
    """Find a connection; None for one that was taken out of the configuration meanwhile."""
    tenant = engine.tenants.get(workspace_name(connection_id))
    channel = tenant.channels.get(connection_name(connection_id)) if tenant else None
    return (tenant, channel) if tenant and channel else None


def _finish(
    engine: Engine, tenant: Tenant, run: Run, kind: str, started: float, connection_id: str | None = None
) -> None:
    """Tell of a run in one event, and keep it where the journal speaks of it."""
    counts = {
        "observed": run.observed,
        "created": run.created,
        "updated": run.updated,
        "deleted": run.deleted,
        "conflicts": run.conflicts,
    }
    seconds = time.monotonic() - started
    with engine.store.reading() as uow:
        noted = bool(uow.journal.of_run(run.id, limit=1))
    if noted:
        now = engine.now()
        state = RunState.FAILED if run.failures else RunState.FINISHED
        with engine.store.transaction() as uow:
            uow.runs.start(RunRow(run.id, tenant.name, kind, now - timedelta(seconds=seconds)))
            uow.runs.finish(run.id, now, summary=counts, requests={}, state=state)
    if noted or run.failures:
        with bound_contextvars(workspace=tenant.name, connection_id=connection_id):
            log.info(
                f"{kind}_run_finished",
                run_id=run.id,
                failures=len(run.failures),
                duration_ms=round(seconds * 1000),
                **counts,
            )
