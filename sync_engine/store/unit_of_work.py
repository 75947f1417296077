"""The unit of work: one transaction and the repositories that live in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy.engine import Connection, Engine

from sync_engine.core.ports import Now
from sync_engine.store.conflicts import Conflicts
from sync_engine.store.connections import Connections
from sync_engine.store.decisions import Decisions
from sync_engine.store.engine import READ_ONLY, open_engine
from sync_engine.store.inbox import Inbox
from sync_engine.store.journal import Journal
from sync_engine.store.keyring import Keyring
from sync_engine.store.leases import Leases
from sync_engine.store.meetings import Meetings
from sync_engine.store.outbox import Outbox
from sync_engine.store.quarantine import Quarantine
from sync_engine.store.quotas import Quotas
from sync_engine.store.refs import Refs
from sync_engine.store.reviews import Reviews
from sync_engine.store.runs import Runs


def _system_time() -> datetime:
    return datetime.now(UTC)


class UnitOfWork:
    """Give the repositories of one transaction; each is made when it is first asked for."""

    def __init__(self, connection: Connection, now: Now, keyring: Keyring) -> None:
        self.connection = connection
        self._now = now
        self._keyring = keyring

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo only what happens inside if it raises; one failing record keeps its page."""
        with self.connection.begin_nested():
            yield

    @cached_property
    def connections(self) -> Connections:
        """Give workspaces, connections and their secrets."""
        return Connections(self.connection, self._keyring)

    @cached_property
    def meetings(self) -> Meetings:
        """Give canonical meetings."""
        return Meetings(self.connection)

    @cached_property
    def refs(self) -> Refs:
        """Give external refs."""
        return Refs(self.connection)

    @cached_property
    def outbox(self) -> Outbox:
        """Give intended writes."""
        return Outbox(self.connection)

    @cached_property
    def inbox(self) -> Inbox:
        """Give received deliveries."""
        return Inbox(self.connection)

    @cached_property
    def journal(self) -> Journal:
        """Give the journal."""
        return Journal(self.connection)

    @cached_property
    def conflicts(self) -> Conflicts:
        """Give conflicts that wait for a person."""
        return Conflicts(self.connection)

    @cached_property
    def reviews(self) -> Reviews:
        """Give matches that wait for a person."""
        return Reviews(self.connection)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Give records that cannot be read."""
        return Quarantine(self.connection)

    @cached_property
    def decisions(self) -> Decisions:
        """Give guarded writes that wait for a person."""
        return Decisions(self.connection)

    @cached_property
    def runs(self) -> Runs:
        """Give runs."""
        return Runs(self.connection)

    @cached_property
    def quotas(self) -> Quotas:
        """Give daily quotas."""
        return Quotas(self.connection)

    @cached_property
    def leases(self) -> Leases:
        """Give leases."""
        return Leases(self.connection, self._now)


class Store:
    """Open transactions on one database; safe to share between threads.

    ``now`` tells the time where the database has no clock of its own to trust (leases on SQLite).
    ``keyring`` encrypts the secrets that are kept.
    """

    def __init__(self, engine: Engine, now: Now = _system_time, keyring: Keyring | None = None) -> None:
        self.engine = engine
        self.keyring = keyring or Keyring()
        self._now = now
        self._reading = engine.execution_options(**_reading_options(engine))

    @classmethod
    def open(cls, url: str, now: Now = _system_time, keyring: Keyring | None = None) -> Store:
        """Open a store by database URL; its tables come from ``schema.upgrade``."""
        return cls(open_engine(url), now, keyring)

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        """Do everything inside or nothing; on SQLite one writer at a time, others wait up to 30 s."""
        with self.engine.begin() as connection:
            yield UnitOfWork(connection, self._now, self.keyring)

    @contextmanager
    def reading(self) -> Iterator[UnitOfWork]:
        """Read one consistent state without holding up writers; a write inside raises."""
        with self._reading.begin() as connection:
            yield UnitOfWork(connection, self._now, self.keyring)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _reading_options(engine: Engine) -> dict[str, object]:
    if engine.dialect.name == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {READ_ONLY: True}
