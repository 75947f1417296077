"""The Lightfield sandbox answers as its documentation says the provider does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.lightfield import LightfieldSandbox
from sync_engine.sandbox.world import CalendarEvent, World

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MEETINGS = "/v1/meetings"


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=1, start=NOW) as world:
        world.lightfield.rate_limits = False
        yield world


@pytest.fixture
def sandbox(world: World) -> LightfieldSandbox:
    return world.lightfield


@pytest.fixture
def api(sandbox: LightfieldSandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, headers=credentials(sandbox), trust_env=False) as client:
        yield client


def credentials(sandbox: LightfieldSandbox) -> dict[str, str]:
    return {"Authorization": f"Bearer {sandbox.token}", "Lightfield-Version": "2026-03-01"}


def book(sandbox: LightfieldSandbox, number: int = 0, **facts: Any) -> str:
    start = NOW - timedelta(days=3) + number * HOUR
    return sandbox.people.book(f"Talk {number}", start, start + HOUR / 2, **facts)


def body(**fields: Any) -> dict[str, Any]:
    return {
        "fields": {
            "$title": "Screening",
            "$startDate": "2026-11-15T14:00:00+00:00",
            "$endDate": "2026-11-15T14:30:00+00:00",
            **fields,
        }
    }


def value(meeting: dict[str, Any], key: str) -> Any:
    return meeting["fields"][key]["value"]


def listed(api: httpx.Client, **params: Any) -> list[str]:
    return [row["id"] for row in api.get(MEETINGS, params=params).json()["data"]]


def refusal(answer: httpx.Response) -> tuple[int, str, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["type"], error.get("code"), error.get("param")


# Credentials, version, scopes, errors.


def test_a_request_without_the_key_is_unauthorized(api: httpx.Client) -> None:
    answer = api.get(MEETINGS, headers={"Authorization": "Bearer sk_lf_other"})

    assert refusal(answer)[:2] == (401, "unauthorized")


@pytest.mark.parametrize("version", ["", "2025-01-01"])
def test_a_request_without_the_known_version_is_refused(api: httpx.Client, version: str) -> None:
    answer = api.get(MEETINGS, headers={"Lightfield-Version": version})

    assert refusal(answer)[:3] == (400, "bad_request", "version_header")


def test_errors_can_be_bare(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    sandbox.wrapped_errors = False

    answer = api.get(f"{MEETINGS}/mtg_none")

    assert answer.json()["type"] == "not_found"


def test_a_key_without_scopes_may_do_everything_and_one_with_scopes_only_those(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    assert api.get("/v1/auth/validate").json()["scopes"] == []
    assert api.post(MEETINGS, json=body()).status_code == 200

    sandbox.scopes = {"meetings:read"}

    assert api.get("/v1/auth/validate").json()["scopes"] == ["meetings:read"]
    assert api.get(MEETINGS).status_code == 200
    assert refusal(api.post(MEETINGS, json=body()))[:2] == (403, "forbidden")
    assert api.get(MEETINGS, params={"status": "trashed"}).status_code == 403


def test_an_unknown_path_or_verb_is_not_found(api: httpx.Client) -> None:
    assert api.get("/v1/v1/meetings").status_code == 404
    assert api.patch(MEETINGS, json={}).status_code == 404


# Listing.


def test_the_list_is_ordered_by_creation_and_not_by_start(
    world: World, sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    late = sandbox.people.book("late", NOW + 5 * HOUR, NOW + 6 * HOUR)
    world.clock.advance(HOUR)
    early = book(sandbox)

    assert listed(api) == [early, late]


def test_a_page_holds_25_rows_at_most(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    ids = [book(sandbox, number) for number in range(30)]

    first = api.get(MEETINGS).json()

    assert (len(first["data"]), first["totalCount"], first["object"]) == (25, 30, "list")
    assert listed(api, offset=25) == list(reversed(ids))[25:]
    assert listed(api, offset=30) == []
    assert api.get(MEETINGS, params={"limit": 26}).status_code == 400
    assert api.get(MEETINGS, params={"limit": 0}).status_code == 400
    sandbox.clamps_limit = True
    assert len(listed(api, limit=100)) == 25


def test_pages_shift_while_records_come_and_go(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    ids = list(reversed([book(sandbox, number) for number in range(6)]))

    first = listed(api, limit=3)
    book(sandbox, 9)
    repeated = listed(api, limit=3, offset=3)
    sandbox.people.cancel(ids[0])
    sandbox.people.cancel(ids[1])
    skipped = listed(api, limit=3, offset=3)

    assert first == ids[:3]
    assert repeated == ids[2:5]
    assert skipped == ids[4:6]


def test_rows_are_summaries(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    external_id = book(sandbox, description="Agenda")
    sandbox.people.summarise(external_id, "## Went well")
    sandbox.people.record_transcript(external_id, "Hello")

    row = api.get(MEETINGS).json()["data"][0]
    whole = api.get(f"{MEETINGS}/{external_id}").json()

    assert value(row, "$description") == "Agenda"
    assert "$postMeetingSummary" not in row["fields"]
    assert "$transcript" not in row["relationships"]
    assert value(whole, "$postMeetingSummary") == "## Went well"
    assert whole["relationships"]["$transcript"]["values"]
    sandbox.summaries_lack_description = True
    assert "$description" not in api.get(MEETINGS).json()["data"][0]["fields"]


def test_a_lagging_index_shows_the_world_as_it_was(
    world: World, sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    sandbox.index_lag = timedelta(minutes=1)
    kept, lost = book(sandbox), book(sandbox, 1)
    world.clock.advance(timedelta(minutes=5))
    sandbox.people.rename(kept, "Renamed")
    sandbox.people.cancel(lost)
    new = book(sandbox, 2)

    rows = {row["id"]: row for row in api.get(MEETINGS).json()["data"]}

    assert set(rows) == {kept, lost}
    assert value(rows[kept], "$title") == "Talk 0"
    assert value(api.get(f"{MEETINGS}/{kept}").json(), "$title") == "Renamed"
    world.clock.advance(timedelta(minutes=2))
    assert set(listed(api)) == {kept, new}


# Redaction.


def test_a_redacted_meeting_has_nulls_and_holes(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    external_id = book(
        sandbox, description="Secret", url="https://zoom.us/j/91234567890", attendees=["a@b.c"]
    )
    sandbox.people.restrict(external_id)

    for meeting in (api.get(f"{MEETINGS}/{external_id}").json(), api.get(MEETINGS).json()["data"][0]):
        assert meeting["accessLevel"] == "METADATA"
        assert value(meeting, "$title") is None
        assert value(meeting, "$description") is None
        assert "$meetingUrl" not in meeting["fields"]
        assert "$transcript" not in meeting["relationships"]
        assert value(meeting, "$attendeeEmails") == ["a@b.c"]
        assert value(meeting, "$privacySetting") == "FULL"


def test_a_private_meeting_is_whole_for_who_takes_part(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    external_id = book(sandbox, attendees=["anna@acme.example"], privacy="METADATA")
    path = f"{MEETINGS}/{external_id}"

    assert api.get(path).json()["accessLevel"] == "METADATA"
    sandbox.caller = "Anna@acme.example"
    assert api.get(path).json()["accessLevel"] == "FULL"
    sandbox.redact_everything = True
    assert api.get(path).json()["accessLevel"] == "METADATA"


# Creating.


def test_a_created_meeting_is_answered_with_200_and_read_back(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    given = body(
        **{"$description": "Text", "$organizerEmail": "o@acme.example", "$attendeeEmails": ["a@b.c"]}
    )

    answer = api.post(MEETINGS, json={**given, "autoCreateRecords": False})

    meeting = answer.json()
    assert answer.status_code == 200
    assert meeting == api.get(f"{MEETINGS}/{meeting['id']}").json()
    assert value(meeting, "$startDate") == "2026-11-15T14:00:00.000Z"
    assert value(meeting, "$organizerEmail") == "o@acme.example"
    assert meeting["externalId"] is None
    [record] = sandbox.records()
    assert record["created_by_api"]
    assert record["participants"] == ["a@b.c"]
    assert record["start"] == datetime(2026, 11, 15, 14, tzinfo=UTC)


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("key", ["$startDate", "$endDate"])
def test_only_a_meeting_that_is_over_can_be_created(
    sandbox: LightfieldSandbox, api: httpx.Client, status: int, key: str
) -> None:
    sandbox.rule_status = status

    answer = api.post(MEETINGS, json=body(**{key: "2026-11-16T09:00:01Z"}))

    assert refusal(answer)[0] == status
    assert refusal(answer)[3] == f"fields.{key}"


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        (body(bogus=1), "unknown_field", "fields.bogus"),
        (body(**{"$meetingPrep": "x"}), "unknown_field", "fields.$meetingPrep"),
        ({**body(), "externalId": "x"}, "unknown_field", "externalId"),
        (
            {**body(), "relationships": {"$contact": "con_1"}},
            "unknown_relationship",
            "relationships.$contact",
        ),
        ({**body(), "relationships": {}}, "parameter_missing", "relationships.$transcript"),
        ({**body(), "relationships": {"$transcript": "fil_0"}}, "relationship_entity_missing", None),
        ({"fields": {"$title": "x"}}, "parameter_missing", "fields.$startDate"),
        ({}, "parameter_missing", "fields.$title"),
        (body(**{"$title": {"valueType": "TEXT", "value": "x"}}), "invalid_type", "fields.$title"),
        (body(**{"$startDate": "2026-11-15T14:00:00"}), "invalid_type", "fields.$startDate"),
        (body(**{"$attendeeEmails": "a@b.c"}), "invalid_type", "fields.$attendeeEmails"),
        (body(**{"$attendeeEmails": None}), "invalid_type", "fields.$attendeeEmails"),
        (body(**{"$organizerEmail": ["a@b.c"]}), "invalid_type", "fields.$organizerEmail"),
        (body(**{"$privacySetting": "HIDDEN"}), "invalid_type", "fields.$privacySetting"),
    ],
)
def test_a_body_of_another_form_is_refused(
    api: httpx.Client, given: dict[str, Any], code: str, param: str | None
) -> None:
    answer = api.post(MEETINGS, json=given)

    assert refusal(answer)[:3] == (400, "bad_request", code)
    assert param in (None, refusal(answer)[3])
    assert listed(api) == []


def test_a_body_that_is_not_json_is_refused(api: httpx.Client) -> None:
    assert api.post(MEETINGS, content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    json_type = {"Content-Type": "application/json"}
    assert api.post(MEETINGS, content="{half", headers=json_type).status_code == 400


# Updating.


def test_attendees_of_a_meeting_that_ended_are_replaced(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    external_id = book(sandbox, attendees=["a@b.c", "d@e.f"])

    answer = api.post(f"{MEETINGS}/{external_id}", json={"fields": {"$attendeeEmails": ["D@e.f", "n@e.w"]}})

    assert value(answer.json(), "$attendeeEmails") == ["D@e.f", "n@e.w"]
    assert value(answer.json(), "$manuallyAddedAttendeeEmails") == ["n@e.w"]
    assert value(answer.json(), "$manuallyRemovedAttendeeEmails") == ["a@b.c"]


@pytest.mark.parametrize("status", [400, 422])
def test_attendees_of_a_running_meeting_stay(
    sandbox: LightfieldSandbox, api: httpx.Client, status: int
) -> None:
    sandbox.rule_status = status
    running = sandbox.people.book("Now", NOW - HOUR, NOW + HOUR, attendees=["a@b.c"])
    ended = book(sandbox)
    crowd = [f"p{number}@b.c" for number in range(501)]

    early = api.post(f"{MEETINGS}/{running}", json={"fields": {"$attendeeEmails": []}})
    many = api.post(f"{MEETINGS}/{ended}", json={"fields": {"$attendeeEmails": crowd}})

    assert (early.status_code, many.status_code) == (status, status)
    assert value(api.get(f"{MEETINGS}/{running}").json(), "$attendeeEmails") == ["a@b.c"]
    assert api.post(f"{MEETINGS}/{ended}", json={"fields": {"$attendeeEmails": crowd[1:]}}).is_success


@pytest.mark.parametrize(
    "key", ["$title", "$startDate", "$endDate", "$description", "$meetingUrl", "$organizerEmail"]
)
def test_nothing_else_of_a_meeting_can_be_updated(
    sandbox: LightfieldSandbox, api: httpx.Client, key: str
) -> None:
    answer = api.post(f"{MEETINGS}/{book(sandbox)}", json={"fields": {key: "x"}})

    assert refusal(answer) == (400, "bad_request", "unknown_field", f"fields.{key}")


def test_texts_of_the_assistant_and_privacy_can_be_updated(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    path = f"{MEETINGS}/{book(sandbox)}"

    given = {"$meetingPrep": "Read the file", "$postMeetingSummary": "", "$privacySetting": None}
    meeting = api.post(path, json={"fields": given}).json()

    assert value(meeting, "$meetingPrep") == "Read the file"
    assert value(meeting, "$postMeetingSummary") is None
    assert value(meeting, "$privacySetting") is None


def test_the_older_api_updates_nothing_but_the_privacy_setting(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    sandbox.knows_attendee_updates = False
    path = f"{MEETINGS}/{book(sandbox)}"

    refused = api.post(path, json={"fields": {"$attendeeEmails": []}})

    assert refusal(refused)[:3] == (400, "bad_request", "unknown_field")
    assert api.post(path, json={"fields": {"$privacySetting": "METADATA"}}).is_success


def test_updated_at_moves_for_a_text_of_the_assistant_and_may_be_null(
    world: World, sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    path = f"{MEETINGS}/{(external_id := book(sandbox))}"
    before = api.get(path).json()["updatedAt"]
    world.clock.advance(HOUR)

    sandbox.people.summarise(external_id, "Went well")

    assert api.get(path).json()["updatedAt"] > before
    sandbox.updated_at_null = True
    assert api.get(path).json()["updatedAt"] is None


# Trash.


def test_a_deleted_meeting_lies_in_the_trash_until_it_is_restored(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    external_id, other = book(sandbox), book(sandbox, 1)
    path = f"{MEETINGS}/{external_id}"

    deleted = api.delete(path)

    assert deleted.json()["id"] == external_id
    assert listed(api) == [other]
    assert listed(api, status="trashed") == [external_id]
    assert api.get(path).status_code == 404
    assert api.post(path, json={}).status_code == 404
    assert refusal(api.delete(path))[:2] == (404, "not_found")
    assert api.post(f"{path}/restore", json={}).json()["id"] == external_id
    assert api.post(f"{path}/restore", json={}).status_code == 200
    assert set(listed(api)) == {external_id, other}


def test_a_read_can_show_what_lies_in_the_trash(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    sandbox.trashed_readable = True
    path = f"{MEETINGS}/{(external_id := book(sandbox))}"
    sandbox.people.cancel(external_id)

    assert api.get(path).status_code == 200
    assert api.delete(path).status_code == 404


def test_deleting_needs_more_than_the_scope(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    sandbox.may_delete = False
    external_id = book(sandbox)

    assert refusal(api.delete(f"{MEETINGS}/{external_id}"))[:2] == (403, "forbidden")
    assert listed(api) == [external_id]


def test_the_older_api_knows_no_trash_and_ignores_the_status(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    sandbox.knows_trash = False
    external_id = book(sandbox)

    assert api.delete(f"{MEETINGS}/{external_id}").status_code == 404
    assert api.post(f"{MEETINGS}/{external_id}/restore", json={}).status_code == 404
    assert api.get(f"{MEETINGS}/definitions").status_code == 404
    assert listed(api, status="trashed") == [external_id]


# Idempotency.


def keyed(api: httpx.Client, key: str, path: str = MEETINGS, **rest: Any) -> httpx.Response:
    return api.post(path, headers={"Idempotency-Key": key}, **rest)


def test_a_repeated_key_gives_the_first_answer_whatever_comes_with_it(api: httpx.Client) -> None:
    first = keyed(api, "k", json=body())

    again = keyed(api, "k", json=body(**{"$title": "Another"}))

    assert again.json() == first.json()
    assert listed(api) == [first.json()["id"]]


def test_a_key_is_forgotten_after_24_hours(world: World, api: httpx.Client) -> None:
    keyed(api, "k", json=body())
    world.clock.advance(timedelta(hours=23, minutes=59))
    keyed(api, "k", json=body())
    assert len(listed(api)) == 1

    world.clock.advance(timedelta(minutes=1))
    keyed(api, "k", json=body())

    assert len(listed(api)) == 2


def test_a_failure_is_not_remembered(api: httpx.Client) -> None:
    assert keyed(api, "k", json=body(bogus=1)).status_code == 400

    assert keyed(api, "k", json=body()).status_code == 200


def test_keys_of_creates_and_updates_do_not_meet_but_those_of_two_records_do(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    one, two = book(sandbox), book(sandbox, 1)
    keyed(api, "k", json=body())
    given = {"fields": {"$privacySetting": "METADATA"}}

    first = keyed(api, "k", f"{MEETINGS}/{one}", json=given)
    second = keyed(api, "k", f"{MEETINGS}/{two}", json=given)

    assert (first.json()["id"], second.json()["id"]) == (one, one)
    assert value(api.get(f"{MEETINGS}/{two}").json(), "$privacySetting") == "FULL"


def test_a_key_has_255_characters_at_most(api: httpx.Client) -> None:
    assert keyed(api, "k" * 255, json=body()).status_code == 200

    answer = keyed(api, "k" * 256, json=body())

    assert refusal(answer) == (400, "bad_request", "idempotency_key_too_long", "Idempotency-Key")


async def test_a_key_that_is_being_worked_on_is_in_conflict(sandbox: LightfieldSandbox) -> None:
    sandbox.write_seconds = 0.4
    headers = {**credentials(sandbox), "Idempotency-Key": "k"}

    async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as api:
        answers = await asyncio.gather(*(api.post(MEETINGS, json=body()) for _ in range(2)))
        later = await api.post(MEETINGS, json=body())

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    conflict = next(answer for answer in answers if answer.status_code == 409)
    assert conflict.json()["error"]["type"] == "idempotency_conflict"
    assert later.status_code == 200
    assert len(sandbox.records()) == 1


# Rate limits.


def test_a_spent_category_names_the_wait_and_leaves_the_others(
    world: World, sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    sandbox.rate_limits = True
    assert api.get(MEETINGS).headers["X-RateLimit-Limit"] == "25"
    sandbox.rate["search"] = 1.0

    answers = [api.get(MEETINGS) for _ in range(4)]

    limited = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].is_success
    assert limited[0].json()["error"]["type"] == "too_many_requests"
    assert limited[0].headers["Retry-After"] == "1"
    assert limited[0].headers["X-RateLimit-Remaining"] == "0"
    assert int(limited[0].headers["X-RateLimit-Reset"]) >= int(NOW.timestamp())
    assert api.get("/v1/auth/validate").is_success
    assert api.post(MEETINGS, json=body()).is_success
    world.clock.advance(timedelta(seconds=1))
    assert api.get(MEETINGS).is_success


# What happens without the API.


def test_a_blocklisted_attendee_makes_a_meeting_vanish_until_an_admin_relents(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    external_id = book(sandbox)
    path = f"{MEETINGS}/{external_id}"
    sandbox.people.block("spam@b.c")

    assert api.post(path, json={"fields": {"$attendeeEmails": ["Spam@b.c"]}}).is_success

    assert api.get(path).status_code == 404
    assert listed(api) == listed(api, status="trashed") == []
    assert api.get(MEETINGS).json()["totalCount"] == 0
    sandbox.counts_hidden = True
    assert api.get(MEETINGS).json()["totalCount"] == 1
    sandbox.people.unblock("spam@b.c")
    assert listed(api) == [external_id]


def event(**changes: Any) -> CalendarEvent:
    facts: dict[str, Any] = {
        "uid": "uid-1",
        "title": "Demo",
        "description": "",
        "start": NOW + HOUR,
        "end": NOW + 2 * HOUR,
        "zone": "Europe/Berlin",
        "organizer": "o@acme.example",
        "attendees": ("a@b.c",),
        "join_url": "https://zoom.us/j/91234567890",
    }
    return CalendarEvent(**{**facts, **changes})


@pytest.mark.parametrize("to_trash", [False, True])
def test_a_calendar_event_grows_a_copy_that_follows_it(
    world: World, sandbox: LightfieldSandbox, api: httpx.Client, to_trash: bool
) -> None:
    sandbox.calendar_sync_delay = timedelta(minutes=3)
    sandbox.cancelled_goes_to_trash = to_trash
    world.publish(event())
    assert listed(api) == []
    world.clock.advance(timedelta(minutes=3))

    [row] = api.get(MEETINGS).json()["data"]

    assert (value(row, "$title"), value(row, "$startDate")) == ("Demo", "2026-11-16T10:00:00.000Z")
    assert value(row, "$attendeeEmails") == ["o@acme.example", "a@b.c"]
    world.publish(event(start=NOW + 3 * HOUR, end=NOW + 4 * HOUR))
    world.clock.advance(timedelta(minutes=3))
    [row] = api.get(MEETINGS).json()["data"]
    assert value(row, "$startDate") == "2026-11-16T12:00:00.000Z"
    world.publish(event(cancelled=True))
    world.clock.advance(timedelta(minutes=3))
    assert listed(api) == []
    assert len(listed(api, status="trashed")) == int(to_trash)


@pytest.mark.parametrize("again", [False, True])
def test_a_trashed_copy_stays_away_or_comes_back(
    world: World, sandbox: LightfieldSandbox, api: httpx.Client, again: bool
) -> None:
    sandbox.calendar_sync_delay = timedelta(0)
    sandbox.calendar_recreates_trashed = again
    world.publish(event())
    [external_id] = listed(api)
    api.delete(f"{MEETINGS}/{external_id}")

    world.publish(event(title="Demo, moved"))

    assert len(listed(api)) == int(again)
    assert external_id not in listed(api)


def test_a_workflow_tells_of_creations_and_changes_but_not_of_deletions(
    world: World, sandbox: LightfieldSandbox
) -> None:
    sandbox.webhook_secret = "swordfish"
    external_id = book(sandbox)

    sandbox.people.rename(external_id, "Renamed")
    sandbox.people.cancel(external_id)

    assert len(world.deliveries) == 2
    assert {delivery.headers["X-Sync-Secret"] for delivery in world.deliveries} == {"swordfish"}
    assert all(external_id.encode() in delivery.body for delivery in world.deliveries)


def test_people_can_change_what_the_api_cannot(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    people = sandbox.people
    external_id = book(sandbox, attendees=["a@b.c"])

    people.rename(external_id, "New")
    people.move(external_id, NOW + HOUR)
    people.describe(external_id, "Text")
    people.link(external_id, "https://example.com")
    people.hand_over(external_id, "o@acme.example")
    people.invite(external_id, "d@e.f")
    people.uninvite(external_id, "A@b.c")
    people.set_privacy(external_id, "METADATA")
    people.note(external_id)

    [record] = sandbox.records()
    assert record == {
        "id": external_id,
        "title": "New",
        "description": "Text",
        "start": NOW + HOUR,
        "end": NOW + HOUR + HOUR / 2,
        "zone": None,
        "all_day": None,
        "location": None,
        "join_url": "https://example.com",
        "organizer": "o@acme.example",
        "participants": ["d@e.f"],
        "deleted": False,
        "created_by_api": False,
        "notes": None,
    }


# Contacts, accounts, members.


def test_contacts_and_accounts_of_a_meeting_follow_from_its_attendees(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    account = sandbox.people.add_account("Customer", "https://customer.example")
    contact = sandbox.people.add_contact("a@customer.example", account=account)
    sandbox.people.add_member("o@acme.example", "Olga")

    meeting = api.post(MEETINGS, json=body(**{"$attendeeEmails": ["A@customer.example"]})).json()

    assert meeting["relationships"]["$contact"]["values"] == [contact]
    assert meeting["relationships"]["$account"]["values"] == [account]
    found = api.get("/v1/contacts", params={"$email[contains]": "a@customer.example"}).json()["data"]
    assert [entry["id"] for entry in found] == [contact]
    assert api.get("/v1/accounts", params={"$name[equal]": "Customer"}).json()["totalCount"] == 1
    assert api.get("/v1/contacts", params={"bogus[equal]": "x"}).status_code == 400
    [member] = api.get("/v1/members").json()["data"]
    assert member["fields"]["$email"]["value"] == "o@acme.example"


def test_records_of_external_attendees_are_made_only_when_asked_for(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    sandbox.people.add_member("o@acme.example")
    given = body(**{"$attendeeEmails": ["o@acme.example", "a@customer.example"]})

    api.post(MEETINGS, json=given)
    assert api.get("/v1/contacts").json()["totalCount"] == 0
    api.post(MEETINGS, json={**given, "autoCreateRecords": True})

    assert api.get("/v1/contacts").json()["totalCount"] == 1
    assert api.get("/v1/accounts").json()["data"][0]["fields"]["$name"]["value"] == "customer.example"
