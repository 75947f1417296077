"""How many tasks wait in the broker, for ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from workers.app import KEY_PREFIX, QUEUES
from workers.reachability import broker_client

log = structlog.get_logger()


def queue_depths() -> dict[str, int]:
    """Count the tasks that wait in every queue. Raises what Redis' client raises when it does not answer."""
    with broker_client().pipeline(transaction=False) as pipeline:
        for queue in QUEUES:
            pipeline.llen(KEY_PREFIX + queue)
        return dict(zip(QUEUES, (int(depth) for depth in pipeline.execute()), strict=True))


class QueueCollector(Collector):
    """Show how deep the queues are; nothing where the broker does not answer."""

    def __init__(self, depths: Callable[[], Mapping[str, int]] = queue_depths) -> None:
        self._depths = depths

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: registering must not wait for the broker."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give one gauge with a value for every queue, empty ones too."""
        shown = GaugeMetricFamily(
            "sync_engine_queue_depth", "Tasks that wait in the broker.", labels=["queue"]
        )
        try:
            for queue, depth in self._depths().items():
                shown.add_metric([queue], depth)
        except (RedisError, OSError) as error:
            log.warning("queue_depths_not_read", error=type(error).__name__)
            return
        yield shown
