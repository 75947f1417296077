"""The Attio adapter writing to the Attio sandbox: one test for each trap of the documented API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sync_engine.core.meeting import (
    Field,
    Schedule,
    Values,
    participants,
)
from sync_engine.core.owned_block import compose, split
from sync_engine.core.ports import Operation
from sync_engine.errors import (
    OutcomeUnknownError,
    RecordGoneError,
    RefusedError,
    UnholdableError,
)
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.sandbox.world import CalendarEvent
from tests.contract.bench import START
from tests.integration.adapters.attio_bench import (
    DAY,
    GUEST,
    REP,
    ZOOM_URL,
    AttioBench,
    book,
    moved,
    opened,
    post_body,
    standard_values,
)


@pytest.fixture
async def bench() -> AsyncIterator[AttioBench]:
    async with opened() as made:
        yield made


# -- what a create holds -------------------------------------------------------------------------------


async def test_a_created_meeting_carries_link_place_and_reference_in_an_owned_block(
    bench: AttioBench,
) -> None:
    write, seen = await bench.created()

    (record,) = bench.live()
    entries = split(record["description"]).entries
    assert entries == {"Join": ZOOM_URL, "Where": "Room 5", "Ref": write.meeting_id}
    assert seen.values[Field.DESCRIPTION] == "Bring papers."
    assert seen.marks == {write.meeting_id}
    assert seen.links == {"zoom:97763643886"}
    assert Field.JOIN_URL not in seen.values
    assert Field.LOCATION not in seen.values


async def test_exactly_the_organizer_carries_the_flag_and_responses_are_kept(bench: AttioBench) -> None:
    sealed = await bench.it.prepare(bench.create())

    assert post_body(bench, sealed)["participants"] == [
        {"email_address": REP, "is_organizer": True, "status": "accepted"},
        {"email_address": GUEST, "is_organizer": False, "status": "accepted"},
        {"email_address": "new@customer.example", "is_organizer": False, "status": "pending"},
    ]


async def test_an_all_day_meeting_keeps_its_exclusive_end(bench: AttioBench) -> None:
    dates = Schedule.dates(START.date(), START.date() + timedelta(days=2))

    _, seen = await bench.created(values={Field.SCHEDULE: dates})

    assert seen.values[Field.SCHEDULE] == dates
    assert bench.live()[0]["all_day"]


async def test_windows_and_unknown_zones_never_reach_attio(bench: AttioBench) -> None:
    for zone, shown in [("W. Europe Standard Time", "Europe/Berlin"), ("Mars/Olympus", None)]:
        schedule = Schedule.timed(START + DAY, timedelta(minutes=30), zone)

        _, seen = await bench.created(values={Field.SCHEDULE: schedule})

        assert seen.values[Field.SCHEDULE] == replace(schedule, zone=shown)


async def test_a_long_description_leaves_room_for_the_block_and_comes_back_as_projected(
    bench: AttioBench,
) -> None:
    values: Values = {
        Field.DESCRIPTION: "ä" * 12_000,
        Field.JOIN_URL: "https://example.com/" + "j" * 570,
        Field.LOCATION: "L" * 500,
        Field.TITLE: "T" * 2_000,
    }

    write, seen = await bench.created(values=values)

    assert seen.values[Field.DESCRIPTION] == write.values[Field.DESCRIPTION] == "ä" * 9_000
    assert seen.values[Field.TITLE] == "T" * 1_000
    assert len(bench.live()[0]["description"]) <= 10_000


async def test_a_meeting_with_nobody_in_it_cannot_be_held(bench: AttioBench) -> None:
    write = bench.create(values={Field.ORGANIZER: "", Field.PARTICIPANTS: ()})

    with pytest.raises(UnholdableError, match="participant"):
        await bench.it.prepare(write)


async def test_an_organizer_alone_is_enough(bench: AttioBench) -> None:
    _, seen = await bench.created(values={Field.PARTICIPANTS: ()})

    assert seen.values[Field.ORGANIZER] == REP
    assert seen.values[Field.PARTICIPANTS] == ()


async def test_skipped_addresses_become_nobody_in_the_crm(bench: AttioBench) -> None:
    picky = bench.another(skip_participants=("room-*@acme.example",))
    people = participants(["room-5@acme.example", GUEST])
    projection = picky.capabilities.fields[Field.PARTICIPANTS].normalise(people)

    await picky.send(
        await picky.prepare(bench.creating({**standard_values(), Field.PARTICIPANTS: projection}))
    )

    assert bench.live()[0]["participants"] == [GUEST]


async def test_nothing_of_an_existing_meeting_is_updated_in_place(bench: AttioBench) -> None:
    _, seen = await bench.created()

    with pytest.raises(UnholdableError):
        await bench.it.prepare(bench.updating(seen, {Field.TITLE: "New"}))
    with pytest.raises(UnholdableError):
        await bench.it.prepare(bench.changing(Operation.RESTORE, seen))


# -- both generations of POST --------------------------------------------------------------------------


async def test_a_refused_external_ref_is_left_out_at_once_and_from_then_on(bench: AttioBench) -> None:
    bench.attio.rejects_external_ref = True

    await bench.created()
    first = bench.attio.count("POST", "/v2/meetings")
    await bench.created(values=moved())

    assert first == 2
    assert bench.attio.count("POST", "/v2/meetings") == 3
    assert len(bench.live()) == 2
    assert bench.it.memory["external_ref"] == "refused"


async def test_an_external_ref_that_is_demanded_again_is_added_again(bench: AttioBench) -> None:
    bench.attio.generation = "A"
    forgetful = bench.another(memory={"external_ref": "refused"})

    sealed = await forgetful.prepare(bench.create())
    await forgetful.send(sealed)

    assert "external_ref" not in post_body(bench, sealed)
    assert len(bench.live()) == 1
    assert forgetful.memory["external_ref"] == "required"


async def test_a_body_that_is_wrong_in_itself_is_refused_after_one_more_try(bench: AttioBench) -> None:
    sealed = await bench.it.prepare(bench.create())
    broken = post_body(bench, sealed)
    broken["participants"][0]["status"] = "maybe"

    with pytest.raises(RefusedError) as caught:
        await bench.it.send(replace(sealed, body=json.dumps({"data": broken})))

    assert caught.value.code == "validation_type"
    assert bench.attio.count("POST", "/v2/meetings") == 2
    assert "external_ref" not in bench.it.memory
    assert bench.live() == []


async def test_the_older_generation_handing_back_an_old_meeting_is_not_taken_for_success(
    bench: AttioBench,
) -> None:
    bench.attio.generation = "A"
    write, old = await bench.created()
    again = replace(write, intent=bench.new_id(), revision=7, values={**write.values, **moved()})

    written = await bench.it.send(await bench.it.prepare(again))

    assert written.external_id != old.external_id
    assert written.observation is not None
    assert written.observation.values[Field.SCHEDULE] == moved()[Field.SCHEDULE]


async def test_the_older_generation_handing_back_an_old_title_is_noticed_too(bench: AttioBench) -> None:
    bench.attio.generation = "A"
    write, old = await bench.created()
    bench.advance(timedelta(hours=1))
    again = replace(write, intent=bench.new_id(), revision=7, values={**write.values, Field.TITLE: "Other"})

    written = await bench.it.send(await bench.it.prepare(again))

    assert written.external_id != old.external_id
    assert bench.row(written.external_id)["title"] == "Other"


async def test_sending_the_same_bytes_again_makes_no_second_meeting_on_the_older_generation(
    bench: AttioBench,
) -> None:
    bench.attio.generation = "A"
    sealed = await bench.it.prepare(bench.create())

    first, second = await bench.it.send(sealed), await bench.it.send(sealed)

    assert first.external_id == second.external_id


# -- creates whose outcome is unknown, and twins -------------------------------------------------------


async def test_a_create_is_never_repeated_blindly(bench: AttioBench) -> None:
    sealed = await bench.it.prepare(bench.create())
    bench.attio.faults.append(Fault("POST", "/v2/meetings", status=500, moment=Moment.AFTER, times=None))

    with pytest.raises(OutcomeUnknownError):
        await bench.it.send(sealed)

    assert bench.attio.count("POST", "/v2/meetings") == 1
    assert [seen.marks for seen in await bench.it.find(sealed)] == [{sealed.details["meeting_id"]}]


@pytest.mark.parametrize("body", [b"<html/>", b'{"data": {}}', b"[]"])
async def test_a_created_meeting_with_an_unreadable_answer_is_of_unknown_outcome(
    bench: AttioBench, body: bytes
) -> None:
    sealed = await bench.it.prepare(bench.create())
    bench.attio.faults.append(Fault("POST", "/v2/meetings", rewrite=lambda _: body))

    with pytest.raises(OutcomeUnknownError):
        await bench.it.send(sealed)

    assert len(await bench.it.find(sealed)) == 1


async def test_a_rate_limited_create_is_repeated_because_it_was_not_processed(bench: AttioBench) -> None:
    sealed = await bench.it.prepare(bench.create())
    limited = bench.attio.limits.answer(bench.now)
    headers = {"Retry-After": limited.headers["retry-after"]}
    bench.attio.faults.append(Fault("POST", "/v2/meetings", status=429, headers=headers))

    await bench.it.send(sealed)

    assert len(bench.live()) == 1
    assert bench.waits
    assert max(bench.waits) < 2


async def test_find_links_the_calendars_own_copy_by_times_title_and_people(bench: AttioBench) -> None:
    bench.attio.calendar_sync_delay = timedelta(minutes=5)
    sealed = await bench.it.prepare(bench.create())
    start = START + DAY
    bench.world.publish(
        CalendarEvent(
            uid="u1",
            title=" demo ",
            description="",
            start=start,
            end=start + timedelta(minutes=30),
            zone="Europe/Berlin",
            organizer=REP,
            attendees=(GUEST,),
            join_url=ZOOM_URL,
        )
    )

    before = await bench.it.find(sealed)
    bench.advance(timedelta(minutes=5))
    (twin,) = await bench.it.find(sealed)

    assert list(before) == []
    assert twin.links == {"zoom:97763643886"}
    assert twin.marks == frozenset()
    assert not twin.deletable


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Another"},
        {"start": START + DAY - timedelta(minutes=30)},
        {"end": START + DAY + timedelta(minutes=45)},
        {"organizer": "x@x.example", "attendees": ["y@x.example"]},
        {"description": compose("", {"Ref": "of-another-meeting"})},
    ],
    ids=lambda changes: ",".join(changes),
)
async def test_find_never_takes_a_meeting_that_differs(bench: AttioBench, changes: dict[str, Any]) -> None:
    book(bench, **changes)

    assert list(await bench.it.find(await bench.it.prepare(bench.create()))) == []


async def test_find_does_not_choose_between_two_that_look_alike(bench: AttioBench) -> None:
    book(bench)
    book(bench)

    assert list(await bench.it.find(await bench.it.prepare(bench.create()))) == []


async def test_find_prefers_our_mark_to_a_look_alike(bench: AttioBench) -> None:
    book(bench)
    sealed = await bench.it.prepare(bench.create())
    ours = await bench.it.send(sealed)

    assert [seen.external_id for seen in await bench.it.find(sealed)] == [ours.external_id]


async def test_find_looks_at_all_day_meetings_by_their_dates(bench: AttioBench) -> None:
    dates = Schedule.dates(START.date() + DAY, START.date() + 2 * DAY)
    sealed = await bench.it.prepare(bench.create(values={Field.SCHEDULE: dates}))
    ours = await bench.it.send(sealed)

    assert [seen.external_id for seen in await bench.it.find(sealed)] == [ours.external_id]


async def test_addresses_with_a_plus_are_found(bench: AttioBench) -> None:
    changes: Values = {Field.ORGANIZER: "rep+x@acme.example", Field.PARTICIPANTS: ()}
    sealed = await bench.it.prepare(bench.create(values=changes))
    ours = await bench.it.send(sealed)

    assert [seen.external_id for seen in await bench.it.find(sealed)] == [ours.external_id]


# -- deleting ------------------------------------------------------------------------------------------


async def test_a_calendars_meeting_cannot_be_deleted_and_is_not_tried_twice(bench: AttioBench) -> None:
    number = book(bench)

    with pytest.raises(UnholdableError, match="calendar") as caught:
        await bench.carry_out(bench.deleting(number))

    assert caught.value.retry_after_seconds is None
    assert bench.attio.count("DELETE") == 1


@pytest.mark.parametrize("status", [404, 405])
async def test_a_missing_route_is_not_taken_for_a_missing_meeting(bench: AttioBench, status: int) -> None:
    bench.attio.has_delete, bench.attio.missing_route_status = False, status
    _, seen = await bench.created()
    sealed = await bench.it.prepare(bench.deleting(seen.external_id))

    with pytest.raises(UnholdableError, match="cannot delete"):
        await bench.it.send(sealed)
    with pytest.raises(UnholdableError, match="cannot delete"):
        await bench.it.prepare(bench.deleting(seen.external_id))

    assert len(bench.live()) == 1


async def test_a_deletion_cut_after_its_effect_ends_as_gone(bench: AttioBench) -> None:
    _, seen = await bench.created()
    bench.attio.faults.append(Fault("DELETE", cut=True, moment=Moment.AFTER))

    with pytest.raises(RecordGoneError):
        await bench.carry_out(bench.deleting(seen.external_id))

    assert bench.live() == []
