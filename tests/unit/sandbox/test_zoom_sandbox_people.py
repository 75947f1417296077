"""What people do at the Zoom sandbox shows in the API, in the records and in the calendars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.world import CalendarEvent, World
from sync_engine.sandbox.zoom import ZoomSandbox

NOW = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
SOON = NOW + timedelta(days=1)
HOST, OTHER = "host@acme.example", "other@acme.example"
NEUTRAL = {
    "id",
    "title",
    "description",
    "start",
    "end",
    "zone",
    "all_day",
    "location",
    "join_url",
    "organizer",
    "participants",
    "deleted",
    "created_by_api",
}


class Calendars(World):
    """A world that remembers what was put into the team's calendars."""

    def __init__(self) -> None:
        super().__init__(start=NOW)
        self.published: list[CalendarEvent] = []

    def publish(self, event: CalendarEvent) -> None:
        self.published.append(event)
        super().publish(event)

    def take(self) -> list[CalendarEvent]:
        events, self.published = self.published, []
        return events


@pytest.fixture
def world() -> Iterator[Calendars]:
    with Calendars() as made:
        made.zoom.rate_limits = False
        made.zoom.add_host(HOST)
        made.zoom.add_host(OTHER)
        yield made


@pytest.fixture
def zoom(world: Calendars) -> ZoomSandbox:
    return world.zoom


