"""Reads the files of ``deploy/``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

# What YAML and JSON files hold; every test says for itself what it expects in there.
Tree: TypeAlias = Any

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SYSTEMD = DEPLOY / "systemd"

# What an installation makes in deploy/ is not ours to check.
_INSTALLED = {".env", "secrets", "sync-engine.toml"}


def all_files() -> list[Path]:
    """Give every file of ``deploy/`` that belongs to the project."""
    return [
        path
        for path in sorted(DEPLOY.rglob("*"))
        if path.is_file() and path.relative_to(DEPLOY).parts[0] not in _INSTALLED
    ]


def text(path: str) -> str:
    """Read one file, named from ``deploy/``."""
    return (DEPLOY / path).read_text(encoding="utf-8")


@cache
def load(path: str) -> Tree:
    """Read a YAML or JSON file with one document."""
    return yaml.safe_load(text(path))


def documents(folder: Path) -> Iterator[tuple[Path, Tree]]:
    """Give every YAML document below a folder, with its file."""
    for path in sorted(folder.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield path, document


def resources(kind: str | None = None) -> list[Tree]:
    """Give the Kubernetes resources as they are written, before Kustomize; of one kind, if named."""
    found = [
        each for path, each in documents(KUBERNETES) if path.name != "kustomization.yaml" and "kind" in each
    ]
    return [each for each in found if kind in (None, each["kind"])]


def unit(name: str) -> dict[str, list[str]]:
    """Read a systemd unit; keys may stand several times, so each has a list of values."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in (SYSTEMD / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


def variables(path: Path, *, commented: bool = False) -> dict[str, str]:
    """Read a file of variables; with ``commented`` those that are only shown as well."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.removeprefix("#" if commented else "").partition("=")
        if separator and name.isidentifier():
            found[name] = value.removeprefix("'").removesuffix("'")
    return found
