"""Ingest: read what deliveries hint at, by id, and store it as a sweep would.

A delivery is a hint and nothing else: it may be late, doubled, out of order or about nothing of ours.
Whoever works on one delivery works on everything that is pending at its connection, the oldest first, so
that ten deliveries about one record cost one read and none waits for a luckier one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from structlog.contextvars import bound_contextvars

from sync_engine.errors import ConfigurationError, CredentialsError, ProviderError, RateLimitedError
from sync_engine.services.connections import describe, is_resting, rest
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.hinted import Asked, Key, find_known, keys_of
from sync_engine.services.lease import HeldLease, hold
from sync_engine.services.looking import Look, look_at, store_looks, wake_for
from sync_engine.services.run import Run
from sync_engine.services.sync import settle
from sync_engine.store.inbox import InboxRow, InboxState
from sync_engine.store.refs import connection_name, workspace_name

log = structlog.get_logger()

PATIENCE_SECONDS = 2.0
"""How long to wait for another run at the connection; after that the tick comes back to it."""
TOGETHER = 10_000
"""Deliveries looked at together, so that a storm about few records costs few reads."""
READS = 64
"""Records read between two transactions."""
LONGEST_SECONDS = 60.0
"""A drain ends after this long, well before a worker's time limit; what is left comes next."""
GIVE_UP_AFTER = 8
MOST_NAMED = 10
RESTING = timedelta(seconds=60)
UNREACHABLE = timedelta(seconds=10)
NO_REMARKS: Mapping[Key, str] = {}


async def ingest_delivery(engine: Engine, inbox_id: str) -> frozenset[str]:
    """Work on a delivery and on everything else that is pending at its connection.

    Safe to run twice, and at once with anything. Gives the ids of meetings that are now to be reconciled.
    """
    with engine.store.reading() as uow:
        row = uow.inbox.get(inbox_id)
    if row is None or row.state is not InboxState.PENDING or row.not_before > engine.now():
        return frozenset()
    with bound_contextvars(request_id=row.request_id or row.id):
        return await drain_inbox(engine, row.connection_id)


async def drain_inbox(engine: Engine, connection_id: str) -> frozenset[str]:
    """Work on everything that is pending at a connection; gives the meetings to be reconciled.

    Nothing happens while another run holds the connection: what is pending stays so.
    """
    try:
        tenant, channel = _channel_of(engine, connection_id)
    except ConfigurationError as error:
        _close_all(engine, connection_id, str(error))
        return frozenset()
    if resting := is_resting(engine, channel):
        _postpone(engine, channel, engine.now() + RESTING, resting)
        return frozenset()
    name = f"connection:{channel.id}"
    async with hold(engine, name, patience_seconds=PATIENCE_SECONDS) as lease:
        if lease is None:
            log.info("deliveries_left", connection_id=channel.id, reason="another run works on it")
            return frozenset()
        return await _Drain(engine, tenant, channel, lease).work()


async def run_delivery(engine: Engine, inbox_id: str) -> frozenset[str]:
    """Ingest a delivery, reconcile what it touched, and push what is due: the whole way, in this process."""
    with engine.store.reading() as uow:
        row = uow.inbox.get(inbox_id)
    touched = await ingest_delivery(engine, inbox_id)
    if row is not None and touched:
        with bound_contextvars(request_id=row.request_id or row.id):
            tenant = engine.tenants[workspace_name(row.connection_id)]
            await settle(engine, tenant, Run(engine.new_id()))
    return touched


