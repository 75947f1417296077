"""What pending deliveries ask for, each thing once, and what of it is known already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from sync_engine.core.refs import LIVE
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.store.inbox import InboxRow
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import UnitOfWork


class Kind(StrEnum):
    """What an id in a delivery names."""

    RECORD = "record"
    GROUP = "group"
    PERSON = "person"


class Key(NamedTuple):
    """One thing to look at."""

    kind: Kind
    id: str


def keys_of(row: InboxRow) -> list[Key]:
    """List what a delivery asks to be looked at."""
    hints = row.hints
    return [
        *(Key(Kind.RECORD, one) for one in hints.records),
        *(Key(Kind.GROUP, one) for one in hints.groups),
        *(Key(Kind.PERSON, one) for one in hints.people),
    ]


class Asked:
    """What deliveries ask for, in the order of their age, and which of them still wait for an answer."""

    def __init__(self, rows: Sequence[InboxRow]) -> None:
        self._waiting: dict[Key, list[InboxRow]] = {}
        self._open: dict[str, set[Key]] = {}
        self._answered: list[InboxRow] = []
        for row in rows:
            keys = keys_of(row)
            self._open[row.id] = set(keys)
            for key in dict.fromkeys(keys):
                self._waiting.setdefault(key, []).append(row)
            if not keys:
                self._answered.append(row)

    @property
    def is_done(self) -> bool:
        """Tell whether everything was looked at."""
        return not self._waiting

    def drop(self, known: Iterable[tuple[InboxRow, Key]]) -> None:
        """Take back what single deliveries ask for; a thing nobody asks for any more is not looked at."""
        for row, key in known:
            self._waiting[key].remove(row)
            if not self._waiting[key]:
                del self._waiting[key]
            self._settle(row, key)

    def next(self, number: int) -> dict[Key, bool]:
        """Give what to look at next, the longest asked for first, and whether it is said to be gone."""
        return {
            key: any(key.id in row.hints.told_gone for row in rows)
            for key, rows in islice(self._waiting.items(), number)
        }

    def answer(self, key: Key) -> None:
        """Note that a thing was looked at."""
        for row in self._waiting.pop(key, []):
            self._settle(row, key)

    def take_answered(self) -> list[InboxRow]:
        """Hand over the deliveries that have all their answers."""
        answered, self._answered = self._answered, []
        return answered

    def take_asking(self, key: Key) -> list[InboxRow]:
        """Hand over the deliveries that ask for a thing; they are not answered here any more."""
        rows = [row for row in self._waiting.pop(key, []) if row.id in self._open]
        for row in rows:
            del self._open[row.id]
        return rows

    def _settle(self, row: InboxRow, key: Key) -> None:
        wanted = self._open.get(row.id)
        if wanted is None:
            return
        wanted.discard(key)
        if not wanted:
            del self._open[row.id]
            self._answered.append(row)


def find_known(
    engine: Engine, tenant: Tenant, channel: Channel, rows: Sequence[InboxRow]
) -> list[tuple[InboxRow, Key]]:
    """Find what needs no look: echoes of our own writes, and deletions of what is gone or was never ours."""
    told = [
        (row, key)
        for row in rows
        for key in dict.fromkeys(keys_of(row))
        if key.id in row.hints.claims or key.id in row.hints.told_gone
    ]
    if not told:
        return []
    with engine.store.reading() as uow:
        refs = uow.refs.by_external_id(channel.id, sorted({key.id for _, key in told}))
        groups = {k.id for row, k in told if k.kind is Kind.GROUP and k.id in row.hints.told_gone}
        members = live_members(uow, tenant, channel, groups)
    return [
        (row, key)
        for row, key in told
        if _is_known(channel, row, key, refs.get(key.id), has_members=bool(members.get(key.id)))
    ]


def _is_known(channel: Channel, row: InboxRow, key: Key, ref: RefRow | None, *, has_members: bool) -> bool:
    if key.id in row.hints.told_gone:
        return not has_members and (ref is None or ref.ref.state not in LIVE)
    receiver = channel.adapter.receiver
    if receiver is None or ref is None or ref.observed is None or ref.ref.state not in LIVE:
        return False
    # What was not read in full, or may be gone, is worth a look whatever the delivery says.
    if ref.needs_read or not ref.observed.complete or ref.absences:
        return False
    return receiver.is_known(row.hints.claims[key.id], ref.observed)


def live_members(
    uow: UnitOfWork, tenant: Tenant, channel: Channel, groups: Iterable[str]
) -> Mapping[str, list[RefRow]]:
    """Load the records of series that are there as far as we know, by the series' key."""
    meetings = uow.meetings.of_series(tenant.name, sorted(set(groups)))
    refs = uow.refs.of_meetings_at(channel.id, [row.id for row in meetings])
    found: dict[str, list[RefRow]] = {}
    for ref in refs.values():
        series = ref.observed.series if ref.observed is not None else None
        if series is not None and ref.ref.state in LIVE:
            found.setdefault(series.key, []).append(ref)
    return found
