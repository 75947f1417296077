"""A lab whose web application is served on loopback, and the way the sandboxes' deliveries get there."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from sync_engine.sandbox.server import Delivery
from sync_engine.services.engine import Channel, Engine
from sync_engine.services.ingest import run_delivery
from sync_engine.store.inbox import InboxRow
from sync_engine.web.app import build_app
from sync_engine.web.serving import configuration_of
from tests.lab import Lab

SECRETS = {
    "zoom": "zoom-secret",
    "attio": "attio-secret",
    "lightfield": "lightfield-secret",
    "prospects": "prospects-secret",
}
CONFIGURED = {name: f'webhook_secret = "{secret}"' for name, secret in SECRETS.items()}
CONNECTIONS = {
    "zoom": "zoom",
    "attio": "attio",
    "lightfield": "lightfield",
    "prospect_crm": "prospects",
}


def let_sandboxes_deliver(lab: Lab) -> None:
    """Give every sandbox the secret its connection is configured with."""
    for sandbox in lab.world.sandboxes:
        sandbox.webhook_secret = SECRETS[CONNECTIONS[sandbox.name]]  # type: ignore[attr-defined]


def path_of(delivery: Delivery) -> str:
    """Give where a provider was told to deliver."""
    return f"/webhooks/acme/{CONNECTIONS[delivery.provider]}"


def channel_of(lab: Lab, provider: str) -> Channel:
    """Give the channel of a provider."""
    return lab.tenant.channels[CONNECTIONS[provider]]


def taken(lab: Lab) -> list[Delivery]:
    """Take the deliveries the sandboxes have sent so far."""
    found = list(lab.world.deliveries)
    lab.world.deliveries.clear()
    return found


def inbox(engine: Engine, connection_id: str = "acme/zoom") -> list[InboxRow]:
    """Give what is pending at a connection, whenever it is due."""
    with engine.store.reading() as uow:
        due = uow.inbox.next_due(connection_id)
        return uow.inbox.pending(connection_id, max(due, engine.now()), 100_000) if due else []


class Door:
    """The web application behind a real server, and a client for it."""

    def __init__(self, url: str, notified: Sequence[str]) -> None:
        self.notified = notified
        self.client = httpx.Client(base_url=url, timeout=10)

    def post(self, delivery: Delivery, **headers: str) -> httpx.Response:
        """Deliver, with headers changed."""
        sent = {**delivery.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.post(path_of(delivery), content=delivery.body, headers=sent)

    def post_all(self, deliveries: Iterable[Delivery]) -> list[int]:
        """Deliver everything in this order; gives the statuses."""
        return [self.post(delivery).status_code for delivery in deliveries]

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a page."""
        return self.client.get(path, headers=headers)


@contextmanager
def served(engine: Engine, notify: Callable[[str], None] | None = None, **options: Any) -> Iterator[Door]:
    """Serve an engine's web application on a free port of loopback."""
    notified: list[str] = []
    app = build_app(engine, notify=notify or notified.append, **options)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    host, port = listener.getsockname()
    server = uvicorn.Server(configuration_of(app, host, port))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    pause = threading.Event()
    for _ in range(500):
        if server.started:
            break
        pause.wait(0.01)
    door = Door(f"http://{host}:{port}", notified)
    try:
        yield door
    finally:
        door.client.close()
        server.should_exit = True
        thread.join(timeout=15)
        listener.close()


@contextmanager
def table_away(lab: Lab, name: str) -> Iterator[None]:
    """Let a table be missing for a while."""

    def rename(old: str, new: str) -> None:
        with lab.engine.store.transaction() as uow:
            uow.connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    rename(name, f"{name}_away")
    try:
        yield
    finally:
        rename(f"{name}_away", name)


async def deliver(lab: Lab, door: Door, deliveries: Iterable[Delivery] | None = None) -> set[str]:
    """Bring deliveries to the door and work on whatever is pending then, the whole way."""
    statuses = door.post_all(taken(lab) if deliveries is None else deliveries)
    assert set(statuses) <= {200}
    touched: set[str] = set()
    for channel in lab.tenant.channels.values():
        for row in inbox(lab.engine, channel.id):
            touched |= await run_delivery(lab.engine, row.id)
    return touched
