"""How the sandboxes' webhooks are brought to an engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sync_engine.cli.courier import Courier
from sync_engine.errors import ConfigurationError
from sync_engine.sandbox.server import Delivery


class Receiver:
    """An engine's front door: keeps what arrives, answers with the statuses it was given, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.arrived: list[tuple[str, bytes, str | None]] = []
        self.enough = threading.Event()
        self.wanted = 1
        self.url = ""

    def take(self, path: str, body: bytes, signature: str | None) -> int:
        self.arrived.append((path, body, signature))
        if len(self.arrived) >= self.wanted:
            self.enough.set()
        return self.statuses.pop(0) if self.statuses else 200


@contextmanager
def serving(receiver: Receiver) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(receiver.take(self.path, body, self.headers.get("x-signature")))
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_delivery_arrives_with_its_exact_bytes_and_headers_at_its_connection() -> None:
    with serving(Receiver()) as receiver:
        courier = Courier(receiver.url, "acme")

        courier.take(Delivery("prospect_crm", b'{"a" : 1}', {"X-Signature": "t=1,v1=2"}))

        assert receiver.enough.wait(10)
    assert receiver.arrived == [("/webhooks/acme/prospects", b'{"a" : 1}', "t=1,v1=2")]


def test_an_engine_that_fails_is_asked_again_and_one_that_refuses_is_not() -> None:
    receiver = Receiver(503, 200, 401, 200)
    receiver.wanted = 4
    with serving(receiver):
        courier = Courier(receiver.url, "acme")

        for name in (b"failed once", b"refused", b"last"):
            courier.take(Delivery("zoom", name))

        assert receiver.enough.wait(10)
    assert [body for _, body, _ in receiver.arrived] == [b"failed once", b"failed once", b"refused", b"last"]


def test_an_address_that_is_none_is_wrong_usage() -> None:
    with pytest.raises(ConfigurationError, match="--webhooks"):
        Courier("127.0.0.1:8080", "acme")
