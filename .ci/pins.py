"""Print the installed version of every package this project can bring along, as constraints.

Follows the project's own lists (runtime, extras, build tools) through everything they require, so that
what happens to lie in the same environment stays out.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def wanted() -> list[Requirement]:
    """Read what the project asks for."""
    document = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    project = document["project"]
    lists = [
        project.get("dependencies", []),
        *project.get("optional-dependencies", {}).values(),
        document["build-system"]["requires"],
    ]
    return [Requirement(text) for texts in lists for text in texts]


def pins(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Give the version of each of them, and of all they require; the missing are named on stderr."""
    found: dict[str, str] = {}
    waiting = list(requirements)
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        try:
            package = distribution(requirement.name)
        except PackageNotFoundError:
            print(f"not installed, so not pinned: {requirement.name}", file=sys.stderr)
            continue
        found[canonicalize_name(requirement.name)] = package.version
        inner = [Requirement(text) for text in package.requires or ()]
        waiting += [each for each in inner if is_asked_for(each, {"", *requirement.extras})]
    return found


def is_asked_for(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Tell whether a package brings this along here, with these extras of its own."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


if __name__ == "__main__":
    for name, version in sorted(pins(wanted()).items()):
        print(f"{name}=={version}")
