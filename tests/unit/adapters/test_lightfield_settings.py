"""Settings of a Lightfield connection, and the calls of its workflows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from sync_engine.adapters.lightfield.settings import LightfieldSettings
from sync_engine.adapters.lightfield.webhooks import Hint, delivery_id, is_authentic, parse_events
from sync_engine.adapters.registry import PROVIDERS


def settings(**changes: Any) -> LightfieldSettings:
    return LightfieldSettings(**{"api_key": SecretStr("sk_lf_x"), **changes})


def test_defaults_are_the_documented_ones() -> None:
    found = settings()

    assert found.base_url == "https://api.lightfield.app"
    assert found.create == "always"
    assert (found.twin_grace_minutes, found.create_margin_minutes) == (15, 5)
    assert not found.replace
    assert not found.auto_create_records
    assert PROVIDERS["lightfield"].settings is LightfieldSettings
    assert PROVIDERS["lightfield"].guide is not None


@pytest.mark.parametrize("url", ["https://api.lightfield.app/v1", "https://api.lightfield.app/v1/"])
def test_the_version_in_the_address_is_not_doubled(url: str) -> None:
    assert settings(base_url=url).base_url == "https://api.lightfield.app"


@pytest.mark.parametrize(
    "changes",
    [
        {"api_key": ""},
        {"api_key": "two words"},
        {"base_url": "http://api.lightfield.app"},
        {"webhook_header": "X Sync: Secret"},
        {"create_margin_minutes": -1},
        {"apikey": "x"},
    ],
)
def test_a_setting_that_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


def test_a_key_is_not_shown() -> None:
    assert "sk_lf_x" not in repr(settings())


@pytest.mark.parametrize(
    ("headers", "authentic"),
    [
        ({"X-Sync-Secret": "swordfish"}, True),
        ({"x-sync-secret": "swordfish"}, True),
        ({"X-Sync-Secret": "old"}, True),
        ({"X-Sync-Secret": "swordfis"}, False),
        ({"X-Sync-Secret": ""}, False),
        ({"X-Sync-Secret": "schlüssel\udcff"}, False),
        ({"Authorization": "swordfish"}, False),
        ({}, False),
    ],
)
def test_a_call_is_authentic_only_with_a_secret_in_its_header(
    headers: dict[str, str], authentic: bool
) -> None:
    assert is_authentic(b"{}", headers, ["swordfish", "old", ""]) is authentic


def test_the_header_has_the_configured_name() -> None:
    assert is_authentic(b"{}", {"x-other": "swordfish"}, ["swordfish"], header="X-Other")
    assert not is_authentic(b"{}", {"x-sync-secret": "swordfish"}, ["swordfish"], header="X-Other")


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"meetingId":"mtg_1","occurredAt":"2026-11-16T09:00:00Z"}', ["mtg_1"]),
        (b'{"meeting_id":"mtg_1"}', ["mtg_1"]),
        (b'[{"id":"mtg_1"},{"id":"mtg_2"},{"id":"mtg_1"}]', ["mtg_1", "mtg_2"]),
        (b'{"meetingId":7}', []),
        (b'{"meetingId":""}', []),
        (b'{"meetingId":"' + b"x" * 300 + b'"}', []),
        (b"{{trigger.id}}", []),
        (b"\xff", []),
        (b"", []),
        (b"null", []),
        (b"[" * 100_000, []),
    ],
)
def test_a_call_names_meetings_or_nothing(body: bytes, ids: list[str]) -> None:
    assert parse_events(body) == tuple(Hint(one) for one in ids)


def test_a_repeated_call_is_recognised_by_its_body() -> None:
    body = b'{"meetingId":"mtg_1","occurredAt":"1"}'

    assert delivery_id(body, {"x-any": "1"}) == delivery_id(body, {})
    assert delivery_id(body, {}) != delivery_id(b'{"meetingId":"mtg_1","occurredAt":"2"}', {})
