"""Deletion by proof, and the guards around it."""

from __future__ import annotations

from datetime import timedelta

from sync_engine.sandbox.faults import Fault
from sync_engine.services.sync import prepare, pull_all, settle
from tests.lab import JANE, MONDAY, Lab

TOMORROW = MONDAY + timedelta(days=1)


async def test_a_meeting_cancelled_at_zoom_leaves_the_others_without_a_mail(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()

    lab.world.zoom.people.cancel(number)
    mails = len(lab.world.zoom.mails_sent)
    summary = await lab.settle()

    assert lab.records(lab.world.attio) == []
    assert lab.records(lab.world.prospect_crm) == []
    assert len(lab.world.zoom.mails_sent) == mails
    assert not summary.needs_attention


async def test_a_meeting_deleted_in_the_crm_is_cancelled_at_zoom_silently(lab: Lab) -> None:
    lab.book()
    await lab.settle()

    lab.world.prospect_crm.people.cancel(lab.one(lab.world.prospect_crm)["id"])
    await lab.settle()

    assert lab.records(lab.world.zoom) == []
    assert lab.world.zoom.mails_sent == []


async def test_an_edit_made_elsewhere_beats_a_deletion(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    later = TOMORROW + timedelta(hours=3)

    lab.world.prospect_crm.people.cancel(lab.one(lab.world.prospect_crm)["id"])
    lab.world.zoom.people.move(number, later)
    await lab.settle()

    assert lab.one(lab.world.zoom)["start"] == later
    assert lab.one(lab.world.prospect_crm)["start"] == later
    assert "deletion_lost" in {e.kind for e in lab.journal()}


async def test_a_recovered_zoom_meeting_comes_back_everywhere(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    lab.world.zoom.people.cancel(number)
    await lab.settle()

    lab.world.zoom.people.recover(number)
    await lab.settle()

    assert len(lab.records(lab.world.zoom)) == 1
    assert len(lab.records(lab.world.attio)) == 1
    assert len(lab.records(lab.world.prospect_crm)) == 1


async def test_a_meeting_that_has_started_is_never_cancelled_elsewhere(lab: Lab) -> None:
    number = lab.book(days=0.01, minutes=60)
    await lab.settle()
    lab.pass_time(minutes=30)

    lab.world.zoom.people.cancel(number)
    await lab.settle()

    assert len(lab.records(lab.world.attio)) == 1
    assert len(lab.records(lab.world.prospect_crm)) == 1


async def test_zoom_forgetting_an_old_meeting_is_no_deletion(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    lab.pass_time(days=33)

    summary = await lab.settle()

    assert len(lab.records(lab.world.attio)) == 1
    assert len(lab.records(lab.world.prospect_crm)) == 1
    assert not summary.needs_attention


async def test_a_listing_that_suddenly_is_empty_deletes_nothing(lab: Lab) -> None:
    for day in range(1, 13):
        lab.book(f"Talk {day}", days=day)
    await lab.settle()
    empty = {"page_count": 1, "page_size": 300, "total_records": 0, "next_page_token": "", "meetings": []}
    lab.world.zoom.faults.append(
        Fault(method="GET", path=r"/v2/users/[^/]+/meetings", status=200, body=empty, times=None)
    )

    await lab.sync()
    lab.world.zoom.faults.clear()
    summary = await lab.settle()

    assert len(lab.records(lab.world.attio)) == 12
    assert len(lab.records(lab.world.prospect_crm)) == 12
    assert not summary.needs_attention


async def test_a_mass_deletion_waits_for_a_person_and_everything_else_goes_on(lab: Lab) -> None:
    numbers = [lab.book(f"Talk {day}", days=day) for day in range(1, 13)]
    await lab.settle()

    for number in numbers[:8]:
        lab.world.zoom.people.cancel(number)
    lab.world.zoom.people.rename(numbers[11], "Still on")
    summary = await lab.settle()

    assert len(lab.records(lab.world.attio)) == 12
    assert summary.parked == 1
    assert "Still on" in {r["title"] for r in lab.records(lab.world.attio)}
    with lab.engine.store.reading() as uow:
        (decision,) = uow.decisions.open_of_workspace("acme")
    assert decision.evidence["text"] == "zoom shows 8 of 12 records gone"


async def test_a_few_deletions_need_no_person(lab: Lab) -> None:
    numbers = [lab.book(f"Talk {day}", days=day) for day in range(1, 13)]
    await lab.settle()

    for number in numbers[:3]:
        lab.world.zoom.people.cancel(number)
    summary = await lab.settle()

    assert len(lab.records(lab.world.attio)) == 9
    assert not summary.needs_attention


async def test_deletions_can_be_kept_to_their_side(lab: Lab) -> None:
    await lab.restart(workspace='deletions = "keep"')
    number = lab.book()
    await lab.settle()

    lab.world.zoom.people.cancel(number)
    await lab.settle()

    assert len(lab.records(lab.world.attio)) == 1
    assert lab.records(lab.world.zoom) == []


async def test_a_lagging_index_neither_deletes_nor_resurrects(lab: Lab) -> None:
    number = lab.book(days=0.05)
    await lab.settle()
    lab.pass_time(hours=3)
    lab.world.lightfield.index_lag = timedelta(minutes=30)
    await lab.settle()
    assert len(lab.records(lab.world.lightfield)) == 1

    summary = await lab.settle()

    assert len(lab.records(lab.world.lightfield)) == 1
    assert lab.world.lightfield.count("POST") == 1
    assert number
    assert not summary.needs_attention


async def test_cancelling_one_occurrence_leaves_the_series_alone(lab: Lab) -> None:
    starts = [TOMORROW + timedelta(weeks=week) for week in range(4)]
    number = lab.world.zoom.people.book_occurrences(lab.host, "Weekly", starts, 30, "Europe/Berlin")
    await lab.settle()
    gone = next(r for r in lab.records(lab.world.attio) if r["start"] == starts[1])
    assert gone

    occurrence = lab.world.zoom.people.occurrences(number)[1]
    lab.world.zoom.people.cancel_occurrence(number, occurrence[0])
    await lab.settle()

    assert sorted(r["start"] for r in lab.records(lab.world.attio)) == [starts[0], starts[2], starts[3]]


async def test_deleting_one_occurrence_elsewhere_deletes_only_it_at_zoom(lab: Lab) -> None:
    starts = [TOMORROW + timedelta(weeks=week) for week in range(4)]
    lab.world.zoom.people.book_occurrences(
        lab.host, "Weekly", starts, 30, "Europe/Berlin", invitees=["jane@prospects.example"]
    )
    await lab.settle()
    crm = lab.world.prospect_crm
    second = next(r for r in lab.records(crm) if r["start"] == starts[1])

    crm.people.cancel(second["id"])
    await lab.settle()

    left = sorted(r["start"] for r in lab.records(lab.world.zoom))
    assert left == [starts[0], starts[2], starts[3]]


async def test_a_series_planned_anew_keeps_its_meetings(lab: Lab) -> None:
    starts = [TOMORROW + timedelta(weeks=week) for week in range(3)]
    zoom = lab.world.zoom.people
    number = zoom.book_occurrences(lab.host, "Weekly", starts, 30, "Europe/Berlin", invitees=[JANE])
    await lab.settle()
    crm = {r["id"] for r in lab.records(lab.world.prospect_crm)}

    zoom.move(number, starts[0] + timedelta(hours=1))
    summary = await lab.settle()

    moved = sorted(r["start"] for r in lab.records(lab.world.prospect_crm))
    assert moved == [s + timedelta(hours=1) for s in starts]
    assert {r["id"] for r in lab.records(lab.world.prospect_crm)} == crm
    assert not summary.needs_attention


async def test_an_edit_between_the_decision_and_the_deletion_is_not_deleted(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    crm = lab.world.prospect_crm
    record = lab.one(crm)["id"]
    lab.world.zoom.people.cancel(number)
    run = lab.new_run()
    prepare(lab.engine, lab.tenant)
    await pull_all(lab.engine, lab.tenant, run)
    later = TOMORROW + timedelta(hours=5)

    lab.pass_time(minutes=5)
    crm.people.move(record, later)
    await settle(lab.engine, lab.tenant, run)
    await lab.settle()

    assert lab.one(crm)["start"] == later
    assert lab.one(lab.world.zoom)["start"] == later


async def test_a_record_hidden_at_lightfield_is_not_taken_for_deleted(lab: Lab) -> None:
    lab.book(days=0.05)
    lab.book("Another", days=0.06)
    await lab.settle()
    lab.pass_time(hours=4)
    await lab.settle()
    lightfield = lab.world.lightfield
    trashed, hidden = (r["id"] for r in lab.records(lightfield))
    lightfield.people.cancel(trashed)
    lightfield.people.purge(hidden)

    for _ in range(3):
        await lab.sync()

    assert len(lab.records(lab.world.prospect_crm)) == 2
    with lab.engine.store.reading() as uow:
        states = {
            e: r.ref.state.value
            for e, r in uow.refs.by_external_id("acme/lightfield", [trashed, hidden]).items()
        }
    assert states == {trashed: "gone", hidden: "linked"}
