"""Find what a person means: a meeting by its words, anything else by an id as it was typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sync_engine.errors import ConfigurationError
from sync_engine.services.engine import Engine, Tenant
from sync_engine.store.meetings import MeetingRow
from sync_engine.store.refs import RefRow

SHORTEST_PREFIX = 6
"""Fewer characters of an id are more likely a slip than an id."""

T = TypeVar("T")


@dataclass(frozen=True)
class Hit:
    """One meeting that was found, with its refs by connection."""

    workspace: str
    row: MeetingRow
    refs: Mapping[str, RefRow]


@dataclass(frozen=True)
class Hits:
    """One page of what was found. ``more``: there is a next page, from ``next_offset`` on."""

    hits: Sequence[Hit]
    more: bool
    next_offset: int


def search(
    engine: Engine, workspaces: Sequence[str], text: str = "", *, limit: int = 20, offset: int = 0
) -> Hits:
    """Search meetings by words of the title, an id, or a link; latest start first, one page."""
    found: list[MeetingRow] = []
    with engine.store.reading() as uow:
        for name in workspaces:
            # Several workspaces are merged here, so each of them has to give everything up to the page's end.
            first = offset if len(workspaces) == 1 else 0
            found += uow.meetings.search(name, text, limit=offset + limit + 1 - first, offset=first)
        if len(workspaces) > 1:
            found = sorted(found, key=_latest_first, reverse=True)[offset:]
        page = found[:limit]
        refs = uow.refs.of_meetings([row.id for row in page])
    hits = [
        Hit(row.meeting.workspace, row, {r.ref.connection: r for r in refs.get(row.id, ())}) for row in page
    ]
    return Hits(hits, len(found) > limit, offset + len(page))


def _latest_first(row: MeetingRow) -> tuple[bool, float, str]:
    schedule = row.meeting.schedule
    return (schedule is not None, schedule.start.timestamp() if schedule else 0.0, row.id)


def find_meeting(engine: Engine, workspaces: Sequence[str], name: str) -> tuple[Tenant, MeetingRow]:
    """Resolve a meeting's canonical id, the beginning of one, or the id of its record at a connection.

    Raises:
        ConfigurationError: nothing, or more than one meeting, is called so; says what to type instead.
    """
    wanted = name.strip()
    with engine.store.reading() as uow:
        found = [row for each in workspaces for row in uow.meetings.find(each, wanted)]
        if not found and len(wanted) >= SHORTEST_PREFIX:
            found = [row for each in workspaces for row in uow.meetings.beginning_with(each, wanted)]
    if not found:
        raise ConfigurationError(
            f'no meeting is called "{wanted}"; search for it with sync-engine meetings TEXT, '
            "and give an id from that list"
        )
    if len(found) > 1:
        ids = ", ".join(f"{row.id} ({row.meeting.workspace})" for row in found[:5])
        raise ConfigurationError(f'"{wanted}" is more than one meeting; give one of these ids: {ids}')
    return engine.tenants[found[0].meeting.workspace], found[0]


def pick(
    name: str,
    rows: Iterable[T],
    names_of: Callable[[T], Iterable[str | None]],
    *,
    what: str,
    listed_by: str,
) -> T:
    """Choose the row a person named by its own id, the beginning of it, or another id it goes by.

    ``names_of`` gives a row's ids, its own first. ``what`` names the kind of row in messages, ``listed_by``
    the command that lists them.

    Raises:
        ConfigurationError: nothing, or more than one row, is called so; says what to type instead.
    """
    wanted, everything = name.strip(), list(rows)
    exact = [row for row in everything if wanted in names_of(row)]
    if not exact and len(wanted) >= SHORTEST_PREFIX:
        exact = [row for row in everything if (next(iter(names_of(row))) or "").startswith(wanted)]
    if not exact:
        raise ConfigurationError(f'no {what} is called "{wanted}"; {listed_by} lists them with their ids')
    if len(exact) > 1:
        ids = ", ".join(str(next(iter(names_of(row)))) for row in exact[:5])
        raise ConfigurationError(f'"{wanted}" is more than one {what}; give one of these ids: {ids}')
    return exact[0]
