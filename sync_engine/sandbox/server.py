"""What the four sandboxes share: a real HTTP server, request counters, faults."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_engine.sandbox.faults import Fault, Moment

if TYPE_CHECKING:
    from sync_engine.sandbox.world import CalendarEvent, World


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(
        json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


Endpoint: TypeAlias = Callable[[Request], Awaitable[Response] | Response]
UNKNOWN_ROUTE = "(unknown)"


@dataclass(frozen=True)
class Delivery:
    """One webhook a sandbox wants delivered: exact bytes and headers; the world decides when and whether."""

    provider: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class ProviderSandbox:
    """A provider's state behind a real HTTP server on loopback.

    Subclasses give ``name`` and ``routes()`` and may override ``settle`` (what became due with time),
    ``on_calendar_event``, ``guard`` and ``finish``. ``requests`` counts by (method, route template), what
    no route knows under ``UNKNOWN_ROUTE``; ``log`` keeps (method, path with query, status) of the newest
    requests. Endpoints that are plain functions run under ``world.lock``; asynchronous ones take it
    themselves. ``crashes`` keeps what endpoints raised: the client saw a 500 that nobody asked for.
    """

    name: str
    base_path: str = ""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = random.Random(f"{world.seed}:{self.name}")
        self.requests: Counter[tuple[str, str]] = Counter()
        self.log: list[tuple[str, str, int]] = []
        self.faults: list[Fault] = []
        self.crashes: list[Exception] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Give the base URL a connection is configured with."""
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    def routes(self) -> Sequence[Route]:
        """Give the provider's endpoints."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let everything happen that became due by the world's clock; called before every request."""

    def on_calendar_event(self, event: CalendarEvent) -> None:
        """Hear of an event in the team's calendars (providers with a calendar sync grow a twin)."""

    def guard(self, request: Request) -> Response | None:
        """Answer a request that must not reach its endpoint: credentials, versions, rate limits."""
        return None

    def finish(self, request: Request, response: Response) -> None:
        """Put the provider's standing headers on an answer."""

    def count(self, method: str | None = None, route: str | None = None) -> int:
        """Count requests, by method and route template, either may be left open."""
        return sum(
            number
            for (verb, template), number in self.requests.items()
            if method in (None, verb) and route in (None, template)
        )

    def count_unknown(self, method: str, path: str, status: int) -> None:
        """Count a request that no route knows."""
        self.requests[(method, UNKNOWN_ROUTE)] += 1
        self._note(method, path, status)

    def reset_counters(self) -> None:
        """Forget what was counted so far."""
        self.requests.clear()
        self.log.clear()

    def app(self) -> ASGIApp:
        """Build the ASGI application."""
        return _Door(self, Starlette(routes=[self._wrapped(route) for route in self.routes()]))

    def _wrapped(self, route: Route) -> Route:
        endpoint: Endpoint = route.endpoint

        async def handle(request: Request) -> Response:
            await request.body()
            method, path = request.method, request.url.path
            self.requests[(method, route.path)] += 1
            request.scope["state"]["counted"] = True
            fault = next((f for f in self.faults if f.strikes(method, path)), None)
            response = await self._answer(request, endpoint, fault)
            # Dated by the world's clock: the server's own date would look like a clock gone wrong.
            response.headers.setdefault("date", format_datetime(self.world.clock.now(), usegmt=True))
            query = f"?{request.url.query}" if request.url.query else ""
            self._note(method, path + query, response.status_code)
            return response

        return Route(
            route.path, handle, methods=sorted((route.methods or {"GET"}) - {"HEAD"}), name=route.name
        )

    async def _answer(self, request: Request, endpoint: Endpoint, fault: Fault | None) -> Response:
        if fault is None:
            return await self._effect(request, endpoint)
        if fault.moment is Moment.BEFORE:
            await asyncio.sleep(fault.delay_seconds)
            return _instead(fault) or _rewritten(await self._effect(request, endpoint), fault)
        response = await self._effect(request, endpoint)
        await asyncio.sleep(fault.delay_seconds)
        return _instead(fault) or _rewritten(response, fault)

    async def _effect(self, request: Request, endpoint: Endpoint) -> Response:
        """Let the request do what it does at this provider."""
        try:
            with self.world.lock:
                self.settle()
                outcome = self.guard(request) or endpoint(request)
            response = outcome if isinstance(outcome, Response) else await outcome
            with self.world.lock:
                self.finish(request, response)
        except Exception as crash:
            self.crashes.append(crash)
            raise
        return response

    def _note(self, method: str, target: str, status: int) -> None:
        self.log.append((method, target, status))
        del self.log[:-10_000]


