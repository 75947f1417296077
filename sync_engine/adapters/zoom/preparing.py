"""Deciding the exact request of a write, after a look at what it would overwrite."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote

from sync_engine.adapters.exact_json import compact
from sync_engine.adapters.zoom.capabilities import refuse_schedule
from sync_engine.adapters.zoom.client import path_of_meeting, path_of_user_meetings
from sync_engine.adapters.zoom.hosts import Hosts
from sync_engine.adapters.zoom.mapping import (
    PERSONAL_ROOM,
    SINGLE,
    Target,
    create_body,
    occurrence_body,
    stamp,
    update_body,
)
from sync_engine.adapters.zoom.reading import Reader
from sync_engine.adapters.zoom.tracking import Tracking
from sync_engine.core.meeting import Field, Schedule, Values
from sync_engine.core.ports import Json, Now, Observation, Operation, Sealed, Write
from sync_engine.errors import RefusedError, StaleWriteError, UnholdableError

# A base older than this is looked at again before it is written upon.
FRESH_BASE = timedelta(seconds=10)
# Zoom turns a start in the past into "now", so none is sent that could be past on arrival.
EARLIEST_START = timedelta(minutes=1)
# These replace text or people as a whole: what somebody added a moment ago would be lost.
_REPLACED_AS_A_WHOLE = frozenset({Field.DESCRIPTION, Field.PARTICIPANTS})
_UPDATABLE = frozenset({Field.TITLE, Field.DESCRIPTION, Field.SCHEDULE, Field.PARTICIPANTS})
# Zoom mails hosts and registrants of a deleted meeting unless told not to, by name.
_SILENTLY = "schedule_for_reminder=false&cancel_meeting_reminder=false"


def refuse_past(start: datetime, now: datetime) -> None:
    """Refuse a start that Zoom would silently replace by "now", or ignore. Raises UnholdableError."""
    if start <= now + EARLIEST_START:
        raise UnholdableError("Zoom cannot hold a meeting whose start is not in the future")


class Preparer:
    """Turn intended writes into sealed requests."""

    def __init__(self, reader: Reader, hosts: Hosts, tracking: Tracking, now: Now) -> None:
        self._reader, self._hosts, self._tracking, self._now = reader, hosts, tracking, now

    async def prepare(self, write: Write) -> Sealed:
        """Decide the request of a write.

        Raises: UnholdableError, StaleWriteError, RecordGoneError, RefusedError.
        """
        if write.operation is Operation.CREATE:
            return await self._create(write)
        if not write.external_id:
            raise RefusedError("a write to an existing meeting needs its id", provider="zoom")
        target = Target.of(write.external_id)
        if write.operation is Operation.UPDATE:
            return await self._update(write, target)
        if write.operation is Operation.DELETE:
            return await self._delete(write, target)
        return self._restore(target)

    def scope(self, write: Write) -> str:
        """Say whose daily cap a write counts against: a host's id, or her address while that is unknown."""
        if write.operation is Operation.CREATE:
            host = self._hosts.known(_organizer(write.values))
            return host.id if host else self._hosts.likely(_organizer(write.values))
        if write.operation is Operation.UPDATE:
            return str(write.particulars.get("host_id") or write.particulars.get("host_email") or "")
        return ""

    async def _create(self, write: Write) -> Sealed:
        schedule = _holdable_schedule(write.values)
        refuse_past(schedule.start, self._now())
        host = await self._hosts.host_for(_organizer(write.values))
        mark = write.meeting_id if await self._tracking.is_available() else None
        return Sealed(
            operation=Operation.CREATE,
            method="POST",
            path=path_of_user_meetings(host.id),
            body=compact(create_body(write.values, mark)),
            scope=host.id,
            details={
                "host_id": host.id,
                "intended_at": stamp(write.intended_at),
                "meeting_id": write.meeting_id,
                "start": stamp(schedule.start),
            },
        )

    async def _update(self, write: Write, target: Target) -> Sealed:
        if unable := sorted(field.value for field in write.changed - _UPDATABLE):
            raise UnholdableError(f"Zoom cannot change: {', '.join(unable)}")
        if Field.SCHEDULE in write.changed:
            refuse_past(_holdable_schedule(write.values).start, self._now())
        scope = self.scope(write)
        if self._is_base_old(write) or write.changed & _REPLACED_AS_A_WHOLE:
            shown = await self._reader.read(target)
            _refuse_stale(write, shown, write.changed)
            if shown.read_only:
                raise UnholdableError(shown.read_only)
            scope = shown.scope or scope
        body = _occurrence_update(write) if target.occurrence_id else update_body(write.values, write.changed)
        details: dict[str, Json] = {}
        if Field.SCHEDULE in write.changed:
            details["start"] = stamp(_holdable_schedule(write.values).start)
        return Sealed(
            operation=Operation.UPDATE,
            method="PATCH",
            path=path_of_meeting(target.number) + _occurrence_query(target),
            body=compact(body),
            external_id=target.external_id,
            scope=scope,
            details=details,
        )

    async def _delete(self, write: Write, target: Target) -> Sealed:
        body = await self._reader.body(target)
        kind = body.get("type")
        # Without an occurrence's id Zoom deletes the whole series; ids of ours never mean one.
        if not target.occurrence_id and kind not in {SINGLE, PERSONAL_ROOM}:
            raise RefusedError(
                "the meeting is not a single one any more; deleting it would delete all its dates",
                provider="zoom", operation="delete_meeting",
            )  # fmt: skip
        shown = self._reader.observe(target, body)
        if not shown.deletable:
            raise UnholdableError(shown.read_only or "Zoom does not let this meeting be deleted")
        _refuse_stale(write, shown, _UPDATABLE)
        query = _occurrence_query(target)
        return Sealed(
            operation=Operation.DELETE,
            method="DELETE",
            path=f"{path_of_meeting(target.number)}{query}{'&' if query else '?'}{_SILENTLY}",
            external_id=target.external_id,
        )

    def _restore(self, target: Target) -> Sealed:
        if target.occurrence_id:
            raise UnholdableError("Zoom cannot bring back one deleted occurrence")
        return Sealed(
            operation=Operation.RESTORE,
            method="PUT",
            path=f"{path_of_meeting(target.number)}/status",
            body=compact({"action": "recover"}),
            external_id=target.external_id,
        )

    def _is_base_old(self, write: Write) -> bool:
        return write.base_observed_at is None or self._now() - write.base_observed_at > FRESH_BASE


