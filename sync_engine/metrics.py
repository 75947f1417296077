"""What Prometheus is told: counters of this process, and how everything stands in the store.

Counters live in the process that counts and may be read by a multi-process collector. What stands in the
store is the same for every process: one of them should show it, with a ``StoreCollector``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sync_engine.services.engine import Engine, Tenant
from sync_engine.services.standing import standing_of
from sync_engine.store.connections import ConnectionRow

log = structlog.get_logger()

CACHED_SECONDS = 10.0
_ANSWER_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Count what this process does."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._requests = Counter(
            "sync_engine_requests_total",
            "Requests to providers; outcome is the class of the status, limited for 429, or no_answer.",
            ("provider", "method", "outcome"),
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "sync_engine_request_seconds",
            "How long providers took to answer.",
            ("provider",),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._deliveries = Counter(
            "sync_engine_deliveries_total",
            "Webhook deliveries by what became of them at the door.",
            ("connection", "result"),
            registry=self.registry,
        )
        self._delivery_seconds = Histogram(
            "sync_engine_delivery_seconds",
            "How long a provider waited for our answer to a delivery.",
            buckets=_ANSWER_SECONDS,
            registry=self.registry,
        )

    def request(self, provider: str, method: str, status: int | None, elapsed_ms: float) -> None:
        """Count one request to a provider; hand this to ``build_engine``."""
        self._requests.labels(provider, method, _outcome(status)).inc()
        self._request_seconds.labels(provider).observe(elapsed_ms / 1000)

    def delivery(self, connection_id: str, result: str, seconds: float) -> None:
        """Count one delivery; ``connection_id`` is empty where it was for none of ours."""
        self._deliveries.labels(connection_id, result).inc()
        self._delivery_seconds.observe(seconds)

    def text(self) -> bytes:
        """Write everything in the registry in Prometheus' text format."""
        return generate_latest(self.registry)


def _outcome(status: int | None) -> str:
    if status is None:
        return "no_answer"
    return "limited" if status == 429 else f"{status // 100}xx"


class StoreCollector(Collector):
    """Show how everything stands, read from the store when it is asked for, at most every ten seconds."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._lock = threading.Lock()
        self._shown: list[Metric] = []
        self._read_at: float | None = None

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: registering must not wait for the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give all gauges; only ``sync_engine_store_up`` when the store does not answer."""
        with self._lock:
            now = self._clock()
            if self._read_at is None or now - self._read_at >= CACHED_SECONDS:
                self._shown, self._read_at = self._read(), now
            shown = self._shown
        yield from shown

    def _read(self) -> list[Metric]:
        up = GaugeMetricFamily("sync_engine_store_up", "Whether the store answered.")
        try:
            found = _Gauges()
            for tenant in self._engine.tenants.values():
                _read_workspace(self._engine, tenant, found)
            _read_inbox(self._engine, found)
        except Exception as error:
            log.warning("metrics_not_read", error=type(error).__name__)
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *found.families.values()]


class _Gauges:
    """Families of gauges under their names."""

    def __init__(self) -> None:
        self.families: dict[str, Metric] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        """Add one value; its name, without the prefix, is one of ``_MEANINGS``."""
        family = self.families.get(name)
        if family is None:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = self.families[name] = kind(f"sync_engine_{name}", _MEANINGS[name], labels=list(labels))
        assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
        family.add_metric(list(labels.values()), value)