def _instead(fault: Fault) -> Response | None:
    """Give what a fault answers in the provider's place, if anything."""
    if fault.cut:
        return _Cut()
    if not fault.status:
        return None
    body = fault.body if isinstance(fault.body, (str, bytes)) else json.dumps(fault.body)
    content = b"" if fault.body is None else body
    return Response(content, fault.status, dict(fault.headers), media_type="application/json")


def _rewritten(response: Response, fault: Fault) -> Response:
    if not fault.rewrite:
        return response
    # A copy: a provider may keep its real answer to replay it under an idempotency key.
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(fault.rewrite(bytes(response.body)), response.status_code, headers)


class _Cut(Response):
    """An answer that never comes: headers promise a body, then the connection closes."""

    def __init__(self) -> None:
        super().__init__(b"", 599)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["cut"] = True


class _Door:
    """The outermost application: it can close a connection without answering."""

    def __init__(self, sandbox: ProviderSandbox, inner: ASGIApp) -> None:
        self._sandbox, self._inner = sandbox, inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope.setdefault("state", {})
        await self._inner(scope, receive, self._counting(scope, send))
        if scope["state"].get("cut"):
            # An announced body that does not follow makes the server drop the connection.
            headers = [(b"content-length", b"1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})

    def _counting(self, scope: Scope, send: Send) -> Send:
        """Count the requests that no route knows: the router answers those."""

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start" and not scope["state"].get("counted"):
                self._sandbox.count_unknown(scope["method"], scope["path"], message["status"])
            await send(message)

        return observe


class Servers:
    """Serve sandboxes on loopback, all in one thread with one event loop."""

    def __init__(self, sandboxes: Iterable[ProviderSandbox], ports: dict[str, int] | None = None) -> None:
        self._sandboxes = tuple(sandboxes)
        self._ports = ports or {}
        self._servers: list[tuple[uvicorn.Server, socket.socket]] = []
        self._thread = threading.Thread(target=self._run, name="sandboxes", daemon=True)
        try:
            for sandbox in self._sandboxes:
                self._servers.append(self._bind(sandbox))
        except OSError:
            self._close_listeners()
            raise

    def start(self) -> None:
        """Start serving and wait until every server answers."""
        self._thread.start()
        pause = threading.Event()
        for _ in range(500):
            if all(server.started for server, _ in self._servers):
                return
            pause.wait(0.01)
        self.stop()
        raise RuntimeError("the sandboxes did not start within 5 seconds")

    def stop(self) -> None:
        """Stop serving. Raises RuntimeError when an endpoint crashed: what it answered was no answer."""
        for server, _ in self._servers:
            server.should_exit = True
            server.force_exit = True
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        self._close_listeners()
        for sandbox in self._sandboxes:
            if sandbox.crashes:
                raise RuntimeError(f"the {sandbox.name} sandbox crashed") from sandbox.crashes[0]

    def _bind(self, sandbox: ProviderSandbox) -> tuple[uvicorn.Server, socket.socket]:
        # asyncio switches Nagle off only for sockets whose protocol is spelled out; with it, each answer
        # with a body waits 40 ms for the other side.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._ports.get(sandbox.name, 0)))
        except OSError:
            listener.close()
            raise
        sandbox.port = listener.getsockname()[1]
        config = uvicorn.Config(
            sandbox.app(),
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=60,
            date_header=False,
        )
        return uvicorn.Server(config), listener

    def _close_listeners(self) -> None:
        for _, listener in self._servers:
            listener.close()

    def _run(self) -> None:
        async def serve() -> None:
            await asyncio.gather(*(s.serve(sockets=[listener]) for s, listener in self._servers))

        asyncio.run(serve())
