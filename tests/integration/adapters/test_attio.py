"""The Attio adapter against the Attio sandbox: one test for each trap of the documented API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from sync_engine.adapters.attio.adapter import AttioAdapter, build
from sync_engine.adapters.attio.schemas import Segment, Speaker
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.adapters.attio.webhooks import EVENT_TYPES, ensure_webhook, is_authentic, parse_events
from sync_engine.core.meeting import (
    Field,
    Participant,
    Response,
    Schedule,
    Value,
    Values,
    participants,
)
from sync_engine.core.owned_block import compose, split
from sync_engine.core.ports import Observation, Operation, Sealed, Write
from sync_engine.errors import (
    CredentialsError,
    OutcomeUnknownError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    UnholdableError,
)
from sync_engine.sandbox.attio import AttioSandbox
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.sandbox.world import CalendarEvent, World
from tests.contract.bench import START, Bench

REP, GUEST = "rep@acme.example", "guest@customer.example"
ZOOM_URL = "https://acme.zoom.us/j/97763643886"
DAY = timedelta(days=1)


class AttioBench(Bench):
    """A bench that knows it is Attio's."""

    @property
    def attio(self) -> AttioSandbox:
        assert isinstance(self.sandbox, AttioSandbox)
        return self.sandbox

    @property
    def it(self) -> AttioAdapter:
        assert isinstance(self.adapter, AttioAdapter)
        return self.adapter

    def another(self, memory: Mapping[str, Any] | None = None, **settings: Any) -> AttioAdapter:
        adapter = self.another_adapter(memory=memory, **settings)
        assert isinstance(adapter, AttioAdapter)
        return adapter

    def live(self) -> list[dict[str, Any]]:
        return [record for record in self.attio.records() if not record["deleted"]]

    def create(self, **changes: Any) -> Write:
        return self.creating(self.project({**standard_values(), **changes.pop("values", {})}))

    async def created(self, **changes: Any) -> tuple[Write, Observation]:
        write = self.create(**changes)
        written = await self.carry_out(write)
        return write, await self.it.read(written.external_id)

    def replacing(self, write: Write, seen: Observation, values: Values) -> Write:
        return replace(
            write,
            intent=self.new_id(),
            revision=write.revision + 1,
            values={**write.values, **values},
            changed=frozenset(values),
            base=seen.values,
            base_observed_at=seen.observed_at,
            replaces=seen.external_id,
        )

    def deleting(self, external_id: str) -> Write:
        return Write(
            intent=self.new_id(),
            operation=Operation.DELETE,
            connection="contract",
            meeting_id=self.new_id(),
            revision=9,
            values={},
            intended_at=self.now,
            external_id=external_id,
        )

    def row(self, external_id: str) -> dict[str, Any]:
        return next(record for record in self.attio.records() if record["id"] == external_id)


def standard_values() -> dict[Field, Value]:
    return {
        Field.TITLE: "Demo",
        Field.DESCRIPTION: "Bring papers.",
        Field.SCHEDULE: Schedule.timed(START + DAY, timedelta(minutes=30), "Europe/Berlin"),
        Field.ORGANIZER: REP,
        Field.PARTICIPANTS: participants(
            [Participant(GUEST, "Guest", Response.ACCEPTED), "new@customer.example"]
        ),
        Field.JOIN_URL: ZOOM_URL,
        Field.LOCATION: "Room 5",
    }


def moved(by: timedelta = timedelta(hours=3)) -> dict[Field, Value]:
    return {Field.SCHEDULE: Schedule.timed(START + DAY + by, timedelta(minutes=30), "Europe/Berlin")}


@pytest.fixture
async def bench() -> AsyncIterator[AttioBench]:
    with World(seed=1, start=START) as world:
        attio = world.attio
        attio.rate_limits = False

        def make(around: Any, **settings: Any) -> AttioAdapter:
            facts: dict[str, Any] = {
                "base_url": attio.url,
                "access_token": SecretStr(attio.token),
                **settings,
            }
            return build(AttioSettings(**facts), around)

        bench = AttioBench(world, attio, make)
        bench.another_adapter()
        try:
            yield bench
        finally:
            await bench.close()


