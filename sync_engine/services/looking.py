"""Look at single records, series and people by id, and store what was seen as a sweep would."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from sync_engine.core.meeting import Field, Meeting
from sync_engine.core.ports import KnowsPeople, Observation, Problem, ReadsGroups, Window
from sync_engine.core.refs import DELETED, LIVE
from sync_engine.errors import LeaseLostError, RecordGoneError, UnmappableRecordError
from sync_engine.services.absence import count_gone
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.hinted import Key, Kind, live_members
from sync_engine.services.lease import HeldLease
from sync_engine.services.pull import Page, store_page
from sync_engine.services.run import Run
from sync_engine.services.series import rejoin_series
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

VANISHING = timedelta(hours=1)
"""Deletions told one by one count together over this time, as those of one sweep would."""


@dataclass
class Look:
    """What looking at one thing brought.

    ``gone``: external ids the provider says are not there, and whether that alone is proof. ``series``:
    the window's records of this series were all shown. ``is_gone``: the thing itself is not there.
    ``remark``: why nothing could be made of it. ``error``: it has to be looked at again.
    """

    key: Key
    observations: Sequence[Observation] = ()
    gone: dict[str, bool] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    addresses: frozenset[str] = frozenset()
    shows_series: bool = False
    is_gone: bool = False
    remark: str = ""
    error: Exception | None = None


async def look_at(channel: Channel, keys: Mapping[Key, bool], window: Window) -> list[Look]:
    """Look at things by id, several at once; what fails says so and stops no other."""
    slots = asyncio.Semaphore(channel.concurrency)

    async def one(key: Key, told_gone: bool) -> Look:
        async with slots:
            try:
                return await _look(channel, key, told_gone, window)
            except RecordGoneError:
                return Look(key, is_gone=True)
            except UnmappableRecordError as error:
                return Look(key, remark=str(error))
            except Exception as error:
                return Look(key, error=error)

    return list(await asyncio.gather(*(one(key, gone) for key, gone in keys.items())))


async def _look(channel: Channel, key: Key, told_gone: bool, window: Window) -> Look:
    adapter = channel.adapter
    if key.kind is Kind.PERSON:
        known = await adapter.addresses_of([key.id]) if isinstance(adapter, KnowsPeople) else frozenset()
        return Look(key, addresses=known)
    if key.kind is Kind.GROUP and isinstance(adapter, ReadsGroups):
        group = await adapter.read_group(key.id, window)
        is_single = [o.external_id for o in group.observations] == [key.id]
        gone = dict.fromkeys(group.gone, True)
        return Look(key, group.observations, gone, group.problems, shows_series=not is_single)
    if told_gone:
        absence = await adapter.confirm_absence(key.id)
        if absence.observation is None:
            return Look(key, gone={key.id: absence.proven}, is_gone=True)
        return Look(key, [absence.observation])
    return Look(key, [await adapter.read(key.id)])


def store_looks(
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    lease: HeldLease,
    looks: Sequence[Look],
    run: Run,
) -> set[str]:
    """Store what was seen; gives the meetings that are now to be reconciled.

    Should storing them together fail, they are stored one by one: a look that cannot be gets the error.
    """
    seen = [look for look in looks if look.error is None and look.key.kind is not Kind.PERSON]
    try:
        return _store(engine, tenant, channel, lease, seen, run)
    except LeaseLostError:
        raise
    except Exception as error:
        log.error("deliveries_not_stored", connection_id=channel.id, error=type(error).__name__)
    touched: set[str] = set()
    for look in seen:
        try:
            touched |= _store(engine, tenant, channel, lease, [look], run)
        except LeaseLostError:
            raise
        except Exception as error:
            look.error = error
    return touched


def _store(
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    lease: HeldLease,
    looks: Sequence[Look],
    run: Run,
) -> set[str]:
    shown = {o.external_id: o for look in looks for o in look.observations}
    with engine.store.reading() as uow:
        known = uow.refs.known(channel.id, sorted(shown))
    # A record that a person cut loose, or of unknown outcome, is not ours to look at.
    mine = [o for i, o in shown.items() if i not in known or known[i].state in LIVE | DELETED]
    page = Page(known, observations=mine, broken=[p for look in looks for p in look.problems])
    if page.observations or page.broken:
        store_page(engine, tenant, channel, lease, page, run)
    gone = _gone(engine, tenant, channel, looks, set(shown))
    if gone:
        rejoined = rejoin_series(engine, tenant, channel, lease, sorted(gone), run)
        _count(engine, tenant, channel, lease, {i: p for i, p in gone.items() if i not in rejoined})
    with engine.store.reading() as uow:
        refs = uow.refs.known(channel.id, sorted({*shown, *gone}))
        rows = uow.meetings.load({ref.meeting_id for ref in refs.values()})
    return {row.id for row in rows.values() if row.dirty}


def _gone(
    engine: Engine, tenant: Tenant, channel: Channel, looks: Sequence[Look], shown: Collection[str]
) -> dict[str, bool]:
    """Collect the records of ours that turned out not to be there, and whether that is proven."""
    window = engine.window(tenant)
    told = {i: proven for look in looks for i, proven in look.gone.items()}
    told |= {look.key.id: told.get(look.key.id, False) for look in looks if look.is_gone}
    series = {look.key.id for look in looks if look.key.kind is Kind.GROUP and look.is_gone}
    listed = {look.key.id for look in looks if look.shows_series}
    if not (told or series or listed):
        return {}
    with engine.store.reading() as uow:
        members = live_members(uow, tenant, channel, series | listed)
        known = uow.refs.known(channel.id, sorted(told))
    found = {i: proven for i, proven in told.items() if i in known and known[i].state in LIVE}
    for key, refs in members.items():
        for ref in refs:
            external_id = ref.ref.external_id
            is_missing = (
                ref.starts_at is not None and window.holds(ref.starts_at) and external_id not in shown
            )
            if external_id is not None and (key in series or is_missing):
                found.setdefault(external_id, False)
    return found


def _count(
    engine: Engine, tenant: Tenant, channel: Channel, lease: HeldLease, gone: Mapping[str, bool]
) -> None:
    """Count the absences, unless so much vanished lately that only a sweep can tell what happened."""
    if not gone:
        return
    now = engine.now()
    with engine.store.transaction() as uow:
        lease.check(uow)
        lately = uow.refs.vanished_since(channel.id, now - VANISHING)
        if tenant.guard.exceeded_by(lately + len(gone), uow.refs.totals(channel.id)):
            log.warning("deletions_left_to_sweep", connection_id=channel.id, told=len(gone), lately=lately)
            uow.connections.want_sweep(channel.id, now)
            return
        count_gone(uow, engine, channel, dict(gone))


def wake_for(engine: Engine, channel: Channel, lease: HeldLease, addresses: Collection[str]) -> set[str]:
    """Let held records of meetings with one of these people be tried again; gives those meetings."""
    with engine.store.transaction() as uow:
        lease.check(uow)
        return _wake(uow, channel, addresses)


def _people(meeting: Meeting) -> set[str]:
    guests = meeting.values.get(Field.PARTICIPANTS, ())
    return {person.email for person in guests} if isinstance(guests, tuple) else set()


def _wake(uow: UnitOfWork, channel: Channel, addresses: Collection[str]) -> set[str]:
    held = {row.meeting_id: row for row in uow.refs.held_back(channel.id)}
    meetings = uow.meetings.load(held)
    woken = [meeting_id for meeting_id, row in meetings.items() if _people(row.meeting) & set(addresses)]
    for meeting_id in woken:
        held[meeting_id].ref = replace(held[meeting_id].ref, hold=None)
    uow.refs.save([held[meeting_id] for meeting_id in woken])
    uow.meetings.mark_dirty(woken)
    return set(woken)
