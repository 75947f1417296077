"""What ``plan`` foretells, and that it writes nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sync_engine.core.meeting import Field
from sync_engine.sandbox.faults import Fault
from sync_engine.sandbox.world import World
from sync_engine.services.preview import Action, Change, Preview, preview
from tests.integration.services.bench import GUEST, HOST, OTHER, Bench, bench


def changes(made: Preview) -> dict[tuple[str, str], Change]:
    """Give the changes by title and connection."""
    return {(m.meeting.title, c.connection): c for m in made.meetings for c in m.changes}


def written(b: Bench) -> list[tuple[str, str]]:
    """Name the requests that changed something at a provider; signing in and searching do not."""
    return [
        (sandbox.name, target)
        for sandbox in b.world.sandboxes
        for method, target, _ in sandbox.log
        if method not in {"GET", "HEAD"} and "token" not in target and "search" not in target
    ]


def state(b: Bench) -> tuple[Any, ...]:
    return tuple(repr(sandbox.records()) for sandbox in _sides(b))  # type: ignore[attr-defined]


def _sides(b: Bench) -> tuple[object, ...]:
    return (b.world.zoom, b.world.attio, b.world.lightfield, b.world.prospect_crm)


async def test_a_plan_writes_nothing_at_any_provider(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        b.book()
        before = state(b)

        made = await preview(b.engine, "acme")

        assert made.written == 1
        assert state(b) == before
        assert written(b) == []


async def test_a_plan_makes_no_prospect_either(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, {"prospects": "create_prospects = true"}) as b:
        start = b.world.clock.now() + timedelta(days=1)
        b.world.zoom.people.book(b.host, "First talk", start, invitees=["new.person@elsewhere.example"])

        made = await preview(b.engine, "acme")

        assert changes(made)[("First talk", "prospects")].action is Action.CREATE
        assert written(b) == []


async def test_a_plan_leaves_nothing_behind_that_a_sync_would_carry_out_differently(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        b.book()
        first, second = await preview(b.engine, "acme"), await preview(b.engine, "acme")

        summary = await b.sync()

        assert changes(first) == changes(second)
        creates = [c for c in changes(first).values() if c.action is Action.CREATE]
        assert summary.created == len(creates) == 2
        assert summary.deferred == 1
        assert changes(first)["Kick-off", "lightfield"].action is Action.DEFER


async def test_the_estimate_is_what_the_sync_then_costs(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        for day in range(1, 6):
            b.book(f"Meeting {day}", days=day)
        made = await preview(b.engine, "acme")
        for sandbox in world.sandboxes:
            sandbox.reset_counters()

        await b.sync()

        creating = {"attio": world.attio, "prospects": world.prospect_crm}
        for name, sandbox in creating.items():
            posts = sandbox.count("POST")
            assert made.forecasts[name].writes == posts == 5


async def test_an_edit_is_shown_field_by_field_with_before_and_after(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()
        world.zoom.people.move(number, world.clock.now().replace(day=19))
        world.zoom.people.rename(number, "Kick-off, second try")

        found = changes(await preview(b.engine, "acme"))

        update = found["Kick-off, second try", "prospects"]
        assert update.action is Action.UPDATE
        schedule = next(each for each in update.fields if each.field is Field.SCHEDULE)
        assert (schedule.before.start.day, schedule.after.start.day) == (17, 19)  # type: ignore[union-attr]
        title = next(each for each in update.fields if each.field is Field.TITLE)
        assert (title.before, title.after) == ("Kick-off", "Kick-off, second try")


async def test_a_cancellation_is_shown_as_deletions_with_its_cause(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()
        world.zoom.people.cancel(number)

        made = await preview(b.engine, "acme")

        found = changes(made)
        assert found["Kick-off", "prospects"].action is Action.DELETE
        assert [entry.cause for entry in made.meetings[0].causes] == ["deleted there"]


async def test_a_side_that_will_not_take_a_meeting_says_so_in_the_plan(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        start = world.clock.now().replace(day=18)
        world.zoom.people.book(b.host, "With a stranger", start, invitees=["nobody@example.net"])

        made = await preview(b.engine, "acme")

        hold = changes(made)["With a stranger", "prospects"]
        assert hold.action is Action.HOLD
        assert "prospect" in hold.reason
        assert made.forecasts["prospects"].writes == 0


async def test_people_are_counted_once_however_many_meetings_they_are_in(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        for day in (17, 18, 19):
            start = world.clock.now().replace(day=day)
            world.zoom.people.book(b.host, f"Day {day}", start, invitees=[GUEST, OTHER.upper()])

        made = await preview(b.engine, "acme")

        assert made.written == 3
        assert made.people == len({HOST, GUEST, OTHER})


async def test_details_are_limited_and_numbers_are_not(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        for day in range(1, 8):
            b.book(f"Meeting {day}", days=day)

        made = await preview(b.engine, "acme", limit=2)

        assert (len(made.meetings), made.total, made.written) == (2, 7, 7)
        assert made.forecasts["attio"].actions[Action.CREATE] == 7


async def test_writes_beyond_a_hosts_daily_cap_are_announced_for_tomorrow(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path, {"zoom": "daily_write_reserve = 98"}) as b:
        for hour in range(4):
            start = world.clock.now().replace(day=18, hour=hour + 9)
            world.prospect_crm.people.book(b.prospect, start, "Europe/Berlin", "virtual", b.user)

        made = await preview(b.engine, "acme")

        assert made.forecasts["zoom"].actions[Action.CREATE] == 4
        assert made.forecasts["zoom"].tomorrow == 2


async def test_a_connection_that_fails_is_named_and_the_others_are_planned(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        b.book()
        world.lightfield.faults.append(Fault(status=401, body={}, times=None))

        made = await preview(b.engine, "acme")

        assert made.unreachable == ["lightfield"]
        assert changes(made)["Kick-off", "attio"].action is Action.CREATE


async def test_a_plan_after_a_sync_is_empty(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        b.book()
        await b.sync()

        made = await preview(b.engine, "acme")

        assert made.is_settled
        assert made.meetings == []
