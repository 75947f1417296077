"""The one HTTP client of all adapters: paced, bounded, classified, and silent about what it carries."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
import pydantic_core

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.retry_after import retry_moment
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    UnavailableError,
)

# A wait up to this long is cheaper than giving the work back; longer ones belong into a not_before column.
LONGEST_WAIT_SECONDS = 5.0
ATTEMPTS = 4

# The ``code`` of an UnavailableError without an answer: whether the request can have reached the provider.
NOT_SENT = "not_sent"
MAYBE_SENT = "maybe_sent"

# httpx writes the whole URL of every request at INFO, and URLs hold e-mail addresses and cursors.
for _chatty in ("httpx", "httpcore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; ``headers`` are lower-cased by httpx."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    provider: str = ""
    operation: str = ""

    def json(self) -> Any:
        """Parse the body. Raises InvalidResponseError when it is not JSON."""
        try:
            return pydantic_core.from_json(self.content)
        except ValueError:
            raise InvalidResponseError(
                "the answer is not JSON",
                provider=self.provider,
                operation=self.operation,
                status_code=self.status,
            ) from None

    def json_or_none(self) -> Any:
        """Parse the body if it is JSON; error bodies may be HTML, XML or empty."""
        try:
            return pydantic_core.from_json(self.content) if self.content else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as its caller described it; sent once or several times."""

    method: str
    target: str
    operation: str
    category: str
    is_read: bool
    repeatable: bool
    authorised: bool
    payload: Mapping[str, Any]
    headers: Mapping[str, str]


def _may_have_happened(call: _Call, error: ProviderError) -> bool:
    return not (call.is_read or isinstance(error, RateLimitedError) or error.code == NOT_SENT)


Classify = Callable[[Answer], ProviderError | None]
Credentials = Callable[[bool], Awaitable[Mapping[str, str]]]
"""Gives the headers that authorise a request; called with True once after the provider refused them."""


def classify_by_status(answer: Answer, now: datetime) -> ProviderError | None:
    """Turn an HTTP status into an error of ours; None for success."""
    status = answer.status
    if 200 <= status < 300:
        return None
    facts: dict[str, Any] = {"status_code": status}
    if status == 429:
        moment = retry_moment(answer.headers, now, fallback_seconds=2.0)
        return RateLimitedError("the rate limit is reached", retry_at=moment, **facts)
    if status in {401, 403}:
        return CredentialsError("the credentials were refused", **facts)
    if status in {404, 410}:
        return RecordGoneError("no such record", **facts)
    if status >= 500 or status in {408, 425}:
        return UnavailableError("the provider is unavailable", **facts)
    return RefusedError(f"the provider refused the request (HTTP {status})", **facts)


