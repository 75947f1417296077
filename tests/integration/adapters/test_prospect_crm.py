from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from sync_engine.core.meeting import Field, Schedule, participants
from sync_engine.core.owned_block import split
from sync_engine.core.ports import Operation
from sync_engine.errors import (
    CredentialsError,
    NeedsReviewError,
    OutcomeUnknownError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    UnholdableError,
)
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.sandbox.world import World
from tests.integration.adapters.prospect_crm_bench import GUEST, LINK, RITA, SAM, START, WINDOW, CrmBench

MEETINGS = "/v2/meetings"
ONE_MEETING = "/v2/meetings/[^/]+"


@pytest.fixture
async def bench() -> AsyncIterator[CrmBench]:
    with World(seed=1, start=START) as world:
        bench = CrmBench(world)
        try:
            yield bench
        finally:
            await bench.close()


# -- listing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("meetings", "requests"), [(0, 1), (1, 1), (200, 1), (201, 2), (401, 3)])
async def test_a_sweep_costs_one_request_for_200_meetings_and_nothing_else(
    bench: CrmBench, meetings: int, requests: int
) -> None:
    for number in range(meetings):
        bench.book(number)

    seen = await bench.sightings()
    for sighting in seen:
        bench.adapter.translate(sighting)

    assert len(seen) == meetings
    assert bench.crm.requests.total() == requests


async def test_a_row_is_complete_once_its_prospect_was_met(bench: CrmBench) -> None:
    first, second = bench.book(1), bench.book(2)
    assert not any(bench.adapter.translate(s).complete for s in await bench.sightings())

    await bench.adapter.read(first)
    bench.crm.reset_counters()
    rows = {s.external_id: bench.adapter.translate(s) for s in await bench.sightings()}

    assert rows[second].complete
    assert rows[second].values[Field.PARTICIPANTS] == participants([GUEST])
    assert bench.sent() == [("GET", MEETINGS)]


async def test_prospects_are_remembered_by_the_next_process(bench: CrmBench) -> None:
    meeting = bench.book(1)
    await bench.adapter.read(meeting)

    other = bench.another(json.loads(json.dumps(bench.adapter.memory)))

    (sighting,) = await bench.sightings(other)
    assert other.translate(sighting).complete


@pytest.mark.parametrize("inclusive", [True, False])
async def test_the_window_is_covered_whether_bounds_are_inclusive_or_not(
    bench: CrmBench, inclusive: bool
) -> None:
    bench.crm.bounds_inclusive = inclusive
    first = bench.crm.people.book(bench.jane, WINDOW.start)
    last = bench.crm.people.book(bench.jane, WINDOW.end - timedelta(seconds=1))

    assert {s.external_id for s in await bench.sightings()} == {first, last}


async def test_junk_in_the_far_future_is_not_listed(bench: CrmBench) -> None:
    bench.crm.people.book(bench.jane, START.replace(year=2099))

    assert await bench.sightings() == []


@pytest.mark.parametrize("shape", ["G2", "G3 with null", "G3 with nothing"])
async def test_every_form_of_a_last_page_ends_the_listing(bench: CrmBench, shape: str) -> None:
    bench.crm.generation = "G2" if shape == "G2" else "G3"
    bench.crm.last_page_token = "absent" if shape == "G3 with nothing" else "null"
    for number in range(201):
        bench.book(number)

    pages = [page async for page in bench.adapter.sweep(WINDOW)]

    assert [bool(page.covered) for page in pages] == [False, True]
    assert sum(len(page.sightings) for page in pages) == 201


async def test_a_listing_starts_again_when_the_record_its_token_stands_on_is_deleted(bench: CrmBench) -> None:
    booked = [bench.book(number) for number in range(450)]
    pages = bench.adapter.sweep(WINDOW)
    seen = [s.external_id for s in (await anext(pages)).sightings]

    bench.crm.people.cancel(seen[-1])
    covered = set[str]()
    async for page in pages:
        seen += [s.external_id for s in page.sightings]
        covered |= page.covered

    assert sorted(seen) == sorted(booked)
    assert covered


