"""Decide the exact requests of writes: what is sealed before a byte leaves."""

from __future__ import annotations

from datetime import timedelta

from sync_engine.adapters.exact_json import compact
from sync_engine.adapters.prospect_crm.carried import CARRIED, rewritten
from sync_engine.adapters.prospect_crm.client import ProspectCrmClient, Row, meeting_path
from sync_engine.adapters.prospect_crm.mapping import (
    Reading,
    create_body,
    parse_meeting,
    update_body,
    whole_body,
)
from sync_engine.adapters.prospect_crm.owners import NO_OWNER, Owners
from sync_engine.adapters.prospect_crm.prospects import Prospects
from sync_engine.core.capabilities import Capabilities
from sync_engine.core.fields import same
from sync_engine.core.meeting import Field, Schedule, Value
from sync_engine.core.ports import Json, Observation, Operation, Sealed, Write
from sync_engine.errors import StaleWriteError, UnholdableError

LONGEST_KEY = 512
BASE_LASTS = timedelta(seconds=10)


def key_of(write: Write) -> str:
    """Name the intent. A key that named the content would answer the second A of A→B→A from a replay."""
    name = f"ms1:{write.connection}:{write.operation.value}:{write.meeting_id}:{write.intent}"
    # Room is left for what is put behind it (the verb of an update, a prospect's own creation).
    return name[-(LONGEST_KEY - 16) :]


async def seal_create(
    write: Write, client: ProspectCrmClient, prospects: Prospects, owners: Owners, *, shares_text: bool
) -> Sealed:
    """Seal the creation of a meeting.

    Raises:
        UnholdableError: no schedule, an all-day entry, no owner, or no known prospect.
        NeedsReviewError: several prospects could be meant.
    """
    schedule = write.values.get(Field.SCHEDULE)
    if not isinstance(schedule, Schedule):
        raise UnholdableError("a meeting without a time cannot be held here")
    if schedule.all_day:
        raise UnholdableError("an all-day entry cannot be held here")
    organizer = _text(write.values.get(Field.ORGANIZER))
    owner_id = owners.id_of(organizer)
    if not owner_id:
        raise UnholdableError(NO_OWNER)
    guests = write.values.get(Field.PARTICIPANTS)
    emails = [p.email for p in guests if p.email != organizer] if isinstance(guests, tuple) else []
    prospect_id = await prospects.among(
        emails, key_of(write), write.intended_at, may_create=not write.preview
    )
    if not client.generation:
        # Whether keys protect a create is told by the shape of a list; look before relying on it.
        await client.meetings(limit=1)
    body = create_body(
        write.values,
        prospect_id=prospect_id,
        owner_id=owner_id,
        meeting_id=write.meeting_id,
        shares_text=shares_text,
    )
    return Sealed(
        Operation.CREATE,
        "POST",
        "/meetings",
        compact(body),
        key_of(write),
        details={"meeting_id": write.meeting_id, "prospect_id": prospect_id},
    )


def must_read_first(write: Write, now_is_late: bool, verb: str) -> bool:
    """Tell whether an update needs the record as it is now.

    Notes are shared with people and are only ever rewritten around their text; a PUT, which an unknown
    verb may turn out to be, replaces all fields.
    """
    return bool(write.changed & CARRIED) or now_is_late or verb in {"", "PUT"}


def guard_base(write: Write, seen: Observation, capabilities: Capabilities) -> None:
    """Raise StaleWriteError when a field to be written is not what the write was planned upon."""
    for name in write.changed:
        capability = capabilities.of(name)
        if capability is None or not capability.readable:
            continue
        base, there = write.base.get(name), seen.values.get(name)
        if base is not None and there is not None and not same(base, there):
            raise StaleWriteError("the record changed meanwhile", observation=seen)


def seal_update(write: Write, current: Row | None, reading: Reading, *, verb: str) -> Sealed:
    """Seal a change.

    ``current``: the record as just read, None where no reading was needed. ``verb``: the one known to work,
    empty while none is; the body of every verb is then frozen with the request.

    Raises:
        UnholdableError: nothing of what changed can be written here.
    """
    assert write.external_id is not None
    wire = parse_meeting(current) if current is not None else None
    owner_id = reading.owners.id_of(_text(write.values.get(Field.ORGANIZER)))
    if _takes_away(write, owner_id, reading.owners):
        owner_id = ""
    notes = None
    if wire is not None and write.changed & CARRIED:
        notes = rewritten(wire.notes, write.values, write.meeting_id, shares_text=reading.shares_text)
    changes = update_body(write.values, write.changed, current=wire, owner_id=owner_id, notes=notes)
    if not changes:
        raise UnholdableError(
            "the owner of a meeting that a person booked is not replaced by default_owner_id"
            if Field.ORGANIZER in write.changed
            else "nothing of this change can be written here"
        )
    details: dict[str, Json] = {"meeting_id": write.meeting_id, "changes": changes}
    # Recruiters' notes are kept in our outbox only where a request cannot do without them.
    if current is not None and verb in {"", "PUT"}:
        details["whole"] = compact(whole_body(current, changes))
    method = verb or "POST"
    body = details["whole"] if method == "PUT" else compact(changes)
    return Sealed(
        Operation.UPDATE,
        method,
        meeting_path(write.external_id),
        body,
        key_of(write),
        write.external_id,
        details=details,
    )


def _takes_away(write: Write, owner_id: str, owners: Owners) -> bool:
    """Tell whether a stand-in owner would take a meeting away from the person who booked it."""
    if owner_id != owners.default_id or write.particulars.get("created_by_api") is not False:
        return False
    return bool(write.particulars.get("owner_id"))


def seal_delete(write: Write) -> Sealed:
    """Seal a deletion."""
    assert write.external_id is not None
    path = meeting_path(write.external_id)
    return Sealed(Operation.DELETE, "DELETE", path, None, key_of(write), write.external_id)


def _text(value: Value | None) -> str:
    return value if isinstance(value, str) else ""
