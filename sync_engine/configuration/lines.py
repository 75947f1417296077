"""On which line of a TOML document each key stands; the standard library's parser does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of tables, indexes of arrays."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[^\s.=\[\]{},\"'#]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
# The longest quotes first: three of them would otherwise be read as an empty string and a stray quote.
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"""(?:"{0,2})', re.DOTALL),
    re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map every key, table and array item of a valid TOML document to its line, counted from 1.

    A table that only its children name stands where the first of them does. The text must have been
    accepted by ``tomllib`` before; of anything else the answer is arbitrary.
    """
    return _Scanner(text).document()


def nearest_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """Give the line of a key, or of the closest table around it; None where not even that is written."""
    for length in range(len(path), 0, -1):
        line = lines.get(path[:length])
        if line is not None:
            return line
    return None


class _Scanner:
    """Walks once over a document; relies on its being valid."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self._array_tables: dict[KeyPath, int] = {}

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_blank():
            table = self._header() if self._ahead("[") else self._pair(table)
        return self._lines

    def _line(self) -> int:
        return bisect_right(self._newlines, self._position - 1) + 1

    def _ahead(self, characters: str) -> bool:
        return self._text.startswith(characters, self._position)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._position)
        if match is None:
            return ""
        self._position = match.end()
        return match.group()

    def _skip_blank(self) -> bool:
        self._take(_BLANK)
        return self._position < len(self._text)

    def _skip(self, character: str) -> None:
        self._take(_SPACE)
        if self._ahead(character):
            self._position += 1
        self._take(_SPACE)

    def _header(self) -> KeyPath:
        line = self._line()
        brackets = 2 if self._ahead("[[") else 1
        self._position += brackets
        path = self._through_array_tables(self._key())
        for _ in range(brackets):
            self._skip("]")
        self._note_parents(path, 0, line)
        if brackets == 2:
            index = self._array_tables.get(path, -1) + 1
            self._array_tables[path] = index
            self._lines.setdefault(path, line)
            path = (*path, index)
        self._lines[path] = line
        return path

    def _through_array_tables(self, key: KeyPath) -> KeyPath:
        # [a.b] below [[a]] names b of the newest item of a.
        path: KeyPath = ()
        for part in key[:-1]:
            path = (*path, part)
            if path in self._array_tables:
                path = (*path, self._array_tables[path])
        return (*path, key[-1])

    def _pair(self, table: KeyPath) -> KeyPath:
        line = self._line()
        path = (*table, *self._key())
        self._note_parents(path, len(table), line)
        self._lines[path] = line
        self._skip("=")
        self._value(path)
        return table

    def _note_parents(self, path: KeyPath, known: int, line: int) -> None:
        for length in range(known + 1, len(path)):
            self._lines.setdefault(path[:length], line)

    def _key(self) -> KeyPath:
        parts: list[str] = []
        while True:
            self._take(_SPACE)
            quoted = self._string()
            parts.append(tomllib.loads(f"key = {quoted}")["key"] if quoted else self._take(_BARE_KEY))
            self._take(_SPACE)
            if not self._ahead("."):
                return tuple(parts)
            self._position += 1

    def _string(self) -> str:
        for pattern in _STRINGS:
            if text := self._take(pattern):
                return text
        return ""

    def _value(self, path: KeyPath) -> None:
        if self._ahead("["):
            self._array(path)
        elif self._ahead("{"):
            self._inline_table(path)
        elif not self._string():
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._position += 1
        index = 0
        while self._skip_blank() and not self._ahead("]"):
            self._lines[(*path, index)] = self._line()
            self._value((*path, index))
            self._skip_comma()
            index += 1
        self._position += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._position += 1
        while self._skip_blank() and not self._ahead("}"):
            self._pair(path)
            self._skip_comma()
        self._position += 1

    def _skip_comma(self) -> None:
        self._skip_blank()
        if self._ahead(","):
            self._position += 1
