"""What the simulation of the whole world once found, each as a small history of its own."""

from __future__ import annotations

from datetime import timedelta

from sync_engine.sandbox.faults import Fault
from tests.lab import JANE, MONDAY, Lab

TOMORROW = MONDAY + timedelta(days=1)


async def test_a_guest_taken_out_at_zoom_right_after_the_first_sight_is_noticed(lab: Lab) -> None:
    number = lab.book(days=4, invitees=[JANE, "bob@guests.example"])
    await lab.sync()

    # The list hides guests: only the slow rotation sees this.
    lab.world.zoom.people.uninvite(number, "bob@guests.example")
    lab.pass_time(hours=31)
    await lab.settle()

    assert lab.one(lab.world.attio)["participants"] == [JANE]


async def test_a_guest_invited_at_zoom_to_a_meeting_we_created_there_is_noticed(lab: Lab) -> None:
    crm = lab.world.prospect_crm
    crm.people.book(lab.jane, MONDAY + timedelta(days=4), "Europe/Berlin", "virtual", lab.owner)
    await lab.settle()

    lab.world.zoom.people.invite(lab.one(lab.world.zoom)["id"], "bob@guests.example")
    lab.pass_time(hours=31)
    await lab.settle()

    assert lab.one(lab.world.attio)["participants"] == ["bob@guests.example", JANE]


async def test_a_new_meeting_whose_first_read_fails_is_read_by_the_next_sync(lab: Lab) -> None:
    lab.book(agenda="Bring the offer")
    lab.world.zoom.faults.append(Fault(method="GET", path=r"/v2/meetings/\d+", status=503, times=4))

    await lab.sync()
    lab.pass_time(minutes=5)
    await lab.settle()

    assert lab.one(lab.world.attio)["participants"] == [JANE]
