"""The Zoom sandbox answers as the document says: meetings, lists, writes, limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.world import World
from sync_engine.sandbox.zoom import ZoomSandbox
from sync_engine.sandbox.zoom.limits import Limits

NOW = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
HOST = "host@acme.example"
LIST_FIELDS = {
    "uuid",
    "id",
    "host_id",
    "topic",
    "type",
    "start_time",
    "duration",
    "timezone",
    "agenda",
    "created_at",
    "join_url",
}


@pytest.fixture
def world() -> Iterator[World]:
    with World(start=NOW) as made:
        made.zoom.rate_limits = False
        made.zoom.add_host(HOST, first_name="Hanna", last_name="Ost", timezone="Europe/Berlin")
        yield made


@pytest.fixture
def zoom(world: World) -> ZoomSandbox:
    return world.zoom


@pytest.fixture
def api(zoom: ZoomSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {zoom.token}"}
    with httpx.Client(base_url=zoom.url, headers=headers, timeout=10) as client:
        yield client


def create(api: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = api.post(f"/users/{HOST}/meetings", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def read(api: httpx.Client, number: object, **query: Any) -> dict[str, Any]:
    answer = api.get(f"/meetings/{number}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rows(api: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(f"/users/{HOST}/meetings", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["meetings"]
    return found


def refusal(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


class TestLists:
    def test_a_row_has_eleven_fields_and_a_cut_agenda(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        zoom.people.book(
            HOST, "Kick-off", NOW + timedelta(days=1), 30, agenda="x" * 900, invitees=["a@b.example"]
        )

        (row,) = rows(api)

        assert set(row) == LIST_FIELDS
        assert row["agenda"] == "x" * 250

    def test_a_series_shows_once_as_its_parent_and_a_standing_meeting_has_no_start(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        starts = [NOW + timedelta(days=day) for day in range(1, 60)]
        series = zoom.people.book_occurrences(HOST, "Daily", starts, 15, "Europe/Berlin")
        standing = zoom.people.book_standing(HOST, "Room")

        shown = {str(row["id"]): row for row in rows(api)}

        assert shown.keys() == {series, standing}
        assert shown[series]["type"] == 8
        assert shown[series]["start_time"] == "2030-01-08T08:00:00Z"
        assert "start_time" not in shown[standing]
        assert len(read(api, series)["occurrences"]) == 59

    def test_instant_meetings_are_readable_but_never_listed(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        number = zoom.people.start_instant(HOST, "Quick call")

        assert rows(api) == []
        assert read(api, number)["status"] == "started"
        assert "start_time" not in read(api, number)

    def test_pages_follow_a_token_and_end_with_an_empty_one(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        for day in range(1, 8):
            zoom.people.book(HOST, f"Day {day}", NOW + timedelta(days=day))

        topics, query = [], {"page_size": "3", "type": "scheduled"}
        sizes = []
        while True:
            body = api.get(f"/users/{HOST}/meetings", params=query).json()
            topics += [row["topic"] for row in body["meetings"]]
            sizes.append(len(body["meetings"]))
            if not body["next_page_token"]:
                break
            query["next_page_token"] = body["next_page_token"]

        assert sizes == [3, 3, 1]
        assert topics == [f"Day {day}" for day in range(1, 8)]
        assert (body["total_records"], body["page_count"]) == (7, 3)

    def test_a_page_token_dies_after_fifteen_minutes_and_belongs_to_its_parameters(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        for day in range(1, 8):
            zoom.people.book(HOST, f"Day {day}", NOW + timedelta(days=day))
        first = api.get(f"/users/{HOST}/meetings", params={"page_size": 3}).json()
        token = first["next_page_token"]

        other = api.get(f"/users/{HOST}/meetings", params={"page_size": 4, "next_page_token": token})
        world.clock.advance(timedelta(minutes=14, seconds=59))
        in_time = api.get(f"/users/{HOST}/meetings", params={"page_size": 3, "next_page_token": token})
        world.clock.advance(timedelta(seconds=1))
        too_late = api.get(f"/users/{HOST}/meetings", params={"page_size": 3, "next_page_token": token})

        assert refusal(other) == (400, 300)
        assert in_time.status_code == 200
        assert refusal(too_late) == (400, 300)

    def test_a_row_removed_while_paging_shifts_the_next_page(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        numbers = [zoom.people.book(HOST, f"Day {day}", NOW + timedelta(days=day)) for day in range(1, 7)]
        first = api.get(f"/users/{HOST}/meetings", params={"page_size": 3}).json()

        zoom.people.cancel(numbers[0])
        query = {"page_size": 3, "next_page_token": first["next_page_token"]}
        second = api.get(f"/users/{HOST}/meetings", params=query).json()

        assert [row["topic"] for row in second["meetings"]] == ["Day 5", "Day 6"]

    @pytest.mark.parametrize("size", ["0", "301", "-1", "many"])
    def test_a_page_size_out_of_range_is_refused(self, api: httpx.Client, size: str) -> None:
        assert refusal(api.get(f"/users/{HOST}/meetings", params={"page_size": size})) == (400, 300)

    def test_thirty_rows_make_a_page_unless_asked_otherwise(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        for hour in range(31):
            zoom.people.book(HOST, "Slot", NOW + timedelta(hours=hour + 1))

        assert len(rows(api)) == 30
        assert len(rows(api, page_size=300)) == 31

    def test_the_types_choose_by_time(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        past = zoom.people.book(HOST, "Past", NOW - timedelta(days=3))
        live = zoom.people.book(HOST, "Live", NOW - timedelta(minutes=10))
        zoom.people.start_meeting(live)
        soon = zoom.people.book(HOST, "Soon", NOW + timedelta(days=1))
        far = zoom.people.book(HOST, "Far", NOW + timedelta(days=300))

        def listed(kind: str) -> set[str]:
            return {str(row["id"]) for row in rows(api, type=kind)}

        assert listed("scheduled") == {past, live, soon, far}
        assert listed("live") == {live}
        assert listed("upcoming") == listed("upcoming_meetings") == {live, soon}
        assert listed("previous_meetings") == {past}

    def test_days_filter_by_start_in_the_given_zone(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        zoom.people.book(HOST, "Late evening in Berlin", datetime(2030, 1, 9, 22, 30, tzinfo=UTC))
        zoom.people.book(HOST, "Past midnight in Berlin", datetime(2030, 1, 9, 23, 30, tzinfo=UTC))

        days = {"from": "2030-01-10", "to": "2030-01-10", "timezone": "Europe/Berlin"}

        assert [row["topic"] for row in rows(api, **days)] == ["Past midnight in Berlin"]

    def test_a_host_without_a_licence_and_an_unknown_one_are_told_apart(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        zoom.add_host("guest@acme.example", licensed=False)

        assert refusal(api.get("/users/guest@acme.example/meetings")) == (400, 3161)
        assert refusal(api.get("/users/nobody@acme.example/meetings")) == (404, 1001)
        assert refusal(api.get("/users/me/meetings")) == (404, 1001)

    def test_ten_thousand_meetings_over_twenty_hosts_cost_a_page_what_a_page_costs(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        hosts = [zoom.add_host(f"host{number}@acme.example") for number in range(20)]
        for number in range(10_000):
            zoom.people.book(hosts[number % 20], "Slot", NOW + timedelta(minutes=number))

        started = datetime.now(UTC)
        sizes = [
            len(api.get(f"/users/{host}/meetings", params={"page_size": 300}).json()["meetings"])
            for host in hosts
        ]
        spent = datetime.now(UTC) - started

        assert sizes == [300] * 20
        assert spent < timedelta(seconds=5)


class TestExpiry:
    def test_a_single_meeting_dies_thirty_days_after_its_date(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        number = zoom.people.book(HOST, "Once", NOW + timedelta(days=1))
        zoom.token_lives = timedelta(days=400)
        api.headers["Authorization"] = f"Bearer {zoom.desk.issue().text}"

        world.clock.advance(timedelta(days=31) - timedelta(seconds=1))
        before = [str(row["id"]) for row in rows(api)]
        world.clock.advance(timedelta(seconds=1))

        assert before == [number]
        assert rows(api) == []
        assert refusal(api.get(f"/meetings/{number}")) == (404, 3001)

    def test_a_used_meeting_lives_longer_and_a_recurring_one_a_year(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        used = zoom.people.book(HOST, "Used", NOW + timedelta(days=1))
        standing = zoom.people.book_standing(HOST, "Room")
        zoom.token_lives = timedelta(days=800)
        api.headers["Authorization"] = f"Bearer {zoom.desk.issue().text}"

        world.clock.advance(timedelta(days=25))
        zoom.people.end_meeting(used)
        world.clock.advance(timedelta(days=29))
        assert {str(row["id"]) for row in rows(api)} == {used, standing}
        world.clock.advance(timedelta(days=1))
        assert {str(row["id"]) for row in rows(api)} == {standing}
        world.clock.advance(timedelta(days=310))
        assert rows(api) == []


class TestCreate:
    def test_a_create_answers_with_the_whole_meeting(self, api: httpx.Client) -> None:
        made = create(
            api,
            topic="Interview",
            start_time="2030-01-10T09:00:00Z",
            duration=45,
            timezone="Europe/Berlin",
            agenda="Prepared",
            settings={"use_pmi": False, "meeting_invitees": [{"email": "jane@example.com"}]},
        )

        assert made == read(api, made["id"])
        assert (made["type"], made["status"], made["creation_source"]) == (2, "waiting", "open_api")
        assert (made["start_time"], made["duration"]) == ("2030-01-10T09:00:00Z", 45)
        assert made["host_email"] == HOST
        assert made["settings"]["meeting_invitees"] == [{"email": "jane@example.com", "internal_user": False}]
        assert made["password"]
        assert "pwd=" in made["join_url"]
        assert "zak=" in made["start_url"]
        assert made["id"] > 2**31

    @pytest.mark.parametrize("start", [None, "2030-01-07T07:59:59Z", "2001-01-01T00:00:00Z"])
    def test_a_past_or_missing_start_silently_becomes_now(self, api: httpx.Client, start: str | None) -> None:
        made = create(api, topic="Late", start_time=start)

        assert made["start_time"] == "2030-01-07T08:00:00Z"

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [
            ("2030-07-10T09:00:00Z", "2030-07-10T09:00:00Z"),
            ("2030-07-10T09:00:00", "2030-07-10T07:00:00Z"),
            ("2030-07-10T09:00:00+01:00", "2030-07-10T09:00:00Z"),
            ("2030-07-10T09:00:00-0800", "2030-07-10T09:00:00Z"),
        ],
    )
    def test_an_offset_is_dropped_and_a_bare_time_is_local(
        self, api: httpx.Client, sent: str, stored: str
    ) -> None:
        assert create(api, start_time=sent, timezone="Europe/Berlin")["start_time"] == stored

    def test_default_password_false_makes_no_passcode(self, api: httpx.Client) -> None:
        made = create(api, start_time="2030-01-10T09:00:00Z", default_password=False)

        assert "password" not in made
        assert "pwd=" not in made["join_url"]

    def test_no_body_field_is_required(self, api: httpx.Client) -> None:
        made = create(api)

        assert (made["type"], made["duration"], made["topic"]) == (2, 60, "Hanna Ost's Zoom Meeting")

    def test_posting_twice_makes_two_meetings(self, api: httpx.Client) -> None:
        first, second = (create(api, topic="Twin", start_time="2030-01-10T09:00:00Z") for _ in range(2))

        assert first["id"] != second["id"]
        assert len(rows(api)) == 2

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"topic": "t" * 201}, "topic"),
            ({"agenda": "a" * 2001}, "agenda"),
            ({"topic": 7}, "topic"),
            ({"duration": 0}, "duration"),
            ({"duration": 1441}, "duration"),
            ({"duration": "30"}, "duration"),
            ({"type": 5}, "type"),
            ({"start_time": "tomorrow"}, "start_time"),
            ({"start_time": "9999-12-31T23:59:59", "timezone": "America/New_York"}, "start_time"),
            ({"timezone": "Europe/Kyiv"}, "timezone"),
            ({"password": "12345678901"}, "password"),
            ({"settings": {"meeting_invitees": ["jane@example.com"]}}, "settings.meeting_invitees"),
            ({"settings": {"use_pmi": "no"}}, "settings.use_pmi"),
            ({"settings": {"jbh_time": 7}}, "settings.jbh_time"),
            ({"settings": {"alternative_hosts": "stranger@example.com"}}, "settings.alternative_hosts"),
            ({"tracking_fields": [{"value": "x"}]}, "tracking_fields"),
            ({"type": 8}, "recurrence"),
            ({"type": 8, "recurrence": {"type": 4}}, "recurrence.type"),
            ({"type": 8, "recurrence": {"type": 1, "end_times": 61}}, "recurrence.end_times"),
        ],
    )
    def test_an_invalid_field_is_refused_by_name(
        self, api: httpx.Client, body: dict[str, Any], field: str
    ) -> None:
        answer = api.post(f"/users/{HOST}/meetings", json=body)

        assert refusal(answer) == (400, 300)
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert rows(api) == []

    def test_broken_json_is_refused(self, api: httpx.Client) -> None:
        assert refusal(api.post(f"/users/{HOST}/meetings", content=b"{")) == (400, 300)
        assert refusal(api.post(f"/users/{HOST}/meetings", content=b"[]")) == (400, 300)

    def test_over_long_texts_are_cut_where_the_account_cuts(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        zoom.over_length = "cut"

        made = create(api, topic="t" * 300, agenda="a" * 3000)

        assert (len(made["topic"]), len(made["agenda"])) == (200, 2000)

    def test_custom_keys_are_taken_by_an_update_only(self, api: httpx.Client) -> None:
        keys = {"settings": {"custom_keys": [{"key": "ref", "value": "1"}]}}
        made = create(api, start_time="2030-01-10T09:00:00Z", **keys)

        updated = api.patch(f"/meetings/{made['id']}", json=keys)

        assert "custom_keys" not in made["settings"]
        assert updated.status_code == 204
        assert read(api, made["id"])["settings"]["custom_keys"] == [{"key": "ref", "value": "1"}]

    def test_a_series_keeps_its_clock_reading_over_a_change_of_clocks(self, api: httpx.Client) -> None:
        made = create(
            api,
            type=8,
            start_time="2030-03-25T09:00:00",
            timezone="Europe/Berlin",
            recurrence={"type": 2, "weekly_days": "2", "end_times": 3},
        )

        starts = [each["start_time"] for each in made["occurrences"]]
        assert starts == ["2030-03-25T08:00:00Z", "2030-04-01T07:00:00Z", "2030-04-08T07:00:00Z"]
        assert made["occurrences"][0]["occurrence_id"] == "1900656000000"

    def test_a_series_has_at_most_fifty_occurrences(self, api: httpx.Client) -> None:
        rule = {"type": 1, "repeat_interval": 1, "end_times": 60}

        made = create(api, type=8, start_time="2030-01-10T09:00:00Z", recurrence=rule)

        assert len(made["occurrences"]) == 50

    @pytest.mark.parametrize(
        ("rule", "days"),
        [
            ({"type": 1, "repeat_interval": 2, "end_times": 3}, ["01-10", "01-12", "01-14"]),
            ({"type": 2, "weekly_days": "3,5", "end_times": 3}, ["01-10", "01-15", "01-17"]),
            (
                {"type": 2, "repeat_interval": 2, "weekly_days": "1,5", "end_times": 4},
                ["01-10", "01-20", "01-24", "02-03"],
            ),
            ({"type": 3, "monthly_day": 31, "end_times": 3}, ["01-31", "03-31", "05-31"]),
            ({"type": 3, "monthly_week": -1, "monthly_week_day": 6, "end_times": 2}, ["01-25", "02-22"]),
            ({"type": 3, "monthly_week": 2, "monthly_week_day": 2, "end_times": 2}, ["01-14", "02-11"]),
            ({"type": 1, "end_date_time": "2030-01-12T09:00:00Z"}, ["01-10", "01-11", "01-12"]),
        ],
    )
    def test_a_rule_means_these_days(self, api: httpx.Client, rule: dict[str, Any], days: list[str]) -> None:
        made = create(api, type=8, start_time="2030-01-10T09:00:00Z", timezone="UTC", recurrence=rule)

        assert [each["start_time"][5:10] for each in made["occurrences"]] == days

    def test_scheduling_for_another_host_gives_her_the_meeting(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        other = zoom.add_host("other@acme.example")

        made = create(api, start_time="2030-01-10T09:00:00Z", schedule_for="other@acme.example")
        unknown = api.post(f"/users/{HOST}/meetings", json={"schedule_for": "nobody@acme.example"})
        instant = api.post(f"/users/{HOST}/meetings", json={"type": 1, "schedule_for": other})

        assert made["host_id"] == other
        assert rows(api) == []
        assert refusal(unknown) == (400, 300)
        assert refusal(instant) == (400, 3000)


class TestUpdate:
    @pytest.fixture
    def number(self, api: httpx.Client) -> int:
        made = create(api, topic="Old", agenda="Text", start_time="2030-01-10T09:00:00Z", duration=30)
        return int(made["id"])

    def test_an_update_answers_nothing_and_keeps_what_is_not_sent(
        self, api: httpx.Client, number: int
    ) -> None:
        answer = api.patch(f"/meetings/{number}", json={"topic": "New"})

        assert (answer.status_code, answer.content) == (204, b"")
        found = read(api, number)
        assert (found["topic"], found["agenda"], found["start_time"]) == (
            "New",
            "Text",
            "2030-01-10T09:00:00Z",
        )

    @pytest.mark.parametrize("start", ["2030-01-07T07:00:00Z", "2030-01-11T09:00:00.000Z"])
    def test_a_past_start_and_one_with_fractions_are_ignored_without_a_word(
        self, api: httpx.Client, number: int, start: str
    ) -> None:
        answer = api.patch(f"/meetings/{number}", json={"start_time": start, "topic": "New"})

        assert answer.status_code == 204
        found = read(api, number)
        assert (found["topic"], found["start_time"]) == ("New", "2030-01-10T09:00:00Z")

    def test_invitees_are_replaced_or_merged_as_the_switch_says(
        self, zoom: ZoomSandbox, api: httpx.Client, number: int
    ) -> None:
        def invite(*emails: str) -> list[str]:
            entries = [{"email": email} for email in emails]
            api.patch(f"/meetings/{number}", json={"settings": {"meeting_invitees": entries}})
            return [each["email"] for each in read(api, number)["settings"]["meeting_invitees"]]

        assert invite("a@x.example", "b@x.example") == ["a@x.example", "b@x.example"]
        assert invite("c@x.example") == ["c@x.example"]
        zoom.patch_merges_arrays = True
        assert invite("d@x.example") == ["c@x.example", "d@x.example"]

    def test_a_meeting_without_fixed_time_is_made_of_a_planned_one(
        self, api: httpx.Client, number: int
    ) -> None:
        body = {"type": 3, "start_time": None, "duration": None}

        assert api.patch(f"/meetings/{number}", json=body).status_code == 204
        found = read(api, number)
        assert found["type"] == 3
        assert "start_time" not in found

    def test_dropped_settings_leave_no_trace(self, zoom: ZoomSandbox, api: httpx.Client, number: int) -> None:
        zoom.locked_settings.add("waiting_room")

        body = {"settings": {"waiting_room": True, "breakout_room": {"enable": True}, "no_such_thing": 1}}

        assert api.patch(f"/meetings/{number}", json=body).status_code == 204
        shown = read(api, number)["settings"]
        assert shown["waiting_room"] is False
        assert not {"breakout_room", "no_such_thing"} & shown.keys()

    def test_an_unknown_meeting_and_a_webinar_are_told_apart(
        self, zoom: ZoomSandbox, api: httpx.Client, number: int
    ) -> None:
        zoom.people.convert_to_webinar(number)

        assert refusal(api.patch("/meetings/85555555555", json={})) == (404, 3001)
        assert refusal(api.patch(f"/meetings/{number}", json={})) == (400, 3000)
        assert refusal(api.get(f"/meetings/{number}")) == (400, 3000)
        assert rows(api) == []


class TestSeries:
    RULE: dict[str, Any] = {"type": 1, "repeat_interval": 1, "end_times": 3}  # noqa: RUF012

    @pytest.fixture
    def series(self, api: httpx.Client) -> dict[str, Any]:
        return create(
            api,
            type=8,
            topic="Daily",
            start_time="2030-01-10T09:00:00Z",
            timezone="UTC",
            recurrence=self.RULE,
        )

    def test_one_occurrence_takes_only_its_own_fields(
        self, api: httpx.Client, series: dict[str, Any]
    ) -> None:
        path, key = f"/meetings/{series['id']}", series["occurrences"][1]["occurrence_id"]

        moved = api.patch(path, params={"occurrence_id": key}, json={"start_time": "2030-01-11T15:00:00Z"})
        renamed = api.patch(path, params={"occurrence_id": key}, json={"topic": "Other"})
        unknown = api.patch(path, params={"occurrence_id": "17"}, json={"duration": 20})

        assert moved.status_code == 204
        assert refusal(renamed) == (400, 300)
        assert refusal(unknown) == (400, 300)
        second = read(api, series["id"])["occurrences"][1]
        assert second == {
            "occurrence_id": key,
            "start_time": "2030-01-11T15:00:00Z",
            "duration": 60,
            "status": "available",
        }
        assert read(api, series["id"], occurrence_id=key)["start_time"] == "2030-01-11T15:00:00Z"
        assert read(api, series["id"])["topic"] == "Daily"

    def test_deleting_an_occurrence_leaves_it_marked_and_the_series_alive(
        self, api: httpx.Client, series: dict[str, Any]
    ) -> None:
        key = series["occurrences"][1]["occurrence_id"]

        answer = api.delete(f"/meetings/{series['id']}", params={"occurrence_id": key})

        assert (answer.status_code, answer.content) == (204, b"")
        shown = [each["status"] for each in read(api, series["id"])["occurrences"]]
        assert shown == ["available", "deleted", "available"]
        again = api.delete(f"/meetings/{series['id']}", params={"occurrence_id": key})
        assert refusal(again) == (400, 300)

    def test_deleting_without_an_occurrence_takes_the_whole_series(
        self, api: httpx.Client, series: dict[str, Any]
    ) -> None:
        api.delete(f"/meetings/{series['id']}")

        assert refusal(api.get(f"/meetings/{series['id']}")) == (404, 3001)
        assert rows(api) == []

    def test_a_partial_rule_is_refused(self, api: httpx.Client, series: dict[str, Any]) -> None:
        body = {"start_time": "2030-01-12T09:00:00Z", "recurrence": {"type": 1}}

        assert refusal(api.patch(f"/meetings/{series['id']}", json=body)) == (400, 300)

    def test_a_complete_rule_with_a_start_to_come_plans_the_series_anew(
        self, api: httpx.Client, series: dict[str, Any]
    ) -> None:
        body = {"start_time": "2030-01-12T10:00:00Z", "recurrence": self.RULE | {"end_times": 2}}

        assert api.patch(f"/meetings/{series['id']}", json=body).status_code == 204
        starts = [each["start_time"] for each in read(api, series["id"])["occurrences"]]
        assert starts == ["2030-01-12T10:00:00Z", "2030-01-13T10:00:00Z"]

    @pytest.mark.parametrize(("mode", "topic"), [("words_only", "New"), ("nothing", "Daily")])
    def test_without_a_start_to_come_the_plan_of_a_series_stays(
        self, zoom: ZoomSandbox, api: httpx.Client, series: dict[str, Any], mode: Any, topic: str
    ) -> None:
        zoom.series_without_start = mode
        body = {"topic": "New", "duration": 15, "recurrence": self.RULE | {"end_times": 2}}

        assert api.patch(f"/meetings/{series['id']}", json=body).status_code == 204
        found = read(api, series["id"])
        assert found["topic"] == topic
        assert found["occurrences"] == series["occurrences"]

    def test_past_occurrences_show_only_on_request(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client, series: dict[str, Any]
    ) -> None:
        world.clock.advance(timedelta(days=4))
        api.headers["Authorization"] = f"Bearer {zoom.token}"

        assert len(read(api, series["id"])["occurrences"]) == 2
        assert len(read(api, series["id"], show_previous_occurrences="true")["occurrences"]) == 3


class TestDelete:
    def test_a_delete_mails_the_host_unless_told_not_to(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        loud, silent, registered = (create(api, start_time="2030-01-10T09:00:00Z")["id"] for _ in range(3))
        zoom.people.register(registered, "guest@example.com")

        quiet = {"schedule_for_reminder": "false", "cancel_meeting_reminder": "false"}
        api.delete(f"/meetings/{silent}", params=quiet)
        assert zoom.mails_sent == []

        api.delete(f"/meetings/{loud}")
        api.delete(f"/meetings/{registered}", params=quiet | {"cancel_meeting_reminder": "true"})
        assert [(mail.kind, mail.to) for mail in zoom.mails_sent] == [
            ("cancellation", (HOST,)),
            ("registrant_cancellation", ("guest@example.com",)),
        ]

    def test_alternative_hosts_are_mailed_unless_told_not_to_and_invitees_never(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        zoom.add_host("other@acme.example")
        settings = {
            "alternative_hosts": "other@acme.example",
            "meeting_invitees": [{"email": "jane@example.com"}],
        }

        create(api, settings=settings | {"alternative_hosts_email_notification": False})
        assert zoom.mails_sent == []
        create(api, settings=settings)

        assert [(mail.kind, mail.to) for mail in zoom.mails_sent] == [
            ("alternative_host", ("other@acme.example",))
        ]

    def test_a_deleted_meeting_can_be_recovered_while_it_lies_in_the_trash(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        made = create(api, start_time="2030-05-10T09:00:00Z")
        path = f"/meetings/{made['id']}"

        api.delete(path)
        gone = api.get(path)
        recovered = api.put(f"{path}/status", json={"action": "recover"})
        assert refusal(gone) == (404, 3001)
        assert recovered.status_code == 204
        assert read(api, made["id"])["start_time"] == made["start_time"]

        api.delete(path)
        world.clock.advance(timedelta(days=30))
        api.headers["Authorization"] = f"Bearer {zoom.token}"
        assert refusal(api.put(f"{path}/status", json={"action": "recover"})) == (404, 3001)

    def test_a_meeting_in_the_personal_room_cannot_be_deleted(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        number = zoom.people.book_in_personal_room(HOST, "Coffee", NOW + timedelta(days=1))

        (row,) = rows(api)

        assert set(row) == LIST_FIELDS - {"agenda"} | {"pmi"}
        assert row["pmi"] == read(api, number)["pmi"]
        assert refusal(api.delete(f"/meetings/{number}")) == (400, 3018)

    def test_only_a_running_meeting_can_be_ended_and_its_uuid_changes(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        made = create(api, start_time="2030-01-10T09:00:00Z")
        path = f"/meetings/{made['id']}/status"
        early = api.put(path, json={"action": "end"})
        zoom.people.start_meeting(made["id"])

        ended = api.put(path, json={"action": "end"})

        assert refusal(early) == (400, 3000)
        assert ended.status_code == 204
        assert read(api, made["id"])["uuid"] != made["uuid"]
        assert refusal(api.put(path, json={"action": "explode"})) == (400, 300)


class TestTrackingFields:
    def test_an_account_without_the_plan_has_none_and_drops_values(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        made = create(api, tracking_fields=[{"field": "sync_ref", "value": "1"}])

        assert "tracking_fields" not in made
        assert refusal(api.get("/tracking_fields")) == (400, 200)

    def test_known_labels_are_kept_and_unknown_ones_dropped(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        zoom.has_tracking_fields = True
        answer = api.post("/tracking_fields", json={"field": "sync_ref", "visible": False})
        fields = [{"field": "sync_ref", "value": "1"}, {"field": "other", "value": "2"}]

        made = create(api, tracking_fields=fields)

        assert answer.status_code == 201
        assert api.get("/tracking_fields").json()["tracking_fields"] == [answer.json()]
        assert made["tracking_fields"] == [{"field": "sync_ref", "value": "1", "visible": False}]
        assert "tracking_fields" not in rows(api)[0]

    def test_a_required_label_is_asked_for(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        zoom.add_tracking_field("cost centre", required=True)

        refused = api.post(f"/users/{HOST}/meetings", json={})
        zoom.enforces_tracking_fields = False
        taken = api.post(f"/users/{HOST}/meetings", json={})

        assert refusal(refused) == (400, 300)
        assert taken.status_code == 201


class TestPast:
    def test_a_run_shows_what_really_happened(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        number = zoom.people.book(HOST, "Review", NOW, 30)
        zoom.people.start_meeting(number)
        world.clock.advance(timedelta(minutes=41))
        guests = [("Hanna Ost", HOST), ("Jane", "jane@example.com")]
        uuid = zoom.people.end_meeting(number, participants=guests, transcript="WEBVTT\n\nhello")

        past = api.get(f"/past_meetings/{number}").json()
        people = api.get(f"/past_meetings/{number}/participants").json()["participants"]
        runs = api.get(f"/past_meetings/{number}/instances").json()["meetings"]

        assert (past["uuid"], past["duration"]) == (uuid, 41)
        assert past["end_time"] == "2030-01-07T08:41:00Z"
        assert [each["user_email"] for each in people] == [HOST, ""]
        assert people[0]["duration"] == 41 * 60
        assert runs == [{"uuid": uuid, "start_time": "2030-01-07T08:00:00Z"}]

    def test_a_uuid_in_a_path_is_encoded_twice(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        uuids = [zoom.people.end_meeting(zoom.people.book(HOST, "Run", NOW)) for _ in range(60)]
        uuid = next(each for each in uuids if "/" in each)
        twice = uuid.replace("/", "%252F").replace("+", "%252B").replace("=", "%253D")

        assert api.get(f"/past_meetings/{twice}").json()["uuid"] == uuid
        assert refusal(api.get(f"/past_meetings/{uuid}")) == (404, 2300)

    def test_a_run_of_a_host_who_left_is_gone_under_either_name(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        zoom.add_host("other@acme.example")
        number = zoom.people.book("other@acme.example", "Run", NOW)
        uuid = zoom.people.end_meeting(number)
        twice = uuid.replace("/", "%252F").replace("+", "%252B").replace("=", "%253D")

        zoom.people.remove_host("other@acme.example")

        assert refusal(api.get(f"/past_meetings/{number}")) == (404, 3001)
        assert refusal(api.get(f"/past_meetings/{twice}")) == (404, 3001)

    def test_a_transcript_is_downloaded_with_the_token(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        silent, spoken = (zoom.people.book(HOST, "Run", NOW) for _ in range(2))
        zoom.people.end_meeting(silent)
        zoom.people.end_meeting(spoken, transcript="WEBVTT\n\nhello")

        found = api.get(f"/meetings/{spoken}/transcript").json()

        assert found["can_download"] is True
        assert api.get(found["download_url"]).text == "WEBVTT\n\nhello"
        assert refusal(httpx.get(found["download_url"])) == (401, 124)
        assert refusal(api.get(f"/meetings/{silent}/transcript")) == (404, 3322)


class TestLimits:
    def test_a_host_has_a_hundred_writes_a_day_and_others_keep_theirs(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        zoom.add_host("other@acme.example")
        number = create(api, start_time="2030-02-10T09:00:00Z")["id"]
        answers = [api.patch(f"/meetings/{number}", json={"topic": f"{turn}"}) for turn in range(100)]

        assert [answer.status_code for answer in answers] == [204] * 99 + [429]
        spent = answers[-1]
        assert (
            "exceeded the daily rate limit (100) of Meeting Create/Update API requests"
            in spent.json()["message"]
        )
        assert "permitted for this particular user" in spent.json()["message"]
        assert spent.headers["Retry-After"] == "2030-01-08T00:00:00Z"
        assert api.post("/users/other@acme.example/meetings", json={}).status_code == 201
        assert api.get(f"/meetings/{number}").status_code == 200
        assert api.delete(f"/meetings/{number}").status_code == 204
        world.clock.set(datetime(2030, 1, 8, tzinfo=UTC))
        api.headers["Authorization"] = f"Bearer {zoom.token}"
        assert api.post(f"/users/{HOST}/meetings", json={}).status_code == 201

    def test_failed_writes_count_where_they_count(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        zoom.host_daily_cap = 1
        zoom.counts_failed_writes = False

        assert api.post(f"/users/{HOST}/meetings", json={"duration": 0}).status_code == 400
        assert api.post(f"/users/{HOST}/meetings", json={}).status_code == 201
        assert api.post(f"/users/{HOST}/meetings", json={}).status_code == 429

    @pytest.mark.parametrize(
        ("form", "shown"),
        [
            ("iso", "2030-01-08T00:00:00Z"),
            ("seconds", "57601"),
            ("http_date", "Tue, 08 Jan 2030 00:00:00 GMT"),
            ("absent", None),
        ],
    )
    def test_retry_after_comes_in_every_form(
        self, zoom: ZoomSandbox, api: httpx.Client, form: Any, shown: str | None
    ) -> None:
        zoom.host_daily_cap, zoom.retry_after_form = 0, form

        answer = api.post(f"/users/{HOST}/meetings", json={})

        assert answer.status_code == 429
        assert answer.headers.get("Retry-After") == shown

    @pytest.mark.parametrize(("plan", "light", "medium"), [("free", 4, 2), ("pro", 30, 20)])
    def test_the_plan_sets_the_rate_of_a_second(
        self, world: World, zoom: ZoomSandbox, api: httpx.Client, plan: Any, light: int, medium: int
    ) -> None:
        seconds = [0.0]
        zoom.plan, zoom.rate_limits = plan, True
        zoom.limits = Limits(zoom, lambda: seconds[0])

        lists = [api.get("/users").status_code for _ in range(medium + 1)]
        reads = [api.get(f"/users/{HOST}").status_code for _ in range(light + 1)]
        blocked = api.get("/users")
        world.clock.advance(timedelta(seconds=1))
        by_the_worlds_clock = [api.get("/users").status_code for _ in range(medium + 1)]
        seconds[0] += 1.0
        by_real_time = api.get("/users").status_code

        assert lists == [200] * medium + [429]
        assert reads == [200] * light + [429]
        assert "maximum per-second rate limit" in blocked.json()["message"]
        assert "Retry-After" not in blocked.headers
        assert by_the_worlds_clock == lists
        assert by_real_time == 200

    def test_rate_headers_show_as_much_as_the_account_shows(
        self, zoom: ZoomSandbox, api: httpx.Client
    ) -> None:
        def names() -> set[str]:
            return {name for name in api.get("/users").headers if name.startswith("x-ratelimit")}

        zoom.rate_limits = True

        assert names() == {"x-ratelimit-category"}
        zoom.shows_rate_limits = "all"
        assert names() == {
            "x-ratelimit-category",
            "x-ratelimit-type",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
        }
        zoom.shows_rate_limits = "none"
        assert names() == set()


class TestUsers:
    def test_users_come_in_pages_of_one_status(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        for number in range(4):
            zoom.add_host(f"host{number}@acme.example")
        zoom.people.set_status("host3@acme.example", "inactive")

        first = api.get("/users", params={"page_size": 3}).json()
        query = {"page_size": 3, "next_page_token": first["next_page_token"]}
        second = api.get("/users", params=query).json()

        emails = [each["email"] for each in first["users"] + second["users"]]
        assert emails == [HOST, *(f"host{number}@acme.example" for number in range(3))]
        assert second["next_page_token"] == ""
        assert [
            each["email"] for each in api.get("/users", params={"status": "inactive"}).json()["users"]
        ] == ["host3@acme.example"]
        assert refusal(api.get("/users", params={"page_size": 2001})) == (400, 300)

    def test_a_user_is_found_by_id_and_by_address(self, api: httpx.Client) -> None:
        by_address = api.get(f"/users/{HOST}").json()

        assert api.get(f"/users/{by_address['id']}").json() == by_address
        assert by_address["timezone"] == "Europe/Berlin"
        assert refusal(api.get("/users/nobody@acme.example")) == (404, 1001)

    def test_what_is_no_endpoint_is_said_to_be_none(self, api: httpx.Client) -> None:
        assert refusal(api.get("/no/such/thing")) == (404, 2300)
        assert refusal(api.put(f"/users/{HOST}/meetings")) == (404, 2300)

    def test_the_next_day_includes_invitations(self, zoom: ZoomSandbox, api: httpx.Client) -> None:
        zoom.add_host("other@acme.example")
        zoom.people.book(HOST, "Own", NOW + timedelta(hours=2))
        zoom.people.book("other@acme.example", "Invited", NOW + timedelta(hours=1), invitees=[HOST])
        zoom.people.book(HOST, "Later", NOW + timedelta(hours=25))

        shown = api.get(f"/users/{HOST}/upcoming_meetings").json()["meetings"]

        assert [(row["topic"], row["is_host"]) for row in shown] == [("Invited", False), ("Own", True)]
        assert refusal(api.get("/users/nobody@acme.example/upcoming_meetings")) == (404, 3001)
