"""A world of connections in memory, described by capabilities alone: what the planner's laws run against.

No adapter and no HTTP: a connection is its capabilities and its records. What it stores of a write is the
normalised value, as a provider would; what people change is not limited by what the API can do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sync_engine.core.capabilities import Capabilities, Creatable
from sync_engine.core.fields import digest
from sync_engine.core.meeting import Field, Meeting, Schedule, Value, participants
from sync_engine.core.plan import Entry, Plan, PlannedWrite, Question
from sync_engine.core.policy import Policy
from sync_engine.core.ports import Observation, Operation
from sync_engine.core.reconcile import Missing, Shown, reconcile
from sync_engine.core.refs import Agreed, Origin, PastWrite, Ref, RefState

START = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def schedule(hours: float = 0, minutes: int = 30, zone: str | None = "Europe/Berlin") -> Schedule:
    """Build a schedule some hours after the usual start."""
    return Schedule.timed(START + timedelta(hours=hours), timedelta(minutes=minutes), zone)


def full_record(**values: Value) -> dict[Field, Value]:
    """Build a record with every field set."""
    record: dict[Field, Value] = {
        Field.TITLE: "Kick-off",
        Field.DESCRIPTION: "one\ntwo\nthree\nfour",
        Field.SCHEDULE: schedule(),
        Field.LOCATION: "Room 1",
        Field.JOIN_URL: "https://zoom.us/j/97763643886",
        Field.ORGANIZER: "host@acme.example",
        Field.PARTICIPANTS: participants(["ann@acme.example", "bob@example.org"]),
        Field.KIND: "virtual",
    }
    record.update({Field(name): value for name, value in values.items()})
    return record


@dataclass
class Connection:
    """One connection: what it can do, and the one record it may have of the meeting."""

    name: str
    capabilities: Capabilities
    record: dict[Field, Value] | None = None
    redacted: frozenset[Field] = frozenset()
    writes: list[PlannedWrite] = field(default_factory=list)

    def observe(self, external_id: str, now: datetime) -> Observation:
        """Show the record as the connection would."""
        assert self.record is not None
        shown = {
            name: value
            for name, value in self.record.items()
            if (can := self.capabilities.of(name)) and can.readable and name not in self.redacted
        }
        return Observation(external_id, shown, now)

    def normalise(self, values: Mapping[Field, Value]) -> dict[Field, Value]:
        """Store values as this side would."""
        return {n: can.normalise(v) for n, v in values.items() if (can := self.capabilities.of(n))}


def _empty(connection: Connection) -> dict[Field, Value]:
    """Give what a record shows where nothing was written: texts and lists are empty, not missing."""
    return {
        name: () if name is Field.PARTICIPANTS else ""
        for name in connection.capabilities.fields
        if name is not Field.SCHEDULE
    }


class ModelWorld:
    """One meeting over several model connections, reconciled and written to until nothing is left."""

    def __init__(self, connections: Iterable[Connection], policy: Policy, *, born_at: str) -> None:
        self.connections = {c.name: c for c in connections}
        self.policy = policy
        self.now = NOW
        self.meeting = Meeting("m1", "acme", 0, {}, {}, origin=born_at)
        self.refs: dict[str, Ref] = {}
        self.entries: list[Entry] = []
        self.questions: list[Question] = []
        self._ids = itertools.count(1)
        self.proven_gone: set[str] = set()
        self.link(born_at)

    def link(self, name: str) -> None:
        """Tie the record a connection already has to the meeting."""
        self.refs[name] = Ref(
            f"r{next(self._ids)}", name, RefState.LINKED, Origin.FOUND, self.now, f"x{next(self._ids)}"
        )

    def plan(self, order: Iterable[str] | None = None) -> Plan:
        """Reconcile once, without effects."""
        names = list(order or self.connections)
        shown: dict[str, Shown] = {}
        for name in names:
            ref = self.refs.get(name)
            record = self.connections[name].record
            if ref is None or ref.external_id is None:
                continue
            if record is not None:
                shown[name] = self.connections[name].observe(ref.external_id, self.now)
            elif name in self.proven_gone:
                shown[name] = Missing()
        return reconcile(
            self.meeting,
            {n: self.refs[n] for n in names if n in self.refs},
            shown,
            {n: self.connections[n].capabilities for n in names},
            self.policy,
            self.now,
            new_ref_id=lambda: f"r{next(self._ids)}",
        )

    def apply(self, plan: Plan) -> None:
        """Carry a plan out, as the push would."""
        self.meeting, self.refs = plan.meeting, dict(plan.refs)
        self.entries += plan.entries
        self.questions += plan.questions
        for write in plan.writes:
            self._write(write)

    def settle(self, rounds: int = 6) -> int:
        """Reconcile and write until a round writes nothing; give the number of rounds that wrote."""
        for done in range(rounds):
            plan = self.plan()
            self.apply(plan)
            if not plan.writes:
                return done
        raise AssertionError(f"still writing after {rounds} rounds")

    def _write(self, write: PlannedWrite) -> None:
        connection, ref = self.connections[write.connection], self.refs[write.connection]
        connection.writes.append(write)
        if write.operation is Operation.DELETE:
            connection.record = None
            self.refs[write.connection] = replace(ref, state=RefState.GONE)
            return
        stored = connection.normalise(write.values)
        if write.operation is Operation.UPDATE:
            assert connection.record is not None
            connection.record.update({n: stored[n] for n in write.changed})
        else:
            connection.record = {**_empty(connection), **stored}
            ref = replace(
                ref, external_id=f"x{next(self._ids)}", origin=Origin.CREATED, state=RefState.LINKED
            )
            if connection.capabilities.create is Creatable.NEVER:
                raise AssertionError("a create where none is possible")
        self._agree(ref, connection, write)

    def _agree(self, ref: Ref, connection: Connection, write: PlannedWrite) -> None:
        assert ref.external_id is not None
        shown = connection.observe(ref.external_id, self.now).values
        agreement = dict(ref.agreement)
        for name in write.changed if write.operation is Operation.UPDATE else write.values:
            agreement[name] = Agreed(write.values[name], shown.get(name))
        past = tuple(PastWrite(n, digest(write.values[n]), self.now) for n in write.changed)
        self.refs[write.connection] = replace(
            ref, agreement=agreement, recent_writes=ref.recent_writes + past
        )