async def test_a_meeting_that_moves_while_pages_are_read_is_shown_once_for_each_form(bench: CrmBench) -> None:
    for number in range(250):
        bench.book(number)
    pages = bench.adapter.sweep(WINDOW)
    first = await anext(pages)
    moved = first.sightings[0]

    bench.crm.people.move(moved.external_id, START + timedelta(minutes=1))
    rest = [s async for page in pages for s in page.sightings]

    again = [s for s in rest if s.external_id == moved.external_id]
    assert len(again) == 1
    assert again[0].fingerprint != moved.fingerprint
    assert len({s.external_id for s in [*first.sightings, *rest]}) == 250


async def test_a_listing_that_goes_round_in_circles_covers_nothing(bench: CrmBench) -> None:
    bench.book(1)

    def same_token(body: bytes) -> bytes:
        page = json.loads(body)
        page["pagination"]["nextPageToken"] = "eyJpZCI6ImEifQ"
        return json.dumps(page).encode()

    bench.crm.faults.append(
        Fault(path=MEETINGS, rewrite=same_token, moment=Moment.AFTER, times=1),
    )
    bench.crm.faults.append(
        Fault(
            path=MEETINGS,
            status=200,
            times=None,
            body={"items": [], "pagination": {"nextPageToken": "eyJpZCI6ImEifQ"}},
        )
    )

    pages = [page async for page in bench.adapter.sweep(WINDOW)]

    assert len(pages) <= 3
    assert not any(page.covered for page in pages)
    assert any(page.problems for page in pages)


async def test_an_empty_page_with_a_token_is_not_the_end(bench: CrmBench) -> None:
    meeting = bench.book(1)
    empty = {"success": True, "items": [], "pagination": {"nextPageToken": ""}}
    anchor = bench.crm.people.book(bench.jane, START.replace(year=2099))
    from sync_engine.sandbox.prospect_crm.fields import page_token

    empty["pagination"] = {"nextPageToken": page_token(anchor)}
    bench.crm.faults.append(Fault(path=MEETINGS, status=200, body=empty, times=1))

    assert [s.external_id for s in await bench.sightings()] == [meeting]


async def test_a_row_without_an_id_is_a_problem_without_words_of_people(bench: CrmBench) -> None:
    row = {"notes": "secret words", "location": "secret place", "meetingDate": 5}
    body = {"success": True, "items": [row, "junk"], "pagination": {}}
    bench.crm.faults.append(Fault(path=MEETINGS, status=200, body=body))

    pages = [page async for page in bench.adapter.sweep(WINDOW)]

    assert len(pages[0].problems) == 2
    assert "secret" not in repr(pages[0].problems)


async def test_a_review_changes_nothing_we_would_act_on(bench: CrmBench) -> None:
    bench.book(1)
    (before,) = await bench.sightings()
    bench.world.clock.advance(timedelta(hours=2))

    bench.crm.people.review(before.external_id, {"stars": 4})

    (after,) = await bench.sightings()
    assert after.raw["updatedAt"] != before.raw["updatedAt"]
    assert after.fingerprint == before.fingerprint


async def test_a_reschedule_out_of_the_window_is_no_deletion(bench: CrmBench) -> None:
    meeting = bench.book(1)
    bench.crm.people.move(meeting, WINDOW.end + timedelta(days=30))

    assert await bench.sightings() == []
    assert (await bench.adapter.confirm_absence(meeting)).observation is not None


@pytest.mark.parametrize("soft", [False, True])
async def test_a_deletion_is_known_by_a_read_only(bench: CrmBench, soft: bool) -> None:
    bench.crm.soft_delete = soft
    meeting = bench.book(1)
    bench.crm.people.cancel(meeting)

    assert (await bench.adapter.confirm_absence(meeting)).observation is None


# -- prospects -----------------------------------------------------------------------------------------


async def test_a_prospect_who_was_deleted_is_asked_for_once(bench: CrmBench) -> None:
    meeting = bench.book(1)
    bench.crm.people.remove_prospect(bench.jane)

    first = await bench.adapter.read(meeting)
    bench.crm.reset_counters()
    second = await bench.adapter.read(meeting)

    assert first.complete
    assert Field.PARTICIPANTS not in second.values
    assert bench.sent() == [("GET", f"{MEETINGS}/{meeting}")]


