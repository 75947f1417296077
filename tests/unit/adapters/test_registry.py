"""Finding adapters, ours and those of other packages."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from sync_engine.adapters.base import ConnectionSettings
from sync_engine.adapters.guide import Guide
from sync_engine.adapters.registry import ENTRY_POINT_GROUP, PROVIDERS, ProviderEntry, known_providers
from sync_engine.errors import ConfigurationError
from tests.unit.configuration.stand_in import AlphaSettings, build


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP)


def test_another_packages_adapter_is_found_through_its_entry_point() -> None:
    entry = known_providers([point("gamma", "tests.unit.adapters.test_registry:GAMMA")])["gamma"]

    assert entry.settings is AlphaSettings
    assert entry.build is build
    assert entry.guide is None


class GAMMA:
    settings = AlphaSettings
    build = staticmethod(build)


@pytest.mark.parametrize("value", ["no_such_package:ADAPTER", "tests.unit.adapters.test_registry:MISSING"])
def test_a_broken_package_is_named_with_the_fix(value: str) -> None:
    entry = known_providers([point("gamma", value)])["gamma"]

    with pytest.raises(ConfigurationError, match=r'"gamma" is broken.*reinstall or update'):
        _ = entry.settings


def test_settings_of_the_wrong_kind_are_refused() -> None:
    entry = ProviderEntry("gamma", "gamma-for-sync", lambda: dict, lambda: None)

    with pytest.raises(ConfigurationError, match="not a subclass of ConnectionSettings"):
        _ = entry.settings
    with pytest.raises(ConfigurationError, match="cannot be called"):
        _ = entry.build


def test_two_packages_may_not_claim_one_provider() -> None:
    taken = next(iter(PROVIDERS))

    with pytest.raises(ConfigurationError, match="uninstall one of them"):
        known_providers([point(taken, "other_package:ADAPTER")])


def test_no_adapter_is_imported_before_it_is_used() -> None:
    script = (
        "import sys; from sync_engine.adapters.registry import known_providers; known_providers();"
        "sys.exit(any(name.endswith(('.settings', '.adapter', '.guide')) and name.count('.') > 2 "
        "for name in sys.modules if name.startswith('sync_engine.adapters.')))"
    )

    ended = subprocess.run([sys.executable, "-c", script], check=False)

    assert ended.returncode == 0


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_that_comes_along_can_be_loaded(name: str) -> None:
    entry = PROVIDERS[name]

    assert issubclass(entry.settings, ConnectionSettings)
    assert entry.settings.model_fields["provider"].default == name
    assert callable(entry.build)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_guide_speaks_of_keys_that_exist(name: str) -> None:
    guide = PROVIDERS[name].guide

    assert isinstance(guide, Guide)
    assert guide.keys.keys() <= PROVIDERS[name].settings.model_fields.keys()
    assert guide.explained.keys() <= PROVIDERS[name].settings.model_fields.keys()
    assert set(guide.needed) <= guide.keys.keys()
    required = {key for key, info in PROVIDERS[name].settings.model_fields.items() if info.is_required()}
    assert required <= guide.keys.keys()
