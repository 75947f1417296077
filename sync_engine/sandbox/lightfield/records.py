"""The meetings: every version of each, in the order the list shows them, and as the index knew them."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

# The index of a busy meeting does not need more of the past than this.
VERSIONS_KEPT = 64


@dataclass(frozen=True)
class Version:
    """What a meeting held from one moment on."""

    at: datetime
    title: str | None
    start: datetime
    end: datetime
    description: str | None = None
    url: str | None = None
    organizer: str | None = None
    attendees: tuple[str, ...] = ()
    privacy: str | None = "FULL"
    prep: str | None = None
    summary: str | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    transcript: str | None = None
    transcripts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    restricted: bool = False
    trashed: bool = False
    hidden: bool = False
    purged: bool = False

    @property
    def shelf(self) -> str | None:
        """Say which list shows it: active, trashed, or none."""
        if self.hidden or self.purged:
            return None
        return "trashed" if self.trashed else "active"


@dataclass
class Record:
    """One meeting; ``manual`` ones came through the API, the others from a calendar."""

    id: str
    number: int
    created_at: datetime
    manual: bool
    versions: list[Version]
    calendar_uid: str | None = None
    external_id: str | None = None
    auto_create: bool = False
    updated_at: datetime | None = None

    @property
    def now(self) -> Version:
        """Give the newest version."""
        return self.versions[-1]

    def as_of(self, moment: datetime) -> Version | None:
        """Give what the record held at a moment, None if it did not exist yet."""
        return next((version for version in reversed(self.versions) if version.at <= moment), None)


@dataclass
class Shelf:
    """Ids in list order, kept sorted so that a page costs no more than its rows."""

    _keys: list[tuple[datetime, int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, record: Record) -> None:
        """Put a record in its place."""
        bisect.insort(self._keys, (record.created_at, record.number, record.id))

    def take(self, record: Record) -> None:
        """Take a record out."""
        key = (record.created_at, record.number, record.id)
        place = bisect.bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            del self._keys[place]

    def page(self, offset: int, limit: int) -> list[str]:
        """Give ids, newest creation first."""
        stop = len(self._keys) - offset
        return [key[2] for key in reversed(self._keys[max(0, stop - limit) : max(0, stop)])]


class Meetings:
    """All meetings of the organization."""

    def __init__(self) -> None:
        self._by_id: dict[str, Record] = {}
        self._by_uid: dict[str, str] = {}
        self._shelves = {"active": Shelf(), "trashed": Shelf()}
        self._hidden = 0

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_id.values())

    def get(self, record_id: str) -> Record | None:
        """Give a record whatever its state."""
        return self._by_id.get(record_id)

    def of_event(self, uid: str) -> Record | None:
        """Give the record that was copied from a calendar event."""
        return self._by_id.get(self._by_uid.get(uid, ""))

    def add(self, record_id: str, first: Version, *, manual: bool, calendar_uid: str | None = None) -> Record:
        """Add a record, created at the moment of its first version."""
        record = Record(record_id, len(self._by_id), first.at, manual, [first], calendar_uid)
        record.updated_at = first.at
        self._by_id[record_id] = record
        if calendar_uid:
            self._by_uid[calendar_uid] = record_id
        self._file(record, None, first)
        return record

    def change(self, record: Record, now: datetime, **changes: Any) -> None:
        """Append a version with some values changed."""
        before = record.now
        after = replace(before, at=now, **changes)
        record.versions.append(after)
        del record.versions[:-VERSIONS_KEPT]
        record.updated_at = now
        self._file(record, before, after)

    def _file(self, record: Record, before: Version | None, after: Version) -> None:
        old, new = before.shelf if before else None, after.shelf
        if old != new:
            if old:
                self._shelves[old].take(record)
            if new:
                self._shelves[new].put(record)
        was_hidden = bool(before and before.hidden)
        self._hidden += int(after.hidden) - int(was_hidden)

    @property
    def hidden(self) -> int:
        """Count the records a blocklist entry hides."""
        return self._hidden

    def page(self, shelf: str, offset: int, limit: int) -> tuple[list[tuple[Record, Version]], int]:
        """Give one page of a list as it is now, and how many rows the list has."""
        rows = [self._by_id[record_id] for record_id in self._shelves[shelf].page(offset, limit)]
        return [(record, record.now) for record in rows], len(self._shelves[shelf])

    def page_as_of(
        self, moment: datetime, shelf: str, offset: int, limit: int
    ) -> tuple[list[tuple[Record, Version]], int]:
        """Give one page of a list as an index knew it at a moment."""
        known = [
            (record, version)
            for record in self._by_id.values()
            if (version := record.as_of(moment)) is not None and version.shelf == shelf
        ]
        known.sort(key=lambda pair: (pair[0].created_at, pair[0].number), reverse=True)
        return known[offset : offset + limit], len(known)


def instant(moment: datetime) -> str:
    """Write a moment as the API does: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def clean(addresses: Sequence[str]) -> tuple[str, ...]:
    """Drop repeated addresses, keep their order and spelling."""
    seen: dict[str, str] = {}
    for address in addresses:
        seen.setdefault(address.strip().casefold(), address.strip())
    return tuple(seen.values())
