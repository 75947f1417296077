"""The Celery application and every setting it runs with, each with its reason.

The database is the truth and the broker only wakes workers up: whatever stands below may lose, double or
delay a message, and the tick makes up for it.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from workers.process import broker_url, settings
from workers.schedule import schedule_settings
from workers.transport import use_steady_transport

QUEUES = ("webhooks", "control", "reconcile", "push", "pull")
"""The queues, in the order a worker that serves several looks at them: what people wait for comes first."""

ROUTES = {
    "ingest_delivery": "webhooks",
    "tick": "control",
    "maintain": "control",
    "reconcile_meetings": "reconcile",
    "push_connection": "push",
    "pull_connection": "pull",
}

KEY_PREFIX = "ms:"
"""Ours among the keys of a Redis that others use too."""

TIME_LIMIT_SECONDS = 180
PULL_TIME_LIMIT_SECONDS = 3600
VISIBILITY_TIMEOUT_SECONDS = 2 * PULL_TIME_LIMIT_SECONDS


def _settings() -> dict[str, Any]:
    return {
        "broker_url": broker_url(),
        **_delivery(),
        **_limits(),
        **_routing(),
        **_watching(),
        **schedule_settings(broker_url(), KEY_PREFIX),
    }


def _delivery() -> dict[str, Any]:
    return {
        # A worker may start before its broker, and a broker may be away for a night.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            # A message nobody acknowledged comes back after this long, even while its task still runs. The
            # tick notices lost work within seconds, so this only has to be longer than any task.
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # By default the messages of a dead worker are looked for every hundred seconds or so.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # Queues in the order they are named; by default they take turns.
            "queue_order_strategy": "priority",
            # We order by queue, not by message: one list per queue instead of four.
            "priority_steps": [0],
            "socket_connect_timeout": 2,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "global_keyprefix": KEY_PREFIX,
        },
        # Publishing must fail fast when the broker is away: a webhook is being answered meanwhile, and
        # what was not published is found by the next tick.
        "task_publish_retry_policy": {
            "max_retries": 2,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.5,
        },
        # Ids only, so JSON is enough, and nothing that could run code is ever unpacked.
        "task_serializer": "json",
        "accept_content": ["json"],
        # Nobody reads results; storing them would double the traffic, and waiting for one while the
        # broker is away takes many times as long.
        "task_ignore_result": True,
        # Acknowledged after the work: a task whose worker was killed is done again, and may be.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # A task that raised or ran out of time is acknowledged all the same. Sent back, it would run for
        # ever; what it did not do is still due in the database.
        "task_acks_on_failure_or_timeout": True,
        # Work in hand goes on while the connection to the broker is being made again.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # One message per free place: a long pull must not keep a reserved webhook waiting behind it.
        "worker_prefetch_multiplier": 1,
    }


def _limits() -> dict[str, Any]:
    return {
        # The hard limit kills the process, should even cancelling not help. There is no soft limit of
        # Celery's: it raises inside whatever line runs just then, and in an event loop that may be the
        # loop itself. Steps are cancelled by the loop instead, some time before this.
        "task_time_limit": TIME_LIMIT_SECONDS,
        "task_soft_time_limit": None,
        # Signalled to end, a process gets so long to finish what it does (with REMAP_SIGTERM=SIGQUIT,
        # which sync-engine worker sets); what is not finished goes back into its queue.
        "worker_soft_shutdown_timeout": 20,
        # That is for workers that hold tasks with a timer, and would make an idle one wait; ours hold none.
        "worker_enable_soft_shutdown_on_idle": False,
        # Memory that tracebacks and caches hold on to is given back now and then.
        "worker_max_tasks_per_child": 2000,
        "worker_max_memory_per_child": 400_000,
    }


def _routing() -> dict[str, Any]:
    return {
        "task_default_queue": "control",
        "task_routes": {name: {"queue": queue} for name, queue in ROUTES.items()},
        # A misspelt queue would be a place where tasks wait for ever.
        "task_create_missing_queues": True,
    }


def _watching() -> dict[str, Any]:
    return {
        # Flower lives on these events.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        # Our own logging is set up in signals.py; Celery must not replace it nor take stdout.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "enable_utc": True,
        "timezone": "UTC",
    }


use_steady_transport()

# The settings are read when the application is first used: importing it must not need a configuration.
app = Celery("sync_engine", include=["workers.tasks", "workers.signals"])
app.add_defaults(_settings)

__all__ = ["QUEUES", "ROUTES", "app", "settings"]
