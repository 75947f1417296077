"""Match a record nobody knows yet with the meetings there are: link it, keep it separate, or ask.

A wrong merge is worse than a duplicate, so a link needs evidence, carries it, and can be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import SequenceMatcher
from enum import StrEnum

from sync_engine.core.meeting import Field, Meeting, Schedule, Status, Value
from sync_engine.core.ports import Json, Observation

NEARLY_SAME_START = timedelta(minutes=15)
SAME_TITLE = 0.8
MOST_PEOPLE = 0.6


class Outcome(StrEnum):
    """What becomes of a record nobody knows."""

    LINK = "link"
    SEPARATE = "separate"
    ASK = "ask"


class Holding(StrEnum):
    """What a meeting already has at the connection the record comes from."""

    NOTHING = "nothing"
    WANTED = "wanted"
    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True)
class Known:
    """A meeting a record may belong to; ``keys``: conference and iCal keys seen with it at any side.

    ``holding``: what it has at the record's connection: nothing, a record wanted but not made (or of
    unknown outcome), one we made, or one made by others.
    """

    meeting: Meeting
    holding: Holding
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Match:
    """The outcome, the meeting it is about, and the evidence (numbers and kinds, no names)."""

    outcome: Outcome
    meeting_id: str | None = None
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much a record and a meeting have in common; None where one side does not show it.

    ``start``: 1 for the same moment, 0.5 within a quarter of an hour. ``people``: the share of the smaller
    group that is in both, organizers included. ``common``: how many are in both.
    """

    start: float
    title: float | None
    people: float | None
    common: int
    key: bool

    def evidence(self, by: str) -> dict[str, Json]:
        """Give the comparison as evidence."""
        facts: dict[str, Json] = {"by": by, "same_start": self.start == 1.0, "common_people": self.common}
        if self.title is not None:
            facts["title"] = round(self.title, 2)
        if self.people is not None:
            facts["people"] = round(self.people, 2)
        return facts


def match(observation: Observation, known: Iterable[Known], *, grows_twins: bool) -> Match:
    """Decide whether a record belongs to one of the meetings near it in time.

    In order: our own mark, conference key or iCal uid with the same start, then start, people and title
    together. ``grows_twins``: the connection may show a calendar copy beside the record we made.

    Source: docs/decisions/0006-matching-evidence-and-twins.md.
    """
    pool = [k for k in known if k.meeting.status is Status.SCHEDULED]
    for one in pool:
        if one.meeting.id in observation.marks and one.holding in {Holding.NOTHING, Holding.WANTED}:
            return Match(Outcome.LINK, one.meeting.id, {"by": "mark"})
    for one in pool:
        if one.meeting.id in observation.marks and one.holding is Holding.OURS:
            facts = compare(observation, one)
            if facts.start == 1.0:
                # Two records of one meeting carry our mark: a create took effect twice, or somebody copied.
                return Match(Outcome.ASK, one.meeting.id, {**facts.evidence("mark"), "already_linked": True})
    free = {Holding.NOTHING, Holding.WANTED} | ({Holding.OURS} if grows_twins else set())
    compared = [(one, compare(observation, one)) for one in pool]
    open_to_link = [(one, c) for one, c in compared if one.holding in free]
    return _by_key(open_to_link) or _by_likeness(open_to_link) or _copies(compared, grows_twins)


def compare(observation: Observation, known: Known) -> Comparison:
    """Compare a record with a meeting."""
    theirs, ours = observation.values.get(Field.SCHEDULE), known.meeting.schedule
    keys = set(observation.links)
    if observation.ical_uid:
        keys.add(f"ical:{observation.ical_uid}")
    people, common = _people(observation, known.meeting)
    return Comparison(
        _start(theirs, ours), _title(observation, known.meeting), people, common, bool(keys & known.keys)
    )


def _start(theirs: Value | None, ours: Schedule | None) -> float:
    if not isinstance(theirs, Schedule) or ours is None or theirs.all_day != ours.all_day:
        return 0.0
    if theirs.start == ours.start:
        return 1.0
    return 0.5 if abs(theirs.start - ours.start) <= NEARLY_SAME_START else 0.0


