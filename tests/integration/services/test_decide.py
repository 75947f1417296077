"""What a person's decisions do: here, and with the next sync at the providers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sync_engine.core.meeting import Field, Status
from sync_engine.core.plan import EntryKind
from sync_engine.core.refs import PastWrite, RefState
from sync_engine.errors import ConfigurationError
from sync_engine.sandbox.faults import Fault
from sync_engine.sandbox.world import World
from sync_engine.services.decide import (
    Side,
    forget_quarantined,
    ignore_review,
    link_review,
    resolve_conflict,
    retry_quarantined,
    separate_review,
)
from sync_engine.services.guarded import answer_decision, discard_write, retry_write
from sync_engine.services.search import find_meeting
from sync_engine.services.standing import standing_of
from sync_engine.store.conflicts import ConflictRow
from sync_engine.store.decisions import DecisionRow
from sync_engine.store.meetings import MeetingRow
from sync_engine.store.outbox import OutboxRow
from sync_engine.store.quarantine import QuarantineRow
from sync_engine.store.refs import RefRow
from sync_engine.store.reviews import ReviewRow
from tests.integration.services.bench import GUEST, HOST, OTHER, Bench, bench

ASK_SCHEDULES = {"workspace": '[workspaces.acme.owners]\nschedule = "ask"'}
ASK_DELETIONS = {"workspace": 'deletions = "ask"'}


def conflicts(b: Bench) -> list[ConflictRow]:
    with b.engine.store.reading() as uow:
        return uow.conflicts.open_of_workspace("acme")


def reviews(b: Bench) -> list[ReviewRow]:
    with b.engine.store.reading() as uow:
        return uow.reviews.open_of_workspace("acme")


def decisions(b: Bench) -> list[DecisionRow]:
    with b.engine.store.reading() as uow:
        return uow.decisions.open_of_workspace("acme")


def parked(b: Bench) -> list[OutboxRow]:
    with b.engine.store.reading() as uow:
        return uow.outbox.parked("acme")


def quarantined(b: Bench) -> list[QuarantineRow]:
    with b.engine.store.reading() as uow:
        return uow.quarantine.of_workspace("acme")


def meeting(b: Bench, name: str) -> MeetingRow:
    return find_meeting(b.engine, ["acme"], name)[1]


def ref(b: Bench, name: str, connection: str) -> RefRow:
    row = meeting(b, name)
    with b.engine.store.reading() as uow:
        return {r.ref.connection: r for r in uow.refs.of_meetings([row.id])[row.id]}[connection]


def decided(b: Bench) -> list[str]:
    with b.engine.store.reading() as uow:
        return [e.cause for e in uow.journal.latest("acme", 1000) if e.kind == EntryKind.DECIDED.value]


def live(side: Any) -> list[dict[str, Any]]:
    return [r for r in side.records() if not r.get("deleted")]


async def contested(b: Bench) -> tuple[str, str]:
    """Let two people move one meeting to two different times; gives its ids at Zoom and at the CRM."""
    number = b.book(days=3)
    await b.sync()
    crm = str(live(b.world.prospect_crm)[0]["id"])
    start = b.world.clock.now()
    b.pass_time(minutes=5)
    b.world.zoom.people.move(number, start.replace(hour=15))
    b.world.zoom.people.move(number, start.replace(day=20, hour=15))
    b.world.prospect_crm.people.move(crm, start.replace(day=21, hour=11))
    await b.sync()
    return number, crm


def start_of(side: Any, external_id: str) -> Any:
    return next(r["start"] for r in live(side) if str(r["id"]) == external_id)


async def test_theirs_becomes_the_value_everywhere(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, ASK_SCHEDULES) as b:
        number, crm = await contested(b)
        chosen = next(c for c in conflicts(b) if c.connection_id == "acme/prospects")
        wanted = start_of(world.prospect_crm, crm)

        await resolve_conflict(b.engine, chosen.id, Side.THEIRS)
        summary = await b.sync()

        assert start_of(world.zoom, number) == start_of(world.prospect_crm, crm) == wanted
        assert not conflicts(b)
        assert summary.parked == summary.unsettled == 0
        assert any("value of prospects" in cause for cause in decided(b))


async def test_ours_is_written_over_the_edit_that_lost(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, ASK_SCHEDULES) as b:
        number, crm = await contested(b)
        before = meeting(b, number).meeting.schedule
        assert before is not None

        for each in conflicts(b):
            await resolve_conflict(b.engine, each.id, Side.OURS)
        await b.sync()

        assert start_of(world.zoom, number) == start_of(world.prospect_crm, crm) == before.start
        assert not conflicts(b)


async def test_an_edit_made_after_the_question_is_asked_about_again(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, ASK_SCHEDULES) as b:
        _number, crm = await contested(b)
        later = world.clock.now().replace(day=24, hour=8)
        world.prospect_crm.people.move(crm, later)
        asked = conflicts(b)
        for each in asked:
            await resolve_conflict(b.engine, each.id, Side.OURS)

        await b.sync()

        assert start_of(world.prospect_crm, crm) == later
        assert [c.connection_id for c in conflicts(b)] == ["acme/prospects"]


async def test_a_conflict_cannot_be_resolved_twice(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, ASK_SCHEDULES) as b:
        await contested(b)
        chosen = conflicts(b)[0]
        await resolve_conflict(b.engine, chosen.id, Side.THEIRS)

        with pytest.raises(ConfigurationError, match="decided already"):
            await resolve_conflict(b.engine, chosen.id, Side.OURS)


async def asked_about(b: Bench) -> ReviewRow:
    """Let a calendar show a meeting with the same people at the same time under another title."""
    start = b.world.clock.now().replace(day=18)
    end = start.replace(hour=start.hour + 1)
    b.world.lightfield.people.book(
        "Budget talk", start, end, organizer=HOST, attendees=[GUEST, OTHER], description=""
    )
    await b.sync()
    assert len(reviews(b)) == 1
    return reviews(b)[0]


async def planned(b: Bench) -> str:
    start = b.world.clock.now().replace(day=18)
    number = b.world.zoom.people.book(b.host, "Quarterly planning", start, 60, invitees=[GUEST, OTHER])
    await b.sync()
    return number


async def test_a_linked_record_belongs_to_the_proposed_meeting(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = await planned(b)
        review = await asked_about(b)

        await link_review(b.engine, review.id)
        await b.sync()

        assert meeting(b, review.external_id).id == meeting(b, number).id
        assert not reviews(b)
        assert len(live(world.zoom)) == 1


async def test_a_record_kept_separate_is_a_meeting_of_its_own(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = await planned(b)
        review = await asked_about(b)

        await separate_review(b.engine, review.id)
        await b.sync()

        assert meeting(b, review.external_id).id != meeting(b, number).id
        assert not reviews(b)


async def test_an_ignored_record_is_left_alone_for_good(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        await planned(b)
        review = await asked_about(b)

        await ignore_review(b.engine, review.id)
        world.lightfield.people.rename(review.external_id, "Budget talk, again")
        await b.sync()

        assert not reviews(b)
        with pytest.raises(ConfigurationError):
            meeting(b, review.external_id)


async def vanished(b: Bench, number: int = 12) -> DecisionRow:
    """Let most of the meetings Zoom has be cancelled at once; gives the guard's question."""
    numbers = [b.book(f"Meeting {i}", days=2 + i / 24) for i in range(number)]
    await b.sync()
    for each in numbers[: number - 2]:
        b.world.zoom.people.cancel(each)
    await b.sync()
    assert len(decisions(b)) == 1
    return decisions(b)[0]


