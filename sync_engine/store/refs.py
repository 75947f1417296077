"""External refs: which record at which connection is which meeting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync_engine.core.meeting import Field, Schedule
from sync_engine.core.ports import Observation
from sync_engine.core.refs import HoldKind, Origin, Ref, RefState
from sync_engine.store import codec
from sync_engine.store.repository import Repository, chunks
from sync_engine.store.tables import connections, external_refs, ref_links

_STATES = {state.value: state for state in RefState}
_ORIGINS = {origin.value: origin for origin in Origin}

LinkKey: TypeAlias = tuple[str, datetime]
"""A conference key (``zoom:97763643886``, ``ical:<uid>``) and the start a side showed with it."""


def ical_key(uid: str) -> str:
    """Give the link key of an iCal uid."""
    return f"ical:{uid}"


def connection_name(connection_id: str) -> str:
    """Give the name a workspace uses for a connection: ``zoom`` of ``acme/zoom``."""
    return connection_id.partition("/")[2]


def workspace_name(connection_id: str) -> str:
    """Give the workspace of a connection: ``acme`` of ``acme/zoom``."""
    return connection_id.partition("/")[0]


class KnownRef(NamedTuple):
    """What a sweep needs to tell whether a listed record is news."""

    ref_id: str
    meeting_id: str
    fingerprint: str
    state: RefState
    complete: bool
    needs_read: bool
    detail_due_at: datetime | None
    absences: int


class ListedRef(NamedTuple):
    """What a sweep needs to tell which records it did not see."""

    external_id: str
    ref_id: str
    state: RefState


class RefCount(NamedTuple):
    """How many refs of one connection stand alike.

    ``hold_kind``: why their whole record waits, None if it does not. ``with_held``: how many of them
    hold single fields back, ``with_frozen``: how many wait for a person.
    """

    connection_id: str
    state: RefState
    hold_kind: str | None
    refs: int
    with_held: int
    with_frozen: int


_Links: TypeAlias = tuple[str, datetime | None, frozenset[str]]


@dataclass(slots=True)
class RefRow:
    """One stored ref: what reconciling knows (``ref``) and what pulling keeps.

    ``observed``: what the record last showed. ``fingerprint``: of the list row that was last translated.
    ``starts_at``: where the record lies in time, None if it shows no time. ``complete``: nothing that a
    read by id would show is missing from ``observed``. ``detail_due_at``: when the slow rotation reads it
    by id again. ``absences``: how many sweeps in a row proved it absent. ``evidence``: why it was linked.
    """

    ref: Ref
    connection_id: str
    meeting_id: str
    observed: Observation | None = None
    observed_at: datetime | None = None
    fingerprint: str = ""
    scope: str = ""
    starts_at: datetime | None = None
    complete: bool = True
    needs_read: bool = False
    detail_due_at: datetime | None = None
    absences: int = 0
    absent_since: datetime | None = None
    evidence: Mapping[str, Any] | None = None
    stored_links: _Links | None = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """Give the ref's id."""
        return self.ref.id

    @property
    def workspace(self) -> str:
        """Give the name of the workspace."""
        return workspace_name(self.connection_id)

    @property
    def links(self) -> _Links:
        """Give what other sides' records are matched by: the meeting, the start shown, the keys shown."""
        keys = frozenset[str]()
        if self.observed is not None:
            uid = self.observed.ical_uid
            keys = self.observed.links | {ical_key(uid)} if uid else self.observed.links
        return (self.meeting_id, self.starts_at, keys)

    def observe(self, seen: Observation) -> None:
        """Take over what a connection showed of the record; an absence, if one was counted, is over."""
        schedule = seen.values.get(Field.SCHEDULE)
        self.observed = seen
        self.observed_at = seen.observed_at
        self.fingerprint = seen.fingerprint or self.fingerprint
        self.scope = seen.scope or self.scope
        self.complete = seen.complete
        self.absences = 0
        self.absent_since = None
        if isinstance(schedule, Schedule):
            self.starts_at = schedule.start


