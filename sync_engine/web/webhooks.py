"""``POST /webhooks/{workspace}/{connection}``: check, keep, answer; the work comes later.

Whoever cannot prove to be the provider learns nothing, not even which connections exist from the body of
an answer. A genuine delivery is answered 2xx once it is stored, and 5xx when it could not be: a 4xx would
make some providers throw it away for good.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from structlog.contextvars import get_contextvars

from sync_engine.metrics import Metrics
from sync_engine.services.engine import Channel, Engine
from sync_engine.services.inbox import InboxWriter, NotStoredError, note_challenge, read_delivery

log = structlog.get_logger()

LARGEST_BODY = 1024 * 1024


class TooLargeError(Exception):
    """Tell that a body is larger than any provider's."""


class _Outcome(NamedTuple):
    result: str
    response: Response
    inbox_id: str | None = None


@dataclass(frozen=True)
class WebhookDoor:
    """Answer deliveries."""

    engine: Engine
    writer: InboxWriter
    metrics: Metrics

    async def receive(self, request: Request) -> Response:
        """Answer one delivery."""
        started = time.perf_counter()
        channel = self._channel(request)
        outcome = await self._outcome(request, channel)
        seconds = time.perf_counter() - started
        connection_id = channel.id if channel is not None else ""
        self.metrics.delivery(connection_id, outcome.result, seconds)
        tell = log.debug if channel is None else log.info
        tell(
            "delivery_received",
            connection_id=connection_id or None,
            inbox_id=outcome.inbox_id,
            result=outcome.result,
            duration_ms=round(seconds * 1000, 1),
        )
        return outcome.response

    def _channel(self, request: Request) -> Channel | None:
        tenant = self.engine.tenants.get(request.path_params["workspace"])
        channel = tenant.channels.get(request.path_params["connection"]) if tenant else None
        receiver = channel.adapter.receiver if channel else None
        return channel if receiver is not None and receiver.listens else None

    async def _outcome(self, request: Request, channel: Channel | None) -> _Outcome:
        if channel is None:
            return _Outcome("unknown", Response(status_code=404))
        try:
            body = await read_body(request)
        except TooLargeError:
            return _Outcome("too_large", Response(status_code=413, headers={"connection": "close"}))
        except ClientDisconnect:
            return _Outcome("interrupted", Response(status_code=400))
        return await self._answer(request, channel, body)

    async def _answer(self, request: Request, channel: Channel, body: bytes) -> _Outcome:
        receiver, headers, now = channel.adapter.receiver, dict(request.headers), self.engine.now()
        assert receiver is not None  # _channel saw to it
        if not receiver.authenticate(body, headers, now):
            return _Outcome("refused", Response(status_code=401))
        reply = receiver.challenge(body, headers, now)
        if reply is not None:
            await self._note(channel)
            return _Outcome("challenge", Response(reply.body, media_type=reply.media_type))
        request_id = get_contextvars().get("request_id")
        row = read_delivery(self.engine, channel, body, headers, request_id)
        try:
            is_new = await self.writer.store(row)
        except NotStoredError as error:
            log.warning("delivery_turned_away", connection_id=channel.id, reason=str(error))
            return _Outcome("not_stored", Response(status_code=503, headers={"retry-after": "60"}))
        result = (row.reason and "unusable") or ("stored" if row.finished_at is None else "irrelevant")
        return _Outcome(result if is_new else "duplicate", Response(status_code=200), row.id)

    async def _note(self, channel: Channel) -> None:
        try:
            await run_in_threadpool(note_challenge, self.engine, channel)
        except Exception as error:
            # The answer matters more than our note of it: without one the webhook is switched off.
            log.warning("challenge_not_noted", connection_id=channel.id, error=type(error).__name__)


async def read_body(request: Request) -> bytes:
    """Read a body as far as it may go. Raises TooLargeError, before reading it where its length is told."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > LARGEST_BODY:
        raise TooLargeError
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise TooLargeError
        parts.append(part)
    return b"".join(parts)
