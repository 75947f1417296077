"""Three-way merge of texts by line."""

from __future__ import annotations

from difflib import SequenceMatcher


def merge_lines(base: str, one: str, other: str) -> str | None:
    """Merge two texts that both come from ``base``; None where both changed the same lines differently.

    The method is diff3's: lines that all three share hold the texts together; between two such places a
    stretch that only one side changed is taken from that side.
    """
    a, b, o = one.split("\n"), other.split("\n"), base.split("\n")
    merged: list[str] = []
    from_a = from_b = from_o = 0
    for at_o, at_a, at_b, length in _shared(o, a, b):
        chunk = _merge_chunk(o[from_o:at_o], a[from_a:at_a], b[from_b:at_b])
        if chunk is None:
            return None
        merged += chunk
        merged += o[at_o : at_o + length]
        from_o, from_a, from_b = at_o + length, at_a + length, at_b + length
    return "\n".join(merged)


def _merge_chunk(o: list[str], a: list[str], b: list[str]) -> list[str] | None:
    if a in (o, b):
        return b
    return a if b == o else None


def _shared(o: list[str], a: list[str], b: list[str]) -> list[tuple[int, int, int, int]]:
    """Find runs of lines that all three texts share: (place in o, in a, in b, length), and an end mark."""
    to_a, to_b = _matches(o, a), _matches(o, b)
    runs: list[tuple[int, int, int, int]] = []
    for line in sorted(to_a.keys() & to_b.keys()):
        place = (line, to_a[line], to_b[line])
        if runs:
            at_o, at_a, at_b, length = runs[-1]
            if place == (at_o + length, at_a + length, at_b + length):
                runs[-1] = (at_o, at_a, at_b, length + 1)
                continue
        runs.append((*place, 1))
    runs.append((len(o), len(a), len(b), 0))
    return runs


def _matches(o: list[str], x: list[str]) -> dict[int, int]:
    blocks = SequenceMatcher(None, o, x, autojunk=False).get_matching_blocks()
    return {m.a + i: m.b + i for m in blocks for i in range(m.size)}
