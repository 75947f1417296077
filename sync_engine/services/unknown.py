"""Find out what became of a write whose answer never came, before anything is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from sync_engine.core.capabilities import Idempotency
from sync_engine.core.ports import Observation, Operation, Written
from sync_engine.errors import RecordGoneError
from sync_engine.services import outcome

if TYPE_CHECKING:
    from sync_engine.services.push import Pusher
    from sync_engine.store.outbox import OutboxRow

SECOND_LOOK_SECONDS = 1.0
# Of a key whose lifetime nobody states, only a short while is taken for granted.
UNSTATED_KEY_LIFETIME = timedelta(minutes=10)


async def resolve(pusher: Pusher, row: OutboxRow) -> bool:
    """Settle a write of unknown outcome; tells whether it is to be decided and sent anew.

    A create with a key that still protects is sent again unchanged. Without one, the record is searched
    for and adopted. Updates and deletions are settled by what the record shows now.
    """
    if row.operation is Operation.CREATE:
        return await _resolve_create(pusher, row)
    if row.operation is Operation.DELETE:
        return await _resolve_delete(pusher, row)
    await _look(pusher, row)
    return False


async def _resolve_create(pusher: Pusher, row: OutboxRow) -> bool:
    assert row.sealed is not None
    if _is_protected(pusher, row):
        await pusher.send(row, row.sealed)
        return False
    for look in range(2):
        if look:
            # A list may lag a moment behind a create.
            await pusher.engine.sleep(SECOND_LOOK_SECONDS)
        found = await pusher.channel.adapter.find(row.sealed)
        if _take(pusher, row, found):
            return False
    with pusher.engine.store.transaction() as uow:
        pusher.lease.check(uow)
        uow.outbox.fail([row.id], "it had not taken effect", pusher.engine.now(), unseal=True)
    return True


def _is_protected(pusher: Pusher, row: OutboxRow) -> bool:
    can, sealed = pusher.channel.adapter.capabilities, row.sealed
    if (
        can.idempotency is not Idempotency.KEY
        or sealed is None
        or sealed.key is None
        or row.sealed_at is None
    ):
        return False
    lifetime = can.key_lifetime or UNSTATED_KEY_LIFETIME
    # A margin, because the provider's clock decides.
    return pusher.engine.now() - row.sealed_at < lifetime * 0.9


def _take(pusher: Pusher, row: OutboxRow, found: Sequence[Observation]) -> bool:
    row.attempts = max(row.attempts, 1)
    return outcome.adopt(pusher.engine, pusher.tenant, pusher.channel, pusher.lease, row, found, pusher.run)


async def _resolve_delete(pusher: Pusher, row: OutboxRow) -> bool:
    absence = await pusher.channel.adapter.confirm_absence(row.external_id or "")
    if absence.observation is None:
        pusher.finish(row, Written(row.external_id or ""))
        return False
    with pusher.engine.store.transaction() as uow:
        pusher.lease.check(uow)
        uow.outbox.fail([row.id], "it had not taken effect", pusher.engine.now(), unseal=True)
    return True


async def _look(pusher: Pusher, row: OutboxRow) -> None:
    """Read the record: if it shows what was sent, both sides agree; if not, reconciling decides again."""
    try:
        shown = await pusher.channel.adapter.read(row.external_id or "")
    except RecordGoneError:
        with pusher.engine.store.transaction() as uow:
            pusher.lease.check(uow)
            outcome.gone(uow, pusher.engine, pusher.channel, row)
        return
    with pusher.engine.store.transaction() as uow:
        pusher.lease.check(uow)
        outcome.stale(uow, pusher.engine, row, shown)