async def test_an_approved_mass_deletion_is_carried_out_everywhere(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        decision = await vanished(b)
        assert len(live(world.prospect_crm)) == 12

        await answer_decision(b.engine, decision.id, approve=True)
        summary = await b.sync()

        assert len(live(world.prospect_crm)) == len(live(world.attio)) == 2
        assert summary.parked == summary.unsettled == 0


async def test_a_rejected_mass_deletion_cancels_nothing_and_is_not_asked_again(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        decision = await vanished(b)

        await answer_decision(b.engine, decision.id, approve=False)
        first = await b.sync()
        second = await b.sync()

        assert len(live(world.prospect_crm)) == 12
        assert len(live(world.zoom)) == 2
        assert not decisions(b)
        assert first.parked == second.parked == second.created == second.deleted == 0
        assert standing_of(b.engine, b.engine.tenants["acme"]).cancelled == 0


async def test_a_record_that_comes_back_after_a_rejection_is_linked_again(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        decision = await vanished(b)
        gone = str(decision.evidence["records"][0])
        await answer_decision(b.engine, decision.id, approve=False)
        await b.sync()

        world.zoom.people.recover(gone)
        await b.sync()

        assert ref(b, gone, "zoom").ref.state is RefState.LINKED
        assert not decisions(b)


async def test_an_approved_deletion_cancels_the_meeting_everywhere(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, ASK_DELETIONS) as b:
        number = b.book()
        await b.sync()
        world.zoom.people.cancel(number)
        await b.sync()
        assert len(live(world.prospect_crm)) == 1

        await answer_decision(b.engine, decisions(b)[0].id, approve=True)
        await b.sync()

        assert not live(world.prospect_crm)
        assert meeting(b, number).meeting.status is Status.CANCELLED


async def test_a_rejected_deletion_keeps_the_meeting(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path, ASK_DELETIONS) as b:
        number = b.book()
        await b.sync()
        world.zoom.people.cancel(number)
        await b.sync()

        await answer_decision(b.engine, decisions(b)[0].id, approve=False)
        summary = await b.sync()

        assert len(live(world.prospect_crm)) == len(live(world.attio)) == 1
        assert not live(world.zoom)
        assert (summary.parked, summary.unsettled) == (0, 0)


async def remade(b: Bench) -> DecisionRow:
    """Let a side lose its records while the meetings are edited elsewhere: all would be made again."""
    numbers = [b.book(f"Meeting {i}", days=2 + i / 24) for i in range(8)]
    await b.sync()
    for record in live(b.world.prospect_crm):
        b.world.prospect_crm.people.cancel(str(record["id"]))
    for number in numbers:
        b.world.zoom.people.move(number, b.world.clock.now().replace(day=25, hour=int(number[-1]) + 1))
    await b.sync()
    mass = [d for d in decisions(b) if d.kind.value == "mass_deletion"]
    for each in mass:
        await answer_decision(b.engine, each.id, approve=True)
    # The edits came while the deletions waited: they count as made since.
    for number in numbers:
        b.world.zoom.people.move(number, b.world.clock.now().replace(day=26, hour=int(number[-1]) + 1))
    await b.sync()
    return next(d for d in decisions(b) if d.kind.value == "mass_creation")


async def test_an_approved_mass_creation_makes_the_records_again(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        decision = await remade(b)
        assert not live(world.prospect_crm)

        await answer_decision(b.engine, decision.id, approve=True)
        await b.sync()

        assert len(live(world.prospect_crm)) == 8
        assert not decisions(b)


async def test_a_rejected_mass_creation_leaves_that_side_without(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        decision = await remade(b)

        await answer_decision(b.engine, decision.id, approve=False)
        summary = await b.sync()

        assert not live(world.prospect_crm)
        assert len(live(world.zoom)) == 8
        assert (summary.parked, summary.unsettled) == (0, 0)


async def refused(b: Bench) -> OutboxRow:
    """Let the CRM refuse a change for good."""
    number = b.book()
    await b.sync()
    b.world.prospect_crm.faults.append(Fault("POST|PATCH|PUT", ".*/meetings/.+", status=422, body={}))
    b.world.zoom.people.move(number, b.world.clock.now().replace(day=19))
    await b.sync()
    assert [row.connection_id for row in parked(b)] == ["acme/prospects"]
    return parked(b)[0]


async def test_a_parked_write_that_is_retried_goes_through_once_the_cause_is_gone(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        row = await refused(b)
        world.prospect_crm.faults.clear()

        await retry_write(b.engine, row.id)
        summary = await b.sync()

        assert live(world.prospect_crm)[0]["start"] == live(world.zoom)[0]["start"]
        assert (summary.parked, summary.unsettled) == (0, 0)


async def test_a_discarded_write_is_held_until_somebody_changes_the_value_again(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        row = await refused(b)
        world.prospect_crm.faults.clear()

        await discard_write(b.engine, row.id)
        summary = await b.sync()
        shown = live(world.prospect_crm)[0]["start"]
        number = str(live(world.zoom)[0]["id"])

        assert (summary.updated, summary.parked, summary.unsettled) == (0, 0, 0)
        assert shown != live(world.zoom)[0]["start"]
        assert ref(b, number, "prospects").ref.held[Field.SCHEDULE].reason == "discarded by a person"

        world.zoom.people.move(number, world.clock.now().replace(day=27))
        await b.sync()
        assert live(world.prospect_crm)[0]["start"] == live(world.zoom)[0]["start"]


async def test_a_discarded_deletion_leaves_the_record_and_cuts_the_tie(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()
        world.prospect_crm.faults.append(Fault("DELETE", status=422, body={}))
        world.zoom.people.cancel(number)
        await b.sync()
        world.prospect_crm.faults.clear()

        await discard_write(b.engine, parked(b)[0].id)
        summary = await b.sync()

        assert len(live(world.prospect_crm)) == 1
        assert ref(b, number, "prospects").ref.state is RefState.DETACHED
        assert (summary.parked, summary.unsettled, summary.deleted) == (0, 0, 0)


def unreadable(body: bytes) -> bytes:
    return body.replace(b'"title":"Odd one"', b'"title":["Odd one"]')


async def odd(b: Bench) -> QuarantineRow:
    """Let Attio show a record that does not fit its own schema."""
    start = b.world.clock.now().replace(day=18)
    b.world.attio.people.book("Odd one", start, start.replace(hour=12), organizer=HOST, attendees=[GUEST])
    b.world.attio.faults.append(Fault("GET", "/v2/meetings.*", rewrite=unreadable, times=None))
    summary = await b.sync()
    assert summary.quarantined == 1
    return quarantined(b)[0]


async def test_a_forgotten_record_is_off_the_list_until_it_changes(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        row = await odd(b)

        await forget_quarantined(b.engine, row.id)
        forgotten = await b.sync()
        world.attio.people.describe(row.external_id, "now with an agenda")
        changed = await b.sync()

        assert (forgotten.quarantined, changed.quarantined) == (0, 1)


async def test_a_retried_record_is_read_once_it_can_be(world: World, tmp_path: Path) -> None:
    async with bench(world, tmp_path) as b:
        row = await odd(b)
        world.attio.faults.clear()

        await retry_quarantined(b.engine, row.id)
        summary = await b.sync()

        assert summary.quarantined == 0
        assert meeting(b, row.external_id).meeting.title == "Odd one"


async def test_a_field_written_back_and_forth_waits_for_a_person_who_can_thaw_it(
    world: World, tmp_path: Path
) -> None:
    async with bench(world, tmp_path) as b:
        number = b.book()
        await b.sync()
        row = ref(b, number, "prospects")
        swaps = tuple(PastWrite(Field.SCHEDULE, "swapped", world.clock.now()) for _ in range(4))
        row.ref = replace(row.ref, recent_writes=swaps)
        with b.engine.store.transaction() as uow:
            uow.refs.save([row])
        world.zoom.people.move(number, world.clock.now().replace(day=19))
        frozen = await b.sync()
        assert live(world.prospect_crm)[0]["start"] != live(world.zoom)[0]["start"]

        await resolve_conflict(b.engine, conflicts(b)[0].id, Side.OURS)
        thawed = await b.sync()

        assert (frozen.parked, thawed.parked) == (1, 0)
        assert live(world.prospect_crm)[0]["start"] == live(world.zoom)[0]["start"]
