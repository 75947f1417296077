from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.attio import AttioSandbox
from sync_engine.sandbox.world import World
from tests.unit.sandbox.attio_bench import START, UNKNOWN, create, id_of, meeting_body, opened

SEGMENT = {
    "speech": "Hello.",
    "start_time": 0.5,
    "end_time": 1.5,
    "speaker": {"name": "Anna", "email_address": "anna@acme.example"},
}


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


def events(attio: AttioSandbox) -> list[dict[str, Any]]:
    return [event for d in attio.world.deliveries for event in json.loads(d.body)["events"]]


# -- tokens, scopes, limits ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/meetings", "/v2/webhooks", "/v2/workspace_members"])
def test_a_dead_token_is_refused_everywhere_but_at_self(
    attio: AttioSandbox, client: httpx.Client, path: str
) -> None:
    attio.token_active = False

    answer = client.get(path)

    assert (answer.status_code, answer.json()["type"]) == (401, "auth_error")
    assert client.get("/v2/self").json() == {"active": False}
    assert client.get("/v2/self").status_code == 200


def test_self_has_no_envelope_and_tells_scopes_and_level(attio: AttioSandbox, client: httpx.Client) -> None:
    identity = client.get("/v2/self").json()

    assert identity["active"] is True
    assert "meeting:read-write" in identity["scope"].split()
    assert identity["token_level"] == "workspace"


def test_basic_authentication_takes_the_token_as_user_name(attio: AttioSandbox) -> None:
    answer = httpx.get(f"{attio.url}/v2/meetings", auth=(attio.token, ""))

    assert answer.status_code == 200


