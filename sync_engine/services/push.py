"""Push: carry out intended writes at one connection, each with exactly one effect.

Decide the request, freeze and commit it, send it, store the outcome. What a crash leaves between freezing
and storing is of unknown outcome and is looked at before anything is sent again.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from sync_engine.core.capabilities import Idempotency
from sync_engine.core.ports import Operation, Sealed, Written
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    LeaseLostError,
    NeedsReviewError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    SyncError,
    UnavailableError,
    UnholdableError,
)
from sync_engine.services import outcome
from sync_engine.services.connections import describe, is_resting, rest
from sync_engine.services.creation_guard import guard_creations
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.lease import HeldLease, hold
from sync_engine.services.run import Run
from sync_engine.services.unknown import resolve
from sync_engine.store.outbox import OutboxRow, OutboxState

log = structlog.get_logger()

BATCH = 64
PARK_AFTER_ATTEMPTS = 8
STOP_AFTER_FAILURES = 3


class Pusher:
    """Drain the due writes of one connection under its lease."""

    def __init__(self, engine: Engine, tenant: Tenant, channel: Channel, lease: HeldLease, run: Run) -> None:
        self.engine, self.tenant, self.channel, self.lease, self.run = engine, tenant, channel, lease, run
        self.limited: set[str] = set()
        self.failures = 0
        self.stopped = False
        self.done = 0

    async def drain(self) -> int:
        """Work until nothing is due now; gives how many writes took effect."""
        self._reclaim()
        guard_creations(self.engine, self.tenant, self.channel, self.lease)
        tried: set[str] = set()
        while not (self.stopped or self.run.is_over()):
            with self.engine.store.reading() as uow:
                rows = uow.outbox.due(
                    self.channel.id, self.engine.now(), BATCH, without_scopes=sorted(self.limited - {""})
                )
            rows = [row for row in rows if row.id not in tried]
            if not rows:
                break
            tried |= {row.id for row in rows}
            await self._together(self._not_too_early(rows))
        return self.done

    def _reclaim(self) -> None:
        """Take writes that a dead run had frozen for what they are: sent, perhaps."""
        with self.engine.store.transaction() as uow:
            self.lease.check(uow)
            uow.outbox.reclaim_sealed(self.channel.id, self.engine.now())

    def _not_too_early(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Hold new records back until this side's own list was read, or they could double what is there."""
        with self.engine.store.reading() as uow:
            row = uow.connections.get(self.channel.id)
            refs = uow.refs.load([r.ref_id for r in rows])
        swept = row.last_complete_sweep_at if row else None
        return [r for r in rows if not _must_wait(r, swept, self._grace_end(r, refs))]

    def _grace_end(self, row: OutboxRow, refs: dict[str, outcome.RefRow]) -> datetime | None:
        grace = self.channel.rules.twin_grace
        ref = refs.get(row.ref_id)
        if ref is None or not grace or not self.channel.adapter.capabilities.twins:
            return None
        return ref.ref.since + grace

    async def _together(self, rows: Sequence[OutboxRow]) -> None:
        """Work on rows at once, those of one scope one after the other (a host takes one write at a time)."""
        lanes: defaultdict[str, list[OutboxRow]] = defaultdict(list)
        for row in rows:
            lanes[self._scope(row) or row.id].append(row)
        slots = asyncio.Semaphore(self.channel.concurrency)

        async def work(lane: list[OutboxRow]) -> None:
            for row in lane:
                async with slots:
                    if not (self.stopped or self.run.is_over()):
                        await self._one(row)

        await asyncio.gather(*(work(lane) for lane in lanes.values()))

    def _scope(self, row: OutboxRow) -> str:
        return row.scope or self.channel.adapter.write_scope(row.write())

    async def _one(self, row: OutboxRow) -> None:
        try:
            await self._deliver(row)
        except LeaseLostError:
            raise
        except SyncError as error:
            self._failed(row, error)
        except Exception as error:
            log.error("push_failed", outbox_id=row.id, error=type(error).__name__)
            with self.engine.store.transaction() as uow:
                self.lease.check(uow)
                uow.outbox.park([row.id], f"cannot be carried out ({type(error).__name__})")

    async def _deliver(self, row: OutboxRow) -> None:
        if row.state is OutboxState.UNKNOWN and not await resolve(self, row):
            return
        if self._capped(row):
            return
        sealed = await self._seal(row)
        if sealed is None:
            return
        await self.send(row, sealed)

    async def _seal(self, row: OutboxRow) -> Sealed | None:
        """Decide the request and freeze it, before its first byte leaves."""
        sealed = await self.channel.adapter.prepare(row.write())
        if row.operation is Operation.CREATE and await self._adopted(row, sealed):
            return None
        with self.engine.store.transaction() as uow:
            self.lease.check(uow)
            uow.outbox.seal(row.id, sealed, self.engine.now())
            if sealed.scope and row.operation in {Operation.CREATE, Operation.UPDATE}:
                uow.quotas.add(self.channel.id, sealed.scope, self.engine.now().date())
        return sealed

    async def _adopted(self, row: OutboxRow, sealed: Sealed) -> bool:
        """Look the meeting up before making a record: the side's own twin, or ours of an earlier try."""
        can = self.channel.adapter.capabilities
        twin_possible = can.idempotency is Idempotency.SEARCH and can.twins and not row.replaces
        tried_before = row.attempts > 0
        if not (twin_possible or tried_before):
            return False
        found = await self.channel.adapter.find(sealed)
        return outcome.adopt(self.engine, self.tenant, self.channel, self.lease, row, found, self.run)

    async def send(self, row: OutboxRow, sealed: Sealed) -> None:
        """Send a frozen request and store its effect."""
        try:
            written = await self.channel.adapter.send(sealed)
        except RecordGoneError:
            if row.operation is not Operation.DELETE:
                raise
            written = Written(row.external_id or "")
        self.finish(row, written)

    def finish(self, row: OutboxRow, written: Written) -> None:
        """Store the effect of a write; agreement and outbox move in one transaction."""
        with self.engine.store.transaction() as uow:
            self.lease.check(uow)
            outcome.finish(uow, self.engine, self.channel, row, written, self.run)
        self.failures = 0
        self.done += 1
        self.run.progress("push", self.channel.name, 1)

    def _capped(self, row: OutboxRow) -> bool:
        """Let a write wait for tomorrow once its host has spent today's; deletions have a reserve."""
        cap, scope = self.channel.adapter.capabilities.daily_cap, self._scope(row)
        if cap is None or not scope or row.operation is Operation.DELETE:
            return False
        now = self.engine.now()
        with self.engine.store.transaction() as uow:
            if uow.quotas.used(self.channel.id, scope, now.date()) < cap.limit - cap.reserve:
                return False
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
            uow.outbox.postpone([row.id], midnight)
        self.limited.add(scope)
        return True

    def _failed(self, row: OutboxRow, error: SyncError) -> None:
        now = self.engine.now()
        with self.engine.store.transaction() as uow:
            self.lease.check(uow)
            match error:
                case StaleWriteError():
                    outcome.stale(uow, self.engine, row, error.observation)
                case UnholdableError():
                    outcome.held(uow, self.engine, row, error)
                case NeedsReviewError():
                    uow.outbox.park([row.id], str(error))
                case RecordGoneError():
                    outcome.gone(uow, self.engine, self.channel, row)
                case OutcomeUnknownError():
                    uow.outbox.unknown([row.id], describe(error), now)
                case RateLimitedError():
                    uow.outbox.delay([row.id], describe(error), error.retry_at)
                case CredentialsError():
                    uow.outbox.fail([row.id], describe(error), now, unseal=True)
                case RefusedError():
                    uow.outbox.park([row.id], describe(error))
                case ProviderError() if row.attempts + 1 >= PARK_AFTER_ATTEMPTS:
                    uow.outbox.park([row.id], describe(error))
                case ProviderError():
                    uow.outbox.fail([row.id], describe(error), now + _backoff(row.attempts), unseal=True)
                case _:
                    uow.outbox.park([row.id], str(error))
        self._consider(error)

    def _consider(self, error: SyncError) -> None:
        """Stop, or go on elsewhere, after an error that concerns more than its row."""
        if isinstance(error, RateLimitedError) and error.scope:
            self.limited.add(error.scope)
        elif isinstance(error, RateLimitedError | CredentialsError):
            self.stopped = True
            rest(self.engine, self.channel, self.run, error)
        elif isinstance(error, UnavailableError | OutcomeUnknownError | InvalidResponseError):
            self.failures += 1
            if self.failures >= STOP_AFTER_FAILURES:
                self.stopped = True
                self.run.fail(self.channel.name, describe(error), unreachable=True)


def _must_wait(row: OutboxRow, swept: datetime | None, grace_end: datetime | None) -> bool:
    if row.operation is not Operation.CREATE or row.replaces or row.state is OutboxState.UNKNOWN:
        return False
    if swept is None:
        return True
    return grace_end is not None and swept < grace_end


def _backoff(attempts: int) -> timedelta:
    seconds = min(3600.0, 5.0 * 2**attempts)
    return timedelta(seconds=seconds * random.uniform(0.5, 1.0))


async def push_connection(engine: Engine, tenant: Tenant, channel: Channel, run: Run) -> int:
    """Carry out what is due at one connection; gives how many writes took effect."""
    with engine.store.reading() as uow:
        due = uow.outbox.next_due(channel.id)
    if due is None or due > engine.now() or is_resting(engine, channel):
        return 0
    async with hold(
        engine,
        f"connection:{channel.id}",
        patience_seconds=run.patience_seconds,
        on_wait=lambda: run.progress("wait", channel.name, 0),
    ) as lease:
        if lease is None:
            return 0
        pusher = Pusher(engine, tenant, channel, lease, run)
        done = await pusher.drain()
        with engine.store.transaction() as uow:
            uow.connections.remember(channel.id, dict(channel.adapter.memory))
    return done