async def test_a_new_address_of_a_prospect_is_seen_within_a_day(bench: CrmBench) -> None:
    meeting = bench.book(1)
    await bench.adapter.read(meeting)
    bench.crm.people.change_email(bench.jane, "new@prospect.example")

    bench.world.clock.advance(timedelta(hours=25))

    seen = await bench.adapter.read(meeting)
    assert seen.values[Field.PARTICIPANTS] == participants(["new@prospect.example"])


async def test_a_meeting_without_a_known_prospect_is_held_and_asked_again_in_an_hour(bench: CrmBench) -> None:
    write = bench.creating(bench.values(participants=participants(["stranger@else.example"])))

    with pytest.raises(UnholdableError) as caught:
        await bench.adapter.prepare(write)

    assert "no known prospect" in caught.value.reason
    assert caught.value.retry_after_seconds == 3600
    assert "stranger" not in str(caught.value)


async def test_a_miss_is_remembered_for_ten_minutes(bench: CrmBench) -> None:
    write = bench.creating(bench.values(participants=participants(["late@else.example"])))
    for _ in range(2):
        with pytest.raises(UnholdableError):
            await bench.adapter.prepare(write)
    assert bench.sent().count(("GET", "/v2/prospects")) == 1

    bench.crm.add_prospect("Late", "Comer", "late@else.example")
    bench.world.clock.advance(timedelta(minutes=11))

    assert (await bench.sealed(write)).operation is Operation.CREATE


@pytest.mark.parametrize("generation", ["G2", "G3"])
async def test_an_address_of_several_prospects_is_a_question_for_a_person(
    bench: CrmBench, generation: Any
) -> None:
    bench.crm.generation = generation
    bench.crm.add_prospect("Jane", "Twin", GUEST.upper())

    with pytest.raises(NeedsReviewError) as caught:
        await bench.adapter.prepare(bench.creating())

    assert GUEST not in str(caught.value)


async def test_of_several_prospects_the_one_met_before_is_taken(bench: CrmBench) -> None:
    await bench.adapter.read(bench.book(1))
    bench.crm.add_prospect("Jane", "Twin", GUEST)
    bench.world.clock.advance(timedelta(days=2))  # what is remembered must be looked up again

    sealed = await bench.sealed(bench.creating())

    assert json.loads(sealed.body or "")["prospectId"] == bench.jane


async def test_an_address_that_only_contains_the_one_asked_for_is_nobody(bench: CrmBench) -> None:
    bench.crm.email_match = "contains"
    bench.crm.add_prospect("Al", "Roe", "also." + "x@else.example")
    write = bench.creating(bench.values(participants=participants(["x@else.example"])))

    with pytest.raises(UnholdableError):
        await bench.adapter.prepare(write)


async def test_more_matches_than_can_be_shown_are_a_question_for_a_person(bench: CrmBench) -> None:
    bench.crm.email_match = "contains"
    for number in range(30):
        bench.crm.add_prospect("N", f"{number}", f"{number}{GUEST}")

    with pytest.raises(NeedsReviewError):
        await bench.adapter.prepare(bench.creating())


async def test_colleagues_are_never_looked_up(bench: CrmBench) -> None:
    adapter = bench.another(internal_domains=["@Acme.example"])
    guests = participants(["boss@acme.example", "desk@berlin.acme.example", SAM])

    with pytest.raises(UnholdableError):
        await adapter.prepare(bench.creating(bench.values(participants=guests)))

    assert bench.sent() == []


async def test_a_plus_in_an_address_arrives_as_a_plus(bench: CrmBench) -> None:
    plus = bench.crm.add_prospect("P", "Lus", "p+tag@else.example")

    sealed = await bench.sealed(
        bench.creating(bench.values(participants=participants(["p+tag@else.example"])))
    )

    assert sealed.details["prospect_id"] == plus


