"""Marks: notes in the database that end by themselves (this task is queued, that connection rests).

They only save work. A mark that was lost means one task too many, and every task may run twice; a mark
whose task was lost ends after its time, and the tick queues the task again. They are leases nobody
renews, so on PostgreSQL it is the database's clock that ends them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta

from sync_engine.store.leases import Lease
from sync_engine.store.unit_of_work import UnitOfWork

_PREFIX = "mark:"


def put(uow: UnitOfWork, name: str, lasts: timedelta) -> bool:
    """Put a mark; False if it is there already."""
    # Every mark has an owner of its own: a lease gives itself to its owner again.
    return uow.leases.acquire(_PREFIX + name, secrets.token_hex(8), lasts) is not None


def take_away(uow: UnitOfWork, name: str) -> None:
    """Take a mark away before its time."""
    there = uow.leases.get(_PREFIX + name)
    if there is not None and there.owner:
        uow.leases.release(Lease(there.name, there.owner, there.fence))


def take_all_away(uow: UnitOfWork, beginning: str) -> int:
    """Take away every mark whose name begins so; gives how many stood."""
    return uow.leases.free_all(_PREFIX + beginning)


def standing(uow: UnitOfWork, names: Collection[str]) -> frozenset[str]:
    """Tell which of these marks stand."""
    held = uow.leases.held([_PREFIX + name for name in names])
    return frozenset(name.removeprefix(_PREFIX) for name in held)
