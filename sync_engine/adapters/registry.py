"""Which providers exist; the one place that lists the adapter packages."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sync_engine.adapters.base import Build, ConnectionSettings
from sync_engine.adapters.guide import Guide
from sync_engine.errors import ConfigurationError

ENTRY_POINT_GROUP = "sync_engine.adapters"


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One provider; its package is imported when something of it is asked for.

    Every property raises ConfigurationError, naming the package, when that package is broken.
    """

    name: str
    source: str
    load_settings: Callable[[], Any]
    load_build: Callable[[], Any]
    load_guide: Callable[[], Any] = lambda: None

    @property
    def settings(self) -> type[ConnectionSettings]:
        """Give the model that a connection's table is read with."""
        found = self._load(self.load_settings, "settings")
        if not (isinstance(found, type) and issubclass(found, ConnectionSettings)):
            raise self._broken("its settings are not a subclass of ConnectionSettings")
        return found

    @property
    def build(self) -> Build:
        """Give the function that makes an adapter of settings and surroundings."""
        found = self._load(self.load_build, "build function")
        if not callable(found):
            raise self._broken("its build function cannot be called")
        built: Build = found
        return built

    @property
    def guide(self) -> Guide | None:
        """Give the set-up guide, None where the package has none."""
        found = self._load(self.load_guide, "guide")
        return found if isinstance(found, Guide) else None

    def _load(self, load: Callable[[], Any], part: str) -> Any:
        try:
            return load()
        except ConfigurationError:
            raise
        # Importing a package runs its code, so anything can come out of it.
        except Exception as error:
            raise self._broken(f"its {part} cannot be loaded ({type(error).__name__}: {error})") from error

    def _broken(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f'the adapter of provider "{self.name}" is broken: {what}; reinstall or update {self.source}'
        )


def provider(
    name: str, *, settings: type[ConnectionSettings], build: Build, guide: Guide | None = None
) -> ProviderEntry:
    """Make an entry of parts that are at hand already."""
    return ProviderEntry(name, name, lambda: settings, lambda: build, lambda: guide)


def _packaged(name: str, settings_class: str) -> ProviderEntry:
    def part(module: str, attribute: str) -> Callable[[], Any]:
        return lambda: getattr(importlib.import_module(f"sync_engine.adapters.{name}.{module}"), attribute)

    return ProviderEntry(
        name,
        "meeting-sync-engine",
        part("settings", settings_class),
        part("adapter", "build"),
        part("guide", "GUIDE"),
    )


PROVIDERS: dict[str, ProviderEntry] = {
    "zoom": _packaged("zoom", "ZoomSettings"),
    "attio": _packaged("attio", "AttioSettings"),
    "lightfield": _packaged("lightfield", "LightfieldSettings"),
    "prospect_crm": _packaged("prospect_crm", "ProspectCrmSettings"),
}
"""The providers that come with the engine."""


def known_providers(installed: Iterable[EntryPoint] | None = None) -> dict[str, ProviderEntry]:
    """Give every provider: ours, and those that other packages register as entry points.

    An entry point of the group ``sync_engine.adapters`` has the provider's name and resolves to an object
    with ``settings``, ``build`` and, if it likes, ``guide``. Nothing is imported before it is used.

    Raises:
        ConfigurationError: two packages claim the same provider; which one is meant cannot be guessed.
    """
    found = dict(PROVIDERS)
    for point in entry_points(group=ENTRY_POINT_GROUP) if installed is None else installed:
        if point.name in found:
            raise ConfigurationError(
                f'provider "{point.name}" is registered by {found[point.name].source} and again by '
                f"{_package_of(point)}; uninstall one of them"
            )
        found[point.name] = _registered(point)
    return found


def _registered(point: EntryPoint) -> ProviderEntry:
    return ProviderEntry(
        point.name,
        _package_of(point),
        lambda: point.load().settings,
        lambda: point.load().build,
        lambda: getattr(point.load(), "guide", None),
    )


def _package_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
