"""The settings: one model, read once at start-up from ``sync-engine.toml`` and the environment.

Nothing else in the engine reads the environment. The rooms of ``configuration/`` do the reading; here
stands what can be set, and what must agree with what.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from sync_engine.adapters.base import ConnectionSettings
from sync_engine.adapters.registry import ProviderEntry, known_providers
from sync_engine.configuration.environment import PREFIX, overlay
from sync_engine.configuration.lines import KeyPath, key_lines
from sync_engine.configuration.problems import (
    InvalidSettingsError,
    SettingProblem,
    closest,
    dotted,
    suggestion,
)
from sync_engine.configuration.reading import Reader, Surrounding
from sync_engine.configuration.secrets import check_keys, split_keys
from sync_engine.configuration.urls import (
    anchor_sqlite,
    check_broker_url,
    correct_database_url,
    without_password,
)
from sync_engine.core.meeting import Field as MeetingField
from sync_engine.errors import ConfigurationError

DEFAULT_FILE = "sync-engine.toml"
FILE_VARIABLE = "SYNC_ENGINE_CONFIG"
ASK = "ask"
"""Instead of a connection's name: a person decides."""

# They say how, how often and where we call, never what a meeting should look like.
_NOT_PLANNING = frozenset({"poll_seconds", "timeout_seconds", "concurrency", "rates"})
_NAME = re.compile(r"[a-z0-9_-]+")


class LogSettings(BaseModel):
    """How the log is written. ``auto``: columns in a terminal, JSON elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("format", "level", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class RetentionSettings(BaseModel):
    """How long what is over is kept, in days. What is still wanted is never forgotten."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    journal_days: int = Field(default=400, ge=1)
    outbox_days: int = Field(default=30, ge=1)
    inbox_days: int = Field(default=14, ge=1)
    runs_days: int = Field(default=90, ge=1)
    quotas_days: int = Field(default=35, ge=2)


