"""The commands one begins with: help, ``init``, ``db``, ``sandbox``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sync_engine.cli.app import app
from tests.integration.cli.operator import Operator

COMMANDS = (
    "demo",
    "init",
    "check",
    "sandbox",
    "plan",
    "sync",
    "db upgrade",
    "db current",
    "status",
    "meetings",
    "explain",
    "conflicts",
    "conflicts resolve",
    "review",
    "review link",
    "review separate",
    "review ignore",
    "parked",
    "parked retry",
    "parked discard",
    "parked approve",
    "parked reject",
    "quarantine",
    "quarantine retry",
    "quarantine forget",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "100"})

    assert result.exit_code == 0, result.output
    assert f"sync-engine {command}" in result.stdout


def test_help_does_not_load_the_engine() -> None:
    code = (
        "import sys; from sync_engine.cli.app import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'sqlalchemy', 'httpx', 'starlette', 'alembic'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["synk"], ["sync", "--jsn"], ["explain"], ["--config"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_the_configuration_named_before_a_command_is_the_one_init_writes(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"

    result = CliRunner().invoke(app, ["--config", str(file), "init"], env={"SYNC_ENGINE_CONFIG": ""})

    assert result.exit_code == 0, result.output
    assert "[workspaces.main]" in file.read_text()


def test_the_database_says_where_it_is_and_is_brought_up_to_date(operator: Operator) -> None:
    before = operator.run("db", "current")
    upgraded = operator.run("db", "upgrade")
    after = operator.run("db", "current")
    again = operator.run("db", "upgrade")

    assert (before.code, after.code) == (1, 0)
    assert upgraded.code == again.code == 0
    assert "up to date" in again.out


def test_a_database_that_cannot_be_opened_is_a_configuration_error(operator: Operator) -> None:
    text = operator.file.read_text()
    operator.file.write_text(text.replace("sqlite:///sync-engine.db", "sqlite:///nowhere/at/all.db"))

    outcome = operator.run("status")

    assert outcome.code == 2
    assert "database_url" in outcome.err
    assert "Traceback" not in outcome.err


def wait_until(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if file.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("the sandbox wrote no configuration")


def test_the_sandbox_serves_a_team_whose_meetings_a_sync_brings_into_agreement(tmp_path: Path) -> None:
    file = tmp_path / "sync-engine.toml"
    command = [sys.executable, "-m", "sync_engine"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_ENGINE")}
    process = subprocess.Popen(
        [*command, "sandbox", "--port-base", "0", "--write", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        wait_until(file, process)
        synced = subprocess.run(
            [*command, "sync", "--json", "--config", str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )
        listed = subprocess.run(
            [*command, "--config", str(file), "meetings", "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert synced.returncode == 0, synced.stderr
    assert json.loads(synced.stdout)["created"] > 10
    assert len(json.loads(listed.stdout)["meetings"]) == 17
    assert file.stat().st_mode & 0o077 == 0
    assert process.returncode == 0
    assert (out, "Stopped." in err) == ("", True)


def test_the_sandbox_says_which_ports_are_taken(operator: Operator) -> None:
    taken = operator.world.zoom.port

    outcome = operator.run("sandbox", "--port-base", str(taken))

    assert outcome.code == 2
    assert "--port-base" in outcome.err


def test_the_sandbox_overwrites_no_configuration(operator: Operator) -> None:
    before = operator.file.read_text()

    outcome = operator.run("sandbox", "--write", str(operator.file))

    assert outcome.code == 2
    assert operator.file.read_text() == before
