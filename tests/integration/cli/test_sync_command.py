"""``sync`` as an operator meets it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sync_engine.sandbox.faults import Fault
from sync_engine.sandbox.world import World
from sync_engine.services.lease import hold
from tests.integration.cli.operator import Operator, live
from tests.integration.services.bench import opened

COUNTS = (
    "settled",
    "runs",
    "observed",
    "created",
    "updated",
    "deleted",
    "held",
    "deferred",
    "parked",
    "conflicts",
    "quarantined",
    "duration_ms",
)


def test_a_sync_prints_one_summary_object_and_nothing_else_on_stdout(operator: Operator) -> None:
    operator.book()

    outcome = operator.run("sync", "--json")

    assert outcome.code == 0, outcome.err
    assert outcome.out.count("\n") == 1
    assert all(type(outcome.json[name]) is int for name in COUNTS)
    assert (outcome.json["settled"], outcome.json["created"], outcome.json["deferred"]) == (1, 2, 1)
    assert outcome.json["requests"]["attio"]["POST"] == 1


def test_a_second_sync_writes_nothing_and_says_that_all_is_settled(operator: Operator) -> None:
    operator.book()
    operator.sync()
    before = operator.changes()

    outcome = operator.run("sync")

    assert outcome.code == 0
    assert "Settled: 1 meeting in agreement" in outcome.out
    assert operator.changes() == before


def test_an_unknown_workspace_is_wrong_usage_with_the_right_name(operator: Operator) -> None:
    outcome = operator.run("sync", "--workspace", "acne", "--json")

    assert (outcome.code, outcome.out) == (2, "")
    assert 'did you mean "acme"?' in outcome.err


def test_an_unreachable_connection_is_named_and_the_others_go_on(operator: Operator) -> None:
    operator.book()
    text = operator.file.read_text()
    operator.file.write_text(text.replace(f":{operator.world.lightfield.port}", ":9"))

    outcome = operator.run("sync", "--json")

    assert outcome.code == 3
    assert outcome.json["unreachable"] == ["lightfield"]
    assert "lightfield" in outcome.json["failures"]
    assert len(live(operator.world.attio)) == 1


def test_refused_credentials_end_with_3_and_status_says_what_to_do(operator: Operator) -> None:
    operator.file.write_text(operator.file.read_text().replace(operator.world.attio.token, "wrong"))

    outcome = operator.run("sync", "--json")
    status = operator.run("status")

    assert outcome.code == 3
    assert status.code == 0
    assert "unauthorised" in status.out
    assert "sync-engine check" in status.out


def test_a_refused_write_ends_with_1_and_shows_the_command_that_decides(operator: Operator) -> None:
    operator.book()
    operator.world.attio.faults.append(Fault("POST", "/v2/meetings", status=422, body={}))

    outcome = operator.run("sync")

    assert outcome.code == 1
    assert "sync-engine parked" in outcome.out


def test_a_wrong_configuration_prints_every_problem_with_line_and_fix(operator: Operator) -> None:
    text = operator.file.read_text()
    broken = text.replace("twin_grace_minutes", "twin_grace_minute").replace('"zoom"\nbase', '"zom"\nbase')
    operator.file.write_text(broken)

    outcome = operator.run("sync", "--json")

    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("twin_grace_minute") >= 2
    assert 'did you mean "zoom"?' in outcome.err
    assert f"{operator.file}:" in outcome.err


def test_a_missing_configuration_says_how_to_begin(operator: Operator, tmp_path: Path) -> None:
    operator.file = tmp_path / "nowhere.toml"

    outcome = operator.run("status")

    assert outcome.code == 2
    assert "sync-engine init" in outcome.err


def test_two_workspaces_with_connections_of_one_name_keep_their_numbers_apart(operator: Operator) -> None:
    operator.book()
    text = operator.file.read_text()
    _, _, second = text.replace("workspaces.acme", "workspaces.other").partition("\n\n")
    operator.file.write_text(f"{text}\n{second}")

    summary = operator.sync()

    assert {"acme/zoom", "other/zoom"} <= summary["requests"].keys()
    assert summary["runs"] == 2


def test_a_sync_waits_for_another_run_and_then_does_its_own_work(operator: Operator) -> None:
    operator.sync()
    number = operator.book()
    holding, free = threading.Event(), threading.Event()

    async def other_run() -> None:
        async with opened(operator.file) as engine, hold(engine, "connection:acme/zoom"):
            holding.set()
            await asyncio.to_thread(free.wait, 20)

    other = threading.Thread(target=lambda: asyncio.run(other_run()))
    other.start()
    assert holding.wait(20)
    threading.Timer(1.0, free.set).start()
    outcome = operator.run("sync", "--json")
    other.join()

    assert outcome.code == 0, outcome.err
    assert outcome.json["settled"] == 1
    assert operator.run("explain", number).code == 0


def test_a_sync_that_waited_in_vain_does_not_say_settled(operator: Operator) -> None:
    operator.sync()
    operator.book()
    holding, free = threading.Event(), threading.Event()

    async def other_run() -> None:
        async with opened(operator.file) as engine, hold(engine, "connection:acme/zoom"):
            holding.set()
            await asyncio.to_thread(free.wait, 20)

    other = threading.Thread(target=lambda: asyncio.run(other_run()))
    other.start()
    assert holding.wait(20)
    outcome = operator.run("sync", "--json", "--wait", "0.4")
    free.set()
    other.join()

    assert outcome.code == 1
    assert "another run" in outcome.json["failures"]["zoom"]


@pytest.mark.parametrize("how_many", [2])
def test_syncs_started_at_the_same_moment_make_no_duplicates(
    operator: Operator, world: World, how_many: int
) -> None:
    for day in range(1, 5):
        operator.book(f"Meeting {day}", days=day)
    command = [sys.executable, "-m", "sync_engine", "sync", "--json", "--config", str(operator.file)]

    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(how_many)
    ]
    ended = [(*run.communicate(timeout=60), run.returncode) for run in runs]

    assert [code for _, _, code in ended] == [0] * how_many, [err.decode()[-500:] for _, err, _ in ended]
    assert len(live(world.attio)) == 4
    assert len(live(world.prospect_crm)) == 4


def test_the_log_goes_to_stderr_and_names_no_title_and_no_address(operator: Operator) -> None:
    operator.book("Very secret acquisition")
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "sync_engine", "--config", str(operator.file), "sync", "--json"]

    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert "sync_finished" in done.stderr
    assert "acquisition" not in done.stderr
    assert "@" not in done.stderr


def test_an_interrupted_sync_says_so_and_the_next_one_goes_on_at_once(operator: Operator) -> None:
    operator.book()
    slow = Fault("GET", "/v2/meetings", delay_seconds=3)
    operator.world.attio.faults.append(slow)
    command = [sys.executable, "-m", "sync_engine", "sync", "--config", str(operator.file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while slow.struck == 0 and time.monotonic() < deadline:
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    started = time.monotonic()
    summary = operator.sync()

    assert process.returncode == 130
    assert "run it again" in err
    assert "Traceback" not in err
    assert summary["settled"] == 1
    assert time.monotonic() - started < 20
