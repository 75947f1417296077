"""The key that protects kept tokens: several at once for rotation, and refused when it cannot encrypt."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from sync_engine.errors import ConfigurationError
from sync_engine.settings import load_settings
from sync_engine.store.keyring import Keyring

CONFIGURATION = """\
[workspaces.acme.connections.crm]
provider = "prospect_crm"
base_url = "http://127.0.0.1:9"
api_key = "k"
"""
FIRST, SECOND = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sync-engine.toml"
    path.write_text(CONFIGURATION)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("between", [",", ", ", "\n", " , "])
def test_several_keys_are_read_from_one_variable(file: Path, between: str) -> None:
    settings = load_settings(file, {"SYNC_ENGINE__SECRET_KEY": f"{FIRST}{between}{SECOND}"})

    assert settings.secret_keys == (FIRST, SECOND)


def test_without_a_key_there_is_none(file: Path) -> None:
    assert load_settings(file, {}).secret_keys == ()


def test_a_key_that_cannot_encrypt_is_refused_without_showing_it(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="new-key") as caught:
        load_settings(file, {"SYNC_ENGINE__SECRET_KEY": "my-own-password"})

    assert "my-own-password" not in str(caught.value)


def test_the_settings_do_not_show_the_key(file: Path) -> None:
    assert FIRST not in repr(load_settings(file, {"SYNC_ENGINE__SECRET_KEY": FIRST}))


def test_what_one_key_seals_another_one_of_the_ring_does_not_show() -> None:
    kept = Keyring([FIRST]).seal("token")

    assert "token" not in kept
    assert Keyring([SECOND, FIRST]).open(kept) == "token"
    assert not Keyring([SECOND, FIRST]).is_current(kept)
    assert Keyring([FIRST]).is_current(kept)
