"""Edits people make at one side, and what the other sides make of them."""

from __future__ import annotations

from datetime import timedelta

from tests.lab import HOST, JANE, MONDAY, Lab

TOMORROW = MONDAY + timedelta(days=1)


async def test_a_new_zoom_meeting_reaches_every_side_that_can_hold_it(lab: Lab) -> None:
    lab.book("Kick-off", agenda="Bring the offer")

    summary = await lab.sync()

    attio, crm = lab.one(lab.world.attio), lab.one(lab.world.prospect_crm)
    assert attio["title"] == "Kick-off"
    assert attio["description"].startswith("Bring the offer")
    assert (attio["start"], attio["end"]) == (TOMORROW, TOMORROW + timedelta(minutes=30))
    assert attio["organizer"] == HOST
    assert attio["participants"] == [JANE]
    assert crm["start"] == TOMORROW
    assert crm["zone"] == "Europe/Berlin"
    assert "zoom.us/j/" in crm["location"]
    assert "Kick-off" in crm["notes"]
    assert "Bring the offer" not in crm["notes"]
    assert lab.records(lab.world.lightfield) == []
    assert (summary.created, summary.deferred, summary.settled) == (2, 1, 1)
    assert not summary.needs_attention


async def test_a_second_sync_writes_nothing(lab: Lab) -> None:
    lab.book()
    await lab.sync()
    lab.forget_requests()

    summary = await lab.sync()

    assert lab.writes() == 0
    assert (summary.created, summary.updated, summary.deleted) == (0, 0, 0)


