"""The Zoom sandbox answers within Zoom's published schemas, and its public client works against it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest

from sync_engine.sandbox.world import World
from sync_engine.sandbox.zoom import ZoomSandbox

SPECS = Path(__file__).parents[4] / "shared" / "specs"
NOW = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
HOST = "host@acme.example"
RULE = {"type": 2, "repeat_interval": 1, "weekly_days": "2", "end_times": 4}


@pytest.fixture
def world() -> Iterator[World]:
    with World(start=NOW) as made:
        made.zoom.rate_limits = False
        made.zoom.webhook_secret = "sandbox-secret"
        made.zoom.add_host(HOST, first_name="Hanna", last_name="Ost")
        made.zoom.add_tracking_field("sync_ref")
        yield made


@pytest.fixture
def zoom(world: World) -> ZoomSandbox:
    return world.zoom


@pytest.fixture
def api(zoom: ZoomSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {zoom.token}"}
    with httpx.Client(base_url=zoom.url, headers=headers, timeout=10) as client:
        yield client


@pytest.fixture
def numbers(zoom: ZoomSandbox) -> dict[str, str]:
    people = zoom.people
    soon, invitees = NOW + timedelta(days=1), ["jane@example.com", HOST]
    made = {
        "once": people.book(
            HOST, "Once", soon, agenda="Text", invitees=invitees, tracking_fields={"sync_ref": "1"}
        ),
        "series": people.book_series(HOST, "Weekly", soon, 30, RULE, zone="Europe/Berlin"),
        "standing": people.book_standing(HOST, "Room"),
        "room": people.book_in_personal_room(HOST, "Coffee", soon),
        "instant": people.start_instant(HOST),
        "over": people.book(HOST, "Over", NOW),
    }
    guests = [("Hanna Ost", HOST), ("Jane", "jane@example.com")]
    people.end_meeting(made["over"], participants=guests, transcript="WEBVTT")
    return made


def specification(name: str) -> dict[str, Any]:
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"NOT CHECKED AGAINST THE SPECIFICATION: {name} is not beside the project")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def strict(schema: Any) -> Any:
    """Close every object of a schema: a field the specification does not know is a mistake."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(value) for name, value in schema.items() if name not in ("example", "examples")}
    if "allOf" in closed:
        merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        for part in closed.pop("allOf"):
            merged["properties"] |= part.get("properties", {})
            merged["required"] += part.get("required", [])
        closed |= merged
    if isinstance(closed.get("properties"), dict) and closed.get("type", "object") == "object":
        closed["additionalProperties"] = False
    return closed


def check(answer: Any, schema: dict[str, Any], *, beyond: tuple[str, ...] = ()) -> None:
    closed = strict(schema)
    for name in beyond:
        closed["properties"].setdefault(name, {})
    mistakes = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in jsonschema.Draft202012Validator(closed).iter_errors(answer)
    ]
    assert mistakes == []


def answer_schema(spec: dict[str, Any], method: str, path: str, status: str = "200") -> dict[str, Any]:
    content = spec["paths"][path][method]["responses"][status]["content"]
    found: dict[str, Any] = content["application/json"]["schema"]
    return found


@pytest.mark.parametrize(
    ("path", "template"),
    [
        (f"/users/{HOST}/meetings", "/users/{userId}/meetings"),
        (f"/users/{HOST}/upcoming_meetings", "/users/{userId}/upcoming_meetings"),
        ("/meetings/{once}", "/meetings/{meetingId}"),
        ("/meetings/{standing}", "/meetings/{meetingId}"),
        ("/meetings/{room}", "/meetings/{meetingId}"),
        ("/meetings/{instant}", "/meetings/{meetingId}"),
        ("/meetings/{once}/invitation", "/meetings/{meetingId}/invitation"),
        ("/past_meetings/{over}", "/past_meetings/{meetingId}"),
        ("/past_meetings/{over}/instances", "/past_meetings/{meetingId}/instances"),
        ("/past_meetings/{over}/participants", "/past_meetings/{meetingId}/participants"),
        ("/meetings/{over}/transcript", "/meetings/{meetingId}/transcript"),
        ("/tracking_fields", "/tracking_fields"),
    ],
)
def test_an_answer_fits_the_published_schema(
    api: httpx.Client, numbers: dict[str, str], path: str, template: str
) -> None:
    spec = specification("zoom.json")

    answer = api.get(path.format(**numbers))

    assert answer.status_code == 200
    check(answer.json(), answer_schema(spec, "get", template))