def post_body(bench: AttioBench, sealed: Sealed) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(sealed.body or "")["data"]
    return data


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


def book(bench: AttioBench, **changes: Any) -> str:
    facts: dict[str, Any] = {
        "title": "Demo",
        "start": START + DAY,
        "end": START + DAY + timedelta(minutes=30),
        "organizer": REP,
        "attendees": [GUEST],
        **changes,
    }
    return bench.attio.people.book(facts.pop("title"), facts.pop("start"), facts.pop("end"), **facts)


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


# -- replacing -----------------------------------------------------------------------------------------


async def test_a_replacement_is_a_new_meeting_with_the_old_links(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.advance(timedelta(minutes=1))
    deal = bench.attio.people.add_deal()
    await bench.it.client.append_linked_records(seen.external_id, [("deals", deal)])

    sealed = await bench.it.prepare(bench.replacing(write, seen, moved()))
    written = await bench.it.send(sealed)
    await bench.carry_out(bench.deleting(seen.external_id))

    (record,) = bench.live()
    assert (record["id"], record["start"]) == (written.external_id, START + DAY + timedelta(hours=3))
    links = (await bench.it.client.get_meeting(written.external_id))["linked_records"]
    assert deal in [link["record_id"] for link in links]
    assert post_body(bench, sealed)["linked_records"][0] == {"object": "deals", "record_id": deal}


async def test_a_replacement_on_the_older_generation_gets_a_reference_of_its_own(bench: AttioBench) -> None:
    bench.attio.generation = "A"
    write, seen = await bench.created()

    written = await bench.carry_out(bench.replacing(write, seen, moved()))

    assert written.external_id != seen.external_id
    assert bench.attio.count("POST", "/v2/meetings") == 2


async def test_find_does_not_take_the_replaced_meeting_for_its_replacement(bench: AttioBench) -> None:
    write, seen = await bench.created()
    sealed = await bench.it.prepare(bench.replacing(write, seen, {Field.TITLE: "Retitled"}))

    before = await bench.it.find(sealed)
    written = await bench.it.send(sealed)

    assert list(before) == []
    assert [each.external_id for each in await bench.it.find(sealed)] == [written.external_id]


@pytest.mark.parametrize("status", [404, 405])
async def test_nothing_is_replaced_where_the_old_one_could_not_be_deleted(
    bench: AttioBench, status: int
) -> None:
    bench.attio.has_delete, bench.attio.missing_route_status = False, status
    write, seen = await bench.created()

    for _ in range(2):
        with pytest.raises(UnholdableError, match="cannot delete") as caught:
            await bench.it.prepare(bench.replacing(write, seen, moved()))

    assert caught.value.retry_after_seconds == 86_400
    assert bench.attio.count("DELETE") == 1
    assert len(bench.live()) == 1


async def test_a_server_that_has_learned_to_delete_is_asked_again_after_a_day(bench: AttioBench) -> None:
    bench.attio.has_delete = False
    write, seen = await bench.created()
    with pytest.raises(UnholdableError):
        await bench.it.prepare(bench.replacing(write, seen, moved()))
    bench.attio.has_delete = True

    bench.advance(timedelta(hours=25))
    sealed = await bench.it.prepare(bench.replacing(write, seen, moved()))

    assert sealed.operation is Operation.CREATE


async def test_the_delete_route_is_probed_once_and_remembered_by_other_processes(bench: AttioBench) -> None:
    write, seen = await bench.created()
    await bench.it.prepare(bench.replacing(write, seen, moved()))

    other = bench.another(memory=json.loads(json.dumps(bench.it.memory)))
    await other.prepare(bench.replacing(write, seen, moved()))

    assert bench.attio.count("DELETE") == 1
    assert len(bench.live()) == 1


async def test_a_meeting_with_recordings_is_not_replaced(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.people.record(seen.external_id)

    with pytest.raises(UnholdableError, match="recordings"):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


async def test_a_meeting_whose_recordings_cannot_be_seen_is_not_replaced(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.scopes.discard("call_recording:read-write")

    with pytest.raises(UnholdableError, match="call_recording:read"):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


async def test_a_calendars_meeting_is_not_replaced(bench: AttioBench) -> None:
    seen = await bench.it.read(book(bench))
    write = bench.create()

    with pytest.raises(UnholdableError, match="calendar"):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


async def test_a_replacement_planned_on_an_old_state_carries_what_is_there_now(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.people.rename(seen.external_id, "Renamed by hand")

    with pytest.raises(StaleWriteError) as caught:
        await bench.it.prepare(bench.replacing(write, seen, moved()))

    assert caught.value.observation.values[Field.TITLE] == "Renamed by hand"


async def test_a_replacement_of_a_meeting_that_is_gone_says_so(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.people.cancel(seen.external_id)

    with pytest.raises(RecordGoneError):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


def test_a_connection_that_must_not_replace_says_so_in_its_capabilities() -> None:
    from sync_engine.adapters.attio.capabilities import capabilities
    from sync_engine.core.capabilities import Ownership

    assert capabilities(may_replace=False).replace is Ownership.NO
    assert capabilities(may_replace=True).replace is Ownership.OWN


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


# -- reading -------------------------------------------------------------------------------------------


async def test_links_that_attio_adds_by_itself_are_no_change(bench: AttioBench) -> None:
    _, before = await bench.created()
    links = len((await bench.it.client.get_meeting(before.external_id))["linked_records"])

    bench.advance(timedelta(minutes=1))
    after = await bench.it.read(before.external_id)

    assert len((await bench.it.client.get_meeting(before.external_id))["linked_records"]) > links
    assert after.fingerprint == before.fingerprint


async def test_an_answer_to_an_invitation_is_a_change(bench: AttioBench) -> None:
    number = book(bench)
    before = await bench.it.read(number)

    bench.attio.people.respond(number, GUEST, "declined")
    after = await bench.it.read(number)

    assert after.fingerprint != before.fingerprint
    assert after.values[Field.PARTICIPANTS] == (Participant(GUEST, None, Response.DECLINED),)


async def test_guests_without_an_address_are_left_out_and_still_count_as_a_change(bench: AttioBench) -> None:
    number = book(bench)
    before = await bench.it.read(number)

    bench.attio.people.invite(number, "", name="Walk-in")
    after = await bench.it.read(number)

    assert after.values == before.values
    assert after.fingerprint != before.fingerprint


async def test_a_meeting_without_a_flagged_organizer_says_nothing_about_one(bench: AttioBench) -> None:
    seen = await bench.it.read(book(bench, organizer=None))

    assert Field.ORGANIZER not in seen.values


async def test_a_meeting_that_moved_out_of_the_window_is_not_taken_for_deleted(bench: AttioBench) -> None:
    number = book(bench)
    bench.attio.people.move(number, START + timedelta(days=400))

    assert await bench.sighting(number) is None
    assert (await bench.it.confirm_absence(number)).observation is not None


async def test_a_hidden_meeting_is_absent_but_not_proven_deleted(bench: AttioBench) -> None:
    number = book(bench)
    bench.attio.people.hide(number)

    absence = await bench.it.confirm_absence(number)

    assert absence.observation is None
    assert not absence.proven


async def test_an_answer_of_some_other_server_does_not_prove_a_deletion(bench: AttioBench) -> None:
    number = book(bench)
    bench.attio.faults.append(Fault("GET", "/v2/meetings/.*", status=404, body="<html>gone</html>"))

    with pytest.raises(RefusedError):
        await bench.it.confirm_absence(number)


async def test_every_page_repeats_the_window_and_asks_for_200_rows(bench: AttioBench) -> None:
    bench.attio.paging.largest_page = 2
    for number in range(5):
        book(bench, title=str(number))

    await bench.pages()

    queries = [
        path.partition("?")[2] for method, path, _ in bench.attio.log if path.startswith("/v2/meetings?")
    ]
    assert len(queries) == 3
    for query in queries:
        assert "limit=200" in query
        assert "ends_from=2026-10-17T09%3A00%3A00Z" in query
        assert "starts_before=2027-01-15T09%3A00%3A00Z" in query


async def test_a_refused_cursor_starts_the_walk_anew_and_leaves_nothing_out(bench: AttioBench) -> None:
    bench.attio.paging.largest_page, bench.attio.paging.lifetime = 2, timedelta(minutes=5)
    ids = {book(bench, title=str(number)) for number in range(5)}
    found: set[str] = set()
    covered = False

    async for number_of_page, page in _numbered(bench):
        found |= {sighting.external_id for sighting in page.sightings}
        covered = covered or bool(page.covered)
        if number_of_page == 2:
            bench.advance(timedelta(minutes=6))

    assert found == ids
    assert covered


async def _numbered(bench: AttioBench) -> AsyncIterator[tuple[int, Any]]:
    number = 0
    async for page in bench.it.sweep(bench.window):
        number += 1
        yield number, page


async def test_a_cursor_that_is_always_refused_ends_in_an_error_and_covers_nothing(bench: AttioBench) -> None:
    bench.attio.paging.largest_page, bench.attio.paging.lifetime = 2, timedelta(minutes=-1)
    for number in range(5):
        book(bench, title=str(number))
    covered = False

    async def walk() -> None:
        nonlocal covered
        async for page in bench.it.sweep(bench.window):
            covered = covered or bool(page.covered)

    with pytest.raises(RefusedError):
        await walk()

    assert not covered
    assert bench.attio.count("GET", "/v2/meetings") == 8


async def test_a_sweep_of_many_meetings_costs_exactly_its_pages(bench: AttioBench) -> None:
    for number in range(401):
        book(bench, title=str(number))
    bench.attio.reset_counters()

    seen = await bench.sightings()

    assert len(seen) == 401
    assert dict(bench.attio.requests) == {("GET", "/v2/meetings"): 3}


# -- accounts ------------------------------------------------------------------------------------------


async def test_a_dead_token_is_noticed_although_the_answer_is_200(bench: AttioBench) -> None:
    bench.attio.token_active = False

    with pytest.raises(CredentialsError):
        await bench.it.canary()

    subjects = {finding.subject for finding in await bench.it.check() if not finding.ok}
    assert subjects == {"credentials"}


async def test_a_users_token_is_named_by_check(bench: AttioBench) -> None:
    bench.attio.token_level = "user"

    bad = {finding.subject: finding for finding in await bench.it.check() if not finding.ok}

    assert set(bad) == {"token level", "meetings"}
    assert all(finding.fix for finding in bad.values())


async def test_a_server_that_tells_no_token_level_is_taken_as_workspace(bench: AttioBench) -> None:
    bench.attio.token_level = None

    assert [finding for finding in await bench.it.check() if not finding.ok] == []


async def test_every_missing_scope_is_named(bench: AttioBench) -> None:
    bench.attio.scopes = {"meeting:read", "record_permission:read"}

    bad = [finding.subject for finding in await bench.it.check() if not finding.ok]

    assert bad == ["scope meeting:read-write", "scope call_recording:read"]


async def test_an_observing_connection_needs_no_write_scope(bench: AttioBench) -> None:
    bench.attio.scopes = {"meeting:read", "record_permission:read"}
    observer = bench.another(writes=(), replace=False)

    assert [finding for finding in await observer.check() if not finding.ok] == []


async def test_a_clock_that_is_wrong_is_a_finding(bench: AttioBench) -> None:
    around = replace(bench.surroundings(), now=lambda: bench.now + timedelta(minutes=3))
    late = build(AttioSettings(base_url=bench.attio.url, access_token=SecretStr(bench.attio.token)), around)
    bench.adapters.append(late)

    bad = [finding.subject for finding in await late.check() if not finding.ok]

    assert bad == ["clock"]


async def test_a_plan_that_lacks_a_feature_does_not_look_like_a_dead_token(bench: AttioBench) -> None:
    body = {"status_code": 403, "type": "auth_error", "code": "billing_error", "message": "Upgrade."}
    bench.attio.faults.append(Fault(status=403, body=body))

    with pytest.raises(RefusedError) as caught:
        await bench.it.read(bench.new_id())

    assert caught.value.code == "billing_error"


async def test_the_real_limits_are_kept_and_a_429_names_its_moment(bench: AttioBench) -> None:
    bench.attio.rate_limits = True
    bench.attio.limits.per_second["read"] = 0

    with pytest.raises(RateLimitedError) as caught:
        await bench.it.canary()

    assert caught.value.retry_at - bench.now <= timedelta(seconds=2)


async def test_many_creates_at_once_meet_no_429() -> None:
    """Thirty writes take more than a second of the permitted rate, so a boundary is crossed."""
    with World(seed=1) as world:
        bench = AttioBench(world, world.attio, lambda around: build(
            AttioSettings(base_url=world.attio.url, access_token=SecretStr(world.attio.token)),
            replace(around, sleep=asyncio.sleep),
        ))  # fmt: skip
        bench.another_adapter()
        try:
            sealed = [await bench.it.prepare(bench.create()) for _ in range(30)]
            await asyncio.gather(*(bench.it.send(each) for each in sealed))
        finally:
            await bench.close()

        assert world.attio.limits.refused == 0
        assert len(bench.live()) == 30


# -- the client's further operations -------------------------------------------------------------------


async def test_people_are_looked_up_by_their_exact_address(bench: AttioBench) -> None:
    await bench.created()

    (person,) = await bench.it.client.find_people(GUEST.upper())
    nobody = await bench.it.client.find_people("nobody@customer.example")

    assert person.id.record_id
    assert nobody == []


def segments(count: int) -> list[Segment]:
    names = ("Anna", "Anna", "Ben")
    return [
        Segment(speech=f"Word {n}.", start_time=n, end_time=n + 1, speaker=Speaker(name=names[n % 3]))
        for n in range(count)
    ]


@pytest.mark.parametrize("newer", [True, False])
async def test_a_transcript_comes_back_from_newer_and_older_servers(bench: AttioBench, newer: bool) -> None:
    bench.attio.transcript_in_recording = newer
    _, seen = await bench.created()

    made = await bench.it.client.create_call_recording(seen.external_id, segments(150))
    (listed,) = await bench.it.client.list_call_recordings(seen.external_id)
    read = await bench.it.client.get_call_recording(seen.external_id, listed.id.call_recording_id)

    assert listed.id == made.id
    assert read.transcript is not None
    assert list(read.transcript.segments) == segments(150)


async def test_a_transcript_of_too_many_segments_is_joined_by_speaker(bench: AttioBench) -> None:
    _, seen = await bench.created()

    made = await bench.it.client.create_call_recording(seen.external_id, segments(6_000))
    read = await bench.it.client.get_call_recording(seen.external_id, made.id.call_recording_id)

    assert read.transcript is not None
    assert len(read.transcript.segments) == 4_000
    assert read.transcript.segments[0].speech == "Word 0. Word 1."
    assert read.transcript.segments[-1].end_time == 6_000


async def test_a_webhook_is_made_once_and_its_deliveries_verify(bench: AttioBench) -> None:
    target = "https://engine.example/webhooks/acme/attio"

    secret = await ensure_webhook(bench.it.client, target)
    again = await ensure_webhook(bench.it.client, target)
    _, seen = await bench.created()
    bench.attio.people.record(seen.external_id)
    bench.advance(timedelta(minutes=1))
    await bench.it.canary()

    assert secret
    assert again is None
    (hook,) = bench.attio.workspace.webhooks.values()
    assert {s["event_type"] for s in hook.subscriptions} == set(EVENT_TYPES)
    await bench.it.canary()
    await bench.it.read(seen.external_id)
    (delivery,) = bench.world.deliveries
    assert is_authentic(delivery.body, delivery.headers, ["old-secret", secret])
    assert [hint.meeting_id for hint in parse_events(delivery.body)] == [seen.external_id]


async def test_a_subscription_that_exists_is_no_error(bench: AttioBench) -> None:
    target, wanted = "https://engine.example/hook", ["note.created"]

    first = await bench.it.client.create_webhook(target, wanted)
    second = await bench.it.client.create_webhook(target, wanted)

    assert first is not None
    assert first.secret
    assert second is None


async def test_all_webhooks_are_seen_over_several_pages(bench: AttioBench) -> None:
    for number in range(101):
        await bench.it.client.create_webhook(f"https://engine.example/{number}", ["note.created"])

    assert len(await bench.it.client.list_webhooks()) == 101
