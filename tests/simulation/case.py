"""Everything the checks look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.engine_says import Says
from tests.simulation.ledger import Ledger, Matter, Seen
from tests.simulation.stage import Stage

SETS_APART = frozenset({"start", "end", "title", "invite", "uninvite", "organizer", "zone"})


# A list that leaves a copy out at first contact makes it look new later.
LISTS_THAT_LIE = ("truncated", "empty", "malformed", "stale_index", "redacted")


@dataclass
class Case:
    """One world at rest: records by matter, deeds, and what the engine says."""

    stage: Stage
    ledger: Ledger
    says: Says
    groups: dict[int, list[Seen]]
    now: datetime

    def matters(self) -> Iterable[tuple[Matter, list[Seen]]]:
        """Give every matter with all its records, dead ones too."""
        for token, matter in self.ledger.matters.items():
            yield matter, self.groups.get(token, [])

    def is_waiting(self, seen: Seen) -> bool:
        """Tell whether a person is asked about this record or its meeting."""
        if seen.key in self.says.reviews or seen.key in self.says.quarantined:
            return True
        ref = self.says.refs.get(seen.key)
        if seen.id in self.says.decided_records:
            return True
        return ref is not None and ref.meeting_id in self.says.questioned

    def meeting_of(self, seen: Seen) -> str | None:
        """Give the engine's meeting of a record."""
        ref = self.says.refs.get(seen.key)
        return ref.meeting_id if ref else None

    def meetings_of(self, records: Iterable[Seen]) -> set[str]:
        """Give the engine's meetings of records."""
        return {m for s in records if (m := self.meeting_of(s)) is not None}

    def in_window(self, seen: Seen) -> bool:
        """Tell whether the engine looks at a record."""
        window = self.stage.engine.window(self.stage.tenant)
        return bool(seen.start and window.start < seen.start < window.end)

    def may_have_strays(self, matter: Matter) -> bool:
        """Tell whether a copy of this meeting may differ too much to be recognised.

        A calendar's copy that arrives after the meeting was moved or handed over shows what the calendar
        still says; a person's own copy may be edited before anybody tied it.
        """
        has_copies = self.stage.mood.calendars or matter.copies > 0
        if matter.copies and any(self.stage.stats[f"weather: {kind}"] for kind in LISTS_THAT_LIE):
            return True
        return has_copies and any(d.field in SETS_APART for d in self.ledger.of(matter.token))
