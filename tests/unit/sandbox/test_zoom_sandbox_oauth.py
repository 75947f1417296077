"""The Zoom sandbox hands out and refuses tokens as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.world import World
from sync_engine.sandbox.zoom import ZoomSandbox

HOST, OTHER = "host@acme.example", "other@acme.example"


@pytest.fixture
def world() -> Iterator[World]:
    with World(start=datetime(2030, 1, 7, 8, 0, tzinfo=UTC)) as made:
        made.zoom.add_host(HOST)
        made.zoom.add_host(OTHER)
        yield made


@pytest.fixture
def zoom(world: World) -> ZoomSandbox:
    return world.zoom


def ask(zoom: ZoomSandbox, *, secret: str | None = None, **fields: str) -> httpx.Response:
    return httpx.post(
        zoom.token_url, data=fields, auth=(zoom.client_id, secret or zoom.client_secret), timeout=10
    )


def account_token(zoom: ZoomSandbox) -> dict[str, Any]:
    answer = ask(zoom, grant_type="account_credentials", account_id=zoom.account_id)
    assert answer.status_code == 200, answer.text
    granted: dict[str, Any] = answer.json()
    return granted


def redeem(zoom: ZoomSandbox, email: str = HOST) -> dict[str, Any]:
    answer = ask(zoom, grant_type="authorization_code", code=zoom.people.authorize(email))
    assert answer.status_code == 200, answer.text
    granted: dict[str, Any] = answer.json()
    return granted


def get(zoom: ZoomSandbox, path: str, token: str) -> httpx.Response:
    return httpx.get(f"{zoom.url}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=10)


def test_account_credentials_give_an_hour_and_no_refresh_token(zoom: ZoomSandbox) -> None:
    granted = account_token(zoom)

    assert granted.keys() == {"access_token", "token_type", "expires_in", "scope", "api_url"}
    assert (granted["token_type"], granted["expires_in"]) == ("bearer", 3600)
    assert set(granted["scope"].split()) == zoom.scopes
    assert get(zoom, "/users", granted["access_token"]).status_code == 200


def test_the_parameters_may_come_in_the_query(zoom: ZoomSandbox) -> None:
    query = {"grant_type": "account_credentials", "account_id": zoom.account_id}

    answer = httpx.post(zoom.token_url, params=query, auth=(zoom.client_id, zoom.client_secret))

    assert answer.status_code == 200


def test_a_token_dies_after_an_hour_and_a_new_one_does_not_kill_the_old(
    world: World, zoom: ZoomSandbox
) -> None:
    first = account_token(zoom)["access_token"]
    second = account_token(zoom)["access_token"]

    world.clock.advance(timedelta(seconds=3599))
    assert [get(zoom, "/users", token).status_code for token in (first, second)] == [200, 200]
    world.clock.advance(timedelta(seconds=1))
    expired = get(zoom, "/users", first)

    assert (expired.status_code, expired.json()["code"]) == (401, 124)
    zoom.token_error_status = 400
    assert get(zoom, "/users", first).status_code == 400


def test_wrong_credentials_are_refused_by_kind(zoom: ZoomSandbox) -> None:
    wrong_client = ask(zoom, secret="wrong", grant_type="account_credentials", account_id=zoom.account_id)
    wrong_account = ask(zoom, grant_type="account_credentials", account_id="other")
    wrong_grant = ask(zoom, grant_type="password")
    no_token = httpx.get(f"{zoom.url}/users")
    in_query = httpx.get(f"{zoom.url}/users", params={"access_token": zoom.token})

    assert wrong_client.status_code == 401
    assert wrong_client.json() == {
        "reason": "Invalid client_id or client_secret",
        "error": "invalid_client",
    }
    assert (wrong_account.status_code, wrong_account.json()["error"]) == (400, "invalid_request")
    assert (wrong_grant.status_code, wrong_grant.json()["code"]) == (400, 4705)
    assert (no_token.status_code, no_token.json()["code"]) == (401, 124)
    assert in_query.status_code == 401


def test_a_switched_off_app_has_no_tokens(zoom: ZoomSandbox) -> None:
    token = account_token(zoom)["access_token"]
    zoom.app_active = False

    refused = ask(zoom, grant_type="account_credentials", account_id=zoom.account_id)

    assert get(zoom, "/users", token).json()["code"] == 124
    assert refused.json()["code"] == 4717


@pytest.mark.parametrize(
    "scope", ["user:read:list_users:admin", "user:read:admin", "user:read:list_users:master"]
)
def test_classic_and_granular_scopes_both_open_a_call(zoom: ZoomSandbox, scope: str) -> None:
    zoom.scopes.clear()
    zoom.scopes.add(scope)

    token = account_token(zoom)["access_token"]

    assert get(zoom, "/users", token).status_code == 200
    assert get(zoom, f"/users/{HOST}/meetings", token).json()["code"] == 4711


def test_a_missing_scope_is_a_400_that_names_the_acceptable_ones(zoom: ZoomSandbox) -> None:
    token = account_token(zoom)["access_token"]
    zoom.scopes.discard("meeting:read:meeting:admin")

    answer = get(zoom, "/meetings/85555555555", token)

    assert (answer.status_code, answer.json()["code"]) == (400, 4711)
    assert "does not contain scopes:[meeting:read:meeting:admin" in answer.json()["message"]


def test_an_added_scope_is_in_later_tokens_only(zoom: ZoomSandbox) -> None:
    zoom.scopes.discard("meeting:read:list_meetings:admin")
    early = account_token(zoom)["access_token"]
    zoom.scopes.add("meeting:read:list_meetings:admin")
    late = account_token(zoom)["access_token"]

    answers = [get(zoom, f"/users/{HOST}/meetings", token).status_code for token in (early, late)]

    assert answers == [400, 200]


def test_a_user_reaches_her_own_meetings_as_me_and_nobody_elses(zoom: ZoomSandbox) -> None:
    own = zoom.people.book(HOST, "Own", datetime(2030, 1, 8, 9, tzinfo=UTC))
    foreign = zoom.people.book(OTHER, "Foreign", datetime(2030, 1, 8, 9, tzinfo=UTC))
    token = redeem(zoom)["access_token"]

    assert get(zoom, "/users/me", token).json()["email"] == HOST
    assert [str(row["id"]) for row in get(zoom, "/users/me/meetings", token).json()["meetings"]] == [own]
    assert get(zoom, f"/meetings/{own}", token).status_code == 200
    assert get(zoom, f"/meetings/{foreign}", token).json()["code"] == 3003
    assert get(zoom, f"/users/{OTHER}/meetings", token).json()["code"] == 201
    assert get(zoom, "/users", token).json()["code"] == 4711


def test_a_code_works_once_and_for_five_minutes(world: World, zoom: ZoomSandbox) -> None:
    code = zoom.people.authorize(HOST)
    first = ask(zoom, grant_type="authorization_code", code=code)
    again = ask(zoom, grant_type="authorization_code", code=code)
    late_code = zoom.people.authorize(HOST)
    world.clock.advance(timedelta(minutes=5))
    late = ask(zoom, grant_type="authorization_code", code=late_code)

    assert first.status_code == 200
    assert again.json()["code"] == 4734
    assert late.json()["code"] == 4733


def test_a_redirect_address_must_be_the_configured_one(zoom: ZoomSandbox) -> None:
    zoom.redirect_uri = "https://app.example/callback"

    code = zoom.people.authorize(HOST)
    answer = ask(zoom, grant_type="authorization_code", code=code, redirect_uri="https://else.example/")

    assert answer.json()["code"] == 4709


def test_a_refresh_token_dies_when_it_is_used(zoom: ZoomSandbox) -> None:
    first = redeem(zoom)["refresh_token"]

    renewed = ask(zoom, grant_type="refresh_token", refresh_token=first)
    stale = ask(zoom, grant_type="refresh_token", refresh_token=first)

    assert renewed.json()["refresh_token"] != first
    assert stale.status_code == 400
    assert stale.json() == {"reason": "Invalid Token!", "error": "invalid_grant"}
    zoom.old_refresh_tokens_work = True
    assert ask(zoom, grant_type="refresh_token", refresh_token=first).status_code == 200


def test_a_refresh_token_lives_ninety_days(world: World, zoom: ZoomSandbox) -> None:
    token = redeem(zoom)["refresh_token"]

    world.clock.advance(timedelta(days=90))

    assert ask(zoom, grant_type="refresh_token", refresh_token=token).json()["error"] == "invalid_grant"


def test_a_second_consent_of_the_same_user_ends_the_first(zoom: ZoomSandbox) -> None:
    first, other = redeem(zoom)["refresh_token"], redeem(zoom, OTHER)["refresh_token"]
    redeem(zoom)

    assert ask(zoom, grant_type="refresh_token", refresh_token=first).status_code == 400
    assert ask(zoom, grant_type="refresh_token", refresh_token=other).status_code == 200


def test_a_revoked_token_takes_its_grant_along(zoom: ZoomSandbox) -> None:
    granted = redeem(zoom)
    url = zoom.token_url.replace("/token", "/revoke")
    fields = {"token": granted["access_token"]}

    answer = httpx.post(url, data=fields, auth=(zoom.client_id, zoom.client_secret))

    assert answer.json() == {"status": "success"}
    assert get(zoom, "/users/me", granted["access_token"]).json()["code"] == 124
    refused = ask(zoom, grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert refused.json()["error"] == "invalid_grant"


def test_the_token_endpoint_stands_outside_the_api(zoom: ZoomSandbox) -> None:
    assert zoom.url == f"http://127.0.0.1:{zoom.port}/v2"
    assert zoom.token_url == f"http://127.0.0.1:{zoom.port}/oauth/token"
    account_token(zoom)
    assert zoom.count("POST", "/oauth/token") == 1
