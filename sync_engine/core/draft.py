"""A plan in the making: what the parts of reconciling hand to one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from sync_engine.core.meeting import Meeting
from sync_engine.core.plan import Entry, PlannedWrite, Question
from sync_engine.core.ports import Observation
from sync_engine.core.refs import Ref


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands in place of an observation: the record is proven to be gone."""


Shown: TypeAlias = Observation | Missing | None


@dataclass(slots=True)
class Draft:
    """Collect the outcome while one meeting is reconciled; nothing else is ever changed in place."""

    meeting: Meeting
    refs: dict[str, Ref]
    writes: list[PlannedWrite] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    reconsider_at: datetime | None = None

    def look_again(self, moment: datetime | None) -> None:
        """Remember the earliest moment at which time alone can change the outcome."""
        if moment and (self.reconsider_at is None or moment < self.reconsider_at):
            self.reconsider_at = moment
