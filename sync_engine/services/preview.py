"""Preview a sync: what it would write where, what that costs, and how many people it touches.

Pulling is real (what was observed stays, nothing is written at a provider); reconciling is done on paper:
its plans are read off and forgotten. New records are prepared, up to sending them, so that a side that
will not take one (nobody there is known to it) says so now.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import structlog

from sync_engine.core.capabilities import Capabilities, FieldCapability, Idempotency
from sync_engine.core.fields import is_empty, same
from sync_engine.core.meeting import Field, Meeting, Value
from sync_engine.core.plan import Entry, Plan, PlannedWrite
from sync_engine.core.ports import Operation, Write
from sync_engine.core.projection import project
from sync_engine.core.refs import Held, HoldKind, RecordHold
from sync_engine.errors import NeedsReviewError, SyncError, UnholdableError
from sync_engine.services.engine import Engine, Tenant
from sync_engine.services.reconcile import Case, load_cases, plan_case
from sync_engine.services.run import Progress, Run, silent
from sync_engine.services.sync import PATIENCE_SECONDS, prepare, pull_all
from sync_engine.store.decisions import DecisionRow
from sync_engine.store.outbox import OutboxRow, OutboxState
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import UnitOfWork

log = structlog.get_logger()

PAGE = 200
MOST_PREPARED = 500
"""New records per connection that are prepared; preparing may read, and a first contact can be large."""


Refusals: TypeAlias = Mapping[tuple[str, str], SyncError]
"""What a side will not take, by meeting and connection."""


class Action(StrEnum):
    """What a sync would do with one meeting at one connection."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    RESTORE = "restore"
    HOLD = "hold"
    DEFER = "defer"
    ASK = "ask"

    @property
    def writes(self) -> bool:
        """Tell whether the action changes something at the provider."""
        return self not in {Action.HOLD, Action.DEFER, Action.ASK}


@dataclass(frozen=True)
class Cost:
    """Requests: those that read, and those that change something."""

    reads: int = 0
    writes: int = 0


def cost_of(action: Action, can: Capabilities) -> Cost:
    """Estimate the requests of one action from what a connection can do.

    An update reads the record first, so that nobody's edit is overwritten. A create looks the meeting up
    first where the side grows copies of its own and has no idempotency key, and reads the new record where
    it issues values itself (a join link). A replacement is a create, the checks that nothing is lost with
    the old record, and a delete. Sign-in, repeated attempts and look-ups of people are not counted.
    """
    looks_up = can.idempotency is Idempotency.SEARCH and can.twins
    issues = any(capability.issued for capability in can.fields.values())
    create = Cost(reads=int(looks_up) + int(issues), writes=1)
    match action:
        case Action.CREATE:
            return create
        case Action.REPLACE:
            return Cost(create.reads + 2, create.writes + 1)
        case Action.UPDATE | Action.RESTORE:
            return Cost(1, 1)
        case Action.DELETE:
            return Cost(0, 1)
        case _:
            return Cost()


@dataclass(frozen=True)
class FieldChange:
    """One field of one record: what it shows, and what it would show."""

    field: Field
    before: Value | None
    after: Value | None


@dataclass(frozen=True)
class Change:
    """What would happen to one meeting at one connection.

    ``reason``: why it is held or deferred, or what the write waits for. ``parked``: the write is wanted
    and a person has to decide first.
    """

    connection: str
    action: Action
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    until: datetime | None = None
    external_id: str | None = None
    parked: bool = False


@dataclass(frozen=True)
class MeetingPreview:
    """One meeting for which something would happen; ``meeting`` is as it would be, ``causes`` say why."""

    meeting: Meeting
    changes: tuple[Change, ...]
    causes: tuple[Entry, ...]


@dataclass
class Forecast:
    """What a sync would do at one connection. ``reads`` and ``writes`` are estimated requests.

    ``spent``: requests this preview itself has sent. ``tomorrow``: writes that a daily cap lets wait.
    ``unprepared``: creates the side was not asked about because there are too many; it may refuse some.
    """

    connection: str
    provider: str
    actions: Counter[Action] = field(default_factory=Counter)
    parked: int = 0
    reads: int = 0
    writes: int = 0
    spent: int = 0
    tomorrow: int = 0
    issues: bool = False
    guarded: bool = False
    prepared: int = 0
    unprepared: int = 0
    scopes: Counter[str] = field(default_factory=Counter)
    recreates: int = 0


