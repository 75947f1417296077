"""The Attio sandbox answers within Attio's published schemas, and its public client works against it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest

from sync_engine.sandbox.attio import AttioSandbox
from tests.unit.sandbox.attio_bench import START, UNKNOWN, create, id_of, meeting_body, opened

SPECS = Path(__file__).parents[4] / "shared" / "specs"
MEETINGS = "attio-2026-10-03-meetings-extract.json"
WHOLE = "attio.json"
ONE = "/v2/meetings/{meeting_id}"
RECORDINGS = f"{ONE}/call_recordings"
RECORDING = f"{RECORDINGS}/{{call_recording_id}}"


@pytest.fixture
def pair() -> Iterator[tuple[AttioSandbox, httpx.Client]]:
    with opened() as both:
        yield both


@pytest.fixture
def attio(pair: tuple[AttioSandbox, httpx.Client]) -> AttioSandbox:
    return pair[0]


@pytest.fixture
def client(pair: tuple[AttioSandbox, httpx.Client]) -> httpx.Client:
    return pair[1]


def specification(name: str) -> dict[str, Any]:
    """Read a specification; ``nullable`` of older OpenAPI is put into the words of JSON Schema."""
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"NOT CHECKED AGAINST ATTIO'S SPECIFICATION: {name} is not there")
    document: dict[str, Any] = json.loads(path.read_text())
    _nullable(document)
    return document


def _nullable(node: Any) -> None:
    if isinstance(node, dict):
        if node.pop("nullable", False) is True:
            if isinstance(node.get("type"), str):
                node["type"] = [node["type"], "null"]
            if "enum" in node:
                node["enum"] = [*node["enum"], None]
        for child in node.values():
            _nullable(child)
    elif isinstance(node, list):
        for child in node:
            _nullable(child)


def check(name: str, path: str, answer: httpx.Response) -> None:
    """Validate an answer against the schema of its operation and status."""
    document = specification(name)
    method = answer.request.method.lower()
    responses = document["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, (method, path, answer.status_code, answer.text)
    if answer.status_code == 204:
        assert answer.content == b""
        return
    content = responses[str(answer.status_code)]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def test_answers_about_meetings_fit_the_newest_schemas(attio: AttioSandbox, client: httpx.Client) -> None:
    all_day = {"is_all_day": True, "start": {"date": "2026-12-02"}, "end": {"date": "2026-12-03"}}
    people = [{"name": "Walk-in", "is_organizer": False, "status": "tentative"}]
    create(client, **all_day)
    create(client, participants=people)
    booked = attio.people.book(
        "Synced", START, START + timedelta(hours=1), zone=None, organizer="a@x.example"
    )
    attio.world.clock.advance(timedelta(minutes=1))
    posted = client.post("/v2/meetings", json=meeting_body())
    path = f"/v2/meetings/{posted.json()['data']['id']['meeting_id']}"
    deal = {"data": {"linked_records": [{"object": "deals", "record_id": attio.people.add_deal()}]}}

    check(MEETINGS, "/v2/meetings", posted)
    check(MEETINGS, "/v2/meetings", client.get("/v2/meetings", params={"limit": 1}))
    check(MEETINGS, "/v2/meetings", client.get("/v2/meetings"))
    check(MEETINGS, ONE, client.get(f"/v2/meetings/{booked}"))
    check(MEETINGS, ONE, client.patch(path, json=deal))
    check(MEETINGS, ONE, client.put(path, json=deal))
    check(MEETINGS, ONE, client.delete(path))
    check(MEETINGS, "/v2/self", client.get("/v2/self"))


def test_errors_about_meetings_fit_the_newest_schemas(attio: AttioSandbox, client: httpx.Client) -> None:
    booked = attio.people.book("Synced", START, START + timedelta(hours=1), organizer="a@x.example")
    missing, there = f"/v2/meetings/{UNKNOWN}", f"/v2/meetings/{booked}"
    link = {"data": {"linked_records": [{"object": "deals", "record_id": UNKNOWN}]}}

    check(MEETINGS, "/v2/meetings", client.post("/v2/meetings", json=meeting_body(title=None)))
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        check(MEETINGS, ONE, client.request(method, missing, json=link))
    check(MEETINGS, ONE, client.patch(there, json=link))
    check(MEETINGS, ONE, client.patch(there, json={"data": {"title": "New"}}))
    check(MEETINGS, ONE, client.delete(there))
    attio.token_active = False
    check(MEETINGS, "/v2/self", client.get("/v2/self"))


def test_answers_about_recordings_fit_the_newest_schemas(attio: AttioSandbox, client: httpx.Client) -> None:
    meeting = id_of(create(client))
    path = f"/v2/meetings/{meeting}/call_recordings"
    segment = {"speech": "Hello.", "start_time": 0, "end_time": 1, "speaker": {"name": "Anna"}}
    made = client.post(path, json={"data": {"transcript": [segment]}})
    attio.people.record(meeting, [segment])

    check(MEETINGS, RECORDINGS, made)
    listed = client.get(path)
    check(MEETINGS, RECORDINGS, listed)
    for row in listed.json()["data"]:
        check(MEETINGS, RECORDING, client.get(f"{path}/{row['id']['call_recording_id']}"))
    check(MEETINGS, RECORDINGS, client.post(path, json={"data": {"video_url": "http://x.example/a.mp4"}}))
    check(MEETINGS, RECORDING, client.delete(f"{path}/{made.json()['data']['id']['call_recording_id']}"))
    check(MEETINGS, RECORDING, client.get(f"{path}/{UNKNOWN}"))


def test_answers_about_everything_else_fit_the_whole_specification(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    attio.people.add_member("Anna", "Arnold", "anna@acme.example")
    create(client)
    values = {
        "email_addresses": ["guest@customer.example"],
        "name": [{"first_name": "G", "last_name": "H", "full_name": "G H"}],
    }
    records, one_hook = "/v2/objects/{object}/records", "/v2/webhooks/{webhook_id}"

    upsert = client.put(
        "/v2/objects/people/records?matching_attribute=email_addresses", json={"data": {"values": values}}
    )
    check(WHOLE, records, upsert)
    check(WHOLE, f"{records}/query", client.post("/v2/objects/people/records/query", json={}))
    note = {
        "parent_object": "people",
        "parent_record_id": upsert.json()["data"]["id"]["record_id"],
        "title": "Call",
        "format": "plaintext",
        "content": "Went well.",
    }
    check(WHOLE, "/v2/notes", client.post("/v2/notes", json={"data": note}))
    check(WHOLE, "/v2/notes", client.get("/v2/notes"))
    check(WHOLE, "/v2/workspace_members", client.get("/v2/workspace_members"))
    wanted = {
        "target_url": "https://e.example/hook",
        "subscriptions": [{"event_type": "record.merged", "filter": None}],
    }
    hook = client.post("/v2/webhooks", json={"data": wanted})
    check(WHOLE, "/v2/webhooks", hook)
    path = f"/v2/webhooks/{hook.json()['data']['id']['webhook_id']}"
    check(WHOLE, "/v2/webhooks", client.get("/v2/webhooks"))
    check(WHOLE, one_hook, client.get(path))
    check(WHOLE, one_hook, client.delete(path))
    check(WHOLE, one_hook, client.get(path))


def test_the_public_client_lives_through_a_meeting(attio: AttioSandbox) -> None:
    library = pytest.importorskip(
        "attio", reason="NOT CHECKED WITH THE PUBLIC CLIENT: attio is not installed"
    )
    refusals = pytest.importorskip("attio.errors")
    with library.SDK(oauth2=attio.token, server_url=attio.url) as sdk:
        made = sdk.meetings.post_v2_meetings(data=meeting_body()["data"]).data
        number = made.id.meeting_id
        listed = sdk.meetings.get_v2_meetings(participants="guest@customer.example", limit=200)
        deal = {"object": "deals", "record_id": attio.people.add_deal()}
        linked = sdk.meetings.patch_v2_meetings_meeting_id_(
            meeting_id=number, data={"linked_records": [deal]}
        )
        gone = sdk.meetings.delete_v2_meetings_meeting_id_(meeting_id=number)
        with pytest.raises(refusals.SDKError):
            sdk.meetings.get_v2_meetings_meeting_id_(meeting_id=number)
        identity = sdk.meta.get_v2_self()

    assert (made.title, made.is_all_day) == ("Demo", False)
    assert [row.id.meeting_id for row in listed.data] == [number]
    assert deal["record_id"] in [link.record_id for link in linked.data.linked_records]
    assert gone is not None
    assert identity.workspace_id == attio.workspace.id


def test_the_public_client_records_a_call_and_subscribes(attio: AttioSandbox) -> None:
    library = pytest.importorskip(
        "attio", reason="NOT CHECKED WITH THE PUBLIC CLIENT: attio is not installed"
    )
    segment = {"speech": "Hello.", "start_time": 0.0, "end_time": 1.0, "speaker": {"name": "Anna"}}
    with library.SDK(oauth2=attio.token, server_url=attio.url) as sdk:
        made = sdk.meetings.post_v2_meetings(data=meeting_body()["data"]).data
        recording = sdk.call_recordings.post_v2_meetings_meeting_id_call_recordings(
            meeting_id=made.id.meeting_id, data={"transcript": [segment]}
        ).data
        listed = sdk.call_recordings.get_v2_meetings_meeting_id_call_recordings(meeting_id=made.id.meeting_id)
        subscriptions = [{"event_type": "call-recording.created", "filter": None}]
        hook = sdk.webhooks.post_v2_webhooks(
            data={"target_url": "https://e.example/hook", "subscriptions": subscriptions}
        ).data

    assert [row.id.call_recording_id for row in listed.data] == [recording.id.call_recording_id]
    assert hook.secret