@pytest.fixture
def api(zoom: ZoomSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {zoom.token}"}
    with httpx.Client(base_url=zoom.url, headers=headers, timeout=10) as client:
        yield client


def record(zoom: ZoomSandbox, number: str) -> dict[str, Any]:
    (found,) = [each for each in zoom.records() if each["id"] == number]
    return found


def test_a_record_has_the_neutral_names(zoom: ZoomSandbox) -> None:
    number = zoom.people.book(
        HOST, "Talk", SOON, 45, zone="Europe/Berlin", agenda="Text", invitees=["b@x.example", "a@x.example"]
    )

    found = record(zoom, number)

    assert found.keys() >= NEUTRAL
    assert (found["title"], found["description"], found["organizer"]) == ("Talk", "Text", HOST)
    assert (found["start"], found["end"], found["zone"]) == (
        SOON,
        SOON + timedelta(minutes=45),
        "Europe/Berlin",
    )
    assert found["participants"] == ["a@x.example", "b@x.example"]
    assert (found["deleted"], found["created_by_api"], found["all_day"]) == (False, False, False)


def test_edits_show_in_the_api(zoom: ZoomSandbox, api: httpx.Client) -> None:
    number = zoom.people.book(HOST, "Talk", SOON)

    zoom.people.rename(number, "Other talk")
    zoom.people.describe(number, "Why")
    zoom.people.move(number, SOON + timedelta(hours=1), 25, zone="Asia/Tokyo")
    zoom.people.invite(number, "Jane@x.example")
    zoom.people.invite(number, "jane@x.example")
    zoom.people.invite(number, "joe@x.example")
    zoom.people.uninvite(number, "JOE@x.example")
    zoom.people.set_private(number)

    found = api.get(f"/meetings/{number}").json()
    assert (found["topic"], found["agenda"], found["duration"]) == ("Other talk", "Why", 25)
    assert (found["start_time"], found["timezone"]) == ("2030-01-08T09:00:00Z", "Asia/Tokyo")
    assert [each["email"] for each in found["settings"]["meeting_invitees"]] == ["Jane@x.example"]
    assert found["settings"]["private_meeting"] is True
    assert record(zoom, number)["private"] is True


def test_people_may_move_into_the_past_and_book_there(zoom: ZoomSandbox, api: httpx.Client) -> None:
    number = zoom.people.book(HOST, "Yesterday", NOW - timedelta(days=1))
    zoom.people.move(number, NOW - timedelta(days=2))

    assert api.get(f"/meetings/{number}").json()["start_time"] == "2030-01-05T08:00:00Z"


def test_cancelling_and_recovering_are_seen(zoom: ZoomSandbox, api: httpx.Client) -> None:
    number = zoom.people.book(HOST, "Talk", SOON)

    zoom.people.cancel(number)
    assert record(zoom, number)["deleted"] is True
    assert api.get(f"/meetings/{number}").status_code == 404
    zoom.people.recover(number)

    assert record(zoom, number)["deleted"] is False
    assert api.get(f"/meetings/{number}").status_code == 200


def test_a_new_host_takes_the_meeting_to_her_list(zoom: ZoomSandbox, api: httpx.Client) -> None:
    number = zoom.people.book(HOST, "Talk", SOON)

    zoom.people.reassign_host(number, OTHER)

    def listed(host: str) -> list[str]:
        return [str(row["id"]) for row in api.get(f"/users/{host}/meetings").json()["meetings"]]

    assert (listed(HOST), listed(OTHER)) == ([], [number])
    assert api.get(f"/meetings/{number}").json()["host_email"] == OTHER


def test_a_host_who_leaves_takes_her_meetings_along(zoom: ZoomSandbox, api: httpx.Client) -> None:
    number = zoom.people.book(HOST, "Talk", SOON)

    zoom.people.remove_host(HOST)

    assert api.get(f"/users/{HOST}/meetings").json()["code"] == 1001
    assert api.get(f"/meetings/{number}").json()["code"] == 3001
    assert record(zoom, number)["deleted"] is True


def test_exact_dates_make_a_series_of_any_length(zoom: ZoomSandbox, api: httpx.Client) -> None:
    starts = [NOW + timedelta(days=3 * day, hours=day % 5) for day in range(1, 121)]
    number = zoom.people.book_occurrences(
        HOST, "Odd days", starts, 25, "Europe/Berlin", agenda="Text", invitees=["a@x.example"],
        join_url="https://us02web.zoom.us/j/123456789",
    )  # fmt: skip

    found = api.get(f"/meetings/{number}").json()

    assert [each["start_time"] for each in found["occurrences"]] == [
        start.strftime("%Y-%m-%dT%H:%M:%SZ") for start in starts
    ]
    assert found["type"] == 8
    assert found["join_url"] == "https://us02web.zoom.us/j/123456789"
    assert len([each for each in zoom.records() if each["id"] == number]) == 120


def test_a_moved_series_moves_its_dates_to_come_on_the_clock_of_its_zone(zoom: ZoomSandbox) -> None:
    rule = {"type": 2, "weekly_days": "2", "end_times": 3}
    number = zoom.people.book_series(
        HOST, "Weekly", datetime(2030, 3, 25, 8, tzinfo=UTC), 30, rule, zone="Europe/Berlin"
    )

    zoom.people.move(number, datetime(2030, 3, 26, 9, tzinfo=UTC))

    assert [start for _, start in zoom.people.occurrences(number)] == [
        datetime(2030, 3, 26, 9, tzinfo=UTC),
        datetime(2030, 4, 2, 8, tzinfo=UTC),
        datetime(2030, 4, 9, 8, tzinfo=UTC),
    ]


def test_one_date_is_moved_described_and_cancelled_alone(zoom: ZoomSandbox, api: httpx.Client) -> None:
    starts = [NOW + timedelta(days=day) for day in (1, 2, 3)]
    number = zoom.people.book_occurrences(HOST, "Daily", starts, 30)
    keys = [key for key, _ in zoom.people.occurrences(number)]

    zoom.people.move_occurrence(number, keys[0], starts[0] + timedelta(hours=1), 20)
    zoom.people.describe_occurrence(number, keys[1], "Special")
    zoom.people.cancel_occurrence(number, keys[2])

    shown = api.get(f"/meetings/{number}").json()
    assert [each["occurrence_id"] for each in shown["occurrences"]] == keys
    assert [each["status"] for each in shown["occurrences"]] == ["available", "available", "deleted"]
    assert [each["duration"] for each in shown["occurrences"]] == [20, 30, 30]
    assert shown["agenda"] == ""
    one = api.get(f"/meetings/{number}", params={"occurrence_id": keys[1]}).json()
    assert one["agenda"] == "Special"
    assert [each["deleted"] for each in zoom.records()] == [False, False, True]


def test_calendars_hear_of_what_people_book_move_and_cancel(world: Calendars, zoom: ZoomSandbox) -> None:
    zoom.publishes_to_calendar = True

    number = zoom.people.book(HOST, "Talk", SOON, 30, agenda="Text", invitees=["jane@x.example"])
    zoom.people.move(number, SOON + timedelta(hours=1))
    zoom.people.cancel(number)

    booked, moved, cancelled = world.take()
    assert (booked.title, booked.description, booked.organizer) == ("Talk", "Text", HOST)
    assert (booked.start, booked.end) == (SOON, SOON + timedelta(minutes=30))
    assert booked.attendees == ("jane@x.example",)
    assert "zoom.us/j/" in booked.join_url
    assert {booked.uid, moved.uid, cancelled.uid} == {booked.uid}
    assert moved.start == SOON + timedelta(hours=1)
    assert (moved.cancelled, cancelled.cancelled) == (False, True)


def test_a_series_is_one_calendar_event_per_date(world: Calendars, zoom: ZoomSandbox) -> None:
    zoom.publishes_to_calendar = True
    number = zoom.people.book_occurrences(HOST, "Daily", [SOON, SOON + timedelta(days=1)], 30)
    uids = {event.uid for event in world.take()}

    zoom.people.cancel_occurrence(number, zoom.people.occurrences(number)[0][0])

    assert len(uids) == 2
    assert [event.cancelled for event in world.take()] == [True, False]


def test_calendars_hear_nothing_of_the_api_unless_the_meeting_pushes_changes(
    world: Calendars, zoom: ZoomSandbox, api: httpx.Client
) -> None:
    zoom.publishes_to_calendar = True
    number = zoom.people.book(HOST, "Talk", SOON)
    pushing = zoom.people.book(HOST, "Pushed", SOON, settings={"push_change_to_calendar": True})
    world.take()

    api.post(f"/users/{HOST}/meetings", json={"start_time": "2030-01-10T09:00:00Z"})
    api.patch(f"/meetings/{number}", json={"topic": "Renamed"})
    silent = world.take()
    api.patch(f"/meetings/{pushing}", json={"topic": "Renamed"})

    assert silent == []
    assert [event.title for event in world.take()] == ["Renamed"]


def test_a_quiet_account_publishes_nothing(world: Calendars, zoom: ZoomSandbox) -> None:
    zoom.people.book(HOST, "Talk", SOON)

    assert world.published == []


def test_the_same_seed_makes_the_same_account() -> None:
    def numbers() -> list[str]:
        with World(seed=7, start=NOW) as world:
            return [world.zoom.add_host(HOST), world.zoom.people.book(HOST, "Talk", SOON)]

    assert numbers() == numbers()
