"""Convergence: every side shows the same, as far as it can; and nothing nobody ever wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sync_engine.core.meeting import Field, Status
from tests.simulation.case import Case
from tests.simulation.ledger import Matter, Seen
from tests.simulation.stage import HOSTS

# What each side shows of a meeting, and how much of it: the oracle's own, small table.
TITLE_ROOM = 200
TEXT_ROOM = 2000


def _start(seen: Seen) -> Any:
    return seen.start.replace(second=0) if seen.start else None


def _end(seen: Seen) -> Any:
    return seen.end.replace(second=0) if seen.end else None


def _title(seen: Seen) -> Any:
    return seen.title[:TITLE_ROOM].rstrip() or None


def _text(seen: Seen) -> Any:
    # A calendar's copy may carry the link as a line of its text.
    lines = [line.rstrip() for line in seen.words.split("\n") if "zoom.us/j/" not in line]
    return "\n".join(lines).strip()[:TEXT_ROOM].strip()


def _people(seen: Seen) -> Any:
    return frozenset(seen.people - set(HOSTS))


Shown = Callable[[Seen], Any]
FIELDS: dict[str, tuple[Field, Shown, frozenset[str]]] = {
    "start": (Field.SCHEDULE, _start, frozenset({"zoom", "attio", "lightfield", "prospects"})),
    "end": (Field.SCHEDULE, _end, frozenset({"zoom", "attio", "lightfield"})),
    "title": (Field.TITLE, _title, frozenset({"zoom", "attio", "lightfield"})),
    "description": (Field.DESCRIPTION, _text, frozenset({"zoom", "attio", "lightfield"})),
    "people": (Field.PARTICIPANTS, _people, frozenset({"zoom", "attio", "lightfield"})),
}
# Where a side may hold a field back although the engine may write there.
MAY_HOLD: dict[str, frozenset[Field]] = {
    "zoom": frozenset({Field.SCHEDULE, Field.ORGANIZER, Field.KIND, Field.JOIN_URL}),
    "attio": frozenset(Field),
    "lightfield": frozenset(Field),
    "prospects": frozenset({Field.PARTICIPANTS, Field.ORGANIZER}),
}


def all_sides_agree(case: Case) -> Iterator[str]:
    """Sides that can show a field show the same, except where the engine says it holds it."""
    for matter, records in case.matters():
        meetings = sorted(case.meetings_of(s for s in records if s.live))
        for meeting_id in meetings:
            meeting = case.says.meetings[meeting_id]
            if meeting.status is Status.CANCELLED or meeting_id in case.says.questioned:
                continue
            live = [s for s in records if s.live and case.meeting_of(s) == meeting_id]
            for name, (core_field, shown, sides) in FIELDS.items():
                open_sides = [
                    s for s in live
                    if s.connection in sides and not s.hidden and not _excused(case, s, core_field)
                    and not (name == "people" and _only_adds(case, s))
                ]  # fmt: skip
                values = {s.connection: shown(s) for s in open_sides}
                if len(set(values.values())) > 1:
                    yield f"m{matter.token:03}: {name} differs: {_brief(values)}"
            if len(meetings) == 1:
                yield from _block_is_right(case, matter, live)
        yield from _holds_are_lawful(case, matter, records)


def _excused(case: Case, seen: Seen, name: Field) -> bool:
    ref = case.says.refs.get(seen.key)
    if ref is None or case.is_waiting(seen):
        return True
    return name in ref.ref.held or name in ref.ref.frozen or ref.ref.hold is not None


def _only_adds(case: Case, seen: Seen) -> bool:
    """A Zoom that merges lists cannot take anybody out; whoever is added there is checked by the edits."""
    return seen.connection == "zoom" and bool(case.stage.mood.switches["zoom.patch_merges_arrays"])


def _brief(values: dict[str, Any]) -> str:
    def one(value: Any) -> str:
        if isinstance(value, frozenset):
            return "{" + ", ".join(sorted(v.partition("@")[0] for v in value)) + "}"
        return f"{value:%m-%d %H:%M}" if hasattr(value, "strftime") else repr(value)[-60:]

    return "; ".join(f"{k}={one(v)}" for k, v in sorted(values.items()))


def _block_is_right(case: Case, matter: Matter, live: list[Seen]) -> Iterator[str]:
    """What the CRM has no field for stands in our block as the others show it."""
    crm = next((s for s in live if s.connection == "prospects"), None)
    zoom = next((s for s in live if s.connection == "zoom"), None)
    if crm is None or zoom is None or _excused(case, crm, Field.TITLE) or _excused(case, zoom, Field.TITLE):
        return
    if matter.born_at != "prospects" and crm.block.get("Title", "")[:TITLE_ROOM].rstrip() != _title(zoom):
        yield f"m{matter.token:03}: the block's title is {crm.block.get('Title')!r}, Zoom's {zoom.title!r}"
    number = zoom.id.partition("/")[0]
    if zoom.join_url and number not in crm.block.get("Join", "") + crm.location:
        yield f"m{matter.token:03}: the join link does not reach the CRM"


def _holds_are_lawful(case: Case, matter: Matter, records: list[Seen]) -> Iterator[str]:
    hides = bool(case.ledger.of(matter.token, ["private"]))
    for seen in records:
        ref = case.says.refs.get(seen.key)
        if not seen.live or ref is None or hides or "/" in seen.id:
            continue
        for name, held in ref.ref.held.items():
            if name not in MAY_HOLD[seen.connection]:
                yield f"m{matter.token:03}: {seen.connection} holds {name.value} back: {held.reason}"


def values_come_from_people(case: Case) -> Iterator[str]:
    """What a record shows was written by a person somewhere, and nobody was left out whom nobody took out."""
    for matter, records in case.matters():
        if len(case.meetings_of(s for s in records if s.live)) > 1:
            # A copy that went its own way is another meeting: who of them knows what is not ours to say.
            continue
        deeds = case.ledger.of(matter.token)
        came = {d.value for d in deeds if d.field == "invite"} | set(matter.guests)
        left = {d.value for d in deeds if d.field == "uninvite"}
        titles = {d.value for d in deeds if d.field == "title"} | {matter.title}
        prefixes = {t[:TITLE_ROOM].rstrip() for t in titles}
        for seen in records:
            if not seen.live or case.is_waiting(seen) or seen.hidden:
                continue
            strangers = seen.people - came - set(HOSTS)
            if strangers:
                yield f"m{matter.token:03}: nobody invited {len(strangers)} people at {seen.connection}"
            lost = set(matter.guests) - left - seen.people
            if lost and seen.connection != "prospects" and matter.born_at != "prospects":
                yield f"m{matter.token:03}: {len(lost)} guests are lost at {seen.connection}"
            invented = seen.connection != "prospects" and _title(seen) not in prefixes
            # Born of a record that hides its title, or of one that has none, it has the title of nobody.
            may_derive = matter.born_at == "prospects" or any(d.field == "private" for d in deeds)
            if invented and not (may_derive and _is_derived(seen)):
                yield f"m{matter.token:03}: nobody wrote the title at {seen.connection}: {seen.title[:40]!r}"


def _is_derived(seen: Seen) -> bool:
    return " with Pat" in seen.title or seen.title in {"", "Meeting"}
