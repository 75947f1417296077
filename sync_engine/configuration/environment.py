"""Environment variables laid over the configuration file."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_engine.configuration.lines import KeyPath
from sync_engine.configuration.problems import SettingProblem, dotted

PREFIX = "SYNC_ENGINE__"


@dataclass(frozen=True, slots=True)
class Override:
    """One variable that set one value. ``text`` is what the variable holds, before it is read as TOML."""

    variable: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Overlay:
    """The document with every override applied, and which variable set which key."""

    document: dict[str, Any] = field(repr=False)
    origins: Mapping[KeyPath, Override]
    problems: tuple[SettingProblem, ...] = ()

    def origin(self, path: KeyPath) -> Override | None:
        """Give the override that a value, or the table around it, comes from."""
        for length in range(len(path), 0, -1):
            found = self.origins.get(path[:length])
            if found is not None:
                return found
        return None


def variable_for(path: KeyPath) -> str:
    """Name the variable that overrides a key."""
    return PREFIX + "__".join(str(part) for part in path).replace("-", "_").upper()


def read_value(text: str) -> Any:
    """Read a variable's text as a TOML value; what is not TOML is taken as it stands."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break could end the value and begin another key; then it was never meant as TOML.
    return parsed["value"] if parsed.keys() == {"value"} else text


def overlay(document: Mapping[str, Any], environ: Mapping[str, str]) -> Overlay:
    """Apply every ``SYNC_ENGINE__A__B`` variable to a copy of the document, outer levels first."""
    result = copy.deepcopy(dict(document))
    origins: dict[KeyPath, Override] = {}
    problems: list[SettingProblem] = []
    names = [name for name in environ if name.upper().startswith(PREFIX)]
    for name in sorted(names, key=lambda each: (each.count("__"), each)):
        levels = name[len(PREFIX) :].split("__")
        if not all(levels):
            problems.append(
                SettingProblem(
                    key=name,
                    variable=name,
                    message="the name has an empty level",
                    fix=f"write {PREFIX} and then the levels with two underscores between them",
                )
            )
            continue
        target = _reach(result, levels)
        if isinstance(target, SettingProblem):
            problems.append(_of(target, name))
            continue
        table, path = target
        table[str(path[-1])] = read_value(environ[name])
        origins[path] = Override(name, environ[name])
    return Overlay(result, origins, tuple(problems))


def _of(problem: SettingProblem, variable: str) -> SettingProblem:
    return SettingProblem(problem.key, problem.message, problem.fix, variable=variable)


def _reach(document: dict[str, Any], levels: list[str]) -> tuple[dict[str, Any], KeyPath] | SettingProblem:
    """Walk to the table that holds the named key, making tables on the way."""
    table = document
    path: KeyPath = ()
    rest = levels
    while True:
        key, used = _match(table, rest)
        path = (*path, key)
        rest = rest[used:]
        if not rest:
            return table, path
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            return SettingProblem(
                key=dotted(path),
                message="is a single value, so nothing below it can be set",
                fix=f"set {variable_for(path)} to the whole value, written as TOML",
            )
        table = inner


def _match(table: Mapping[str, Any], levels: list[str]) -> tuple[str, int]:
    """Find the key that the next levels name, and how many of them it uses.

    Variables cannot hold hyphens and are written in capitals, so both count as equal. A key with two
    underscores in its own name is found by trying the longest name first.
    """
    for used in range(len(levels), 0, -1):
        name = "__".join(levels[:used])
        for fold in (str.casefold, _without_hyphens):
            found = [key for key in table if fold(key) == fold(name)]
            if len(found) == 1:
                return found[0], used
    return levels[0].lower(), 1


def _without_hyphens(name: str) -> str:
    return name.casefold().replace("-", "_")
