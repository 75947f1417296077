"""The Zoom sandbox tells of every change, signed, in the shapes of the document."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.world import World
from sync_engine.sandbox.zoom import ZoomSandbox
from sync_engine.sandbox.zoom.webhooks import signature

NOW = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
HOST = "host@acme.example"
SECRET = "sandbox-secret"


@pytest.fixture
def world() -> Iterator[World]:
    with World(start=NOW) as made:
        made.zoom.rate_limits = False
        made.zoom.webhook_secret = SECRET
        made.zoom.add_host(HOST)
        yield made


@pytest.fixture
def zoom(world: World) -> ZoomSandbox:
    return world.zoom


@pytest.fixture
def api(zoom: ZoomSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {zoom.token}"}
    with httpx.Client(base_url=zoom.url, headers=headers, timeout=10) as client:
        yield client


def told(world: World) -> list[dict[str, Any]]:
    events = [json.loads(delivery.body) for delivery in world.deliveries]
    world.deliveries.clear()
    return events


def only(world: World) -> dict[str, Any]:
    (event,) = told(world)
    return event


def test_the_signature_is_the_published_one() -> None:
    body = (
        b'{"event":"meeting.deleted","event_ts":1739923527123,'
        b'"payload":{"account_id":"A1","object":{"id":85746065123}}}'
    )

    assert signature("test_secret_token", "1739923528", body) == (
        "v0=0cfd51d6f76373e984964d11ce3de877dae9f4221334b2ad31f1a13e0dd8927e"
    )


def test_a_delivery_is_signed_over_its_raw_bytes_only(world: World, zoom: ZoomSandbox) -> None:
    zoom.people.book(HOST, "Zürich", NOW + timedelta(days=1))

    (delivery,) = world.deliveries

    moment = delivery.headers["x-zm-request-timestamp"]
    reserialised = json.dumps(json.loads(delivery.body), separators=(",", ":"), ensure_ascii=False).encode()
    assert moment == str(int(NOW.timestamp()))
    assert delivery.headers["x-zm-signature"] == signature(SECRET, moment, delivery.body)
    assert delivery.headers["x-zm-signature"] != signature(SECRET, moment, reserialised)
    assert delivery.headers["x-zm-request-id"]


def test_without_a_secret_nothing_is_sent(world: World, zoom: ZoomSandbox) -> None:
    zoom.webhook_secret = None

    zoom.people.cancel(zoom.people.book(HOST, "Quiet", NOW + timedelta(days=1)))

    assert world.deliveries == []


def test_url_validation_sends_a_signed_challenge(world: World, zoom: ZoomSandbox) -> None:
    plain = zoom.url_validation()

    (delivery,) = world.deliveries
    moment = delivery.headers["x-zm-request-timestamp"]
    expected = hmac.new(SECRET.encode(), f"v0:{moment}:".encode() + delivery.body, hashlib.sha256)
    event = json.loads(delivery.body)
    assert event["event"] == "endpoint.url_validation"
    assert event["payload"] == {"plainToken": plain}
    assert delivery.headers["x-zm-signature"] == f"v0={expected.hexdigest()}"


def test_a_creation_names_no_agenda_and_no_host_address(world: World, api: httpx.Client) -> None:
    made = api.post(
        f"/users/{HOST}/meetings",
        json={
            "topic": "Kick-off",
            "agenda": "Secret",
            "start_time": "2030-01-10T09:00:00Z",
            "settings": {"meeting_invitees": [{"email": "jane@example.com"}]},
        },
    ).json()

    event = only(world)

    shown = event["payload"]["object"]
    assert (event["event"], event["event_ts"]) == ("meeting.created", int(NOW.timestamp() * 1000))
    assert event["payload"]["operator"] == HOST
    assert shown["id"] == made["id"]
    assert shown["settings"]["meeting_invitees"] == [{"email": "jane@example.com"}]
    assert not {"agenda", "host_email", "start_url"} & shown.keys()


def test_an_update_names_only_what_changed(world: World, zoom: ZoomSandbox, api: httpx.Client) -> None:
    number = zoom.people.book(HOST, "Old", NOW + timedelta(days=1), 30)
    told(world)

    api.patch(f"/meetings/{number}", json={"topic": "New", "duration": 30})

    payload = only(world)["payload"]
    assert payload["object"] == {"id": int(number), "topic": "New"}
    assert payload["old_object"] == {"id": int(number), "topic": "Old"}
    assert payload["scope"] == "all"
    assert payload["time_stamp"] == int(NOW.timestamp() * 1000)


def test_an_update_that_changes_nothing_is_not_told(
    world: World, zoom: ZoomSandbox, api: httpx.Client
) -> None:
    number = zoom.people.book(HOST, "Same", NOW + timedelta(days=1))
    told(world)

    api.patch(f"/meetings/{number}", json={"topic": "Same", "start_time": "2030-01-01T00:00:00Z"})

    assert told(world) == []


def test_settings_of_an_update_are_the_changed_keys_zoom_names(world: World, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(HOST, "Talk", NOW + timedelta(days=1))
    told(world)

    zoom.people.invite(number, "jane@example.com")
    zoom.people.set_private(number)

    invited, made_private = told(world)
    assert invited["payload"]["object"]["settings"] == {"meeting_invitees": [{"email": "jane@example.com"}]}
    assert made_private["payload"]["object"] == {"id": int(number)}


def test_an_occurrence_moves_alone_and_keeps_its_id(world: World, zoom: ZoomSandbox) -> None:
    starts = [NOW + timedelta(days=day) for day in (1, 2, 3)]
    number = zoom.people.book_occurrences(HOST, "Daily", starts, 30)
    key = zoom.people.occurrences(number)[1][0]
    told(world)

    zoom.people.move_occurrence(number, key, starts[1] + timedelta(hours=2))

    payload = only(world)["payload"]
    assert payload["scope"] == "single"
    assert payload["object"]["occurrences"] == [
        {"occurrence_id": key, "start_time": "2030-01-09T10:00:00Z", "duration": 30, "status": "available"}
    ]
    assert payload["old_object"]["occurrences"][0]["start_time"] == "2030-01-09T08:00:00Z"


def test_deletions_tell_how_much_is_gone(world: World, zoom: ZoomSandbox, api: httpx.Client) -> None:
    once = zoom.people.book(HOST, "Once", NOW + timedelta(days=1))
    series = zoom.people.book_occurrences(HOST, "Daily", [NOW + timedelta(days=day) for day in (1, 2)], 30)
    key = zoom.people.occurrences(series)[0][0]
    told(world)

    api.delete(f"/meetings/{once}")
    api.delete(f"/meetings/{series}", params={"occurrence_id": key})
    api.delete(f"/meetings/{series}")

    single, date, whole = (event["payload"] for event in told(world))
    assert (single["operation"], single["object"]["id"]) == ("single", int(once))
    assert "occurrences" not in single["object"]
    assert date["operation"] == "single"
    assert date["object"]["occurrences"] == [{"occurrence_id": key, "start_time": "2030-01-08T08:00:00Z"}]
    assert whole["operation"] == "all"


def test_free_accounts_do_not_hear_of_deletions(world: World, zoom: ZoomSandbox) -> None:
    zoom.plan = "free"
    number = zoom.people.book(HOST, "Once", NOW + timedelta(days=1))
    told(world)

    zoom.people.cancel(number)

    assert told(world) == []


def test_recovery_and_purge_are_told(world: World, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(HOST, "Once", NOW + timedelta(days=100))
    zoom.people.cancel(number)
    zoom.people.recover(number)
    zoom.people.cancel(number)
    world.clock.advance(timedelta(days=30))
    zoom.records()

    assert [event["event"] for event in told(world)] == [
        "meeting.created",
        "meeting.deleted",
        "meeting.recovered",
        "meeting.deleted",
        "meeting.permanently_deleted",
    ]


def test_a_run_is_told_with_a_text_id_and_the_planned_length(world: World, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(HOST, "Review", NOW, 30)
    told(world)

    zoom.people.start_meeting(number)
    world.clock.advance(timedelta(minutes=50))
    uuid = zoom.people.end_meeting(number)

    started, ended = (event["payload"]["object"] for event in told(world))
    assert (started["id"], started["uuid"]) == (number, uuid)
    assert (ended["id"], ended["uuid"], ended["duration"]) == (number, uuid, 30)
    assert ended["end_time"] == "2030-01-07T08:50:00Z"


def test_a_run_in_the_personal_room_is_told_as_the_room(
    world: World, zoom: ZoomSandbox, api: httpx.Client
) -> None:
    number = zoom.people.book_in_personal_room(HOST, "Coffee", NOW + timedelta(days=1))
    room = api.get(f"/meetings/{number}").json()["pmi"]
    told(world)

    zoom.people.start_meeting(number)

    shown = only(world)["payload"]["object"]
    assert (shown["id"], shown["type"]) == (room, 4)
    assert shown["topic"] != "Coffee"


def test_a_webinar_is_told(world: World, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(HOST, "Show", NOW + timedelta(days=1))
    told(world)

    zoom.people.convert_to_webinar(number)

    event = only(world)
    assert event["event"] == "meeting.converted_to_webinar"
    assert (event["payload"]["object"]["id"], event["payload"]["object"]["type"]) == (int(number), 5)