async def test_many_guests_are_looked_up_over_several_attempts(bench: CrmBench) -> None:
    crowd = participants([f"g{number:02}@else.example" for number in range(30)] + ["z@else.example"])
    last = bench.crm.add_prospect("Z", "Z", "z@else.example")
    write = bench.creating(bench.values(participants=crowd))

    with pytest.raises(UnholdableError) as caught:
        await bench.adapter.prepare(write)
    sealed = await bench.sealed(write)

    assert caught.value.retry_after_seconds is not None
    assert caught.value.retry_after_seconds <= 60
    assert sealed.details["prospect_id"] == last


async def test_a_prospect_is_created_only_where_that_is_allowed(bench: CrmBench) -> None:
    adapter = bench.another(create_prospects=True)
    write = bench.creating(bench.values(participants=participants(["new.person@else.example"])))

    first, second = await adapter.prepare(write), await adapter.prepare(write)

    made = bench.crm.account.prospects[str(first.details["prospect_id"])]
    assert (made["firstName"], made["lastName"]) == ("New", "Person")
    assert first == second
    assert len(bench.crm.account.prospects) == 2


@pytest.mark.parametrize("guests", [["no-reply@else.example"], ["a@else.example", "b@else.example"]])
async def test_no_prospect_is_made_of_a_robot_or_a_crowd(bench: CrmBench, guests: list[str]) -> None:
    adapter = bench.another(create_prospects=True)

    with pytest.raises(NeedsReviewError):
        await adapter.prepare(bench.creating(bench.values(participants=participants(guests))))

    assert len(bench.crm.account.prospects) == 1


async def test_a_remembered_prospect_who_is_refused_is_looked_up_again(bench: CrmBench) -> None:
    await bench.adapter.read(bench.book(1))
    bench.crm.people.remove_prospect(bench.jane)
    again = bench.crm.add_prospect("Jane", "Doe", GUEST)

    with pytest.raises(RefusedError):
        await bench.carry_out(bench.creating())
    written = await bench.carry_out(bench.creating())

    assert bench.raw(written.external_id)["prospectId"] == again


# -- creating ------------------------------------------------------------------------------------------


async def test_a_created_meeting_is_attributed_to_our_key(bench: CrmBench) -> None:
    written = await bench.carry_out(bench.creating())

    raw = bench.raw(written.external_id)
    assert (raw["createdByApi"], raw["createdByApiKeyId"]) == (True, bench.crm.key_id)
    assert (raw["location"], raw["timeZone"], raw["ownerId"]) == (LINK, "Europe/Berlin", bench.rita)


async def test_a_meeting_without_a_label_gets_the_one_of_its_place(bench: CrmBench) -> None:
    values = bench.values()
    del values[Field.KIND]

    written = await bench.carry_out(bench.creating(values))

    assert bench.raw(written.external_id)["meetingType"] == "virtual"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({Field.SCHEDULE: Schedule.dates(START.date(), START.date() + timedelta(days=1))}, "all-day"),
        ({Field.SCHEDULE: None}, "without a time"),
    ],
)
async def test_what_has_no_clock_time_is_held(bench: CrmBench, changes: Any, reason: str) -> None:
    values = {name: value for name, value in {**bench.values(), **changes}.items() if value is not None}

    with pytest.raises(UnholdableError) as caught:
        await bench.adapter.prepare(bench.creating(values))

    assert reason in caught.value.reason


async def test_a_meeting_nobody_can_own_is_held_with_the_setting_to_set(bench: CrmBench) -> None:
    adapter = bench.another(default_owner_id="")

    with pytest.raises(UnholdableError) as caught:
        await adapter.prepare(bench.creating(bench.values(organizer="boss@acme.example")))

    assert "default_owner_id" in caught.value.reason


@pytest.mark.parametrize(("organizer", "owner"), [(SAM, "sam"), ("boss@acme.example", "rita"), ("", "rita")])
async def test_the_organizer_or_the_default_owns_a_new_meeting(
    bench: CrmBench, organizer: str, owner: str
) -> None:
    written = await bench.carry_out(bench.creating(bench.values(organizer=organizer)))

    assert bench.raw(written.external_id)["ownerId"] == getattr(bench, owner)


async def test_a_create_that_times_out_while_it_runs_is_one_meeting(bench: CrmBench) -> None:
    adapter = bench.another(timeout_seconds=0.3)
    sealed = await bench.sealed(bench.creating(), adapter)
    bench.crm.processing_seconds = 0.9
    bench.real_sleep = True

    written = await adapter.send(sealed)

    assert [record["id"] for record in bench.crm.records()] == [written.external_id]
    assert 409 in [status for _, _, status in bench.crm.log]


