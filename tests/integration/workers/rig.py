"""Real processes: a Redis of our own, workers and beats as they are started in production, a world."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from sync_engine.embedded.broker import answers
from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.sandbox.world import World
from tests.lab import FAST, HOST, JANE

ROOT = Path(__file__).resolve().parents[3]
QUIET = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}


def eventually(claim: Callable[[], Any], within_seconds: float, what: str = "") -> None:
    """Wait until a claim is true; fail when it does not become so."""
    until = time.monotonic() + within_seconds
    while not claim():
        if time.monotonic() > until:
            raise AssertionError(f"not within {within_seconds} s: {what or claim}")
        time.sleep(0.05)


class OwnRedis:
    """A redis-server nobody else uses, on a socket, without anything on disk."""

    def __init__(self, binary: str) -> None:
        self._binary = binary
        # Short: a socket's path may have a hundred bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="rig-"))
        self.url = f"redis+socket://{self.folder}/redis.sock"
        self.client = redis.Redis(unix_socket_path=f"{self.folder}/redis.sock", socket_timeout=5)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty."""
        arguments = ["--port", "0", "--unixsocket", f"{self.folder}/redis.sock", "--save", ""]
        self._process = subprocess.Popen(
            [self._binary, *arguments, "--dir", str(self.folder)], stdout=subprocess.DEVNULL
        )
        eventually(lambda: answers(self.url), 10, "redis-server answers")

    def kill(self) -> None:
        """End it at once, with everything in it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it and take its folder away."""
        self.client.close()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Rig:
    """A world in real time, a configuration, and the processes of a distributed engine."""

    def __init__(self, folder: Path, database_url: str, broker_url: str, *, poll_seconds: float = 2) -> None:
        self.world = World(seed=5)
        for sandbox in self.world.sandboxes:
            sandbox.rate_limits = False  # type: ignore[attr-defined]
        self.folder = folder
        self.host = self.world.zoom.add_host(HOST, first_name="Hanna", last_name="Host")
        self.owner = self.world.prospect_crm.add_user("Hanna Host", HOST)
        self.jane = self.world.prospect_crm.add_prospect("Jane", "Doe", JANE)
        self.configuration = folder / "sync-engine.toml"
        self._urls = database_url, broker_url, poll_seconds
        self._processes: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        """Start the world and write the configuration."""
        self.world.__enter__()
        database_url, broker_url, poll_seconds = self._urls
        text = configuration_of(
            self.world,
            database_url=database_url,
            default_host=HOST,
            default_owner_id=self.owner,
            owner_map={HOST: self.owner},
            twin_grace_minutes=0,
            extra={**FAST, "workspace": f"poll_seconds = {poll_seconds}"},
        )
        self.configuration.write_text(f'redis_url = "{broker_url}"\n{text}')
        self.configuration.chmod(0o600)

    def close(self) -> None:
        """End every process and the world."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
        for process in self._processes:
            process.wait()
        self.world.__exit__(None, None, None)

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command line as a process of its own; what it says goes to a file."""
        log = self.folder / f"{arguments[0]}-{len(self._processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "sync_engine", *arguments, "--config", str(self.configuration)],
                stdout=output,
                stderr=output,
                env=QUIET,
                cwd=self.folder,
            )
        self._processes.append(process)
        return process

    def worker(self, *, concurrency: int = 2, queues: str = "") -> subprocess.Popen[bytes]:
        """Start a worker with forked children."""
        return self.command("worker", "--concurrency", str(concurrency), "--queues", queues)

    def beat(self) -> subprocess.Popen[bytes]:
        """Start a beat."""
        return self.command("beat")

    def book(self, topic: str = "Kick-off", days: float = 1) -> str:
        """Book a meeting at the side that hosts it; gives its number."""
        from datetime import timedelta

        start = self.world.clock.now() + timedelta(days=days)
        return self.world.zoom.people.book(self.host, topic, start, 30, zone="Europe/Berlin", invitees=[JANE])

    def titles(self, sandbox: ProviderSandbox) -> list[str]:
        """Give the titles of the records a provider has, trash left out."""
        return sorted(str(r["title"]) for r in sandbox.records() if not r["deleted"])  # type: ignore[attr-defined]


def children_of(pid: int) -> list[int]:
    """Give the pids of a process's children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def descendants_of(pid: int) -> list[int]:
    """Give the pids of everything a process has started."""
    children = children_of(pid)
    return [*children, *(each for child in children for each in descendants_of(child))]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and nobody asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid: int) -> None:
    """End a process the hard way."""
    os.kill(pid, signal.SIGKILL)


@contextmanager
def opened(rig: Rig) -> Iterator[Rig]:
    """Open a rig for the time of the block."""
    rig.open()
    try:
        yield rig
    finally:
        rig.close()
