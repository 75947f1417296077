"""Celery's way to Redis, with one fault of it mended.

When the broker goes away while tasks run, kombu closes the lost channel and first wants to put the
unacknowledged messages back, over a connection it has taken apart already. That raises what nobody
catches, and the worker ends. There is nothing to put them back into: what they were about is still due
in the database. (Seen with kombu 5.7.0.)
"""

from __future__ import annotations

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class SteadyChannel(kombu_redis.Channel):
    """A channel that gives nothing back once its connection is gone."""

    def close(self) -> None:
        """Close it, and leave messages alone when there is no way to give them back."""
        if self.connection is None or self.connection.client is None:
            self.do_restore = False
        super().close()


class SteadyTransport(kombu_redis.Transport):
    """Kombu's Redis transport with our channel."""

    Channel = SteadyChannel


def use_steady_transport() -> None:
    """Have addresses of a Redis use this transport."""
    ours = f"{__name__}:{SteadyTransport.__name__}"
    TRANSPORT_ALIASES.update({"redis": ours, "rediss": ours})