@dataclass
class Preview:
    """Everything a sync of one workspace would do.

    ``meetings`` holds the first ones only, ``total`` counts all. ``people``: distinct addresses on the
    meetings whose records would change. ``decisions``: what already waits for a person.
    """

    workspace: str
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    meetings: list[MeetingPreview] = field(default_factory=list)
    total: int = 0
    written: int = 0
    people: int = 0
    observed: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    unreachable: list[str] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Tell whether a sync would write nothing."""
        return not self.written


async def preview(
    engine: Engine,
    workspace: str,
    *,
    limit: int | None = None,
    progress: Progress = silent,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Preview:
    """Pull every connection of a workspace, then say what a sync would do; nothing is written there.

    ``limit``: how many meetings to keep in detail, None for all; the numbers always count everything.
    """
    tenant = engine.tenants[workspace]
    run = Run(engine.new_id(), progress, patience_seconds=patience_seconds)
    before = {name: channel.meter.by_method.total() for name, channel in tenant.channels.items()}
    prepare(engine, tenant)
    await pull_all(engine, tenant, run)
    paper = _Paper(engine, tenant, limit)
    for page in _pages(engine, tenant):
        await paper.take(page)
        progress("reconcile", "", len(page))
    made = paper.finished()
    made.observed = run.observed
    made.failures = {**made.failures, **run.failures}
    made.unreachable = sorted(run.unreachable)
    for name, channel in tenant.channels.items():
        made.forecasts[name].spent = channel.meter.by_method.total() - before[name]
    return made


@dataclass(frozen=True)
class _Planned:
    """One meeting, as it stands and with every open write, cleanups included."""

    case: Case
    cleanups: Sequence[OutboxRow]


def _pages(engine: Engine, tenant: Tenant) -> Iterator[list[_Planned]]:
    """Read everything a sync would look at, page by page; each page is one consistent state."""
    after = ""
    while True:
        with engine.store.reading() as uow:
            rows = uow.meetings.in_work(tenant.name, engine.now(), after=after, limit=PAGE)
            cleanups = _cleanups(uow, [row.id for row in rows])
            page = [_Planned(case, cleanups.get(case.row.id, ())) for case in load_cases(uow, rows)]
        if page:
            yield page
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def _cleanups(uow: UnitOfWork, meeting_ids: Sequence[str]) -> dict[str, list[OutboxRow]]:
    found: dict[str, list[OutboxRow]] = {}
    for row in uow.outbox.open_of_meetings(meeting_ids):
        if row.cleanup:
            found.setdefault(row.meeting_id, []).append(row)
    return found


class _Paper:
    """Collect what the plans say."""

    def __init__(self, engine: Engine, tenant: Tenant, limit: int | None) -> None:
        self._engine, self._tenant, self._limit = engine, tenant, limit
        self._can = tenant.capabilities
        self._people: set[bytes] = set()
        self._made = Preview(
            tenant.name,
            {
                name: Forecast(name, channel.provider, issues=_issues(self._can[name]))
                for name, channel in tenant.channels.items()
            },
        )

    async def take(self, page: Iterable[_Planned]) -> None:
        """Plan a page of meetings and note what would happen to them."""
        planned = [(each, plan) for each in page if (plan := self._plan(each)) is not None]
        refusals = await self._refusals([plan for _, plan in planned])
        for each, plan in planned:
            changes = tuple(self._changes(each, plan, refusals))
            if changes:
                self._note(plan, changes)

    def _plan(self, planned: _Planned) -> Plan | None:
        try:
            return plan_case(self._engine, self._tenant, planned.case)
        except Exception as error:
            # As in a sync: one meeting that meets a bug of ours must not hide the others.
            log.error("preview_failed", meeting_id=planned.case.row.id, error=type(error).__name__)
            reason = f"cannot be reconciled ({type(error).__name__})"
            self._made.failures[f"meeting {planned.case.row.id}"] = reason
            return None

    async def _refusals(self, plans: Sequence[Plan]) -> Refusals:
        """Prepare the new records of a page; gives what sides will not take, with their reasons."""
        asked: list[tuple[str, Write]] = []
        for plan in plans:
            for write in plan.writes:
                if write.operation is not Operation.CREATE or write.replaces:
                    continue
                forecast = self._made.forecasts[write.connection]
                if forecast.prepared < MOST_PREPARED:
                    forecast.prepared += 1
                    asked.append((plan.meeting.id, self._intended(None, plan, write)))
                else:
                    forecast.unprepared += 1
        slots = {name: asyncio.Semaphore(c.concurrency) for name, c in self._tenant.channels.items()}
        answers = await asyncio.gather(*(self._refusal(write, slots) for _, write in asked))
        return {
            (meeting_id, write.connection): answer
            for (meeting_id, write), answer in zip(asked, answers, strict=True)
            if answer is not None
        }

    async def _refusal(self, write: Write, slots: Mapping[str, asyncio.Semaphore]) -> SyncError | None:
        async with slots[write.connection]:
            try:
                await self._tenant.channels[write.connection].adapter.prepare(write)
            except (UnholdableError, NeedsReviewError) as refusal:
                return refusal
            except SyncError as error:
                # What fails now (a limit, a lost connection) may work then; the plan stands without it.
                log.info("preview_unprepared", connection=write.connection, error=type(error).__name__)
        return None

    def finished(self) -> Preview:
        """Give the preview, with what follows from all plans together."""
        made = self._made
        made.people = len(self._people)
        with self._engine.store.reading() as uow:
            made.decisions = uow.decisions.open_of_workspace(self._tenant.name)
            for name, forecast in made.forecasts.items():
                total = uow.refs.totals(self._tenant.channels[name].id) + forecast.recreates
                forecast.guarded = self._tenant.guard.exceeded_by(forecast.recreates, total)
                forecast.tomorrow = self._over_the_cap(uow, name, forecast)
        return made

    def _over_the_cap(self, uow: UnitOfWork, name: str, forecast: Forecast) -> int:
        """Count the writes today's quota of their scope has no room for."""
        cap, channel = self._can[name].daily_cap, self._tenant.channels[name]
        if cap is None:
            return 0
        used = uow.quotas.of_day(channel.id, self._engine.now().date())
        room = {scope: max(0, cap.limit - cap.reserve - used.get(scope, 0)) for scope in forecast.scopes}
        return sum(max(0, wanted - room[scope]) for scope, wanted in forecast.scopes.items())

    def _note(self, plan: Plan, changes: tuple[Change, ...]) -> None:
        made = self._made
        made.total += 1
        for change in changes:
            forecast = made.forecasts[change.connection]
            forecast.actions[change.action] += 1
            forecast.parked += change.parked
            if not change.parked:
                cost = cost_of(change.action, self._can[change.connection])
                forecast.reads += cost.reads
                forecast.writes += cost.writes
        if any(change.action.writes and not change.parked for change in changes):
            made.written += 1
            self._people |= {_short(email) for email in _everyone(plan.meeting)}
        if self._limit is None or len(made.meetings) < self._limit:
            made.meetings.append(MeetingPreview(plan.meeting, changes, plan.entries))

    def _changes(self, planned: _Planned, plan: Plan, refusals: Refusals) -> Iterator[Change]:
        case = planned.case
        for write in plan.writes:
            refusal = refusals.get((plan.meeting.id, write.connection))
            if refusal is None:
                self._count_towards_limits(case, plan, write)
                yield self._written(case, write)
            else:
                action = Action.HOLD if isinstance(refusal, UnholdableError) else Action.ASK
                yield Change(write.connection, action, (), str(refusal))
        for row in planned.cleanups:
            connection = row.write().connection
            if connection in self._tenant.channels:
                reason = "another record has taken its place"
                yield Change(connection, Action.DELETE, (), reason, external_id=row.external_id)
        for name in sorted(case.busy & self._tenant.channels.keys()):
            row = case.open_rows[case.refs[name].id]
            reason = "a write is under way; its outcome is looked up first"
            yield Change(name, _action(row.operation, row.replaces), (), reason, external_id=row.external_id)
        for question in plan.questions:
            fields = (
                ()
                if question.field is None
                else (FieldChange(question.field, question.theirs, question.ours),)
            )
            yield Change(question.connection, Action.ASK, fields, "a person has to decide")
        yield from self._new_holds(case, plan)

    def _written(self, case: Case, write: PlannedWrite) -> Change:
        ref = case.refs.get(write.connection)
        open_row = case.open_rows.get(ref.id) if ref else None
        action = _action(write.operation, write.replaces)
        fields = () if action is Action.DELETE else tuple(self._fields(case, write, action))
        parked = open_row is not None and open_row.state is OutboxState.PARKED
        return Change(
            write.connection,
            action,
            fields,
            (open_row.last_error or "") if open_row and parked else write.cause,
            open_row.not_before if open_row and open_row.not_before > self._engine.now() else None,
            ref.ref.external_id if ref else None,
            parked,
        )

    def _fields(self, case: Case, write: PlannedWrite, action: Action) -> Iterator[FieldChange]:
        row = None if action is Action.CREATE else case.refs.get(write.connection)
        for name in Field:
            after = write.values.get(name)
            can = self._can[write.connection].of(name)
            if name not in write.changed or after is None or can is None:
                continue
            if action is Action.CREATE and not can.creatable:
                continue
            before = _shown(row, name, can) if row else None
            if not (is_empty(before) and is_empty(after)) and not same(before, after):
                yield FieldChange(name, before, after)

    def _new_holds(self, case: Case, plan: Plan) -> Iterator[Change]:
        for name in sorted(plan.refs):
            ref, row = plan.refs[name], case.refs.get(name)
            if name not in self._tenant.channels:
                continue
            known = row.ref if row else None
            if ref.hold and _is_new_hold(ref.hold, known.hold if known else None):
                action = Action.HOLD if ref.hold.kind is HoldKind.HELD else Action.DEFER
                yield Change(name, action, (), ref.hold.reason, ref.hold.until, ref.external_id)
            shown = row.observed.values if row and row.observed else {}
            for held_field, held in ref.held.items():
                if _is_new_held(held, known.held.get(held_field) if known else None):
                    after = self._projected(plan, name, held_field, shown)
                    change = FieldChange(held_field, shown.get(held_field), after)
                    yield Change(name, Action.HOLD, (change,), held.reason, held.until, ref.external_id)

    def _projected(
        self, plan: Plan, connection: str, name: Field, shown: Mapping[Field, Value]
    ) -> Value | None:
        can = self._can[connection].of(name)
        return project(plan.meeting, name, can, shown.get(name)) if can else None

    def _count_towards_limits(self, case: Case, plan: Plan, write: PlannedWrite) -> None:
        forecast = self._made.forecasts[write.connection]
        forecast.recreates += write.recreate
        if self._can[write.connection].daily_cap is None or write.operation is Operation.DELETE:
            return
        intended = self._intended(case.refs.get(write.connection), plan, write)
        scope = self._tenant.channels[write.connection].adapter.write_scope(intended)
        if scope:
            forecast.scopes[scope] += 1

    def _intended(self, ref: RefRow | None, plan: Plan, write: PlannedWrite) -> Write:
        return Write(
            intent="preview",
            operation=write.operation,
            connection=write.connection,
            meeting_id=plan.meeting.id,
            revision=plan.meeting.revision,
            values=write.values,
            intended_at=self._engine.now(),
            external_id=ref.ref.external_id if ref else None,
            changed=write.changed,
            particulars=ref.observed.particulars if ref and ref.observed else {},
            replaces=write.replaces,
            preview=True,
        )


