"""Health, readiness and metrics as a supervisor and Prometheus see them."""

from __future__ import annotations

import re
from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from sync_engine.metrics import Metrics
from tests.integration.web.bench import Door, served, table_away, taken
from tests.lab import MONDAY, Lab


def _metrics(door: Door, **headers: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = door.get("/metrics", **headers).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _of(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return found[f"sync_engine_{name}", frozenset(labels.items())]


async def test_a_process_that_answers_is_alive_whatever_its_database_does(lab: Lab, door: Door) -> None:
    with table_away(lab, "alembic_version"):
        alive, ready = door.get("/healthz"), door.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert ready.status_code == 503
    assert ready.json() == {"status": "not ready", "database": "has the tables of another release"}


async def test_ready_means_that_the_database_is_migrated(door: Door) -> None:
    ready = door.get("/readyz")

    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "database": "ok"})


async def test_a_broker_that_is_configured_has_to_answer(lab: Lab) -> None:
    def away() -> bool:
        raise ConnectionError("redis://user:password@host")

    with served(lab.engine, broker=away) as door:
        without = door.get("/readyz")
    with served(lab.engine, broker=lambda: True) as door:
        with_one = door.get("/readyz")

    assert without.status_code == 503
    assert without.json()["broker"] == "does not answer (ConnectionError)"
    assert (with_one.status_code, with_one.json()["broker"]) == (200, "ok")


async def test_every_answer_carries_a_request_id(door: Door) -> None:
    given = door.get("/healthz", **{"x-request-id": "from-the-proxy"})
    made = door.get("/healthz")

    assert given.headers["x-request-id"] == "from-the-proxy"
    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])


async def test_nothing_tells_what_serves_here(door: Door) -> None:
    assert "server" not in door.get("/").headers


async def test_metrics_show_how_everything_stands(lab: Lab) -> None:
    lab.book()
    number = lab.book("Another", days=2)
    await lab.settle()
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=3))
    taken(lab)
    await lab.settle()
    lab.pass_time(seconds=90)

    with served(lab.engine) as door:
        found = _metrics(door)

    assert _of(found, "store_up") == 1
    assert _of(found, "meetings", workspace="acme") == 2
    assert _of(found, "meetings_unsettled", workspace="acme") == 0
    assert _of(found, "oldest_unsettled_seconds", workspace="acme") == 0
    assert _of(found, "deferred", connection="acme/lightfield") == 2
    assert _of(found, "linked", connection="acme/attio") == 2
    assert _of(found, "lag_seconds", connection="acme/zoom") == 90
    assert _of(found, "webhook_missed_total", connection="acme/zoom") == 1
    assert _of(found, "inbox_pending", connection="acme/zoom") == 0
    assert _of(found, "connection_state", connection="acme/zoom", state="ok") == 1
    assert _of(found, "quota_limit", connection="acme/zoom") == 100


async def test_metrics_tell_what_is_not_in_agreement_and_since_when(lab: Lab, door: Door) -> None:
    number = lab.book()
    await lab.settle()
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=3))
    door.post_all(taken(lab))
    with lab.engine.store.transaction() as uow:
        uow.meetings.mark_all_dirty("acme")
    lab.pass_time(seconds=45)

    found = _metrics(door)

    assert _of(found, "meetings_unsettled", workspace="acme") == 1
    assert _of(found, "oldest_unsettled_seconds", workspace="acme") == 45
    assert _of(found, "inbox_pending", connection="acme/zoom") > 0
    assert _of(found, "inbox_oldest_seconds", connection="acme/zoom") == 45


async def test_a_sweep_without_news_costs_its_floor(lab: Lab, door: Door) -> None:
    lab.book()
    await lab.settle()
    await lab.sync()

    found = _metrics(door)

    for connection in ("zoom", "attio", "lightfield", "prospects"):
        cost = _of(found, "sweep_requests", connection=f"acme/{connection}")
        assert cost == _of(found, "sweep_requests_floor", connection=f"acme/{connection}") > 0


async def test_deliveries_are_counted_by_what_became_of_them(lab: Lab, door: Door) -> None:
    lab.book()
    (delivery,) = taken(lab)
    lab.world.zoom.url_validation()

    door.post_all([delivery, delivery, *taken(lab)])
    door.post(delivery, x_zm_signature="v0=forged")
    door.client.post("/webhooks/acme/nothing")
    found = _metrics(door)

    results = {"stored": 1, "duplicate": 1, "challenge": 1, "refused": 1}
    counted = {r: _of(found, "deliveries_total", connection="acme/zoom", result=r) for r in results}
    assert counted == results
    assert _of(found, "deliveries_total", connection="", result="unknown") == 1


async def test_metrics_are_for_this_machine_unless_there_is_a_token(lab: Lab) -> None:
    with served(lab.engine) as door:
        here = door.get("/metrics")
        through_a_proxy = door.get("/metrics", **{"x-forwarded-for": "203.0.113.9"})
    with served(lab.engine, metrics_token="t0ken") as door:
        without = door.get("/metrics")
        wrong = door.get("/metrics", authorization="Bearer token")
        right = door.get("/metrics", authorization="Bearer t0ken")

    assert (here.status_code, through_a_proxy.status_code) == (200, 403)
    assert (without.status_code, wrong.status_code, right.status_code) == (401, 401, 200)


async def test_a_store_that_does_not_answer_is_a_metric_and_no_error(lab: Lab, door: Door) -> None:
    with table_away(lab, "quarantine"):
        found = _metrics(door)

    assert _of(found, "store_up") == 0


def test_requests_are_counted_by_provider_method_and_outcome() -> None:
    metrics = Metrics()

    for status in (200, 204, 404, 429, 503, None):
        metrics.request("somewhere", "GET", status, 12.5)

    lines = metrics.text().decode()
    for outcome, count in {"2xx": 2, "4xx": 1, "limited": 1, "5xx": 1, "no_answer": 1}.items():
        labels = f'method="GET",outcome="{outcome}",provider="somewhere"'
        assert f"sync_engine_requests_total{{{labels}}} {count}.0" in lines
