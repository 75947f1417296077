"""What happens around tasks: logging, the ids every log line carries, and a clean end of each process."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from celery import signals
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from sync_engine.observability import configure_logging
from workers import process
from workers.tasks import REQUEST_ID, wake_up

log = structlog.get_logger()


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    # Connecting here also keeps Celery from setting up handlers of its own.
    chosen = process.settings().log
    configure_logging(chosen.format, chosen.level)
    if chosen.level != "debug":
        # Two lines a task and one a tick would bury ours; Flower shows all of it.
        for name in ("celery", "kombu", "redbeat"):
            logging.getLogger(name).setLevel(logging.WARNING)


@signals.worker_ready.connect
def _tick_at_once(sender: Any, **_: Any) -> None:
    log.info("worker_ready", queues=sorted(queue.name for queue in sender.task_consumer.queues))
    # Whatever became due while nobody worked need not wait for the schedule.
    wake_up()


@signals.before_task_publish.connect
def _hand_on_request_id(headers: dict[str, Any] | None = None, **_: Any) -> None:
    request_id = get_contextvars().get(REQUEST_ID)
    if headers is not None and request_id:
        headers[REQUEST_ID] = request_id


@signals.task_prerun.connect
def _bind_ids(task_id: str, task: Any, **_: Any) -> None:
    clear_contextvars()
    bind_contextvars(task_id=task_id, task_name=task.name)
    request_id = task.request.get(REQUEST_ID)
    if isinstance(request_id, str):
        bind_contextvars(**{REQUEST_ID: request_id})


@signals.task_postrun.connect
def _clear_ids(**_: Any) -> None:
    clear_contextvars()


@signals.worker_shutting_down.connect
def _end_soon(**_: Any) -> None:
    # Reaches threads, which live in this process. Forked children get their own signals from Celery.
    process.end_soon()


@signals.worker_process_shutdown.connect
def _close_child(**_: Any) -> None:
    process.close()


@signals.worker_shutdown.connect
def _close_process(**_: Any) -> None:
    process.close()
