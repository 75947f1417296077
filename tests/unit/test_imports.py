"""Imports point inwards; this reads the import statements and keeps it so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Which rooms each room may import, besides itself. A room that is not listed fails the test: decide first.
ALLOWED: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "core": frozenset({"errors"}),
    "store": frozenset({"core", "errors"}),
    "adapters": frozenset({"core", "errors"}),
    "services": frozenset({"core", "errors", "store"}),
    "sandbox": frozenset(),
    "configuration": frozenset({"errors"}),
    "observability": frozenset({"errors"}),
    "embedded": frozenset({"errors"}),
    "settings": frozenset({"adapters", "configuration", "core", "errors"}),
    "bootstrap": frozenset({"adapters", "core", "errors", "observability", "services", "settings", "store"}),
    "metrics": frozenset({"core", "errors", "services", "store"}),
    "web": frozenset({"bootstrap", "core", "errors", "metrics", "observability", "services", "settings"}),
    "workers": frozenset({"bootstrap", "core", "errors", "metrics", "observability", "services", "settings"}),
    "demo": frozenset({"bootstrap", "core", "errors", "observability", "sandbox", "services", "settings"}),
    "__main__": frozenset({"cli"}),
    "cli": frozenset(
        {
            "adapters",
            "bootstrap",
            "configuration",
            "core",
            "demo",
            "embedded",
            "errors",
            "metrics",
            "observability",
            "sandbox",
            "services",
            "settings",
            "web",
            "workers",
        }
    ),
}

# Types may be named where running code must not reach.
ALLOWED_TYPES: dict[str, frozenset[str]] = {"errors": frozenset({"core"})}

# Rows as services hand them out, and how their values are written as JSON: faces may name these.
FACES = frozenset({"cli", "demo", "web"})
ROWS = frozenset(
    f"sync_engine.store.{room}"
    for room in (
        "codec",
        "conflicts",
        "decisions",
        "journal",
        "outbox",
        "quarantine",
        "refs",
        "reviews",
        "runs",
    )
)

# Single modules that must reach further than their room, each for one reason.
EXCEPTIONS: dict[str, frozenset[str]] = {
    # "db upgrade" is about the database itself.
    "sync_engine.cli.database": frozenset({"store", "sqlalchemy"}),
    # Says in one sentence that the database cannot be opened or lacks its tables.
    "sync_engine.cli.context": frozenset({"sqlalchemy"}),
}

# Libraries that have one home, so that they can be exchanged there.
HOMES = {
    "httpx": {"adapters"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "celery": {"workers"},
    "typer": {"cli"},
    "starlette": {"web", "sandbox"},
    "uvicorn": {"web", "sandbox", "cli"},
    "prometheus_client": {"metrics", "workers"},
}

PROVIDER_PACKAGES = frozenset(
    path.name for path in (ROOT / "sync_engine" / "adapters").iterdir() if (path / "__init__.py").exists()
)
PROVIDER_NAME = re.compile(r"zoom|attio|lightfield|prospect_?crm|hiring_?center", re.IGNORECASE)
NEUTRAL_ROOMS = ("core", "services", "store", "web", "workers")
# Video links stand in the texts of every provider, whoever hosts the meeting; this file reads them.
READS_VIDEO_LINKS = "sync_engine/core/links.py"


@dataclass(frozen=True)
class Import:
    """One import: who imports what, and whether only for types."""

    importer: str
    module: str
    types_only: bool
    line: int

    @property
    def place(self) -> str:
        return f"{self.importer}:{self.line} imports {self.module}"


def room_of(module: str) -> str | None:
    """Give the room of one of our modules; None for a library."""
    first, *rest = module.split(".")
    if first == "workers":
        return "workers"
    return rest[0] if first == "sync_engine" and rest else None


def provider_of(module: str) -> str | None:
    """Give the provider package a module belongs to, if any."""
    parts = module.split(".")
    is_provider = (
        parts[:2] == ["sync_engine", "adapters"] and len(parts) > 2 and parts[2] in PROVIDER_PACKAGES
    )
    return parts[2] if is_provider else None


def imports_of(source: str, importer: str, *, is_package: bool = False) -> Iterator[Import]:
    """Read the imports of one module, those inside functions too."""
    tree = ast.parse(source)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolved(node, importer, is_package=is_package)
            # "from package import module" imports the module as well as the package.
            modules = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for module in modules:
            yield Import(importer, module, id(node) in for_types, node.lineno)


def resolved(node: ast.ImportFrom, importer: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = importer.split(".")
    home = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*home, *([node.module] if node.module else [])])


def sources() -> Iterator[tuple[str, Path]]:
    for top in ("sync_engine", "workers"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(
        found
        for module, path in sources()
        for found in imports_of(path.read_text("utf-8"), module, is_package=path.name == "__init__.py")
    )


def crossing(found: Import) -> bool:
    """Tell whether an import goes where its room must not reach."""
    importer, imported = room_of(found.importer), room_of(found.module)
    if importer is None or imported is None or importer == imported:
        return False
    allowed = ALLOWED.get(importer, frozenset()) | EXCEPTIONS.get(found.importer, frozenset())
    if found.types_only:
        allowed |= ALLOWED_TYPES.get(importer, frozenset())
    if importer in FACES and is_row(found.module):
        return False
    # "from sync_engine import __version__" names no room.
    return imported in ALLOWED and imported not in allowed


def is_row(module: str) -> bool:
    """Tell whether a module, or something in it, belongs to the rows that faces may name."""
    return module == "sync_engine.store" or ".".join(module.split(".")[:3]) in ROWS


def strays(found: Import, library: str) -> bool:
    """Tell whether an import uses a library away from its home."""
    return (
        found.module.split(".")[0] == library
        and room_of(found.importer) not in HOMES[library]
        and library not in EXCEPTIONS.get(found.importer, frozenset())
    )


def code_words(source: str) -> Iterator[tuple[int, str]]:
    """Give the identifiers and string literals of a module, without docstrings and comments."""
    tree = ast.parse(source)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and is_text(node.value)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield line, node.value
        for attribute in ("id", "attr", "name", "arg", "module", "asname"):
            word = getattr(node, attribute, None)
            if isinstance(word, str):
                yield line, word


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_room_has_a_rule() -> None:
    rooms = {room for module, _ in sources() if (room := room_of(module))}

    assert rooms <= ALLOWED.keys()
    assert {"core", "adapters", "store", "services", "sandbox"} <= rooms


def test_imports_point_inwards() -> None:
    assert [found.place for found in all_imports() if crossing(found)] == []


def test_a_provider_package_is_imported_by_itself_alone() -> None:
    strangers = [
        found.place
        for found in all_imports()
        if provider_of(found.module)
        and provider_of(found.importer) != provider_of(found.module)
        and found.importer != "sync_engine.adapters.registry"
    ]

    assert strangers == []
    assert len(PROVIDER_PACKAGES) >= 4


def test_shared_rooms_of_the_adapters_know_no_provider() -> None:
    shared = [m for m, _ in sources() if room_of(m) == "adapters" and provider_of(m) is None]

    assert "sync_engine.adapters.http" in shared
    named = [
        f"{module}:{line} says {word!r}"
        for module, path in sources()
        if module in shared and module != "sync_engine.adapters.registry"
        for line, word in code_words(path.read_text("utf-8"))
        if PROVIDER_NAME.search(word)
    ]
    assert named == []


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_stays_in_its_home(library: str) -> None:
    assert [found.place for found in all_imports() if strays(found, library)] == []


@pytest.mark.parametrize("module", sorted(EXCEPTIONS))
def test_an_exception_is_still_needed(module: str) -> None:
    imported = {found.module for found in all_imports() if found.importer == module}

    reached = {room_of(name) or name.split(".")[0] for name in imported}
    assert EXCEPTIONS[module] <= reached


def test_no_provider_is_named_where_capabilities_decide() -> None:
    named = [
        f"{module}:{line} says {word!r}"
        for module, path in sources()
        if room_of(module) in NEUTRAL_ROOMS and path != ROOT / READS_VIDEO_LINKS
        for line, word in code_words(path.read_text("utf-8"))
        if PROVIDER_NAME.search(word)
    ]

    assert named == []


# The rules above would pass over an empty tree; these show that the reading finds what it should.


@pytest.mark.parametrize(
    ("source", "importer"),
    [
        ("import sync_engine.services.push", "sync_engine.core.merge"),
        ("from sync_engine.store import outbox", "sync_engine.core.merge"),
        ("from sync_engine import store", "sync_engine.core.merge"),
        ("from ..store import outbox", "sync_engine.core.merge"),
        ("def f():\n    from sync_engine.adapters.http import HttpClient", "sync_engine.services.push"),
        ("from sync_engine.core.ports import Adapter", "sync_engine.sandbox.world"),
        ("from sync_engine.core.ports import Adapter", "sync_engine.errors"),
        ("if TYPE_CHECKING:\n    from sync_engine.services import push", "sync_engine.core.merge"),
        ("from sync_engine.store import outbox", "workers.tasks"),
        ("import workers.tasks", "sync_engine.web.app"),
        ("from sync_engine.store.unit_of_work import Store", "sync_engine.cli.status"),
        ("from sync_engine.store import unit_of_work", "sync_engine.cli.status"),
    ],
)
def test_an_import_that_points_outwards_is_found(source: str, importer: str) -> None:
    assert any(crossing(found) for found in imports_of(source, importer))


@pytest.mark.parametrize(
    ("source", "importer"),
    [
        ("from sync_engine.errors import SyncError\nfrom . import merge", "sync_engine.core.fields"),
        ("if TYPE_CHECKING:\n    from sync_engine.core.ports import Observation", "sync_engine.errors"),
        ("from sync_engine import __version__", "sync_engine.cli.app"),
        ("import httpx", "sync_engine.adapters.http"),
        ("from sync_engine.store.refs import RefRow", "sync_engine.cli.status"),
    ],
)
def test_an_import_that_points_inwards_is_left_alone(source: str, importer: str) -> None:
    assert not any(crossing(found) for found in imports_of(source, importer))


def test_names_are_found_in_code_and_not_in_docstrings_or_comments() -> None:
    source = (
        '"""About Zoom."""\nX: str\n"""An attio thing."""\nif p == "zoom":  # lightfield\n    attio_id = 1\n'
    )

    words = [word for _, word in code_words(source) if PROVIDER_NAME.search(word)]

    assert sorted(words) == ["attio_id", "zoom"]
