"""The commands that look: ``plan``, ``status``, ``meetings``, ``explain``, ``check``."""

from __future__ import annotations

from tests.integration.cli.operator import GUEST, HOST, Operator, live, soon


def test_a_plan_shows_what_would_change_and_what_it_costs_and_writes_nothing(operator: Operator) -> None:
    operator.book(agenda="Agenda one")
    before = operator.changes()

    outcome = operator.run("plan")

    assert outcome.code == 0, outcome.err
    assert "Kick-off" in outcome.out
    assert "1 meeting would change; 2 people on them; about" in outcome.out
    assert operator.changes() == before


def test_a_plan_as_json_is_one_object_with_every_field_before_and_after(operator: Operator) -> None:
    number = operator.book()
    operator.sync()
    operator.world.zoom.people.rename(number, "Kick-off, moved")

    outcome = operator.run("plan", "--json")

    (workspace,) = outcome.json["workspaces"]
    (meeting,) = workspace["meetings"]
    fields = {
        change["connection"]: change["fields"]["title"]
        for change in meeting["changes"]
        if "title" in change["fields"]
    }
    assert fields["prospects"] == {"before": "Kick-off", "after": "Kick-off, moved"}
    assert workspace["meetings_omitted"] == 0
    assert outcome.out.count("\n") == 1


def test_a_plan_with_nothing_to_do_says_so(operator: Operator) -> None:
    operator.book()
    operator.sync()

    outcome = operator.run("plan")

    assert "Nothing to write" in outcome.out


def test_status_counts_what_is_linked_deferred_and_agreed(operator: Operator) -> None:
    operator.book()
    operator.sync()

    outcome = operator.run("status", "--json")

    (workspace,) = outcome.json["workspaces"]
    assert (workspace["meetings"], workspace["settled"], workspace["deferred"]) == (1, 1, 1)
    assert workspace["connections"]["zoom"]["linked"] == 1
    assert workspace["needs"] == []
    assert workspace["next_due"] is not None


def test_status_before_the_first_sync_shows_that_nothing_was_read_yet(operator: Operator) -> None:
    outcome = operator.run("status")

    assert outcome.code == 0
    assert "0 of 0 meetings in agreement" in outcome.out


def test_meetings_are_found_by_words_and_listed_in_pages(operator: Operator) -> None:
    for day in range(1, 4):
        operator.book(f"Stand-up {day}", days=day)
    operator.book("Something else", days=5)
    operator.sync()

    first = operator.run("meetings", "stand-up", "--limit", "2", "--json").json
    rest = operator.run("meetings", "STAND-UP", "--limit", "2", "--offset", "2", "--json").json

    titles = [m["values"]["title"] for m in first["meetings"] + rest["meetings"]]
    assert titles == ["Stand-up 3", "Stand-up 2", "Stand-up 1"]
    assert (first["more"], rest["more"]) == (True, False)
    assert "Stand-up 3" in operator.run("meetings", "stand-up", "--limit", "1").out


def test_explain_tells_why_a_meeting_moved(operator: Operator) -> None:
    number = operator.book(days=3)
    operator.sync()
    crm = str(live(operator.world.prospect_crm)[0]["id"])
    operator.world.prospect_crm.people.move(crm, soon(4))
    operator.sync()

    told = operator.run("explain", number)
    as_json = operator.run("explain", crm, "--json").json

    assert told.code == 0
    assert "changed schedule: edited there" in told.out
    moved = [entry for entry in as_json["journal"] if entry["field"] == "schedule"]
    assert [entry["connection"] for entry in moved] == ["prospects"]
    assert moved[0]["before"]["start"] < moved[0]["after"]["start"]
    assert as_json["provenance"]["schedule"]["connection"] == "prospects"
    assert as_json["connections"]["zoom"]["external_id"] == number
    assert as_json["connections"]["lightfield"]["hold"]["kind"] == "deferred"


def test_explain_of_an_unknown_id_ends_with_2_and_says_how_to_search(operator: Operator) -> None:
    outcome = operator.run("explain", "123456789", "--json")

    assert (outcome.code, outcome.out) == (2, "")
    assert "sync-engine meetings" in outcome.err


def test_a_title_cannot_command_the_terminal(operator: Operator) -> None:
    number = operator.book("Pay\x1b[2J\x1b[31m now \u202egnp.exe [bold]loud[/bold]")
    operator.sync()

    shown = [operator.run(*command).out for command in (["meetings"], ["explain", number], ["plan"])]

    assert all("\x1b[2J" not in text and "\u202e" not in text for text in shown)
    assert "[bold]loud[/bold]" in shown[1]


def test_check_says_that_every_connection_is_well(operator: Operator) -> None:
    outcome = operator.run("check")

    assert outcome.code == 0, outcome.out
    assert "acme/lightfield" in outcome.out


def test_check_names_the_connection_whose_credentials_are_refused(operator: Operator) -> None:
    operator.file.write_text(operator.file.read_text().replace(operator.world.lightfield.token, "wrong"))

    outcome = operator.run("check", "--json")

    assert outcome.code == 3
    bad = {row["connection"] for row in outcome.json["findings"] if row["verdict"] == "unusable"}
    assert bad == {"lightfield"}


def test_every_listing_answers_json_on_an_empty_engine(operator: Operator) -> None:
    for command in (["meetings"], ["conflicts"], ["review"], ["parked"], ["quarantine"], ["status"]):
        outcome = operator.run(*command, "--json")

        assert outcome.code == 0, (command, outcome.err)
        assert isinstance(outcome.json, dict)


def test_people_are_named_to_the_operator_and_nothing_of_them_is_logged(operator: Operator) -> None:
    number = operator.book()
    operator.sync()

    outcome = operator.run("--log-level", "debug", "explain", number)

    assert HOST in outcome.out
    assert GUEST in outcome.out
    assert "@" not in outcome.err
