"""The traps of Zoom's API, each on the sandbox over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.zoom.adapter import ZoomAdapter
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.core.meeting import Field, Participant, Schedule, Value
from sync_engine.core.ports import Operation, Sealed, Sighting, SweepPage, Window
from sync_engine.errors import (
    CredentialsError,
    OutcomeUnknownError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    UnavailableError,
    UnholdableError,
    UnmappableRecordError,
)
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.sandbox.world import World
from sync_engine.sandbox.zoom import ZoomSandbox
from tests.contract.bench import START, Bench

ANNA, BEN = "anna@acme.example", "ben@acme.example"
TOMORROW = START + timedelta(days=1)
DAILY = {"type": 1, "repeat_interval": 1, "end_times": 5}
LIST = r"/v2/users/[^/]+/meetings"


def settings_for(zoom: ZoomSandbox, **changes: Any) -> ZoomSettings:
    given: dict[str, Any] = {
        "base_url": zoom.url,
        "auth_url": zoom.token_url,
        "account_id": zoom.account_id,
        "client_id": zoom.client_id,
        "client_secret": SecretStr(zoom.client_secret),
    }
    return ZoomSettings(**{**given, **changes})


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    with World(seed=1, start=START) as world:
        world.zoom.add_host(ANNA, timezone="Europe/Berlin")

        def build(around: Surroundings, **changes: Any) -> ZoomAdapter:
            return ZoomAdapter(settings_for(world.zoom, **changes), around)

        bench = Bench(world, world.zoom, build)
        bench.another_adapter()
        yield bench
        await bench.close()


@pytest.fixture
def zoom(bench: Bench) -> ZoomSandbox:
    sandbox = bench.sandbox
    assert isinstance(sandbox, ZoomSandbox)
    return sandbox


def another(bench: Bench, **changes: Any) -> ZoomAdapter:
    adapter = bench.another_adapter(**changes)
    assert isinstance(adapter, ZoomAdapter)
    return adapter


def first(bench: Bench) -> ZoomAdapter:
    assert isinstance(bench.adapter, ZoomAdapter)
    return bench.adapter


async def swept(adapter: ZoomAdapter, window: Window) -> list[SweepPage]:
    return [page async for page in adapter.sweep(window)]


def covered(pages: list[SweepPage]) -> frozenset[str]:
    return frozenset[str]().union(*(page.covered for page in pages))


def sightings(pages: list[SweepPage]) -> list[Sighting]:
    return [sighting for page in pages for sighting in page.sightings]


def meeting(start: datetime = TOMORROW, **changes: Any) -> dict[Field, Value]:
    values: dict[Field, Value] = {
        Field.TITLE: "Kick-off",
        Field.DESCRIPTION: "Agenda",
        Field.SCHEDULE: Schedule.timed(start, timedelta(minutes=30), "Europe/Berlin"),
        Field.PARTICIPANTS: (Participant("jane@customer.example"),),
        Field.ORGANIZER: ANNA,
    }
    return {**values, **{Field(name): value for name, value in changes.items()}}


async def sealed_create(bench: Bench, **changes: Any) -> Sealed:
    return await bench.adapter.prepare(bench.creating(meeting(**changes)))


# -- sweeping ---------------------------------------------------------------------------------------------


async def test_a_sweep_costs_the_user_list_one_list_per_host_and_one_read_per_series(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.add_host(BEN)
    for hour in range(3):
        zoom.people.book(ANNA, "Single", TOMORROW + timedelta(hours=hour))
    zoom.people.book_series(BEN, "Standup", TOMORROW, 15, DAILY)
    zoom.people.book_standing(BEN, "Room")
    await bench.adapter.canary()
    zoom.reset_counters()

    pages = await bench.pages()

    assert dict(zoom.requests) == {
        ("GET", "/v2/users"): 1,
        ("GET", "/v2/users/{userId}/meetings"): 2,
        ("GET", "/v2/meetings/{meetingId}"): 1,
    }
    assert len(sightings(pages)) == 3 + 5


async def test_a_series_is_shown_as_its_occurrences_in_the_window_and_nothing_else(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY, invitees=["jane@customer.example"])
    second, third = zoom.people.occurrences(number)[1:3]
    window = Window(second[1], third[1] + timedelta(minutes=1))

    seen = sightings(await swept(first(bench), window))

    assert [s.external_id for s in seen] == [f"{number}/{second[0]}", f"{number}/{third[0]}"]
    shown = bench.adapter.translate(seen[0])
    assert shown.complete
    assert shown.series is not None
    assert (shown.series.key, shown.series.original_start) == (number, second[1])
    assert shown.values[Field.PARTICIPANTS] == (Participant("jane@customer.example"),)
    assert Field.TITLE in shown.fixed


async def test_past_occurrences_are_shown_when_the_window_reaches_back(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    bench.advance(timedelta(days=3))
    ahead = Window(bench.now, bench.now + timedelta(days=30))

    back, only_ahead = await bench.pages(), await swept(first(bench), ahead)

    assert len(sightings(back)) == 5
    assert len(sightings(only_ahead)) < 5
    assert all(s.external_id.startswith(f"{number}/") for s in sightings(back))


async def test_a_series_that_starts_after_the_window_is_not_read(bench: Bench, zoom: ZoomSandbox) -> None:
    zoom.people.book_series(ANNA, "Later", TOMORROW + timedelta(days=90), 15, DAILY)

    pages = await bench.pages()

    assert sightings(pages) == []
    assert zoom.count("GET", "/v2/meetings/{meetingId}") == 0


async def test_a_cancelled_occurrence_is_a_sighting_that_says_gone(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    cancelled = zoom.people.occurrences(number)[1][0]
    zoom.people.cancel_occurrence(number, cancelled)

    gone = {s.external_id for s in await bench.sightings() if s.gone}

    assert gone == {f"{number}/{cancelled}"}
    absence = await bench.adapter.confirm_absence(f"{number}/{cancelled}")
    assert (absence.observation, absence.proven) == (None, True)


async def test_a_moved_occurrence_keeps_its_id(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    one, planned = zoom.people.occurrences(number)[1]
    before = await bench.sighting(f"{number}/{one}")
    zoom.people.move_occurrence(number, one, planned + timedelta(hours=5))

    after = await bench.sighting(f"{number}/{one}")
    read = await bench.adapter.read(f"{number}/{one}")

    assert before is not None
    assert after is not None
    assert before.fingerprint != after.fingerprint == read.fingerprint
    assert read.series is not None
    assert read.series.original_start == planned
    assert isinstance(schedule := read.values[Field.SCHEDULE], Schedule)
    assert schedule.start == planned + timedelta(hours=5)


async def test_an_edit_of_a_series_invitees_is_seen_by_a_sweep(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    before = {s.external_id: s.fingerprint for s in await bench.sightings()}
    zoom.people.invite(number, "jane@customer.example")

    after = {s.external_id: s.fingerprint for s in await bench.sightings()}

    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


async def test_a_host_who_may_not_host_any_more_does_not_stop_the_others(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    ben = zoom.add_host(BEN)
    zoom.people.book(ANNA, "Kept", TOMORROW)
    zoom.people.book(BEN, "Hidden", TOMORROW)
    adapter = another(bench, hosts=(ANNA, BEN))
    zoom.people.set_licensed(BEN, False)

    pages = await swept(adapter, bench.window)

    assert [p.scope for page in pages for p in page.problems] == [ben]
    assert ben not in covered(pages)
    assert len(covered(pages)) == 1
    assert len(sightings(pages)) == 1


async def test_users_without_a_meeting_licence_cost_no_request(bench: Bench, zoom: ZoomSandbox) -> None:
    zoom.add_host(BEN, licensed=False)

    pages = await bench.pages()

    assert [page.problems for page in pages if page.problems] == []
    assert zoom.count("GET", "/v2/users/{userId}/meetings") == 1


async def test_only_configured_hosts_are_swept_and_an_unknown_one_is_a_problem(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    ben = zoom.add_host(BEN)
    zoom.people.book(ANNA, "Hers", TOMORROW)
    zoom.people.book(BEN, "His", TOMORROW)

    pages = await swept(another(bench, hosts=(BEN, "nobody@acme.example")), bench.window)

    assert covered(pages) == {ben}
    assert [s.scope for s in sightings(pages)] == [ben]
    problems = [p.reason for page in pages for p in page.problems]
    assert len(problems) == 1
    assert "nobody" not in problems[0]


async def test_an_expired_page_token_starts_the_list_of_that_host_anew(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    numbers = {zoom.people.book(ANNA, "Many", TOMORROW + timedelta(minutes=n)) for n in range(301)}
    refusal = {"code": 300, "message": "The next page token is invalid or expired."}
    zoom.faults.append(Fault(path=LIST, status=400, body=refusal, skip=1))

    pages = await bench.pages()

    assert {s.external_id for s in sightings(pages)} == numbers
    assert len(covered(pages)) == 1
    assert zoom.count("GET", "/v2/users/{userId}/meetings") == 4


async def test_page_tokens_that_never_work_leave_the_host_uncovered(bench: Bench, zoom: ZoomSandbox) -> None:
    for minute in range(301):
        zoom.people.book(ANNA, "Many", TOMORROW + timedelta(minutes=minute))
    broken = lambda body: body.replace(b'"next_page_token":"', b'"next_page_token":"spoilt')  # noqa: E731
    zoom.faults.append(Fault(path=LIST, rewrite=broken, times=None))

    pages = await bench.pages()

    assert covered(pages) == frozenset()
    assert [p.scope for page in pages for p in page.problems] != []
    assert zoom.count("GET", "/v2/users/{userId}/meetings") <= 6


async def test_all_pages_of_a_host_are_read_before_the_first_series(bench: Bench, zoom: ZoomSandbox) -> None:
    zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    for minute in range(301):
        zoom.people.book(ANNA, "Many", TOMORROW + timedelta(minutes=minute))

    pages = await bench.pages()

    operations = [operation for _, operation, _ in bench.sent if operation != "token"]
    assert operations == ["list_users", "list_meetings", "list_meetings", "get_meeting"]
    assert max(len(page.sightings) for page in pages) <= 300


async def test_a_series_deleted_between_list_and_read_is_passed_over(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    gone = {"code": 3001, "message": "Meeting does not exist."}
    zoom.faults.append(Fault(path=f"/v2/meetings/{number}", status=404, body=gone))

    pages = await bench.pages()

    assert sightings(pages) == []
    assert len(covered(pages)) == 1
    assert [p for page in pages for p in page.problems] == []


async def test_a_series_that_cannot_be_read_leaves_its_host_uncovered(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    zoom.people.book(ANNA, "Kept", TOMORROW)
    zoom.faults.append(Fault(path=f"/v2/meetings/{number}", status=500, times=None))

    pages = await bench.pages()

    assert len(sightings(pages)) == 1
    assert covered(pages) == frozenset()
    assert [p.external_id for page in pages for p in page.problems] == [number]


async def test_an_answer_404_without_zooms_code_is_no_proof_of_absence(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    number = zoom.people.book(ANNA, "Kept", TOMORROW)
    zoom.faults.append(Fault(path=f"/v2/meetings/{number}", status=404, body="<html>", times=None))

    with pytest.raises(UnavailableError):
        await bench.adapter.confirm_absence(number)


async def test_leaving_a_sweep_early_ends_its_requests(bench: Bench, zoom: ZoomSandbox) -> None:
    for number in range(12):
        zoom.add_host(f"host{number}@acme.example")
        zoom.people.book(f"host{number}@acme.example", "One", TOMORROW)
    adapter = another(bench, concurrency=1)

    pages = adapter.sweep(bench.window)
    await anext(pages)
    await pages.aclose()  # type: ignore[attr-defined]

    asked = zoom.count("GET", "/v2/users/{userId}/meetings")
    assert asked < 12
    await adapter.canary()
    assert zoom.count("GET", "/v2/users/{userId}/meetings") == asked


# -- what rows and reads show -----------------------------------------------------------------------------


async def test_a_long_agenda_is_known_only_by_a_read(bench: Bench, zoom: ZoomSandbox) -> None:
    agenda = "a" * 249 + "b" * 100
    number = zoom.people.book(ANNA, "Long", TOMORROW, agenda=agenda)

    row = bench.adapter.translate((await bench.sightings())[0])
    read = await bench.adapter.read(number)

    assert Field.DESCRIPTION not in row.values
    assert Field.PARTICIPANTS not in row.values
    assert not row.complete
    assert read.values[Field.DESCRIPTION] == agenda


async def test_no_fixed_time_is_no_record_and_a_personal_room_is_read_only(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.people.book_standing(ANNA, "Room")
    zoom.people.start_instant(ANNA)
    room = zoom.people.book_in_personal_room(ANNA, "In my room", TOMORROW)

    seen = await bench.sightings()

    assert [s.external_id for s in seen] == [room]
    shown = bench.adapter.translate(seen[0])
    read = await bench.adapter.read(room)
    assert shown.read_only
    assert read.read_only
    assert not read.deletable
    assert shown.fingerprint == read.fingerprint
    with pytest.raises(UnholdableError):
        await bench.adapter.prepare(bench.changing(Operation.DELETE, read))


async def test_a_reassigned_host_changes_the_organizer_and_not_the_id(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    ben = zoom.add_host(BEN)
    number = zoom.people.book(ANNA, "Handed over", TOMORROW)
    before = await bench.sighting(number)
    zoom.people.reassign_host(number, BEN)

    after = await bench.sighting(number)

    assert before is not None
    assert after is not None
    assert after.scope == ben
    assert after.fingerprint != before.fingerprint
    assert bench.adapter.translate(after).values[Field.ORGANIZER] == BEN


async def test_a_private_meeting_is_marked_private(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "Secret", TOMORROW)
    zoom.people.set_private(number)

    assert (await bench.adapter.read(number)).private


async def test_a_meeting_that_became_a_webinar_is_unmappable_and_not_absent(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    number = zoom.people.book(ANNA, "Grown", TOMORROW)
    zoom.people.convert_to_webinar(number)

    with pytest.raises(UnmappableRecordError, match="webinar"):
        await bench.adapter.read(number)
    with pytest.raises(UnmappableRecordError, match="webinar"):
        await bench.adapter.confirm_absence(number)


async def test_host_credentials_and_passcodes_are_kept_nowhere(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "One", TOMORROW)
    zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)

    seen = await bench.sightings()
    read = await bench.adapter.read(number)

    kept = json.dumps([dict(s.raw) for s in seen]) + repr(read)
    assert "start_url" not in kept
    assert "zak=" not in kept
    assert "password" not in kept


# -- creating ---------------------------------------------------------------------------------------------


async def test_a_create_mails_nobody_and_stays_out_of_the_personal_room(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    sealed = await sealed_create(bench)

    written = await bench.adapter.send(sealed)

    settings = json.loads(sealed.body or "")["settings"]
    silent = {
        "use_pmi", "email_notification", "registrants_email_notification", "registrants_confirmation_email",
        "alternative_hosts_email_notification", "push_change_to_calendar",
    }  # fmt: skip
    assert {name: settings[name] for name in silent} == dict.fromkeys(silent, False)
    assert zoom.mails_sent == []
    assert written.observation is not None
    assert written.observation.complete


async def test_a_start_is_sent_in_utc_without_offset_and_fractions(bench: Bench) -> None:
    start = datetime(2026, 12, 1, 9, 0, 0, 123456, tzinfo=UTC)

    body = json.loads((await sealed_create(bench, start=start)).body or "")

    assert body["start_time"] == "2026-12-01T09:00:00Z"
    assert (body["timezone"], body["duration"], body["type"]) == ("Europe/Berlin", 30, 2)


@pytest.mark.parametrize("minutes", [-60, 0, 1])
async def test_a_meeting_that_does_not_lie_ahead_is_not_created(bench: Bench, minutes: int) -> None:
    with pytest.raises(UnholdableError):
        await sealed_create(bench, start=bench.now + timedelta(minutes=minutes))


async def test_a_create_that_waited_past_its_start_is_not_sent(bench: Bench, zoom: ZoomSandbox) -> None:
    sealed = await sealed_create(bench, start=bench.now + timedelta(hours=1))
    bench.advance(timedelta(hours=2))

    with pytest.raises(UnholdableError):
        await bench.adapter.send(sealed)

    assert zoom.records() == []


async def test_a_meeting_stored_with_another_start_is_reported_and_left_alone(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    sealed = await sealed_create(bench)
    body = json.loads(sealed.body or "")
    del body["start_time"]

    with pytest.raises(RefusedError, match="another start"):
        await bench.adapter.send(replace(sealed, body=json.dumps(body)))

    assert len(zoom.records()) == 1


async def test_the_organizer_hosts_if_she_can_else_the_default_host_else_nobody(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    ben = zoom.add_host(BEN)
    with_default = another(bench, default_host=BEN)

    own = await sealed_create(bench)
    other = await with_default.prepare(bench.creating(meeting(organizer="cleo@elsewhere.example")))

    assert own.scope != ben
    assert other.scope == ben
    with pytest.raises(UnholdableError, match="default_host"):
        await bench.adapter.prepare(bench.creating(meeting(organizer="cleo@elsewhere.example")))


async def test_our_mark_travels_in_a_tracking_field_where_the_account_has_one(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.add_tracking_field("sync_ref")
    write = bench.creating(meeting())

    written = await bench.carry_out(write)

    assert written.observation is not None
    assert written.observation.marks == {write.meeting_id}
    assert dict(bench.adapter.memory) == {"has_sync_ref": True}


async def test_tracking_fields_are_asked_for_once_and_may_be_out_of_reach(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.scopes.discard("tracking_field:read:list_tracking_fields:admin")

    bodies = [(await sealed_create(bench)).body or "" for _ in range(2)]
    reborn = another(bench, memory=dict(bench.adapter.memory))
    bodies.append((await reborn.prepare(bench.creating(meeting()))).body or "")

    assert not any("tracking_fields" in body for body in bodies)
    assert zoom.count("GET", "/v2/tracking_fields") <= 2


async def test_a_marked_meeting_is_found_before_one_that_only_looks_alike(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.add_tracking_field("sync_ref")
    sealed = await sealed_create(bench)
    twin = zoom.people.book(ANNA, "Kick-off", TOMORROW, 30)
    zoom.people.book(ANNA, "Kick-off", TOMORROW, 30, tracking_fields={"sync_ref": "somebody else's"})
    zoom.faults.append(Fault(method="POST", path=LIST, cut=True, moment=Moment.AFTER))
    with pytest.raises(OutcomeUnknownError):
        await bench.adapter.send(sealed)

    found = await bench.adapter.find(sealed)

    assert len(found) == 2
    assert found[0].marks == {sealed.details["meeting_id"]}
    assert found[1].external_id == twin


async def test_a_meeting_that_was_there_before_the_intent_is_not_found(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.people.book(ANNA, "Kick-off", TOMORROW, 30, created_at=START - timedelta(minutes=3))

    sealed = await sealed_create(bench)

    assert list(await bench.adapter.find(sealed)) == []


# -- updating ---------------------------------------------------------------------------------------------


async def test_an_update_sends_the_changed_fields_and_no_notification_flag(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    seen = await bench.adapter.read(zoom.people.book(ANNA, "Old", TOMORROW, 30))

    title = await bench.adapter.prepare(bench.updating(seen, {Field.TITLE: "New"}))
    people = (Participant("a@customer.example"), Participant("b@customer.example"))
    guests = await bench.adapter.prepare(bench.updating(seen, {Field.PARTICIPANTS: people}))

    assert json.loads(title.body or "") == {"topic": "New"}
    emails = [{"email": "a@customer.example"}, {"email": "b@customer.example"}]
    assert json.loads(guests.body or "") == {"settings": {"meeting_invitees": emails}}
    assert title.scope == guests.scope == seen.scope


async def test_a_schedule_is_always_sent_whole_and_ahead(bench: Bench, zoom: ZoomSandbox) -> None:
    seen = await bench.adapter.read(zoom.people.book(ANNA, "Old", TOMORROW, 30))
    longer = Schedule.timed(TOMORROW, timedelta(minutes=45), "Asia/Ho_Chi_Minh")
    past = Schedule.timed(START - timedelta(hours=1), timedelta(minutes=45), "UTC")

    sealed = await bench.adapter.prepare(bench.updating(seen, {Field.SCHEDULE: longer}))

    expected = {"start_time": "2026-11-17T09:00:00Z", "duration": 45, "timezone": "Asia/Saigon"}
    assert json.loads(sealed.body or "") == expected
    with pytest.raises(UnholdableError):
        await bench.adapter.prepare(bench.updating(seen, {Field.SCHEDULE: past}))


async def test_what_zoom_dropped_silently_shows_in_what_comes_back(bench: Bench, zoom: ZoomSandbox) -> None:
    zoom.patch_merges_arrays = True
    number = zoom.people.book(ANNA, "Old", TOMORROW, 30, invitees=["a@customer.example"])
    seen = await bench.adapter.read(number)

    change: dict[Field, Value] = {Field.PARTICIPANTS: (Participant("b@customer.example"),)}
    written = await bench.carry_out(bench.updating(seen, change))

    assert written.observation is not None
    people = written.observation.values[Field.PARTICIPANTS]
    assert people == (Participant("a@customer.example"), Participant("b@customer.example"))


async def test_a_text_somebody_edited_seconds_ago_is_not_overwritten(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "Old", TOMORROW, 30, agenda="one")
    seen = await bench.adapter.read(number)
    zoom.people.describe(number, "one, and two")

    with pytest.raises(StaleWriteError) as caught:
        await bench.adapter.prepare(bench.updating(seen, {Field.DESCRIPTION: "three"}))

    assert caught.value.observation.values[Field.DESCRIPTION] == "one, and two"


async def test_a_write_on_a_fresh_base_costs_one_write_and_one_read_back(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    seen = await bench.adapter.read(zoom.people.book(ANNA, "Old", TOMORROW, 30))
    zoom.reset_counters()

    await bench.carry_out(bench.updating(seen, {Field.TITLE: "New"}))

    assert (zoom.count("PATCH"), zoom.count("GET"), zoom.requests.total()) == (1, 1, 2)


async def test_an_update_is_done_even_when_the_read_back_fails(bench: Bench, zoom: ZoomSandbox) -> None:
    seen = await bench.adapter.read(zoom.people.book(ANNA, "Old", TOMORROW, 30))
    sealed = await bench.adapter.prepare(bench.updating(seen, {Field.TITLE: "New"}))
    zoom.faults.append(Fault(method="GET", status=500, times=None))

    written = await bench.adapter.send(sealed)

    assert (written.external_id, written.observation) == (seen.external_id, None)


async def test_an_update_of_unknown_outcome_is_not_repeated_and_can_be_looked_up(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    seen = await bench.adapter.read(zoom.people.book(ANNA, "Old", TOMORROW, 30))
    sealed = await bench.adapter.prepare(bench.updating(seen, {Field.TITLE: "New"}))
    zoom.faults.append(Fault(method="PATCH", status=502, moment=Moment.AFTER, times=None))

    with pytest.raises(OutcomeUnknownError):
        await bench.adapter.send(sealed)

    assert zoom.count("PATCH") == 1
    assert [o.values[Field.TITLE] for o in await bench.adapter.find(sealed)] == ["New"]


async def test_moving_one_occurrence_leaves_the_others_alone(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY, zone="UTC")
    dates = zoom.people.occurrences(number)
    seen = await bench.adapter.read(f"{number}/{dates[1][0]}")
    moved = Schedule.timed(dates[1][1] + timedelta(hours=2), timedelta(minutes=20), "UTC")

    written = await bench.carry_out(bench.updating(seen, {Field.SCHEDULE: moved}))

    assert written.external_id == seen.external_id
    assert written.observation is not None
    assert written.observation.values[Field.SCHEDULE] == moved
    others = [date for date in zoom.people.occurrences(number) if date[0] != dates[1][0]]
    assert others == [date for date in dates if date[0] != dates[1][0]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field.TITLE, "New"),
        (Field.DESCRIPTION, "New"),
        (Field.PARTICIPANTS, (Participant("b@customer.example"),)),
    ],
)
async def test_what_one_occurrence_cannot_change_is_refused_before_sending(
    bench: Bench, zoom: ZoomSandbox, field: Field, value: Value
) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    seen = await bench.adapter.read(f"{number}/{zoom.people.occurrences(number)[0][0]}")

    assert field in seen.fixed
    with pytest.raises(UnholdableError):
        await bench.adapter.prepare(bench.updating(seen, {field: value}))


async def test_the_zone_of_one_occurrence_cannot_be_changed(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY, zone="UTC")
    seen = await bench.adapter.read(f"{number}/{zoom.people.occurrences(number)[0][0]}")
    schedule = seen.values[Field.SCHEDULE]
    assert isinstance(schedule, Schedule)

    change: dict[Field, Value] = {Field.SCHEDULE: replace(schedule, zone="Europe/Berlin")}
    with pytest.raises(UnholdableError, match="zone"):
        await bench.adapter.prepare(bench.updating(seen, change))


# -- deleting ---------------------------------------------------------------------------------------------


async def test_deleting_one_occurrence_never_touches_the_series(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    dates = zoom.people.occurrences(number)
    seen = await bench.adapter.read(f"{number}/{dates[2][0]}")

    await bench.carry_out(bench.changing(Operation.DELETE, seen))

    assert zoom.people.occurrences(number) == [date for date in dates if date != dates[2]]
    with pytest.raises(RecordGoneError):
        await bench.carry_out(bench.changing(Operation.DELETE, seen))


async def test_an_occurrence_deleted_between_seal_and_send_counts_as_gone(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    one = zoom.people.occurrences(number)[2][0]
    seen = await bench.adapter.read(f"{number}/{one}")
    sealed = await bench.adapter.prepare(bench.changing(Operation.DELETE, seen))
    zoom.people.cancel_occurrence(number, one)

    with pytest.raises(RecordGoneError):
        await bench.adapter.send(sealed)


async def test_a_single_delete_never_deletes_a_series(bench: Bench, zoom: ZoomSandbox) -> None:
    single = await bench.adapter.read(zoom.people.book(ANNA, "One", TOMORROW))
    for number in (
        zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY),
        zoom.people.book_standing(ANNA, "Room"),
    ):
        with pytest.raises(RefusedError, match="not a single one"):
            await bench.adapter.prepare(replace(bench.changing(Operation.DELETE, single), external_id=number))

    assert not any(record["deleted"] for record in zoom.records())
    assert zoom.count("DELETE") == 0


async def test_a_delete_mails_nobody(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "One", TOMORROW)
    zoom.people.register(number, "guest@customer.example")
    seen = await bench.adapter.read(number)

    sealed = await bench.adapter.prepare(bench.changing(Operation.DELETE, seen))
    await bench.adapter.send(sealed)

    assert "schedule_for_reminder=false" in sealed.path
    assert "cancel_meeting_reminder=false" in sealed.path
    assert zoom.mails_sent == []
    assert sealed.scope == bench.adapter.write_scope(bench.changing(Operation.DELETE, seen)) == ""


async def test_a_meeting_edited_since_is_not_deleted(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "One", TOMORROW)
    seen = await bench.adapter.read(number)
    zoom.people.rename(number, "One, with a new purpose")

    with pytest.raises(StaleWriteError):
        await bench.adapter.prepare(bench.changing(Operation.DELETE, seen))


# -- limits and errors ------------------------------------------------------------------------------------


async def test_a_spent_host_limit_waits_for_midnight_and_names_the_host_alone(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.host_daily_cap = 1
    zoom.retry_after_form = "absent"
    anna = (await bench.carry_out(bench.creating(meeting()))).observation
    assert anna is not None

    with pytest.raises(RateLimitedError) as caught:
        await bench.carry_out(bench.creating(meeting(title="Second")))

    assert caught.value.scope == anna.scope
    assert caught.value.retry_at == datetime(2026, 11, 17, tzinfo=UTC)


@pytest.mark.parametrize("form", ["iso", "seconds", "http_date", "absent"])
async def test_a_spent_daily_quota_waits_for_what_zoom_says_else_for_midnight(
    bench: Bench, zoom: ZoomSandbox, form: Any
) -> None:
    zoom.retry_after_form = form
    body = {"code": 429, "message": "You have reached the maximum daily rate limit for this API."}
    named = {
        "iso": "2026-11-17T00:00:00Z",
        "seconds": "54000",
        "http_date": "Tue, 17 Nov 2026 00:00:00 GMT",
        "absent": "",
    }
    headers = {"Retry-After": named[form]} if named[form] else {}
    zoom.faults.append(Fault(method="GET", status=429, body=body, headers=headers, times=None))

    with pytest.raises(RateLimitedError) as caught:
        await bench.adapter.canary()

    assert caught.value.retry_at == datetime(2026, 11, 17, tzinfo=UTC)
    assert caught.value.scope == ""


@pytest.mark.parametrize("message", ["maximum per-second rate limit", "Too many concurrent requests"])
async def test_a_short_limit_is_waited_out(bench: Bench, zoom: ZoomSandbox, message: str) -> None:
    zoom.faults.append(Fault(method="GET", status=429, body={"code": 429, "message": message}, times=2))

    await bench.adapter.canary()

    assert len(bench.waits) == 2
    assert all(0.9 <= wait <= 5 for wait in bench.waits)


@pytest.mark.parametrize("status", [400, 401])
async def test_an_expired_token_is_renewed_once_whatever_its_status(
    bench: Bench, zoom: ZoomSandbox, status: Any
) -> None:
    zoom.token_error_status = status
    zoom.token_lives = timedelta(days=1)
    await bench.adapter.canary()
    zoom.faults.append(Fault(method="GET", status=status, body={"code": 124, "message": "expired"}))

    await bench.adapter.canary()

    assert zoom.count("POST", "/oauth/token") == 2


async def test_a_token_is_bought_anew_before_it_ends(bench: Bench, zoom: ZoomSandbox) -> None:
    await bench.adapter.canary()
    bench.advance(timedelta(seconds=3590))

    await bench.adapter.canary()

    assert zoom.count("POST", "/oauth/token") == 2
    assert [status for _, _, status in bench.sent] == [200, 200, 200, 200]


async def test_requests_at_once_share_one_token(bench: Bench, zoom: ZoomSandbox) -> None:
    for number in range(6):
        zoom.add_host(f"host{number}@acme.example")

    await bench.pages()

    assert zoom.count("POST", "/oauth/token") == 1


async def test_a_missing_scope_is_named_with_its_fix(bench: Bench, zoom: ZoomSandbox) -> None:
    zoom.people.book(ANNA, "One", TOMORROW)
    zoom.scopes.discard("meeting:read:list_meetings:admin")

    with pytest.raises(CredentialsError, match="meeting:read:list_meetings"):
        await bench.pages()
    findings = await bench.adapter.check()

    ill = [finding for finding in findings if not finding.ok]
    assert any("meeting:read:list_meetings" in finding.subject + finding.detail for finding in ill)
    assert all(finding.fix for finding in ill)


async def test_a_success_with_an_error_inside_is_an_error(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "One", TOMORROW)
    body = json.dumps({"code": 200, "message": "No permission."}).encode()
    zoom.faults.append(Fault(method="GET", rewrite=lambda _: body, times=None))

    with pytest.raises(RefusedError):
        await bench.adapter.read(number)


async def test_an_error_page_in_xml_is_survived(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "One", TOMORROW)
    zoom.faults.append(Fault(method="GET", status=400, body="<Error><code>300</code></Error>"))

    with pytest.raises(RefusedError):
        await bench.adapter.read(number)


async def test_writes_for_one_host_go_one_after_another(bench: Bench, zoom: ZoomSandbox) -> None:
    sealed = [await sealed_create(bench, start=TOMORROW + timedelta(hours=n)) for n in range(3)]
    zoom.faults.append(Fault(method="POST", path=LIST, delay_seconds=0.05, times=None))

    began = time.perf_counter()
    sent = await asyncio.gather(*(bench.adapter.send(one) for one in sealed))

    assert time.perf_counter() - began >= 3 * 0.05
    assert len({written.external_id for written in sent}) == 3


# -- user tokens ------------------------------------------------------------------------------------------


def refresh_token_of(zoom: ZoomSandbox, host: str) -> str:
    """Authorise the app as a user and trade the code, as an operator does once."""
    code = zoom.people.authorize(host)
    answer = httpx.post(
        zoom.token_url,
        data={"grant_type": "authorization_code", "code": code},
        auth=(zoom.client_id, zoom.client_secret),
        trust_env=False,
    )
    return str(answer.json()["refresh_token"])


async def test_a_users_refresh_token_rotates_and_the_newest_is_kept(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "Hers", TOMORROW)
    token = refresh_token_of(zoom, ANNA)
    around = bench.surroundings()
    adapter = ZoomAdapter(settings_for(zoom, account_id="", refresh_token=SecretStr(token)), around)
    bench.adapters.append(adapter)

    identity = await adapter.canary()
    seen = sightings(await swept(adapter, bench.window))
    kept = around.vault.load()
    bench.advance(timedelta(hours=2))
    await adapter.canary()

    assert identity.account_id == zoom.account_id
    assert [s.external_id for s in seen] == [number]
    assert token != kept != around.vault.load()


async def test_another_process_that_renewed_first_is_followed(bench: Bench, zoom: ZoomSandbox) -> None:
    around = bench.surroundings()
    token = refresh_token_of(zoom, ANNA)
    settings = settings_for(zoom, account_id="", refresh_token=SecretStr(token))
    one, two = ZoomAdapter(settings, around), ZoomAdapter(settings, around)
    bench.adapters += [one, two]
    await one.canary()

    identity = await two.canary()

    assert identity.account_id == zoom.account_id


async def test_a_revoked_authorisation_wants_a_person_and_a_new_one_is_taken(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    around = bench.surroundings()
    old = refresh_token_of(zoom, ANNA)
    one = ZoomAdapter(settings_for(zoom, account_id="", refresh_token=SecretStr(old)), around)
    await one.canary()
    new = refresh_token_of(zoom, ANNA)
    bench.advance(timedelta(hours=2))
    two = ZoomAdapter(settings_for(zoom, account_id="", refresh_token=SecretStr(new)), around)
    bench.adapters += [one, two]

    with pytest.raises(CredentialsError):
        await one.canary()
    identity = await two.canary()

    assert identity.account_id == zoom.account_id


# -- transcripts and series reads -------------------------------------------------------------------------


async def test_a_transcript_is_found_by_uuid_and_downloaded(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book(ANNA, "One", START + timedelta(minutes=5))
    uuid = zoom.people.end_meeting(number, transcript="WEBVTT\n\n00:01.000 --> 00:02.000\nHello")
    client = first(bench).client

    by_uuid, by_number = await client.get_transcript(uuid), await client.get_transcript(number)
    text = await client.download(by_uuid.download_url)

    assert by_uuid == by_number
    assert text.startswith(b"WEBVTT")


async def test_a_download_does_not_leave_zooms_domain(bench: Bench, zoom: ZoomSandbox) -> None:
    client = first(bench).client
    await bench.adapter.canary()
    before = len(bench.sent)

    for url in (
        "https://evil.example/zoom.us",
        "https://zoom.us.evil.example/x",
        "http://zoom.us/x",
        "https://notzoom.us/x",
    ):
        with pytest.raises(RefusedError, match="domain"):
            await client.download(url)

    assert len(bench.sent) == before


async def test_a_download_is_not_redirected_out_of_zooms_domain(bench: Bench, zoom: ZoomSandbox) -> None:
    headers = {"Location": "https://evil.example/stolen"}
    zoom.faults.append(Fault(path=r"/v2/transcripts/.*", status=302, headers=headers))

    with pytest.raises(RefusedError, match="domain"):
        await first(bench).client.download(f"{zoom.url}/transcripts/abc")


async def test_a_webhook_about_a_series_can_be_followed_by_one_read(bench: Bench, zoom: ZoomSandbox) -> None:
    number = zoom.people.book_series(ANNA, "Standup", TOMORROW, 15, DAILY)
    swept_ids = {s.external_id: s.fingerprint for s in await bench.sightings()}
    zoom.reset_counters()

    read = await first(bench).read_group(number, bench.window)

    assert {o.external_id: o.fingerprint for o in read.observations} == swept_ids
    assert zoom.requests.total() == 1


async def test_check_names_hosts_and_required_tracking_fields_that_stand_in_the_way(
    bench: Bench, zoom: ZoomSandbox
) -> None:
    zoom.add_tracking_field("cost centre", required=True)
    adapter = another(bench, hosts=(ANNA, "nobody@acme.example"), default_host="nobody@acme.example")

    ill = {finding.subject for finding in await adapter.check() if not finding.ok}

    assert ill == {"hosts", "default_host", "tracking fields"}
