"""Reading one table after another with its model, collecting what is wrong on the way."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sync_engine.configuration.environment import Overlay, variable_for
from sync_engine.configuration.faults import Fault, read_faults
from sync_engine.configuration.lines import KeyPath, nearest_line
from sync_engine.configuration.problems import SettingProblem, dotted
from sync_engine.configuration.secrets import fetch_secret, is_placeholder, is_secret

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Surrounding:
    """Where the values come from: the file, its lines, and the environment laid over it."""

    file: str
    folder: Path
    lines: Mapping[KeyPath, int]
    overlay: Overlay
    environ: Mapping[str, str] = field(repr=False)


class Reader:
    """Reads tables and remembers every problem; ``problems`` is empty when all is well.

    ``holds_secrets``: a secret itself, not only the name of one, stands in the file.
    """

    def __init__(self, around: Surrounding) -> None:
        self._around = around
        self.problems: list[SettingProblem] = list(around.overlay.problems)
        self.holds_secrets = False

    def report(self, path: KeyPath, message: str, fix: str = "") -> None:
        """Remember one problem."""
        self.problems.append(self.problem(path, message, fix))

    def problem(self, path: KeyPath, message: str, fix: str = "") -> SettingProblem:
        """Describe one problem, with the place the key is written at."""
        origin = self._around.overlay.origin(path)
        if origin is not None:
            return SettingProblem(dotted(path), message, fix, variable=origin.variable)
        line = nearest_line(self._around.lines, path)
        return SettingProblem(dotted(path), message, fix, file=self._around.file, line=line)

    def table(self, path: KeyPath, value: Any) -> dict[str, Any]:
        """Give a value that has to be a table; an empty one, with a problem, where it is not."""
        if isinstance(value, dict):
            return value
        self.report(path, "must be a table")
        return {}

    def fetch(self, path: KeyPath, value: Any) -> Any:
        """Give the text that a setting holds or names; None, with a problem, if it names nothing."""
        if not isinstance(value, str):
            return value
        try:
            return fetch_secret(value, self._around.environ, self._around.folder)
        except ValueError as error:
            self.report(path, str(error), "create it, or write the value itself")
            return None

    def read(
        self,
        model: type[Model],
        table: Mapping[str, Any],
        at: KeyPath,
        where: Mapping[str, str] | None = None,
    ) -> Model | None:
        """Read one table with its model; None, with problems, if it does not fit.

        ``where`` says for a key where a person finds its value.
        """
        hints = {name: info.description or "" for name, info in model.model_fields.items()} | dict(
            where or {}
        )
        data = copy.deepcopy(dict(table))
        before = len(self.problems)
        unusable = self._fill_in(model, data, at, hints)
        result, errors = self._validate(model, data, at)
        for fault in read_faults(model, errors, hints):
            if fault.path[:1] not in unusable:
                self._report_fault(model, fault, at)
        return result if len(self.problems) == before else None

    def _fill_in(
        self, model: type[BaseModel], data: dict[str, Any], at: KeyPath, hints: Mapping[str, str]
    ) -> set[KeyPath]:
        """Fetch secrets and find what was never filled in; such keys are reported and taken out."""
        unusable: set[KeyPath] = set()
        for name, info in model.model_fields.items():
            if name in data and not self._filled(data, name, info, at, hints.get(name, "")):
                del data[name]
                unusable.add((name,))
        return unusable

    def _filled(self, data: dict[str, Any], name: str, info: FieldInfo, at: KeyPath, hint: str) -> bool:
        path = (*at, name)
        secret = is_secret(info)
        if secret:
            data[name] = self._fetch_all(path, data[name])
            if data[name] is None:
                return False
        if not _has_placeholder(data[name], empty_counts=secret or info.is_required()):
            return True
        fix = f"fill in {hint}" if hint else "fill it in"
        self.report(path, "is not filled in", fix if info.is_required() else f"{fix}, or remove the line")
        return False

    def _fetch_all(self, path: KeyPath, value: Any) -> Any:
        if isinstance(value, dict):
            found = {key: self._fetch_all((*path, key), inner) for key, inner in value.items()}
            return None if None in found.values() else found
        if isinstance(value, list):
            items = [self._fetch_all((*path, index), inner) for index, inner in enumerate(value)]
            return None if None in items else items
        fetched = self.fetch(path, value)
        if fetched == value and self._around.overlay.origin(path) is None:
            self.holds_secrets = self.holds_secrets or not is_placeholder(value)
        return fetched

    def _validate(
        self, model: type[Model], data: dict[str, Any], at: KeyPath
    ) -> tuple[Model | None, list[Any]]:
        try:
            return model.model_validate(data), []
        except ValidationError as error:
            errors: list[Any] = error.errors(include_url=False)
        # A client id of digits is a number in TOML; in a variable nobody can be asked to quote it.
        mended = [self._take_as_text(data, error, at) for error in errors if error["type"] == "string_type"]
        if any(mended):
            try:
                return model.model_validate(data), []
            except ValidationError as error:
                errors = error.errors(include_url=False)
        return None, errors

    def _take_as_text(self, data: dict[str, Any], error: Any, at: KeyPath) -> bool:
        path: KeyPath = error["loc"]
        origin = self._around.overlay.origins.get((*at, *path))
        if origin is None:
            return False
        table: Any = data
        for part in path[:-1]:
            table = table[part]
        table[path[-1]] = origin.text
        return True

    def _report_fault(self, model: type[BaseModel], fault: Fault, at: KeyPath) -> None:
        path = (*at, *fault.path)
        fix = fault.fix
        if fault.sort == "missing":
            table = f"[{dotted(path[:-1])}]" if path[:-1] else "the top of the file"
            add = f'add {path[-1]} = "..." to {table} or set {variable_for(path)}'
            fix = f"{add}; {fix}" if fix else add
        self.report(path, fault.message, fix or _default_hint(model, fault.path))


def _has_placeholder(value: Any, *, empty_counts: bool) -> bool:
    if isinstance(value, dict):
        return any(_has_placeholder(inner, empty_counts=empty_counts) for inner in value.values())
    if isinstance(value, list):
        return any(_has_placeholder(inner, empty_counts=empty_counts) for inner in value)
    return is_placeholder(value) and (empty_counts or bool(value.strip()))


def _default_hint(model: type[BaseModel], path: KeyPath) -> str:
    info = model.model_fields.get(str(path[0])) if len(path) == 1 else None
    if info is None or is_secret(info) or not isinstance(info.default, str | int | float):
        return ""
    return f"without the line it is {json.dumps(info.default)}"
