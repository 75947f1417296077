"""The sweep: every host's list in full, then one read per recurring series."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from sync_engine.adapters.zoom.answers import BAD_REQUEST, NO_HOST
from sync_engine.adapters.zoom.client import ZoomClient
from sync_engine.adapters.zoom.hosts import Hosts
from sync_engine.adapters.zoom.mapping import (
    PERSONAL_ROOM,
    SERIES,
    UNSCHEDULED,
    Host,
    listed_sighting,
    occurrence_sightings,
    stamp,
    without_secrets,
)
from sync_engine.core.ports import Json, Now, Problem, Sighting, SweepPage, Window
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    ProviderError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    UnavailableError,
)

PAGE = 300
# How often the list of one host is begun anew when its page token expired.
LISTINGS = 3
# Series read at once per host; the client bounds what is open at any moment.
SERIES_AT_ONCE = 16
# After this many hosts in a row without any answer it is not the hosts.
FAILURES_IN_A_ROW = 3


class Sweep:
    """One pass over all hosts; a few hosts at a time, pages handed on as they come."""

    def __init__(self, client: ZoomClient, hosts: Hosts, window: Window, now: Now, concurrency: int) -> None:
        self._client, self._hosts, self._concurrency = client, hosts, concurrency
        self._start, self._end = stamp(window.start), stamp(window.end)
        self._past_occurrences = window.start < now()
        self._failures = 0
        # Bounded, so that slow consumers hold the listing back and memory stays flat.
        self._pages: asyncio.Queue[SweepPage | None] = asyncio.Queue(maxsize=concurrency)

    async def pages(self) -> AsyncIterator[SweepPage]:
        """Give the pages; raises what concerns the whole account and not one host."""
        roster = await self._hosts.reload()
        if roster.missing:
            yield SweepPage((), problems=[_missing(position) for position in roster.missing])
        if not roster.hosts:
            # Without hosts there is nothing to list, and nothing was left out.
            yield SweepPage((), covered=frozenset({""}) if not roster.missing else frozenset())
            return
        work = asyncio.create_task(self._all_hosts(roster.hosts))
        try:
            while (page := await self._pages.get()) is not None:
                yield page
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _all_hosts(self, hosts: Sequence[Host]) -> None:
        todo = iter(hosts)
        workers = [
            asyncio.create_task(self._some_hosts(todo)) for _ in range(min(self._concurrency, len(hosts)))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            if not _is_cancelling():
                await self._pages.put(None)

    async def _some_hosts(self, todo: Iterator[Host]) -> None:
        for host in todo:
            try:
                await self._one_host(host)
            except (RateLimitedError, CredentialsError):
                raise
            except (RefusedError, RecordGoneError, InvalidResponseError, UnavailableError) as error:
                await self._host_failed(host, error)
            else:
                self._failures = 0

    async def _host_failed(self, host: Host, error: ProviderError) -> None:
        if isinstance(error, UnavailableError):
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                raise error
        if error.code in NO_HOST:
            self._hosts.mark_unable(host.id)
        await self._pages.put(SweepPage((), problems=[Problem(f"a host's meetings: {error}", scope=host.id)]))

    async def _one_host(self, host: Host) -> None:
        series = await self._list_host(host)
        self._hosts.mark_able(host.id)
        is_whole = True
        for first in range(0, len(series), SERIES_AT_ONCE):
            some = series[first : first + SERIES_AT_ONCE]
            is_whole &= all(await asyncio.gather(*(self._one_series(number, host) for number in some)))
        if is_whole:
            await self._pages.put(SweepPage((), covered=frozenset({host.id})))

    async def _list_host(self, host: Host) -> list[str]:
        """Hand on a host's listed meetings; gives the numbers of the series, still to be read.

        All pages are read first: a page token dies after 15 minutes, and reads by id would spend them.
        """
        series: dict[str, None] = {}
        token, listings = "", 1
        while True:
            try:
                rows, token = await self._client.list_meetings(host.id, token)
            except RefusedError as error:
                if error.code != BAD_REQUEST or not token or listings >= LISTINGS:
                    raise
                token, listings = "", listings + 1
                continue
            page = _Page(rows, host, self._end)
            series |= dict.fromkeys(page.series)
            if page.sightings or page.problems:
                await self._pages.put(SweepPage(page.sightings, problems=page.problems))
            if not token:
                return list(series)

    async def _one_series(self, number: str, host: Host) -> bool:
        """Hand on the occurrences of a series; tells whether they are all that is to be known of it."""
        try:
            body = await self._client.get_meeting(number, past_occurrences=self._past_occurrences)
            sightings = occurrence_sightings(body, host, self._start, self._end)
        except RecordGoneError:
            return True  # deleted between list and read
        except (RateLimitedError, CredentialsError):
            raise
        except (RefusedError, InvalidResponseError, UnavailableError) as error:
            await self._pages.put(SweepPage((), problems=[Problem(f"a series: {error}", number, host.id)]))
            return False
        except (TypeError, ValueError, KeyError, AttributeError):
            problem = Problem(
                "a series that is not of the documented form", number, host.id, without_secrets(body)
            )
            await self._pages.put(SweepPage((), problems=[problem]))
            return False
        for first in range(0, len(sightings), PAGE):
            await self._pages.put(SweepPage(sightings[first : first + PAGE]))
        return True


class _Page:
    """One listed page, sorted out: single meetings, series to be read, rows nobody can read."""

    def __init__(self, rows: Sequence[Json], host: Host, end: str) -> None:
        self.sightings: list[Sighting] = []
        self.series: list[str] = []
        self.problems: list[Problem] = []
        for row in rows:
            try:
                self._take(row, host, end)
            except (TypeError, ValueError, KeyError, AttributeError):
                self.problems.append(_broken(row, host))

    def _take(self, row: dict[str, Json], host: Host, end: str) -> None:
        kind = row["type"]
        if kind == SERIES:
            # Only the start of the whole series is shown; one that begins after the window is not in it.
            if str(row.get("start_time") or "") < end:
                self.series.append(str(int(row["id"])))
        elif kind in UNSCHEDULED or (kind == PERSONAL_ROOM and not row.get("start_time")):
            return
        else:
            self.sightings.append(listed_sighting(row, host))


def _broken(row: Json, host: Host) -> Problem:
    payload = without_secrets(row) if isinstance(row, dict) else {}
    try:
        number = str(int(payload["id"]))
    except (TypeError, ValueError, KeyError):
        number = ""
    return Problem("a row that is not of the documented form", number, host.id, payload)


def _missing(position: int) -> Problem:
    return Problem(f"entry {position} of the setting hosts is no active user of the account")


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return bool(task and task.cancelling())
