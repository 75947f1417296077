"""A provider of a few lines: a real server on loopback that answers from a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Heard:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One scripted answer. ``cut``: close without answering. ``drip``: seconds between the body's bytes."""

    status: int = 200
    body: Any = field(default_factory=lambda: {"ok": True})
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    drip: float = 0.0
    wait_for: asyncio.Event | None = None

    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class LoopbackServer:
    """Answer each request with the next reply of the script, then with ``always``."""

    def __init__(self, *replies: Reply, always: Reply | None = None) -> None:
        self.replies = list(replies)
        self.always = always or Reply()
        self.heard: list[Heard] = []
        self.at_work = 0
        self.most_at_work = 0
        self.decide: Callable[[Heard], Reply | None] = lambda _: None
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def has_heard(self, number: int) -> None:
        """Wait until so many requests have arrived; at most 5 seconds."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: len(self.heard) >= number)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (heard := await self._hear(reader)) is not None:
                self.at_work += 1
                self.most_at_work = max(self.most_at_work, self.at_work)
                async with self._news:
                    self.heard.append(heard)
                    self._news.notify_all()
                try:
                    reply = self.decide(heard) or (self.replies.pop(0) if self.replies else self.always)
                    if reply.wait_for:
                        await reply.wait_for.wait()
                finally:
                    self.at_work -= 1
                if reply.cut:
                    break
                await self._answer(writer, reply)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> Heard | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = first.split(" ")
        return Heard(method, target, headers, body)

    async def _answer(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        body = reply.payload()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if reply.drip:
            for byte in body:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(reply.drip)
        else:
            writer.write(body)
        await writer.drain()