async def test_a_key_that_stays_in_use_ends_in_the_meeting_that_was_made(bench: CrmBench) -> None:
    sealed = await bench.sealed(bench.creating())
    conflict = {"error": "Conflict", "message": "in progress"}
    bench.crm.faults.append(
        Fault(method="POST", path=MEETINGS, status=409, body=conflict, moment=Moment.AFTER, times=None)
    )

    written = await bench.adapter.send(sealed)

    assert [record["id"] for record in bench.crm.records()] == [written.external_id]
    assert len(bench.waits) == 4


async def test_a_key_that_stays_in_use_without_a_meeting_is_an_unknown_outcome(bench: CrmBench) -> None:
    sealed = await bench.sealed(bench.creating())
    bench.crm.faults.append(Fault(method="POST", path=MEETINGS, status=409, body={}, times=None))

    with pytest.raises(OutcomeUnknownError):
        await bench.adapter.send(sealed)


async def test_a_create_without_working_keys_is_never_repeated(bench: CrmBench) -> None:
    bench.crm.generation = "G2"
    sealed = await bench.sealed(bench.creating())
    bench.crm.faults.append(Fault(method="POST", path=MEETINGS, cut=True, moment=Moment.AFTER, times=1))

    with pytest.raises(OutcomeUnknownError):
        await bench.adapter.send(sealed)

    (found,) = await bench.adapter.find(sealed)
    assert [record["id"] for record in bench.crm.records()] == [found.external_id]


async def test_whether_keys_work_is_known_before_the_first_create(bench: CrmBench) -> None:
    bench.crm.generation = "G2"
    known = {bench.jane: {"email": GUEST, "first": "Jane", "last": "Doe", "at": START.timestamp()}}
    adapter = bench.another({"prospects": known})

    sealed = await bench.sealed(bench.creating(), adapter)
    bench.crm.faults.append(Fault(method="POST", path=MEETINGS, status=500, moment=Moment.AFTER, times=1))
    with pytest.raises(OutcomeUnknownError):
        await adapter.send(sealed)

    assert len(bench.crm.records()) == 1


async def test_a_meeting_is_found_by_our_mark_wherever_people_moved_it(bench: CrmBench) -> None:
    sealed = await bench.sealed(bench.creating())
    written = await bench.adapter.send(sealed)
    bench.book(3)
    bench.crm.people.move(written.external_id, START + timedelta(days=20))

    found = await bench.adapter.find(sealed)

    assert [one.external_id for one in found] == [written.external_id]


async def test_a_meeting_whose_block_was_erased_is_found_by_everything_else(bench: CrmBench) -> None:
    sealed = await bench.sealed(bench.creating())
    written = await bench.adapter.send(sealed)
    bench.crm.people.set_notes(written.external_id, "who wrote all this?")

    assert [one.external_id for one in await bench.adapter.find(sealed)] == [written.external_id]

    bench.crm.people.set_location(written.external_id, "elsewhere")
    assert list(await bench.adapter.find(sealed)) == []


async def test_the_meeting_of_another_canonical_record_is_never_found(bench: CrmBench) -> None:
    await bench.carry_out(bench.creating(meeting_id="meeting-2"))

    assert list(await bench.adapter.find(await bench.sealed(bench.creating()))) == []


async def test_a_success_that_reports_a_failure_is_a_refusal(bench: CrmBench) -> None:
    meeting = bench.book(1)
    bench.crm.faults.append(Fault(path=ONE_MEETING, status=200, body={"success": False, "error": "x"}))

    with pytest.raises(RefusedError):
        await bench.adapter.read(meeting)


# -- the block in the notes ----------------------------------------------------------------------------


async def test_a_person_who_moves_a_meeting_keeps_its_length(bench: CrmBench) -> None:
    written = await bench.carry_out(bench.creating())
    bench.crm.people.move(written.external_id, START + timedelta(days=5))

    seen = await bench.adapter.read(written.external_id)

    schedule = seen.values[Field.SCHEDULE]
    assert isinstance(schedule, Schedule)
    assert (schedule.start, schedule.length) == (START + timedelta(days=5), timedelta(minutes=75))
    assert not schedule.assumed_end


