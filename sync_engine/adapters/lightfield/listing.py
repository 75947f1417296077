"""Walk an offset listing that moves while it is read, and know whether every row was seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sync_engine.core.ports import Json

PAGE = 25
# Steps back per walk; a listing that shrinks faster than this is read again another time.
MOST_STEPS_BACK = 20
PAGES_REMEMBERED = 8
MOST_PAGES = 100_000


class Walk:
    """Follow a listing that is ordered by creation, newest first, page by page.

    New rows push later ones to higher offsets, so they are shown twice and nothing is lost. Deletions
    pull later rows to lower offsets, past what is read next. The walk therefore goes on only where it
    knows that nothing lies between two pages: the total has not changed, or the new page begins with a
    row already seen. Else it takes one page back and looks again.

    ``offset``: where to read next. ``is_finished``: the end is reached. ``is_whole``: nothing can have
    been missed.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.is_finished = False
        self.is_whole = True
        self._total: int | None = None
        self._needs_overlap = False
        self._steps_left = MOST_STEPS_BACK
        self._pages_left = MOST_PAGES
        self._recent: deque[set[Json]] = deque(maxlen=PAGES_REMEMBERED)

    def take(self, ids: Sequence[str], rows: int, total: int | None) -> set[str]:
        """Take the page at ``offset``, its ids and how many rows it had; give the ids that are new."""
        self._pages_left -= 1
        fresh = {one for one in ids if not any(one in page for page in self._recent)}
        if not self._adjoins(overlaps=len(fresh) < len(set(ids)), total=total):
            if self._steps_left > 0 and self._pages_left > 0:
                self._steps_left -= 1
                self.offset = max(0, self.offset - PAGE)
                self._needs_overlap = True
                return set()
            self.is_whole = False
        self._needs_overlap = False
        self._total = total
        self._recent.append(set(ids))
        self._go_on(rows, total)
        return fresh

    def _adjoins(self, *, overlaps: bool, total: int | None) -> bool:
        if self.offset == 0 or overlaps:
            return True
        return total == self._total and not self._needs_overlap

    def _go_on(self, rows: int, total: int | None) -> None:
        # A page may be short because rows hidden from this key were taken out of it, so the total decides.
        end = self.offset + rows
        self.is_finished = rows < PAGE if total is None else end >= total
        self.offset = end if rows else self.offset + PAGE
        if total is not None and self.offset >= total:
            self.is_finished = True
        if self._pages_left <= 0 and not self.is_finished:
            self.is_finished, self.is_whole = True, False
