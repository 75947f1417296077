"""Children are started again when they fall over, and none outlives its family."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sync_engine.embedded.children import Family, spawn
from sync_engine.embedded.folder import alone_in, state_folder
from sync_engine.errors import ConfigurationError

DEAF = """\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def python(code: str) -> subprocess.Popen[bytes]:
    return spawn([sys.executable, "-c", code])


def test_a_child_that_falls_over_is_started_again(tmp_path: Path) -> None:
    told = tmp_path / "told"
    family = Family()
    family.add("short", lambda: python(f"open({str(told)!r}, 'a').write('x')"))
    watching = threading.Thread(target=family.watch)

    watching.start()
    until = time.monotonic() + 20
    while time.monotonic() < until and (not told.exists() or len(told.read_text()) < 2):
        time.sleep(0.05)
    family.stop()
    watching.join()
    family.end(2)

    assert len(told.read_text()) >= 2


def test_a_family_ends_in_time_also_when_a_child_does_not_listen(tmp_path: Path) -> None:
    log = (tmp_path / "log").open("wb")
    family = Family()
    family.add("first", lambda: python("import time; time.sleep(60)"))
    family.add("deaf", lambda: spawn([sys.executable, "-c", DEAF], output=log))
    until = time.monotonic() + 20
    while time.monotonic() < until and not (tmp_path / "log").read_bytes():
        time.sleep(0.02)

    started = time.monotonic()
    family.end(1.0)
    log.close()

    assert time.monotonic() - started < 3
    assert all(child.process is not None and child.process.poll() is not None for child in family.members)


def test_a_second_engine_is_kept_out_of_the_folder(tmp_path: Path) -> None:
    folder = state_folder(tmp_path)

    with alone_in(folder), pytest.raises(ConfigurationError, match="another"), alone_in(folder):
        pass
    with alone_in(folder):
        free_again = True

    assert folder == tmp_path / ".sync-engine"
    assert free_again


def test_a_place_that_cannot_be_written_to_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")

    assert state_folder(file, tmp_path) == tmp_path / ".sync-engine"
