"""How fast deliveries are answered: signed deliveries at a fixed rate against ``sync-engine serve``.

The rate is kept whatever the answers do, and a wait counts from the moment a delivery was due: a server
that stalls cannot hide behind a client that waits for it.

Run: python -m tests.benchmarks.webhooks [--rate 200] [--seconds 20] [--database-url URL]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECRET = "benchmark-secret"
CONFIGURATION = """\
database_url = "{database_url}"
[log]
level = "{log_level}"
[workspaces.bench.connections.zoom]
provider = "zoom"
account_id = "a"
client_id = "c"
client_secret = "s"
webhook_secret = "{secret}"
"""
CLIENTS = 16
TOPIC = "Interview \\/ second round with the team that would work with her every day"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--log-level", default="info")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.database_url or f"sqlite:///{folder}/bench.db"
        with _serving(Path(folder), url, chosen.log_level) as port:
            asyncio.run(_measure(port, 50.0, 2.0))  # connections, caches and the first tables
            waits, failures = asyncio.run(_measure(port, chosen.rate, chosen.seconds))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cuts = statistics.quantiles(waits, n=1000)
    result = {
        "rate_per_second": chosen.rate,
        "deliveries": len(waits),
        "failures": failures,
        "p50_ms": round(cuts[499] * 1000, 2),
        "p95_ms": round(cuts[949] * 1000, 2),
        "p99_ms": round(cuts[989] * 1000, 2),
        "max_ms": round(max(waits) * 1000, 2),
        "server_cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "server_memory_mb": round(used.ru_maxrss / 1024),
    }
    sys.stdout.write(json.dumps(result) + "\n")


@contextmanager
def _serving(folder: Path, database_url: str, log_level: str) -> Iterator[int]:
    file = folder / "sync-engine.toml"
    file.write_text(CONFIGURATION.format(database_url=database_url, secret=SECRET, log_level=log_level))
    file.chmod(0o600)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-m", "sync_engine", "--config", str(file)]
    subprocess.run([*command, "db", "upgrade"], check=True, stdout=subprocess.DEVNULL)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "serve", "--port", str(port)], stderr=log)
        try:
            _wait_until_up(port)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_up(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not come up")


async def _measure(port: int, rate: float, seconds: float) -> tuple[list[float], int]:
    """Send deliveries at a fixed rate; gives how long each answer took, and how many were not 200."""
    requests = [_request(port, number) for number in range(round(rate * seconds))]
    due: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    waits: list[float] = []
    failures = 0

    async def client() -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (item := await due.get()) is not None:
            moment, request = item
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            waits.append(time.perf_counter() - moment)
            failures += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    start = time.perf_counter() + 0.2
    for number, request in enumerate(requests):
        moment = start + number / rate
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        due.put_nowait((moment, request))
    for _ in clients:
        due.put_nowait(None)
    await asyncio.gather(*clients)
    return waits, failures


def _request(port: int, number: int) -> bytes:
    meeting = 80_000_000_000 + number % 2_000
    moment = str(int(time.time()))
    body = (
        f'{{"event":"meeting.updated","event_ts":{moment}123,"payload":{{"account_id":"A1","scope":"all",'
        f'"object":{{"id":{meeting},"topic":"{TOPIC}","start_time":"2026-12-02T09:00:00Z"}},'
        f'"old_object":{{"id":{meeting},"topic":"{TOPIC}","start_time":"2026-12-01T09:00:00Z"}}}}}}'
    ).encode()
    message = b"v0:" + moment.encode() + b":" + body
    signature = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    head = (
        f"POST /webhooks/bench/zoom HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"x-zm-signature: v0={signature}\r\nx-zm-request-timestamp: {moment}\r\n"
        f"x-zm-request-id: {random.getrandbits(128):032x}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    main()
