"""Write the journal in the store's words."""

from __future__ import annotations

from collections.abc import Mapping

from sync_engine.core.plan import Entry, EntryKind
from sync_engine.services.engine import Engine
from sync_engine.services.run import Run
from sync_engine.store.codec import value_to_json
from sync_engine.store.journal import JournalEntry
from sync_engine.store.unit_of_work import UnitOfWork


def note(
    uow: UnitOfWork,
    engine: Engine,
    run: Run,
    workspace: str,
    meeting_id: str | None,
    kind: EntryKind,
    connection: str,
    cause: str,
    *,
    details: Mapping[str, object] | None = None,
) -> None:
    """Write one entry that is about no field."""
    uow.journal.append(
        [
            JournalEntry(
                id=engine.new_id(),
                workspace=workspace,
                at=engine.now(),
                kind=kind.value,
                cause=cause,
                meeting_id=meeting_id,
                run_id=run.id,
                connection=connection,
                details=dict(details) if details else None,
            )
        ]
    )


def journalled(engine: Engine, run: Run, workspace: str, meeting_id: str, entry: Entry) -> JournalEntry:
    """Turn an entry of a plan into one of the journal."""
    return JournalEntry(
        id=engine.new_id(),
        workspace=workspace,
        at=engine.now(),
        kind=entry.kind.value,
        cause=entry.cause,
        meeting_id=meeting_id,
        run_id=run.id,
        connection=entry.connection,
        field=entry.field.value if entry.field else None,
        before=value_to_json(entry.before) if entry.before is not None else None,
        after=value_to_json(entry.after) if entry.after is not None else None,
    )
