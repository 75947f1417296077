"""Canonical meetings: load, keep, find the ones with work to do, search."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from sync_engine.core.links import conference_keys
from sync_engine.core.meeting import Meeting, Series, Status, Visibility
from sync_engine.errors import LeaseLostError
from sync_engine.store import codec
from sync_engine.store.repository import Repository, chunks
from sync_engine.store.tables import (
    OPEN_STATES,
    connections,
    external_refs,
    in_states,
    meetings,
    outbox,
    ref_links,
)
from sync_engine.store.types import UtcDateTime, storable_text

_STATUSES = {status.value: status for status in Status}
_VISIBILITIES = {visibility.value: visibility for visibility in Visibility}

_Span: TypeAlias = tuple[datetime, datetime]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLOT = timedelta(minutes=15)
_FEW_SPANS = 8


@dataclass(slots=True)
class MeetingRow:
    """One stored meeting: the canonical record, and when reconciling must look at it.

    ``dirty``: now. ``due_at``: at that moment (a hold ends, a grace time is over). ``read_revision``: the
    revision that was loaded; None for a new meeting, or to overwrite whatever is there.
    """

    meeting: Meeting
    dirty: bool = True
    due_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    read_revision: int | None = None

    @property
    def id(self) -> str:
        """Give the meeting's id."""
        return self.meeting.id


class MeetingCount(NamedTuple):
    """How many meetings of a workspace stand alike."""

    status: Status
    meetings: int
    dirty: int


def meeting_to_row(row: MeetingRow, now: datetime) -> dict[str, Any]:
    """Encode a meeting as the columns of its table."""
    meeting = row.meeting
    schedule = meeting.schedule
    return {
        "id": meeting.id,
        "workspace": meeting.workspace,
        "revision": meeting.revision,
        "status": meeting.status.value,
        "visibility": meeting.visibility.value,
        "origin": meeting.origin,
        "cancelled_by": meeting.cancelled_by,
        "series_key": meeting.series.key if meeting.series else None,
        "original_start": meeting.series.original_start if meeting.series else None,
        "title": storable_text(meeting.title.casefold()),
        "starts_at": schedule.start if schedule else None,
        "ends_at": schedule.end if schedule else None,
        "start_slot": _slot(schedule.start) if schedule else None,
        "dirty": row.dirty,
        "due_at": row.due_at,
        "created_at": row.created_at or now,
        "updated_at": now,
        "field_values": codec.values_to_json(meeting.values),
        "provenance": codec.provenance_to_json(meeting.provenance),
    }


def meeting_from_row(data: sa.RowMapping) -> MeetingRow:
    """Decode a meeting from the columns of its table."""
    meeting = Meeting(
        id=data["id"],
        workspace=data["workspace"],
        revision=data["revision"],
        values=codec.values_from_json(data["field_values"]),
        provenance=codec.provenance_from_json(data["provenance"]),
        status=_STATUSES[data["status"]],
        visibility=_VISIBILITIES[data["visibility"]],
        series=Series(data["series_key"], data["original_start"]) if data["series_key"] else None,
        origin=data["origin"],
        cancelled_by=data["cancelled_by"],
    )
    return MeetingRow(
        meeting, data["dirty"], data["due_at"], data["created_at"], data["updated_at"], data["revision"]
    )