def ref_to_row(row: RefRow) -> dict[str, Any]:
    """Encode a ref as the columns of its table."""
    ref = row.ref
    return {
        "id": ref.id,
        "connection_id": row.connection_id,
        "meeting_id": row.meeting_id,
        "external_id": ref.external_id,
        "origin": ref.origin.value,
        "state": ref.state.value,
        "fingerprint": row.fingerprint,
        "scope": row.scope,
        "starts_at": row.starts_at,
        "complete": row.complete,
        "needs_read": row.needs_read,
        "detail_due_at": row.detail_due_at,
        "absences": row.absences,
        "absent_since": row.absent_since,
        "since": ref.since,
        "observed_at": row.observed_at,
        "hold_kind": ref.hold.kind.value if ref.hold else None,
        "irreplaceable": ref.irreplaceable,
        "hold": codec.hold_to_json(ref.hold),
        "held": codec.held_to_json(ref.held),
        "frozen": codec.reasons_to_json(ref.frozen) or None,
        "recent_writes": codec.past_writes_to_json(ref.recent_writes),
        "agreement": codec.agreement_to_json(ref.agreement),
        "evidence": dict(row.evidence) if row.evidence else None,
        "observed": codec.observation_to_json(row.observed) if row.observed else None,
    }


def ref_from_row(data: sa.RowMapping) -> RefRow:
    """Decode a ref from the columns of its table."""
    row = RefRow(
        ref=_core_ref(data),
        connection_id=data["connection_id"],
        meeting_id=data["meeting_id"],
        observed=codec.observation_from_json(data["observed"]) if data["observed"] else None,
        observed_at=data["observed_at"],
        fingerprint=data["fingerprint"],
        scope=data["scope"],
        starts_at=data["starts_at"],
        complete=data["complete"],
        needs_read=data["needs_read"],
        detail_due_at=data["detail_due_at"],
        absences=data["absences"],
        absent_since=data["absent_since"],
        evidence=data["evidence"],
    )
    row.stored_links = row.links
    return row


def _core_ref(data: sa.RowMapping) -> Ref:
    return Ref(
        id=data["id"],
        connection=connection_name(data["connection_id"]),
        state=_STATES[data["state"]],
        origin=_ORIGINS[data["origin"]],
        since=data["since"],
        external_id=data["external_id"],
        agreement=codec.agreement_from_json(data["agreement"]),
        held=codec.held_from_json(data["held"]),
        hold=codec.hold_from_json(data["hold"]),
        frozen=codec.reasons_from_json(data["frozen"]),
        recent_writes=codec.past_writes_from_json(data["recent_writes"]),
        irreplaceable=data["irreplaceable"],
    )