async def test_a_change_of_the_end_alone_is_remembered(bench: CrmBench) -> None:
    written = await bench.carry_out(bench.creating())
    assert written.observation is not None
    longer = Schedule.timed(START + timedelta(days=2), timedelta(hours=2), "Europe/Berlin")

    after = await bench.carry_out(bench.updating(written.observation, {Field.SCHEDULE: longer}))

    assert after.observation is not None
    assert after.observation.values[Field.SCHEDULE] == longer


async def test_a_new_title_leaves_what_recruiters_typed(bench: CrmBench) -> None:
    meeting = bench.book(1, notes="Salary talk went badly.\n  - indented")
    seen = await bench.adapter.read(meeting)

    await bench.carry_out(bench.updating(seen, {Field.TITLE: "New title"}))

    parted = split(bench.raw(meeting)["notes"])
    assert parted.text == "Salary talk went badly.\n  - indented"
    assert parted.entries is not None
    assert parted.entries["Title"] == "New title"
    assert Field.DESCRIPTION not in (await bench.adapter.read(meeting)).values


async def test_notes_typed_since_the_plan_was_made_are_kept(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1, notes="first"))
    bench.crm.people.append_notes(seen.external_id, "typed meanwhile")

    await bench.carry_out(bench.updating(seen, {Field.TITLE: "New title"}))

    assert split(bench.raw(seen.external_id)["notes"]).text == "typed meanwhile\nfirst"


async def test_a_shared_description_is_written_around_the_block(bench: CrmBench) -> None:
    adapter = bench.another(notes="description")
    written = await bench.carry_out(bench.creating(bench.values(description="Agenda")), adapter)
    assert written.observation is not None
    assert written.observation.values[Field.DESCRIPTION] == "Agenda"

    await bench.carry_out(bench.updating(written.observation, {Field.DESCRIPTION: "Other"}), adapter)

    parted = split(bench.raw(written.external_id)["notes"])
    assert (parted.text, parted.mark) == ("Other", "meeting-1")


async def test_shared_notes_that_changed_meanwhile_make_the_write_stale(bench: CrmBench) -> None:
    adapter = bench.another(notes="description")
    seen = await adapter.read(bench.book(1, notes="first"))
    bench.crm.people.set_notes(seen.external_id, "typed meanwhile")

    with pytest.raises(StaleWriteError) as caught:
        await adapter.prepare(bench.updating(seen, {Field.DESCRIPTION: "ours"}))

    assert caught.value.observation.values[Field.DESCRIPTION] == "typed meanwhile"


# -- updating ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("verb", ["POST", "PATCH", "PUT"])
async def test_the_verb_that_updates_is_found_once(bench: CrmBench, verb: Any, status: Any) -> None:
    bench.crm.update_method, bench.crm.wrong_verb_status = verb, status
    seen = await bench.adapter.read(bench.book(1, location="Room 1", notes="kept"))

    written = await bench.carry_out(bench.updating(seen, {Field.LOCATION: "Room 2"}))
    assert written.observation is not None
    raw = dict(bench.raw(seen.external_id))
    other = bench.another(json.loads(json.dumps(bench.adapter.memory)))
    bench.crm.reset_counters()
    await bench.carry_out(bench.updating(written.observation, {Field.LOCATION: ""}), other)

    assert (raw["location"], raw["notes"], raw["meetingType"]) == ("Room 2", "kept", "virtual")
    assert bench.raw(seen.external_id)["location"] is None
    writes = [method for method, _ in bench.sent() if method != "GET"]
    assert writes == [verb]
    assert len(bench.sent()) == (2 if verb == "PUT" else 1)


async def test_probing_survives_an_api_that_keeps_refusals_under_their_key(bench: CrmBench) -> None:
    bench.crm.update_method, bench.crm.keys.replays_errors = "PUT", True
    seen = await bench.adapter.read(bench.book(1))

    await bench.carry_out(bench.updating(seen, {Field.LOCATION: "Room 2"}))

    assert bench.raw(seen.external_id)["location"] == "Room 2"


