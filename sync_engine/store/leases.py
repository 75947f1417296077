"""Leases: one worker at a time does a thing; a fence keeps one that slept from writing afterwards."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from sync_engine.core.ports import Now
from sync_engine.errors import LeaseLostError
from sync_engine.store.processes import is_dead
from sync_engine.store.repository import Repository
from sync_engine.store.tables import leases
from sync_engine.store.types import UtcDateTime

LEASE_TTL = timedelta(seconds=60)
"""How long a lease outlives a worker that crashed on another host."""

_NOBODY = ""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it is held: ``fence`` grows whenever the holder changes."""

    name: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as it stands in the database; an empty owner holds nothing."""

    name: str
    owner: str
    expires_at: datetime
    fence: int


class Leases(Repository):
    """Take, keep and give back leases.

    Times are the database's on PostgreSQL, where hosts with different clocks meet, and ours on SQLite.
    """

    def __init__(self, connection: Connection, now: Now) -> None:
        super().__init__(connection)
        self._now = now

    def acquire(self, name: str, owner: str, ttl: timedelta = LEASE_TTL) -> Lease | None:
        """Take a lease that is free, has expired or is ours already; None if another holds it.

        Commit it before starting the work.
        """
        now, until = self._clock(ttl)
        insert = postgresql.insert if self._dialect == "postgresql" else sqlite.insert
        statement = (
            insert(leases)
            .values(name=name, owner=owner, expires_at=until, fence=1)
            .on_conflict_do_update(
                index_elements=["name"],
                set_={"owner": owner, "expires_at": until, "fence": leases.c.fence + 1},
                where=sa.or_(leases.c.expires_at <= now, leases.c.owner == owner),
            )
            .returning(leases.c.fence)
        )
        fence = self._connection.execute(statement).scalar_one_or_none()
        return None if fence is None else Lease(name, owner, fence)

    def renew(self, lease: Lease, ttl: timedelta = LEASE_TTL) -> None:
        """Keep a lease for another ``ttl``.

        Raises:
            LeaseLostError: somebody else has taken it.
        """
        _, until = self._clock(ttl)
        statement = (
            sa.update(leases)
            .where(*_held(lease.name, lease.fence), leases.c.owner == lease.owner)
            .values(expires_at=until)
            .returning(leases.c.fence)
        )
        if self._connection.execute(statement).first() is None:
            raise LeaseLostError(f"lease {lease.name} was taken over")

    def release(self, lease: Lease) -> None:
        """Give a lease back; nothing happens if it was taken over."""
        self._free(*_held(lease.name, lease.fence))

    def assert_held(self, name: str, fence: int) -> None:
        """Make sure, in the transaction that writes, that nobody took the lease over.

        The row stays locked until the transaction ends, so that nobody can take it in between. A lease
        that expired and that nobody took is still held: nothing was written in our place.

        Raises:
            LeaseLostError: somebody has; roll back.
        """
        if self._connection.execute(_ASSERT_HELD, {"held_name": name, "held_fence": fence}).first() is None:
            raise LeaseLostError(f"lease {name} was taken over")

    def break_if_dead(self, name: str) -> bool:
        """Free the lease of a process of this host that has ended; tells whether it did."""
        there = self.get(name)
        if there is None or not there.owner or not is_dead(there.owner):
            return False
        return self._free(*_held(name, there.fence))

    def held(self, names: Collection[str]) -> frozenset[str]:
        """Tell which of these leases somebody holds now; a process of this host that ended holds none."""
        now, _ = self._clock(LEASE_TTL)
        query = sa.select(leases.c.name, leases.c.owner).where(
            leases.c.name.in_(sorted(names)), leases.c.owner != _NOBODY, leases.c.expires_at > now
        )
        return frozenset(name for name, owner in self._connection.execute(query) if not is_dead(owner))

    def free_all(self, prefix: str) -> int:
        """Free every lease whose name begins so, whoever holds it; gives how many were held."""
        statement = (
            sa.update(leases)
            .where(leases.c.name.startswith(prefix, autoescape=True), leases.c.owner != _NOBODY)
            .values(owner=_NOBODY, expires_at=_LONG_AGO)
            .returning(leases.c.fence)
        )
        return len(self._connection.execute(statement).all())

    def get(self, name: str) -> LeaseRow | None:
        """Load one lease as it stands."""
        row = self._connection.execute(sa.select(leases).where(leases.c.name == name)).mappings().first()
        return LeaseRow(**row) if row else None

    def _free(self, *conditions: sa.ColumnElement[bool]) -> bool:
        statement = (
            sa.update(leases)
            .where(*conditions)
            .values(owner=_NOBODY, expires_at=_LONG_AGO)
            .returning(leases.c.fence)
        )
        return self._connection.execute(statement).first() is not None

    def _clock(self, ttl: timedelta) -> tuple[Any, Any]:
        """Give now and the moment a lease taken now expires, as the database understands them."""
        if self._dialect == "postgresql":
            # Not now(): that is when the transaction began, and acquiring may have waited since.
            now = sa.func.clock_timestamp(type_=UtcDateTime)
            return now, now + sa.literal(ttl, sa.Interval)
        moment = self._now()
        return moment, moment + ttl


def _held(name: str, fence: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (leases.c.name == name, leases.c.fence == fence, leases.c.owner != _NOBODY)


# Built once: it runs in every transaction of a push.
_ASSERT_HELD = (
    sa.select(leases.c.fence)
    .where(
        leases.c.name == sa.bindparam("held_name"),
        leases.c.fence == sa.bindparam("held_fence"),
        leases.c.owner != _NOBODY,
    )
    .with_for_update(read=True)
)
