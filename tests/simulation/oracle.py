"""The oracle: what must hold of the world once everything has come to rest.

It looks at the records as people see them, knows what people did, and takes the engine's word only for
what the engine says it holds back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from tests.simulation import agreement, kept, presence, quietness
from tests.simulation.case import Case
from tests.simulation.engine_says import listen
from tests.simulation.ledger import Ledger, Seen, seen_of
from tests.simulation.stage import PROVIDERS, Stage


class Oracle:
    """Check one stage against what its people did."""

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self.stage, self.ledger = stage, ledger

    def check(self) -> list[str]:
        """Give everything that does not hold; empty if all is well."""
        says = listen(self.stage.engine)
        case = Case(self.stage, self.ledger, says, self._by_token(), self.stage.now())
        found: list[str] = []
        for check in (
            presence.nobody_is_unknown, presence.one_record_each, presence.nothing_is_missing,
            presence.no_deletion_without_a_person, presence.what_was_cancelled_stays_away,
            agreement.all_sides_agree, agreement.values_come_from_people, kept.every_edit_is_accounted_for,
            kept.the_recruiters_notes_are_untouched, quietness.nothing_waits_without_need,
            quietness.no_guest_was_mailed, quietness.the_log_tells_no_secret,
        ):  # fmt: skip
            found += [f"{check.__name__}: {text}" for text in check(case)]
        return found

    def check_the_others(self, connection: str, token: int) -> list[str]:
        """Check that all other sides agree, or (``token``) all other meetings."""
        says, groups = listen(self.stage.engine), self._by_token()
        if token:
            groups.pop(token, None)
        else:
            groups = {t: [s for s in g if s.connection != connection] for t, g in groups.items()}
        case = Case(self.stage, self.ledger, says, groups, self.stage.now())
        return [f"beside_one_in_trouble: {text}" for text in agreement.all_sides_agree(case)]

    def _by_token(self) -> dict[int, list[Seen]]:
        groups: defaultdict[int, list[Seen]] = defaultdict(list)
        for seen in self._everything():
            groups[seen.token if seen.token is not None else 0].append(seen)
        return dict(groups)

    def _everything(self) -> Iterator[Seen]:
        lightfield = self.stage.world.lightfield
        for name in PROVIDERS:
            for record in self.stage.sandbox[name].records():  # type: ignore[attr-defined]
                seen = seen_of(name, record)
                if name == "lightfield":
                    kept_record = lightfield.meetings.get(seen.id)
                    assert kept_record is not None
                    now = kept_record.now
                    seen = replace(seen, hidden=now.restricted or now.privacy != "FULL")
                yield seen

    def count(self) -> None:
        """Count what the history reached."""
        says, stats = listen(self.stage.engine), self.stage.stats
        for entry in says.journal:
            stats[f"journal: {entry.kind}"] += 1
            if entry.cause.startswith("found there just before"):
                stats["adoptions"] += 1
        stats["conflicts"] = stats["journal: conflict"] + stats["journal: asked"]
        stats["twins linked"] = sum(
            e.kind in {"linked", "twin_adopted"} and e.connection in {"attio", "lightfield"}
            for e in says.journal
        )
        for ref in (r for refs in says.of_meeting.values() for r in refs.values()):
            stats["holds"] += bool(ref.ref.held) or (
                ref.ref.hold is not None and ref.ref.hold.kind.value == "held"
            )
            stats["frozen"] += bool(ref.ref.frozen)
        stats["holds"] += 0
        stats["waiting for a person"] += len(says.parked) + len(says.reviews) + len(says.decisions)
        causes = [e.cause for e in says.journal if e.kind == "written"]
        stats["creates"] += causes.count("create done")
        stats["updates"] += causes.count("update done")
        stats["deletes"] += causes.count("delete done")
        stats["restores"] += causes.count("restore done")
        stats["replaces"] += causes.count("removed the record another one replaced")
