"""docs/configuration.md against the models it describes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from sync_engine.adapters.base import ConnectionSettings
from sync_engine.adapters.registry import PROVIDERS
from sync_engine.configuration.secrets import is_secret
from sync_engine.settings import LogSettings, RetentionSettings, Settings, Workspace

DOCUMENT = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<key>[\w.]+)`(?P<secret> \*secret\*)? \|", re.MULTILINE)


def rows(heading: str) -> dict[str, bool]:
    """Give the keys of the table under a heading, and whether each is marked as a secret."""
    section = re.split(r"^##", DOCUMENT.partition(f"{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return {match["key"]: bool(match["secret"]) for match in ROW.finditer(section)}


def secrets(model: type[BaseModel]) -> dict[str, bool]:
    return {name: is_secret(info) for name, info in model.model_fields.items()}


def test_every_key_of_the_whole_engine_is_described() -> None:
    described = {key.partition(".")[0] for key in rows("## The whole engine")}
    log = {key.removeprefix("log.") for key in rows("## The whole engine") if key.startswith("log.")}

    kept = {key for key in rows("## The whole engine") if key.startswith("retention.")}

    assert described == Settings.model_fields.keys() - {"workspaces"}
    assert log == LogSettings.model_fields.keys()
    assert kept == {f"retention.{name}" for name in RetentionSettings.model_fields}


def test_every_key_of_a_workspace_is_described() -> None:
    assert rows("## A workspace: `[workspaces.NAME]`") == secrets(Workspace)


def test_every_key_of_every_connection_is_described() -> None:
    assert rows("## Every connection: `[workspaces.NAME.connections.NAME]`") == secrets(ConnectionSettings)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_key_of_every_provider_is_described_and_none_that_does_not_exist(name: str) -> None:
    described = rows(f'### `provider = "{name}"`')
    own = secrets(PROVIDERS[name].settings)

    assert described.items() <= own.items()
    assert own.keys() - ConnectionSettings.model_fields.keys() <= described.keys()


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_default_that_a_provider_changes_is_described(name: str) -> None:
    described = rows(f'### `provider = "{name}"`')
    common = ConnectionSettings.model_fields
    changed = {
        key
        for key, info in PROVIDERS[name].settings.model_fields.items()
        if key in common and info.default != common[key].default and key not in {"provider", "base_url"}
    }

    assert changed <= described.keys()