async def test_a_record_that_went_while_the_verb_was_probed_is_gone(bench: CrmBench) -> None:
    bench.crm.wrong_verb_status = 404
    seen = await bench.adapter.read(bench.book(1))
    sealed = await bench.sealed(bench.updating(seen, {Field.LOCATION: "Room 2"}))
    bench.crm.people.cancel(seen.external_id)

    with pytest.raises(RecordGoneError):
        await bench.adapter.send(sealed)
    assert "update_method" not in bench.adapter.memory


async def test_a_verb_that_stops_working_is_found_anew(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1))
    first = await bench.carry_out(bench.updating(seen, {Field.LOCATION: "Room 2"}))
    assert first.observation is not None
    bench.crm.update_method = "POST"

    await bench.carry_out(bench.updating(first.observation, {Field.LOCATION: "Room 3"}))

    assert bench.raw(seen.external_id)["location"] == "Room 3"
    assert bench.adapter.memory["update_method"] == "POST"


async def test_a_verb_that_changed_to_put_has_the_write_planned_anew(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1))
    first = await bench.carry_out(bench.updating(seen, {Field.LOCATION: "Room 2"}))
    assert first.observation is not None
    bench.crm.update_method = "PUT"
    write = bench.updating(first.observation, {Field.LOCATION: "Room 3"})

    with pytest.raises(StaleWriteError):
        await bench.carry_out(write)
    await bench.carry_out(write)

    assert bench.raw(seen.external_id)["location"] == "Room 3"


async def test_a_configured_verb_is_the_only_one_tried(bench: CrmBench) -> None:
    adapter = bench.another(update_method="PUT")
    seen = await adapter.read(bench.book(1))

    with pytest.raises(RefusedError) as caught:
        await bench.carry_out(bench.updating(seen, {Field.LOCATION: "x"}), adapter)

    assert "update_method" in str(caught.value)
    assert [method for method, _ in bench.sent() if method != "GET"] == ["PUT"]


async def test_a_verb_that_answers_but_changes_nothing_is_not_the_verb(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1))
    bench.crm.faults.append(Fault(method="POST", path=ONE_MEETING, status=200, body={"success": True}))

    await bench.carry_out(bench.updating(seen, {Field.LOCATION: "Room 2"}))

    assert bench.raw(seen.external_id)["location"] == "Room 2"
    assert bench.adapter.memory["update_method"] == "PATCH"


async def test_a_fresh_change_that_touches_no_notes_is_one_request(bench: CrmBench) -> None:
    adapter = bench.another({"update_method": "PATCH"})
    seen = await adapter.read(bench.book(1, notes="untouched"))
    bench.crm.reset_counters()

    await bench.carry_out(
        bench.updating(seen, {Field.KIND: "phone", Field.LOCATION: "+49 30 1234567"}), adapter
    )

    assert bench.sent() == [("PATCH", f"{MEETINGS}/{seen.external_id}")]
    assert bench.raw(seen.external_id)["notes"] == "untouched"


async def test_an_edit_there_and_back_is_carried_out_each_time(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1, location="A"))

    shown = []
    for place in ("B", "A", "B"):
        written = await bench.carry_out(bench.updating(seen, {Field.LOCATION: place}))
        assert written.observation is not None
        seen = written.observation
        shown.append(bench.raw(seen.external_id)["location"])

    assert shown == ["B", "A", "B"]


async def test_an_edit_by_a_person_since_an_old_base_is_not_overwritten(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1, location="A"))
    write = bench.updating(seen, {Field.LOCATION: "B"})
    bench.world.clock.advance(timedelta(seconds=11))
    bench.crm.people.set_location(seen.external_id, "typed meanwhile")

    with pytest.raises(StaleWriteError) as caught:
        await bench.adapter.prepare(write)

    assert caught.value.observation.values[Field.LOCATION] == "typed meanwhile"


async def test_a_zone_nobody_knows_stays_as_it_is(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1, zone="Asia/Tokyo"))
    schedule = Schedule.timed(START + timedelta(days=4), timedelta(minutes=30))

    await bench.carry_out(bench.updating(seen, {Field.SCHEDULE: schedule}))

    assert bench.raw(seen.external_id)["timeZone"] == "Asia/Tokyo"


