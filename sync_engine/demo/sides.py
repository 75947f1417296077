"""What each side holds of each meeting, read from the sandboxes themselves, next to what the engine knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from sync_engine.core.meeting import Field, Meeting, Schedule, Status
from sync_engine.core.owned_block import split
from sync_engine.core.refs import HoldKind, RefState
from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.services.engine import Engine, Tenant
from sync_engine.store.refs import RefRow

Record: TypeAlias = Mapping[str, Any]

MOST_MEETINGS = 1000


class Mark(Enum):
    """How one side stands with one meeting."""

    AGREES = "agrees"
    PARTLY = "holds some values back"
    DIFFERS = "differs"
    LATER = "later"
    HELD = "held"
    REMOVED = "removed"
    NOT_WANTED = "not wanted"


@dataclass(frozen=True)
class Cell:
    """One meeting at one side. ``why``: what is held back, or until when, or what differs."""

    mark: Mark
    record: Record | None = None
    why: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True)
class Row:
    """One meeting over all sides."""

    meeting: Meeting
    cells: Mapping[str, Cell]

    @property
    def start(self) -> datetime | None:
        """Give the start, if one is known."""
        return self.meeting.schedule.start if self.meeting.schedule else None

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the meeting was called off."""
        return self.meeting.status is Status.CANCELLED


@dataclass(frozen=True)
class Board:
    """Every meeting over all sides. ``strays``: records that no meeting of the engine accounts for."""

    rows: Sequence[Row]
    strays: tuple[str, ...] = ()
    _by_record: Mapping[tuple[str, str], Row] = field(default_factory=dict)

    def row_of(self, connection: str, external_id: str) -> Row:
        """Give the meeting a record belongs to; raises KeyError if to none."""
        return self._by_record[connection, external_id]

    def disagreements(self) -> list[str]:
        """Name every place where a side does not show what it should."""
        found = [
            f"{row.meeting.title} at {name}: {', '.join(cell.why)}"
            for row in self.rows
            for name, cell in row.cells.items()
            if cell.mark is Mark.DIFFERS
        ]
        return [*found, *self.strays]

    def count(self, mark: Mark) -> int:
        """Count cells that stand alike."""
        return sum(cell.mark is mark for row in self.rows for cell in row.cells.values())


def live_records(sandbox: ProviderSandbox) -> dict[str, Record]:
    """Read the records a side holds now, by the id a connection knows them under."""
    rows: Iterable[Record] = sandbox.records()  # type: ignore[attr-defined]
    return {_external_id(row): row for row in rows if not row["deleted"]}


def _external_id(row: Record) -> str:
    occurrence = row.get("occurrence_id")
    return f"{row['id']}/{occurrence}" if occurrence else str(row["id"])


def board_of(engine: Engine, tenant: Tenant, sandboxes: Mapping[str, ProviderSandbox]) -> Board:
    """Put together what the engine's store says and what the sides hold."""
    shown = {name: live_records(sandbox) for name, sandbox in sandboxes.items()}
    with engine.store.reading() as uow:
        meetings = [row.meeting for row in uow.meetings.search(tenant.name, limit=MOST_MEETINGS)]
        refs = uow.refs.of_meetings([meeting.id for meeting in meetings])
    rows: list[Row] = []
    by_record: dict[tuple[str, str], Row] = {}
    for meeting in sorted(meetings, key=_in_time):
        own = {ref.ref.connection: ref for ref in refs.get(meeting.id, [])}
        row = Row(meeting, {name: _cell(meeting, own.get(name), shown[name]) for name in tenant.channels})
        rows.append(row)
        for name, ref in own.items():
            if ref.ref.external_id is not None:
                by_record[name, ref.ref.external_id] = row
    strays = tuple(
        f"{name} has a record that belongs to no meeting ({key})"
        for name, records in shown.items()
        for key in records
        if (name, key) not in by_record
    )
    return Board(rows, strays, by_record)


def _in_time(meeting: Meeting) -> tuple[str, str]:
    return (meeting.schedule.start.isoformat() if meeting.schedule else "", meeting.title)


def _cell(meeting: Meeting, row: RefRow | None, records: Mapping[str, Record]) -> Cell:
    if row is None:
        return Cell(Mark.NOT_WANTED)
    ref = row.ref
    record = records.get(ref.external_id or "")
    if ref.state is RefState.GONE or (meeting.status is Status.CANCELLED and record is None):
        return Cell(Mark.REMOVED) if record is None else Cell(Mark.DIFFERS, record, ("still there",))
    if record is None and ref.hold is not None:
        later = ref.hold.kind is not HoldKind.HELD
        return Cell(Mark.LATER if later else Mark.HELD, None, (ref.hold.reason,), ref.hold.until)
    if record is None:
        return Cell(Mark.DIFFERS, None, ("no record there",))
    wrong = differences(meeting, record, row)
    if wrong:
        return Cell(Mark.DIFFERS, record, tuple(wrong))
    if ref.held:
        return Cell(Mark.PARTLY, record, tuple(f"{name.value}: {h.reason}" for name, h in ref.held.items()))
    return Cell(Mark.AGREES, record)


def differences(meeting: Meeting, record: Record, row: RefRow) -> list[str]:
    """Name the fields a record shows otherwise than the meeting has them; what it does not show is none."""
    wrong: list[str] = []
    if meeting.status is Status.CANCELLED:
        wrong.append("still there")
    schedule = meeting.schedule
    if schedule is not None and not _same_time(schedule, record):
        wrong.append(Field.SCHEDULE.value)
    if record["title"] is not None and record["title"] != meeting.title:
        wrong.append(Field.TITLE.value)
    people = {person.email for person in meeting.people}
    seen = set(record["participants"])
    # A side that shows no title is about one person only, whom it cannot exchange.
    if seen != people and not (record["title"] is None and seen <= people):
        wrong.append(Field.PARTICIPANTS.value)
    text = record["description"]
    if text is not None and split(text).text.strip() != meeting.text(Field.DESCRIPTION).strip():
        wrong.append(Field.DESCRIPTION.value)
    return [name for name in wrong if name not in {held.value for held in row.ref.held}]


def _same_time(schedule: Schedule, record: Record) -> bool:
    return record["start"] == schedule.start and record["end"] in {None, schedule.end}
