"""What people do between the syncs, and what must be true afterwards.

Every claim looks at the records the sandboxes hold (or at the engine's journal where it says so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sync_engine.core.meeting import Field
from sync_engine.core.plan import EntryKind
from sync_engine.demo.data import (
    ATTIO,
    BUYER,
    BUYERS_BOSS,
    BUYERS_ENGINEER,
    DANIEL,
    LENA,
    LIGHTFIELD,
    PROSPECTS,
    ZONE,
    ZOOM,
    at,
)
from sync_engine.demo.sides import Mark, Record, Row
from sync_engine.demo.stage import Act, Stage

QUIET_HOUR, EVENING = at(0, "08:45"), at(0, "18:30")

CONTRACT_TALK, SCREENING = at(3, "11:30"), at(2, "16:00")
PANEL_AT_ZOOM, PANEL_IN_THE_CRM = at(1, "14:30"), at(1, "16:00")
NEW_TITLE = "Renewal and expansion: Orchard Clinics"
AGENDA = "CV walk-through, then her questions"
PRIVATE_NOTE = "Hopes for 95k. Not for the client."
EXPLAINED = "panel"


@dataclass(frozen=True)
class Edit:
    """One thing somebody does at one side."""

    who: str
    side: str
    what: str
    do: Callable[[Stage], object]


@dataclass(frozen=True)
class Claim:
    """One sentence about the outcome, and how to find out whether it is true."""

    text: str
    holds: Callable[[Stage, Act], bool]


def row_of(stage: Stage, key: str) -> Row:
    """Find a meeting of the story; raises KeyError when the engine knows of none."""
    return stage.board().row_of(*stage.week.records[key])


def shown(stage: Stage, key: str) -> Mapping[str, Record]:
    """Give what each side that has a record of a meeting shows."""
    return {name: cell.record for name, cell in row_of(stage, key).cells.items() if cell.record is not None}


def _at_the_crm(stage: Stage, key: str) -> str:
    return str(shown(stage, key)[PROSPECTS]["id"])


def _book_without_a_link(stage: Stage) -> None:
    week = stage.week
    made = stage.world.prospect_crm.people.book(
        week.prospects[DANIEL], at(4, "11:00"), ZONE.key, "virtual", week.users[LENA]
    )
    week.records["virtual"] = (PROSPECTS, made)


def edits(stage: Stage) -> Iterator[Edit]:
    """Give what people do on Monday morning, in order."""
    zoom, crm, calendar = (
        stage.world.zoom.people,
        stage.world.prospect_crm.people,
        stage.world.attio.people,
    )
    number = stage.week.id_of
    yield Edit(
        "Marco", ZOOM, "moves the contract talk from Wednesday to Thu 11:30",
        lambda _: zoom.move(number("contract"), CONTRACT_TALK),
    )  # fmt: skip
    yield Edit(
        "Priya", ZOOM, "renames the renewal to “Renewal and expansion”",
        lambda _: zoom.rename(number("renewal"), NEW_TITLE),
    )  # fmt: skip
    yield Edit(
        "Marco", ZOOM, "invites the buyer’s engineer to the product demo",
        lambda _: zoom.invite(number("demo"), BUYERS_ENGINEER),
    )  # fmt: skip
    yield Edit(
        "the buyer", ATTIO, "adds her boss, in the calendar that Attio follows",
        lambda _: calendar.invite(number("twin"), BUYERS_BOSS),
    )  # fmt: skip
    yield Edit(
        "Lena", PROSPECTS, "moves Wei Chen’s screening to Wed 16:00",
        lambda s: crm.move(_at_the_crm(s, "wei"), SCREENING),
    )  # fmt: skip
    yield Edit(
        "Lena", PROSPECTS, "notes there what Wei hopes to earn: internal",
        lambda s: crm.append_notes(_at_the_crm(s, "wei"), PRIVATE_NOTE),
    )  # fmt: skip
    yield Edit(
        "Priya", ZOOM, "writes an agenda for that same screening",
        lambda _: zoom.describe(number("wei"), AGENDA),
    )  # fmt: skip
    yield Edit(
        "Priya", ZOOM, "cancels Thursday’s onboarding",
        lambda _: zoom.cancel(number("workshop")),
    )  # fmt: skip
    yield Edit(
        "Lena", PROSPECTS, "books Daniel Brandt, virtual, Fri 11:00, without a link",
        _book_without_a_link,
    )  # fmt: skip
    yield Edit(
        "Lena", ZOOM, "moves the panel interview to Tue 14:30",
        lambda _: zoom.move(number("panel"), PANEL_AT_ZOOM),
    )  # fmt: skip
    yield Edit(
        "Marco", PROSPECTS, "moves the same panel interview to Tue 16:00",
        lambda s: crm.move(_at_the_crm(s, "panel"), PANEL_IN_THE_CRM),
    )  # fmt: skip


EVERYWHERE = (
    Claim("every side agrees with every other, as far as it can", lambda s, _: not s.board().disagreements()),
    Claim("nothing failed, nothing waits for a person", lambda _, act: not act.summary.needs_attention),
    Claim(
        "the engine’s count of requests is the servers’ count",
        lambda _, act: act.summary.requests == act.asked,
    ),
)

AFTER_THE_FIRST = (
    *EVERYWHERE,
    Claim("the calendar’s copy of the product demo is one meeting with Zoom’s", lambda s, _: _is_one(s)),
    Claim(
        "Friday’s debrief, over and done, stands in Lightfield",
        lambda s, _: LIGHTFIELD in shown(s, "debrief"),
    ),
)

AFTER_THE_EDITS = (
    *EVERYWHERE,
    Claim(
        "the contract talk is on Thu 11:30, at Zoom and in Attio",
        lambda s, _: _starts(s, "contract", CONTRACT_TALK, {ZOOM, ATTIO}),
    ),
    Claim("the renewal has its new name wherever names are kept", lambda s, _: _is_renamed(s)),
    Claim("both new guests are on Zoom’s list, neither edit lost", lambda s, _: _has_guests(s)),
    Claim(
        "Wei’s screening has the CRM’s time and Zoom’s agenda",
        lambda s, _: _starts(s, "wei", SCREENING, {ZOOM, ATTIO, PROSPECTS}) and _has_agenda(s),
    ),
    Claim("the internal note is still in the CRM, and nowhere else", lambda s, _: _note_stayed(s)),
    Claim("the cancelled onboarding is gone from every side", lambda s, _: not shown(s, "workshop")),
    Claim("Daniel’s meeting got a Zoom room, its link is in the CRM", lambda s, _: _has_a_link(s)),
    Claim(
        "the panel interview: Zoom’s 14:30 won on all three sides",
        lambda s, _: _starts(s, "panel", PANEL_AT_ZOOM, {ZOOM, ATTIO, PROSPECTS}),
    ),
    Claim("the losing 16:00 is kept in the journal", lambda s, act: _loser_is_kept(s, act)),
)

AFTER_THE_DAY = (
    *EVERYWHERE,
    Claim("today’s four meetings are over and stand in Lightfield", lambda s, _: _day_is_kept(s)),
)

AT_REST = (
    Claim("the engine wrote nothing", lambda _, act: _wrote_nothing(act)),
    Claim("no server was asked to change anything", lambda _, act: _only_reads(act)),
    Claim("no record differs from before", lambda _, act: act.changed_records == 0),
)


def _is_one(stage: Stage) -> bool:
    return row_of(stage, "demo").meeting.id == row_of(stage, "twin").meeting.id


def _starts(stage: Stage, key: str, start: datetime, sides: set[str]) -> bool:
    records = shown(stage, key)
    return records.keys() == sides and all(record["start"] == start for record in records.values())


def _is_renamed(stage: Stage) -> bool:
    titles = {record["title"] for record in shown(stage, "renewal").values()}
    return titles - {None} == {NEW_TITLE}


def _has_guests(stage: Stage) -> bool:
    return set(shown(stage, "demo")[ZOOM]["participants"]) == {BUYER, BUYERS_ENGINEER, BUYERS_BOSS}


def _has_agenda(stage: Stage) -> bool:
    records = shown(stage, "wei")
    return all(AGENDA in records[side]["description"] for side in (ZOOM, ATTIO))


def _note_stayed(stage: Stage) -> bool:
    holders = {
        name
        for name, records in stage.records().items()
        for record in records.values()
        if any(PRIVATE_NOTE in str(value) for value in record.values())
    }
    return holders == {PROSPECTS}


def _has_a_link(stage: Stage) -> bool:
    records = shown(stage, "virtual")
    return ZOOM in records and records[PROSPECTS]["location"] == records[ZOOM]["join_url"]


def _loser_is_kept(stage: Stage, act: Act) -> bool:
    meeting = row_of(stage, "panel").meeting.id
    return any(
        entry.meeting_id == meeting
        and entry.kind == EntryKind.CONFLICT
        and entry.field == Field.SCHEDULE
        and datetime.fromisoformat(entry.before["start"]) == PANEL_IN_THE_CRM
        for entry in act.journal
    )


def _day_is_kept(stage: Stage) -> bool:
    keys = ("jonas", "fjordline", "tessera", "amara")
    return all(row_of(stage, key).cells[LIGHTFIELD].mark is Mark.AGREES for key in keys)


def _wrote_nothing(act: Act) -> bool:
    summary = act.summary
    return not (summary.created or summary.updated or summary.deleted)


def _only_reads(act: Act) -> bool:
    return all(set(methods) <= {"GET"} for methods in act.asked.values())
