"""The lines that keys are found on."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_engine.cli.template import toml_value
from sync_engine.configuration.lines import KeyPath, key_lines, nearest_line

DOCUMENT = '''\
# a comment with [brackets] and key = "value"
first = 1 # not = this
"quoted key" = 'a # b'
dotted.inner . "deep.est" = 2024-01-01 10:00:00

[table]            # header
text = """
[not.a.table]
fake = 1 \\""" still
"""
literal = \'\'\'
also = 'not'\'\'\'
after = [
  1, # one
  "two, ] }",
  { a = 1, b.c = [ 2 ] },
]
inline = { x = "}", "y z" = { n = 1 } }

[implied.by.child]
k = 1

[implied]
own = true

[[things]]
name = "a"
[things.part]
p = 1
[[things]]
name = "b"
part.p = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("first",), 2),
        (("quoted key",), 3),
        (("dotted",), 4),
        (("dotted", "inner", "deep.est"), 4),
        (("table",), 6),
        (("table", "text"), 7),
        (("table", "literal"), 11),
        (("table", "after"), 13),
        (("table", "after", 0), 14),
        (("table", "after", 1), 15),
        (("table", "after", 2, "b", "c"), 16),
        (("table", "inline", "y z", "n"), 18),
        (("implied", "by"), 20),
        (("implied", "by", "child", "k"), 21),
        (("implied",), 23),
        (("implied", "own"), 24),
        (("things", 0, "name"), 27),
        (("things", 0, "part", "p"), 29),
        (("things", 1, "part", "p"), 32),
    ],
)
def test_every_form_of_key_is_found_on_its_line(path: KeyPath, line: int) -> None:
    lines = key_lines(DOCUMENT)

    assert lines[path] == line


def test_text_inside_strings_and_comments_is_never_taken_for_a_key() -> None:
    lines = key_lines(DOCUMENT)

    assert not {path for path in lines if "fake" in path or "not" in path or "also" in path or "key" in path}


def test_windows_line_ends_count_once() -> None:
    lines = key_lines(DOCUMENT.replace("\n", "\r\n"))

    assert lines == key_lines(DOCUMENT)


def test_a_key_that_is_not_written_stands_where_its_table_does() -> None:
    lines = key_lines(DOCUMENT)

    assert nearest_line(lines, ("table", "missing", "deeper")) == 6
    assert nearest_line(lines, ("nowhere",)) is None


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)
_VALUES = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


def _paths(value: Any, at: KeyPath = ()) -> set[KeyPath]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path for key, each in inner for path in {(*at, key), *_paths(each, (*at, key))}}


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_exactly_the_keys_that_the_parser_sees_are_located(document: dict[str, Any]) -> None:
    text = "\n".join(f"{toml_value({key: value})[2:-2]}" for key, value in document.items())
    parsed = tomllib.loads(text)

    lines = key_lines(text)

    assert parsed == document
    assert set(lines) == _paths(document)
