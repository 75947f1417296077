"""The slow rotation: what a listing hides is read by id from time to time."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sync_engine.core.ports import Observation
from sync_engine.services.engine import Channel
from sync_engine.store.refs import RefRow

DETAIL_ROTATION = timedelta(hours=24)
# What people still change is what takes place soon.
NEAR_ROTATION = timedelta(hours=6)
NEAR_PAST, NEAR_FUTURE = timedelta(days=1), timedelta(days=7)


def take_over(row: RefRow, seen: Observation, channel: Channel, now: datetime) -> None:
    """Take over what a record shows, and remember when to read by id what its listing hides.

    What was seen of it only in part stays in line to be read.
    """
    row.observe(seen)
    row.needs_read = not seen.complete
    row.detail_due_at = _next_detail(now, channel, row)


def _next_detail(now: datetime, channel: Channel, row: RefRow) -> datetime | None:
    if channel.adapter.capabilities.complete_list:
        return None
    # Spread over half a rotation, so that a first load does not come due all at once.
    spread = int.from_bytes(hashlib.blake2b(row.id.encode(), digest_size=2).digest(), "big") / 65536
    near = row.starts_at is not None and -NEAR_PAST <= row.starts_at - now <= NEAR_FUTURE
    return now + (NEAR_ROTATION if near else DETAIL_ROTATION) * (0.75 + 0.5 * spread)
