"""``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sync_engine.metrics import Metrics
from sync_engine.services.engine import Engine
from sync_engine.services.readiness import READY, database_standing

BrokerCheck: TypeAlias = Callable[[], bool]
"""Tells whether the broker answers; may block for a moment, or raise."""

LONGEST_SECONDS = 3.0
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Health:
    """Tell whether the process lives, whether it can work, and what it counts."""

    engine: Engine
    metrics: Metrics
    broker: BrokerCheck | None = None
    metrics_token: str = ""

    async def healthz(self, _request: Request) -> Response:
        """Say that the process answers; a database that is away is no reason to restart it."""
        return JSONResponse({"status": READY})

    async def readyz(self, _request: Request) -> Response:
        """Say whether deliveries can be stored and passed on now."""
        asked: dict[str, Callable[[], str]] = {"database": lambda: database_standing(self.engine)}
        if self.broker is not None:
            broker = self.broker
            asked["broker"] = lambda: _standing(broker)
        answers = await asyncio.gather(*(_within_time(ask) for ask in asked.values()))
        found = dict(zip(asked, answers, strict=True))
        is_ready = all(answer == READY for answer in answers)
        return JSONResponse(
            {"status": READY if is_ready else "not ready", **found}, status_code=200 if is_ready else 503
        )

    async def show_metrics(self, request: Request) -> Response:
        """Show the metrics: to whoever has the token, or without one to this machine alone."""
        if not self._may_see(request):
            return Response(status_code=401 if self.metrics_token else 403)
        text = await run_in_threadpool(self.metrics.text)
        return Response(text, media_type=EXPOSITION)

    def _may_see(self, request: Request) -> bool:
        if self.metrics_token:
            given = request.headers.get("authorization", "").encode()
            return hmac.compare_digest(given, f"Bearer {self.metrics_token}".encode())
        # What a proxy on this machine passes on comes from elsewhere.
        passed_on = "x-forwarded-for" in request.headers or "forwarded" in request.headers
        return not passed_on and request.client is not None and is_loopback(request.client.host)


def is_loopback(host: str) -> bool:
    """Tell whether an address, or the name of one, is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _within_time(ask: Callable[[], str]) -> str:
    try:
        return await asyncio.wait_for(run_in_threadpool(ask), LONGEST_SECONDS)
    except TimeoutError:
        return "does not answer"


def _standing(broker: BrokerCheck) -> str:
    try:
        return READY if broker() else "does not answer"
    except Exception as error:
        return f"does not answer ({type(error).__name__})"


async def show_root(_request: Request) -> Response:
    """Say in a line that the engine runs."""
    return PlainTextResponse("The meeting sync engine runs. sync-engine status tells how things stand.\n")
