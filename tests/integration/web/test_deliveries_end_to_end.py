"""From an edit at a provider, over its webhook, to the other sides."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from sync_engine.sandbox.faults import Fault
from sync_engine.services.ingest import ingest_delivery, run_delivery
from sync_engine.store.inbox import InboxState
from tests.integration.web.bench import Door, deliver, inbox, taken
from tests.lab import HOST, JANE, MONDAY, Lab


async def _settled(lab: Lab) -> str:
    """Book a meeting, bring it everywhere, and forget what that took."""
    number = lab.book()
    await lab.settle()
    # How an account of the CRM wants updates is found out once, with the first of them.
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=1, hours=1))
    await lab.settle()
    taken(lab)
    lab.forget_requests()
    return number


async def test_a_move_at_zoom_costs_one_read_there_and_one_write_elsewhere(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    later = MONDAY + timedelta(days=3)

    lab.world.zoom.people.move(number, later)
    await deliver(lab, door)

    crm = lab.world.prospect_crm
    assert lab.one(crm)["start"] == later
    assert lab.one(lab.world.attio)["start"] == later
    assert dict(lab.world.zoom.requests) == {("GET", "/v2/meetings/{meetingId}"): 1}
    assert (crm.count("GET"), crm.requests.total() - crm.count("GET")) == (1, 1)
    assert lab.world.attio.count("POST") == 1


async def test_an_echo_of_our_own_write_costs_nothing(lab: Lab, door: Door) -> None:
    await _settled(lab)
    lab.world.prospect_crm.people.move(lab.one(lab.world.prospect_crm)["id"], MONDAY + timedelta(days=4))
    await lab.settle()
    echoes = taken(lab)
    assert any(delivery.provider == "zoom" for delivery in echoes)
    lab.forget_requests()

    touched = await deliver(lab, door, echoes)

    assert touched == set()
    assert lab.world.requests() == 0


async def test_an_echo_of_what_we_created_and_deleted_costs_nothing(lab: Lab, door: Door) -> None:
    crm, zoom = lab.world.prospect_crm, lab.world.zoom
    crm.people.book(lab.jane, MONDAY + timedelta(days=2), "Europe/Berlin", "virtual", lab.owner)
    await lab.settle()
    created = taken(lab)
    lab.forget_requests()
    await deliver(lab, door, created)
    after_creating = zoom.requests.total()
    crm.people.cancel(lab.one(crm)["id"])
    await lab.settle()
    deleted = taken(lab)
    lab.forget_requests()

    await deliver(lab, door, deleted)

    assert created
    assert deleted
    assert (after_creating, zoom.requests.total()) == (0, 0)


async def test_a_meeting_nobody_knew_is_taken_in(lab: Lab, door: Door) -> None:
    await lab.sync()
    lab.forget_requests()

    lab.book("Out of the blue")
    await deliver(lab, door)

    assert lab.one(lab.world.attio)["title"] == "Out of the blue"
    assert lab.world.zoom.requests.total() == 1


async def test_a_told_deletion_is_believed_after_a_read_and_cancels_everywhere(lab: Lab, door: Door) -> None:
    number = await _settled(lab)

    lab.world.zoom.people.cancel(number)
    await deliver(lab, door)

    assert lab.records(lab.world.attio) == []
    assert lab.records(lab.world.prospect_crm) == []
    assert dict(lab.world.zoom.requests) == {("GET", "/v2/meetings/{meetingId}"): 1}


async def test_a_deletion_that_was_taken_back_deletes_nothing(lab: Lab, door: Door) -> None:
    number = await _settled(lab)

    lab.world.zoom.people.cancel(number)
    deleted = taken(lab)
    lab.world.zoom.people.recover(number)
    taken(lab)
    await deliver(lab, door, deleted)

    assert len(lab.records(lab.world.attio)) == 1
    assert lab.writes() == 0


async def test_a_recovered_meeting_comes_back_everywhere(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    lab.world.zoom.people.cancel(number)
    await deliver(lab, door)
    assert lab.records(lab.world.attio) == []

    lab.world.zoom.people.recover(number)
    await deliver(lab, door)

    assert len(lab.records(lab.world.attio)) == 1


async def test_a_cancelled_occurrence_takes_only_itself_away(lab: Lab, door: Door) -> None:
    starts = [MONDAY + timedelta(days=day) for day in (1, 2, 3)]
    number = lab.world.zoom.people.book_occurrences(lab.host, "Standup", starts, 15, invitees=[JANE])
    await lab.settle()
    taken(lab)
    second = lab.world.zoom.people.occurrences(number)[1][0]

    lab.world.zoom.people.cancel_occurrence(number, second)
    await deliver(lab, door)

    assert sorted(r["start"] for r in lab.records(lab.world.attio)) == [starts[0], starts[2]]


async def test_a_changed_series_is_read_once_for_all_its_occurrences(lab: Lab, door: Door) -> None:
    starts = [MONDAY + timedelta(days=day) for day in (1, 2, 3)]
    number = lab.world.zoom.people.book_occurrences(lab.host, "Standup", starts, 15, invitees=[JANE])
    await lab.settle()
    taken(lab)
    lab.forget_requests()

    lab.world.zoom.people.rename(number, "Daily")
    await deliver(lab, door)

    assert {r["title"] for r in lab.records(lab.world.attio)} == {"Daily"}
    assert lab.world.zoom.requests.total() == 1


async def test_a_new_series_arrives_by_its_webhook(lab: Lab, door: Door) -> None:
    await lab.sync()
    starts = [MONDAY + timedelta(days=day) for day in (1, 2, 3)]

    lab.world.zoom.people.book_occurrences(lab.host, "Standup", starts, 15, invitees=[JANE])
    await deliver(lab, door)

    assert sorted(r["start"] for r in lab.records(lab.world.attio)) == starts


async def test_a_deleted_series_of_many_waits_for_the_sweep_and_a_person(lab: Lab, door: Door) -> None:
    starts = [MONDAY + timedelta(days=day) for day in range(1, 9)]
    number = lab.world.zoom.people.book_occurrences(lab.host, "Standup", starts, 15, invitees=[JANE])
    await lab.settle()
    taken(lab)

    lab.world.zoom.people.cancel(number)
    await deliver(lab, door)
    untouched = len(lab.records(lab.world.attio))
    summary = await lab.sync()

    assert untouched == len(starts)
    assert len(lab.records(lab.world.attio)) == len(starts)
    assert summary.parked == 1


async def test_deliveries_in_any_order_doubled_and_with_gaps_end_in_the_same_state(
    lab: Lab, door: Door
) -> None:
    number = await _settled(lab)
    people = lab.world.zoom.people
    for day in (2, 3, 4):
        people.move(number, MONDAY + timedelta(days=day))
        people.rename(number, f"On day {day}")
    people.describe(number, "As agreed")
    deliveries = taken(lab) * 2
    random.Random(5).shuffle(deliveries)

    await deliver(lab, door, deliveries[: len(deliveries) // 2])
    await deliver(lab, door, deliveries[len(deliveries) // 2 :])

    attio = lab.one(lab.world.attio)
    assert (attio["title"], attio["start"]) == ("On day 4", MONDAY + timedelta(days=4))
    assert attio["description"].startswith("As agreed")
    lab.forget_requests()
    await lab.sync()
    assert lab.writes() == 0


async def test_lost_deliveries_are_made_up_for_by_the_sweep(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    later = MONDAY + timedelta(days=5)

    lab.world.zoom.people.move(number, later)
    taken(lab)
    await lab.settle()

    assert lab.one(lab.world.attio)["start"] == later


async def test_a_delivery_that_comes_hours_late_changes_nothing_any_more(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=5))
    late = taken(lab)
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=6))
    taken(lab)
    await lab.settle()
    lab.pass_time(minutes=85)
    lab.forget_requests()

    await deliver(lab, door, late)

    assert lab.one(lab.world.attio)["start"] == MONDAY + timedelta(days=6)
    assert lab.writes() == 0


async def test_ten_deliveries_about_one_meeting_cost_one_read(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    for hour in range(1, 11):
        lab.world.zoom.people.move(number, MONDAY + timedelta(days=2, hours=hour))

    await deliver(lab, door)

    assert lab.world.zoom.requests.total() == 1
    assert inbox(lab.engine) == []


async def test_a_new_prospect_lets_the_meeting_that_waited_for_her_through(lab: Lab, door: Door) -> None:
    lab.book(invitees=["joe@prospects.example"])
    lab.book("Another", days=2, invitees=["nobody@prospects.example"])
    await lab.settle()
    taken(lab)
    assert lab.records(lab.world.prospect_crm) == []
    lab.pass_time(minutes=1)
    lab.forget_requests()

    lab.world.prospect_crm.add_prospect("Joe", "Roe", "joe@prospects.example")
    await deliver(lab, door)

    assert lab.one(lab.world.prospect_crm)["start"] == MONDAY + timedelta(days=1)
    # One read of the prospect, and one meeting made; she is known by then.
    assert (lab.world.prospect_crm.count("GET"), lab.world.prospect_crm.count("POST")) == (1, 1)


async def test_a_lightfield_workflow_is_a_hint_to_read(lab: Lab, door: Door) -> None:
    await lab.sync()
    start = MONDAY - timedelta(days=1)

    lab.world.lightfield.people.book(
        "Yesterday", start, start + timedelta(hours=1), organizer=HOST, attendees=[JANE]
    )
    await deliver(lab, door)

    assert lab.one(lab.world.attio)["title"] == "Yesterday"


async def test_a_provider_that_does_not_answer_is_asked_again_later(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    later = MONDAY + timedelta(days=5)
    lab.world.zoom.people.move(number, later)
    lab.world.zoom.faults.append(Fault(path=r"/v2/meetings/.*", status=503, times=8))

    await deliver(lab, door)
    (waiting,) = inbox(lab.engine)
    lab.world.zoom.faults.clear()
    lab.pass_time(minutes=1)
    await run_delivery(lab.engine, waiting.id)

    assert (waiting.state, waiting.attempts) == (InboxState.PENDING, 1)
    assert waiting.not_before > waiting.received_at
    assert lab.one(lab.world.attio)["start"] == later


async def test_a_limited_connection_rests_with_its_deliveries(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=5))
    limited = Fault(path=r"/v2/meetings/.*", status=429, headers={"Retry-After": "120"}, times=99)
    lab.world.zoom.faults.append(limited)

    await deliver(lab, door)

    (waiting,) = inbox(lab.engine)
    assert waiting.attempts == 0
    assert waiting.not_before >= lab.world.clock.now() + timedelta(seconds=100)
    assert inbox(lab.engine) != []


async def test_a_connection_that_is_busy_is_left_to_its_run(lab: Lab, door: Door) -> None:
    await _settled(lab)
    lab.book("While busy", days=2)
    door.post_all(taken(lab))
    (row,) = inbox(lab.engine)
    with lab.engine.store.transaction() as uow:
        lease = uow.leases.acquire("connection:acme/zoom", "somebody else")
        assert lease is not None

    touched = await ingest_delivery(lab.engine, row.id)
    with lab.engine.store.transaction() as uow:
        uow.leases.release(lease)
    touched_later = await ingest_delivery(lab.engine, row.id)

    assert touched == frozenset()
    assert len(touched_later) == 1


async def test_working_on_a_delivery_twice_is_working_on_it_once(lab: Lab, door: Door) -> None:
    number = await _settled(lab)
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=5))
    door.post_all(taken(lab))
    (row,) = inbox(lab.engine)

    first = await ingest_delivery(lab.engine, row.id)
    again = await ingest_delivery(lab.engine, row.id)

    assert (len(first), again) == (1, frozenset())
    assert lab.world.zoom.requests.total() == 1


async def test_a_delivery_for_a_connection_that_was_taken_out_is_closed(lab: Lab, door: Door) -> None:
    await _settled(lab)
    lab.book("Too late", days=2)
    door.post_all(taken(lab))
    (row,) = inbox(lab.engine)
    others = {name: channel for name, channel in lab.tenant.channels.items() if name != "zoom"}
    engine = replace(lab.engine, tenants={"acme": replace(lab.tenant, channels=others)})

    await ingest_delivery(engine, row.id)

    with lab.engine.store.reading() as uow:
        closed = uow.inbox.get(row.id)
    assert closed is not None
    assert (closed.state, closed.reason) == (InboxState.FAILED, "the connection is not configured any more")
