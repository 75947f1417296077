"""How the values of each field compare, and how a change of one side is applied to another value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from sync_engine.core.line_merge import merge_lines
from sync_engine.core.links import conference_keys
from sync_engine.core.meeting import Field, Participant, Participants, Schedule, Value


def same(one: Value | None, other: Value | None) -> bool:
    """Tell whether two values of a field say the same.

    What one of them does not show (a zone, a participant's name, an assumed end) is no difference.
    """
    if one is None or other is None:
        return one is other
    if isinstance(one, Schedule) and isinstance(other, Schedule):
        return _same_schedule(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return _same_people(one, other)
    return one == other


def _same_schedule(one: Schedule, other: Schedule) -> bool:
    if one.start != other.start or one.all_day != other.all_day:
        return False
    if one.zone and other.zone and one.zone != other.zone:
        return False
    return one.end == other.end or one.assumed_end or other.assumed_end


def _same_people(one: Participants, other: Participants) -> bool:
    if len(one) != len(other):
        return False
    for a, b in zip(one, other, strict=True):
        if a.email != b.email:
            return False
        if a.name is not None and b.name is not None and a.name != b.name:
            return False
        if a.response is not None and b.response is not None and a.response != b.response:
            return False
    return True


def completes(known: Value, shown: Value) -> bool:
    """Tell whether ``shown``, which says the same, also says something ``known`` left open."""
    if isinstance(known, Schedule) and isinstance(shown, Schedule):
        ends = known.assumed_end and not shown.assumed_end
        return ends or (known.zone is None and shown.zone is not None)
    if isinstance(known, tuple) and isinstance(shown, tuple):
        return any(
            (a.name is None and b.name is not None) or (a.response is None and b.response is not None)
            for a, b in zip(known, shown, strict=False)
        )
    return False


def is_invitation(name: Field, value: Value | None) -> bool:
    """Tell whether a description is (also) a conference system's invitation: it holds a join link.

    Calendars put such texts, passcodes included, into copies of a meeting; nobody wrote them about it.
    """
    return name is Field.DESCRIPTION and isinstance(value, str) and bool(conference_keys(value))


def is_empty(value: Value | None) -> bool:
    """Tell whether a value says nothing."""
    return value is None or value == "" or value == ()


def digest(value: object) -> str:
    """Give a short name for a value, to recognise it without keeping it."""
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


def apply_edit(name: Field, current: Value | None, before: Value | None, after: Value) -> Value:
    """Apply what one side changed (``before`` → ``after``) to the canonical value.

    A side often shows less than the canonical value holds: only a start, only addresses, only the first
    2000 characters. Applying the *change* rather than taking the value keeps what it cannot show.
    """
    apply = _APPLY.get(name)
    if apply is None or current is None:
        return after
    return apply(current, before, after)


def _apply_schedule(current: Value, before: Value | None, after: Value) -> Value:
    if not (isinstance(current, Schedule) and isinstance(after, Schedule)):
        return after
    known = before if isinstance(before, Schedule) else None
    zone = after.zone
    if zone is None or (known and zone == known.zone):
        zone = current.zone or after.zone
    if after.all_day or current.all_day:
        return replace(after, zone=None if after.all_day else zone)
    keeps_length = after.assumed_end or (known is not None and after.length == known.length)
    if not keeps_length:
        return replace(after, zone=zone)
    assumed = current.assumed_end
    return Schedule(after.start, after.start + current.length, zone, assumed_end=assumed)


def _apply_people(current: Value, before: Value | None, after: Value) -> Value:
    if not (isinstance(current, tuple) and isinstance(after, tuple)):
        return after
    known = {p.email: p for p in before} if isinstance(before, tuple) else {}
    shown = {p.email: p for p in after}
    people = {p.email: p for p in current if p.email not in known or p.email in shown}
    for email, person in shown.items():
        mine, earlier = people.get(email), known.get(email)
        if mine is None:
            if earlier is None:
                people[email] = person
            continue
        people[email] = Participant(
            email,
            person.name if person.name and (not earlier or person.name != earlier.name) else mine.name,
            person.response
            if person.response and (not earlier or person.response != earlier.response)
            else mine.response,
        )
    return tuple(people[email] for email in sorted(people))


def _apply_text(current: Value, before: Value | None, after: Value) -> Value:
    if not (isinstance(current, str) and isinstance(after, str) and isinstance(before, str)):
        return after
    if current == before:
        return after
    merged = merge_lines(before, current, after)
    return after if merged is None else merged


_APPLY: Mapping[Field, Callable[[Value, Value | None, Value], Value]] = {
    Field.SCHEDULE: _apply_schedule,
    Field.PARTICIPANTS: _apply_people,
    Field.DESCRIPTION: _apply_text,
}


def merge(name: Field, base: Value | None, ours: Value | None, theirs: Value) -> Value | None:
    """Merge two changes of one field that do not contradict each other; None when they do.

    Participants merge per address, descriptions by line; every other field is a single value.
    """
    if name is Field.PARTICIPANTS and isinstance(ours, tuple):
        return apply_edit(name, ours, base if base is not None else (), theirs)
    if (
        name is Field.DESCRIPTION
        and isinstance(base, str)
        and isinstance(ours, str)
        and isinstance(theirs, str)
    ):
        return merge_lines(base, ours, theirs)
    return None
