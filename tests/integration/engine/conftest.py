"""The lab as a fixture, on every database there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.lab import Lab


@pytest.fixture
async def lab(tmp_path: Path, database_url: str) -> AsyncIterator[Lab]:
    """Give a world of sandboxes with a running engine; once per database dialect."""
    async with Lab(tmp_path, database_url=database_url) as lab:
        yield lab


@pytest.fixture
async def patient_lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Give a lab whose CRMs copy calendars after 10 minutes, and an engine that waits 15 for that."""
    from datetime import timedelta

    async with Lab(tmp_path, twin_grace_minutes=15) as lab:
        lab.world.zoom.publishes_to_calendar = True
        lab.world.attio.calendar_sync_delay = timedelta(minutes=10)
        lab.world.lightfield.calendar_sync_delay = timedelta(minutes=10)
        yield lab
