"""Fixtures: a world whose clock stands still until a test lets time pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sync_engine.sandbox.world import World
from tests.integration.services.bench import MONDAY


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=11, start=MONDAY) as served:
        yield served
