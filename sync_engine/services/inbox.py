"""Take deliveries in: check them, keep what they hint at, and wake whoever reads it.

One thread writes, many deliveries in one transaction: threads that fight over a database's one writer
make the slowest answer a hundred times slower.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeAlias

import structlog

from sync_engine.core.ports import Hints
from sync_engine.errors import SyncError, UnmappableRecordError
from sync_engine.services.engine import Channel, Engine
from sync_engine.store.inbox import InboxRow, InboxState
from sync_engine.store.refs import workspace_name
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

Notify: TypeAlias = Callable[[str], None]
"""Hears of a stored delivery by its inbox id; may be slow or fail."""

TOGETHER = 256
MOST_WAITING = 20_000
# Providers give up after three seconds; a delivery stored after that is a repeated one then.
LONGEST_SECONDS = 2.5


class NotStoredError(SyncError):
    """Tell that a delivery could not be stored in time; the provider is asked to send it again."""


def read_delivery(
    engine: Engine,
    channel: Channel,
    body: bytes,
    headers: Mapping[str, str],
    request_id: str | None = None,
) -> InboxRow:
    """Turn an authentic delivery into what is kept of it: its id and its hints, never its body."""
    receiver = channel.adapter.receiver
    assert receiver is not None  # who has none cannot have authenticated it
    now = engine.now()
    row = InboxRow(
        id=engine.new_id(),
        connection_id=channel.id,
        delivery_id=receiver.delivery_id(body, headers),
        received_at=now,
        not_before=now,
        request_id=request_id,
    )
    try:
        row.hints = receiver.hints(body)
    except UnmappableRecordError as error:
        row.state, row.reason = InboxState.UNUSABLE, str(error)
    except Exception as error:
        # A body that meets a bug of ours must not be sent again and again; the sweep is the truth.
        log.error("delivery_not_read", connection_id=channel.id, error=type(error).__name__)
        row.state, row.reason = InboxState.UNUSABLE, f"cannot be read ({type(error).__name__})"
    else:
        if row.hints == Hints():
            row.state = InboxState.DONE
    if row.state is not InboxState.PENDING:
        row.finished_at = now
    return row


class InboxWriter:
    """Store deliveries from one thread and answer each once it is committed.

    ``notify`` is told, from another thread, of one new delivery per connection: who reads that one reads
    all that wait there.
    """

    def __init__(self, engine: Engine, notify: Notify | None = None) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[tuple[InboxRow, Future[bool]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="inbox-writer", daemon=True)
        self._notifier = _Notifier(notify) if notify is not None else None
        self._ensured: set[str] = set()

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()
        if self._notifier is not None:
            self._notifier.start()

    def close(self) -> None:
        """Store what still waits and end the threads."""
        self._queue.put(None)
        self._thread.join(timeout=30)
        if self._notifier is not None:
            self._notifier.close()

    async def store(self, row: InboxRow) -> bool:
        """Store one delivery; tells whether it is new. Raises NotStoredError."""
        if not self._thread.is_alive() or self._queue.qsize() > MOST_WAITING:
            raise NotStoredError("deliveries cannot be stored now")
        stored: Future[bool] = Future()
        self._queue.put((row, stored))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(stored), LONGEST_SECONDS)
        except TimeoutError:
            raise NotStoredError("the store did not answer in time") from None

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            is_last = False
            while len(batch) < TOGETHER and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    is_last = True
                    break
                batch.append(following)
            self._store(batch)
            if is_last:
                return

    def _store(self, batch: Sequence[tuple[InboxRow, Future[bool]]]) -> None:
        try:
            new = self._write([row for row, _ in batch])
        except Exception as error:
            self._ensured.clear()
            if len(batch) > 1:
                # One that cannot be stored must not take the others with it.
                half = len(batch) // 2
                self._store(batch[:half])
                self._store(batch[half:])
                return
            log.error("delivery_not_stored", error=type(error).__name__)
            self._settle(batch[0][1], NotStoredError("the delivery could not be stored"))
            return
        for row, stored in batch:
            self._settle(stored, row.id in new)
        if self._notifier is not None:
            for row, _ in batch:
                if row.id in new and row.state is InboxState.PENDING:
                    self._notifier.tell(row.connection_id, row.id)

    def _write(self, rows: Sequence[InboxRow]) -> frozenset[str]:
        with self._engine.store.transaction() as uow:
            missing = {workspace_name(row.connection_id) for row in rows} - self._ensured
            for workspace in missing:
                self._ensure(uow, workspace)
            new = uow.inbox.put(rows)
        self._ensured |= missing
        return new

    def _ensure(self, uow: UnitOfWork, workspace: str) -> None:
        """Make sure that the connections are known: a delivery may be the first we hear of one."""
        channels = self._engine.tenants[workspace].channels.values()
        uow.connections.ensure(workspace, [(c.name, c.provider) for c in channels], self._engine.now())

    @staticmethod
    def _settle(stored: Future[bool], outcome: bool | Exception) -> None:
        # Who waited may have given up.
        if not stored.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Exception):
            stored.set_exception(outcome)
        else:
            stored.set_result(outcome)


class _Notifier:
    """Tell of new deliveries from a thread of its own: a broker that is down takes seconds to say so.

    Only the newest delivery of a connection is told while others wait to be: it is the last to be read.
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._newest: dict[str, str] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="inbox-notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def tell(self, connection_id: str, inbox_id: str) -> None:
        with self._changed:
            self._newest[connection_id] = inbox_id
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._newest and not self._closing:
                    self._changed.wait()
                if not self._newest:
                    return
                connection_id = next(iter(self._newest))
                inbox_id = self._newest.pop(connection_id)
            try:
                self._notify(inbox_id)
            except Exception as error:
                # Nothing is lost: the tick finds deliveries that nobody worked on.
                log.warning("notify_failed", connection_id=connection_id, error=type(error).__name__)


def note_challenge(engine: Engine, channel: Channel) -> None:
    """Note that a provider's challenge was answered; it switches a webhook off that answers none."""
    with engine.store.transaction() as uow:
        uow.connections.challenged(channel.id, engine.now())
