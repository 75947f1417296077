"""What the tests of the Attio sandbox share: a world with a frozen clock, and a plain HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from sync_engine.sandbox.attio import AttioSandbox
from sync_engine.sandbox.world import World

START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@contextmanager
def opened() -> Iterator[tuple[AttioSandbox, httpx.Client]]:
    """Open a world; rate limits are off, because a frozen world is asked faster than a real one."""
    with World(seed=1, start=START) as world:
        world.attio.rate_limits = False
        headers = {"Authorization": f"Bearer {world.attio.token}"}
        with httpx.Client(base_url=world.attio.url, headers=headers, timeout=10) as client:
            yield world.attio, client


def meeting_body(**changes: Any) -> dict[str, Any]:
    """Give the body that creates a meeting; ``changes`` replace keys, None takes them out."""
    data: dict[str, Any] = {
        "title": "Demo",
        "description": "",
        "is_all_day": False,
        "start": {"datetime": "2026-12-01T15:00:00Z", "timezone": "Europe/Berlin"},
        "end": {"datetime": "2026-12-01T15:30:00Z", "timezone": "Europe/Berlin"},
        "participants": [
            {"email_address": "rep@acme.example", "is_organizer": True, "status": "accepted"},
            {"email_address": "guest@customer.example", "is_organizer": False, "status": "pending"},
        ],
    }
    data.update(changes)
    return {"data": {name: value for name, value in data.items() if value is not None}}


def create(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    """Create a meeting and give it."""
    answer = client.post("/v2/meetings", json=meeting_body(**changes))
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def id_of(meeting: dict[str, Any]) -> str:
    """Give a meeting's id."""
    return str(meeting["id"]["meeting_id"])
