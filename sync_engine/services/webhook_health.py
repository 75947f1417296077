"""How well a connection's webhooks tell us of changes, and how often to sweep because of that.

A sweep is the truth; deliveries only make it needed less. What a sweep repairs although a delivery should
have told it was missed: the connection is then swept more often. While deliveries tell everything, less.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from sync_engine.core.capabilities import ChangeSignal
from sync_engine.services.engine import Channel, Tenant
from sync_engine.store.connections import ConnectionRow
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

# Seconds between two sweeps that no connection goes below or above, unless it was configured so.
SHORTEST = 30.0
LONGEST = 3600.0
AT_MOST_FASTER, AT_MOST_SLOWER = 8.0, 4.0
AFTER_A_MISS, WHILE_HEALTHY, WHILE_QUIET = 0.5, 1.5, 1.25
# A delivery this much older than the sweep before still tells what this sweep found: reads take a while.
STILL_TOLD = timedelta(minutes=10)


class Polled(Protocol):
    """Whatever says how long to wait between two sweeps."""

    @property
    def poll(self) -> timedelta:
        """Give the configured interval."""


def hears(channel: Channel) -> bool:
    """Tell whether a connection's deliveries should tell us of every change."""
    receiver = channel.adapter.receiver
    signal = channel.adapter.capabilities.change_signal
    return signal is ChangeSignal.WEBHOOK and receiver is not None and receiver.listens


def next_sweep_due(row: ConnectionRow | None, settings: Polled, now: datetime) -> datetime:
    """Tell when a connection is to be swept next; a moment that has passed means now."""
    if row is None or row.last_sweep_at is None:
        return now
    usual = settings.poll.total_seconds()
    seconds = row.poll_seconds if row.poll_seconds is not None else usual
    due = row.last_sweep_at + timedelta(seconds=seconds)
    if row.sweep_wanted_at is not None and row.sweep_wanted_at >= row.last_sweep_at:
        # Whatever asks for sweeps may do so every second.
        soon = row.last_sweep_at + timedelta(seconds=_shortest(usual))
        return min(due, max(soon, row.sweep_wanted_at))
    return due


def note_sweep(uow: UnitOfWork, tenant: Tenant, channel: Channel, repaired: Collection[str]) -> None:
    """Learn from a finished sweep how well the deliveries work; writes only what that changes.

    ``repaired``: external ids of known records the sweep found changed or gone.
    """
    row = uow.connections.get(channel.id)
    if row is None or row.last_complete_sweep_at is None or not hears(channel):
        return
    since = row.last_complete_sweep_at
    missed = len(_untold(uow, channel, repaired, since - STILL_TOLD)) if repaired else 0
    usual = tenant.poll.total_seconds()
    before = row.poll_seconds if row.poll_seconds is not None else usual
    seconds = _adapted(before, usual, missed, told=row.delivered_at is not None and row.delivered_at >= since)
    if missed:
        log.warning("webhooks_missed", connection_id=channel.id, missed=missed, poll_seconds=seconds)
    if missed or seconds != before:
        uow.connections.adapt_polling(channel.id, seconds, missed)


def _adapted(seconds: float, usual: float, missed: int, *, told: bool) -> float:
    if missed:
        return max(_shortest(usual), min(seconds, usual) * AFTER_A_MISS)
    if told:
        return min(_longest(usual), seconds * WHILE_HEALTHY)
    # Without news nothing is proven: only what was shortened goes back to what was configured.
    return min(usual, seconds * WHILE_QUIET) if seconds < usual else min(seconds, _longest(usual))


def _shortest(usual: float) -> float:
    return min(usual, max(SHORTEST, usual / AT_MOST_FASTER))


def _longest(usual: float) -> float:
    return max(usual, min(LONGEST, usual * AT_MOST_SLOWER))


def _untold(uow: UnitOfWork, channel: Channel, repaired: Collection[str], since: datetime) -> set[str]:
    """Give the repaired records no delivery since a moment spoke of, by itself or by its series."""
    told: set[str] = set()
    for hints in uow.inbox.told_since(channel.id, since):
        told.update(hints.records, hints.groups)
    rows = uow.refs.by_external_id(channel.id, sorted(repaired))
    return {
        external_id
        for external_id in repaired
        if external_id not in told and _series_of(rows.get(external_id)) not in told
    }


def _series_of(row: RefRow | None) -> str | None:
    series = row.observed.series if row is not None and row.observed is not None else None
    return series.key if series is not None else None
