"""A lab whose sandboxes deliver, and the door they deliver to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.web.bench import CONFIGURED, Door, let_sandboxes_deliver, served
from tests.lab import Lab


@pytest.fixture
async def lab(tmp_path: Path, database_url: str) -> AsyncIterator[Lab]:
    """Give a world whose sandboxes deliver, with a running engine; once per database dialect."""
    async with Lab(tmp_path, database_url=database_url, extra=CONFIGURED) as lab:
        let_sandboxes_deliver(lab)
        yield lab


@pytest.fixture
def door(lab: Lab) -> Iterator[Door]:
    """Give the served web application."""
    with served(lab.engine) as door:
        yield door
