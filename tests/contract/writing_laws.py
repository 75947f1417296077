"""What every adapter keeps when it creates, updates and deletes."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from sync_engine.core.capabilities import Idempotency
from sync_engine.core.meeting import Field, Value
from sync_engine.core.ports import Observation, Operation, Sealed
from sync_engine.errors import (
    OutcomeUnknownError,
    RecordGoneError,
    StaleWriteError,
    UnavailableError,
)
from sync_engine.sandbox.faults import Moment
from tests.contract.bench import Bench, round_trip
from tests.contract.odd_values import values_of
from tests.contract.side import Side


def is_refused(capability: Any, value: Value) -> bool:
    return capability.refuse(value) is not None


class WritingLaws(Side):
    """Hold for projections, sealed requests and their effects."""

    @pytest.mark.parametrize("name", list(Field))
    async def test_a_normaliser_is_pure_and_idempotent(self, bench: Bench, name: Field) -> None:
        capability = bench.adapter.capabilities.of(name)
        if capability is None:
            pytest.skip("no such field here")

        @settings(max_examples=80, deadline=None, derandomize=True, database=None)
        @given(values_of(name))
        def law(value: Value) -> None:
            if is_refused(capability, value):
                return
            once = capability.normalise(value)
            assert capability.normalise(once) == once
            assert capability.normalise(value) == once
            assert not is_refused(capability, once)

        law()

    async def test_a_created_record_shows_its_projection(self, bench: Bench) -> None:
        projection = self.creation(bench)
        before = self.count_records(bench.world)

        write = bench.creating(projection, self.particulars_for_create(bench))
        written = await bench.carry_out(write)
        self.settle(bench)
        read = await bench.adapter.read(written.external_id)

        fields = bench.adapter.capabilities.fields
        expected = {name: value for name, value in projection.items() if fields[name].readable}
        assert expected
        assert {name: read.values.get(name) for name in expected} == expected
        if written.observation is not None:
            assert written.observation.external_id == written.external_id
            assert {name: written.observation.values.get(name) for name in expected} == expected
        assert self.count_records(bench.world) == before + 1

    async def test_a_created_record_turns_up_in_the_next_sweep(self, bench: Bench) -> None:
        read = await self.created(bench)

        listed = await bench.sighting(read.external_id)

        assert listed is not None
        assert listed.fingerprint == read.fingerprint

    async def test_an_echo_of_our_own_create_costs_nothing(self, bench: Bench) -> None:
        written = await bench.adapter.send(await self.sealed_creation(bench))
        self.settle(bench)

        listed = await bench.sighting(written.external_id)

        if written.observation is None:
            pytest.skip("the answer shows no record")
        assert listed is not None
        assert listed.fingerprint == written.observation.fingerprint

    async def test_a_sealed_request_survives_the_database_and_another_process(self, bench: Bench) -> None:
        sealed = await self.sealed_creation(bench)
        stored = Sealed(
            operation=Operation(sealed.operation.value),
            method=sealed.method,
            path=sealed.path,
            body=sealed.body,
            key=sealed.key,
            external_id=sealed.external_id,
            scope=sealed.scope,
            details=round_trip(dict(sealed.details)),
        )
        assert stored == sealed
        assert not [s for s in self.secrets(bench.world) if s in repr(sealed)]

        written = await bench.another_adapter(memory=round_trip(bench.adapter.memory)).send(stored)

        self.settle(bench)
        assert (await bench.adapter.read(written.external_id)).external_id == written.external_id

    async def test_preparing_a_create_changes_nothing_at_the_provider(self, bench: Bench) -> None:
        projection = self.creation(bench)
        before = self.count_records(bench.world)

        write = bench.creating(projection, self.particulars_for_create(bench))
        first = await bench.adapter.prepare(write)
        second = await bench.adapter.prepare(write)

        assert (first.body, first.key, first.path) == (second.body, second.key, second.path)
        assert self.count_records(bench.world) == before
        assert bench.adapter.write_scope(write) == first.scope

    async def test_an_idempotency_key_names_the_intent(self, bench: Bench) -> None:
        if bench.adapter.capabilities.idempotency is not Idempotency.KEY:
            pytest.skip("no idempotency keys here")
        projection = self.creation(bench)

        one = await bench.adapter.prepare(bench.creating(projection, self.particulars_for_create(bench)))
        two = await bench.adapter.prepare(bench.creating(projection, self.particulars_for_create(bench)))

        assert one.key
        assert two.key
        assert one.key != two.key

    async def test_a_create_cut_after_its_effect_is_never_doubled(self, bench: Bench) -> None:
        sealed = await self.sealed_creation(bench)
        before = self.count_records(bench.world)
        bench.sandbox.faults.append(self.striking(sealed, cut=True, moment=Moment.AFTER, times=None))

        with pytest.raises(OutcomeUnknownError):
            await bench.adapter.send(sealed)
        bench.sandbox.faults.clear()
        self.settle(bench)

        found = await self.adopted(bench, sealed)
        self.settle(bench)
        assert self.count_records(bench.world) == before + 1
        assert (await bench.sighting(found)) is not None

    async def test_an_answer_of_500_after_the_effect_does_not_double_a_create(self, bench: Bench) -> None:
        sealed = await self.sealed_creation(bench)
        before = self.count_records(bench.world)
        bench.sandbox.faults.append(self.striking(sealed, status=502, moment=Moment.AFTER, times=1))

        try:
            await bench.adapter.send(sealed)
        except OutcomeUnknownError:
            self.settle(bench)
            assert await bench.adapter.find(sealed)

        assert self.count_records(bench.world) == before + 1

    async def test_a_create_answered_with_nonsense_is_never_doubled(self, bench: Bench) -> None:
        sealed = await self.sealed_creation(bench)
        before = self.count_records(bench.world)
        nonsense = self.striking(
            sealed, rewrite=lambda _: b"<html>done</html>", moment=Moment.AFTER, times=None
        )
        bench.sandbox.faults.append(nonsense)

        with pytest.raises(OutcomeUnknownError):
            await bench.adapter.send(sealed)
        bench.sandbox.faults.clear()
        self.settle(bench)

        assert await self.adopted(bench, sealed)
        assert self.count_records(bench.world) == before + 1

    async def adopted(self, bench: Bench, sealed: Sealed) -> str:
        """Find the record of a create of unknown outcome the way this side offers."""
        if bench.adapter.capabilities.idempotency is Idempotency.KEY:
            return (await bench.adapter.send(sealed)).external_id
        return (await bench.adapter.find(sealed))[0].external_id

    async def test_a_create_cut_before_its_effect_leaves_nothing_behind(self, bench: Bench) -> None:
        sealed = await self.sealed_creation(bench)
        before = self.count_records(bench.world)
        bench.sandbox.faults.append(self.striking(sealed, cut=True, moment=Moment.BEFORE, times=None))

        with pytest.raises((OutcomeUnknownError, UnavailableError)):
            await bench.adapter.send(sealed)
        bench.sandbox.faults.clear()
        self.settle(bench)

        assert self.count_records(bench.world) == before
        assert list(await bench.adapter.find(sealed)) == []
        await bench.adapter.send(sealed)
        assert self.count_records(bench.world) == before + 1

    async def test_find_never_offers_a_meeting_that_is_not_the_one(self, bench: Bench) -> None:
        sealed = await self.sealed_creation(bench)
        for number in range(3):
            await self.book(bench, number)

        assert list(await bench.adapter.find(sealed)) == []

    @pytest.mark.parametrize("name", list(Field))
    async def test_an_update_shows_the_new_value_and_leaves_the_rest(self, bench: Bench, name: Field) -> None:
        seen, value = await self.updatable(bench, name)
        count = self.count_records(bench.world)

        written = await bench.carry_out(bench.updating(seen, {name: value}))
        self.settle(bench)
        after = await bench.adapter.read(seen.external_id)

        self.assert_changed(bench, seen, after, name, value)
        assert written.external_id == seen.external_id
        if written.observation is not None:
            assert written.observation.values == after.values
            assert written.observation.fingerprint == after.fingerprint
        assert self.count_records(bench.world) == count

    @pytest.mark.parametrize(("edit", "name"), [("rename", Field.TITLE), ("describe", Field.DESCRIPTION),
                                                ("move", Field.SCHEDULE)])  # fmt: skip
    async def test_a_write_planned_on_a_stale_base_is_refused_with_what_is_there(
        self, bench: Bench, edit: str, name: Field
    ) -> None:
        seen, value = await self.updatable(bench, name)
        write = bench.updating(seen, {name: value})
        bench.advance(timedelta(minutes=2))
        if not self.edit_by_person(bench, edit, seen):
            pytest.skip(f"people cannot {edit} here")

        with pytest.raises(StaleWriteError) as caught:
            await bench.adapter.prepare(write)

        there = await bench.adapter.read(seen.external_id)
        assert caught.value.observation.external_id == seen.external_id
        assert caught.value.observation.values == there.values
        assert there.values[name] != seen.values[name]

    @pytest.mark.parametrize("name", list(Field))
    async def test_an_update_cut_after_its_effect_may_be_sent_again(self, bench: Bench, name: Field) -> None:
        seen, value = await self.updatable(bench, name)
        sealed = await bench.adapter.prepare(bench.updating(seen, {name: value}))
        cut = self.striking(sealed, cut=True, moment=Moment.AFTER, times=None)
        bench.sandbox.faults.append(cut)
        with pytest.raises(OutcomeUnknownError):
            await bench.adapter.send(sealed)
        bench.sandbox.faults.clear()

        await bench.adapter.send(sealed)
        self.settle(bench)

        assert cut.struck
        self.assert_changed(bench, seen, await bench.adapter.read(seen.external_id), name, value)

    def assert_changed(
        self, bench: Bench, before: Observation, after: Observation, name: Field, value: Value
    ) -> None:
        """Assert that a field has its new value and that no other moved which should not."""
        if bench.adapter.capabilities.fields[name].readable:
            assert after.values.get(name) == value
        moving = {name, *self.moves_with(name)}
        kept = {other: shown for other, shown in before.values.items() if other not in moving}
        assert {other: shown for other, shown in after.values.items() if other not in moving} == kept

    @pytest.mark.parametrize("name", list(Field))
    async def test_a_record_that_shows_what_was_planned_upon_is_written_however_old_the_plan(
        self, bench: Bench, name: Field
    ) -> None:
        seen, value = await self.updatable(bench, name)
        write = bench.updating(seen, {name: value})
        bench.advance(timedelta(minutes=2))

        await bench.carry_out(write)
        self.settle(bench)

        self.assert_changed(bench, seen, await bench.adapter.read(seen.external_id), name, value)

    @pytest.mark.parametrize("name", list(Field))
    async def test_an_update_of_a_record_that_is_gone_says_so(self, bench: Bench, name: Field) -> None:
        seen, value = await self.updatable(bench, name)
        write = bench.updating(seen, {name: value})
        bench.advance(timedelta(minutes=2))
        if not self.cancel_by_person(bench.world, seen.external_id):
            pytest.skip("people cannot cancel here")

        with pytest.raises(RecordGoneError):
            await bench.carry_out(write)

    async def test_a_deleted_record_is_gone_and_a_second_delete_says_so(self, bench: Bench) -> None:
        seen = await self.deletable(bench)
        before = self.count_records(bench.world)

        await bench.carry_out(bench.changing(Operation.DELETE, seen))
        self.settle(bench)

        assert self.count_records(bench.world) == before - 1
        assert (await bench.adapter.confirm_absence(seen.external_id)).observation is None
        listed = await bench.sighting(seen.external_id)
        assert listed is None or listed.gone
        with pytest.raises(RecordGoneError):
            await bench.carry_out(bench.changing(Operation.DELETE, seen))
        assert self.count_records(bench.world) == before - 1

    async def test_a_delete_cut_after_its_effect_counts_as_done_when_sent_again(self, bench: Bench) -> None:
        seen = await self.deletable(bench)
        before = self.count_records(bench.world)
        sealed = await bench.adapter.prepare(bench.changing(Operation.DELETE, seen))
        bench.sandbox.faults.append(self.striking(sealed, cut=True, moment=Moment.AFTER, times=1))

        for _ in range(2):
            with contextlib.suppress(OutcomeUnknownError, RecordGoneError):
                await bench.adapter.send(sealed)

        assert self.count_records(bench.world) == before - 1
        assert (await bench.adapter.confirm_absence(seen.external_id)).observation is None

    async def test_deleting_one_record_leaves_the_others(self, bench: Bench) -> None:
        seen = await self.deletable(bench)
        others = [await self.book(bench, number) for number in (1, 2)]

        await bench.carry_out(bench.changing(Operation.DELETE, seen))
        self.settle(bench)

        assert {s.external_id for s in await bench.sightings() if not s.gone} >= set(others)

    async def test_a_restored_record_is_back(self, bench: Bench) -> None:
        if not bench.adapter.capabilities.restore:
            pytest.skip("nothing can be restored here")
        seen = await self.deletable(bench)
        await bench.carry_out(bench.changing(Operation.DELETE, seen))
        self.settle(bench)

        written = await bench.carry_out(bench.changing(Operation.RESTORE, seen))
        self.settle(bench)

        back = await bench.adapter.read(written.external_id)
        assert back.values == seen.values
