"""The web application: deliveries, health and metrics on one port."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from sync_engine.metrics import Metrics, StoreCollector
from sync_engine.observability import request_ids
from sync_engine.services.engine import Engine
from sync_engine.services.inbox import InboxWriter, Notify
from sync_engine.web.health import BrokerCheck, Health, show_root
from sync_engine.web.webhooks import WebhookDoor


def build_app(
    engine: Engine,
    *,
    notify: Notify | None = None,
    broker: BrokerCheck | None = None,
    metrics: Metrics | None = None,
    metrics_token: str = "",
) -> Starlette:
    """Build the application; it works while its lifespan lasts.

    ``notify`` hears, from a thread of its own, of new deliveries by inbox id; without it they wait for the
    tick. ``broker`` belongs to readiness where a broker is configured. ``metrics`` are this process's, and
    are shown together with how everything stands in the store.
    """
    counted = metrics if metrics is not None else Metrics()
    counted.registry.register(StoreCollector(engine))
    writer = InboxWriter(engine, notify)
    health = Health(engine, counted, broker, metrics_token)
    door = WebhookDoor(engine, writer, counted)
    routes: list[BaseRoute] = [
        Route("/webhooks/{workspace}/{connection}", door.receive, methods=["POST"]),
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/metrics", health.show_metrics),
        Route("/", show_root),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        writer.start()
        try:
            yield
        finally:
            await run_in_threadpool(writer.close)

    # Starlette asks for a class where any function of an application would do.
    with_ids = cast(Any, request_ids)
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(with_ids, _new_request_id)])


def _new_request_id() -> str:
    """Make an id that tells requests apart; it protects nothing, so it need not cost a system call."""
    return f"{random.getrandbits(128):032x}"
