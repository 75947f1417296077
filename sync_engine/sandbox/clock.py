"""The clock of a sandbox world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SandboxClock:
    """Tell the world's time; aware UTC.

    Running (default): real time plus an offset. Frozen (``start`` given): stands still until advanced.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("the world's time is aware: give the start a time zone")
        self._frozen = start.astimezone(UTC) if start else None
        self._offset = timedelta(0)

    @property
    def frozen(self) -> bool:
        """Tell whether the clock stands still until advanced."""
        return self._frozen is not None

    def now(self) -> datetime:
        """Give the time."""
        return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset

    __call__ = now

    def advance(self, span: timedelta) -> datetime:
        """Move the clock and give the new time."""
        if self._frozen is not None:
            self._frozen += span
        else:
            self._offset += span
        return self.now()

    def set(self, moment: datetime) -> None:
        """Put the clock to a moment; a running clock keeps running from there."""
        if self._frozen is not None:
            self._frozen = moment.astimezone(UTC)
        else:
            self._offset = moment - datetime.now(UTC)
