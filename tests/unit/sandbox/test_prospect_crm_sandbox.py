from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from sync_engine.sandbox.prospect_crm import ProspectCrmSandbox
from sync_engine.sandbox.world import World

START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
SPEC = Path(__file__).parents[4] / "shared" / "specs" / "prospect_crm.json"


class Api:
    """The CRM over real HTTP, as any client sees it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.crm: ProspectCrmSandbox = world.prospect_crm
        self.http = httpx.Client(
            base_url=self.crm.url, headers={"Authorization": f"Bearer {self.crm.token}"}, trust_env=False
        )
        self.owner = self.crm.add_user("Rita", "rita@acme.example")
        self.jane = self.crm.add_prospect("Jane", "Doe", "jane@prospect.example", "+1 555 123 4567")

    def book(self, hours: float, **more: Any) -> str:
        return self.crm.people.book(self.jane, START + timedelta(hours=hours), **more)

    def body(self, **more: Any) -> dict[str, Any]:
        return {
            "prospectId": self.jane,
            "meetingDate": ms(START),
            "timeZone": "America/New_York",
            "meetingType": "virtual",
            "ownerId": self.owner,
            **more,
        }

    def ids(self, **params: Any) -> list[str]:
        answer = self.http.get("/meetings", params=params)
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["items"]]

    def get(self, meeting_id: str) -> dict[str, Any]:
        item: dict[str, Any] = self.http.get(f"/meetings/{meeting_id}").json()["item"]
        return item


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.fixture
def api() -> Iterator[Api]:
    with World(seed=1, start=START) as world:
        api = Api(world)
        yield api
        api.http.close()


# -- credentials ---------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_with_an_error_body(api: Api) -> None:
    answer = api.http.get("/meetings", headers={"Authorization": "Bearer nope"})

    assert answer.status_code == 401
    assert set(answer.json()) >= {"error", "message"}


def test_a_missing_permission_is_refused(api: Api) -> None:
    api.crm.scopes.discard("meetings:write")

    assert api.http.post("/meetings", json=api.body()).status_code == 403
    assert api.http.get("/meetings").status_code == 200


def test_the_key_check_names_the_account(api: Api) -> None:
    item = api.http.get("/auth").json()["item"]

    assert item["accountId"] == api.crm.account.id
    assert "meetings:read" in item["permissions"]


@pytest.mark.parametrize("path", ["/users", "/meetings/x/y", "/"])
def test_a_path_nobody_documents_does_not_exist(api: Api, path: str) -> None:
    assert api.http.get(path).status_code == 404


# -- listing -------------------------------------------------------------------------------------------


def test_the_latest_meeting_comes_first(api: Api) -> None:
    booked = [api.book(hours) for hours in (5, 100, 1, 50)]

    assert api.ids() == [booked[1], booked[3], booked[0], booked[2]]


def test_pages_follow_each_other_without_loss(api: Api) -> None:
    booked = {api.book(hours) for hours in range(7)}
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        page = api.http.get(
            "/meetings", params={"limit": 3, **({"pageToken": token} if token else {})}
        ).json()
        seen += [row["id"] for row in page["items"]]
        token = page["pagination"]["nextPageToken"]

    assert len(seen) == 7
    assert set(seen) == booked


def test_fifty_meetings_are_given_when_no_limit_is_sent(api: Api) -> None:
    for hours in range(51):
        api.book(hours)

    assert len(api.ids()) == 50
    assert len(api.ids(limit=200)) == 51


def test_more_than_two_hundred_are_refused_or_cut(api: Api) -> None:
    assert api.http.get("/meetings", params={"limit": 201}).status_code == 400

    api.crm.clamps_limits = True
    assert api.http.get("/meetings", params={"limit": 201}).status_code == 200


def test_an_anchor_that_moves_takes_the_page_with_it(api: Api) -> None:
    booked = [api.book(hours) for hours in range(6)]
    first = api.http.get("/meetings", params={"limit": 2}).json()
    anchor = first["items"][-1]["id"]
    assert anchor == booked[4]

    api.crm.people.move(anchor, START + timedelta(hours=0, minutes=30))
    second = api.ids(limit=200, pageToken=first["pagination"]["nextPageToken"])

    assert second == [booked[0]]  # booked 1, 2 and 3 were skipped


def test_a_deleted_anchor_spoils_the_token(api: Api) -> None:
    for hours in range(4):
        api.book(hours)
    first = api.http.get("/meetings", params={"limit": 2}).json()

    api.crm.people.cancel(first["items"][-1]["id"])
    answer = api.http.get("/meetings", params={"limit": 2, "pageToken": first["pagination"]["nextPageToken"]})

    assert answer.status_code == 400


@pytest.mark.parametrize("inclusive", [True, False])
def test_bounds_are_inclusive_or_not_by_switch(api: Api, inclusive: bool) -> None:
    booked = [api.book(hours) for hours in (0, 1, 2)]
    api.crm.bounds_inclusive = inclusive

    seen = api.ids(meetingDateAfter=ms(START), meetingDateBefore=(START + timedelta(hours=2)).isoformat())

    assert seen == (booked[::-1] if inclusive else [booked[1]])


def test_a_list_filters_by_prospect_owner_and_type(api: Api) -> None:
    other = api.crm.add_prospect("Al", "Roe", "al@prospect.example")
    mine, his = api.book(1), api.crm.people.book(other, START, kind="phone")

    assert api.ids(prospectId=other) == [his]
    assert api.ids(meetingType="virtual") == [mine]
    assert set(api.ids(ownerId=api.owner)) == {mine, his}
    assert api.ids(ownerId="nobody") == []


def test_the_last_page_has_a_null_token_or_none_at_all(api: Api) -> None:
    assert api.http.get("/meetings").json()["pagination"] == {"nextPageToken": None}

    api.crm.last_page_token = "absent"
    assert api.http.get("/meetings").json()["pagination"] == {}


# -- writing -------------------------------------------------------------------------------------------


def test_a_date_is_taken_as_milliseconds_or_iso_and_given_as_milliseconds(api: Api) -> None:
    as_number = api.http.post("/meetings", json=api.body(meetingDate=ms(START))).json()["item"]
    as_text = api.http.post("/meetings", json=api.body(meetingDate="2026-11-16T10:00:00+01:00")).json()[
        "item"
    ]

    assert as_number["meetingDate"] == as_text["meetingDate"] == ms(START)


@pytest.mark.parametrize(
    "wrong",
    [
        {"meetingDate": "soon"},
        {"timeZone": "W. Europe Standard Time"},
        {"meetingType": ""},
        {"ownerId": "nobody"},
        {"prospectId": "nobody"},
        {"location": 5},
        {"title": "unknown"},
        {"ownerId": None},
    ],
)
def test_what_does_not_fit_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    assert api.http.post("/meetings", json=api.body(**wrong)).status_code == 400
    assert api.crm.records() == []


def test_unknown_keys_are_ignored_by_switch(api: Api) -> None:
    api.crm.unknown_keys = "ignore"

    item = api.http.post("/meetings", json=api.body(title="x")).json()["item"]

    assert "title" not in item


def test_the_acting_user_turns_off_the_attribution_to_the_key(api: Api) -> None:
    by_key = api.http.post("/meetings", json=api.body()).json()["item"]
    by_user = api.http.post("/meetings", json=api.body(userId=api.owner)).json()["item"]

    assert (by_key["createdByApi"], by_key["createdByApiKeyId"], by_key["createdBy"]) == (
        True,
        api.crm.key_id,
        None,
    )
    assert (by_user["createdByApi"], by_user["createdByApiKeyId"], by_user["createdBy"]) == (
        False,
        None,
        api.owner,
    )


def test_an_update_changes_what_is_named_and_null_clears(api: Api) -> None:
    meeting = api.book(1, location="Room 1", notes="keep")
    api.world.clock.advance(timedelta(minutes=1))

    api.http.patch(f"/meetings/{meeting}", json={"location": None})

    after = api.get(meeting)
    assert (after["location"], after["notes"], after["meetingType"]) == (None, "keep", "virtual")
    assert after["updatedAt"] > after["createdAt"]


def test_a_meeting_cannot_change_its_prospect(api: Api) -> None:
    other = api.crm.add_prospect("Al", "Roe", "al@prospect.example")
    meeting = api.book(1)

    assert api.http.patch(f"/meetings/{meeting}", json={"prospectId": other}).status_code == 400

    api.crm.unknown_keys = "ignore"
    api.http.patch(f"/meetings/{meeting}", json={"prospectId": other})
    assert api.get(meeting)["prospectId"] == api.jane


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_exactly_one_verb_updates(api: Api, method: Any, status: Any) -> None:
    meeting = api.book(1)
    api.crm.update_method, api.crm.wrong_verb_status = method, status
    whole = {k: v for k, v in api.body().items() if k != "prospectId"}

    statuses = {
        verb: api.http.request(verb, f"/meetings/{meeting}", json=whole).status_code
        for verb in ("POST", "PATCH", "PUT")
    }

    assert statuses == {verb: 200 if verb == method else status for verb in statuses}


def test_a_put_replaces_the_whole_record(api: Api) -> None:
    meeting = api.book(1, notes="gone with the put")
    api.crm.update_method = "PUT"
    whole = {k: v for k, v in api.body().items() if k != "prospectId"}

    assert api.http.put(f"/meetings/{meeting}", json={"location": "x"}).status_code == 400
    assert api.http.put(f"/meetings/{meeting}", json=whole).status_code == 200
    assert api.get(meeting)["notes"] is None


def test_a_deleted_meeting_leaves_no_trace(api: Api) -> None:
    meeting = api.book(1)

    assert api.http.delete(f"/meetings/{meeting}").json()["success"] is True
    assert api.http.get(f"/meetings/{meeting}").status_code == 404
    assert api.http.delete(f"/meetings/{meeting}").status_code == 404
    assert api.ids() == []
    assert [record["deleted"] for record in api.crm.records()] == [True]


def test_a_soft_deletion_says_gone_by_switch(api: Api) -> None:
    meeting = api.book(1)
    api.crm.soft_delete, api.crm.delete_status = True, 204

    assert api.http.delete(f"/meetings/{meeting}").content == b""
    assert api.http.get(f"/meetings/{meeting}").status_code == 410


# -- idempotency ---------------------------------------------------------------------------------------


def keyed(key: str) -> dict[str, str]:
    return {"X-Idempotency-Key": key}


def test_the_same_key_and_payload_replay_the_first_answer(api: Api) -> None:
    first = api.http.post("/meetings", json=api.body(), headers=keyed("k"))
    again = api.http.post("/meetings", json=api.body(), headers=keyed("k"))

    assert again.status_code == first.status_code == 201
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(api.ids()) == 1


def test_the_same_key_with_another_payload_is_a_conflict(api: Api) -> None:
    api.http.post("/meetings", json=api.body(), headers=keyed("k"))

    answer = api.http.post("/meetings", json=api.body(location="x"), headers=keyed("k"))

    assert answer.status_code == 409
    assert len(api.ids()) == 1


def test_the_same_key_is_a_conflict_while_the_first_request_runs(api: Api) -> None:
    api.crm.processing_seconds = 0.6
    statuses: list[int] = []
    first = threading.Thread(
        target=lambda: statuses.append(
            httpx.post(
                f"{api.crm.url}/meetings",
                json=api.body(),
                headers={"Authorization": f"Bearer {api.crm.token}", **keyed("k")},
                trust_env=False,
            ).status_code
        )
    )
    first.start()
    while api.crm.count("POST") == 0:
        threading.Event().wait(0.01)

    second = api.http.post("/meetings", json=api.body(), headers=keyed("k"))
    first.join()
    third = api.http.post("/meetings", json=api.body(), headers=keyed("k"))

    assert statuses == [201]
    assert second.status_code == 409
    assert third.status_code == 201
    assert len(api.ids()) == 1


def test_a_refused_request_frees_its_key_unless_refusals_are_kept(api: Api) -> None:
    api.http.post("/meetings", json=api.body(ownerId="nobody"), headers=keyed("k"))
    assert api.http.post("/meetings", json=api.body(), headers=keyed("k")).status_code == 201

    api.crm.keys.replays_errors = True
    api.http.post("/meetings", json=api.body(ownerId="nobody"), headers=keyed("l"))
    assert api.http.post("/meetings", json=api.body(), headers=keyed("l")).status_code == 409


def test_a_key_lives_as_long_as_the_switch_says(api: Api) -> None:
    api.crm.keys.lifetime = timedelta(hours=1)
    api.http.post("/meetings", json=api.body(), headers=keyed("k"))

    api.world.clock.advance(timedelta(hours=2))
    api.http.post("/meetings", json=api.body(), headers=keyed("k"))

    assert len(api.ids()) == 2


def test_a_key_may_have_512_characters_and_no_more(api: Api) -> None:
    assert api.http.post("/meetings", json=api.body(), headers=keyed("k" * 512)).status_code == 201
    assert api.http.post("/meetings", json=api.body(), headers=keyed("k" * 513)).status_code == 400


def test_the_older_generation_knows_no_keys(api: Api) -> None:
    api.crm.generation = "G2"
    for _ in range(2):
        api.http.post("/meetings", json=api.body(), headers=keyed("k"))

    assert len(api.ids()) == 2


# -- the older generation ------------------------------------------------------------------------------


def test_the_older_generation_answers_flat(api: Api) -> None:
    api.crm.generation = "G2"
    meeting = api.book(1)
    api.book(2)

    one = api.http.get(f"/meetings/{meeting}").json()
    page = api.http.get("/meetings", params={"limit": 1}).json()

    assert (one["id"], one["success"]) == (meeting, True)
    assert page["nextPageToken"]
    assert "pagination" not in page


# -- prospects -----------------------------------------------------------------------------------------


def test_a_search_gives_25_in_the_newest_generation_and_one_before(api: Api) -> None:
    for number in range(30):
        api.crm.add_prospect("Jane", f"N{number}", f"n{number}@prospect.example")

    newest = api.http.get("/prospects", params={"name": "jane"}).json()
    api.crm.generation = "G2"
    older = api.http.get("/prospects", params={"name": "jane"}).json()

    assert (len(newest["items"]), newest["pagination"]["totalCount"]) == (25, 31)
    assert (len(older["prospects"]), older["totalCount"]) == (1, 31)


def test_a_search_without_a_match_is_an_empty_success(api: Api) -> None:
    answer = api.http.get("/prospects", params={"email": "nobody@prospect.example"})

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "items": [], "pagination": {"totalCount": 0}}


@pytest.mark.parametrize(
    ("rule", "asked", "found"),
    [
        ("casefold", "JANE@prospect.example", 1),
        ("exact", "JANE@prospect.example", 0),
        ("contains", "jane@prospect", 1),
        ("casefold", "jane@prospect", 0),
    ],
)
def test_addresses_are_compared_by_switch(api: Api, rule: Any, asked: str, found: int) -> None:
    api.crm.email_match = rule

    assert len(api.http.get("/prospects", params={"email": asked}).json()["items"]) == found


def test_a_prospect_who_is_there_is_updated_unless_told_not_to(api: Api) -> None:
    body = {"firstName": "Janet", "lastName": "Doe", "email": "JANE@prospect.example"}

    kept = api.http.post("/prospects", json={**body, "update": False}).json()["item"]
    changed = api.http.post("/prospects", json=body).json()["item"]

    assert kept["id"] == changed["id"] == api.jane
    assert (kept["firstName"], changed["firstName"]) == ("Jane", "Janet")


def test_a_shared_phone_number_matches_the_wrong_person(api: Api) -> None:
    body = {"firstName": "Jim", "lastName": "Doe", "email": "jim@prospect.example", "phone": "(555) 123-4567"}

    item = api.http.post("/prospects", json=body).json()["item"]

    assert item["id"] == api.jane
    assert item["email"] == "jim@prospect.example"


def test_an_invalid_phone_is_a_success_with_a_warning(api: Api) -> None:
    answer = api.http.post("/prospects", json={"firstName": "A", "lastName": "B", "phone": "12"})

    assert answer.status_code == 201
    assert answer.json()["item"]["phone"] is None
    assert answer.json()["message"]


def test_labels_match_any_of_those_asked(api: Api) -> None:
    for label in ("hot", "cold"):
        api.http.post("/prospects", json={"firstName": label, "lastName": "X", "labels": [label]})

    assert api.http.get("/prospects", params={"label": "hot,new"}).json()["pagination"]["totalCount"] == 1
    both = api.http.get("/prospects", params=[("label", "hot"), ("label", "cold")]).json()
    assert both["pagination"]["totalCount"] == 2


def test_the_poll_feed_is_flat_and_says_when_in_iso(api: Api) -> None:
    feed = api.http.get("/webhooks/poll").json()

    assert feed[0]["first_name"] == "Jane"
    assert datetime.fromisoformat(feed[0]["created_at"]) == START


# -- notes and tasks -----------------------------------------------------------------------------------


def test_notes_are_listed_newest_first_with_pages(api: Api) -> None:
    for number in range(3):
        created = api.http.post("/notes", json={"prospectId": api.jane, "body": f"<p>{number}</p>"})
        assert created.status_code == 201

    page = api.http.get("/notes", params={"limit": 2}).json()
    rest = api.http.get("/notes", params={"pageToken": page["pagination"]["nextPageToken"]}).json()

    assert [note["body"] for note in page["items"] + rest["items"]] == ["<p>2</p>", "<p>1</p>", "<p>0</p>"]
    note = api.http.get(f"/notes/{page['items'][0]['id']}").json()["item"]
    assert note["createdByApi"] is True


def test_tasks_are_listed_by_due_date_within_inclusive_bounds(api: Api) -> None:
    for hours in (2, 1, 3):
        body = {"prospectId": api.jane, "assignedTo": api.owner, "task": f"call {hours}"}
        api.http.post("/tasks", json={**body, "dueAt": ms(START + timedelta(hours=hours))})

    upto = ms(START + timedelta(hours=2))
    seen = api.http.get("/tasks", params={"dueBefore": upto, "assignedTo": api.owner}).json()["items"]

    assert [task["task"] for task in seen] == ["call 1", "call 2"]


# -- rate limits ---------------------------------------------------------------------------------------


@pytest.fixture
def running() -> Iterator[Api]:
    with World(seed=1) as world:
        api = Api(world)
        yield api
        api.http.close()


def test_a_spent_minute_is_refused_until_the_next_one(running: Api) -> None:
    running.crm.limits.per_minute = 2
    seen = [running.http.get("/meetings") for _ in range(3)]

    assert [answer.status_code for answer in seen] == [200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in seen] == ["1", "0", "0"]
    refused = seen[2]
    assert refused.json()["error"] == "Too many requests"
    assert refused.json()["message"].startswith("Minute limit exceeded")
    assert 1 <= int(refused.headers["Retry-After"]) == refused.json()["retryAfter"] <= 60

    running.world.clock.advance(timedelta(seconds=61))
    assert running.http.get("/meetings").status_code == 200


def test_a_spent_hour_is_described_by_the_same_headers(running: Api) -> None:
    running.crm.limits.per_hour = 2
    for _ in range(2):
        running.http.get("/meetings")
    running.world.clock.advance(timedelta(minutes=2))

    refused = running.http.get("/meetings")

    assert refused.status_code == 429
    assert refused.headers["RateLimit-Limit"] == "2"
    assert int(refused.headers["Retry-After"]) > 60
    assert refused.json()["message"].startswith("Hour limit exceeded")


@pytest.mark.parametrize(("unit", "low", "high"), [("s", 1e9, 1e11), ("ms", 1e12, 1e14), ("delta", 0, 61)])
def test_the_reset_is_told_in_the_unit_of_the_switch(
    running: Api, unit: str, low: float, high: float
) -> None:
    running.crm.limits.reset_unit = unit

    assert low <= int(running.http.get("/meetings").headers["RateLimit-Reset"]) <= high


def test_limits_can_be_switched_off(running: Api) -> None:
    running.crm.limits.per_minute = 1
    running.crm.rate_limits = False

    assert [running.http.get("/meetings").status_code for _ in range(3)] == [200] * 3


# -- webhooks ------------------------------------------------------------------------------------------


def test_a_new_prospect_is_announced_signed_with_both_secrets_of_a_rotation(api: Api) -> None:
    api.crm.webhook_secret, api.crm.previous_webhook_secret = "new", "old"

    prospect = api.crm.add_prospect("Al", "Roe", "al@prospect.example")

    (delivery,) = api.world.deliveries
    stamp, *macs = delivery.headers["X-HiringCenter-Signature"].split(",")
    signed = f"{int(START.timestamp())}.".encode() + delivery.body
    assert stamp == f"t={int(START.timestamp())}"
    assert macs == [
        f"v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}" for secret in (b"new", b"old")
    ]
    assert json.loads(delivery.body)["data"]["id"] == prospect


def test_nothing_is_announced_of_meetings_or_without_a_secret(api: Api) -> None:
    api.crm.add_prospect("Al", "Roe", None)
    api.crm.webhook_secret = "new"
    api.http.post("/meetings", json=api.body())
    api.book(1)

    assert api.world.deliveries == []


def test_the_header_has_the_older_brand_by_switch(api: Api) -> None:
    api.crm.webhook_secret, api.crm.webhook_header = "s", "X-HiringCenter-Pro-Signature"

    api.http.post("/prospects", json={"firstName": "A", "lastName": "B"})

    assert "X-HiringCenter-Pro-Signature" in api.world.deliveries[0].headers


# -- people --------------------------------------------------------------------------------------------


def test_people_can_change_everything_about_a_meeting(api: Api) -> None:
    other = api.crm.add_user("Sam", "sam@acme.example")
    people, meeting = api.crm.people, api.book(1, notes="first")

    people.move(meeting, START + timedelta(days=3), "Europe/Berlin")
    people.set_kind(meeting, "coffee")
    people.set_location(meeting, "Corner")
    people.append_notes(meeting, "second")
    people.change_owner(meeting, other)
    people.review(meeting, {"stars": 5})

    (record,) = api.crm.records()
    assert (record["start"], record["zone"]) == (START + timedelta(days=3), "Europe/Berlin")
    assert (record["kind"], record["location"], record["notes"]) == ("coffee", "Corner", "second\nfirst")
    assert (record["organizer"], record["participants"]) == ("sam@acme.example", ["jane@prospect.example"])
    assert record["created_by_api"] is False
    people.cancel(meeting)
    assert api.crm.records()[0]["deleted"] is True


# -- the written-down specification --------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    if not SPEC.exists():
        pytest.skip(f"the provider's specification is not beside the project: {SPEC.name}")
    found: dict[str, Any] = json.loads(SPEC.read_text())
    return found


def assert_fits(spec: dict[str, Any], schema: str, body: Any) -> None:
    validator = Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]}
    )
    assert [error.message for error in validator.iter_errors(body)] == []


def test_answers_fit_the_specification(api: Api, spec: dict[str, Any]) -> None:
    created = api.http.post("/meetings", json=api.body(location=None, notes="n"))
    meeting = created.json()["item"]["id"]
    path = f"/meetings/{meeting}"

    assert_fits(spec, "MeetingItemEnvelope", created.json())
    assert_fits(spec, "MeetingItemEnvelope", api.http.get(path).json())
    assert_fits(spec, "MeetingItemEnvelope", api.http.patch(path, json={"notes": None}).json())
    assert_fits(spec, "MeetingList", api.http.get("/meetings").json())
    assert_fits(spec, "DeleteResult", api.http.delete(path).json())
    assert_fits(spec, "Error", api.http.get(path).json())
    assert_fits(spec, "ProspectList", api.http.get("/prospects").json())
    assert_fits(spec, "ProspectItemEnvelope", api.http.get(f"/prospects/{api.jane}").json())
    assert_fits(spec, "AuthInfo", api.http.get("/auth").json()["item"])
    for row in api.http.get("/webhooks/poll").json():
        assert_fits(spec, "PolledProspect", row)


def test_what_the_specification_wants_sent_is_accepted(api: Api, spec: dict[str, Any]) -> None:
    assert_fits(spec, "MeetingCreate", api.body())
    assert_fits(spec, "ProspectUpsert", {"firstName": "A", "lastName": "B", "update": False})

    assert api.http.post("/meetings", json=api.body()).status_code == 201
    assert (
        api.http.post("/prospects", json={"firstName": "A", "lastName": "B", "update": False}).status_code
        == 201
    )