def test_a_series_fits_the_published_schema(api: httpx.Client, numbers: dict[str, str]) -> None:
    schema = answer_schema(specification("zoom.json"), "get", "/meetings/{meetingId}")

    body = api.get(f"/meetings/{numbers['series']}").json()

    # The text of the field allows lists of days, its enumeration only knows single ones.
    check(body, schema)
    assert len(body["occurrences"]) == 4


def test_a_create_fits_the_published_schema(api: httpx.Client) -> None:
    schema = answer_schema(specification("zoom.json"), "post", "/users/{userId}/meetings", "201")

    body = api.post(f"/users/{HOST}/meetings", json={"start_time": "2030-01-10T09:00:00Z"}).json()

    # Since November 2025 a create answers with these too.
    check(body, schema, beyond=("uuid", "host_id", "status"))


@pytest.mark.parametrize(("path", "template"), [("/users", "/users"), (f"/users/{HOST}", "/users/{userId}")])
def test_a_user_fits_the_published_schema(api: httpx.Client, path: str, template: str) -> None:
    spec = specification("zoom-users.json")

    check_users = api.get(path).json()

    # ``language`` is in the prose of the list and of the read, not in the list's schema.
    for row in check_users.get("users", []):
        row.pop("language")
    check(check_users, answer_schema(spec, "get", template))


def test_every_webhook_fits_the_published_schema(
    world: World, zoom: ZoomSandbox, numbers: dict[str, str]
) -> None:
    webhooks = specification("zoom-webhooks.json")["webhooks"]
    people, once, series = zoom.people, numbers["once"], numbers["series"]
    key = people.occurrences(series)[1][0]

    people.rename(once, "Renamed")
    people.describe(once, "Other")
    people.uninvite(once, HOST)
    people.move_occurrence(series, key, NOW + timedelta(days=9))
    people.cancel_occurrence(series, key)
    people.cancel(series)
    people.cancel(once)
    people.recover(once)
    people.convert_to_webinar(once)

    events = [json.loads(delivery.body) for delivery in world.deliveries]
    for event in events:
        schema = webhooks[event["event"]]["post"]["requestBody"]["content"]["application/json"]["schema"]
        payload = schema["properties"]["payload"]["properties"]
        if "old_object" in payload:
            # The document's own reference leads nowhere; it means the object beside it.
            payload["old_object"] = payload["object"]
        check(event, schema)
    assert {event["event"].partition(".")[2] for event in events} == {
        "created",
        "updated",
        "deleted",
        "recovered",
        "started",
        "ended",
        "converted_to_webinar",
    }


def public_client(zoom: ZoomSandbox, token: str) -> Any:
    with warnings.catch_warnings():
        # The client's models are written for an older pydantic, which warns about them.
        warnings.simplefilter("ignore")
        pyzoom = pytest.importorskip("pyzoom", reason="NOT CHECKED WITH PYZOOM: it is not installed")
    return pyzoom.ZoomClient(token, base_url=zoom.url)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_pyzoom_lives_through_a_meeting(zoom: ZoomSandbox) -> None:
    user = zoom.account.find_host(HOST)
    assert user is not None
    client = public_client(zoom, zoom.desk.issue(user.id).text)

    made = client.meetings.create_meeting(
        "Interview", start_time="2030-01-10T09:00:00Z", duration_min=45, password="secret"
    )
    client.meetings.update_meeting(
        "Interview, moved",
        start_time="2030-01-11T09:00:00Z",
        duration_min=30,
        password="secret",
        meeting_id=made.id,
    )
    found = client.meetings.get_meeting(made.id)
    listed = client.meetings.list_meetings()
    deleted = client.meetings.delete_meeting(made.id)

    assert (made.topic, made.duration) == ("Interview", 45)
    assert (found.topic, found.start_time) == ("Interview, moved", "2030-01-11T09:00:00Z")
    assert [row.id for row in listed.meetings] == [made.id]
    assert deleted is True
    assert client.meetings.list_meetings().meetings == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_pyzoom_reads_users_and_participants(zoom: ZoomSandbox, numbers: dict[str, str]) -> None:
    client = public_client(zoom, zoom.token)

    users = client.users.get_users("active")
    there = client.meetings.past_meeting_participants(int(numbers["over"]))

    assert [user.email for user in users.users] == [HOST]
    assert [each.name for each in there.participants] == ["Hanna Ost", "Jane"]
