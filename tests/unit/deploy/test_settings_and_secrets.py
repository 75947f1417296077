"""What the files set can be set, everything that can be set is shown, and no secret lies about."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from sync_engine.adapters.registry import PROVIDERS
from sync_engine.configuration.environment import PREFIX, variable_for
from sync_engine.settings import LogSettings, RetentionSettings, Settings, Workspace, load_settings
from tests.unit.deploy.files import DEPLOY, KUBERNETES, Tree, all_files, load, resources, text, variables

# Variables that are no settings of the engine: of the compose file, of Flower, of Celery.
OTHERS = {"SYNC_ENGINE_IMAGE", "SYNC_ENGINE_CONFIG", "FLOWER_BASIC_AUTH", "REMAP_SIGTERM"}
WORKSPACE = ("workspaces", "acme")
CONNECTIONS = {name: name for name in PROVIDERS} | {"prospect_crm": "prospects"}
A_CONNECTION = {
    f"{PREFIX}WORKSPACES__ACME__CONNECTIONS__ATTIO__PROVIDER": "attio",
    f"{PREFIX}WORKSPACES__ACME__CONNECTIONS__ATTIO__ACCESS_TOKEN": "token",
}


def _settable() -> Iterator[str]:
    def keys(model: type[BaseModel], *at: str, without: tuple[str, ...] = ()) -> Iterator[str]:
        for name in model.model_fields:
            if name not in without:
                yield variable_for((*at, name))

    yield from keys(Settings, without=("log", "retention", "workspaces"))
    yield from keys(LogSettings, "log")
    yield from keys(RetentionSettings, "retention")
    yield from keys(Workspace, *WORKSPACE, without=("connections",))
    for provider, entry in PROVIDERS.items():
        yield from keys(entry.settings, *WORKSPACE, "connections", CONNECTIONS[provider])


def _model_of(levels: list[str]) -> type[BaseModel]:
    """Give the model that holds the key a variable names."""
    tables: dict[str, type[BaseModel]] = {"log": LogSettings, "retention": RetentionSettings}
    if len(levels) == 5:
        (provider,) = [name for name, connection in CONNECTIONS.items() if connection == levels[3]]
        return PROVIDERS[provider].settings
    return Workspace if len(levels) == 3 else tables.get(levels[0], Settings)


def _installed(folder: Path) -> Path:
    """Make the secrets as an installation does."""
    made = folder / "secrets"
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(
        ["sh", str(DEPLOY / "new-secrets.sh"), str(made)],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    return made


def _with_files_in(folder: Path, found: dict[str, str]) -> dict[str, str]:
    """Let variables that name a secret's file name the one of this installation, made if there is none."""
    changed: dict[str, str] = {}
    for name, value in found.items():
        if value.startswith("file:"):
            path = folder / Path(value).name
            if not path.exists():
                path.write_text("something-secret")
            value = f"file:{path}"
        changed[name] = value
    return changed


def test_everything_that_can_be_set_is_shown_and_nothing_else() -> None:
    shown = variables(DEPLOY / "env.example", commented=True)

    assert set(shown) - OTHERS == set(_settable())


def test_the_shown_values_are_accepted(tmp_path: Path) -> None:
    shown = variables(DEPLOY / "env.example", commented=True)
    environment = _with_files_in(_installed(tmp_path), {k: v for k, v in shown.items() if k not in OTHERS})

    settings = load_settings(None, environment)

    assert settings.workspace("acme").connections.keys() == set(CONNECTIONS.values())
    assert settings.log.format == "json"


@pytest.mark.parametrize("name", sorted(set(_settable())))
def test_a_shown_default_is_the_default(name: str) -> None:
    value = variables(DEPLOY / "env.example", commented=True)[name]
    levels = name.removeprefix(PREFIX).lower().split("__")
    default = _model_of(levels).model_fields[levels[-1]].default

    # Only plain values are comparable; addresses, secrets and tables are shown as examples.
    if isinstance(default, bool | int | float):
        assert value == str(default).lower()


