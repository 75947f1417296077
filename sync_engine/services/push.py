"""Push: carry out intended writes at one connection, each with exactly one effect.

Decide the request, freeze and commit it, send it, store the outcome. What a crash leaves between freezing
and storing is of unknown outcome and is looked at before anything is sent again.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta

import structlog

from sync_engine.core.capabilities import Idempotency
from sync_engine.core.fields import same
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
from sync_engine.store.engine import DATABASE_TROUBLE
from sync_engine.store.outbox import OutboxRow, OutboxState
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

BATCH = 64
PARK_AFTER_ATTEMPTS = 8
STOP_AFTER_FAILURES = 3
FRESH = timedelta(seconds=10)
"""How long what a record showed counts as what it shows."""


class Pusher:
    """Drain the due writes of one connection under its lease."""

    def __init__(self, engine: Engine, tenant: Tenant, channel: Channel, lease: HeldLease, run: Run) -> None:
        self.engine, self.tenant, self.channel, self.lease, self.run = engine, tenant, channel, lease, run
        self.limited: set[str] = set()
        self.failures = 0
        self.stopped = False
        self.done = 0
        self._waiting: set[str] = set()
        self._slots = asyncio.Semaphore(channel.concurrency)
        self._lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def drain(self) -> int:
        """Work until nothing is due now; gives how many writes took effect.

        The next rows are taken up while the last ones are still under way: a pause between two batches
        would leave permitted requests unused.
        """
        self._reclaim()
        guard_creations(self.engine, self.tenant, self.channel, self.lease)
        tried: set[str] = set()
        under_way: set[asyncio.Task[None]] = set()
        try:
            while not (self.stopped or self.run.is_over()):
                rows = [row for row in self._due() if row.id not in tried]
                if not (rows or under_way):
                    break
                tried |= {row.id for row in rows}
                under_way |= {asyncio.create_task(self._in_turn(row)) for row in self._not_too_early(rows)}
                # Without news the rest is awaited: what it brings (a clean-up) may be due at once.
                under_way = await _down_to(2 * self.channel.concurrency if rows else 0, under_way)
            await _down_to(0, under_way)
        finally:
            await _end(under_way)
        return self.done

    def _due(self) -> list[OutboxRow]:
        with self.engine.store.reading() as uow:
            return uow.outbox.due(
                self.channel.id,
                self.engine.now(),
                BATCH,
                without_scopes=sorted(self.limited - {""}),
                passing_over=self._waiting,
            )

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
        self._waiting |= {r.id for r in rows if _must_wait(r, swept, self._grace_end(r, refs))}
        return [r for r in rows if r.id not in self._waiting]

    def _grace_end(self, row: OutboxRow, refs: dict[str, RefRow]) -> datetime | None:
        grace = self.channel.rules.twin_grace
        ref = refs.get(row.ref_id)
        if ref is None or not grace or not self.channel.adapter.capabilities.twins:
            return None
        return ref.ref.since + grace

    async def _in_turn(self, row: OutboxRow) -> None:
        """Work on a row when a slot is free; those of one scope come one after the other, in their order."""
        scope = self._scope(row)
        async with self._lanes[scope] if scope else nullcontext(), self._slots:
            if not (self.stopped or self.run.is_over()):
                await self._one(row)

    def _scope(self, row: OutboxRow) -> str:
        return row.scope or self.channel.adapter.write_scope(row.write())

    async def _one(self, row: OutboxRow) -> None:
        try:
            await self._deliver(row)
        except LeaseLostError:
            raise
        except DATABASE_TROUBLE:
            # Whether it was sent is told by the row as it stands; the next run looks it up.
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
        if not self._permitted(row):
            self._withdraw(row)
            return
        if self._capped(row):
            return
        sealed = await self._seal(row)
        if sealed is None:
            return
        await self.send(row, sealed)

    def _permitted(self, row: OutboxRow) -> bool:
        rules = self.channel.rules
        permitted = {
            Operation.CREATE: rules.may_create,
            Operation.UPDATE: rules.may_update,
            Operation.RESTORE: rules.may_update,
            Operation.DELETE: rules.may_delete,
        }
        return permitted[row.operation]

    def _withdraw(self, row: OutboxRow) -> None:
        """Give a write up that an operator has forbidden since it was planned; it is planned anew."""
        with self.engine.store.transaction() as uow:
            self.lease.check(uow)
            uow.outbox.supersede([row.id], self.engine.now())
            uow.meetings.mark_dirty([row.meeting_id])

    async def _seal(self, row: OutboxRow) -> Sealed | None:
        """Decide the request and freeze it, before its first byte leaves."""
        if row.operation is Operation.DELETE and not row.cleanup:
            await self._refuse_stale_deletion(row)
        try:
            sealed = await self.channel.adapter.prepare(row.write())
            if row.operation is Operation.CREATE and await self._adopted(row, sealed):
                return None
        except OutcomeUnknownError as error:
            # It was a question that remained unanswered; of the write itself nothing has left yet.
            raise UnavailableError(
                str(error),
                provider=error.provider, operation=error.operation, status_code=error.status_code,
            ) from error  # fmt: skip
        with self.engine.store.transaction() as uow:
            self.lease.check(uow)
            uow.outbox.seal(row.id, sealed, self.engine.now())
            if sealed.scope and row.operation in {Operation.CREATE, Operation.UPDATE}:
                uow.quotas.add(self.channel.id, sealed.scope, self.engine.now().date())
        return sealed

    async def _refuse_stale_deletion(self, row: OutboxRow) -> None:
        """Look before deleting what was last seen a while ago: an edit since then beats the deletion.

        Raises StaleWriteError with what the record shows now. RecordGoneError means that it is done.
        """
        seen_at = row.base_observed_at
        if row.external_id is None or (seen_at and self.engine.now() - seen_at < FRESH):
            return
        shown = await self.channel.adapter.read(row.external_id)
        if any(n in row.base and not same(row.base[n], v) for n, v in shown.values.items()):
            raise StaleWriteError("edited since the deletion was decided", observation=shown)

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
            written = _nothing_left(row)
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
                case RecordGoneError() if row.operation is Operation.DELETE:
                    outcome.finish(uow, self.engine, self.channel, row, _nothing_left(row), self.run)
                case RecordGoneError():
                    outcome.gone(uow, self.engine, self.channel, row)
                case OutcomeUnknownError():
                    uow.outbox.unknown([row.id], describe(error), now)
                case RateLimitedError():
                    uow.outbox.delay([row.id], describe(error), error.retry_at)
                    self._note_spent(uow, error)
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

    def _note_spent(self, uow: UnitOfWork, error: RateLimitedError) -> None:
        """Take over what the provider says of a daily cap: others write there too."""
        cap, now = self.channel.adapter.capabilities.daily_cap, self.engine.now()
        if cap is not None and error.scope and error.retry_at.date() > now.date():
            uow.quotas.correct(self.channel.id, error.scope, now.date(), cap.limit)

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


async def _down_to(number: int, tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until no more than ``number`` tasks are left; raises what one of them raised."""
    while len(tasks) > number:
        ended, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    return tasks


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """End tasks that an error left behind, before the lease they work under is given back."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _nothing_left(row: OutboxRow) -> Written:
    return Written(row.external_id or "")


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
            run.busy.add(channel.name)
            return 0
        pusher = Pusher(engine, tenant, channel, lease, run)
        done = await pusher.drain()
        with engine.store.transaction() as uow:
            uow.connections.remember(channel.id, dict(channel.adapter.memory))
    return done
