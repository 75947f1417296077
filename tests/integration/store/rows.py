"""Valid rows for the store's tests; a test names only what it is about."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sync_engine.core.ids import Ids
from sync_engine.core.meeting import (
    Field,
    Meeting,
    Participant,
    Provenance,
    Response,
    Schedule,
    Value,
    participants,
)
from sync_engine.core.ports import Observation, Operation, Sealed
from sync_engine.core.refs import Agreed, Origin, Ref, RefState
from sync_engine.store.meetings import MeetingRow
from sync_engine.store.outbox import OutboxRow
from sync_engine.store.refs import RefRow
from sync_engine.store.unit_of_work import Store

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WORKSPACE = "acme"
ZOOM = "acme/zoom"
ATTIO = "acme/attio"
new_id = Ids(random.Random(7).getrandbits)


def values(title: str = "Demo", start: datetime = NOW) -> dict[Field, Value]:
    """Give the values of a meeting of half an hour."""
    return {
        Field.TITLE: title,
        Field.SCHEDULE: Schedule.timed(start, timedelta(minutes=30), "Europe/Berlin"),
        Field.PARTICIPANTS: participants(
            [Participant("ada@acme.example", "Ada", Response.ACCEPTED), "bo@x.example"]
        ),
    }


def meeting(title: str = "Demo", start: datetime = NOW, **facts: Any) -> MeetingRow:
    """Give a stored meeting; ``facts`` are of the meeting, except dirty and due_at."""
    row_facts = {name: facts.pop(name) for name in ("dirty", "due_at") if name in facts}
    shown = values(title, start)
    made = Meeting(
        id=new_id(NOW),
        workspace=WORKSPACE,
        revision=1,
        values=shown,
        provenance={field: Provenance("zoom", NOW, 1) for field in shown},
        origin="zoom",
    )
    return MeetingRow(replace(made, **facts), **row_facts)


def observation(external_id: str, start: datetime = NOW, **facts: Any) -> Observation:
    """Give what a connection showed of a record."""
    return Observation(external_id, values(start=start), NOW, **facts)


def ref(of: MeetingRow, external_id: str | None, connection_id: str = ZOOM, **facts: Any) -> RefRow:
    """Give a linked ref; ``facts`` are of the ref row."""
    schedule = of.meeting.schedule
    core = Ref(
        id=new_id(NOW),
        connection=connection_id.partition("/")[2],
        state=RefState.LINKED if external_id else RefState.CREATING,
        origin=Origin.FOUND,
        since=NOW,
        external_id=external_id,
        agreement={field: Agreed(value, value) for field, value in of.meeting.values.items()},
    )
    row = RefRow(core, connection_id, of.id, starts_at=schedule.start if schedule else None)
    if external_id is not None:
        row.observe(observation(external_id, schedule.start if schedule else NOW, fingerprint="f1"))
    for name, fact in facts.items():
        setattr(row, name, fact)
    return row


def intent(of: RefRow, digest: str = "d1", **facts: Any) -> OutboxRow:
    """Give an update that is due now."""
    row = OutboxRow(
        id=new_id(NOW),
        workspace=WORKSPACE,
        connection_id=of.connection_id,
        meeting_id=of.meeting_id,
        ref_id=of.id,
        operation=Operation.UPDATE,
        values=values(),
        changed=frozenset({Field.TITLE}),
        revision=1,
        created_at=NOW,
        not_before=NOW,
        external_id=of.ref.external_id,
        digest=digest,
    )
    return replace(row, **facts)


def sealed(body: str = '{"topic":"Demo"}', **facts: Any) -> Sealed:
    """Give a frozen request."""
    return replace(Sealed(Operation.UPDATE, "PATCH", "/meetings/1", body=body, key="k1"), **facts)


def prepare(store: Store, names: Iterable[str] = ("zoom", "attio")) -> None:
    """Make the workspace and its connections."""
    with store.transaction() as uow:
        uow.connections.ensure(WORKSPACE, [(name, name) for name in names], NOW)


def keep(store: Store, *rows: MeetingRow | RefRow | OutboxRow) -> None:
    """Store meetings, refs and intended writes."""
    with store.transaction() as uow:
        uow.meetings.save([row for row in rows if isinstance(row, MeetingRow)], NOW)
        uow.refs.save([row for row in rows if isinstance(row, RefRow)])
        uow.outbox.upsert_open([row for row in rows if isinstance(row, OutboxRow)], NOW)
