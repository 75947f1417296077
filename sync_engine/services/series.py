"""Keep meetings of a series that was planned anew: its occurrences have new ids and are the same meetings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from sync_engine.core.plan import EntryKind
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.journal import note
from sync_engine.services.lease import HeldLease
from sync_engine.services.rotation import take_over
from sync_engine.services.run import Run
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import UnitOfWork


def rejoin_series(
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    lease: HeldLease,
    suspects: Sequence[str],
    run: Run,
) -> set[str]:
    """Pair occurrences a sweep missed with new ones of the same series; gives the external ids settled.

    A new occurrence is one no other side has heard of yet. Pairs are made by equal start, then by equal
    day, and, where as many are left on both sides, in order of time.
    """
    with engine.store.reading() as uow:
        missed = [r for r in uow.refs.by_external_id(channel.id, suspects).values() if _series(r)]
    if not missed:
        return set()
    settled: set[str] = set()
    with engine.store.transaction() as uow:
        lease.check(uow)
        fresh = _newcomers(uow, tenant, channel, {_series(r) for r in missed}, set(suspects))
        for key, lost in _by_series(missed).items():
            for old, new in _pairs(lost, fresh.get(key, [])):
                settled.add(str(old.ref.external_id))
                _move(uow, engine, channel, old, new, run)
    return settled


def _series(row: RefRow) -> str:
    return row.observed.series.key if row.observed and row.observed.series else ""


def _by_series(rows: Sequence[RefRow]) -> dict[str, list[RefRow]]:
    found: defaultdict[str, list[RefRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r.starts_at is None, r.starts_at, r.id)):
        found[_series(row)].append(row)
    return dict(found)


def _newcomers(
    uow: UnitOfWork, tenant: Tenant, channel: Channel, keys: set[str], suspects: set[str]
) -> dict[str, list[RefRow]]:
    meetings = [row.id for row in uow.meetings.of_series(tenant.name, sorted(keys))]
    fresh = [
        refs[0]
        for refs in uow.refs.of_meetings(meetings).values()
        if len(refs) == 1
        and refs[0].connection_id == channel.id
        and refs[0].ref.is_live
        and not refs[0].ref.agreement
        and refs[0].ref.external_id not in suspects
    ]
    return _by_series(fresh)


def _pairs(lost: Sequence[RefRow], fresh: Sequence[RefRow]) -> list[tuple[RefRow, RefRow]]:
    left_lost, left_fresh = list(lost), list(fresh)
    pairs: list[tuple[RefRow, RefRow]] = []
    same: tuple[Callable[[RefRow], object], ...] = (
        lambda row: row.starts_at,
        lambda row: row.starts_at.date() if row.starts_at else None,
    )
    for key in same:
        for old in list(left_lost):
            new = next((n for n in left_fresh if key(n) is not None and key(n) == key(old)), None)
            if new is not None:
                pairs.append((old, new))
                left_lost.remove(old)
                left_fresh.remove(new)
    if len(left_lost) == len(left_fresh):
        pairs += zip(left_lost, left_fresh, strict=True)
    return pairs


def _move(uow: UnitOfWork, engine: Engine, channel: Channel, old: RefRow, new: RefRow, run: Run) -> None:
    uow.meetings.delete([new.meeting_id])
    old.ref = replace(old.ref, external_id=new.ref.external_id)
    if new.observed is not None:
        take_over(old, new.observed, channel, engine.now())
    uow.refs.save([old])
    uow.meetings.mark_dirty([old.meeting_id])
    cause = "the series was planned anew; this occurrence has a new id"
    note(uow, engine, run, old.workspace, old.meeting_id, EntryKind.LINKED, channel.name, cause)
