"""List a window of meetings, page by page, while people go on moving them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from sync_engine.adapters.prospect_crm.client import Page, ProspectCrmClient
from sync_engine.adapters.prospect_crm.mapping import fingerprint, milliseconds
from sync_engine.core.ports import Problem, Sighting, SweepPage, Window
from sync_engine.errors import InvalidResponseError, RecordGoneError, RefusedError

ATTEMPTS = 3
MOST_PAGES = 5000
WHOLE_ACCOUNT = frozenset({""})


class Listing:
    """Read every page of a window once.

    A page token stands on one record. When that record is deleted meanwhile the token may fail; the
    listing then starts again, a few times, and only what is new or different is handed on.
    """

    def __init__(self, client: ProspectCrmClient, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._client, self._sleep = client, sleep
        self._seen: dict[str, str] = {}

    async def pages(self, window: Window) -> AsyncIterator[SweepPage]:
        """Give the pages; the last one covers the account, unless the listing did not end properly."""
        # Whether the bounds are inclusive is not documented: a millisecond more on either side costs nothing.
        bounds = {
            "meetingDateAfter": milliseconds(window.start) - 1,
            "meetingDateBefore": milliseconds(window.end) + 1,
        }
        token, used, failures = None, set[str](), 0
        for _ in range(MOST_PAGES):
            try:
                page = await self._client.meetings(token=token, **bounds)
            except (RefusedError, RecordGoneError):
                failures += 1
                if token is None or failures >= ATTEMPTS:
                    raise
                token, used = None, set()
                await self._sleep(0.2)
                continue
            if page.token is None:
                yield self._page(page, ends=True)
                return
            if page.token in used:
                yield self._page(page, ends=False, problem="the listing goes round in circles")
                return
            used.add(page.token)
            token = page.token
            yield self._page(page, ends=False)
        raise InvalidResponseError("the listing does not end", operation="list_meetings")

    def _page(self, page: Page, *, ends: bool, problem: str = "") -> SweepPage:
        sightings: list[Sighting] = []
        problems = [Problem(problem)] if problem else []
        seen = self._seen
        for row in page.rows:
            external_id = row.get("id") if isinstance(row, dict) else None
            if not isinstance(external_id, str) or not external_id:
                problems.append(Problem("a listed meeting has no id", payload=_bare(row)))
                continue
            print_ = fingerprint(row)
            # A meeting that moved while we read turns up twice; its later showing counts if it differs.
            if seen.get(external_id) == print_:
                continue
            seen[external_id] = print_
            sightings.append(Sighting(external_id, print_, row))
        return SweepPage(sightings, WHOLE_ACCOUNT if ends else frozenset(), problems)


def _bare(row: Any) -> dict[str, Any]:
    """Keep of a row what holds no words of people."""
    kept = ("meetingDate", "timeZone", "createdAt", "updatedAt")
    return {name: row[name] for name in kept if name in row} if isinstance(row, dict) else {}
