"""What the engine itself lists: refs, what it holds, what waits for a person, and its journal."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sync_engine.core.meeting import Meeting
from sync_engine.services.engine import Engine
from sync_engine.store.journal import JournalEntry
from sync_engine.store.outbox import OutboxRow
from sync_engine.store.refs import RefRow, connection_name
from tests.simulation.stage import PROVIDERS


@dataclass
class Says:
    """One snapshot of everything the engine would tell an operator."""

    refs: dict[tuple[str, str], RefRow] = field(default_factory=dict)
    of_meeting: dict[str, dict[str, RefRow]] = field(default_factory=dict)
    meetings: dict[str, Meeting] = field(default_factory=dict)
    parked: list[OutboxRow] = field(default_factory=list)
    reviews: set[tuple[str, str]] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    quarantined: set[tuple[str, str]] = field(default_factory=set)
    journal: list[JournalEntry] = field(default_factory=list)

    @property
    def decided_records(self) -> set[str]:
        """Give the records an open decision is about."""
        return {
            str(i) for d in self.decisions for i in d.get("records", ()) if isinstance(d.get("records"), list)
        }

    @property
    def questioned(self) -> set[str]:
        """Give the meetings a person is asked about."""
        about = {str(d["meeting_id"]) for d in self.decisions if "meeting_id" in d}
        return self.asked | about | {row.meeting_id for row in self.parked}


def listen(engine: Engine) -> Says:
    """Ask the engine's store."""
    says = Says()
    with engine.store.reading() as uow:
        for name in PROVIDERS:
            for ref in uow.refs.of_connection(f"acme/{name}", limit=10_000):
                if ref.ref.external_id:
                    says.refs[(name, ref.ref.external_id)] = ref
        rows = uow.meetings.search("acme", limit=10_000)
        by_meeting: defaultdict[str, dict[str, RefRow]] = defaultdict(dict)
        for meeting_id, refs in uow.refs.of_meetings([row.id for row in rows]).items():
            for ref in refs:
                by_meeting[meeting_id][ref.ref.connection] = ref
        says.of_meeting = dict(by_meeting)
        says.meetings = {row.id: row.meeting for row in rows}
        says.parked = uow.outbox.parked("acme")
        says.reviews = {
            (connection_name(r.connection_id), r.external_id) for r in uow.reviews.open_of_workspace("acme")
        }
        says.asked = {c.meeting_id for c in uow.conflicts.open_of_workspace("acme")}
        says.decisions = [dict(d.evidence) for d in uow.decisions.open_of_workspace("acme")]
        says.quarantined = {
            (connection_name(q.connection_id), q.external_id) for q in uow.quarantine.of_workspace("acme")
        }
        says.journal = uow.journal.latest("acme", 100_000)
    return says
