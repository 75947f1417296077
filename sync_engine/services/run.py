"""A run: one invocation's counts, for the summary and the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, str, int], None]
"""Hears of progress: phase (``pull``, ``reconcile``, ``push``), connection or empty, and how many more.

The phase ``wait`` tells that another run works on a connection and is waited for.
"""


def silent(_phase: str, _connection: str, _number: int) -> None:
    """Tell nobody."""
    return


def _never() -> bool:
    return False


@dataclass
class Run:
    """Count what one run did. ``failures``: what went wrong as a whole, by connection.

    ``patience_seconds``: how long to wait for another run that works on a connection; 0 leaves the
    connection to it. ``is_over``: tells a push to begin no further write; what is left comes next.
    ``busy``: connections that were left to another run.
    """

    id: str
    progress: Progress = silent
    observed: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    conflicts: int = 0
    cycles: int = 0
    patience_seconds: float = 0.0
    is_over: Callable[[], bool] = _never
    busy: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    unreachable: set[str] = field(default_factory=set)

    def fail(self, connection: str, reason: str, *, unreachable: bool = False) -> None:
        """Note that a connection could not be worked on."""
        self.failures[connection] = reason
        if unreachable:
            self.unreachable.add(connection)
