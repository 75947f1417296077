"""The broker for systems without a real one: fakeredis' TCP server, with three faults of it mended.

As it comes, every pipeline stalls for 40 ms (Nagle's algorithm against a delayed acknowledgement), every
error reply closes the connection (a script that has to be loaded first is such an error), and a large
answer is cut short without a word, because one write to a socket that does not block need not write it all.
"""

from __future__ import annotations

import select
import signal
import sys
import threading
from typing import Any

import redis
from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler

WRITABLE_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.01


class _WholeWrites:
    """Stands in for the handler's file: every byte is written, or the connection is at its end."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._connection.send(rest) :]
            except BlockingIOError:
                _, writable, _ = select.select([], [self._connection], [], WRITABLE_WITHIN_SECONDS)
                if not writable:
                    raise ConnectionError("the client does not read its answers") from None
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""


class MendedHandler(TCPFakeRequestHandler):
    """One client's connection."""

    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Prepare the connection."""
        super().setup()
        self.writer.writer = _WholeWrites(self.connection)  # type: ignore[assignment]

    def handle(self) -> None:
        """Serve the client until it goes; an error is an answer, not the end."""
        while not self.server._shutdown_event.is_set():
            try:
                if self.current_client.can_read():
                    self.writer.dump(self._response())
                elif (data := self._read()) is None:
                    return
                elif data:
                    self.current_client.get_socket().sendall(data)
            except (OSError, redis.ConnectionError):
                return

    def _response(self) -> Any:
        try:
            return self.current_client.read_response()
        except redis.ResponseError as error:
            return error

    def _read(self) -> bytes | None:
        """Give what the client sent, nothing yet, or None when it is gone."""
        if data := self.rfile.readline():
            return data
        readable, _, _ = select.select([self.connection], [], [], _POLL_SECONDS)
        if not readable:
            return b""
        return self.rfile.readline() or None


class MendedServer(TcpFakeServer):
    """The server; clients' threads end with the process."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self.RequestHandlerClass = MendedHandler
        self.daemon_threads = True


def main(port: int) -> None:
    """Serve on loopback until told to end."""
    server = MendedServer(("127.0.0.1", port))

    def end(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
