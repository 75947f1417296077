"""What happens around tasks: logging, the ids every log line carries, and a clean end of each process."""

from __future__ import annotations

from typing import Any

from celery import signals
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from sync_engine.observability import configure_logging
from workers import process

REQUEST_ID = "request_id"
"""From the webhook that began it all to the write it led to; carried in the headers of messages."""


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    # Connecting here also keeps Celery from setting up handlers of its own.
    log = process.settings().log
    configure_logging(log.format, log.level)


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
