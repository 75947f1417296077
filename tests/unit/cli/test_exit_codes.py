"""Which exit code a finished sync, or a plan, ends with."""

from __future__ import annotations

import pytest

from sync_engine.cli.plan import exit_code_of as exit_code_of_plans
from sync_engine.cli.sync import exit_code_of
from sync_engine.services.preview import Preview
from sync_engine.services.sync import Summary


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        (Summary(settled=3), 0),
        (Summary(settled=3, held=2, deferred=4, conflicts=1), 0),
        (Summary(parked=1), 1),
        (Summary(quarantined=1), 1),
        (Summary(unsettled=1), 1),
        (Summary(failures={"zoom": "limited"}), 1),
        (Summary(failures={"zoom": "no answer"}, unreachable=["zoom"]), 3),
        (Summary(parked=1, failures={"zoom": "no answer"}, unreachable=["zoom"]), 3),
    ],
)
def test_a_sync_ends_with_the_code_of_what_it_leaves(summary: Summary, code: int) -> None:
    assert exit_code_of(summary) == code


def test_a_plan_ends_with_the_code_of_what_it_could_not_look_at() -> None:
    well, failed = Preview("a"), Preview("b", failures={"zoom": "limited"})
    away = Preview("c", failures={"attio": "no answer"}, unreachable=["attio"])

    assert [exit_code_of_plans(each) for each in ([well], [well, failed], [well, failed, away])] == [0, 1, 3]
