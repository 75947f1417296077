"""Crashes, lost answers, limits, refusals: one effect, and one side's trouble stays its own."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.services.push import push_connection
from sync_engine.services.reconcile import reconcile_page
from sync_engine.services.sync import prepare, pull_all, settle, sync
from tests.lab import JANE, MONDAY, Lab

TOMORROW = MONDAY + timedelta(days=1)
CREATES = {
    "zoom": (r"/v2/users/[^/]+/meetings", "zoom"),
    "attio": (r"/v2/meetings", "attio"),
    "lightfield": (r"/v1/meetings", "lightfield"),
    "prospects": (r"/v2/meetings", "prospect_crm"),
}


async def given_a_create_at(lab: Lab, connection: str) -> None:
    if connection == "zoom":
        lab.world.prospect_crm.people.book(lab.jane, TOMORROW, "Europe/Berlin", "virtual", lab.owner)
    elif connection == "lightfield":
        lab.book(days=0.05)
        await lab.settle()
        lab.pass_time(hours=3)
    else:
        lab.book()


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("connection", list(CREATES))
async def test_a_create_whose_answer_is_lost_has_one_effect(
    lab: Lab, connection: str, moment: Moment
) -> None:
    path, sandbox = CREATES[connection]
    await given_a_create_at(lab, connection)
    lab.world.__dict__[sandbox].faults.append(
        Fault(method="POST", path=path, cut=True, moment=moment, times=1)
    )

    await lab.sync()
    summary = await lab.settle()

    assert len(lab.records(lab.world.__dict__[sandbox])) == 1
    assert summary.settled == 1
    assert not summary.needs_attention


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("connection", list(CREATES))
async def test_a_create_answered_with_an_error_has_one_effect(
    lab: Lab, connection: str, moment: Moment
) -> None:
    path, sandbox = CREATES[connection]
    await given_a_create_at(lab, connection)
    fault = Fault(method="POST", path=path, status=502, body={"error": "bad gateway"}, moment=moment, times=2)
    lab.world.__dict__[sandbox].faults.append(fault)

    await lab.sync()
    lab.pass_time(minutes=2)
    summary = await lab.settle()

    assert len(lab.records(lab.world.__dict__[sandbox])) == 1
    assert not summary.needs_attention


@pytest.mark.parametrize("connection", list(CREATES))
async def test_a_run_that_dies_between_sending_and_storing_leaves_one_record(
    lab: Lab, connection: str
) -> None:
    sandbox = lab.world.__dict__[CREATES[connection][1]]
    await given_a_create_at(lab, connection)
    sandbox.faults.append(
        Fault(method="POST", path=CREATES[connection][0], delay_seconds=20, moment=Moment.AFTER)
    )

    async def die_once_it_is_sent(running: asyncio.Task[object]) -> None:
        for _ in range(500):
            await asyncio.sleep(0.01)
            if sandbox.faults[0].struck:
                running.cancel()
                return

    running = asyncio.ensure_future(lab.sync())
    await die_once_it_is_sent(running)
    with pytest.raises(asyncio.CancelledError):
        await running
    sandbox.faults.clear()
    await lab.restart()
    lab.pass_time(minutes=2)
    summary = await lab.settle()

    assert len(lab.records(sandbox)) == 1
    assert not summary.needs_attention


async def test_one_side_that_is_down_does_not_stop_the_others(lab: Lab) -> None:
    lab.world.attio.faults.append(Fault(status=503, times=None))
    lab.book()

    during = await lab.sync()
    lab.world.attio.faults.clear()
    lab.pass_time(minutes=10)
    after = await lab.settle()

    assert len(lab.records(lab.world.prospect_crm)) == 1
    assert "attio" in during.failures
    assert during.unreachable == ["attio"]
    assert len(lab.records(lab.world.attio)) == 1
    assert not after.needs_attention


async def test_refused_credentials_stop_one_connection_and_heal_by_themselves(lab: Lab) -> None:
    lab.book()
    lab.world.attio.token_active = False

    during = await lab.sync()
    lab.world.attio.token_active = True
    after = await lab.settle()

    assert "attio" in during.failures
    assert len(lab.records(lab.world.attio)) == 1
    assert not after.failures


async def test_a_spent_daily_quota_waits_for_midnight_alone(lab: Lab) -> None:
    lab.world.zoom.host_daily_cap = 5
    for hour in range(1, 9):
        lab.world.prospect_crm.people.book(
            lab.jane, TOMORROW + timedelta(hours=hour), "Europe/Berlin", "virtual", lab.owner
        )

    today = await lab.sync()
    made_today = len(lab.records(lab.world.zoom))
    lab.pass_time(days=1)
    lab.world.zoom.host_daily_cap = 100
    await lab.settle()

    assert made_today == 5
    assert today.deferred >= 3
    assert not today.needs_attention
    assert len(lab.records(lab.world.zoom)) == 8


async def test_a_storm_of_429_ends_in_one_effect_each(lab: Lab) -> None:
    for day in range(1, 6):
        lab.book(f"Talk {day}", days=day)
    limited = Fault(
        method="POST", path=r"/v2/meetings", status=429, headers={"Retry-After": "1"}, body={}, times=3
    )
    lab.world.attio.faults.append(limited)

    await lab.sync()
    lab.pass_time(minutes=5)
    summary = await lab.settle()

    assert len(lab.records(lab.world.attio)) == 5
    assert not summary.needs_attention


async def test_two_syncs_at_once_do_no_harm(lab: Lab) -> None:
    for day in range(1, 8):
        lab.book(f"Talk {day}", days=day)

    await asyncio.gather(sync(lab.engine, ["acme"]), sync(lab.engine, ["acme"]))
    await lab.settle()

    assert len(lab.records(lab.world.attio)) == 7
    assert len(lab.records(lab.world.prospect_crm)) == 7


async def test_an_edit_between_pull_and_push_is_not_overwritten(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    crm_id = lab.one(lab.world.prospect_crm)["id"]
    by_zoom, by_crm = TOMORROW + timedelta(hours=2), TOMORROW + timedelta(hours=5)
    lab.world.zoom.people.move(number, by_zoom)
    run = lab.new_run()
    prepare(lab.engine, lab.tenant)
    await pull_all(lab.engine, lab.tenant, run)

    lab.pass_time(minutes=5)
    lab.world.prospect_crm.people.move(crm_id, by_crm)
    await settle(lab.engine, lab.tenant, run)
    await lab.settle()

    assert lab.one(lab.world.prospect_crm)["start"] == lab.one(lab.world.zoom)["start"]
    told = [e for e in lab.journal() if e.kind == "conflict"]
    assert [e.connection for e in told] == ["prospects"]


async def test_a_record_that_cannot_be_read_is_set_aside_and_the_page_goes_on(lab: Lab) -> None:
    lab.book("Good one", days=1)
    lab.book("Bad one", days=2)
    await lab.settle()
    bad = next(r for r in lab.records(lab.world.attio) if r["title"] == "Bad one")
    with lab.engine.store.transaction() as uow:
        uow.connections.delete("acme/attio")
    path = r"/v2/meetings"
    listed = {
        "data": [{"id": {"workspace_id": "w", "meeting_id": bad["id"]}, "title": 7, "start": "nonsense"}],
        "pagination": {"next_cursor": None},
    }
    lab.world.attio.faults.append(Fault(method="GET", path=path, status=200, body=listed, times=1))

    summary = await lab.sync()

    assert summary.quarantined == 1
    assert summary.needs_attention
    assert JANE not in str(summary.failures)


async def test_a_new_account_behind_the_same_connection_is_refused(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    with lab.engine.store.transaction() as uow:
        uow.connections.recognise("acme/attio", "another-workspace")

    summary = await lab.sync()

    assert "another account" in summary.failures["attio"]
    assert len(lab.records(lab.world.attio)) == 1


async def test_switching_writes_off_stops_what_was_planned_already(lab: Lab) -> None:
    lab.book()
    run = lab.new_run()
    prepare(lab.engine, lab.tenant)
    await pull_all(lab.engine, lab.tenant, run)
    while reconcile_page(lab.engine, lab.tenant, run):
        pass
    await lab.restart(attio="writes = []")

    for channel in lab.tenant.channels.values():
        await push_connection(lab.engine, lab.tenant, channel, lab.new_run())

    assert lab.records(lab.world.attio) == []
    assert len(lab.records(lab.world.prospect_crm)) == 1
