"""kill -9 at any instant: real processes, real signals, one effect."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.world import World

HOST, JANE = "hanna@acme.example", "jane@prospects.example"
MEETINGS = 12


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=3) as world:
        for sandbox in world.sandboxes:
            sandbox.rate_limits = False  # type: ignore[attr-defined]
        yield world


def configure(world: World, folder: Path, database_url: str) -> Path:
    host = world.zoom.add_host(HOST, first_name="Hanna", last_name="Host")
    owner = world.prospect_crm.add_user("Hanna Host", HOST)
    jane = world.prospect_crm.add_prospect("Jane", "Doe", JANE)
    tomorrow = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    for number in range(MEETINGS):
        start = tomorrow + timedelta(hours=number)
        world.zoom.people.book(host, f"Talk {number}", start, 30, invitees=[JANE])
    for number in range(4):
        start = tomorrow + timedelta(days=3, hours=number)
        world.prospect_crm.people.book(jane, start, "Europe/Berlin", "virtual", owner)
    rates = "rates = { light = 1000, medium = 1000, read = 1000, write = 1000, search = 1000, all = 1000 }"
    path = folder / "sync-engine.toml"
    path.write_text(
        configuration_of(
            world,
            database_url=database_url,
            default_host=HOST,
            default_owner_id=owner,
            owner_map={HOST: owner},
            twin_grace_minutes=0,
            extra={"zoom": rates, "attio": rates, "lightfield": rates, "prospects": f"{rates}\nper_hour = 0"},
        )
    )
    path.chmod(0o600)
    return path


def start_sync(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sync_engine", "--config", str(path), "sync", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SYNC_ENGINE_CONFIG": str(path)},
    )


def finish_sync(path: Path) -> tuple[int, dict[str, object]]:
    process = start_sync(path)
    output, errors = process.communicate(timeout=120)
    assert output, errors
    return process.returncode, json.loads(output.splitlines()[-1])


def writes(world: World) -> int:
    return sum(
        number
        for sandbox in world.sandboxes
        for (method, route), number in sandbox.requests.items()
        if method != "GET" and "oauth" not in route
    )


def kill_after_writes(world: World, process: subprocess.Popen[str], number: int) -> None:
    """Kill the process once it has sent so many further writes; an event loop of ours must not sleep."""
    enough, tick = writes(world) + number, threading.Event()
    for _ in range(6000):
        if writes(world) >= enough or process.poll() is not None:
            break
        tick.wait(0.002)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def live(world: World) -> dict[str, list[tuple[object, object]]]:
    return {
        sandbox.name: [
            (r["start"], r["title"] if sandbox.name in {"zoom", "attio"} else None)
            for r in sandbox.records()  # type: ignore[attr-defined]
            if not r["deleted"]
        ]
        for sandbox in world.sandboxes
    }


def test_a_first_sync_killed_again_and_again_ends_without_a_double(
    world: World, tmp_path: Path, database_url: str
) -> None:
    path = configure(world, tmp_path, database_url)
    rng = random.Random(7)

    for _ in range(6):
        kill_after_writes(world, start_sync(path), rng.randint(1, 7))
    code, summary = finish_sync(path)
    code, summary = finish_sync(path)

    everything = live(world)
    assert code == 0, summary
    assert summary["settled"] == MEETINGS + 4
    assert summary["created"] == 0
    for name in ("zoom", "attio", "prospect_crm"):
        assert len(everything[name]) == MEETINGS + 4, name
        assert max(Counter(everything[name]).values()) == 1


def test_two_syncs_at_once_do_no_harm(world: World, tmp_path: Path, database_url: str) -> None:
    path = configure(world, tmp_path, database_url)

    both = [start_sync(path), start_sync(path)]
    codes = [process.communicate(timeout=120) and process.returncode for process in both]
    code, summary = finish_sync(path)

    assert codes == [0, 0]
    assert code == 0
    assert summary["settled"] == MEETINGS + 4
    for name in ("zoom", "attio", "prospect_crm"):
        assert len(live(world)[name]) == MEETINGS + 4