class Refs(Repository):
    """Find and keep external refs."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)

    def known(self, connection_id: str, external_ids: Collection[str]) -> dict[str, KnownRef]:
        """Tell which of these records are known, by external id. One statement per 500 ids."""
        found: dict[str, KnownRef] = {}
        for part in chunks(external_ids):
            asked = {"connection_id": connection_id, "external_ids": part}
            # All rows at once: fetching them one by one costs as much as finding them.
            rows = self._connection.execute(_KNOWN, asked).all()
            for external_id, ref_id, meeting_id, fingerprint, state, *rest in rows:
                found[external_id] = KnownRef(ref_id, meeting_id, fingerprint, _STATES[state], *rest)
        return found

    def in_window(
        self, connection_id: str, start: datetime, end: datetime, scopes: Collection[str] | None = None
    ) -> Iterator[ListedRef]:
        """Stream the records that a sweep over [start, end) of these scopes must have shown.

        ``scopes`` None means all. Read it within the unit of work: it is a cursor, not a list.
        """
        refs = external_refs.c
        query = sa.select(refs.external_id, refs.id, refs.state).where(
            refs.connection_id == connection_id,
            refs.starts_at >= start,
            refs.starts_at < end,
            refs.external_id.is_not(None),
        )
        if scopes is not None:
            query = query.where(refs.scope.in_(sorted(scopes)))
        for external_id, ref_id, state in self._connection.execute(query.execution_options(yield_per=1000)):
            yield ListedRef(external_id, ref_id, _STATES[state])

    def load(self, ref_ids: Collection[str]) -> dict[str, RefRow]:
        """Load refs by id."""
        return {row.id: row for row in self._load(_BY_ID, ref_ids)}

    def by_external_id(self, connection_id: str, external_ids: Collection[str]) -> dict[str, RefRow]:
        """Load refs of one connection by external id."""
        rows = self._load(_BY_EXTERNAL_ID, external_ids, connection_id=connection_id)
        return {row.ref.external_id: row for row in rows if row.ref.external_id is not None}

    def of_meetings(self, meeting_ids: Collection[str]) -> dict[str, list[RefRow]]:
        """Load all refs of meetings, ordered by connection; a meeting without refs is missing."""
        found: defaultdict[str, list[RefRow]] = defaultdict(list)
        for row in self._load(_OF_MEETINGS, meeting_ids):
            found[row.meeting_id].append(row)
        for rows in found.values():
            rows.sort(key=lambda row: row.connection_id)
        return dict(found)

    def holders(self, meeting_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Tell which connections (by id) have a ref to each meeting, without loading the refs."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for part in chunks(meeting_ids):
            query = sa.select(external_refs.c.meeting_id, external_refs.c.connection_id).where(
                external_refs.c.meeting_id.in_(part)
            )
            for meeting_id, connection_id in self._connection.execute(query):
                found[meeting_id].add(connection_id)
        return {meeting_id: frozenset(ids) for meeting_id, ids in found.items()}

    def of_meetings_at(self, connection_id: str, meeting_ids: Collection[str]) -> dict[str, RefRow]:
        """Load the refs of meetings at one connection, by meeting id."""
        rows = self._load(_OF_MEETINGS_AT, meeting_ids, connection_id=connection_id)
        return {row.meeting_id: row for row in rows}

    def keys_of(self, meeting_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Give the conference and iCal keys any record of each meeting showed."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for part in chunks(sorted(set(meeting_ids))):
            # By way of the refs: their index by meeting serves this, and the links need none of their own.
            query = (
                sa.select(external_refs.c.meeting_id, ref_links.c.key)
                .join(ref_links, ref_links.c.ref_id == external_refs.c.id)
                .where(external_refs.c.meeting_id.in_(part))
            )
            for meeting_id, key in self._connection.execute(query):
                found[meeting_id].add(key)
        return {meeting_id: frozenset(keys) for meeting_id, keys in found.items()}

    def linked(self, workspace: str, keys: Collection[LinkKey]) -> dict[LinkKey, frozenset[str]]:
        """Find the meetings (by id) one of whose records showed a key at that start."""
        found: defaultdict[LinkKey, set[str]] = defaultdict(set)
        for part in chunks(sorted(set(keys))):
            names = sorted({key for key, _ in part})
            starts = [start for _, start in part]
            # Pairs are told apart here: both databases search keys and a range fast, and pairs slowly.
            query = sa.select(ref_links.c.key, ref_links.c.starts_at, ref_links.c.meeting_id).where(
                ref_links.c.workspace == workspace,
                ref_links.c.key.in_(names),
                ref_links.c.starts_at.between(min(starts), max(starts)),
            )
            pairs = set(part)
            for key, starts_at, meeting_id in self._connection.execute(query):
                if (key, starts_at) in pairs:
                    found[key, starts_at].add(meeting_id)
        return {key: frozenset(ids) for key, ids in found.items()}

    def needing_read(self, connection_id: str, limit: int) -> list[ListedRef]:
        """List records that must be read by id, whatever a listing shows."""
        refs = external_refs.c
        query = (
            sa.select(refs.external_id, refs.id, refs.state)
            .where(refs.connection_id == connection_id, refs.needs_read == sa.true())
            .where(refs.external_id.is_not(None))
            .limit(limit)
        )
        return [
            ListedRef(external_id, ref_id, _STATES[state])
            for external_id, ref_id, state in self._connection.execute(query)
        ]

    def mark_needs_read(self, connection_id: str, external_ids: Collection[str]) -> list[str]:
        """Ask for reads by id (a webhook hinted at them); gives the external ids that are known."""
        marked: list[str] = []
        for part in chunks(sorted(external_ids)):
            statement = (
                sa.update(external_refs)
                .where(external_refs.c.connection_id == connection_id)
                .where(external_refs.c.external_id.in_(part))
                .values(needs_read=True)
                .returning(external_refs.c.external_id)
            )
            marked.extend(self._connection.execute(statement).scalars())
        return marked

    def held_back(self, connection_id: str) -> list[RefRow]:
        """Load refs whose record is wanted and held: something has to change before it can be made."""
        refs = external_refs.c
        query = sa.select(refs.id).where(
            refs.connection_id == connection_id,
            refs.state == RefState.CREATING.value,
            refs.hold_kind == HoldKind.HELD.value,
        )
        return list(self.load(list(self._connection.execute(query).scalars())).values())

    def vanished_since(self, connection_id: str, moment: datetime) -> int:
        """Count the records of a connection that went missing since a moment."""
        refs = external_refs.c
        query = sa.select(sa.func.count()).where(
            refs.connection_id == connection_id, refs.absent_since >= moment
        )
        return int(self._connection.execute(query).scalar_one())

    def count_absences(self, ref_ids: Collection[str], now: datetime) -> dict[str, int]:
        """Count one more proven absence for each ref; gives the new counts by ref id."""
        counted: dict[str, int] = {}
        refs = external_refs.c
        for part in chunks(sorted(ref_ids)):
            statement = (
                sa.update(external_refs)
                .where(refs.id.in_(part))
                .values(
                    absences=refs.absences + 1,
                    absent_since=sa.func.coalesce(
                        refs.absent_since, sa.bindparam("now", now, refs.since.type)
                    ),
                )
                .returning(refs.id, refs.absences)
            )
            counted.update((ref_id, absences) for ref_id, absences in self._connection.execute(statement))
        return counted

    def clear_absences(self, ref_ids: Collection[str]) -> None:
        """Forget counted absences: the records were seen again."""
        for part in chunks(sorted(ref_ids)):
            self._connection.execute(
                sa.update(external_refs)
                .where(external_refs.c.id.in_(part))
                .values(absences=0, absent_since=None)
            )

    def save(self, rows: Sequence[RefRow]) -> None:
        """Write whole refs, new or changed, and the keys other records are matched by.

        Raises:
            sqlalchemy.exc.IntegrityError: a record or a (connection, meeting) pair would be tied twice.
        """
        self._upsert(external_refs, [ref_to_row(row) for row in rows])
        self._save_links([row for row in rows if row.stored_links != row.links])

    def _save_links(self, rows: Sequence[RefRow]) -> None:
        for part in chunks(sorted(row.id for row in rows if row.stored_links is not None)):
            self._connection.execute(_FORGET_LINKS, {"keys": part})
        self._upsert(ref_links, _link_rows(rows), ("ref_id", "key"))
        for row in rows:
            row.stored_links = row.links

    def move(self, ref_id: str, meeting_id: str) -> RefRow:
        """Tie a record to another meeting (link or unlink by a person) and forget what was agreed."""
        row = self.load([ref_id])[ref_id]
        row.meeting_id = meeting_id
        row.ref = replace(row.ref, agreement={}, held={}, hold=None, frozen={}, recent_writes=())
        self.save([row])
        return row

    def delete(self, ref_ids: Collection[str]) -> None:
        """Forget refs altogether, with their outbox rows; the journal keeps what happened."""
        for part in chunks(sorted(ref_ids)):
            self._connection.execute(sa.delete(external_refs).where(external_refs.c.id.in_(part)))

    def of_connection(self, connection_id: str, *, after: str = "", limit: int = 1000) -> list[RefRow]:
        """Load a connection's refs in pages ordered by id; ``after`` is the last id of the page before."""
        refs = external_refs.c
        query = (
            sa.select(external_refs)
            .where(refs.connection_id == connection_id, refs.id > after)
            .order_by(refs.id)
            .limit(limit)
        )
        return [ref_from_row(row) for row in self._connection.execute(query).mappings()]

    def totals(self, connection_id: str) -> int:
        """Count the records a connection is tied to: what the deletion guard measures against."""
        refs = external_refs.c
        query = sa.select(sa.func.count()).where(
            refs.connection_id == connection_id, refs.state.in_(("linked", "read_only"))
        )
        return int(self._connection.execute(query).scalar_one())

    def counts(self, workspace: str) -> list[RefCount]:
        """Count refs by connection, state and hold. Scans the workspace: for ``status``, not for a sweep."""
        refs = external_refs.c
        query = (
            sa.select(
                refs.connection_id,
                refs.state,
                refs.hold_kind,
                sa.func.count(),
                sa.func.count(refs.held),
                sa.func.count(refs.frozen),
            )
            .join(connections, connections.c.id == refs.connection_id)
            .where(connections.c.workspace == workspace)
            .group_by(refs.connection_id, refs.state, refs.hold_kind)
            .order_by(refs.connection_id, refs.state, refs.hold_kind.nulls_first())
        )
        return [
            RefCount(connection_id, _STATES[state], *numbers)
            for connection_id, state, *numbers in self._connection.execute(query)
        ]

    def _load(self, query: sa.Select[Any], keys: Iterable[str], **given: str) -> Iterator[RefRow]:
        for part in chunks(sorted(set(keys))):
            rows = self._connection.execute(query, {"keys": part, **given}).mappings().all()
            yield from (ref_from_row(row) for row in rows)


