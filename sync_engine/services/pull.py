"""Pull one connection: list what there is, read what is news, and prove what is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from sync_engine.core.fields import digest
from sync_engine.core.meeting import Field, Schedule
from sync_engine.core.ports import Observation, Problem, Sighting, SweepPage, Window
from sync_engine.core.refs import DELETED, LIVE
from sync_engine.errors import ProviderError, RecordGoneError, UnmappableRecordError
from sync_engine.services.absence import prove_absences
from sync_engine.services.connections import recognise, rest
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.lease import HeldLease, hold
from sync_engine.services.linking import take_in
from sync_engine.services.rotation import take_over
from sync_engine.services.run import Run
from sync_engine.services.webhook_health import note_sweep
from sync_engine.store.quarantine import KnownProblem, QuarantineRow
from sync_engine.store.refs import KnownRef, RefRow
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

STILL_BUSY = "another run is still working on it; run it again when that one has finished"


@dataclass
class Sweep:
    """One sweep under way: what it saw, so that what it did not see can be told.

    ``repaired``: known records it found changed or gone. ``reads``: requests for single records, which a
    sweep without news would not have made.
    """

    window: Window
    lease: HeldLease
    seen: set[int] = field(default_factory=set)
    covered: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)
    problems: int = 0
    repaired: set[str] = field(default_factory=set)
    reads: int = 0

    def saw(self, external_id: str) -> None:
        """Remember a record in few bytes: a sweep may see hundreds of thousands."""
        # Python's own hash of a text has 64 bits and costs next to nothing; it never leaves this sweep.
        self.seen.add(hash(external_id))

    def has_seen(self, external_id: str) -> bool:
        """Tell whether the listing showed a record."""
        return hash(external_id) in self.seen


async def pull_connection(engine: Engine, tenant: Tenant, channel: Channel, run: Run) -> bool:
    """Sweep one connection's window once and store what is news; tells whether the sweep finished.

    Another run that works on the connection is left to it, once this run's patience is over. Errors of
    the provider end this connection's pull only; what pages brought before stays.
    """
    async with hold(
        engine,
        f"connection:{channel.id}",
        patience_seconds=run.patience_seconds,
        on_wait=lambda: run.progress("wait", channel.name, 0),
    ) as lease:
        if lease is None:
            run.busy.add(channel.name)
            log.info("pull_skipped", connection_id=channel.id, reason="another run works on it")
            if run.patience_seconds:
                run.fail(channel.name, STILL_BUSY)
            return False
        try:
            if not await recognise(engine, channel, run):
                return False
            await _sweep(engine, tenant, channel, Sweep(engine.window(tenant), lease), run)
        except ProviderError as error:
            rest(engine, channel, run, error)
            return False
    return True


async def _sweep(engine: Engine, tenant: Tenant, channel: Channel, sweep: Sweep, run: Run) -> None:
    before = channel.meter.by_method.total()
    async for page in channel.adapter.sweep(sweep.window):
        await _take_page(engine, tenant, channel, sweep, page, run)
        run.observed += len(page.sightings)
        run.progress("pull", channel.name, len(page.sightings))
    await _read_asked_for(engine, tenant, channel, sweep, run)
    await prove_absences(engine, tenant, channel, sweep, run)
    with engine.store.transaction() as uow:
        sweep.lease.check(uow)
        note_sweep(uow, tenant, channel, sweep.repaired)
        uow.connections.swept(
            channel.id,
            engine.now(),
            complete=True,
            memory=dict(channel.adapter.memory),
            cursor={"requests": channel.meter.by_method.total() - before, "reads": sweep.reads},
        )
    log.info("pull_finished", connection_id=channel.id, seen=len(sweep.seen), problems=sweep.problems)


@dataclass
class Page:
    """One page sorted out: what to translate, what to read by id, and what cannot be read."""

    known: dict[str, KnownRef]
    news: list[Sighting] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    broken: list[Problem] = field(default_factory=list)


async def _take_page(
    engine: Engine, tenant: Tenant, channel: Channel, sweep: Sweep, page: SweepPage, run: Run
) -> None:
    sweep.covered |= page.covered
    for sighting in page.sightings:
        sweep.saw(sighting.external_id)
    sorted_out = _sort_out(engine, channel, sweep, page)
    for problem in page.problems:
        sweep.problems += 1
        if problem.external_id:
            sweep.saw(problem.external_id)
            sorted_out.broken.append(problem)
        else:
            run.fail(f"{channel.name} {problem.scope}".strip(), problem.reason)
    if not (sorted_out.news or sorted_out.returned or sorted_out.broken):
        return
    _translate(channel, sorted_out)
    await _read_details(channel, sweep, sorted_out)
    sweep.repaired |= store_page(engine, tenant, channel, sweep.lease, sorted_out, run)


def _sort_out(engine: Engine, channel: Channel, sweep: Sweep, page: SweepPage) -> Page:
    """Tell the news of a page from what is known; an unchanged row ends here."""
    now = engine.now()
    ids = [s.external_id for s in page.sightings]
    with engine.store.reading() as uow:
        known = uow.refs.known(channel.id, ids)
        broken = uow.quarantine.known(channel.id, ids)
    outcome = Page(known)
    for sighting in page.sightings:
        ref, aside = known.get(sighting.external_id), broken.get(sighting.external_id)
        if ref is None:
            if not sighting.gone and (aside is None or aside.fingerprint != sighting.fingerprint):
                outcome.news.append(sighting)
        elif sighting.gone:
            if ref.state in LIVE:
                sweep.gone.append(sighting.external_id)
        elif ref.state in DELETED:
            outcome.returned.append(sighting.external_id)
        elif ref.state in LIVE and _is_news(sighting, ref, aside, now):
            outcome.news.append(sighting)
    return outcome


def _is_news(sighting: Sighting, ref: KnownRef, aside: KnownProblem | None, now: datetime) -> bool:
    if ref.needs_read or ref.absences or (ref.detail_due_at is not None and ref.detail_due_at <= now):
        return True
    if aside is not None:
        # It cannot be read as it stands; once it looks otherwise it is read, and taken back.
        return aside.fingerprint != sighting.fingerprint
    return ref.fingerprint != sighting.fingerprint


def _translate(channel: Channel, page: Page) -> None:
    for sighting in page.news:
        try:
            page.observations.append(channel.adapter.translate(sighting))
        except UnmappableRecordError as error:
            page.broken.append(
                Problem(
                    str(error), sighting.external_id, sighting.scope, {"fingerprint": sighting.fingerprint}
                )
            )


async def _read_details(channel: Channel, sweep: Sweep, page: Page) -> None:
    """Read by id what rows do not show in full, and what came back from the dead."""
    slots = asyncio.Semaphore(channel.concurrency)
    rows = list(page.observations)
    wanted = [not o.complete and (o.external_id in page.known or _in_window(o, sweep.window)) for o in rows]
    reads = [_read(channel, o.external_id, slots) if w else None for o, w in zip(rows, wanted, strict=True)]
    sweep.reads += sum(wanted) + len(page.returned)
    results = await asyncio.gather(*(r for r in reads if r is not None), return_exceptions=True)
    outcome = iter(results)
    page.observations.clear()
    for row, is_read in zip(rows, wanted, strict=True):
        _place(page, row, next(outcome) if is_read else row)
    asked = (_confirm(channel, external_id, slots) for external_id in page.returned)
    confirmed = await asyncio.gather(*asked, return_exceptions=True)
    for one in confirmed:
        if isinstance(one, Observation):
            page.observations.append(one)
        elif isinstance(one, BaseException) and not isinstance(one, ProviderError | UnmappableRecordError):
            raise one


def _place(page: Page, row: Observation, read: Observation | BaseException) -> None:
    if isinstance(read, Observation):
        page.observations.append(read)
    elif isinstance(read, RecordGoneError):
        return  # deleted between list and read: the next sweep will not show it
    elif isinstance(read, UnmappableRecordError):
        page.broken.append(Problem(str(read), row.external_id, row.scope, {"fingerprint": row.fingerprint}))
    elif isinstance(read, ProviderError):
        # The row alone is true as far as it goes; the record stays in line to be read.
        page.observations.append(row)
    else:
        raise read


async def _read(channel: Channel, external_id: str, slots: asyncio.Semaphore) -> Observation:
    async with slots:
        return await channel.adapter.read(external_id)


async def _confirm(channel: Channel, external_id: str, slots: asyncio.Semaphore) -> Observation | None:
    # A listing may lag behind: a record that was gone counts as back only when it is there by id.
    async with slots:
        return (await channel.adapter.confirm_absence(external_id)).observation


def _in_window(observation: Observation, window: Window) -> bool:
    schedule = observation.values.get(Field.SCHEDULE)
    return isinstance(schedule, Schedule) and schedule.end > window.start and schedule.start < window.end


async def _read_asked_for(engine: Engine, tenant: Tenant, channel: Channel, sweep: Sweep, run: Run) -> None:
    """Read records that were to be read whatever the listing shows, and that the listing did not show."""
    with engine.store.reading() as uow:
        asked = [r for r in uow.refs.needing_read(channel.id, 500) if not sweep.has_seen(r.external_id)]
        known = uow.refs.known(channel.id, [r.external_id for r in asked])
    if not asked:
        return
    sweep.reads += len(asked)
    page = Page(known)
    slots = asyncio.Semaphore(channel.concurrency)
    reads = await asyncio.gather(
        *(_read(channel, r.external_id, slots) for r in asked), return_exceptions=True
    )
    for ref, read in zip(asked, reads, strict=True):
        if isinstance(read, Observation):
            page.observations.append(read)
            sweep.saw(ref.external_id)
        elif not isinstance(read, ProviderError | UnmappableRecordError):
            assert isinstance(read, BaseException)
            raise read
    sweep.repaired |= store_page(engine, tenant, channel, sweep.lease, page, run)


def store_page(
    engine: Engine, tenant: Tenant, channel: Channel, lease: HeldLease, page: Page, run: Run
) -> set[str]:
    """Store a page of observations in one transaction: refs, new meetings, what to reconcile.

    Gives the external ids of known records that show something else than before.
    """
    with engine.store.transaction() as uow:
        lease.check(uow)
        fresh = [o for o in page.observations if o.external_id not in page.known]
        there = [o for o in page.observations if o.external_id in page.known]
        changed = update_refs(uow, engine, channel, there)
        take_in(uow, engine, tenant, channel, fresh, run)
        _set_aside(uow, engine, channel, page)
    return changed


def update_refs(uow: UnitOfWork, engine: Engine, channel: Channel, seen: Sequence[Observation]) -> set[str]:
    """Store what known records show now; only what changed in substance puts a meeting in line.

    Gives the external ids of what changed in substance.
    """
    rows = uow.refs.by_external_id(channel.id, [o.external_id for o in seen])
    changed: list[RefRow] = []
    dirty: set[str] = set()
    news: set[str] = set()
    for observation in seen:
        row = rows.get(observation.external_id)
        if row is None:
            continue
        if _says_more(row, observation):
            dirty.add(row.meeting_id)
            news.add(observation.external_id)
        elif not observation.complete and row.observed is not None and row.observed.complete:
            # Only the row changed shape; what was read in full before still stands.
            row.fingerprint, row.needs_read = observation.fingerprint, True
            changed.append(row)
            continue
        take_over(row, observation, channel, engine.now())
        changed.append(row)
    uow.refs.save(changed)
    uow.meetings.mark_dirty(sorted(dirty))
    return news


def _says_more(row: RefRow, new: Observation) -> bool:
    """Tell whether reconciling has to look: the record is back, or shows another value, or more of them."""
    if row.ref.state in DELETED or row.observed is None or row.absences:
        return True
    old = row.observed
    if (old.private, old.read_only, old.deletable, dict(old.fixed)) != (
        new.private, new.read_only, new.deletable, dict(new.fixed),
    ):  # fmt: skip
        return True
    if new.complete and not old.complete:
        return True
    return any(name not in old.values or old.values[name] != value for name, value in new.values.items())


def _fingerprint_of(problem: Problem) -> str:
    return str(problem.payload.get("fingerprint") or digest(sorted(problem.payload.items())))


def _set_aside(uow: UnitOfWork, engine: Engine, channel: Channel, page: Page) -> None:
    now = engine.now()
    rows = [
        QuarantineRow(
            id=engine.new_id(),
            connection_id=channel.id,
            external_id=p.external_id,
            reason=p.reason,
            first_seen_at=now,
            last_seen_at=now,
            fingerprint=_fingerprint_of(p),
            payload={k: v for k, v in p.payload.items() if k != "fingerprint"},
        )
        for p in page.broken
    ]
    known = uow.quarantine.known(channel.id, [row.external_id for row in rows])
    # The same broken record again is no news, and a person may have said to forget it.
    fresh = [
        row
        for row in rows
        if (there := known.get(row.external_id)) is None or there.fingerprint != row.fingerprint
    ]
    if fresh:
        uow.quarantine.put(fresh)
    read = [o.external_id for o in page.observations]
    aside = uow.quarantine.known(channel.id, read)
    uow.quarantine.release(channel.id, sorted(aside))
