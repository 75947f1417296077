"""Alerts and dashboard speak of what is really measured, and every alert has a place in the runbook."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from sync_engine.store.connections import ConnectionState
from tests.unit.deploy.files import ROOT, Tree, load, text
from workers.app import ROUTES

RULES = load("prometheus/alerts.yml")["groups"]
ALERTS = [rule for group in RULES for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for group in RULES for rule in group["rules"] if "record" in rule}
DASHBOARD = load("grafana/dashboards/sync-engine.json")
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + list(RECORDED.values()) + QUERIES

METRIC = re.compile(r"\b(?:sync_engine|flower)[a-z_0-9:]*")
STRINGS = re.compile(r'"[^"]*"')
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


@cache
def _measured() -> frozenset[str]:
    """Collect the names of all metrics there are, from the code that makes them."""
    flower = importlib.util.find_spec("flower.events")
    assert flower is not None
    assert flower.origin is not None
    names = set(re.findall(r"'(flower_[a-z_]+)'", Path(flower.origin).read_text(encoding="utf-8")))
    for source in (ROOT / "sync_engine" / "metrics.py", *(ROOT / "workers").glob("*.py")):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        names.update(_spelt_out(tree), _from_meanings(tree))
    return frozenset(names | {name + part for name in names for part in HISTOGRAM_PARTS})


def _spelt_out(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^sync_engine_[a-z_]+$", node.value)


def _from_meanings(tree: ast.Module) -> Iterator[str]:
    """Read the table whose keys get the prefix when they are shown."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            getattr(each, "id", "") == "_MEANINGS" for each in node.targets
        ):
            assert isinstance(node.value, ast.Dict)
            for key in node.value.keys:
                assert isinstance(key, ast.Constant)
                assert isinstance(key.value, str)
                yield f"sync_engine_{key.value}"


def _named(expression: str) -> set[str]:
    return set(METRIC.findall(STRINGS.sub('""', expression)))


def _matched(label: str) -> set[str]:
    found: set[str] = set()
    for expression in EXPRESSIONS:
        for values in re.findall(rf'\b{label}(?:=|!=|=~|!~)"([^"$]*)"', expression):
            found.update(values.split("|"))
    return found


def test_there_is_something_to_compare() -> None:
    assert len(_measured()) > 30
    assert len(ALERTS) > 15
    assert len(QUERIES) > 25


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_asked_for_is_measured(expression: str) -> None:
    assert _named(expression) - RECORDED.keys() <= _measured()


def test_every_state_result_and_task_that_is_asked_for_exists() -> None:
    door = (ROOT / "sync_engine" / "web" / "webhooks.py").read_text(encoding="utf-8")

    assert _matched("state") <= {state.value for state in ConnectionState}
    assert {each for each in _matched("result") if f'"{each}"' not in door} == set()
    assert _matched("task") <= ROUTES.keys()


def test_every_job_that_is_asked_for_is_scraped_from_a_service_of_the_compose_file() -> None:
    scraped = load("prometheus/prometheus.yml")["scrape_configs"]
    services = load("compose.yaml")["services"]

    targets = [target for job in scraped for static in job["static_configs"] for target in static["targets"]]

    assert _matched("job") <= {job["job_name"] for job in scraped}
    assert {target.partition(":")[0] for target in targets} <= services.keys()
    assert all(
        target.partition(":")[2] == services[target.partition(":")[0]]["ports"][0].rpartition(":")[2]
        for target in targets
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each["alert"])
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(alert: Tree) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["runbook_url"] == f"deploy/README.md#{alert['alert'].lower()}"


def test_the_runbook_has_a_section_for_every_alert_and_for_no_other() -> None:
    sections = re.findall(r"^### (SyncEngine\w+)\n\n(.+)", text("README.md"), re.MULTILINE)

    assert sorted(name for name, _ in sections) == sorted(alert["alert"] for alert in ALERTS)
    assert all(len(words) > 80 for _, words in sections)


def test_alerts_that_others_silence_exist() -> None:
    silenced = re.findall(r"SyncEngine\w+", text("alertmanager/alertmanager.yml"))

    assert set(silenced) <= {alert["alert"] for alert in ALERTS}


def test_the_rules_are_proven_by_cases_that_name_real_alerts() -> None:
    cases = load("prometheus/alerts_test.yml")["tests"]

    proven = {
        each["alertname"] for case in cases for each in case.get("alert_rule_test", []) if each["exp_alerts"]
    }

    assert len(proven) >= 10
    assert proven <= {alert["alert"] for alert in ALERTS}


def test_every_panel_says_what_it_shows_and_takes_the_chosen_source() -> None:
    for panel in PANELS:
        assert panel["title"]
        assert len(panel["description"]) > 5
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_panels_lie_side_by_side_and_have_numbers_of_their_own() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    numbers = sorted(panel["id"] for panel in DASHBOARD["panels"])

    assert len(cells) == len(set(cells))
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert all(one < other for one, other in pairwise(numbers))


def test_a_dashboard_query_uses_only_variables_the_dashboard_has() -> None:
    has = {each["name"] for each in DASHBOARD["templating"]["list"]}

    used = {name for query in QUERIES for name in re.findall(r"\$(\w+)", query)}

    assert used <= has | {"__rate_interval"}


def test_grafana_finds_its_source_and_its_dashboard_where_the_compose_file_puts_them() -> None:
    grafana = load("compose.yaml")["services"]["grafana"]
    (source,) = load("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    (provider,) = load("grafana/provisioning/dashboards/files.yaml")["providers"]
    chosen = next(each for each in DASHBOARD["templating"]["list"] if each["type"] == "datasource")

    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])

    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    assert source["url"] == "http://prometheus:9090"
    assert chosen["current"]["value"] == source["uid"]
