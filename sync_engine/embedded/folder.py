"""The folder in which the embedded engine keeps what is its own; one engine at a time uses it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync_engine.errors import ConfigurationError

NAME = ".sync-engine"


def state_folder(*candidates: Path) -> Path:
    """Give the folder, beside the first of these places that can be written to; made if missing."""
    for place in candidates:
        folder = place.absolute() / NAME
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    # Nothing in it is needed again: what counts is in the database.
    return Path(tempfile.mkdtemp(prefix="sync-engine-"))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep a second engine out of the folder; the lock ends with the process, however it ends.

    Raises:
        ConfigurationError: another engine is running there.
    """
    with (folder / "up.lock").open("a+", encoding="ascii") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise ConfigurationError(
                f"another sync-engine up is running in {folder.parent}; end it first"
            ) from error
        yield


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
