"""The Celery application: every task has a queue and a limit, and carries nothing but ids."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from sync_engine.errors import ConfigurationError
from workers import process
from workers.app import QUEUES, ROUTES, VISIBILITY_TIMEOUT_SECONDS, app
from workers.schedule import redbeat_url

CONFIGURATION = """\
redis_url = "redis+socket:///run/never-opened.sock"
[workspaces.acme.connections.crm]
provider = "prospect_crm"
base_url = "http://127.0.0.1:9"
api_key = "k"
"""
SIX = {"pull_connection", "ingest_delivery", "reconcile_meetings", "push_connection", "tick", "maintain"}


@pytest.fixture(scope="module")
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Celery]:
    """Give the application with a configuration of its own; nothing is connected to."""
    file = tmp_path_factory.mktemp("app") / "sync-engine.toml"
    file.write_text(CONFIGURATION)
    file.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNC_ENGINE_CONFIG", str(file))
        process.settings.cache_clear()
        app.loader.import_default_modules()
        yield app
    process.settings.cache_clear()


def ours(celery: Celery) -> set[str]:
    return {name for name in celery.tasks if not name.startswith("celery.")}


def test_there_are_six_tasks_and_each_has_a_queue(celery: Celery) -> None:
    assert ours(celery) == SIX == set(ROUTES)
    assert set(ROUTES.values()) == set(QUEUES)


def test_tasks_take_ids_and_nothing_else(celery: Celery) -> None:
    signatures = {name: inspect.signature(celery.tasks[name].run) for name in SIX}

    taken = [[each.annotation for each in found.parameters.values()] for found in signatures.values()]

    assert {kind for kinds in taken for kind in kinds} <= {"str", "list[str]"}
    assert all(len(kinds) <= 1 for kinds in taken)


def test_no_message_comes_back_while_its_task_may_still_run(celery: Celery) -> None:
    limits = [celery.tasks[name].time_limit or celery.conf.task_time_limit for name in SIX]

    assert max(limits) < VISIBILITY_TIMEOUT_SECONDS
    assert celery.conf.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT_SECONDS


def test_work_is_acknowledged_after_it_was_done_and_given_back_when_its_worker_dies(celery: Celery) -> None:
    for name in SIX:
        assert celery.tasks[name].acks_late
        assert celery.tasks[name].reject_on_worker_lost
        assert celery.tasks[name].ignore_result
    assert celery.conf.worker_prefetch_multiplier == 1


def test_the_schedule_wakes_and_maintains_and_does_nothing_else(celery: Celery) -> None:
    assert {entry["task"] for entry in celery.conf.beat_schedule.values()} == {"tick", "maintain"}
    assert json.dumps([entry.get("args", []) for entry in celery.conf.beat_schedule.values()]) == "[[], []]"


def test_without_a_broker_the_way_to_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sync-engine.toml"
    file.write_text(CONFIGURATION.partition("\n")[2])
    file.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNC_ENGINE_CONFIG", str(file))
        process.settings.cache_clear()
        with pytest.raises(ConfigurationError, match="sync-engine up"):
            process.broker_url()
    process.settings.cache_clear()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("rediss://host:6379/1", "rediss://host:6379/1"),
        ("redis+socket:///run/r.sock", "unix:///run/r.sock"),
        ("redis+socket:///run/r.sock?virtual_host=3", "unix:///run/r.sock?db=3"),
    ],
)
def test_an_address_is_spelt_as_the_scheduler_wants_it(ours: str, theirs: str) -> None:
    assert redbeat_url(ours) == theirs
