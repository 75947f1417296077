"""Records that the CRMs' own calendar sync makes: linked, never doubled."""

from __future__ import annotations

from datetime import timedelta

from sync_engine.services.pull import pull_connection
from sync_engine.services.sync import prepare
from tests.lab import HOST, JANE, MONDAY, Lab

TOMORROW = MONDAY + timedelta(days=1)


async def test_a_twin_that_appears_within_the_grace_time_is_linked(patient_lab: Lab) -> None:
    lab = patient_lab
    lab.book()
    first = await lab.sync()
    lab.pass_time(minutes=20)

    second = await lab.settle()

    assert first.deferred == 2
    assert lab.one(lab.world.attio)["created_by_api"] is False
    assert lab.one(lab.world.lightfield)["created_by_api"] is False
    assert lab.refs()["attio"].ref.origin.value == "found"
    assert not second.needs_attention


async def test_a_twin_that_appears_after_ours_takes_its_place(patient_lab: Lab) -> None:
    lab = patient_lab
    lab.world.attio.calendar_sync_delay = timedelta(minutes=40)
    lab.book()
    await lab.sync()
    lab.pass_time(minutes=16)
    await lab.settle()
    assert lab.one(lab.world.attio)["created_by_api"] is True

    lab.pass_time(minutes=30)
    await lab.settle()

    assert lab.one(lab.world.attio)["created_by_api"] is False
    assert len(lab.refs()) == 4


async def test_an_existing_record_is_matched_on_first_contact(lab: Lab) -> None:
    lab.world.attio.people.book(
        "Kick-off", TOMORROW, TOMORROW + timedelta(minutes=30), organizer=HOST, attendees=[JANE]
    )
    lab.world.prospect_crm.people.book(lab.jane, TOMORROW, "Europe/Berlin", "virtual", lab.owner)
    lab.book()

    summary = await lab.settle()

    for sandbox in (lab.world.zoom, lab.world.attio, lab.world.prospect_crm):
        assert len(lab.records(sandbox)) == 1
    assert summary.settled == 1


async def test_meetings_that_share_a_link_stay_apart(lab: Lab) -> None:
    link = "https://zoom.us/j/841218129"
    for topic, guest in (("Release planning", "rita@acme.example"), ("Design review", "dora@acme.example")):
        start = TOMORROW if topic == "Release planning" else TOMORROW + timedelta(hours=4)
        lab.world.zoom.people.book(lab.host, topic, start, 30, invitees=[guest, JANE], join_url=link)

    await lab.settle()

    assert sorted(r["title"] for r in lab.records(lab.world.attio)) == ["Design review", "Release planning"]
    assert len(lab.records(lab.world.prospect_crm)) == 2


async def test_meetings_that_share_a_link_and_a_start_are_told_apart_by_title_and_people(lab: Lab) -> None:
    link = "https://zoom.us/j/841218129"
    other = lab.world.zoom.add_host("otto@acme.example", first_name="Otto", last_name="Host")
    lab.world.zoom.people.book(
        lab.host, "Release planning", TOMORROW, 30, invitees=["a@x.example"], join_url=link
    )
    lab.world.zoom.people.book(other, "Design review", TOMORROW, 30, invitees=["b@y.example"], join_url=link)
    for title, organizer, guest in (
        ("Design review", "otto@acme.example", "b@y.example"),
        ("Release planning", HOST, "a@x.example"),
    ):
        lab.world.attio.people.book(
            title,
            TOMORROW,
            TOMORROW + timedelta(minutes=30),
            organizer=organizer,
            attendees=[guest],
            description=link,
        )

    summary = await lab.settle()

    assert len(lab.records(lab.world.attio)) == 2
    assert len(lab.records(lab.world.zoom)) == 2
    assert summary.parked == 0


async def test_a_record_that_could_be_a_meeting_or_not_is_put_before_a_person(lab: Lab) -> None:
    lab.book("Weekly sync", invitees=[JANE, "a@acme.example", "b@acme.example", "c@acme.example"])
    lab.world.attio.people.book(
        "Weekly sync",
        TOMORROW,
        TOMORROW + timedelta(minutes=30),
        organizer="x@acme.example",
        attendees=["a@acme.example", "y@acme.example", "z@acme.example", "w@acme.example"],
    )

    summary = await lab.settle()

    assert summary.parked == 1
    assert summary.needs_attention
    assert len(lab.records(lab.world.zoom)) == 1


async def test_what_a_calendar_made_is_never_deleted_by_us(patient_lab: Lab) -> None:
    lab = patient_lab
    number = lab.book()
    lab.pass_time(minutes=20)
    await lab.settle()
    lab.world.attio.calendar_sync_delay = None

    lab.world.zoom.publishes_to_calendar = False
    lab.world.zoom.people.cancel(number)
    summary = await lab.settle()

    assert len(lab.records(lab.world.attio)) == 1
    assert lab.world.attio.count("DELETE") == 0
    hold = lab.refs()["attio"].ref.hold
    assert hold is not None
    assert "only records we created" in hold.reason
    assert not summary.failures


async def test_a_second_record_with_our_mark_is_put_before_a_person(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    attio = lab.world.attio
    ours = lab.one(attio)

    attio.people.book(
        ours["title"],
        TOMORROW,
        TOMORROW + timedelta(minutes=30),
        organizer=HOST,
        attendees=[JANE],
        description=ours["description"],
    )
    summary = await lab.settle()

    assert summary.parked == 1
    assert len(lab.records(lab.world.zoom)) == 1


async def test_a_doubt_that_a_later_page_resolves_is_put_before_nobody(lab: Lab) -> None:
    people = [JANE, "a@acme.example", "b@acme.example", "c@acme.example"]
    half_an_hour = timedelta(minutes=30)
    lab.world.attio.people.book(
        "Weekly sync",
        TOMORROW,
        TOMORROW + half_an_hour,
        organizer="x@acme.example",
        attendees=["a@acme.example", "y@acme.example", "z@acme.example", "w@acme.example"],
    )
    lab.book("Weekly sync", invitees=people)
    other = lab.world.zoom.add_host("x@acme.example", first_name="Xenia", last_name="Host")
    run = lab.new_run()
    prepare(lab.engine, lab.tenant)
    await pull_connection(lab.engine, lab.tenant, lab.tenant.channels["zoom"], run)
    await pull_connection(lab.engine, lab.tenant, lab.tenant.channels["attio"], run)
    lab.world.zoom.people.book(
        other,
        "Weekly sync",
        TOMORROW,
        30,
        invitees=["a@acme.example", "y@acme.example", "z@acme.example", "w@acme.example"],
    )

    summary = await lab.settle()

    assert summary.parked == 0
    assert len(lab.records(lab.world.attio)) == 2
    assert len(lab.records(lab.world.zoom)) == 2
