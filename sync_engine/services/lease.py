"""Hold a lease while working, renew it in the background, and notice when it was lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from sync_engine.errors import LeaseLostError, UnavailableError
from sync_engine.services.engine import Engine
from sync_engine.store.leases import Lease
from sync_engine.store.processes import new_owner
from sync_engine.store.unit_of_work import Store, UnitOfWork

log = structlog.get_logger()

RENEW_SECONDS = 15.0
WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 90.0


@dataclass
class HeldLease:
    """A lease in use; ``check`` belongs into every transaction that writes under it."""

    lease: Lease
    lost: bool = field(default=False)

    def check(self, uow: UnitOfWork) -> None:
        """Refuse to write once another run took over. Raises LeaseLostError."""
        if self.lost:
            raise LeaseLostError(f"lease {self.lease.name} was lost")
        uow.leases.assert_held(self.lease.name, self.lease.fence)


def _take(store: Store, name: str) -> Lease | None:
    with store.transaction() as uow:
        uow.leases.break_if_dead(name)
        # Each hold is a holder of its own, so that two tasks of one process exclude each other too.
        return uow.leases.acquire(name, new_owner())


def _silent() -> None:
    return None


@asynccontextmanager
async def hold(
    engine: Engine,
    name: str,
    *,
    patience_seconds: float = 0.0,
    on_wait: Callable[[], None] = _silent,
) -> AsyncIterator[HeldLease | None]:
    """Take a lease for the time of the block; gives None when another run holds it.

    A run that died on this host is recognised and its lease is taken over at once; elsewhere it expires
    within 60 seconds. ``patience_seconds``: how long to wait for it; ``on_wait`` hears when that begins.
    """
    lease = _take(engine.store, name)
    if lease is None and patience_seconds > 0:
        on_wait()
        for _ in range(round(patience_seconds / WAIT_SECONDS)):
            await asyncio.sleep(WAIT_SECONDS)
            lease = _take(engine.store, name)
            if lease is not None:
                break
    if lease is None:
        yield None
        return
    async with _kept(engine.store, lease) as held:
        yield held


@asynccontextmanager
async def hold_waiting(store: Store, name: str) -> AsyncIterator[HeldLease]:
    """Take a lease, waiting while another holds it. Raises UnavailableError after 90 seconds."""
    for _ in range(round(LONGEST_WAIT_SECONDS / WAIT_SECONDS)):
        lease = _take(store, name)
        if lease is not None:
            async with _kept(store, lease) as held:
                yield held
            return
        await asyncio.sleep(WAIT_SECONDS)
    raise UnavailableError(f"another process holds {name} for too long")


@asynccontextmanager
async def _kept(store: Store, lease: Lease) -> AsyncIterator[HeldLease]:
    held = HeldLease(lease)
    renewing = asyncio.create_task(_renew(store, held))
    try:
        yield held
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        with store.transaction() as uow:
            uow.leases.release(lease)


async def _renew(store: Store, held: HeldLease) -> None:
    while not held.lost:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            with store.transaction() as uow:
                uow.leases.renew(held.lease)
        except LeaseLostError:
            held.lost = True
        except Exception as error:
            # The database is away for a moment: whoever writes next will see whether the lease still holds.
            log.warning("lease_not_renewed", lease=held.lease.name, error=type(error).__name__)