_MEANINGS = {
    "meetings": "Meetings that are looked after.",
    "meetings_unsettled": "Meetings not in agreement now.",
    "oldest_unsettled_seconds": "Since when the longest unsettled meeting has been so.",
    "conflicts": "Fields that wait for a person to choose a value.",
    "reviews": "Records that wait for a person to say which meeting they are.",
    "decisions": "Guarded changes that wait for a person.",
    "quarantined": "Records that cannot be read.",
    "lag_seconds": "Since when no sweep of the connection has finished.",
    "connection_state": "1 for the state a connection is in.",
    "linked": "Records that are tied to a meeting.",
    "held": "Records with a value, or a whole record, that the side cannot hold now.",
    "deferred": "Records that wait for their time.",
    "parked": "Writes that wait for a person.",
    "quota_used": "Writes used today, by the scope that is capped.",
    "quota_limit": "Writes allowed per scope and day.",
    "sweep_requests": "Requests of the last sweep.",
    "sweep_requests_floor": "Requests the last sweep would have cost without news.",
    "poll_seconds": "How long between two sweeps, as adapted to the webhooks.",
    "webhook_missed_total": "Changes a sweep found that a delivery should have told.",
    "challenge_age_seconds": "Since when the provider has not validated our address.",
    "outbox": "Writes that are wanted, by state.",
    "outbox_oldest_due_seconds": "Since when the longest due write has been due.",
    "inbox_pending": "Deliveries that nobody has worked on yet.",
    "inbox_oldest_seconds": "How long the oldest of them has waited.",
}


def _read_workspace(engine: Engine, tenant: Tenant, found: _Gauges) -> None:
    standing, now = standing_of(engine, tenant), engine.now()
    at = {"workspace": tenant.name}
    with engine.store.reading() as uow:
        oldest = uow.meetings.oldest_unsettled(tenant.name)
        rows = {row.name: row for row in uow.connections.of_workspace(tenant.name)}
        outbox = uow.outbox.counts(tenant.name)
    found.add("meetings", standing.meetings, **at)
    found.add("meetings_unsettled", standing.unsettled, **at)
    found.add("oldest_unsettled_seconds", _age(now, oldest), **at)
    found.add("conflicts", standing.open_conflicts, **at)
    found.add("reviews", standing.open_reviews, **at)
    found.add("decisions", standing.open_decisions, **at)
    found.add("quarantined", standing.quarantined, **at)
    for name, each in standing.connections.items():
        there = {"connection": f"{tenant.name}/{name}"}
        found.add("linked", each.linked, **there)
        found.add("held", each.held, **there)
        found.add("deferred", each.deferred, **there)
        found.add("parked", each.parked, **there)
        for scope, used in each.quota.items():
            found.add("quota_used", used, **there, scope=scope)
        if each.quota_limit is not None:
            found.add("quota_limit", each.quota_limit, **there)
        if name in rows:
            _read_connection(tenant, rows[name], now, found)
    for count in outbox:
        at_state = {"state": count.state.value, "operation": count.operation.value}
        found.add("outbox", count.rows, connection=count.connection_id, **at_state)
    due: dict[str, datetime] = {}
    for count in outbox:
        if count.state.value != "parked":
            due[count.connection_id] = min(count.first, due.get(count.connection_id, count.first))
    for connection_id, first in due.items():
        found.add("outbox_oldest_due_seconds", _age(now, first), connection=connection_id)


def _read_connection(tenant: Tenant, row: ConnectionRow, now: datetime, found: _Gauges) -> None:
    there = {"connection": row.id}
    found.add("lag_seconds", _age(now, row.last_complete_sweep_at or row.created_at), **there)
    found.add("connection_state", 1, **there, state=row.state.value)
    found.add("poll_seconds", row.poll_seconds or tenant.poll.total_seconds(), **there)
    found.add("webhook_missed_total", row.missed, **there)
    if row.challenged_at is not None:
        found.add("challenge_age_seconds", _age(now, row.challenged_at), **there)
    cost = row.cursor or {}
    if "requests" in cost:
        found.add("sweep_requests", cost["requests"], **there)
        found.add("sweep_requests_floor", max(0, cost["requests"] - cost.get("reads", 0)), **there)


def _read_inbox(engine: Engine, found: _Gauges) -> None:
    with engine.store.reading() as uow:
        pending = {count.connection_id: count for count in uow.inbox.counts()}
    now = engine.now()
    for tenant in engine.tenants.values():
        for channel in tenant.channels.values():
            count = pending.get(channel.id)
            found.add("inbox_pending", count.rows if count else 0, connection=channel.id)
            found.add(
                "inbox_oldest_seconds", _age(now, count.oldest if count else None), connection=channel.id
            )


def _age(now: datetime, since: datetime | None) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0
