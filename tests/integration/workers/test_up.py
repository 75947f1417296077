"""``sync-engine up``: one command, no server, and nothing left behind however it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.workers.rig import Rig, descendants_of, eventually, is_alive, kill, opened

# Real processes, real signals and minutes of waiting for brokers: `make processes`.
pytestmark = pytest.mark.slow


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Rig]:
    """Give a world whose configuration names no server at all."""
    with opened(Rig(tmp_path, f"sqlite:///{tmp_path / 'up.db'}", "")) as rig:
        yield rig


def up(rig: Rig) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    return rig.command("up", "--port", str(port)), port


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_up_carries_an_edit_within_the_polling_interval_and_ends_cleanly(embedded: Rig) -> None:
    number = embedded.book("Kick-off")
    process, port = up(embedded)
    eventually(lambda: is_ready(port), 40, "everything runs")
    eventually(lambda: embedded.titles(embedded.world.attio) == ["Kick-off"], 20, "the meeting came")
    crm = embedded.world.prospect_crm
    eventually(lambda: len(crm.records()) == 1, 20, "it came to the CRM, too")
    before = crm.records()[0]["start"]

    started = time.monotonic()
    embedded.world.zoom.people.move(number, embedded.world.clock.now() + timedelta(days=3))
    eventually(lambda: crm.records()[0]["start"] != before, 10, "the edit arrived")
    took = time.monotonic() - started
    family = descendants_of(process.pid)
    process.send_signal(signal.SIGTERM)
    code = process.wait(10)

    # The interval is two seconds; the machine may be busy.
    assert took < 5
    assert code == 0
    assert len(family) >= 4
    assert not any(map(is_alive, family))


def test_up_killed_the_hard_way_leaves_no_orphan_and_starts_again(embedded: Rig) -> None:
    process, port = up(embedded)
    eventually(lambda: is_ready(port), 40, "everything runs")
    family = descendants_of(process.pid)

    kill(process.pid)
    process.wait()

    eventually(lambda: not any(map(is_alive, family)), 10, "all of it ended")
    again, port = up(embedded)
    eventually(lambda: is_ready(port), 40, "it runs again")
    second, _ = up(embedded)
    assert second.wait(20) == 2
    assert "another sync-engine up" in (embedded.folder / "up-2.log").read_text()
    again.send_signal(signal.SIGTERM)
    assert again.wait(10) == 0


def test_up_says_that_its_port_is_taken(embedded: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = embedded.command("up", "--port", str(taken.getsockname()[1]))
        code = process.wait(30)

    assert code == 2
    assert "--port" in (embedded.folder / "up-0.log").read_text()
