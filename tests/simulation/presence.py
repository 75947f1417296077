"""Which records there must be: one of each meeting, none too many, none gone without a person's word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from sync_engine.core.meeting import Status
from sync_engine.core.refs import RefState
from tests.simulation.case import Case
from tests.simulation.ledger import Matter, Seen

LIVE = {RefState.LINKED, RefState.READ_ONLY}


def nobody_is_unknown(case: Case) -> Iterator[str]:
    """Every live record is one of a meeting people know, and the engine knows it too."""
    for seen in case.groups.get(0, []):
        yield f"{seen.connection}/{seen.id[-8:]} belongs to no meeting of people"
    for _, records in case.matters():
        for seen in records:
            known = case.says.refs.get(seen.key)
            if seen.live and case.in_window(seen) and not case.is_waiting(seen):
                if known is None:
                    yield f"m{seen.token:03} at {seen.connection} is unknown to the engine"
                elif known.ref.state not in LIVE and known.ref.state is not RefState.GONE:
                    yield f"m{seen.token:03} at {seen.connection} is there, but {known.ref.state}"
                elif known.ref.state is RefState.GONE:
                    yield f"m{seen.token:03} at {seen.connection} is there, but counts as gone"


def one_record_each(case: Case) -> Iterator[str]:
    """At most one live record per meeting and connection, people's own copies aside; none made twice."""
    for matter, records in case.matters():
        if matter.is_series:
            if not case.may_have_strays(matter):
                yield from _one_of_each_date(matter, records)
            continue
        live = Counter(s.connection for s in records if s.live and not case.is_waiting(s))
        ours = Counter(s.connection for s in records if s.live and s.by_api and not case.is_waiting(s))
        for connection, number in ours.items():
            if number > 1 and not case.may_have_strays(matter):
                yield f"m{matter.token:03}: {number} records made by us at {connection}"
        for connection, number in live.items():
            if number > 1 and not case.may_have_strays(matter):
                yield f"m{matter.token:03}: {number} records at {connection}"
        meetings = case.meetings_of(s for s in records if s.live)
        if len(meetings) > 1 and not case.may_have_strays(matter):
            yield f"m{matter.token:03}: split into {len(meetings)} meetings"


def _one_of_each_date(matter: Matter, records: list[Seen]) -> Iterator[str]:
    for connection in {s.connection for s in records}:
        starts = Counter(s.start for s in records if s.live and s.connection == connection)
        twice = [start for start, number in starts.items() if number > 1]
        if twice:
            yield f"m{matter.token:03}: a date of the series stands twice at {connection}"


def nothing_is_missing(case: Case) -> Iterator[str]:
    """A meeting that takes place has a record everywhere, or the engine says why not."""
    for matter, records in case.matters():
        for meeting_id in case.meetings_of(s for s in records if s.live):
            meeting = case.says.meetings[meeting_id]
            if meeting.status is Status.CANCELLED or meeting_id in case.says.questioned:
                continue
            refs = case.says.of_meeting[meeting_id]
            for connection in ("attio", "prospects", "lightfield"):
                ref = refs.get(connection)
                if ref is None:
                    schedule = meeting.schedule
                    window = case.stage.engine.window(case.stage.tenant)
                    if schedule and window.start < schedule.end and schedule.start < window.end:
                        yield f"m{matter.token:03}: {connection} is not wanted, and nobody says why"
                elif ref.ref.state in {RefState.GONE, RefState.DETACHED}:
                    if not _deleted_by_people(case, matter, connection):
                        yield f"m{matter.token:03}: gone at {connection} although no person deleted it"
                elif ref.ref.state not in LIVE and ref.ref.hold is None:
                    yield f"m{matter.token:03}: {ref.ref.state} at {connection} without a reason"
                elif ref.ref.state in LIVE:
                    key = (connection, ref.ref.external_id or "")
                    there = next((s for s in records if s.key == key), None)
                    if there is None or not there.live:
                        hidden = connection == "attio" and there is not None and there.raw.get("hidden")
                        if not hidden and not (there and case.is_waiting(there)):
                            yield f"m{matter.token:03}: linked at {connection} to a record that is not there"


def _deleted_by_people(case: Case, matter: Matter, connection: str | None = None) -> bool:
    cancels = case.ledger.of(matter.token, ["cancel"])
    if case.stage.mood.calendars and any(d.connection == "zoom" for d in cancels):
        return True
    return any(connection in (None, d.connection) for d in cancels)


def no_deletion_without_a_person(case: Case) -> Iterator[str]:
    """No record is deleted by us unless a person deleted the meeting, or another record took its place."""
    by_people = {(d.connection, d.record) for d in case.ledger.deeds if d.field == "cancel"}
    for matter, records in case.matters():
        for seen in records:
            if seen.live or seen.key in by_people or seen.raw.get("webinar"):
                continue
            if _deleted_by_people(case, matter):
                continue
            replaced = any(
                s.connection == seen.connection and s.id != seen.id and (s.live or not s.by_api)
                for s in records
            )
            if not replaced:
                yield f"m{matter.token:03}: {seen.connection}/{seen.id[-8:]} deleted without a person's word"


def what_was_cancelled_stays_away(case: Case) -> Iterator[str]:
    """A meeting a person cancelled, and nobody touched since or shortly before, has no record left."""
    if case.stage.mood.deletions != "propagate":
        return
    for matter, records in case.matters():
        if matter.is_series or matter.copies or case.stage.mood.calendars:
            continue
        deeds = case.ledger.of(matter.token)
        if not deeds or deeds[-1].field != "cancel":
            continue
        cancelled = deeds[-1]
        earlier = [d for d in deeds[:-1] if cancelled.at - d.at < timedelta(hours=40)]
        if earlier or cancelled.raced:
            continue
        for seen in records:
            ref = case.says.refs.get(seen.key)
            excused = ref is not None and (
                ref.ref.hold is not None or _had_started(case, ref.meeting_id, cancelled.at)
            )
            if seen.live and not excused and not case.is_waiting(seen):
                yield f"m{matter.token:03}: cancelled at {cancelled.connection}, still at {seen.connection}"


def _had_started(case: Case, meeting_id: str, at: object) -> bool:
    # A cancellation counts when it is noticed; a meeting that began before then is left where it is.
    schedule = case.says.meetings[meeting_id].schedule
    return schedule is not None and schedule.start <= case.now
