"""Explain one meeting: every value with its cause, every connection with its state, and what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sync_engine.core.capabilities import Creatable, FieldCapability
from sync_engine.core.fields import is_empty, same
from sync_engine.core.links import first_url
from sync_engine.core.meeting import Field, Meeting, Status, Value
from sync_engine.core.policy import CreateRule
from sync_engine.core.projection import project
from sync_engine.core.refs import Agreed, Held
from sync_engine.services.engine import Channel, Engine, Tenant
from sync_engine.services.search import find_meeting
from sync_engine.store.conflicts import ConflictRow
from sync_engine.store.journal import JournalEntry
from sync_engine.store.meetings import MeetingRow
from sync_engine.store.outbox import OutboxRow
from sync_engine.store.refs import RefRow


class FieldState(StrEnum):
    """How one field stands between the canonical meeting and one connection.

    ``agreed``: both settled. ``held``: kept back, see the reason. ``frozen``: a person has to decide.
    ``pending``: a write is wanted. ``carried``: written and never shown again. ``hidden``: the record does
    not show it. ``own``: the connection made the value up itself, so there is nothing to tell it. ``none``:
    it has no such field.
    """

    AGREED = "agreed"
    HELD = "held"
    FROZEN = "frozen"
    PENDING = "pending"
    CARRIED = "carried"
    HIDDEN = "hidden"
    OWN = "own"
    NONE = "none"


@dataclass(frozen=True)
class FieldStory:
    """One field at one connection: what it shows, what it should show, and what both last settled on."""

    state: FieldState
    shows: Value | None = None
    wanted: Value | None = None
    agreed: Agreed | None = None
    held: Held | None = None
    frozen: str = ""


@dataclass(frozen=True)
class ConnectionStory:
    """One connection's part. ``absent``: why there is no record and none is wanted."""

    name: str
    provider: str
    ref: RefRow | None
    fields: Mapping[Field, FieldStory]
    open_writes: Sequence[OutboxRow] = ()
    absent: str = ""


@dataclass(frozen=True)
class Story:
    """The life of one meeting. ``journal`` is oldest first; ``earlier``: there is more before it."""

    row: MeetingRow
    connections: Mapping[str, ConnectionStory]
    journal: Sequence[JournalEntry]
    conflicts: Sequence[ConflictRow] = ()
    earlier: bool = False
    next_due: datetime | None = field(default=None)

    @property
    def meeting(self) -> Meeting:
        """Give the canonical meeting."""
        return self.row.meeting


def explain(engine: Engine, workspaces: Sequence[str], name: str, *, journal_limit: int = 100) -> Story:
    """Tell the life of the meeting with this id, canonical or external.

    Raises:
        ConfigurationError: nothing, or more than one meeting, is called so.
    """
    tenant, found = find_meeting(engine, workspaces, name)
    with engine.store.reading() as uow:
        # Loaded again, so that everything told stems from one moment.
        row = uow.meetings.load([found.id]).get(found.id, found)
        refs = {r.ref.connection: r for r in uow.refs.of_meetings([row.id]).get(row.id, ())}
        open_rows = uow.outbox.open_of_meetings([row.id])
        conflicts = uow.conflicts.open_of_meetings([row.id])
        journal = uow.journal.of_meeting(row.id, journal_limit + 1)
    stories = {
        channel.name: _connection(engine, tenant, channel, row.meeting, refs.get(channel.name), open_rows)
        for channel in tenant.channels.values()
    }
    return Story(
        row,
        stories,
        journal[-journal_limit:],
        conflicts,
        earlier=len(journal) > journal_limit,
        next_due=row.due_at,
    )


def _connection(
    engine: Engine,
    tenant: Tenant,
    channel: Channel,
    meeting: Meeting,
    ref: RefRow | None,
    open_rows: Sequence[OutboxRow],
) -> ConnectionStory:
    writes = [row for row in open_rows if row.connection_id == channel.id]
    fields: dict[Field, FieldStory] = {}
    if ref is not None and ref.ref.is_live:
        can = channel.adapter.capabilities
        changed = frozenset(name for row in writes for name in row.changed)
        fields = {name: _field(meeting, name, can.of(name), ref, changed) for name in Field}
    absent = _why_absent(engine, tenant, channel, meeting) if ref is None else ""
    return ConnectionStory(channel.name, channel.provider, ref, fields, writes, absent)


def _field(
    meeting: Meeting, name: Field, can: FieldCapability | None, row: RefRow, changed: frozenset[Field]
) -> FieldStory:
    if can is None:
        return FieldStory(FieldState.NONE)
    ref = row.ref
    shows = row.observed.values.get(name) if row.observed else None
    agreed, held = ref.agreement.get(name), ref.held.get(name)
    wanted = project(meeting, name, can, shows if shows is not None else agreed.theirs if agreed else None)
    if name in ref.frozen:
        state = FieldState.FROZEN
    elif held is not None:
        state = FieldState.HELD
    elif name in changed:
        state = FieldState.PENDING
    else:
        state = _at_rest(meeting, name, can, row, shows, wanted, agreed)
    return FieldStory(state, shows, wanted, agreed, held, ref.frozen.get(name, ""))


def _at_rest(
    meeting: Meeting,
    name: Field,
    can: FieldCapability,
    row: RefRow,
    shows: Value | None,
    wanted: Value | None,
    agreed: Agreed | None,
) -> FieldState:
    if is_empty(wanted) and is_empty(shows):
        return FieldState.AGREED
    source = meeting.provenance.get(name)
    if source is not None and source.derived and source.connection == row.ref.connection:
        return FieldState.OWN
    if not can.readable:
        settled = agreed is not None and wanted is not None and same(agreed.ours, wanted)
        return FieldState.CARRIED if settled else FieldState.HIDDEN
    if agreed is not None and wanted is not None and same(agreed.ours, wanted):
        return FieldState.AGREED
    if shows is None:
        return FieldState.HIDDEN
    if wanted is None or same(shows, wanted):
        return FieldState.AGREED
    return FieldState.OWN if row.observed and name in row.observed.derived else FieldState.PENDING


def _why_absent(engine: Engine, tenant: Tenant, channel: Channel, meeting: Meeting) -> str:
    """Say why a connection has no record of a meeting and is not waiting for one."""
    rules, can, schedule = channel.rules, channel.adapter.capabilities, meeting.schedule
    window, now = engine.window(tenant), engine.now()
    if meeting.status is Status.CANCELLED:
        return "the meeting is cancelled"
    if not rules.may_create:
        return "creating is not among the writes allowed for this connection"
    if rules.create is CreateRule.NEVER:
        return "this connection is set to be given no new records (create)"
    if can.create is Creatable.NEVER:
        return "this connection cannot be given records"
    if schedule is None:
        return "nobody shows when the meeting takes place"
    if schedule.end <= window.start or schedule.start >= window.end:
        return "the meeting lies outside the window that is kept in agreement"
    if rules.create is CreateRule.VIRTUAL_WITHOUT_LINK and not _lacks_a_link(meeting):
        return "only virtual meetings without a join link are created there (create)"
    if can.create is Creatable.FUTURE and now >= schedule.start:
        return "it can only be created there before the meeting starts"
    return "not looked at yet; the next sync does"


def _lacks_a_link(meeting: Meeting) -> bool:
    linked = meeting.text(Field.JOIN_URL) or first_url(meeting.text(Field.LOCATION))
    return meeting.text(Field.KIND) == "virtual" and not linked
