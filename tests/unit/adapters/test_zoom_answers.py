from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from sync_engine.adapters.http import Answer
from sync_engine.adapters.zoom.answers import HOST_CAP, build_classify
from sync_engine.adapters.zoom.client import path_of_instance
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    ProviderError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    UnavailableError,
)

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 17, tzinfo=UTC)
HOST_LIMIT = (
    "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this "
    "particular user."
)


def classify(
    status: int, body: Any = None, *, learned: dict[str, float] | None = None, **headers: str
) -> ProviderError | None:
    rates: dict[str, float] = {} if learned is None else learned
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return build_classify(lambda: NOW, rates.__setitem__)(Answer(status, names, content))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 124, CredentialsError),
        (400, 124, CredentialsError),
        (400, 4711, CredentialsError),
        (401, 4700, CredentialsError),
        (400, 200, RefusedError),
        (401, 201, RefusedError),
        (403, 201, RefusedError),
        (400, 300, RefusedError),
        (404, 1001, RefusedError),
        (400, 1010, RefusedError),
        (404, 2300, RefusedError),
        (403, 2306, RefusedError),
        (400, 3000, RefusedError),
        (404, 3001, RecordGoneError),
        (400, 3161, RefusedError),
        (404, 3322, RecordGoneError),
        (404, 98765, RefusedError),
        (409, None, UnavailableError),
        (404, None, UnavailableError),
        (503, None, UnavailableError),
    ],
)
def test_zooms_code_decides_and_not_the_status(status: int, code: int | None, kind: type[Exception]) -> None:
    error = classify(status, {"code": code, "message": "…"} if code else None)

    assert type(error) is kind


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "invalid_request"])
def test_a_refusal_of_the_token_endpoint_is_about_credentials(error: str) -> None:
    found = classify(400, {"reason": "Invalid Token!", "error": error})

    assert isinstance(found, CredentialsError)
    assert found.code == error


@pytest.mark.parametrize(
    ("message", "moment", "scope", "code"),
    [
        ("You have reached the maximum per-second rate limit.", NOW.replace(second=1), "", None),
        ("You have reached the maximum daily rate limit.", MIDNIGHT, "", None),
        (HOST_LIMIT, MIDNIGHT, "host", HOST_CAP),
        ("daily rate limit of (3) for Add meeting registrant", MIDNIGHT, "", None),
        ("Too many concurrent requests", NOW.replace(second=2), "", None),
        ("", NOW.replace(second=2), "", None),
    ],
)
def test_the_five_limits_are_told_apart(message: str, moment: datetime, scope: str, code: str | None) -> None:
    for number in (429, 4001):
        error = classify(429, {"code": number, "message": message})

        assert isinstance(error, RateLimitedError)
        assert (error.retry_at, error.scope, error.code) == (moment, scope, code)


def test_the_type_header_tells_a_daily_limit_whose_text_does_not() -> None:
    error = classify(429, b"<busy/>", x_ratelimit_type="Daily-limit")

    assert isinstance(error, RateLimitedError)
    assert error.retry_at == MIDNIGHT


def test_a_rate_that_headers_name_is_learned() -> None:
    learned: dict[str, float] = {}

    classify(
        200, {}, learned=learned, x_ratelimit_type="QPS", x_ratelimit_category="Light", x_ratelimit_limit="80"
    )
    classify(
        200,
        {},
        learned=learned,
        x_ratelimit_type="Daily-limit",
        x_ratelimit_category="Heavy",
        x_ratelimit_limit="9",
    )
    classify(
        200, {}, learned=learned, x_ratelimit_type="QPS", x_ratelimit_category="Medium", x_ratelimit_limit="0"
    )

    assert learned == {"light": 80.0}


@pytest.mark.parametrize("body", [{"code": 0}, {"meetings": []}, {"topic": '"code"'}, None, []])
def test_a_success_is_a_success(body: Any) -> None:
    assert classify(200, body) is None


def test_an_error_inside_a_success_is_found() -> None:
    assert isinstance(classify(200, {"code": 200, "message": "no permission"}), RefusedError)
    assert isinstance(classify(200, {"code": 3001}), RecordGoneError)
    assert isinstance(classify(200, b"<html>"), InvalidResponseError)


def test_messages_name_scopes_and_fields_and_nothing_else_of_zooms_text() -> None:
    scope = classify(400, {"code": 4711, "message": "Jane lacks scopes:[meeting:read:meeting:admin]"})
    field = {"field": "settings.meeting_invitees", "message": "jane@x.example"}
    fields = classify(
        400, {"code": 300, "message": "Jane", "errors": [field, {"field": "Jane Doe <j@x>"}, 5]}
    )

    assert str(scope) == "the app lacks a scope, one of: meeting:read:meeting:admin"
    assert str(fields) == "a value was not accepted: settings.meeting_invitees"


@pytest.mark.parametrize(
    ("uuid", "path"),
    [
        ("/ajXp112QmuoKj4854875==", "/meetings/%252FajXp112QmuoKj4854875%253D%253D"),
        ("aDYlohsHRtCd4ii1uC2+hA==", "/meetings/aDYlohsHRtCd4ii1uC2%252BhA%253D%253D"),
    ],
)
def test_a_uuid_is_encoded_twice(uuid: str, path: str) -> None:
    assert path_of_instance(uuid) == path


def test_settings_have_zooms_addresses_and_cautious_defaults() -> None:
    settings = ZoomSettings.model_validate({"account_id": "a", "client_id": "c", "client_secret": "s"})

    assert settings.base_url == "https://api.zoom.us/v2"
    assert settings.auth_url == "https://zoom.us/oauth/token"
    assert settings.create == "virtual_without_link"
    assert settings.daily_write_reserve == 10
    assert repr(settings.client_secret) == "SecretStr('**********')"


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"account_id": ""}, "refresh_token"),
        ({"hosts": ["anna"]}, "e-mail"),
        ({"default_host": "anna"}, "e-mail"),
        ({"hosts": ["a@x.example"], "default_host": "b@x.example"}, "one of hosts"),
        ({"auth_url": "http://zoom.us/oauth/token"}, "https"),
        ({"daily_write_reserve": 100}, "less than 100"),
        ({"unknown": 1}, "Extra"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_fix(changes: dict[str, Any], hint: str) -> None:
    given = {"account_id": "a", "client_id": "c", "client_secret": "s", **changes}

    with pytest.raises(ValidationError, match=hint):
        ZoomSettings.model_validate(given)