def _title(observation: Observation, meeting: Meeting) -> float | None:
    source = meeting.provenance.get(Field.TITLE)
    theirs = observation.values.get(Field.TITLE)
    invented = Field.TITLE in observation.derived or (source is not None and source.derived)
    if invented or not isinstance(theirs, str) or not theirs or not meeting.title:
        return None
    one, other = " ".join(theirs.casefold().split()), " ".join(meeting.title.casefold().split())
    # Providers cut long titles: a title that begins the other one is the same title.
    if min(len(one), len(other)) >= 20 and (one.startswith(other) or other.startswith(one)):
        return 1.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _people(observation: Observation, meeting: Meeting) -> tuple[float | None, int]:
    theirs, ours = _everyone(observation.values), _everyone(meeting.values)
    if not theirs or not ours:
        return None, 0
    common = len(theirs & ours)
    return common / min(len(theirs), len(ours)), common


def _everyone(values: Mapping[Field, Value]) -> set[str]:
    people, organizer = values.get(Field.PARTICIPANTS), values.get(Field.ORGANIZER)
    everyone = {p.email for p in people} if isinstance(people, tuple) else set()
    if isinstance(organizer, str) and organizer:
        everyone.add(organizer)
    return everyone


def _contradicts(c: Comparison) -> bool:
    """Tell whether a shared link is likely to be a reused one: other people, another title."""
    return c.people == 0.0 and c.title is not None and c.title < SAME_TITLE


def _by_key(compared: list[tuple[Known, Comparison]]) -> Match | None:
    same = [(one, c) for one, c in compared if c.key and c.start == 1.0]
    if not same:
        return None
    # Teams reuse one link for several meetings at one time: title and people then tell them apart.
    same.sort(key=lambda pair: _likeness(pair[1]), reverse=True)
    best, c = same[0]
    if len(same) > 1 and _likeness(same[1][1]) >= _likeness(c):
        return Match(Outcome.ASK, best.meeting.id, {**c.evidence("key"), "candidates": len(same)})
    if _contradicts(c):
        return None
    return Match(Outcome.LINK, best.meeting.id, c.evidence("key"))


def _likeness(c: Comparison) -> float:
    return (c.title if c.title is not None else 0.5) + (c.people if c.people is not None else 0.5)


def _by_likeness(compared: list[tuple[Known, Comparison]]) -> Match | None:
    links = [(one, c) for one, c in compared if _is_same(c)]
    links.sort(key=lambda pair: _likeness(pair[1]), reverse=True)
    if len(links) > 1 and _likeness(links[1][1]) >= _likeness(links[0][1]):
        best, c = links[0]
        return Match(Outcome.ASK, best.meeting.id, {**c.evidence("likeness"), "candidates": len(links)})
    if links:
        best, c = links[0]
        return Match(Outcome.LINK, best.meeting.id, c.evidence("likeness"))
    doubtful = [(one, c) for one, c in compared if _may_be_same(c)]
    if not doubtful:
        return None
    best, c = max(doubtful, key=lambda pair: _likeness(pair[1]))
    return Match(Outcome.ASK, best.meeting.id, c.evidence("likeness"))


def _is_same(c: Comparison) -> bool:
    if c.start != 1.0 or not c.people or c.people < MOST_PEOPLE:
        return False
    if c.title is None:
        # Nobody sits in two meetings at once: all of the smaller group at the same moment is enough.
        return c.people == 1.0
    return c.title >= SAME_TITLE


def _may_be_same(c: Comparison) -> bool:
    if c.start == 1.0:
        titled = c.title is not None and c.title >= SAME_TITLE
        if titled and c.people is not None and 0 < c.people < MOST_PEOPLE:
            return True
        return c.people == 1.0 and c.common >= 2
    return c.start > 0 and c.title is not None and c.title >= 0.95 and (c.people or 0) >= MOST_PEOPLE


def _copies(compared: list[tuple[Known, Comparison]], grows_twins: bool) -> Match:
    """Notice a second calendar copy of a meeting: as a meeting of its own it would be doubled everywhere."""
    if grows_twins:
        for one, c in compared:
            same_title = c.title is not None and c.title >= 0.95
            if one.holding is Holding.THEIRS and _is_same(c) and same_title:
                facts = {**c.evidence("copy"), "already_linked": True}
                return Match(Outcome.ASK, one.meeting.id, facts)
    return Match(Outcome.SEPARATE)