class _Drain:
    """One drain of one connection's inbox under its lease."""

    def __init__(self, engine: Engine, tenant: Tenant, channel: Channel, lease: HeldLease) -> None:
        self._engine, self._tenant, self._channel, self._lease = engine, tenant, channel, lease
        self._run = Run(engine.new_id())
        self._touched: set[str] = set()
        self._closed = self._reads = 0
        self._stopped = False

    async def work(self) -> frozenset[str]:
        started = time.monotonic()
        while not self._stopped and time.monotonic() - started < LONGEST_SECONDS:
            with self._engine.store.reading() as uow:
                rows = uow.inbox.pending(self._channel.id, self._engine.now(), TOGETHER)
            if not rows:
                break
            await self._together(rows, started + LONGEST_SECONDS)
        with self._engine.store.transaction() as uow:
            self._lease.check(uow)
            uow.connections.delivered(self._channel.id, self._engine.now())
            uow.connections.remember(self._channel.id, dict(self._channel.adapter.memory))
        log.info(
            "deliveries_ingested",
            connection_id=self._channel.id,
            run_id=self._run.id,
            deliveries=self._closed,
            reads=self._reads,
            meetings=len(self._touched),
            # Enough to follow one delivery to its writes; a storm needs no list.
            meeting_ids=sorted(self._touched)[:MOST_NAMED],
            duration_ms=round((time.monotonic() - started) * 1000),
        )
        return frozenset(self._touched)

    async def _together(self, rows: list[InboxRow], until: float) -> None:
        """Read what these deliveries ask for, once each, and close every delivery that has its answers."""
        asked = Asked(rows)
        asked.drop(find_known(self._engine, self._tenant, self._channel, rows))
        self._close(asked.take_answered())
        while not self._stopped and not asked.is_done and time.monotonic() < until:
            keys = asked.next(READS)
            looks = await look_at(self._channel, keys, self._engine.window(self._tenant))
            self._reads += len(looks)
            self._store(looks)
            for look in looks:
                if look.error is None:
                    asked.answer(look.key)
            self._close(asked.take_answered(), {look.key: look.remark for look in looks if look.remark})
            self._fail(asked, [look for look in looks if look.error is not None])

    def _store(self, looks: list[Look]) -> None:
        told = store_looks(self._engine, self._tenant, self._channel, self._lease, looks, self._run)
        self._touched |= told
        addresses = frozenset(a for look in looks for a in look.addresses)
        if addresses:
            self._touched |= wake_for(self._engine, self._channel, self._lease, addresses)

    def _close(self, rows: list[InboxRow], remarks: Mapping[Key, str] = NO_REMARKS) -> None:
        if not rows:
            return
        now = self._engine.now()
        with self._engine.store.transaction() as uow:
            self._lease.check(uow)
            if any(row.hints.sweep for row in rows):
                uow.connections.want_sweep(self._channel.id, now)
            plain = []
            for row in rows:
                reason = next((remarks[key] for key in keys_of(row) if key in remarks), None)
                if reason is None:
                    plain.append(row.id)
                else:
                    uow.inbox.finish([row.id], now, reason=reason)
            uow.inbox.finish(plain, now)
        self._closed += len(rows)

    def _fail(self, asked: Asked, failed: list[Look]) -> None:
        """Let deliveries without an answer come back later, or let the whole connection rest."""
        errors = [look.error for look in failed if look.error is not None]
        for error in errors:
            if isinstance(error, CredentialsError) or (
                isinstance(error, RateLimitedError) and not error.scope
            ):
                self._stopped = True
                rest(self._engine, self._channel, self._run, error)
                until = error.retry_at if isinstance(error, RateLimitedError) else None
                _postpone(self._engine, self._channel, until or self._engine.now() + RESTING, describe(error))
                return
        for look in failed:
            self._try_again(asked.take_asking(look.key), _reason(look))
        if errors and len(errors) == len(failed) and len(failed) >= 3:
            # Nobody answers: further reads would only wait for further timeouts.
            self._stopped = True
            _postpone(self._engine, self._channel, self._engine.now() + UNREACHABLE, _reason(failed[0]))

    def _try_again(self, rows: list[InboxRow], reason: str) -> None:
        now = self._engine.now()
        with self._engine.store.transaction() as uow:
            self._lease.check(uow)
            for row in rows:
                if row.attempts + 1 >= GIVE_UP_AFTER:
                    uow.inbox.finish([row.id], now, state=InboxState.FAILED, reason=reason)
                    uow.connections.want_sweep(self._channel.id, now)
                else:
                    uow.inbox.retry([row.id], now + _backoff(row.attempts), reason)


def _reason(look: Look) -> str:
    error = look.error
    return describe(error) if isinstance(error, ProviderError) else type(error).__name__


def _backoff(attempts: int) -> timedelta:
    return timedelta(seconds=min(900.0, 2.0 * 2**attempts) * random.uniform(0.5, 1.0))


def _channel_of(engine: Engine, connection_id: str) -> tuple[Tenant, Channel]:
    tenant = engine.tenants.get(workspace_name(connection_id))
    channel = tenant.channels.get(connection_name(connection_id)) if tenant else None
    if tenant is None or channel is None:
        raise ConfigurationError("the connection is not configured any more")
    return tenant, channel


def _close_all(engine: Engine, connection_id: str, reason: str) -> None:
    with engine.store.transaction() as uow:
        rows = uow.inbox.pending(connection_id, engine.now(), TOGETHER)
        uow.inbox.finish([r.id for r in rows], engine.now(), state=InboxState.FAILED, reason=reason)


def _postpone(engine: Engine, channel: Channel, until: datetime, reason: str) -> None:
    with engine.store.transaction() as uow:
        uow.inbox.postpone(channel.id, until, reason)
