"""How deep the queues are, as a real Redis holds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.integration.workers.rig import ROOT, OwnRedis

QUEUE_AND_COUNT = """
import json
from workers.app import app
from workers.queue_depth import queue_depths
for connection in ("acme/one", "acme/two"):
    app.send_task("pull_connection", args=[connection])
app.send_task("tick")
print(json.dumps(queue_depths()))
"""
SHOW = """
from prometheus_client import CollectorRegistry, generate_latest
from workers.queue_depth import QueueCollector
registry = CollectorRegistry()
registry.register(QueueCollector())
print(generate_latest(registry).decode())
"""


def _run(script: str, folder: Path, redis_url: str) -> str:
    """Run a script in a process of its own: the settings are read once in each."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "SYNC_ENGINE__DATABASE_URL": f"sqlite:///{folder}/unused.db",
        "SYNC_ENGINE__REDIS_URL": redis_url,
        "SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__ATTIO__PROVIDER": "attio",
        "SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__ATTIO__ACCESS_TOKEN": "token",
    }
    arguments = [sys.executable, "-c", script]
    done = subprocess.run(
        arguments, check=True, capture_output=True, text=True, env=environment, cwd=folder, timeout=60
    )
    return done.stdout


def test_tasks_that_nobody_has_taken_are_counted_by_queue(tmp_path: Path, own_redis: OwnRedis) -> None:
    depths = json.loads(_run(QUEUE_AND_COUNT, tmp_path, own_redis.url))
    shown = _run(SHOW, tmp_path, own_redis.url)

    assert depths == {"webhooks": 0, "control": 1, "reconcile": 0, "push": 0, "pull": 2}
    assert 'sync_engine_queue_depth{queue="pull"} 2.0' in shown
    assert 'sync_engine_queue_depth{queue="webhooks"} 0.0' in shown


def test_without_a_broker_the_rest_of_the_metrics_is_shown(tmp_path: Path, own_redis: OwnRedis) -> None:
    own_redis.kill()

    shown = _run(SHOW, tmp_path, own_redis.url)

    assert "queue_depth{" not in shown
