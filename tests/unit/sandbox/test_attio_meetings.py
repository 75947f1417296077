from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.attio import AttioSandbox
from sync_engine.sandbox.world import CalendarEvent
from tests.unit.sandbox.attio_bench import START, UNKNOWN, create, id_of, meeting_body, opened


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


def titles(client: httpx.Client, **query: Any) -> list[str]:
    """Walk all pages of a list and give the titles."""
    found: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        answer = client.get("/v2/meetings", params={**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found += [row["title"] for row in answer.json()["data"]]
        cursor = answer.json()["pagination"]["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    return body


# -- creating ------------------------------------------------------------------------------------------


def test_a_created_meeting_shows_its_times_with_the_offset_of_its_zone(client: httpx.Client) -> None:
    meeting = create(client)

    assert meeting["start"] == {"datetime": "2026-12-01T16:00:00.000+01:00", "timezone": "Europe/Berlin"}
    assert meeting["created_at"] == "2026-11-16T09:00:00.000000000Z"
    assert meeting["created_by_actor"]["type"] == "api-token"


def test_a_time_without_zone_is_shown_in_utc(client: httpx.Client) -> None:
    start, end = (
        {"datetime": "2026-12-01T15:00:00+02:00"},
        {"datetime": "2026-12-01T14:00:00.5Z", "timezone": None},
    )

    meeting = create(client, start=start, end=end)

    assert meeting["start"] == {"datetime": "2026-12-01T13:00:00.000Z", "timezone": None}
    assert meeting["end"] == {"datetime": "2026-12-01T14:00:00.500Z", "timezone": None}


def test_a_time_without_offset_is_wall_time_of_its_zone(client: httpx.Client) -> None:
    start = {"datetime": "2026-12-01T10:00:00", "timezone": "America/New_York"}

    meeting = create(client, start=start, end={"datetime": "2026-12-01T16:00:00Z"})

    assert meeting["start"]["datetime"] == "2026-12-01T10:00:00.000-05:00"


def test_an_unknown_zone_silently_becomes_utc(client: httpx.Client) -> None:
    start = {"datetime": "2026-12-01T10:00:00", "timezone": "W. Europe Standard Time"}

    meeting = create(client, start=start, end={"datetime": "2026-12-01T16:00:00Z"})

    assert meeting["start"] == {"datetime": "2026-12-01T10:00:00.000+00:00", "timezone": "UTC"}


def test_participants_are_normalised_and_lose_their_names_to_their_addresses(client: httpx.Client) -> None:
    people = [
        {"email_address": " Rep@Acme.Example ", "name": "Rep", "is_organizer": "true", "status": "accepted"},
        {"email_address": "rep@acme.example", "is_organizer": False, "status": "declined"},
        {"name": "Walk-in", "is_organizer": "false", "status": "tentative"},
    ]

    meeting = create(client, participants=people)

    assert meeting["participants"] == [
        {"status": "accepted", "is_organizer": True, "email_address": "rep@acme.example", "name": None},
        {"status": "tentative", "is_organizer": False, "email_address": None, "name": "Walk-in"},
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"title": None},
        {"title": "x" * 1001},
        {"description": None},
        {"description": "x" * 10_001},
        {"is_all_day": None},
        {"is_all_day": True},
        {"participants": []},
        {"participants": [{"is_organizer": True, "status": "accepted"}]},
        {"participants": [{"email_address": "a@x.example", "status": "accepted"}]},
        {"participants": [{"email_address": "a@x.example", "is_organizer": 1, "status": "accepted"}]},
        {"participants": [{"email_address": "a@x.example", "is_organizer": True, "status": "maybe"}]},
        {"participants": [{"email_address": "nobody", "is_organizer": True, "status": "accepted"}]},
        {"participants": [{"name": "", "is_organizer": True, "status": "accepted"}]},
        {"participants": [{"name": "A", "is_organizer": True, "status": "accepted"}] * 501},
        {"start": {"datetime": "2026-12-01T15:00:00Z", "place": "Berlin"}},
        {"start": {"datetime": "tomorrow"}},
        {"start": {"date": "2026-12-01"}},
        {"end": {"datetime": "2026-12-01T14:00:00Z"}},
        {"linked_records": [{"object": "people"}]},
        {"linked_records": [{"object": "people", "record_id": UNKNOWN}] * 51},
    ],
    ids=lambda changes: f"{next(iter(changes))}={str(next(iter(changes.values())))[:60]}",
)  # fmt: skip
def test_a_body_that_does_not_fit_is_refused_and_creates_nothing(
    attio: AttioSandbox, client: httpx.Client, changes: dict[str, Any]
) -> None:
    data = meeting_body()["data"]
    data.update(changes)
    answer = client.post("/v2/meetings", json={"data": {k: v for k, v in data.items() if v is not None}})

    body = refused(answer, 400, "validation_type")
    assert body["statusCode"] == 400
    assert "status_code" not in body
    assert attio.records() == []


def test_unknown_keys_outside_the_closed_shapes_are_ignored(client: httpx.Client) -> None:
    assert create(client, location="Room 5")["title"] == "Demo"


def test_a_link_to_a_record_that_does_not_exist_is_refused(client: httpx.Client) -> None:
    body = meeting_body(linked_records=[{"object": "deals", "record_id": UNKNOWN}])

    refused(client.post("/v2/meetings", json=body), 400, "value_not_found")


def test_an_all_day_meeting_keeps_its_dates(client: httpx.Client) -> None:
    meeting = create(client, is_all_day=True, start={"date": "2027-06-03"}, end={"date": "2027-06-04"})

    assert (meeting["is_all_day"], meeting["start"], meeting["end"]) == (
        True,
        {"date": "2027-06-03"},
        {"date": "2027-06-04"},
    )


# -- the two generations -------------------------------------------------------------------------------


def test_today_every_post_creates_and_external_ref_is_ignored(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    first, second = create(client, external_ref="one"), create(client, external_ref="one")

    assert id_of(first) != id_of(second)


def test_today_external_ref_can_be_refused_by_name(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.rejects_external_ref = True

    body = refused(client.post("/v2/meetings", json=meeting_body(external_ref="one")), 400, "validation_type")

    assert "external_ref" in body["message"]
    assert create(client)["title"] == "Demo"


def test_the_older_generation_demands_external_ref(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.generation = "A"

    body = refused(client.post("/v2/meetings", json=meeting_body()), 400, "validation_type")

    assert "external_ref" in body["message"]


def test_the_older_generation_finds_what_it_has_and_changes_nothing(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    attio.generation = "A"
    first = create(client, external_ref="one")

    again = create(client, external_ref="one", title="Moved", start={"datetime": "2026-12-01T15:10:00Z"})

    assert again == first
    assert len(attio.records()) == 1


def test_the_older_generation_can_be_made_to_write_what_it_found(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    attio.generation, attio.reposts_update = "A", True
    first = create(client, external_ref="one")

    again = create(client, external_ref="one", title="Moved")

    assert (id_of(again), again["title"]) == (id_of(first), "Moved")


def test_the_older_generation_finds_a_calendar_meeting_by_its_uid(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    attio.generation = "A"
    booked = attio.people.book(
        "Synced", START, START + timedelta(hours=1), attendees=["a@x.example"], uid="u1"
    )
    ref = {"ical_uid": "u1", "provider": "google", "is_recurring": False}

    assert id_of(create(client, external_ref=ref)) == booked


def test_the_older_generation_has_no_limits_on_lengths(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.generation = "A"

    assert len(create(client, external_ref="one", title="x" * 1500)["title"]) == 1500


# -- linked records ------------------------------------------------------------------------------------


def test_people_are_linked_at_once_and_their_companies_later(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    meeting = create(client)
    now = [link["object_slug"] for link in meeting["linked_records"]]

    attio.world.clock.advance(timedelta(minutes=1))
    later = client.get(f"/v2/meetings/{id_of(meeting)}").json()["data"]

    assert now == ["people", "people"]
    assert sorted(link["object_slug"] for link in later["linked_records"]) == [
        "companies",
        "companies",
        "people",
        "people",
    ]


def test_patch_adds_links_and_put_replaces_them_all(attio: AttioSandbox, client: httpx.Client) -> None:
    path = f"/v2/meetings/{id_of(create(client))}"
    deal = {"object": "deals", "record_id": attio.people.add_deal()}

    for _ in range(2):
        added = client.patch(path, json={"data": {"linked_records": [deal]}}).json()["data"]
    replaced = client.put(path, json={"data": {"linked_records": [deal]}}).json()["data"]

    assert [link["object_slug"] for link in added["linked_records"]] == ["people", "people", "deals"]
    assert [link["record_id"] for link in replaced["linked_records"]] == [deal["record_id"]]


def test_a_company_linked_later_survives_an_overwrite(attio: AttioSandbox, client: httpx.Client) -> None:
    path = f"/v2/meetings/{id_of(create(client))}"
    client.put(path, json={"data": {"linked_records": []}})

    attio.world.clock.advance(timedelta(minutes=1))

    links = client.get(path).json()["data"]["linked_records"]
    assert {link["object_slug"] for link in links} == {"companies"}


def test_nothing_but_links_can_be_changed(client: httpx.Client) -> None:
    path = f"/v2/meetings/{id_of(create(client))}"

    for method in ("PATCH", "PUT"):
        body = {"data": {"linked_records": [], "title": "New"}}
        refused(client.request(method, path, json=body), 400, "validation_type")


# -- deleting ------------------------------------------------------------------------------------------


def test_a_deleted_meeting_is_gone_by_its_own_404(client: httpx.Client) -> None:
    path = f"/v2/meetings/{id_of(create(client))}"

    answer = client.delete(path)

    assert (answer.status_code, answer.json()) == (200, {})
    for again in (client.get(path), client.delete(path)):
        body = refused(again, 404, "not_found")
        assert body["message"] == f'Meeting with ID "{path.rpartition("/")[2]}" was not found.'


def test_a_calendar_meeting_cannot_be_deleted(attio: AttioSandbox, client: httpx.Client) -> None:
    booked = attio.people.book("Synced", START, START + timedelta(hours=1), attendees=["a@x.example"])

    refused(client.delete(f"/v2/meetings/{booked}"), 400, "system_edit_unauthorized")

    assert client.get(f"/v2/meetings/{booked}").status_code == 200


@pytest.mark.parametrize("status", [404, 405])
def test_an_older_server_does_not_know_the_routes(
    attio: AttioSandbox, client: httpx.Client, status: int
) -> None:
    attio.has_delete, attio.missing_route_status = False, status
    path = f"/v2/meetings/{id_of(create(client))}"

    for method in ("DELETE", "PATCH", "PUT"):
        assert client.request(method, path, json={"data": {"linked_records": []}}).status_code == status
    assert client.get(path).status_code == 200


# -- listing -------------------------------------------------------------------------------------------


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def book(attio: AttioSandbox, title: str, begin: float, end: float, **more: Any) -> str:
    return attio.people.book(title, at(begin), at(end), attendees=[f"{title}@x.example"], **more)


def test_the_window_takes_what_ends_at_its_start_and_leaves_what_starts_at_its_end(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    for title, begin, end in [
        ("before", 0, 0.9),
        ("touches", 0, 1),
        ("inside", 1, 2),
        ("over", 0, 9),
        ("after", 3, 4),
    ]:
        book(attio, title, begin, end)

    found = titles(client, ends_from=at(1).isoformat(), starts_before=at(3).isoformat())

    assert sorted(found) == ["inside", "over", "touches"]


def test_all_day_meetings_fall_into_a_window_of_the_named_zone(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    day = datetime(2026, 11, 18, tzinfo=UTC)
    attio.people.book("day", day, day + timedelta(days=1), all_day=True, attendees=["a@x.example"])
    window = {"ends_from": "2026-11-17T10:00:00Z", "starts_before": "2026-11-17T12:00:00Z"}

    assert titles(client, **window) == []
    assert titles(client, **window, timezone="Pacific/Auckland") == ["day"]


@pytest.mark.parametrize("paging", ["keyset", "offset"])
@pytest.mark.parametrize("sort", ["start_asc", "start_desc"])
@pytest.mark.parametrize("filtered", [False, True])
def test_pages_give_every_row_once_in_order(
    attio: AttioSandbox, client: httpx.Client, paging: str, sort: str, filtered: bool
) -> None:
    attio.paging.kind = paging
    for number in range(7):
        attio.people.book(str(number), at(number // 2), at(number + 1), attendees=["a@x.example"])
    attio.people.book("other", at(1), at(2), attendees=["b@x.example"])
    query = {"participants": "A@x.example"} if filtered else {}

    found = titles(client, limit=2, sort=sort, **query)

    starts = [int(title) // 2 for title in found if title != "other"]
    assert starts == sorted(starts, reverse=sort == "start_desc")
    assert sorted(found) == [str(n) for n in range(7)] + ([] if filtered else ["other"])


def test_people_and_linked_record_are_alternatives(attio: AttioSandbox, client: httpx.Client) -> None:
    ids = {title: book(attio, title, 1, 2) for title in ("anna", "ben", "carl")}
    deal = attio.people.add_deal()
    link = {"data": {"linked_records": [{"object": "deals", "record_id": deal}]}}
    client.patch(f"/v2/meetings/{ids['ben']}", json=link)

    both = {"participants": "anna@x.example", "linked_object": "deals", "linked_record_id": deal}

    assert sorted(titles(client, **both)) == ["anna", "ben"]
    assert titles(client, **both, starts_before=at(1).isoformat()) == []


def test_a_plus_that_is_not_encoded_is_a_space(attio: AttioSandbox, client: httpx.Client) -> None:
    book(attio, "a+b", 1, 2)

    assert client.get("/v2/meetings?participants=a+b@x.example").json()["data"] == []
    assert len(client.get("/v2/meetings?participants=a%2Bb@x.example").json()["data"]) == 1
    refused(client.get("/v2/meetings?ends_from=2026-11-16T09:00:00+00:00"), 400, "validation_type")


def test_offset_is_no_parameter_and_page_one_comes_again(attio: AttioSandbox, client: httpx.Client) -> None:
    for number in range(3):
        book(attio, str(number), number, number + 1)

    pages = [client.get("/v2/meetings", params={"limit": 1, "offset": n}).json()["data"] for n in (0, 1, 2)]

    assert [page[0]["title"] for page in pages] == ["0", "0", "0"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "ten"},
        {"sort": "newest"},
        {"cursor": "nonsense"},
        {"ends_from": "yesterday"},
        {"linked_object": "people"},
        {"linked_record_id": UNKNOWN},
        {"linked_object": "people", "linked_record_id": "7"},
    ],
    ids=str,
)
def test_bad_parameters_are_refused(client: httpx.Client, query: dict[str, Any]) -> None:
    body = refused(client.get("/v2/meetings", params=query), 400, "validation_type")

    assert body["status_code"] == 400


def first_cursor(attio: AttioSandbox, client: httpx.Client) -> str:
    for number in range(3):
        book(attio, str(number), number, number + 1)
    return str(client.get("/v2/meetings", params={"limit": 1}).json()["pagination"]["next_cursor"])


def test_a_cursor_goes_with_its_filters(attio: AttioSandbox, client: httpx.Client) -> None:
    cursor = first_cursor(attio, client)

    refused(
        client.get("/v2/meetings", params={"cursor": cursor, "sort": "start_desc"}), 400, "validation_type"
    )
    attio.paging.same_filters = False
    assert client.get("/v2/meetings", params={"cursor": cursor, "sort": "start_desc"}).status_code == 200


def test_a_cursor_can_expire(attio: AttioSandbox, client: httpx.Client) -> None:
    attio.paging.lifetime = timedelta(minutes=5)
    cursor = first_cursor(attio, client)

    attio.world.clock.advance(timedelta(minutes=6))

    refused(client.get("/v2/meetings", params={"cursor": cursor, "limit": 1}), 400, "validation_type")


def test_counting_cursors_lose_a_row_when_one_before_them_goes(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    attio.paging.kind = "offset"
    ids = [book(attio, str(number), number, number + 1) for number in range(3)]
    cursor = client.get("/v2/meetings", params={"limit": 1}).json()["pagination"]["next_cursor"]

    attio.people.cancel(ids[0])

    rest = client.get("/v2/meetings", params={"limit": 1, "cursor": cursor}).json()["data"]
    assert [row["title"] for row in rest] == ["2"]


# -- people and calendars ------------------------------------------------------------------------------


def event(**changes: Any) -> CalendarEvent:
    facts: dict[str, Any] = {
        "uid": "u1",
        "title": "Call",
        "description": "Agenda",
        "start": at(24),
        "end": at(25),
        "zone": "Europe/Berlin",
        "organizer": "rep@acme.example",
        "attendees": ("guest@customer.example",),
        "join_url": "https://acme.zoom.us/j/97763643886",
    }
    return CalendarEvent(**{**facts, **changes})


def live(attio: AttioSandbox) -> list[dict[str, Any]]:
    return [record for record in attio.records() if not record["deleted"]]


def test_without_calendar_sync_events_leave_no_trace(attio: AttioSandbox) -> None:
    attio.world.publish(event())
    attio.world.clock.advance(timedelta(days=1))

    assert attio.records() == []


def test_a_calendar_event_becomes_a_meeting_some_minutes_later_and_is_followed(attio: AttioSandbox) -> None:
    attio.calendar_sync_delay = timedelta(minutes=5)

    attio.world.publish(event())
    at_once = live(attio)
    attio.world.clock.advance(timedelta(minutes=5))
    twin = live(attio)[0]
    attio.world.publish(event(title="Moved", start=at(30), end=at(31)))
    attio.world.clock.advance(timedelta(minutes=5))
    moved = live(attio)[0]
    attio.world.publish(event(cancelled=True))
    attio.world.clock.advance(timedelta(minutes=5))

    assert at_once == []
    assert "zoom.us/j/97763643886" in twin["description"]
    assert (twin["organizer"], twin["participants"]) == ("rep@acme.example", ["guest@customer.example"])
    assert (moved["id"], moved["title"], moved["start"]) == (twin["id"], "Moved", at(30))
    assert live(attio) == []


def test_people_change_what_the_api_cannot(attio: AttioSandbox, client: httpx.Client) -> None:
    people, number = attio.people, id_of(create(client))

    people.rename(number, "Renamed")
    people.describe(number, "Described")
    people.move(number, at(48))
    people.invite(number, "new@customer.example")
    people.uninvite(number, "guest@customer.example")
    people.respond(number, "new@customer.example", "accepted")

    (record,) = attio.records()
    assert (record["title"], record["description"]) == ("Renamed", "Described")
    assert (record["start"], record["end"]) == (at(48), at(48.5))
    assert record["participants"] == ["new@customer.example"]
    row = client.get(f"/v2/meetings/{number}").json()["data"]
    assert [p["status"] for p in row["participants"] if p["email_address"] == "new@customer.example"] == [
        "accepted"
    ]


def test_a_hidden_meeting_looks_like_a_deleted_one(attio: AttioSandbox, client: httpx.Client) -> None:
    number = id_of(create(client))

    attio.people.hide(number)

    refused(client.get(f"/v2/meetings/{number}"), 404, "not_found")
    assert titles(client) == []


def test_a_window_deep_in_a_long_history_is_answered_without_walking_it(
    attio: AttioSandbox, client: httpx.Client
) -> None:
    for number in range(300):
        book(attio, str(number), -24 * number, -24 * number + 1)

    found = titles(client, ends_from=at(-49).isoformat(), starts_before=at(1).isoformat())

    assert found == ["2", "1", "0"]