def test_a_users_token_may_neither_list_meetings_nor_touch_webhooks(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    number = id_of(create(client))
    attio.token_level = "user"

    assert client.get("/v2/meetings").status_code == 403
    assert client.get("/v2/webhooks").status_code == 403
    assert client.get(f"/v2/meetings/{number}").status_code == 200


@pytest.mark.parametrize("scope", ["meeting:read-write", "record_permission:read-write"])
def test_a_missing_scope_is_refused(attio: AttioSandbox, client: httpx.Client, scope: str) -> None:
    attio.scopes.discard(scope)

    answer = client.post("/v2/meetings", json=meeting_body())

    assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized")
    assert scope.partition(":")[0] in answer.json()["message"]
    assert attio.records() == []


def test_the_read_scope_is_enough_to_read(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.scopes = {"meeting:read", "record_permission:read"}

    assert client.get("/v2/meetings").status_code == 200


def test_more_than_25_writes_in_a_second_are_refused_with_a_date_to_come_back() -> None:
    with World(seed=1) as world:
        headers = {"Authorization": f"Bearer {world.attio.token}"}
        world.attio.limits.per_second["write"] = 2
        with httpx.Client(base_url=world.attio.url, headers=headers) as client:
            answers = [client.post("/v2/meetings", json=meeting_body()) for _ in range(6)]
            now = world.clock.now()

        limited = [answer for answer in answers if answer.status_code == 429]
        assert limited
        assert len(world.attio.records()) == 6 - len(limited)
        assert limited[0].json()["type"] == "rate_limit_error"
        moment = parsedate_to_datetime(limited[0].headers["retry-after"])
        assert moment - now <= timedelta(seconds=2)


def test_the_documented_rates_are_the_default(attio: AttioSandbox) -> None:
    assert attio.limits.per_second == {"read": 100, "write": 25, "create_recording": 1, "list_notes": 10}


def test_members_are_listed_with_their_addresses(attio: AttioSandbox, client: httpx.Client) -> None:
    number = attio.people.add_member("Anna", "Arnold", "anna@acme.example")

    (member,) = client.get("/v2/workspace_members").json()["data"]

    assert member["email_address"] == "anna@acme.example"
    assert client.get(f"/v2/workspace_members/{number}").json()["data"] == member
    assert client.get(f"/v2/workspace_members/{UNKNOWN}").status_code == 404


# -- recordings ----------------------------------------------------------------------------------------


def test_a_recording_is_processed_and_then_announced(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.webhook_secret = "s3cret"
    path = f"/v2/meetings/{id_of(create(client))}/call_recordings"

    made = client.post(path, json={"data": {"transcript": [SEGMENT]}}).json()["data"]
    before = [event for event in events(attio) if event["event_type"] == "call-recording.created"]
    attio.world.clock.advance(timedelta(minutes=1))
    row = client.get(f"{path}/{made['id']['call_recording_id']}").json()["data"]

    assert (made["status"], before, row["status"]) == ("processing", [], "completed")
    announced = [event for event in events(attio) if event["event_type"] == "call-recording.created"]
    assert [event["id"] for event in announced] == [made["id"]]


def test_a_read_recording_shows_speakers_by_name_only(client: httpx.Client) -> None:
    path = f"/v2/meetings/{id_of(create(client))}/call_recordings"
    made = client.post(path, json={"data": {"transcript": [SEGMENT]}}).json()["data"]

    row = client.get(f"{path}/{made['id']['call_recording_id']}").json()["data"]

    assert row["video_url"] is None
    assert row["transcript"]["segments"] == [{**SEGMENT, "speaker": {"name": "Anna"}}]
    assert row["transcript"]["raw_transcript"] == "[00:00] Anna: Hello."


def test_older_servers_keep_the_transcript_to_its_own_paged_endpoint(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    attio.transcript_in_recording = False
    path = f"/v2/meetings/{id_of(create(client))}/call_recordings"
    made = client.post(path, json={"data": {"transcript": [SEGMENT] * 150}}).json()["data"]
    one = f"{path}/{made['id']['call_recording_id']}"

    first = client.get(f"{one}/transcript").json()
    second = client.get(
        f"{one}/transcript", params=first["pagination"] | {"cursor": first["pagination"]["next_cursor"]}
    ).json()

    assert "transcript" not in client.get(one).json()["data"]
    assert (len(first["data"]["transcript"]), len(second["data"]["transcript"])) == (100, 50)
    assert second["pagination"]["next_cursor"] is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"video_url": "http://files.example/a.mp4"},
        {"video_url": "https://files.example/a.mov"},
        {"transcript": [SEGMENT] * 4001},
        {"transcript": [{**SEGMENT, "start_time": -1}]},
        {"transcript": [{**SEGMENT, "speaker": {}}]},
    ],
    ids=lambda data: str(data)[:50],
)
def test_a_recording_that_does_not_fit_is_refused(client: httpx.Client, data: dict[str, Any]) -> None:
    answer = client.post(f"/v2/meetings/{id_of(create(client))}/call_recordings", json={"data": data})

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_type")


def test_recordings_page_by_cursor_and_are_deleted_with_204(client: httpx.Client) -> None:
    path = f"/v2/meetings/{id_of(create(client))}/call_recordings"
    for _ in range(3):
        client.post(path, json={"data": {"video_url": "https://files.example/a.mp4"}})

    first = client.get(path, params={"limit": 2}).json()
    rest = client.get(path, params={"limit": 2, "cursor": first["pagination"]["next_cursor"]}).json()
    gone = client.delete(f"{path}/{rest['data'][0]['id']['call_recording_id']}")

    assert (len(first["data"]), len(rest["data"]), rest["pagination"]["next_cursor"]) == (2, 1, None)
    assert (gone.status_code, gone.content) == (204, b"")
    assert len(client.get(path).json()["data"]) == 2


# -- people and notes ----------------------------------------------------------------------------------

QUERY = "/v2/objects/people/records/query"
UPSERT = "/v2/objects/people/records?matching_attribute=email_addresses"


def test_participants_become_people_that_can_be_queried_by_address(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    create(client)

    found = client.post(QUERY, json={"filter": {"email_addresses": "Guest@customer.example"}}).json()["data"]
    either = {"$or": [{"email_addresses": "guest@customer.example"}, {"email_addresses": "rep@acme.example"}]}

    assert [p["values"]["email_addresses"][0]["email_domain"] for p in found] == ["customer.example"]
    assert len(client.post(QUERY, json={"filter": either, "limit": 1, "offset": 1}).json()["data"]) == 1
    assert client.post(QUERY, json={"filter": {"shoe_size": 7}}).json()["code"] == "filter_error"


def test_participants_with_a_name_only_create_nobody(attio: AttioSandbox, client: httpx.Client) -> None:
    create(client, participants=[{"name": "Walk-in", "is_organizer": True, "status": "accepted"}])

    assert client.post(QUERY, json={}).json()["data"] == []


def test_an_upsert_adds_addresses_and_is_ambiguous_over_two_people(client: httpx.Client) -> None:
    def upsert(*emails: str) -> httpx.Response:
        return client.put(UPSERT, json={"data": {"values": {"email_addresses": list(emails)}}})

    first = upsert("a@x.example").json()["data"]["id"]
    same = upsert("a@x.example", "b@x.example").json()["data"]["id"]
    upsert("c@x.example")

    assert same == first
    assert upsert("b@x.example", "c@x.example").json()["code"] == "multiple_match_results"


def test_merged_people_leave_one_id_and_an_event(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.webhook_secret = "s3cret"
    number = id_of(create(client))

    kept = attio.people.merge_people("rep@acme.example", "guest@customer.example")

    links = client.get(f"/v2/meetings/{number}").json()["data"]["linked_records"]
    assert [link["record_id"] for link in links] == [kept]
    merged = [event for event in events(attio) if event["event_type"] == "record.merged"]
    assert [event["id"]["record_id"] for event in merged] == [kept]


def test_a_note_belongs_to_a_record_and_may_name_a_meeting(attio: AttioSandbox, client: httpx.Client) -> None:
    meeting = create(client)
    note = {
        "parent_object": "people",
        "parent_record_id": meeting["linked_records"][0]["record_id"],
        "title": "Call",
        "format": "plaintext",
        "content": "Went well.",
        "meeting_id": id_of(meeting),
    }

    made = client.post("/v2/notes", json={"data": note}).json()["data"]

    assert made["meeting_id"] == id_of(meeting)
    assert client.get("/v2/notes").json()["data"] == [made]
    assert client.post("/v2/notes", json={"data": {**note, "meeting_id": UNKNOWN}}).status_code == 404
    assert client.post("/v2/notes", json={"data": {**note, "parent_record_id": UNKNOWN}}).status_code == 404
    assert client.post("/v2/notes", json={"data": {**note, "format": "html"}}).status_code == 400
    assert client.get("/v2/notes", params={"limit": 51}).status_code == 400


# -- webhooks ------------------------------------------------------------------------------------------


def hook(
    event_type: str = "note.created", rule: Any = None, url: str = "https://e.example/hook"
) -> dict[str, Any]:
    return {"data": {"target_url": url, "subscriptions": [{"event_type": event_type, "filter": rule}]}}


def test_only_the_answer_to_a_creation_tells_the_secret(client: httpx.Client) -> None:
    made = client.post("/v2/webhooks", json=hook()).json()["data"]

    path = f"/v2/webhooks/{made['id']['webhook_id']}"
    assert made["secret"]
    assert "secret" not in client.get(path).json()["data"]
    assert [set(row) & {"secret"} for row in client.get("/v2/webhooks").json()["data"]] == [set()]
    assert (client.delete(path).json(), client.get(path).status_code) == ({}, 404)


def test_an_equal_subscription_is_a_conflict_also_after_a_change(client: httpx.Client) -> None:
    client.post("/v2/webhooks", json=hook())
    other = client.post("/v2/webhooks", json=hook(url="https://e.example/other")).json()["data"]
    path = f"/v2/webhooks/{other['id']['webhook_id']}"

    again = client.post("/v2/webhooks", json=hook())
    moved = client.patch(path, json={"data": {"target_url": "https://e.example/hook"}})
    twice = hook("task.created")
    twice["data"]["subscriptions"] *= 2

    for answer in (again, moved, client.post("/v2/webhooks", json=twice)):
        assert (answer.status_code, answer.json()["code"]) == (409, "uniqueness_conflict")


@pytest.mark.parametrize(
    "body",
    [
        hook(url="http://e.example/hook"),
        hook("meeting.created"),
        hook("call-recording.updated"),
        hook(rule={"field": "id"}),
        {"data": {"target_url": "https://e.example", "subscriptions": [{"event_type": "note.created"}]}},
    ],
    ids=str,
)
def test_a_subscription_that_does_not_fit_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    assert client.post("/v2/webhooks", json=body).status_code == 400


@pytest.mark.parametrize(
    ("query", "status"), [({"limit": 9}, 400), ({"limit": 101}, 400), ({"limit": 100}, 200)]
)
def test_webhooks_page_by_offset(client: httpx.Client, query: dict[str, int], status: int) -> None:
    for number in range(12):
        client.post("/v2/webhooks", json=hook(url=f"https://e.example/{number}"))

    assert client.get("/v2/webhooks", params=query).status_code == status
    assert len(client.get("/v2/webhooks", params={"offset": 10}).json()["data"]) == 2


def test_a_delivery_is_signed_over_its_raw_body_and_has_a_key_of_its_own(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    attio.webhook_secret = "s3cret"

    create(client)
    create(
        client,
        participants=[{"email_address": "third@x.example", "is_organizer": True, "status": "accepted"}],
    )

    first, second = attio.world.deliveries
    expected = hmac.new(b"s3cret", first.body, hashlib.sha256).hexdigest()
    assert first.headers["Attio-Signature"] == first.headers["X-Attio-Signature"] == expected
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    assert len(json.loads(first.body)["events"]) == 2
    assert {event["event_type"] for event in events(attio)} == {"record.created"}


def test_a_subscription_hears_what_it_asked_for_with_its_own_secret(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    people = attio.workspace.object_ids["people"]
    rule = {"$and": [{"field": "id.object_id", "operator": "equals", "value": people}]}
    made = client.post("/v2/webhooks", json=hook("record.created", rule)).json()["data"]
    create(client)

    attio.world.clock.advance(timedelta(minutes=1))
    client.get("/v2/self")

    client.get("/v2/meetings")
    (delivery,) = attio.world.deliveries
    signature = hmac.new(made["secret"].encode(), delivery.body, hashlib.sha256).hexdigest()
    assert delivery.headers["Attio-Signature"] == signature
    assert {event["id"]["object_id"] for event in events(attio)} == {people}


def test_no_event_tells_of_a_meeting(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.workspace.creates_people = False
    attio.webhook_secret = "s3cret"

    number = id_of(create(client))
    attio.people.move(number, START)
    client.delete(f"/v2/meetings/{number}")

    assert attio.world.deliveries == []