class Workspace(BaseModel):
    """One tenant: the connections that are kept in agreement, and by which rules.

    ``precedence`` holds every connection: those it does not name follow in the order of the file.
    ``owners``: for a field, the connection whose value wins, or ``ask``. Guards park a run's deletions at
    one connection when they exceed both ``guard_percent`` of its refs and ``guard_count``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_past_days: int = Field(default=30, ge=0)
    window_future_days: int = Field(default=180, ge=1)
    precedence: tuple[str, ...] = ()
    deletions: Literal["propagate", "keep", "ask"] = "propagate"
    owners: dict[MeetingField, str] = Field(default_factory=dict)
    conflicts: Literal["decide", "ask"] = "decide"
    guard_percent: float = Field(default=10, ge=0, le=100)
    guard_count: int = Field(default=5, ge=0)
    poll_seconds: float = Field(default=300, ge=1)
    connections: dict[str, ConnectionSettings] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _complete_precedence(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = data.get("precedence", ())
        connections = data.get("connections", {})
        if not isinstance(given, list | tuple) or not isinstance(connections, dict):
            return data
        return {**data, "precedence": [*given, *(name for name in connections if name not in given)]}


class Settings(BaseModel):
    """Everything that can be set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database_url: str = "sqlite:///sync-engine.db"
    redis_url: str = ""
    secret_key: SecretStr | None = None
    metrics_token: SecretStr | None = None
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    workspaces: dict[str, Workspace] = Field(default_factory=dict)

    _path: Path | None = PrivateAttr(default=None)
    _notes: tuple[SettingProblem, ...] = PrivateAttr(default=())

    @field_validator("database_url")
    @classmethod
    def _usable_database(cls, value: str) -> str:
        return correct_database_url(value)

    @field_validator("redis_url")
    @classmethod
    def _usable_broker(cls, value: str) -> str:
        return check_broker_url(value)

    @field_validator("secret_key")
    @classmethod
    def _usable_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_keys(split_keys(value.get_secret_value()))
        return value

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """Give the keys that protect kept tokens, the newest first; empty for none."""
        return split_keys(self.secret_key.get_secret_value()) if self.secret_key else ()

    @property
    def path(self) -> Path | None:
        """Give the file the settings were read from, None where there was none."""
        return self._path

    @property
    def notes(self) -> tuple[SettingProblem, ...]:
        """Give what is accepted but had better be changed."""
        return self._notes

    def workspace(self, name: str) -> Workspace:
        """Give one workspace by name; raises ConfigurationError with the closest known name."""
        if name not in self.workspaces:
            raise ConfigurationError(f'no workspace is named "{name}"; {suggestion(name, self.workspaces)}')
        return self.workspaces[name]

    def fingerprint(self, workspace: str) -> str:
        """Hash everything that influences what is planned for a workspace; holds no secret.

        Stable over processes and over the order of tables. When it differs from the one of the last run,
        unchanged records have to be reconciled again.
        """
        facts = _planning_facts(self.workspace(workspace))
        text = json.dumps(facts, sort_keys=True, ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the addresses without the passwords in them."""
        for name, value in super().__repr_args__():
            yield name, without_password(value) if name in {"database_url", "redis_url"} else value


def _planning_facts(value: Any) -> Any:
    if isinstance(value, BaseModel):
        named = {name: getattr(value, name) for name in type(value).model_fields}
        return {
            name: _planning_facts(inner)
            for name, inner in named.items()
            if name not in _NOT_PLANNING and not name.endswith("_url") and not _has_secret(inner)
        }
    if isinstance(value, Mapping):
        return {str(key): _planning_facts(inner) for key, inner in value.items() if not _has_secret(inner)}
    if isinstance(value, list | tuple):
        return [_planning_facts(inner) for inner in value if not _has_secret(inner)]
    if isinstance(value, set | frozenset):
        return sorted(str(inner) for inner in value if not _has_secret(inner))
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _has_secret(value: Any) -> bool:
    return isinstance(value, SecretStr)


def check_name(name: str) -> str:
    """Accept a name of a workspace or connection; it becomes a part of webhook addresses.

    Raises:
        ValueError: names a spelling that would do.
    """
    if _NAME.fullmatch(name):
        return name
    better = re.sub(r"[^a-z0-9_-]+", "-", name.casefold()).strip("-") or "main"
    raise ValueError(f'may hold only small letters, digits, _ and -; call it "{better}"')


def load_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    providers: Mapping[str, ProviderEntry] | None = None,
) -> Settings:
    """Read the settings from a file and the environment.

    Without ``path`` the file is the one ``SYNC_ENGINE_CONFIG`` names, else ``sync-engine.toml`` in the
    current folder, which may be absent when the environment says everything.

    Raises:
        InvalidSettingsError: a ConfigurationError with every problem there is, each with its place and fix.
    """
    environment = os.environ if environ is None else environ
    file = _find_file(path, environment)
    text = _read_text(file) if file else ""
    document = _parse(text, str(file))
    around = Surrounding(
        file=str(file) if file else "",
        folder=(file.parent if file else Path()).absolute(),
        lines=key_lines(text),
        overlay=overlay(document, environment),
        environ=environment,
    )
    return _Composer(around, known_providers() if providers is None else providers).settings(file)


def _find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path if path is not None else Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None
    file = named or Path(DEFAULT_FILE)
    if file.is_file():
        return file
    if named is None and any(name.upper().startswith(PREFIX) for name in environ):
        return None
    variable = FILE_VARIABLE if path is None and named is not None else ""
    fix = f"write one with sync-engine init, or name yours in {FILE_VARIABLE}"
    message = f"there is no configuration file {file}"
    raise InvalidSettingsError([SettingProblem("", message, fix, variable=variable)])


def _read_text(file: Path) -> str:
    try:
        # Editors on Windows put a byte order mark in front.
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = SettingProblem("", f"cannot be read: {error.strerror}", "check its permissions", str(file))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = SettingProblem("", "is not text in UTF-8", "save it as UTF-8", str(file), line)
    raise InvalidSettingsError([problem])


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", place)
        line = int(found[1]) if found else text.count("\n") + 1
        problem = SettingProblem("", f"this is not TOML: {message}", "correct this line", file, line)
    raise InvalidSettingsError([problem])


class _Composer:
    """Puts the settings together from the inside out: connections, workspaces, the whole."""

    def __init__(self, around: Surrounding, providers: Mapping[str, ProviderEntry]) -> None:
        self._around = around
        self._providers = providers
        self._reader = Reader(around)
        self._notes: list[SettingProblem] = []

    def settings(self, file: Path | None) -> Settings:
        document = self._around.overlay.document
        tables = self._reader.table(("workspaces",), document.get("workspaces", {}))
        workspaces = {name: self._workspace(name, table) for name, table in tables.items()}
        if not workspaces and isinstance(document.get("workspaces", {}), dict):
            self._reader.report(("workspaces",), "has no workspace", "begin with sync-engine init")
        self._addresses(document)
        whole = {**document, "workspaces": {name: made for name, made in workspaces.items() if made}}
        settings = self._reader.read(Settings, whole, ())
        if settings is None or self._reader.problems:
            raise InvalidSettingsError(sorted(self._reader.problems, key=_in_reading_order))
        settings._path = file
        settings._notes = (*self._notes, *self._exposed_secrets(file))
        return settings

    def _addresses(self, document: dict[str, Any]) -> None:
        for name in ("database_url", "redis_url"):
            if name in document:
                document[name] = self._reader.fetch((name,), document[name])
                if document[name] is None:
                    del document[name]
        url = document.setdefault("database_url", Settings.model_fields["database_url"].default)
        if not isinstance(url, str):
            return
        document["database_url"] = anchor_sqlite(url, self._around.folder)
        if url.startswith(("postgres://", "postgresql://")):
            message = "does not name the driver and was read as postgresql+psycopg://"
            fix = "begin it with postgresql+psycopg://"
            self._notes.append(self._reader.problem(("database_url",), message, fix))

    def _workspace(self, name: str, table: Any) -> Workspace | None:
        at: KeyPath = ("workspaces", name)
        self._check_name(at, name)
        if not isinstance(table, dict):
            self._reader.table(at, table)
            return None
        tables = self._reader.table((*at, "connections"), table.get("connections", {}))
        if not tables:
            fix = f"add a table [{dotted(at)}.connections.NAME] with its provider"
            self._reader.report(at, "has no connection", fix)
        connections = {
            inner: self._connection((*at, "connections", inner), entry) for inner, entry in tables.items()
        }
        self._check_references(at, table, list(tables))
        made = {inner: entry for inner, entry in connections.items() if entry}
        return self._reader.read(Workspace, {**table, "connections": made}, at)

    def _connection(self, at: KeyPath, table: Any) -> ConnectionSettings | None:
        self._check_name(at, str(at[-1]))
        if at[-1] == ASK:
            self._reader.report(at, f'"{ASK}" has a meaning of its own in owners', "choose another name")
        if not isinstance(table, dict):
            self._reader.table(at, table)
            return None
        entry = self._provider(at, table)
        if entry is None:
            return None
        try:
            model, where = entry.settings, _places_of_keys(entry)
        except ConfigurationError as error:
            self._reader.report((*at, "provider"), "cannot be used", str(error))
            return None
        return self._reader.read(model, table, at, where)

    def _provider(self, at: KeyPath, table: Mapping[str, Any]) -> ProviderEntry | None:
        known = sorted(self._providers)
        if "provider" not in table:
            misspelt = closest("provider", table)
            like = closest(at[-1], known) or (known[0] if known else "...")
            add = f'add provider = "{like}" to [{dotted(at)}]'
            fix = (
                f"{add}; known: {', '.join(known)}" if misspelt is None else f"is {misspelt} meant to be it?"
            )
            self._reader.report((*at, "provider"), "is missing", fix)
            return None
        name = table["provider"]
        found = self._providers.get(name) if isinstance(name, str) else None
        if found is None:
            close = closest(name, known)
            meant = f'did you mean "{close}"? ' if close else ""
            fix = f"{meant}known: {', '.join(known)}"
            self._reader.report((*at, "provider"), "is not a known provider", fix)
        return found

    def _check_name(self, at: KeyPath, name: str) -> None:
        try:
            check_name(name)
        except ValueError as error:
            message, _, fix = str(error).partition("; ")
            self._reader.report(at, f"is not a usable name: it {message}", fix)

    def _check_references(self, at: KeyPath, table: Mapping[str, Any], connections: list[str]) -> None:
        precedence = table.get("precedence", [])
        for index, name in enumerate(precedence if isinstance(precedence, list) else []):
            path = (*at, "precedence", index)
            if name in precedence[:index]:
                self._reader.report(path, f'names "{name}" a second time', "name every connection once")
            elif name not in connections:
                self._report_no_connection(path, name, connections)
        owners = table.get("owners", {})
        for field, name in (owners if isinstance(owners, dict) else {}).items():
            if name not in (*connections, ASK):
                self._report_no_connection((*at, "owners", field), name, [*connections, ASK])

    def _report_no_connection(self, path: KeyPath, name: object, known: list[str]) -> None:
        self._reader.report(path, f'names "{name}", which is not a connection here', suggestion(name, known))

    def _exposed_secrets(self, file: Path | None) -> Iterable[SettingProblem]:
        # Permission bits mean nothing on Windows.
        if file is None or os.name == "nt" or not self._reader.holds_secrets:
            return
        if file.stat().st_mode & 0o077:
            message = "holds secrets and other users of this machine may read it"
            yield SettingProblem("", message, f"chmod 600 {file}", file=str(file))


def _places_of_keys(entry: ProviderEntry) -> Mapping[str, str]:
    # A guide only makes messages better; a package may come without one.
    try:
        guide = entry.guide
    except ConfigurationError:
        return {}
    return guide.keys if guide else {}


def _in_reading_order(problem: SettingProblem) -> tuple[bool, int, str]:
    return (bool(problem.variable), problem.line or 0, problem.variable)
