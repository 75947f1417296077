"""A broker that goes away is the loss of a connection to every part of a worker, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from kombu.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.integration.workers.rig import OwnRedis
from workers.transport import SteadyChannel, use_steady_transport


def test_a_message_of_a_lost_connection_cannot_be_acknowledged_and_that_is_an_expected_error(
    own_redis: OwnRedis,
) -> None:
    use_steady_transport()
    connection: Any = Connection(own_redis.url)  # type: ignore[no-untyped-call]
    queue = connection.SimpleQueue("steady")
    queue.put("work")
    message = queue.get(timeout=5)
    channel = message.channel
    own_redis.kill()
    connection.collect()

    with pytest.raises(connection.connection_errors):
        message.ack()
    with pytest.raises(RedisConnectionError):
        channel._connparams()
    channel.close()

    assert isinstance(channel, SteadyChannel)