def _link_rows(rows: Iterable[RefRow]) -> list[dict[str, Any]]:
    return [
        {
            "ref_id": row.id,
            "key": key,
            "workspace": row.workspace,
            "starts_at": row.starts_at,
            "meeting_id": row.meeting_id,
        }
        for row in rows
        for key in row.links[2]
    ]


# The statement of every sweep page: built once, with the columns that fit KnownRef.
_KNOWN = sa.select(
    external_refs.c.external_id,
    external_refs.c.id,
    external_refs.c.meeting_id,
    external_refs.c.fingerprint,
    external_refs.c.state,
    external_refs.c.complete,
    external_refs.c.needs_read,
    external_refs.c.detail_due_at,
    external_refs.c.absences,
).where(
    external_refs.c.connection_id == sa.bindparam("connection_id"),
    external_refs.c.external_id.in_(sa.bindparam("external_ids", expanding=True)),
)


def _among(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return column.in_(sa.bindparam("keys", expanding=True))


# Built once: they run for every record that is written, and building them costs more than running them.
_HERE = external_refs.c.connection_id == sa.bindparam("connection_id")
_BY_ID = sa.select(external_refs).where(_among(external_refs.c.id))
_BY_EXTERNAL_ID = sa.select(external_refs).where(_among(external_refs.c.external_id), _HERE)
_OF_MEETINGS = sa.select(external_refs).where(_among(external_refs.c.meeting_id))
_OF_MEETINGS_AT = _OF_MEETINGS.where(_HERE)
_FORGET_LINKS = sa.delete(ref_links).where(_among(ref_links.c.ref_id))
