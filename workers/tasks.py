"""The six tasks. They carry ids, take one step each and queue what follows; they decide nothing."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from structlog.contextvars import bound_contextvars

from sync_engine.services import steps
from sync_engine.services.due import Due, Task, all_lost, unqueued
from sync_engine.services.maintain import maintain as keep_up
from sync_engine.services.tick import tick as find_due
from workers import process
from workers.app import PULL_TIME_LIMIT_SECONDS, TIME_LIMIT_SECONDS, app
from workers.memory import broker_has_forgotten
from workers.retention import retention_of

log = structlog.get_logger()

REQUEST_ID = "request_id"
"""From the webhook that began it all to the write it led to; ``signals`` carries it from task to task."""

_BROKER_ERRORS = (OperationalError, RedisError, OSError)

# A step is cancelled a while before the hard limit would kill its process: cancelled, it gives its lease
# back; killed, the lease ends by itself a minute later.
STEP_SECONDS = TIME_LIMIT_SECONDS * 0.75
PULL_SECONDS = PULL_TIME_LIMIT_SECONDS * 0.95


@app.task(name=Task.PULL.value, time_limit=PULL_TIME_LIMIT_SECONDS)
def pull_connection(connection_id: str) -> None:
    """Sweep one connection. Cut short, it has kept every page it read, and the next one is quicker."""
    queue(process.run(lambda engine: steps.pull(engine, connection_id), seconds=PULL_SECONDS))


@app.task(name=Task.INGEST.value)
def ingest_delivery(inbox_id: str) -> None:
    """Read what a delivery hints at."""
    queue(process.run(lambda engine: steps.ingest(engine, inbox_id), seconds=STEP_SECONDS))


@app.task(name=Task.RECONCILE.value)
def reconcile_meetings(meeting_ids: list[str]) -> None:
    """Bring a page of meetings to a plan."""
    queue(steps.reconcile(process.engine(), meeting_ids))


@app.task(name=Task.PUSH.value)
def push_connection(connection_id: str) -> None:
    """Carry out the due writes of one connection."""
    queue(
        process.run(lambda engine: steps.push(engine, connection_id, process.is_ending), seconds=STEP_SECONDS)
    )


@app.task(name="tick")
def tick() -> None:
    """Queue whatever is due; also what was queued, if the broker has lost everything since."""
    if broker_has_forgotten():
        all_lost(process.engine())
    queue(find_due(process.engine()))


@app.task(name="maintain")
def maintain() -> None:
    """Forget what is over and say what does not go well."""
    keep_up(process.engine(), retention_of(process.settings().retention))


_TASKS = {
    Task.PULL: pull_connection,
    Task.INGEST: ingest_delivery,
    Task.RECONCILE: reconcile_meetings,
    Task.PUSH: push_connection,
}


def queue(found: Sequence[Due]) -> None:
    """Queue tasks; those the broker does not take are found again by the next tick."""
    for index, due in enumerate(found):
        try:
            with bound_contextvars(**({REQUEST_ID: due.request_id} if due.request_id else {})):
                _publish(due)
        except _BROKER_ERRORS as error:
            log.warning("queueing_failed", error=type(error).__name__, tasks=len(found) - index)
            unqueued(process.engine(), found[index:])
            return


def _publish(due: Due) -> None:
    if due.task is Task.RECONCILE:
        # Flower shows a number of meetings rather than a wall of ids.
        shown = f"({len(due.ids)} meetings from {due.ids[0]})"
        _TASKS[due.task].apply_async(args=[list(due.ids)], argsrepr=shown)
    else:
        _TASKS[due.task].apply_async(args=[due.ids[0]])


def wake_up() -> None:
    """Queue a tick now; raises nothing, for the next one comes anyway."""
    try:
        tick.apply_async(retry=False)
    except _BROKER_ERRORS as error:
        log.warning("queueing_failed", error=type(error).__name__, tasks=1)


def wake(inbox_id: str) -> None:
    """Queue the work on a delivery that was just stored; raises nothing, for it is stored.

    For the receiver: it is answering a request meanwhile, so there is one try and no more.
    """
    try:
        ingest_delivery.apply_async(args=[inbox_id], retry=False)
    except _BROKER_ERRORS as error:
        log.warning("queueing_failed", error=type(error).__name__, tasks=1)
