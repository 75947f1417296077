from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings


def settings(**more: Any) -> ProspectCrmSettings:
    return ProspectCrmSettings.model_validate({"api_key": "k", **more})


def test_a_key_is_enough() -> None:
    made = settings()

    assert made.base_url == "https://api.hiringcenterpro.com/v2"
    assert (made.notes, made.update_method, made.default_duration_minutes) == ("internal", "auto", 30)
    assert (made.per_minute, made.per_hour, made.create, made.create_prospects) == (
        300,
        5400,
        "always",
        False,
    )


def test_addresses_and_domains_are_normalised() -> None:
    made = settings(
        owner_map={" Rita@Acme.Example ": " u1 "}, internal_domains=["@ACME.example", "acme.example"]
    )

    assert made.owner_map == {"rita@acme.example": "u1"}
    assert made.internal_domains == ("acme.example",)


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        ({"api_key": " "}, "Add API Key"),
        ({"owner_map": {"rita": "u1"}}, "e-mail addresses"),
        ({"owner_map": {"rita@acme.example": " "}}, "user ids"),
        ({"internal_domains": ["acme"]}, "domains"),
        ({"previous_webhook_secret": "old"}, "webhook_secret"),
        ({"default_duration_minutes": 0}, "greater than"),
        ({"base_url": "http://crm.example/v2"}, "https"),
        ({"update_methods": "PATCH"}, "Extra inputs"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write_instead(wrong: dict[str, Any], fix: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**wrong)

    assert fix in str(caught.value)


def test_secrets_are_not_shown() -> None:
    made = settings(
        api_key="very-secret", webhook_secret="very-secret", previous_webhook_secret="very-secret"
    )

    assert "very-secret" not in repr(made)
