"""A plan in the making: what the parts of reconciling know, and what they hand to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from sync_engine.core.capabilities import Capabilities, Creatable
from sync_engine.core.meeting import Meeting, Visibility
from sync_engine.core.plan import Entry, PlannedWrite, Question
from sync_engine.core.policy import Policy, Rules
from sync_engine.core.ports import Observation
from sync_engine.core.refs import Ref


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands in place of an observation: the record is proven to be gone."""


Shown: TypeAlias = Observation | Missing | None


@dataclass(slots=True)
class Draft:
    """Hold what reconciling one meeting is about, and collect its outcome.

    ``shown``, ``capabilities`` and ``policy`` are read only; ``meeting``, ``refs`` and the lists grow into
    the plan. Nothing outside the draft is ever changed in place.
    """

    meeting: Meeting
    refs: dict[str, Ref]
    shown: Mapping[str, Observation]
    capabilities: Mapping[str, Capabilities]
    policy: Policy
    now: datetime
    new_ref_id: Callable[[], str]
    writes: list[PlannedWrite] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    reconsider_at: datetime | None = None

    def rules(self, connection: str) -> Rules:
        """Give what an operator permits at one connection."""
        return self.policy.connections[connection]

    @property
    def has_started(self) -> bool:
        """Tell whether the meeting has begun."""
        return self.meeting.schedule is not None and self.meeting.schedule.start <= self.now

    def look_again(self, moment: datetime | None) -> None:
        """Remember the earliest moment at which time alone can change the outcome."""
        if moment and (self.reconsider_at is None or moment < self.reconsider_at):
            self.reconsider_at = moment

    def too_early_or_late(self, connection: str) -> str | None:
        """Say why a record cannot be created at a connection at this time of the meeting's life."""
        can, schedule = self.capabilities[connection], self.meeting.schedule
        if schedule is None:
            return "the meeting has no time yet"
        if can.create is Creatable.PAST and self.now < schedule.end + can.create_margin:
            return "cannot be created there before the meeting has ended"
        if can.create is Creatable.FUTURE and self.now >= schedule.start:
            return "cannot be created there once the meeting has started"
        return None

    def keeps_private(self, connection: str) -> bool:
        """Tell whether a connection that marked the meeting as private wants it kept to itself."""
        if self.meeting.visibility is not Visibility.PRIVATE or self.meeting.origin != connection:
            return False
        rules = self.policy.connections.get(connection)
        return not (rules and rules.share_private)
