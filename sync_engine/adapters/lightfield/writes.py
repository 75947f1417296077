"""Decide the exact request of a write; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b

from sync_engine.adapters.exact_json import compact
from sync_engine.adapters.lightfield.client import MEETINGS, path_of_meeting
from sync_engine.adapters.lightfield.mapping import ATTENDEES, to_fields
from sync_engine.core.meeting import Field, Schedule, Value, Values
from sync_engine.core.ports import Operation, Sealed, Write
from sync_engine.errors import UnholdableError

NOT_OVER = "Lightfield takes a meeting, and its attendees, only after it ended"


def check_ended(values: Values, now: datetime, margin: timedelta) -> None:
    """Raise UnholdableError while the meeting is not over, with the time left."""
    schedule = values.get(Field.SCHEDULE)
    if not isinstance(schedule, Schedule):
        raise UnholdableError("Lightfield needs to know when the meeting is")
    if schedule.all_day:
        raise UnholdableError("Lightfield cannot hold an all-day entry")
    left = (schedule.end + margin - now).total_seconds()
    if left > 0:
        raise UnholdableError(NOT_OVER, retry_after_seconds=left)


def creation(write: Write, *, auto_create_records: bool) -> Sealed:
    """Build the request that adds a meeting which is over."""
    fields = to_fields(write.values, write.meeting_id)
    return Sealed(
        operation=Operation.CREATE,
        method="POST",
        path=MEETINGS,
        body=compact({"fields": fields, "autoCreateRecords": auto_create_records}),
        key=f"ms-{write.intent}",
        details={
            "meeting_id": write.meeting_id,
            "since": write.intended_at.isoformat(),
            "replaces": write.replaces,
        },
    )


def attendee_update(write: Write, external_id: str, addresses: Sequence[str]) -> Sealed:
    """Build the request that replaces the attendees of a meeting.

    A key answers for its first payload whatever comes with it later, and is not bound to a record, so
    both are part of it.
    """
    body = compact({"fields": {ATTENDEES: list(addresses)}})
    digest = blake2b(f"{external_id}\n{body}".encode(), digest_size=16).hexdigest()
    return Sealed(
        operation=Operation.UPDATE,
        method="POST",
        path=path_of_meeting(external_id),
        body=body,
        key=f"ms-{write.intent}-{digest}",
        external_id=external_id,
    )


def deletion(external_id: str) -> Sealed:
    """Build the request that moves a meeting to the trash."""
    path = path_of_meeting(external_id)
    return Sealed(operation=Operation.DELETE, method="DELETE", path=path, external_id=external_id)


def restoration(external_id: str) -> Sealed:
    """Build the request that takes a meeting out of the trash."""
    path = f"{path_of_meeting(external_id)}/restore"
    return Sealed(operation=Operation.RESTORE, method="POST", path=path, body="{}", external_id=external_id)


def transcript_key(external_id: str, file_id: str) -> str:
    """Name the intent to attach one file to one meeting."""
    return f"ms-transcript-{blake2b(f'{external_id} {file_id}'.encode(), digest_size=16).hexdigest()}"


def differs(base: Mapping[Field, Value], shown: Values, changed: frozenset[Field]) -> bool:
    """Tell whether a field to be written is no longer what the write was planned upon."""
    return any(name in base and name in shown and base[name] != shown[name] for name in changed)