async def test_a_move_at_zoom_moves_the_meeting_everywhere(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    later = TOMORROW + timedelta(days=1, hours=3)

    lab.world.zoom.people.move(number, later)
    await lab.settle()

    assert lab.one(lab.world.attio)["start"] == later
    assert lab.one(lab.world.attio)["end"] == later + timedelta(minutes=30)
    assert lab.one(lab.world.prospect_crm)["start"] == later


async def test_a_move_in_the_crm_keeps_the_length_and_reaches_zoom(lab: Lab) -> None:
    lab.book(minutes=45)
    await lab.settle()
    later = TOMORROW + timedelta(days=2)

    lab.world.prospect_crm.people.move(lab.one(lab.world.prospect_crm)["id"], later)
    await lab.settle()

    zoom = lab.one(lab.world.zoom)
    assert (zoom["start"], zoom["end"]) == (later, later + timedelta(minutes=45))
    assert lab.one(lab.world.attio)["start"] == later


async def test_a_new_length_at_zoom_reaches_the_crm_without_moving_anything(lab: Lab) -> None:
    number = lab.book(minutes=30)
    await lab.settle()

    lab.world.zoom.people.set_duration(number, 60)
    await lab.settle()

    assert lab.one(lab.world.attio)["end"] == TOMORROW + timedelta(minutes=60)
    assert lab.one(lab.world.prospect_crm)["start"] == TOMORROW
    assert lab.one(lab.world.zoom)["end"] == TOMORROW + timedelta(minutes=60)


async def test_a_rename_replaces_the_attio_record_and_leaves_exactly_one(lab: Lab) -> None:
    number = lab.book("Kick-off")
    await lab.settle()
    before = lab.one(lab.world.attio)["id"]

    lab.world.zoom.people.rename(number, "Kick-off (moved)")
    await lab.settle()

    after = lab.one(lab.world.attio)
    assert after["title"] == "Kick-off (moved)"
    assert after["id"] != before


async def test_the_recruiters_words_around_our_block_are_untouched(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    crm = lab.world.prospect_crm
    crm.people.append_notes(lab.one(crm)["id"], "Prefers mornings.\n\nAsk about relocation.")

    lab.world.zoom.people.rename(number, "Second talk")
    await lab.settle()

    notes = lab.one(crm)["notes"]
    assert "Prefers mornings.\n\nAsk about relocation." in notes
    assert notes.count("meeting sync (kept up to date") == 1
    assert "Second talk" in notes
    assert "Prefers mornings" not in lab.one(lab.world.attio)["description"]
    assert "Prefers mornings" not in (lab.one(lab.world.zoom)["description"] or "")


async def test_a_title_is_held_where_it_cannot_change(lab: Lab) -> None:
    number = lab.book(days=0.1)
    await lab.settle()
    lab.pass_time(hours=4)
    await lab.settle()
    assert lab.one(lab.world.lightfield)["title"] == "Kick-off"

    lab.world.zoom.people.rename(number, "Renamed afterwards")
    summary = await lab.settle()

    assert lab.one(lab.world.lightfield)["title"] == "Kick-off"
    assert summary.held == 1
    assert not summary.needs_attention


async def test_a_virtual_meeting_booked_in_the_crm_gets_a_zoom_link_that_flows_back(lab: Lab) -> None:
    crm = lab.world.prospect_crm
    crm.people.book(lab.jane, TOMORROW, "Europe/Berlin", "virtual", lab.owner)

    await lab.settle()

    zoom = lab.one(lab.world.zoom)
    assert zoom["start"] == TOMORROW
    assert zoom["organizer"] == HOST
    assert zoom["participants"] == [JANE]
    assert lab.one(crm)["location"] == zoom["join_url"]
    assert zoom["join_url"] in lab.one(lab.world.attio)["description"]


async def test_a_phone_call_booked_in_the_crm_gets_no_zoom_meeting(lab: Lab) -> None:
    lab.world.prospect_crm.people.book(lab.jane, TOMORROW, "Europe/Berlin", "phone", lab.owner)

    await lab.settle()

    assert lab.records(lab.world.zoom) == []
    assert len(lab.records(lab.world.attio)) == 1


async def test_guests_added_on_two_sides_at_once_are_no_conflict(lab: Lab) -> None:
    number = lab.book()
    attio = lab.world.attio
    attio.people.book(
        "Kick-off",
        TOMORROW,
        TOMORROW + timedelta(minutes=30),
        organizer=HOST,
        attendees=[JANE],
        description=f"Join: {lab.one(lab.world.zoom)['join_url']}",
    )
    await lab.settle()

    lab.world.zoom.people.invite(number, "zoe@acme.example")
    attio.people.invite(lab.one(attio)["id"], "attila@acme.example")
    summary = await lab.settle()

    everyone = {JANE, "zoe@acme.example", "attila@acme.example"}
    assert set(lab.one(lab.world.zoom)["participants"]) == everyone
    assert summary.conflicts == 0


async def test_two_sides_moving_a_meeting_differently_is_decided_by_precedence(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    by_zoom, by_crm = TOMORROW + timedelta(hours=2), TOMORROW + timedelta(hours=5)

    lab.world.zoom.people.move(number, by_zoom)
    lab.world.prospect_crm.people.move(lab.one(lab.world.prospect_crm)["id"], by_crm)
    summary = await lab.sync()
    await lab.settle()

    assert summary.conflicts == 1
    assert lab.one(lab.world.zoom)["start"] == by_zoom
    assert lab.one(lab.world.prospect_crm)["start"] == by_zoom
    lost = [e for e in lab.journal() if e.kind == "conflict"]
    assert len(lost) == 1
    assert lost[0].connection == "prospects"


async def test_a_conflict_that_policy_leaves_to_a_person_freezes_only_its_field(lab: Lab) -> None:
    await lab.restart(workspace='conflicts = "ask"')
    number = lab.book()
    await lab.settle()
    crm_id = lab.one(lab.world.prospect_crm)["id"]
    by_zoom, by_crm = TOMORROW + timedelta(hours=2), TOMORROW + timedelta(hours=5)

    lab.world.zoom.people.move(number, by_zoom)
    lab.world.prospect_crm.people.move(crm_id, by_crm)
    await lab.sync()
    lab.world.zoom.people.rename(number, "Renamed meanwhile")
    summary = await lab.settle()

    assert lab.one(lab.world.zoom)["start"] == by_zoom
    assert lab.one(lab.world.prospect_crm)["start"] == by_crm
    assert "Renamed meanwhile" in lab.one(lab.world.prospect_crm)["notes"]
    assert summary.needs_attention


async def test_an_unknown_prospect_holds_the_crm_record_with_its_reason(lab: Lab) -> None:
    lab.book(invitees=["nobody@elsewhere.example"])

    summary = await lab.settle()

    assert lab.records(lab.world.prospect_crm) == []
    hold = lab.refs()["prospects"].ref.hold
    assert hold is not None
    assert "prospect" in hold.reason
    assert summary.held == 1
    assert not summary.needs_attention


async def test_a_prospect_who_appears_later_gets_the_meeting(lab: Lab) -> None:
    lab.book(invitees=["late@elsewhere.example"])
    await lab.settle()

    lab.world.prospect_crm.add_prospect("Late", "Comer", "late@elsewhere.example")
    lab.pass_time(hours=2)
    await lab.settle()

    assert lab.one(lab.world.prospect_crm)["participants"] == ["late@elsewhere.example"]


async def test_a_private_meeting_stays_where_it_is(lab: Lab) -> None:
    number = lab.book()
    lab.world.zoom.people.set_private(number, True)

    summary = await lab.settle()

    assert lab.records(lab.world.attio) == []
    assert lab.records(lab.world.prospect_crm) == []
    assert summary.held == 3


async def test_our_block_in_the_crm_follows_a_move_made_there(lab: Lab) -> None:
    lab.book(minutes=45)
    await lab.settle()
    crm = lab.world.prospect_crm
    later = TOMORROW + timedelta(days=2)

    crm.people.move(lab.one(crm)["id"], later)
    await lab.settle()

    assert f"Planned: {later:%Y-%m-%dT%H:%M:%SZ}/" in lab.one(crm)["notes"]


async def test_an_invitation_a_calendar_copied_is_nobody_s_description(lab: Lab) -> None:
    lab.book()
    zoom = lab.one(lab.world.zoom)
    attio = lab.world.attio
    invitation = f"Hanna is inviting you to a scheduled Zoom meeting.\n{zoom['join_url']}\nPasscode: 1234"
    attio.people.book(
        "Kick-off",
        TOMORROW,
        TOMORROW + timedelta(minutes=30),
        organizer=HOST,
        attendees=[JANE],
        description=invitation,
    )

    await lab.settle()

    assert not lab.one(lab.world.zoom)["description"]
    assert lab.one(attio)["description"] == invitation
    assert lab.world.zoom.count("PATCH") == 0


async def test_a_calendar_event_seen_before_its_zoom_meeting_brings_no_invitation_text(lab: Lab) -> None:
    link = "https://us02web.zoom.us/j/97763643886"
    lab.world.attio.people.book(
        "Kick-off",
        TOMORROW,
        TOMORROW + timedelta(minutes=30),
        organizer=HOST,
        attendees=[JANE],
        description=link,
    )
    await lab.settle()

    lab.book(join_url=link)
    await lab.settle()

    assert not lab.one(lab.world.zoom)["description"]
    assert lab.world.zoom.count("PATCH") == 0
    assert len(lab.records(lab.world.attio)) == 1