def _organizer(values: Values) -> str | None:
    organizer = values.get(Field.ORGANIZER)
    return organizer if isinstance(organizer, str) else None


def _holdable_schedule(values: Values) -> Schedule:
    schedule = values.get(Field.SCHEDULE)
    if not isinstance(schedule, Schedule):
        raise UnholdableError("Zoom needs a start, and none is known")
    if reason := refuse_schedule(schedule):
        raise UnholdableError(reason)
    return schedule


def _occurrence_query(target: Target) -> str:
    return f"?occurrence_id={quote(target.occurrence_id, safe='')}" if target.occurrence_id else ""


def _occurrence_update(write: Write) -> dict[str, Json]:
    """Build the body that changes one occurrence; of what we write Zoom takes only its time."""
    if unable := sorted(field.value for field in write.changed - {Field.SCHEDULE}):
        raise UnholdableError(f"Zoom cannot change for one occurrence: {', '.join(unable)}")
    schedule, base = _holdable_schedule(write.values), write.base.get(Field.SCHEDULE)
    is_same_time = isinstance(base, Schedule) and (base.start, base.end) == (schedule.start, schedule.end)
    if is_same_time and isinstance(base, Schedule) and base.zone != schedule.zone:
        raise UnholdableError("Zoom cannot change the time zone of one occurrence")
    return occurrence_body(schedule)


def _refuse_stale(write: Write, shown: Observation, fields: frozenset[Field]) -> None:
    both = fields & write.base.keys() & shown.values.keys()
    if any(write.base[field] != shown.values[field] for field in both):
        raise StaleWriteError(
            "the meeting was changed since the write was planned",
            observation=shown, provider="zoom", operation=f"{write.operation}_meeting",
        )  # fmt: skip