def _action(operation: Operation, replaces: str | None) -> Action:
    if operation is Operation.CREATE and replaces:
        return Action.REPLACE
    return Action(operation.value)


def _shown(row: RefRow, name: Field, can: FieldCapability) -> Value | None:
    """Give what a record shows of a field; of one that is only carried, what was last written there."""
    agreed = row.ref.agreement.get(name)
    invented = row.observed is not None and name in row.observed.derived
    if not can.readable or invented:
        return agreed.ours if agreed else None
    if row.observed and name in row.observed.values:
        return row.observed.values[name]
    return agreed.theirs if agreed else None


def _is_new_hold(hold: RecordHold, known: RecordHold | None) -> bool:
    return known is None or (hold.kind, hold.reason, hold.until) != (known.kind, known.reason, known.until)


def _is_new_held(held: Held, known: Held | None) -> bool:
    return known is None or (held.reason, held.digest, held.until) != (
        known.reason,
        known.digest,
        known.until,
    )


def _issues(can: Capabilities) -> bool:
    return any(capability.issued for capability in can.fields.values())


def _everyone(meeting: Meeting) -> set[str]:
    everyone = {person.email for person in meeting.people}
    if organizer := meeting.text(Field.ORGANIZER):
        everyone.add(organizer)
    return everyone


def _short(email: str) -> bytes:
    # Hundreds of thousands of addresses need only be told apart, not kept.
    return hashlib.blake2b(email.encode(), digest_size=8).digest()
