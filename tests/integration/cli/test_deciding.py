"""The commands that decide: ``conflicts``, ``review``, ``parked``, ``quarantine``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sync_engine.sandbox.faults import Fault
from sync_engine.sandbox.world import World
from tests.integration.cli.operator import GUEST, HOST, Operator, live, soon

ASK = {"workspace": 'conflicts = "ask"\ndeletions = "ask"'}
OTHER = "bob@example.org"


@pytest.fixture
def asking(world: World, tmp_path: Path) -> Operator:
    return Operator(world, tmp_path, ASK)


def contested(operator: Operator) -> str:
    number = operator.book(days=3)
    operator.sync()
    crm = str(live(operator.world.prospect_crm)[0]["id"])
    operator.world.zoom.people.move(number, soon(5))
    operator.world.prospect_crm.people.move(crm, soon(6))
    assert operator.run("sync", "--json").code == 1
    return crm


def test_a_conflict_is_listed_with_both_values_and_resolved_by_the_records_id(asking: Operator) -> None:
    crm = contested(asking)
    listed = asking.run("conflicts")
    in_json = asking.run("conflicts", "--json").json["conflicts"]

    resolved = asking.run("conflicts", "resolve", crm, "theirs")
    synced = asking.run("sync", "--json")

    assert "schedule of Kick-off" in listed.out
    assert {row["field"] for row in in_json} == {"schedule"}
    assert resolved.code == 0, resolved.err
    assert "prospects wins" in resolved.out
    assert synced.code == 0
    assert asking.run("conflicts").out.strip() == "No conflict waits for a decision."
    assert live(asking.world.zoom)[0]["start"] == live(asking.world.prospect_crm)[0]["start"]


def test_a_conflict_is_resolved_by_the_beginning_of_its_id(asking: Operator) -> None:
    contested(asking)
    ids = [row["id"] for row in asking.run("conflicts", "--json").json["conflicts"]]

    codes = [asking.run("conflicts", "resolve", each[:18], "ours").code for each in ids]

    assert codes == [0] * len(ids)
    assert asking.run("sync").code == 0


def test_an_id_that_means_several_conflicts_is_refused_with_their_ids(asking: Operator) -> None:
    contested(asking)
    rows = asking.run("conflicts", "--json").json["conflicts"]

    outcome = asking.run("conflicts", "resolve", rows[0]["meeting_id"], "ours")

    assert len(rows) == 2
    assert outcome.code == 2
    assert all(row["id"] in outcome.err for row in rows)


def test_a_winner_that_does_not_exist_is_wrong_usage(asking: Operator) -> None:
    assert asking.run("conflicts", "resolve", "whatever", "mine").code == 2


def test_a_deletion_that_waits_is_approved_by_its_meetings_id(asking: Operator) -> None:
    number = asking.book()
    asking.sync()
    asking.world.zoom.people.cancel(number)
    asking.sync()
    listed = asking.run("parked")
    meeting = asking.run("meetings", number, "--json").json["meetings"][0]["id"]

    approved = asking.run("parked", "approve", meeting)
    synced = asking.run("sync", "--json")

    assert "zoom deleted a meeting" in listed.out
    assert approved.code == 0, approved.err
    assert synced.code == 0
    assert live(asking.world.prospect_crm) == []


def test_a_parked_write_is_retried_or_discarded(operator: Operator) -> None:
    number = operator.book()
    operator.sync()
    fault = Fault("POST|PATCH|PUT", ".*/meetings/.+", status=422, body={}, times=None)
    operator.world.prospect_crm.faults.append(fault)
    operator.world.zoom.people.move(number, soon(3))
    assert operator.run("sync").code == 1

    again = operator.run("parked", "retry", "--all")
    still = operator.run("sync", "--json")
    listed = operator.run("parked")
    discarded = operator.run("parked", "discard", number)
    record = str(live(operator.world.prospect_crm)[0]["id"])
    discarded_by_record = operator.run("parked", "discard", record)
    synced = operator.run("sync", "--json")

    assert again.code == 0
    assert still.json["parked"] == 1
    assert "update at prospects" in listed.out
    assert discarded.code == 2
    assert discarded_by_record.code == 0, discarded_by_record.err
    assert (synced.code, synced.json["held"] > 0) == (0, True)
    assert "discarded by a person" in operator.run("explain", number).out


def test_retry_wants_an_id_or_all_of_them(operator: Operator) -> None:
    assert operator.run("parked", "retry").code == 2
    assert operator.run("parked", "retry", "an-id", "--all").code == 2
    assert operator.run("parked", "retry", "--all").out.strip() == "No write is parked."


def doubtful(operator: Operator) -> str:
    """Let a calendar show the same people at the same time under another title; gives the record's id."""
    start = soon(2)
    operator.world.zoom.people.book(operator.host, "Quarterly planning", start, 60, invitees=[GUEST, OTHER])
    operator.sync()
    record = operator.world.lightfield.people.book(
        "Budget talk", start, start + timedelta(hours=1), organizer=HOST, attendees=[GUEST, OTHER]
    )
    assert operator.run("sync").code == 1
    return record


@pytest.mark.parametrize("answer", ["link", "separate", "ignore"])
def test_a_record_under_review_is_decided_by_its_own_id(operator: Operator, answer: str) -> None:
    record = doubtful(operator)
    listed = operator.run("review")

    decided = operator.run("review", answer, record)
    synced = operator.run("sync", "--json")

    assert "Budget talk" in listed.out
    assert "Quarterly planning" in listed.out
    assert decided.code == 0, decided.err
    assert (synced.code, synced.json["parked"]) == (0, 0)
    assert operator.run("review", answer, record).code == 2


def test_a_record_that_cannot_be_read_is_listed_and_forgotten(operator: Operator) -> None:
    start = soon(2)
    record = operator.world.attio.people.book(
        "Odd one", start, start + timedelta(hours=1), organizer=HOST, attendees=[GUEST]
    )
    operator.world.attio.faults.append(
        Fault(
            "GET",
            "/v2/meetings.*",
            rewrite=lambda body: body.replace(b'"title":"Odd one"', b'"title":["Odd one"]'),
            times=None,
        )
    )
    first = operator.run("sync", "--json")
    listed = operator.run("quarantine", "--json").json["quarantined"]

    forgotten = operator.run("quarantine", "forget", record)
    second = operator.run("sync", "--json")

    assert (first.code, first.json["quarantined"]) == (1, 1)
    assert [row["external_id"] for row in listed] == [record]
    assert forgotten.code == 0, forgotten.err
    assert (second.code, second.json["quarantined"]) == (0, 0)


def test_what_waits_for_a_person_is_in_status_with_the_command_that_decides(asking: Operator) -> None:
    contested(asking)

    (workspace,) = asking.run("status", "--json").json["workspaces"]

    assert {(need["kind"], need["command"]) for need in workspace["needs"]} == {
        ("conflicts", "sync-engine conflicts")
    }
