from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_engine.core.owned_block import CLOSING, OPENING, compose, split

human_lines = st.one_of(
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "\t",
            "> quoted",
            ">",
            "> > twice quoted",
            "Note: bring the papers",
            "Title: of my own",
            "---",
            "-- meeting sync with Ann about the end of meeting sync",
            "--- Original message ---",
            "* item",
            "ends with a blank ",
        ]
    ),
)
human_texts = st.builds(
    lambda lines, end: end.join(lines),
    st.lists(human_lines, max_size=8),
    st.sampled_from(["\n", "\r\n", "\n\n", "\r"]),
).filter(lambda text: split(text).entries is None)
names = st.from_regex(r"[A-Z][A-Za-z ]{0,20}[A-Za-z]", fullmatch=True)
entries = st.dictionaries(names, st.text(max_size=60), min_size=1, max_size=4).filter(
    lambda block: any(value.strip() for value in block.values())
)

BLOCK = {"Title": "Demo", "Ref": "0192"}


def shown(block: dict[str, str]) -> dict[str, str]:
    """What a block is read back as: one line each, nothing empty."""
    return {name: " ".join(value.split()) for name, value in block.items() if value.strip()}


@given(human_texts)
def test_a_text_without_a_block_comes_back_unchanged(text: str) -> None:
    assert split(text).text == text


@settings(max_examples=400)
@given(human_texts, entries)
@example("", {"Ref": "1"})
@example("\n\nhello\n\n\n", {"Ref": "1"})
@example("hello\r\nworld\r\n", {"Ref": "1"})
@example("ends with a carriage return\r", {"Ref": "1"})
@example("text", {"Title": f"{CLOSING}\n{OPENING}\nRef: stolen"})
def test_what_was_composed_is_taken_apart_again_exactly(text: str, block: dict[str, str]) -> None:
    taken = split(compose(text, block))

    assert taken.text == text
    assert taken.entries == shown(block)


@given(human_texts, entries)
def test_composing_again_what_was_taken_apart_changes_nothing(text: str, block: dict[str, str]) -> None:
    once = compose(text, block)
    taken = split(once)

    assert compose(taken.text, taken.entries or {}) == once
    assert compose(once, block) == once


@given(human_texts, entries, st.integers(0, 400))
def test_a_limit_cuts_the_text_of_people_and_never_the_block(
    text: str, block: dict[str, str], limit: int
) -> None:
    alone = compose("", block)

    limited = compose(text, block, limit=limit)

    assert limited.endswith(alone)
    assert len(limited) <= max(limit, len(alone))
    assert text.startswith(split(limited).text)


def test_a_limit_keeps_as_much_of_the_text_as_fits() -> None:
    room = len(compose("", BLOCK)) + 2 + 5

    assert split(compose("0123456789", BLOCK, limit=room)).text == "01234"


def test_a_text_without_entries_is_only_cut() -> None:
    assert compose("0123456789", {}, limit=4) == "0123"
    assert compose("0123456789", {"Title": " "}) == "0123456789"


def test_the_mark_is_the_reference_in_the_block() -> None:
    assert split(compose("text", BLOCK)).mark == "0192"
    assert split("Ref: 0192").mark is None
    assert split(None).mark is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(str.upper, id="shouted"),
        pytest.param(lambda text: text.replace("---", "--"), id="shorter dashes"),
        pytest.param(lambda text: text.replace("---", "\u2014"), id="typographic dashes"),
        pytest.param(lambda text: text.replace("\n", "\n> "), id="quoted in a reply"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace("\n", "  \n"), id="blanks at line ends"),
        pytest.param(lambda text: text.replace("\n\n", "\n"), id="blank lines taken out"),
    ],
)
def test_a_block_that_mail_clients_mangled_is_still_ours(change: object) -> None:
    assert callable(change)

    taken = split(change(compose("hello", BLOCK)))

    assert taken.text.strip(" >\r").casefold() == "hello"
    assert taken.entries is not None
    assert {value.casefold() for value in taken.entries.values()} == {"demo", "0192"}


def test_crlf_put_in_by_a_provider_leaves_no_stray_carriage_return() -> None:
    assert split(compose("a\nb", BLOCK).replace("\n", "\r\n")).text == "a\r\nb"


def test_text_that_people_typed_under_the_block_is_kept_in_its_place() -> None:
    taken = split(compose("before", BLOCK) + "\n\nafter")

    assert taken.text == "before\n\nafter"
    assert taken.entries == BLOCK


def test_text_that_people_typed_inside_the_block_is_theirs() -> None:
    edited = f"before\n\n{OPENING}\nTitle: Demo\nplease bring the papers\nRef: 0192\n{CLOSING}"

    taken = split(edited)

    assert taken.entries == BLOCK
    assert taken.text == "before\nplease bring the papers"


def test_a_value_that_people_changed_inside_the_block_is_read_as_they_left_it() -> None:
    edited = compose("text", BLOCK).replace("Title: Demo", "Title: Other")

    assert (split(edited).entries or {})["Title"] == "Other"


def test_a_block_without_its_closing_mark_ends_where_the_entries_end() -> None:
    edited = f"before\n\n{OPENING}\nTitle: Demo\n\nRef: 0192\nafter, with: a colon\nlast"

    taken = split(edited)

    assert taken.entries == BLOCK
    assert taken.text == "before\nafter, with: a colon\nlast"


def test_a_doubled_block_leaves_nothing_behind_and_the_last_one_counts() -> None:
    doubled = f"{compose('text', {'Ref': 'old', 'Title': 'Demo'})}\n{compose('', {'Ref': '0192'})}"

    taken = split(doubled)

    assert taken.text == "text"
    assert taken.entries == BLOCK


def test_composing_over_a_text_that_still_has_a_block_replaces_it() -> None:
    assert compose(compose("text", {"Ref": "old"}), BLOCK) == compose("text", BLOCK)


@pytest.mark.parametrize("kept", range(len("--- meeting sync ("), len(OPENING) + 1))
def test_an_opening_mark_that_a_provider_cut_is_not_taken_for_text(kept: int) -> None:
    cut = f"text\n\n{OPENING[:kept]}"

    assert split(cut).text == "text"


@pytest.mark.parametrize(
    "line",
    [
        "-- meeting sync with Ann on Tuesday",
        "--- meeting sync",
        "meeting sync (kept up to date automatically)",
        "We call it the --- meeting sync (kept up to date automatically) ---",
        "---",
    ],
)
def test_a_line_of_people_that_resembles_a_mark_is_theirs(line: str) -> None:
    text = f"{line}\nAgenda: everything"

    assert split(text).text == text
    assert split(text).entries is None


def test_a_name_that_could_not_be_read_back_is_refused() -> None:
    for name in ("lower", "With-dash", "", "A" * 40, "Two:parts"):
        with pytest.raises(ValueError, match="capital letter"):
            compose("text", {name: "value"})
