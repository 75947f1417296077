"""The short block the engine owns inside a text that people share with it.

What a connection has no field for (a title, an end, a join link) is put at the end of a text field of
that connection. Reading takes the block out again, so that it never travels to another connection, and
leaves every character people typed around it as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

OPENING = "--- meeting sync (kept up to date automatically) ---"
CLOSING = "--- end of meeting sync ---"
REFERENCE = "Ref"

# People edit texts by hand and by mail client: case, dashes, blanks and quoting of the two marks may vary.
# A sentence of theirs that merely begins like a mark ("-- meeting sync with Ann") is not one.
_LEAD = r"^[ \t>]*[-–—]+[ \t]*"
_OPEN = re.compile(
    _LEAD + r"meeting sync[ \t]*(?:\(kept up to date[^)]*\)[ \t]*[-–—]*|[-–—]+)\s*$", re.IGNORECASE
)
_CLOSE = re.compile(_LEAD + r"end of meeting sync[ \t]*[-–—]*\s*$", re.IGNORECASE)
_ENTRY = re.compile(r"^[ \t>]*([A-Z][A-Za-z ]{0,30}):\s?(.*)$", re.DOTALL)
_BLANK = re.compile(r"^[\s>]*$")
_SHORTEST_CUT_OPENING = len("--- meeting sync (")


@dataclass(frozen=True, slots=True)
class Split:
    """A text taken apart: what people wrote, and the entries of our block (None where there is none)."""

    text: str
    entries: Mapping[str, str] | None = field(default=None)

    @property
    def mark(self) -> str | None:
        """Give the canonical meeting id the block names, if any."""
        return (self.entries or {}).get(REFERENCE) or None


def split(text: str | None) -> Split:
    """Take our blocks out of a text; entries of a doubled block: the last one counts.

    A text without a block comes back unchanged, and ``split(compose(text, ...))`` gives exactly ``text``
    with every blank and line end. What people typed between our marks stays in their text, unless it
    looks like an entry ("Name: value"): the block announces that such lines are rewritten. A block whose
    closing mark was lost ends at the first line that is no entry.
    """
    if not text:
        return Split("")
    lines = text.split("\n")
    kept: list[str] = []
    entries: dict[str, str] | None = None
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if _is_opening(line, is_last=position == len(lines)):
            entries = entries or {}
            _drop_separator(kept)
            position = _read_block(lines, position, entries, kept)
        elif not (entries is not None and _CLOSE.match(line)):
            kept.append(line)
    return Split(text) if entries is None else Split("\n".join(kept), entries)


def compose(text: str, entries: Mapping[str, str], *, limit: int | None = None) -> str:
    """Put a block under a text; without entries the text alone.

    ``limit``: characters the field holds; the people's text is cut, never the block, which alone may be
    longer than the limit. Values are kept to one line, so that a title can neither end the block nor add
    an entry; entries without a value are left out. A block that already stands in the text is replaced.

    Raises: ValueError for a name that ``split`` would not know again (letters and blanks, at most 31).
    """
    lines = [_entry(name, value) for name, value in entries.items() if value.strip()]
    text = split(text).text
    if not lines:
        return text if limit is None else text[:limit]
    block = "\n".join([OPENING, *lines, CLOSING])
    if text and limit is not None:
        text = text[: max(0, limit - len(block) - 2)]
    return f"{text}\n\n{block}" if text else block


def _entry(name: str, value: str) -> str:
    line = f"{name}: {' '.join(value.split())}"
    known_again = _ENTRY.match(line)
    if not known_again or known_again.group(1) != name:
        raise ValueError("an entry's name is a capital letter, then letters and blanks")
    return line


def _is_opening(line: str, *, is_last: bool) -> bool:
    if _OPEN.match(line):
        return True
    # A side that cuts long texts can cut the mark itself; its beginning is not the people's text either.
    return is_last and len(line) >= _SHORTEST_CUT_OPENING and OPENING.startswith(line)


def _drop_separator(kept: list[str]) -> None:
    """Take back the blank line that ``compose`` put between the text and the block."""
    if not kept or not _BLANK.match(kept[-1]):
        return
    separator = kept.pop()
    if separator.endswith("\r") and kept and kept[-1].endswith("\r"):
        # Somebody turned every line end into CRLF: the last "\r" belongs to a line end that is gone.
        kept[-1] = kept[-1][:-1]


def _read_block(lines: list[str], position: int, entries: dict[str, str], kept: list[str]) -> int:
    """Read entries from ``position``; give the position after the block."""
    end = _closing_after(lines, position)
    for index in range(position, len(lines) if end is None else end):
        line = lines[index]
        entry = _ENTRY.match(line)
        if entry:
            entries[entry.group(1)] = entry.group(2).strip()
        elif not _BLANK.match(line):
            if end is None:
                return index
            kept.append(line)
    return len(lines) if end is None else end + 1


def _closing_after(lines: list[str], position: int) -> int | None:
    """Find the closing mark of a block; the next block's does not count."""
    for index in range(position, len(lines)):
        if _CLOSE.match(lines[index]):
            return index
        if _OPEN.match(lines[index]):
            return None
    return None
