"""What ``explain`` and ``meetings`` tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_engine.core.meeting import Field
from sync_engine.errors import ConfigurationError
from sync_engine.sandbox.world import World
from sync_engine.services.explain import FieldState, Story, explain
from sync_engine.services.search import find_meeting, search
from tests.integration.services.bench import GUEST, HOST, Bench, bench


def story(b: Bench, name: str) -> Story:
    return explain(b.engine, ["acme"], name)


async def test_every_value_tells_where_it_came_from(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()
        crm = str(world.prospect_crm.records()[0]["id"])
        b.pass_time(minutes=5)
        world.prospect_crm.people.move(crm, world.clock.now().replace(day=20))
        await b.sync()

        told = story(b, number)

        assert told.meeting.provenance[Field.TITLE].connection == "zoom"
        assert told.meeting.provenance[Field.SCHEDULE].connection == "prospects"
        moved = [entry for entry in told.journal if entry.field == "schedule"]
        assert [entry.connection for entry in moved] == ["prospects"]
        assert moved[0].before != moved[0].after


async def test_a_meeting_is_found_by_any_of_its_ids(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()
        canonical = find_meeting(b.engine, ["acme"], number)[1].id
        attio = str(world.attio.records()[0]["id"])

        found = {find_meeting(b.engine, ["acme"], name)[1].id for name in (canonical, canonical[:18], attio)}

        assert found == {canonical}


async def test_an_unknown_id_says_how_to_search(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        await b.sync()

        with pytest.raises(ConfigurationError, match="sync-engine meetings TEXT"):
            story(b, "123456789")


async def test_an_ambiguous_beginning_lists_the_ids_it_may_mean(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        numbers = [b.book("One"), b.book("Two", days=2)]
        await b.sync()
        ids = [find_meeting(b.engine, ["acme"], number)[1].id for number in numbers]

        with pytest.raises(ConfigurationError) as caught:
            story(b, ids[0][:8])

        assert all(each in str(caught.value) for each in ids)


async def test_what_a_side_cannot_take_is_told_with_its_reason_and_since_when(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        start = world.clock.now().replace(day=18)
        attio = world.attio.people.book(
            "Budget", start, start.replace(hour=12), organizer=HOST, attendees=[GUEST]
        )
        await b.sync()
        crm = str(world.prospect_crm.records()[0]["id"])
        b.pass_time(hours=1)
        world.prospect_crm.people.move(crm, start.replace(day=19))
        await b.sync()

        told = story(b, attio).connections["attio"].fields[Field.SCHEDULE]

        assert told.state is FieldState.HELD
        assert told.held is not None
        assert told.held.since == world.clock.now()
        assert told.shows != told.wanted


async def test_a_record_that_waits_tells_until_when(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()

        ref = story(b, number).connections["lightfield"].ref

        assert ref is not None
        assert ref.ref.hold is not None
        assert ref.ref.hold.until is not None
        assert ref.ref.hold.until > world.clock.now()


async def test_a_connection_without_a_record_says_why(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, {"attio": 'create = "never"'}) as b:
        start = world.clock.now().replace(day=18)
        crm = world.prospect_crm.people.book(b.prospect, start, "Europe/Berlin", "phone", b.user)
        await b.sync()

        connections = story(b, crm).connections

        assert "no new records" in connections["attio"].absent
        assert "virtual meetings without a join link" in connections["zoom"].absent


async def test_every_field_of_a_settled_meeting_is_agreed_or_its_own(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        start = world.clock.now().replace(day=18)
        crm = world.prospect_crm.people.book(b.prospect, start, "Europe/Berlin", "virtual", b.user)
        await b.sync()
        await b.sync()

        fields = story(b, crm).connections["prospects"].fields

        settled = {FieldState.AGREED, FieldState.CARRIED, FieldState.OWN, FieldState.NONE}
        assert {state for each in fields.values() if (state := each.state) not in settled} == set()
        assert fields[Field.TITLE].state is FieldState.OWN


async def test_the_journal_of_a_long_life_is_cut_at_its_beginning(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()
        for turn in range(4):
            world.zoom.people.rename(number, f"Kick-off {turn}")
            await b.sync()

        told = explain(b.engine, ["acme"], number, journal_limit=3)

        assert len(told.journal) == 3
        assert told.earlier
        assert told.journal[-1].at >= told.journal[0].at


async def test_pages_of_a_search_show_every_meeting_once(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        for day in range(1, 6):
            b.book(f"Stand-up {day}", days=day)
        await b.sync()

        titles: list[str] = []
        offset, more = 0, True
        while more:
            page = search(b.engine, ["acme"], "stand-up", limit=2, offset=offset)
            titles += [hit.row.meeting.title for hit in page.hits]
            offset, more = page.next_offset, page.more

        assert titles == [f"Stand-up {day}" for day in (5, 4, 3, 2, 1)]


async def test_a_meeting_is_found_by_its_join_link(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book("Found by link")
        b.book("Another", days=2)
        await b.sync()

        found = search(b.engine, ["acme"], f"https://us02web.zoom.us/j/{number}")

        assert [hit.row.meeting.title for hit in found.hits] == ["Found by link"]
