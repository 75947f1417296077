"""A full inbox: ten thousand deliveries at once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
from datetime import timedelta

from sync_engine.services.inbox import InboxWriter, read_delivery
from sync_engine.services.ingest import READS, drain_inbox
from tests.integration.web.bench import SECRETS, channel_of, inbox, taken
from tests.lab import MONDAY, Lab

MEETINGS, DELIVERIES = 100, 10_000
AT_ONCE = 500


def _told(lab: Lab, number: str, request: int) -> tuple[bytes, dict[str, str]]:
    moment = str(int(lab.world.clock.now().timestamp()))
    object_ = {"id": int(number), "host_id": "someone"}
    body = json.dumps({"event": "meeting.updated", "payload": {"object": object_}}).encode()
    message = b"v0:" + moment.encode() + b":" + body
    signature = "v0=" + hmac.new(SECRETS["zoom"].encode(), message, hashlib.sha256).hexdigest()
    headers = {
        "x-zm-signature": signature,
        "x-zm-request-timestamp": moment,
        "x-zm-request-id": f"request-{request}",
    }
    return body, headers


async def test_ten_thousand_deliveries_at_once_are_stored_and_drained_by_age(lab: Lab) -> None:
    numbers = [lab.book(f"Meeting {n}", days=1 + n % 30, minutes=15 + n % 40) for n in range(MEETINGS)]
    await lab.settle()
    taken(lab)
    order = random.Random(3).sample(numbers, len(numbers))
    for number in order:
        lab.world.zoom.people.move(number, MONDAY + timedelta(days=40, hours=order.index(number) % 9))
    taken(lab)
    lab.forget_requests()
    channel, writer = channel_of(lab, "zoom"), InboxWriter(lab.engine)
    rows = [
        read_delivery(lab.engine, channel, *_told(lab, order[index * MEETINGS // DELIVERIES], index))
        for index in range(DELIVERIES)
    ]

    writer.start()
    try:
        stored: list[bool] = []
        for first in range(0, DELIVERIES, AT_ONCE):
            stored += await asyncio.gather(*(writer.store(row) for row in rows[first : first + AT_ONCE]))
    finally:
        writer.close()
    arrived = inbox(lab.engine)
    touched: frozenset[str] = frozenset()
    for _ in range(20):
        touched |= await drain_inbox(lab.engine, channel.id)
        if not inbox(lab.engine):
            break

    read = [path.rpartition("/")[2].partition("?")[0] for _, path, _ in lab.world.zoom.log]
    assert all(stored)
    assert len(arrived) == DELIVERIES
    assert sorted(read) == sorted(order)
    assert set(read[:READS]) == set(order[:READS])
    assert len(touched) == MEETINGS
    assert inbox(lab.engine) == []
