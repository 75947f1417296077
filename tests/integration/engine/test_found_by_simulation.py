"""What the simulation of the whole world once found, each as a small history of its own."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from sync_engine.sandbox.faults import Fault
from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.services.pull import pull_connection
from tests.lab import HOST, JANE, MONDAY, Lab

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


async def test_a_join_link_reaches_the_others_although_one_of_them_shows_an_empty_one(lab: Lab) -> None:
    crm = lab.world.prospect_crm
    lightfield = lab.world.lightfield
    crm.people.book(lab.jane, MONDAY - timedelta(hours=2), "Europe/Berlin", "in-person", lab.owner)
    await lab.settle()
    assert lab.one(lightfield)["join_url"] is None

    # The meeting is put off, and is to be held by video after all: now Zoom issues a link.
    lightfield.people.move(lab.one(lightfield)["id"], TOMORROW)
    crm.people.set_kind(lab.one(crm)["id"], "virtual")
    await lab.settle()

    link = lab.one(lab.world.zoom)["join_url"]
    assert lab.one(crm)["location"] == link
    assert link in lab.one(lab.world.attio)["description"]


async def test_a_held_removal_is_not_forgotten_when_its_side_adds_somebody(lab: Lab) -> None:
    people = [JANE, "bob@guests.example"]
    number = lab.book(days=2, invitees=people)
    link = lab.one(lab.world.zoom)["join_url"]
    start = MONDAY + timedelta(days=2)
    lightfield = lab.world.lightfield
    copy = lightfield.people.book(
        "Kick-off", start, start + timedelta(minutes=30), organizer=HOST, attendees=[HOST, *people], url=link
    )
    await lab.settle()
    attio_id = lab.one(lab.world.attio)["id"]

    # Before the meeting Lightfield's guests cannot be changed, so bob's removal is held there.
    lab.world.attio.people.uninvite(attio_id, "bob@guests.example")
    await lab.settle()
    lightfield.people.invite(copy, "eve@guests.example")
    await lab.settle()
    lab.pass_time(days=2, hours=2)
    await lab.settle()

    wanted = ["eve@guests.example", JANE]
    assert number
    assert lab.one(lab.world.zoom)["participants"] == wanted
    assert lab.one(lightfield)["participants"] == wanted


async def test_a_known_record_that_could_not_be_read_for_a_while_is_taken_back(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    spoiled = Fault(method="GET", path=r"/v2/users/[^/]+/meetings", rewrite=_spoil, times=1)
    lab.world.zoom.faults.append(spoiled)

    during = await lab.sync()
    after = await lab.settle()

    assert during.quarantined == 1
    assert after.quarantined == 0


def _spoil(answer: bytes) -> bytes:
    body = json.loads(answer)
    body["meetings"][0]["duration"] = "nonsense"
    return json.dumps(body).encode()


async def test_a_trashed_copy_comes_back_at_once_and_not_only_after_the_meeting(patient_lab: Lab) -> None:
    lab = patient_lab
    number, crm = lab.book(days=3), lab.world.prospect_crm
    lab.pass_time(minutes=20)
    await lab.settle()

    # The cancellation reaches Lightfield's copy before the edit that beats it is noticed at Zoom.
    crm.people.cancel(lab.one(crm)["id"])
    await lab.settle()
    assert lab.records(lab.world.lightfield) == []
    lab.world.zoom.people.recover(number)
    await lab.settle()

    assert len(lab.records(lab.world.lightfield)) == 1


async def test_a_database_that_fails_while_an_outcome_is_stored_leaves_nothing_parked(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    lab.world.zoom.people.rename(number, "Second talk")
    fails = FailingCommits(lab, "PATCH", lab.world.prospect_crm)

    with pytest.raises(sa.exc.OperationalError):
        await lab.sync()
    fails.end()
    lab.pass_time(minutes=2)
    after = await lab.settle()

    assert after.parked == 0
    assert "Second talk" in lab.one(lab.world.prospect_crm)["notes"]


async def test_a_question_that_stays_unanswered_before_a_replacement_parks_nothing(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    # Whether Attio can delete at all is asked before the first replacement, with an id nobody has.
    lab.world.attio.faults.append(Fault(method="DELETE", cut=True, times=4))

    lab.world.zoom.people.rename(number, "Second talk")
    await lab.sync()
    lab.pass_time(minutes=5)
    after = await lab.settle()

    assert after.parked == 0
    assert lab.one(lab.world.attio)["title"] == "Second talk"


async def test_a_question_about_a_record_that_turns_out_to_be_ours_is_taken_back(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    lab.world.zoom.people.rename(number, "Second talk")
    fails = FailingCommits(lab, "POST", lab.world.attio)
    with pytest.raises(sa.exc.OperationalError):
        await lab.sync()
    fails.end()

    # The replacement is there, and nobody knows it for ours yet when the listing shows it.
    lab.pass_time(minutes=2)
    await pull_connection(lab.engine, lab.tenant, lab.tenant.channels["attio"], lab.new_run())
    after = await lab.settle()

    assert after.parked == 0
    assert len(lab.records(lab.world.attio)) == 1


class FailingCommits:
    """Let every commit fail from the moment a sandbox has answered a request of one method."""

    def __init__(self, lab: Lab, method: str, sandbox: ProviderSandbox) -> None:
        self._engine, self._method, self._sandbox = lab.engine.store.engine, method, sandbox
        sandbox.reset_counters()
        sa.event.listen(self._engine, "commit", self._fail)

    def _fail(self, _connection: sa.Connection) -> None:
        if self._sandbox.count(self._method):
            raise sa.exc.OperationalError("COMMIT", None, Exception("the database is away"))

    def end(self) -> None:
        """Let the database be well again."""
        sa.event.remove(self._engine, "commit", self._fail)
