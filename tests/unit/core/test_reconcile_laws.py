"""The planner's laws, over up to six connections of random capabilities."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_engine.core.fields import same
from sync_engine.core.meeting import Field, Value
from sync_engine.core.plan import EntryKind
from sync_engine.core.policy import Policy
from sync_engine.core.projection import project
from sync_engine.core.refs import RefState
from tests.unit.core.model_world import Connection, ModelWorld
from tests.unit.core.strategies import edits, rounds_of_edits, worlds

RELAXED = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
REACHED: Counter[str] = Counter()


def build(drawn: tuple[list[Connection], Policy]) -> ModelWorld:
    connections, policy = drawn
    world = ModelWorld(connections, policy, born_at=connections[0].name)
    for connection in connections[1:]:
        if connection.record is not None:
            world.link(connection.name)
            REACHED["twin"] += 1
    world.settle()
    return world


def edit(world: ModelWorld, change: tuple[str, Field, Value]) -> bool:
    name, what, value = change
    connection = world.connections[name]
    can = connection.capabilities.of(what)
    if connection.record is None or name not in world.refs or can is None or not can.readable:
        return False
    stored = connection.normalise({what: value})[what]
    if what in connection.record and same(connection.record[what], stored):
        return False
    connection.record[what] = stored
    return True


def assert_agreement(world: ModelWorld) -> None:
    for name, ref in world.refs.items():
        connection = world.connections[name]
        if not ref.is_live or connection.record is None:
            continue
        for what, can in connection.capabilities.fields.items():
            shown = connection.record.get(what)
            wanted = project(world.meeting, what, can, shown)
            if wanted is None or not can.readable or what in ref.held or what in ref.frozen:
                continue
            agreed = ref.agreement.get(what)
            settled = agreed is not None and same(agreed.ours, wanted) and same(agreed.theirs, shown)
            assert same(shown, wanted) or settled, (name, what, shown, wanted, agreed)


def note_reached(world: ModelWorld) -> None:
    for connection in world.connections.values():
        REACHED.update(w.operation.value for w in connection.writes)
        REACHED.update("replace" for w in connection.writes if w.replaces)
    REACHED.update(e.kind.value for e in world.entries)
    REACHED.update("held" for r in world.refs.values() if r.held)
    REACHED.update(r.hold.kind.value for r in world.refs.values() if r.hold)


@RELAXED
@given(worlds(), st.data())
def edits_anywhere_end_in_agreement_within_two_rounds(
    drawn: tuple[list[Connection], Policy], data: st.DataObject
) -> None:
    world = build(drawn)

    for _ in range(data.draw(st.integers(1, 4))):
        for change in data.draw(rounds_of_edits(list(world.connections))):
            edit(world, change)
        rounds = world.settle()

        assert rounds <= 2
        assert_agreement(world)
    note_reached(world)


@RELAXED
@given(worlds(), st.data())
def test_a_second_reconcile_plans_nothing(
    drawn: tuple[list[Connection], Policy], data: st.DataObject
) -> None:
    world = build(drawn)
    for change in data.draw(st.lists(edits(list(world.connections)), max_size=4)):
        edit(world, change)
    world.settle()

    again = world.plan()

    assert not again.writes
    assert not again.entries
    assert again.meeting == world.meeting
    assert again.refs == world.refs


@RELAXED
@given(worlds(), st.data(), st.randoms(use_true_random=False))
def test_the_order_of_connections_does_not_matter(
    drawn: tuple[list[Connection], Policy], data: st.DataObject, rng: random.Random
) -> None:
    world = build(drawn)
    for change in data.draw(rounds_of_edits(list(world.connections))):
        edit(world, change)
    names = list(world.connections)
    rng.shuffle(names)

    straight, shuffled = world.plan(sorted(names)), world.plan(names)

    assert straight.meeting == shuffled.meeting
    assert set(straight.entries) == set(shuffled.entries)
    assert [(w.connection, w.operation, w.values) for w in straight.writes] == [
        (w.connection, w.operation, w.values) for w in shuffled.writes
    ]


@RELAXED
@given(worlds(), st.data())
def test_every_edit_is_in_the_outcome_or_in_the_journal(
    drawn: tuple[list[Connection], Policy], data: st.DataObject
) -> None:
    world = build(drawn)
    made = [c for c in data.draw(rounds_of_edits(list(world.connections))) if edit(world, c)]
    shown = {(n, f): world.connections[n].record[f] for n, f, _ in made if world.connections[n].record}  # type: ignore[index]
    before = len(world.entries)

    world.settle()

    journal = world.entries[before:]
    for (name, what), value in shown.items():
        can = world.connections[name].capabilities.fields[what]
        kept = same(project(world.meeting, what, can, value), value)
        agreed = world.refs[name].agreement.get(what)
        settled = agreed is not None and same(agreed.theirs, value)
        told = any(e.field is what and (e.connection == name) for e in journal)
        assert kept or settled or told, (name, what, value, world.meeting.values.get(what))


@RELAXED
@given(worlds(), st.data())
def test_what_a_connection_cannot_show_it_never_changes_elsewhere(
    drawn: tuple[list[Connection], Policy], data: st.DataObject
) -> None:
    world = build(drawn)
    blind = data.draw(st.sampled_from(list(world.connections)))
    hidden = frozenset(data.draw(st.sets(st.sampled_from([f for f in Field if f is not Field.SCHEDULE]))))
    before = dict(world.meeting.values)

    world.connections[blind].redacted = hidden
    world.settle()

    assert dict(world.meeting.values) == before
    assert not [e for e in world.entries if e.kind is EntryKind.CHANGED]


@RELAXED
@given(worlds(), st.data())
def test_a_proven_deletion_reaches_every_side_that_may_delete_and_never_comes_back(
    drawn: tuple[list[Connection], Policy], data: st.DataObject
) -> None:
    world = build(drawn)
    present = [n for n, r in world.refs.items() if r.is_live]
    name = data.draw(st.sampled_from(present))
    world.connections[name].record = None
    world.proven_gone.add(name)

    world.settle()

    assert world.refs[name].state is RefState.GONE
    for other, ref in world.refs.items():
        if other != name and ref.is_live:
            assert ref.hold is not None
    assert not world.plan().writes
    REACHED.update(w.operation.value for c in world.connections.values() for w in c.writes)


def test_edits_anywhere_end_in_agreement_within_two_rounds() -> None:
    REACHED.clear()

    edits_anywhere_end_in_agreement_within_two_rounds()

    wanted = {"create", "update", "replace", "conflict", "first_link", "twin", "held", "deferred", "grace"}
    assert {w for w in wanted if REACHED[w] < 5} == set(), REACHED