class HttpClient:
    """Send requests of one connection.

    ``classify`` sees an answer first and may name a more precise error, or return None to leave it to
    its status. Only what is safe to repeat is repeated: reads, and writes that say ``repeatable`` (they
    carry an idempotency key, or have the same effect twice).
    """

    def __init__(
        self,
        *,
        provider: str,
        base_url: str,
        surroundings: Surroundings,
        credentials: Credentials,
        classify: Classify | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 30.0,
        concurrency: int = 8,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._provider = provider
        self._base_url = base_url.rstrip("/")
        self._around = surroundings
        self._credentials = credentials
        self._classify = classify
        self._slots = asyncio.Semaphore(concurrency)
        self._renewal = asyncio.Lock()
        self.clock_skew_seconds: float | None = None
        connect_seconds = min(10.0, timeout_seconds)
        self._longest_exchange_seconds = connect_seconds + timeout_seconds
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_seconds, connect=connect_seconds),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            # A redirect could carry the credentials to a host nobody configured.
            follow_redirects=False,
            headers={"Accept": "application/json", "User-Agent": "meeting-sync-engine", **(headers or {})},
            transport=transport,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        category: str,
        params: Mapping[str, str | int | bool] | None = None,
        json: Any = None,
        content: str | bytes | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        authorised: bool = True,
        url: str | None = None,
    ) -> Answer:
        """Send one request and give its successful answer, or raise a ProviderError.

        ``operation`` names the call in logs and counters (paths can hold e-mail addresses). ``category``
        is the provider's rate category. ``repeatable`` defaults to True for GET and HEAD. ``content`` is
        sent as it is, as JSON. ``url`` replaces base URL and path: token endpoints and upload targets only,
        and without our credentials when it is another host's.

        Raises: the classified error; OutcomeUnknownError when a write that is not repeatable, or was
            repeated in vain, may have taken effect.
        """
        is_read = method in {"GET", "HEAD"}
        call = _Call(
            method=method,
            target=url or f"{self._base_url}{path}",
            operation=operation,
            category=category,
            is_read=is_read,
            repeatable=is_read if repeatable is None else repeatable,
            authorised=authorised,
            payload={
                "params": dict(params) if params else None,
                "json": json,
                "data": form,
                "content": content,
            },
            headers={
                **({"Content-Type": "application/json"} if content is not None else {}),
                **(headers or {}),
            },
        )
        if url and authorised and not self._is_at_home(url):
            raise RefusedError("credentials stay with the configured host", **self._facts(operation))
        return await self._repeat(call)

    async def _repeat(self, call: _Call) -> Answer:
        """Send until there is an answer or repeating would be wrong."""
        granted = await self._credentials(False) if call.authorised else {}
        may_renew, may_have_happened = call.authorised, False
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send_once(call, granted)
            except CredentialsError as error:
                refused = granted
                if may_renew and error.status_code in {400, 401}:
                    granted = await self._renewed(refused)
                if granted == refused:
                    self._doubt(call, error, may_have_happened)
                    raise
                may_renew = False
            except (UnavailableError, InvalidResponseError) as error:
                may_have_happened |= _may_have_happened(call, error)
                pause = self._pause_before_repeating(call, error, attempt)
                if pause is None:
                    self._doubt(call, error, may_have_happened)
                    raise
                await self._around.sleep(pause)

    def _pause_before_repeating(self, call: _Call, error: ProviderError, attempt: int) -> float | None:
        """Say how many seconds to wait before the next attempt; None when there must be none."""
        if attempt >= ATTEMPTS:
            return None
        if isinstance(error, RateLimitedError):
            # A limited request was not processed, so even a plain POST may be sent again.
            seconds = self._seconds_until(error)
            is_brief = seconds <= LONGEST_WAIT_SECONDS and not error.scope
            return seconds + random.uniform(0, 0.1) if is_brief else None
        if call.repeatable or error.code == NOT_SENT:
            return random.uniform(0.5, 1.0) * 0.2 * 2.0 ** (attempt - 1)
        return None

    def _doubt(self, call: _Call, error: ProviderError, may_have_happened: bool) -> None:
        """Raise doubt in place of the last error of a write, if an earlier attempt may have taken effect."""
        if may_have_happened:
            raise OutcomeUnknownError(
                "no trustworthy answer; the write may have taken effect",
                status_code=error.status_code,
                **self._facts(call.operation),
            ) from error

    async def _renewed(self, refused: Mapping[str, str]) -> Mapping[str, str]:
        """Give other credentials than the refused ones, if there are any; the same ones otherwise.

        Requests in flight are refused together; the first renews, the others find its result.
        """
        async with self._renewal:
            current = await self._credentials(False)
            return current if current != refused else await self._credentials(True)

    async def _send_once(self, call: _Call, granted: Mapping[str, str]) -> Answer:
        # The permit comes last: a request that waits for a slot with its permit in hand would leave in a
        # burst with others, faster than the provider allows.
        async with self._slots:
            await self._around.pacer.acquire(call.category)
            response = await self._exchange(call, granted)
        facts = self._facts(call.operation)
        answer = Answer(response.status_code, response.headers, response.content, **facts)
        self._note_clock(answer)
        error = (self._classify(answer) if self._classify else None) or classify_by_status(
            answer, self._around.now()
        )
        if error is None:
            return answer
        error.provider, error.operation = error.provider or self._provider, error.operation or call.operation
        error.status_code = error.status_code or answer.status
        if isinstance(error, RateLimitedError) and not error.scope:
            self._around.pacer.pause(call.category, min(self._seconds_until(error), LONGEST_WAIT_SECONDS))
        raise error

    async def _exchange(self, call: _Call, granted: Mapping[str, str]) -> httpx.Response:
        """Exchange one request for one answer; whatever the network does becomes UnavailableError.

        The causes are not chained: their messages can hold header values.
        """
        started, status = time.perf_counter(), None
        facts = self._facts(call.operation)
        try:
            request = self._client.build_request(
                call.method, call.target, headers={**granted, **call.headers}, **call.payload
            )
            # httpx bounds every single wait; a server that drips its answer needs a bound on the whole.
            async with asyncio.timeout(self._longest_exchange_seconds):
                response = await self._client.send(request)
            status = response.status_code
            return response
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            raise CredentialsError("the credentials hold characters that cannot be sent", **facts) from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            reason = f"cannot reach the provider ({type(error).__name__})"
            raise UnavailableError(reason, code=NOT_SENT, **facts) from None
        except (httpx.HTTPError, TimeoutError) as error:
            reason = f"the connection failed ({type(error).__name__})"
            raise UnavailableError(reason, code=MAYBE_SENT, **facts) from None
        finally:
            elapsed_ms = (time.perf_counter() - started) * 1000
            self._around.on_request(call.method, call.operation, status, elapsed_ms)

    def _is_at_home(self, target: str) -> bool:
        there, home = httpx.URL(target), httpx.URL(self._base_url)
        return (there.scheme, there.host, there.port) == (home.scheme, home.host, home.port)

    def _facts(self, operation: str) -> dict[str, Any]:
        return {"provider": self._provider, "operation": operation}

    def _seconds_until(self, error: RateLimitedError) -> float:
        return max(0.0, (error.retry_at - self._around.now()).total_seconds())

    def _note_clock(self, answer: Answer) -> None:
        try:
            server = parsedate_to_datetime(answer.headers.get("date", ""))
        except (ValueError, TypeError):
            return
        aware = server if server.tzinfo else server.replace(tzinfo=UTC)
        self.clock_skew_seconds = (aware - self._around.now()).total_seconds()
