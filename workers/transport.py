"""Celery's way to Redis, with one fault of it mended.

When the broker goes away while tasks run, kombu takes the lost connection apart and goes on using what is
left of it: to put unacknowledged messages back, and to acknowledge tasks that finish meanwhile. That raises
AttributeError, which nobody expects, and the worker ends. Here it is the loss of a connection, which
everybody does. Nothing is lost with it: what the messages were about is still due in the database. (Seen
with kombu 5.7.0.)
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError


class SteadyChannel(kombu_redis.Channel):
    """A channel that knows when its connection is gone."""

    def close(self) -> None:
        """Close it, and leave messages alone when there is no way to give them back."""
        if self._is_cut_off():
            self.do_restore = False
        super().close()  # type: ignore[no-untyped-call]

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self._is_cut_off():
            raise RedisConnectionError("the connection to the broker is gone")
        found: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return found

    def _is_cut_off(self) -> bool:
        return self.connection is None or self.connection.client is None


class SteadyTransport(kombu_redis.Transport):
    """Kombu's Redis transport with our channel."""

    Channel = SteadyChannel


def use_steady_transport() -> None:
    """Have addresses of a Redis use this transport."""
    ours = f"{__name__}:{SteadyTransport.__name__}"
    TRANSPORT_ALIASES.update({"redis": ours, "rediss": ours})
