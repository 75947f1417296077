"""Fixtures: a world and an operator in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_engine.sandbox.world import World
from tests.integration.cli.operator import Operator


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=5) as served:
        yield served


@pytest.fixture
def operator(world: World, tmp_path: Path) -> Operator:
    return Operator(world, tmp_path)
