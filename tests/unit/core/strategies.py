"""Random connections and random people, for the planner's laws."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from sync_engine.core.capabilities import Capabilities, Creatable, FieldCapability, Ownership, Updatable
from sync_engine.core.meeting import Field, Participant, Response, Value, participants
from sync_engine.core.normalise import (
    Normaliser,
    cut,
    emails_only,
    known_end,
    or_else,
    start_only,
    whole_minutes,
    without_names,
    without_zone,
)
from sync_engine.core.policy import Policy, Rules
from sync_engine.core.ports import Window
from tests.unit.core.model_world import NOW, Connection, full_record, schedule

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
_EMAILS = st.sampled_from([f"p{i}@example.org" for i in range(6)])
_TEXT = st.sampled_from(
    ["", "Kick-off", "Kick-off (moved)", "Review", "A much longer title that some must cut"]
)
_LINES = st.lists(st.sampled_from(["one", "two", "three", "four", "five"]), max_size=5).map("\n".join)

VALUES: dict[Field, st.SearchStrategy[Value]] = {
    Field.TITLE: _TEXT,
    Field.DESCRIPTION: _LINES,
    Field.SCHEDULE: st.builds(
        schedule,
        st.integers(0, 5),
        st.sampled_from([15, 30, 45, 90]),
        st.sampled_from(["Europe/Berlin", "America/New_York"]),
    ),
    Field.LOCATION: st.sampled_from(["", "Room 1", "Room 2"]),
    Field.JOIN_URL: st.sampled_from(["https://zoom.us/j/97763643886", "https://zoom.us/j/91111111111"]),
    Field.ORGANIZER: st.sampled_from(["host@acme.example", "other@acme.example"]),
    Field.PARTICIPANTS: st.lists(
        st.builds(Participant, _EMAILS, st.none(), st.sampled_from([None, Response.ACCEPTED])), max_size=4
    ).map(participants),
    Field.KIND: st.sampled_from(["virtual", "phone", "in-person"]),
}

_NORMALISERS: dict[Field, list[Normaliser]] = {
    Field.TITLE: [cut(200), cut(20), or_else("Meeting", cut(30))],
    Field.DESCRIPTION: [cut(2000), cut(9)],
    Field.SCHEDULE: [whole_minutes, without_zone, known_end, start_only(timedelta(minutes=30))],
    Field.PARTICIPANTS: [emails_only, without_names],
}


@st.composite
def field_capabilities(draw: st.DrawFn, name: Field) -> FieldCapability:
    """Draw what one connection can do with one field."""
    readable = draw(st.booleans() | st.just(True))
    capability = FieldCapability(
        readable=readable,
        creatable=True,
        updatable=draw(st.sampled_from([*Updatable, Updatable.ALWAYS, Updatable.NEVER])),
    )
    choices = _NORMALISERS.get(name)
    return replace(capability, normalise=draw(st.sampled_from(choices))) if choices else capability


@st.composite
def capabilities(draw: st.DrawFn) -> Capabilities:
    """Draw what one connection can hold; every one holds at least a schedule."""
    fields = {name: draw(field_capabilities(name)) for name in Field if draw(st.integers(0, 3))}
    fields[Field.SCHEDULE] = replace(draw(field_capabilities(Field.SCHEDULE)), readable=True)
    return Capabilities(
        fields=fields,
        create=draw(
            st.sampled_from([Creatable.ANY, Creatable.ANY, Creatable.FUTURE, Creatable.PAST, Creatable.NEVER])
        ),
        delete=draw(st.sampled_from(list(Ownership))),
        replace=draw(st.sampled_from([Ownership.OWN, Ownership.OWN, Ownership.NO])),
        restore=draw(st.booleans()),
        twins=draw(st.booleans()),
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Connection], Policy]:
    """Draw two to six connections of one meeting; some already have a perturbed copy of it."""
    names = NAMES[: draw(st.integers(2, 6))]
    connections = [Connection(name, draw(capabilities())) for name in names]
    connections[0].record = connections[0].normalise(full_record())
    for other in connections[1:]:
        if draw(st.integers(0, 2)) == 0:
            copy = full_record()
            for name in draw(st.lists(st.sampled_from(list(Field)), max_size=2)):
                copy[name] = draw(VALUES[name])
            other.record = other.normalise(copy)
    rules = {
        name: Rules(
            replace=draw(st.integers(0, 3)) > 0, twin_grace=timedelta(minutes=draw(st.sampled_from([0, 15])))
        )
        for name in names
    }
    policy = Policy(
        window=Window(NOW - timedelta(days=30), NOW + timedelta(days=180)),
        connections=rules,
        precedence=tuple(draw(st.permutations(names))),
        owners={Field.TITLE: names[-1]} if draw(st.booleans()) else {},
    )
    return connections, policy


def edits(names: list[str]) -> st.SearchStrategy[tuple[str, Field, Value]]:
    """Draw one person's edit: where, which field, what."""
    return st.sampled_from(list(Field)).flatmap(
        lambda name: st.tuples(st.sampled_from(names), st.just(name), VALUES[name])
    )


def crowds(names: list[str]) -> st.SearchStrategy[list[tuple[str, Field, Value]]]:
    """Draw several people changing the same field at different sides before anybody syncs."""

    def at(where: list[str], name: Field) -> st.SearchStrategy[list[tuple[str, Field, Value]]]:
        return st.tuples(*(st.tuples(st.just(n), st.just(name), VALUES[name]) for n in where)).map(list)

    places = st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True)
    return st.sampled_from(list(Field)).flatmap(lambda name: places.flatmap(lambda where: at(where, name)))


def rounds_of_edits(names: list[str]) -> st.SearchStrategy[list[tuple[str, Field, Value]]]:
    """Draw what people do between two syncs: edits here and there, or a crowd on one field."""
    return st.one_of(st.lists(edits(names), min_size=1, max_size=4), crowds(names))
