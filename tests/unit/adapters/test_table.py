"""The printed table of providers, and the README files that show it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sync_engine.adapters.registry import PROVIDERS
from sync_engine.adapters.table import field_words, read_capabilities, render
from sync_engine.core.capabilities import Capabilities, Creatable, DailyCap, FieldCapability, Updatable
from sync_engine.core.meeting import Field
from sync_engine.core.normalise import cut, refuse_all_day

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("readme", ["README.md", "sync_engine/adapters/README.md"])
async def test_the_table_in_a_readme_is_what_the_capabilities_say(readme: str) -> None:
    printed = render(await read_capabilities(PROVIDERS.values()))

    assert f"\n{printed}\n" in (ROOT / readme).read_text(encoding="utf-8"), (
        f"{readme}: paste the output of python -m sync_engine.adapters.table"
    )


@pytest.mark.parametrize(
    ("name", "capability", "words"),
    [
        (Field.TITLE, FieldCapability(normalise=cut(200)), "written any time; ≤ 200"),
        (Field.KIND, FieldCapability(updatable=Updatable.BEFORE_START), "written until the start"),
        (Field.KIND, FieldCapability(readable=False), "carried, written any time"),
        (Field.KIND, FieldCapability(creatable=False, updatable=Updatable.NEVER), "read only"),
        (Field.JOIN_URL, FieldCapability(issued=True), "issued there"),
        (Field.SCHEDULE, FieldCapability(refuse=refuse_all_day), "written any time; not all-day"),
        (Field.PARTICIPANTS, FieldCapability(fixed_members=True), "written any time; members fixed"),
    ],
)
def test_a_field_is_told_by_what_can_be_done_with_it(
    name: Field, capability: FieldCapability, words: str
) -> None:
    assert field_words(name, Capabilities({name: capability})) == words


def test_a_field_that_a_side_does_not_have_is_told_too() -> None:
    assert field_words(Field.TITLE, Capabilities({})) == "no"


def test_every_column_shows_its_own_capabilities() -> None:
    plain = Capabilities({})
    late = replace(plain, create=Creatable.PAST, create_margin=timedelta(minutes=5), daily_cap=DailyCap(9, 2))

    lines = render({"One": plain, "Other": late}).splitlines()

    assert lines[0] == "|  | One | Other |"
    assert "| a record is created | any meeting | after the end + 5 min |" in lines
    assert "| writes a day | none | 9 for each host, 2 of them kept back |" in lines
