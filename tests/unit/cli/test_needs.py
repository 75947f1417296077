"""What waits for a person, and the command that decides it."""

from __future__ import annotations

from sync_engine.cli.needs import needs_of
from sync_engine.services.standing import ConnectionStanding, Standing


def test_everything_that_waits_for_a_person_names_a_command() -> None:
    standing = Standing(
        "acme",
        {
            "zoom": ConnectionStanding("zoom", "zoom", parked=2),
            "attio": ConnectionStanding("attio", "attio", state="unauthorised", reason="refused"),
        },
        quarantined=1,
        open_conflicts=3,
        open_reviews=4,
        open_decisions=5,
    )

    found = {need.kind: (need.number, need.command) for need in needs_of(standing)}

    assert found == {
        "credentials": (1, "sync-engine check"),
        "conflicts": (3, "sync-engine conflicts"),
        "reviews": (4, "sync-engine review"),
        "decisions": (5, "sync-engine parked"),
        "parked": (2, "sync-engine parked"),
        "quarantined": (1, "sync-engine quarantine"),
    }


def test_what_waits_by_itself_needs_nobody() -> None:
    waiting = ConnectionStanding("zoom", "zoom", state="paused", held=3, deferred=4, waiting=5)

    assert needs_of(Standing("acme", {"zoom": waiting})) == []