class Meetings(Repository):
    """Find and keep canonical meetings."""

    def load(self, meeting_ids: Collection[str], *, lock: bool = False) -> dict[str, MeetingRow]:
        """Load meetings by id; ``lock`` keeps other writers away until the transaction ends."""
        found: dict[str, MeetingRow] = {}
        for part in chunks(sorted(set(meeting_ids))):
            query = sa.select(meetings).where(meetings.c.id.in_(part)).order_by(meetings.c.id)
            # SQLite knows no row locks: there a writing transaction already is alone.
            for row in self._rows(query.with_for_update() if lock else query):
                found[row.id] = row
        return found

    def save(self, rows: Sequence[MeetingRow], now: datetime) -> None:
        """Write whole meetings, new or changed.

        Raises:
            LeaseLostError: another run changed a meeting since it was loaded; nothing is written.
        """
        self._refuse_stale({row.id: row.read_revision for row in rows if row.read_revision is not None})
        self._upsert(meetings, [meeting_to_row(row, now) for row in rows], kept=("created_at",))
        for row in rows:
            row.read_revision = row.meeting.revision

    def _refuse_stale(self, expected: Mapping[str, int]) -> None:
        for part in chunks(sorted(expected)):
            query = sa.select(meetings.c.id, meetings.c.revision).where(meetings.c.id.in_(part))
            current = self._connection.execute(query.order_by(meetings.c.id).with_for_update())
            stale = [meeting_id for meeting_id, revision in current if revision != expected[meeting_id]]
            if stale:
                raise LeaseLostError(f"{len(stale)} meetings changed since they were read, first {stale[0]}")

    def take_dirty(self, workspace: str, limit: int, now: datetime) -> list[MeetingRow]:
        """Load and lock meetings that reconciling must look at: the changed ones first, then the due.

        They stay in line until ``save`` or ``settle``; rows that another worker has taken are passed over.
        """
        mine = meetings.c.workspace == workspace
        changed = sa.select(meetings).where(mine, meetings.c.dirty == sa.true()).order_by(meetings.c.id)
        taken = list(self._rows(changed.limit(limit).with_for_update(skip_locked=True)))
        if len(taken) == limit:
            return taken
        due = (
            sa.select(meetings)
            .where(mine, meetings.c.due_at.is_not(sa.null()), meetings.c.due_at <= now)
            .order_by(meetings.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        known = {row.id for row in taken}
        taken.extend(row for row in self._rows(due) if row.id not in known)
        return taken[:limit]

    def next_due(self, workspace: str) -> datetime | None:
        """Tell when the first waiting meeting comes due."""
        query = sa.select(sa.func.min(meetings.c.due_at)).where(
            meetings.c.workspace == workspace, meetings.c.due_at.is_not(sa.null())
        )
        return self._connection.execute(query).scalar_one_or_none()

    def has_dirty(self, workspace: str) -> bool:
        """Tell whether any meeting waits to be reconciled now."""
        query = sa.select(meetings.c.id).where(
            meetings.c.workspace == workspace, meetings.c.dirty == sa.true()
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def in_line(self, workspace: str, limit: int, now: datetime) -> list[str]:
        """Name meetings that reconciling must look at, as ``take_dirty`` would take them; locks nothing."""
        mine = meetings.c.workspace == workspace
        changed = sa.select(meetings.c.id).where(mine, meetings.c.dirty == sa.true())
        found = list(self._connection.execute(changed.order_by(meetings.c.id).limit(limit)).scalars())
        if len(found) < limit:
            is_due = sa.and_(meetings.c.due_at.is_not(sa.null()), meetings.c.due_at <= now)
            due = sa.select(meetings.c.id).where(mine, is_due, meetings.c.dirty == sa.false())
            ordered = due.order_by(meetings.c.due_at).limit(limit - len(found))
            found += self._connection.execute(ordered).scalars()
        return found

    def mark_dirty(self, meeting_ids: Collection[str]) -> None:
        """Put meetings in line for reconciling."""
        for part in chunks(sorted(set(meeting_ids))):
            self._connection.execute(_MARK_DIRTY, {"keys": part})

    def mark_all_dirty(self, workspace: str) -> None:
        """Put every meeting of a workspace in line (its settings changed)."""
        self._connection.execute(
            sa.update(meetings).where(meetings.c.workspace == workspace).values(dirty=True)
        )

    def in_work(
        self, workspace: str, now: datetime, *, after: str = "", limit: int = 200
    ) -> list[MeetingRow]:
        """Load, for reading only, the meetings reconciling would look at or a write is wanted for.

        Pages ordered by id; ``after`` is the last id of the page before.
        """
        waiting = sa.exists().where(
            outbox.c.meeting_id == meetings.c.id, in_states(outbox.c.state, OPEN_STATES)
        )
        wanted = sa.or_(meetings.c.dirty == sa.true(), meetings.c.due_at <= now, waiting)
        query = sa.select(meetings).where(meetings.c.workspace == workspace, meetings.c.id > after, wanted)
        return list(self._rows(query.order_by(meetings.c.id).limit(limit)))

    def count_unsettled(self, workspace: str, now: datetime) -> int:
        """Count meetings that are in line, or for which a write is still wanted that could be made now.

        A write nobody has tried yet and that only waits for its time (tomorrow's quota) does not count.
        """
        waits = sa.and_(outbox.c.state == "ready", outbox.c.not_before > now)
        wanted = sa.exists().where(
            outbox.c.meeting_id == meetings.c.id, in_states(outbox.c.state, OPEN_STATES), sa.not_(waits)
        )
        query = sa.select(sa.func.count()).where(
            meetings.c.workspace == workspace, sa.or_(meetings.c.dirty == sa.true(), wanted)
        )
        return int(self._connection.execute(query).scalar_one())

    def oldest_unsettled(self, workspace: str) -> datetime | None:
        """Tell since when the longest unsettled meeting has been so; None if all are settled.

        A write is wanted since its row was made, a meeting is in line since it was last looked at.
        """
        wanted = sa.select(sa.func.min(outbox.c.created_at)).where(
            outbox.c.workspace == workspace, in_states(outbox.c.state, OPEN_STATES)
        )
        seen = (
            sa.select(
                sa.func.coalesce(sa.func.max(external_refs.c.observed_at), sa.func.max(meetings.c.updated_at))
            )
            .select_from(meetings.outerjoin(external_refs, external_refs.c.meeting_id == meetings.c.id))
            .where(meetings.c.workspace == workspace, meetings.c.dirty == sa.true())
            .group_by(meetings.c.id)
        ).subquery("in_line")
        in_line = sa.select(sa.func.min(seen.c[0]))
        found = [self._connection.execute(query).scalar_one() for query in (wanted, in_line)]
        return min((moment for moment in found if moment is not None), default=None)

    def settle(self, due: Mapping[str, datetime | None]) -> None:
        """Take reconciled meetings that did not change out of the line, until the given moments."""
        if due:
            ordered = [{"key": meeting_id, "due": due[meeting_id]} for meeting_id in sorted(due)]
            self._connection.execute(_SETTLE, ordered)

    def candidates(
        self,
        workspace: str,
        starts: Collection[datetime],
        tolerance: timedelta = timedelta(0),
        *,
        connection_id: str | None = None,
        with_held: bool = True,
    ) -> list[MeetingRow]:
        """Load meetings that start within ``tolerance`` of one of the given moments, by start.

        ``connection_id``: only those that have no record there yet; with ``with_held`` also those that do
        and start at exactly one of the moments.
        """
        spans = _spans(starts, tolerance)
        wanted = sa.select(meetings).where(meetings.c.workspace == workspace)
        if connection_id is not None:
            free = ~_has_record(connection_id)
            exact = meetings.c.starts_at.in_(sorted(set(starts)))
            wanted = wanted.where(sa.or_(free, exact) if with_held else free)
        found = [row for near in _near(spans) for row in self._rows(wanted.where(near))]
        return sorted((row for row in found if _lies_in(row.meeting, spans)), key=_by_start)

    def of_series(self, workspace: str, keys: Collection[str]) -> list[MeetingRow]:
        """Load the occurrences of series."""
        found: list[MeetingRow] = []
        for part in chunks(sorted(set(keys))):
            query = sa.select(meetings).where(
                meetings.c.workspace == workspace, meetings.c.series_key.in_(part)
            )
            found.extend(self._rows(query.where(meetings.c.series_key.is_not(sa.null()))))
        return found

    def search(self, workspace: str, text: str = "", *, limit: int = 50, offset: int = 0) -> list[MeetingRow]:
        """Search by words of the title, canonical id, external id, or a link; latest start first."""
        query = sa.select(meetings).where(meetings.c.workspace == workspace)
        if text.strip():
            query = query.where(_matches(workspace, text.strip()))
        ordered = query.order_by(meetings.c.starts_at.desc().nulls_last(), meetings.c.id.desc())
        return list(self._rows(ordered.limit(limit).offset(offset)))

    def find(self, workspace: str, name: str) -> list[MeetingRow]:
        """Resolve an id a person typed: canonical, or external at any connection of the workspace."""
        query = sa.select(meetings).where(meetings.c.workspace == workspace, _is_called(workspace, name))
        return list(self._rows(query.order_by(meetings.c.id)))

    def beginning_with(self, workspace: str, prefix: str, limit: int = 10) -> list[MeetingRow]:
        """Resolve the beginning of a canonical id, as it is typed off a narrow terminal."""
        begins = meetings.c.id.startswith(prefix, autoescape=True)
        query = sa.select(meetings).where(meetings.c.workspace == workspace, begins)
        return list(self._rows(query.order_by(meetings.c.id).limit(limit)))

    def counts(self, workspace: str) -> list[MeetingCount]:
        """Count meetings by status. Scans the workspace: for ``status``, not for a sweep."""
        waiting = sa.func.sum(sa.case((meetings.c.dirty == sa.true(), 1), else_=0))
        query = (
            sa.select(meetings.c.status, sa.func.count(), waiting)
            .where(meetings.c.workspace == workspace)
            .group_by(meetings.c.status)
            .order_by(meetings.c.status)
        )
        return [
            MeetingCount(_STATUSES[status], *counts) for status, *counts in self._connection.execute(query)
        ]

    def delete(self, meeting_ids: Collection[str]) -> None:
        """Forget meetings with their refs and outbox rows; the journal keeps what happened."""
        for part in chunks(sorted(set(meeting_ids))):
            self._connection.execute(sa.delete(meetings).where(meetings.c.id.in_(part)))

    def _rows(self, query: sa.Select[Any]) -> Iterator[MeetingRow]:
        return (meeting_from_row(row) for row in self._connection.execute(query).mappings())


# Built once: they run for every write that is sent, and building them costs more than running them.
_MARK_DIRTY = (
    sa.update(meetings).where(meetings.c.id.in_(sa.bindparam("keys", expanding=True))).values(dirty=True)
)
_SETTLE = (
    sa.update(meetings)
    .where(meetings.c.id == sa.bindparam("key"))
    .values(dirty=False, due_at=sa.bindparam("due", type_=UtcDateTime))
)


def _spans(starts: Iterable[datetime], tolerance: timedelta) -> list[_Span]:
    """Join the neighbourhoods of moments into ordered spans that do not overlap."""
    spans: list[_Span] = []
    for start in sorted(set(starts)):
        if spans and start - tolerance <= spans[-1][1]:
            spans[-1] = (spans[-1][0], start + tolerance)
        else:
            spans.append((start - tolerance, start + tolerance))
    return spans


def _near(spans: Sequence[_Span]) -> Iterator[sa.ColumnElement[bool]]:
    """Give conditions, one per statement, that together find all meetings in the spans (and some more)."""
    if len(spans) <= _FEW_SPANS:
        yield from (meetings.c.starts_at.between(first, last) for first, last in spans)
        return
    # Hundreds of ranges in one statement end in a scan; hundreds of equal values do not.
    yield from (meetings.c.start_slot.in_(part) for part in chunks(_slots(spans)))


def _slot(moment: datetime) -> int:
    return (moment - _EPOCH) // _SLOT


def _slots(spans: Iterable[_Span]) -> list[int]:
    return sorted({slot for first, last in spans for slot in range(_slot(first), _slot(last) + 1)})


def _lies_in(meeting: Meeting, spans: Sequence[_Span]) -> bool:
    if meeting.schedule is None:
        return False
    start = meeting.schedule.start
    after = bisect_right(spans, start, key=lambda span: span[0])
    return after > 0 and start <= spans[after - 1][1]


def _by_start(row: MeetingRow) -> tuple[datetime, str]:
    return (row.meeting.schedule.start if row.meeting.schedule else _EPOCH, row.id)


def _has_record(connection_id: str) -> sa.ColumnElement[bool]:
    refs = external_refs.c
    return sa.exists().where(
        refs.meeting_id == meetings.c.id,
        refs.connection_id == connection_id,
        refs.state.not_in(("creating", "unknown")),
    )


def _is_called(workspace: str, name: str) -> sa.ColumnElement[bool]:
    # By connection and external id, as the unique index has them: an external id alone would be a scan.
    mine = sa.select(connections.c.id).where(connections.c.workspace == workspace)
    by_record = sa.select(external_refs.c.meeting_id).where(
        external_refs.c.connection_id.in_(mine), external_refs.c.external_id == name
    )
    return sa.or_(meetings.c.id == name, meetings.c.id.in_(by_record))


def _matches(workspace: str, text: str) -> sa.ColumnElement[bool]:
    conditions = [_is_called(workspace, text), meetings.c.title.contains(text.casefold(), autoescape=True)]
    keys = conference_keys(text) | {text}
    by_link = sa.select(ref_links.c.meeting_id).where(
        ref_links.c.workspace == workspace, ref_links.c.key.in_(sorted(keys))
    )
    return sa.or_(*conditions, meetings.c.id.in_(by_link))