def test_what_the_compose_file_sets_is_accepted(tmp_path: Path) -> None:
    service = load("compose.yaml")["services"]["web"]
    engine = {k: v for k, v in service["environment"].items() if k not in OTHERS}

    settings = load_settings(None, _with_files_in(_installed(tmp_path), engine) | A_CONNECTION)

    assert settings.database_url.startswith("postgresql+psycopg://sync_engine:")
    assert "@postgres:5432/sync_engine" in settings.database_url
    assert "@redis:6379/0" in settings.redis_url
    assert len(settings.secret_keys) == 1
    assert settings.metrics_token is not None


def test_what_the_cluster_sets_is_accepted(tmp_path: Path) -> None:
    folder = KUBERNETES / "overlays" / "example" / "settings"
    engine = variables(folder / "environment")
    configuration = tmp_path / "acme.toml"
    secrets = _installed(tmp_path)
    example = (folder / "acme.toml").read_text(encoding="utf-8")
    for name in re.findall(r"file:/run/secrets/sync-engine/(\w+)", example):
        (secrets / name).write_text("something-secret")
    filled = re.sub(r"<[^>]+>", "filled-in", example).replace("/run/secrets/sync-engine", str(secrets))
    configuration.write_text(filled)

    settings = load_settings(
        configuration, _with_files_in(secrets, {k: v for k, v in engine.items() if k not in OTHERS})
    )

    assert all(each.writes == () for each in settings.workspace("acme").connections.values())


def test_the_secrets_that_files_name_are_made_and_given_to_who_names_them(tmp_path: Path) -> None:
    composed: Tree = load("compose.yaml")
    made = {path.name for path in _installed(tmp_path).iterdir() if path.is_file()}

    assert {Path(each["file"]).name for each in composed["secrets"].values()} <= made
    for name, service in composed["services"].items():
        words = str(service)
        read = {each for each in re.findall(r"/run/secrets/(\w+)", words) if each != "providers"}
        assert read <= set(service.get("secrets", [])), name


def test_secrets_are_closed_for_others_differ_and_are_made_once(tmp_path: Path) -> None:
    folder = _installed(tmp_path)
    first = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}

    again = {path.name: path.read_text() for path in _installed(tmp_path).iterdir() if path.is_file()}

    random = [first[name] for name in ("postgres_password", "redis_password", "metrics_token", "secret_key")]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert again == first
    assert len(set(random)) == len(random)
    assert all(len(each) >= 32 and each == each.strip() for each in random)


def test_the_example_secret_of_a_cluster_names_every_key_that_is_read() -> None:
    (example,) = resources("Secret")
    words = "\n".join(path.read_text(encoding="utf-8") for path in KUBERNETES.rglob("*") if path.is_file())

    read = set(re.findall(r"/run/secrets/sync-engine/(\w+)", words))
    read |= set(re.findall(r"name: sync-engine-secrets, key: (\w+)", words))

    assert read == example["stringData"].keys()
    assert all(re.fullmatch("<.*>", value) for value in example["stringData"].values())


@pytest.mark.parametrize("path", all_files(), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_no_file_holds_a_secret_a_moving_image_or_a_place_of_some_machine(path: Path) -> None:
    words = path.read_text(encoding="utf-8")

    assert not re.search(r"-----BEGIN|\b(?:sk|pk|ghp|xox[bp]|AKIA)[-_][A-Za-z0-9]{8,}", words)
    assert not re.search(
        r"(?i)\b(?:password|token|secret|api_key)\s*[=:]\s*[\"']?[A-Za-z0-9+/_-]{20,}", words
    )
    assert not re.search(r":latest\b", words)
    assert not re.search(r"/(?:work|root|home)/", words)
    assert not re.search(r"\b(?:docker|ghcr|quay|gcr|pypi|npmjs)\.(?:io|org|com)\b", words)


def test_the_links_inside_the_runbook_lead_somewhere() -> None:
    runbook = text("README.md")
    headings = re.findall(r"^#+ (.+)$", runbook, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}

    assert set(re.findall(r"\]\(#([\w-]+)\)", runbook)) <= anchors


def test_the_files_the_runbook_names_exist() -> None:
    named = set(re.findall(r"deploy/[\w./-]+\w\b(?![\w-]*\*)", text("README.md")))
    made_by_its_reader = {each for each in named if "/overlays/acme" in each}

    assert {each for each in named - made_by_its_reader if not (DEPLOY.parent / each).exists()} == set()
