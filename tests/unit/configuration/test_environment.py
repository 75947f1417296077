"""Environment variables over the file."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from sync_engine.configuration.environment import overlay, read_value, variable_for

FILE: dict[str, Any] = {
    "workspaces": {"acme-eu": {"connections": {"b-one": {"rates": {"read": 1}}}}},
    "log": {},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("true", True),
        ('"7"', "7"),
        ('["a", "b"]', ["a", "b"]),
        ('{ a = "b" }', {"a": "b"}),
        ("2026-01-01", date(2026, 1, 1)),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("plain words", "plain words"),
        ("", ""),
        ("007", "007"),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_a_variable_is_read_as_toml_where_it_is_toml_and_as_text_elsewhere(text: str, value: object) -> None:
    assert read_value(text) == value


def test_capitals_and_underscores_reach_a_name_with_hyphens() -> None:
    environ = {"SYNC_ENGINE__WORKSPACES__ACME_EU__CONNECTIONS__B_ONE__BASE_URL": "https://x.example"}

    result = overlay(FILE, environ)

    assert result.document["workspaces"]["acme-eu"]["connections"]["b-one"]["base_url"] == "https://x.example"
    assert list(result.document["workspaces"]) == ["acme-eu"]


def test_the_file_itself_is_left_as_it_was() -> None:
    overlay(FILE, {"SYNC_ENGINE__LOG__LEVEL": "debug"})

    assert FILE["log"] == {}


def test_a_variable_creates_tables_that_the_file_lacks() -> None:
    result = overlay({}, {"SYNC_ENGINE__WORKSPACES__NEW__CONNECTIONS__ZED__PROVIDER": "beta"})

    assert result.document == {"workspaces": {"new": {"connections": {"zed": {"provider": "beta"}}}}}


def test_a_name_with_two_underscores_in_the_file_is_still_reached() -> None:
    document = {"workspaces": {"a__b": {"guard_count": 1}}}

    result = overlay(document, {"SYNC_ENGINE__WORKSPACES__A__B__GUARD_COUNT": "2"})

    assert result.document == {"workspaces": {"a__b": {"guard_count": 2}}}


def test_the_inner_of_two_variables_wins_whatever_their_order() -> None:
    environ = {"SYNC_ENGINE__LOG__LEVEL": "debug", "SYNC_ENGINE__LOG": '{ level = "error", format = "json" }'}

    result = overlay({}, environ)

    assert result.document == {"log": {"level": "debug", "format": "json"}}


def test_setting_something_below_a_single_value_is_a_problem_that_names_the_variable() -> None:
    result = overlay({"database_url": "x"}, {"SYNC_ENGINE__DATABASE_URL__HOST": "y"})

    assert result.document == {"database_url": "x"}
    assert [problem.variable for problem in result.problems] == ["SYNC_ENGINE__DATABASE_URL__HOST"]
    assert "SYNC_ENGINE__DATABASE_URL " in result.problems[0].fix


@pytest.mark.parametrize("name", ["SYNC_ENGINE__", "SYNC_ENGINE____LOG", "SYNC_ENGINE__LOG__"])
def test_a_name_with_an_empty_level_is_a_problem(name: str) -> None:
    result = overlay({}, {name: "x"})

    assert result.document == {}
    assert [problem.variable for problem in result.problems] == [name]


def test_other_variables_are_left_alone() -> None:
    result = overlay({}, {"SYNC_ENGINE_CONFIG": "x.toml", "PATH": "/bin", "MY_SYNC_ENGINE__LOG": "x"})

    assert result.document == {}
    assert result.problems == ()


def test_a_named_variable_leads_back_to_its_key() -> None:
    path = ("workspaces", "acme-eu", "connections", "b-one", "rates")

    result = overlay(FILE, {variable_for(path): "{ read = 5 }"})

    assert result.document["workspaces"]["acme-eu"]["connections"]["b-one"]["rates"] == {"read": 5}