async def test_the_default_owner_never_takes_a_meeting_from_the_person_who_booked_it(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.crm.people.book(bench.jane, START, owner_id=bench.sam))
    by_default = RITA  # what an organizer nobody mapped is normalised to

    with pytest.raises(UnholdableError):
        await bench.adapter.prepare(bench.updating(seen, {Field.ORGANIZER: by_default}))
    await bench.carry_out(bench.updating(seen, {Field.ORGANIZER: by_default, Field.LOCATION: "Room 2"}))

    raw = bench.raw(seen.external_id)
    assert (raw["ownerId"], raw["location"]) == (bench.sam, "Room 2")


async def test_a_repeated_update_or_delete_has_its_effect_once(bench: CrmBench) -> None:
    seen = await bench.adapter.read(bench.book(1))
    for method in ("PATCH", "DELETE"):
        bench.crm.faults.append(
            Fault(method=method, path=ONE_MEETING, cut=True, moment=Moment.AFTER, times=1)
        )

    written = await bench.carry_out(bench.updating(seen, {Field.LOCATION: "Room 2"}))
    assert written.observation is not None
    assert written.observation.values[Field.LOCATION] == "Room 2"
    write = bench.updating(written.observation, {})
    sealed = await bench.sealed(type(write)(**{**_fields(write), "operation": Operation.DELETE}))
    await bench.adapter.send(sealed)

    assert bench.crm.records()[0]["deleted"] is True


def _fields(write: Any) -> dict[str, Any]:
    return {name: getattr(write, name) for name in write.__slots__}


# -- limits, identity, check ---------------------------------------------------------------------------


async def test_our_share_of_the_hour_is_kept_locally(bench: CrmBench) -> None:
    adapter = bench.another(per_hour=2)
    for _ in range(2):
        await adapter.canary()

    with pytest.raises(RateLimitedError) as caught:
        await adapter.canary()

    assert caught.value.retry_at == START + timedelta(hours=1)
    bench.world.clock.advance(timedelta(hours=1))
    assert (await adapter.canary()).account_id


async def test_a_wait_that_stands_in_the_body_only_is_honoured(bench: CrmBench) -> None:
    body = {"error": "Too many requests", "message": "Hour limit exceeded.", "retryAfter": 1800}
    bench.crm.faults.append(Fault(status=429, body=body, times=None))

    with pytest.raises(RateLimitedError) as caught:
        await bench.adapter.canary()

    assert caught.value.retry_at == START + timedelta(minutes=30)


async def test_an_account_without_the_key_check_still_has_a_canary_of_one_request(bench: CrmBench) -> None:
    bench.crm.faults.append(Fault(path="/v2/auth", status=404, times=None))
    first = await bench.adapter.canary()
    bench.crm.reset_counters()

    second = await bench.adapter.canary()

    assert first == second
    assert bench.crm.token not in second.account_id
    assert bench.sent() == [("GET", MEETINGS)]


async def test_a_key_that_was_switched_off_is_refused(bench: CrmBench) -> None:
    body = {"success": True, "item": {"accountId": "acc", "active": False}}
    bench.crm.faults.append(Fault(path="/v2/auth", status=200, body=body))

    with pytest.raises(CredentialsError):
        await bench.adapter.canary()


async def test_check_names_the_missing_permission_and_the_missing_owner(bench: CrmBench) -> None:
    bench.crm.scopes.discard("prospects:read")
    adapter = bench.another(default_owner_id="", owner_map={})

    bad = {finding.subject: finding for finding in await adapter.check() if not finding.ok}

    assert "permission to read prospects" in bad
    assert "default_owner_id" in bad["owners"].fix


async def test_check_says_when_we_plan_more_than_the_provider_allows(bench: CrmBench) -> None:
    bench.crm.rate_limits = True
    bench.crm.limits.per_minute = 100

    bad = [finding for finding in await bench.adapter.check() if not finding.ok]

    assert [(finding.subject, finding.fix) for finding in bad] == [("quota", "set per_minute to 100 or less")]
