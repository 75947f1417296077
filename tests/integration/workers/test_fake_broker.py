"""The broker for systems without a real one, with its faults mended."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from sync_engine.adapters.shared_pacing import SharedPacing
from sync_engine.embedded.broker import _fake, answers
from sync_engine.embedded.fake_broker import MendedServer

LARGE = 4_000_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the address of a running server."""
    server = MendedServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    """Give a client that does not hide an answer that was lost."""
    opened = redis.Redis.from_url(url, socket_timeout=10, retry=None)
    yield opened
    opened.close()


def test_a_pipeline_does_not_stall(client: redis.Redis) -> None:
    client.ping()
    started = time.monotonic()

    for _ in range(20):
        pipe = client.pipeline()
        pipe.set("a", 1)
        pipe.get("a")
        pipe.incr("b")
        pipe.execute()

    # 40 ms each as the server comes.
    assert time.monotonic() - started < 0.4


def test_an_error_is_an_answer_and_the_connection_goes_on(client: redis.Redis) -> None:
    client.set("text", "x")
    before = client.client_id()

    with pytest.raises(redis.ResponseError):
        client.lpush("text", 1)

    assert client.get("text") == b"x"
    assert client.client_id() == before


def test_a_large_answer_arrives_whole(client: redis.Redis) -> None:
    client.set("large", b"x" * LARGE)

    assert client.get("large") == b"x" * LARGE


async def test_the_pacers_script_runs_there(url: str) -> None:
    shared = SharedPacing(url)
    pacer = shared.pacer("acme/zoom")
    pacer.set_rate("write", 50)

    started = time.monotonic()
    for _ in range(6):
        await pacer.acquire("write")
    took = time.monotonic() - started
    await shared.aclose()

    assert 0.08 < took < 1


def test_it_starts_and_ends_as_a_process_of_ours() -> None:
    broker = _fake()

    process = broker.start()
    there = answers(broker.url)
    process.send_signal(signal.SIGTERM)

    assert there
    assert process.wait(10) == 0
    assert not answers(broker.url)
    assert sys.executable in broker.arguments
