"""What every adapter keeps when it lists, reads and translates."""

from __future__ import annotations

import copy
import inspect
import json
from datetime import timedelta

import pytest

from sync_engine.core.meeting import Field, Schedule, participants
from sync_engine.errors import (
    RecordGoneError,
)
from tests.contract.bench import Bench, round_trip
from tests.contract.side import EDITED, Side


class ListingLaws(Side):
    """Hold for sweeps, reads and what people do at the provider."""

    async def test_a_sweep_shows_every_record_once_across_pages(self, bench: Bench) -> None:
        booked = [self.book_by_person(bench.world, number) for number in range(self.crowd)]
        self.settle(bench)
        await bench.adapter.canary()
        bench.sent.clear()

        seen = [s.external_id for s in await bench.sightings()]

        assert len([1 for method, _, _ in bench.sent if method in {"GET", "POST"}]) >= 2, (
            "one page is no test"
        )
        assert sorted(i for i in seen if i in booked) == sorted(booked)
        assert len(seen) == len(set(seen))

    async def test_a_finished_sweep_covers_the_scope_of_every_record(self, bench: Bench) -> None:
        await self.book(bench)

        pages = await bench.pages()

        covered = frozenset[str]().union(*(page.covered for page in pages))
        assert covered
        assert {s.scope for page in pages for s in page.sightings} <= covered
        assert [problem for page in pages for problem in page.problems] == []

    async def test_an_empty_account_is_covered_too(self, bench: Bench) -> None:
        pages = await bench.pages()

        assert any(page.covered for page in pages)

    async def test_an_unchanged_world_gives_the_same_fingerprints_at_the_same_cost(
        self, bench: Bench
    ) -> None:
        for number in range(3):
            await self.book(bench, number)
        await bench.sightings()

        bench.sandbox.reset_counters()
        first = {s.external_id: s.fingerprint for s in await bench.sightings()}
        cost = dict(bench.sandbox.requests)
        bench.sandbox.reset_counters()
        second = {s.external_id: s.fingerprint for s in await bench.sightings()}

        assert first == second
        assert all(first.values())
        assert dict(bench.sandbox.requests) == cost

    async def test_another_process_gives_the_same_fingerprints(self, bench: Bench) -> None:
        await self.book(bench)
        here = {s.external_id: s.fingerprint for s in await bench.sightings()}

        other = bench.another_adapter(memory=round_trip(bench.adapter.memory))
        there = {s.external_id: s.fingerprint async for p in other.sweep(bench.window) for s in p.sightings}

        assert there == here

    async def test_a_read_has_the_fingerprint_of_the_listed_row(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        listed = await bench.sighting(external_id)

        seen = await bench.adapter.read(external_id)

        assert listed is not None
        assert seen.fingerprint == listed.fingerprint
        assert (seen.external_id, seen.scope) == (external_id, listed.scope)
        assert seen.complete

    async def test_translating_is_pure(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        listed = await bench.sighting(external_id)
        assert listed is not None
        before = copy.deepcopy(listed.raw)
        bench.sent.clear()

        first, second = bench.adapter.translate(listed), bench.adapter.translate(listed)

        assert first == second
        assert listed.raw == before
        assert not inspect.isawaitable(first)
        assert bench.sent == []
        assert (first.external_id, first.fingerprint, first.scope) == (
            external_id,
            listed.fingerprint,
            listed.scope,
        )

    async def test_a_listed_row_and_a_read_agree_on_every_field_both_show(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        listed = await bench.sighting(external_id)
        assert listed is not None

        row, read = bench.adapter.translate(listed), await bench.adapter.read(external_id)

        both = set(row.values) & set(read.values)
        assert {f: row.values[f] for f in both} == {f: read.values[f] for f in both}
        assert set(row.values) <= set(read.values)
        if bench.adapter.capabilities.complete_list and row.complete:
            assert set(row.values) == set(read.values)

    async def test_what_a_connection_cannot_show_is_missing_from_the_values(self, bench: Bench) -> None:
        seen = await self.observed(bench)

        fields = bench.adapter.capabilities.fields
        # An invented value (a title, a link found in a text) may be shown for a field that is only carried.
        shown = set(seen.values) - seen.derived
        assert shown <= {name for name, capability in fields.items() if capability.readable}
        assert seen.derived <= set(seen.values)
        assert seen.machine <= set(seen.values)

    async def test_a_shown_value_is_what_this_connection_can_hold(self, bench: Bench) -> None:
        seen = await self.observed(bench)

        for name, value in seen.values.items():
            assert bench.adapter.capabilities.fields[name].normalise(value) == value, name

    async def test_times_are_aware_utc_at_whole_seconds(self, bench: Bench) -> None:
        seen = await self.observed(bench)

        assert seen.observed_at.utcoffset() == timedelta(0)
        schedule = seen.values.get(Field.SCHEDULE)
        assert isinstance(schedule, Schedule)
        for moment in (schedule.start, schedule.end):
            assert moment.utcoffset() == timedelta(0)
            assert moment.microsecond == 0
        assert schedule.end > schedule.start

    async def test_the_organizer_is_not_among_the_participants(self, bench: Bench) -> None:
        seen = await self.observed(bench)

        invited = seen.values.get(Field.PARTICIPANTS, ())
        assert isinstance(invited, tuple)
        assert seen.values.get(Field.ORGANIZER) not in {person.email for person in invited}
        assert participants(invited) == invited

    async def test_particulars_and_memory_are_plain_json_without_secrets(self, bench: Bench) -> None:
        seen = await self.observed(bench)
        await bench.sightings()

        for kept in (dict(seen.particulars), dict(bench.adapter.memory)):
            assert round_trip(kept) == kept
            assert not [s for s in self.secrets(bench.world) if s in json.dumps(kept)]

    async def test_time_that_passes_changes_no_fingerprint(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        before = await bench.sighting(external_id)

        bench.advance(timedelta(hours=3))

        after = await bench.sighting(external_id)
        assert before is not None
        assert after is not None
        assert after.fingerprint == before.fingerprint

    async def test_reading_a_record_changes_no_fingerprint(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        before = await bench.sighting(external_id)

        for _ in range(2):
            await bench.adapter.read(external_id)
            await bench.adapter.confirm_absence(external_id)

        assert before is not None
        assert (await bench.adapter.read(external_id)).fingerprint == before.fingerprint

    async def test_a_record_cancelled_while_a_sweep_pages_hides_no_other(self, bench: Bench) -> None:
        booked = {self.book_by_person(bench.world, number) for number in range(self.crowd)}
        self.settle(bench)
        scopes = {s.external_id: s.scope for s in await bench.sightings()}
        cancelled: set[str] = set()
        seen: set[str] = set()
        covered: set[str] = set()

        async for page in bench.adapter.sweep(bench.window):
            covered |= page.covered
            seen |= {sighting.external_id for sighting in page.sightings}
            if not cancelled and seen & booked:
                cancelled.add(min(seen & booked))
                if not self.cancel_by_person(bench.world, min(cancelled)):
                    pytest.skip("people cannot cancel here")

        assert cancelled
        assert not covered & {scopes[external_id] for external_id in booked - cancelled - seen}

    async def test_a_record_booked_while_a_sweep_pages_doubles_no_other(self, bench: Bench) -> None:
        booked = {self.book_by_person(bench.world, number) for number in range(1, self.crowd + 1)}
        self.settle(bench)
        seen: list[str] = []
        late = ""

        async for page in bench.adapter.sweep(bench.window):
            seen += [sighting.external_id for sighting in page.sightings]
            late = late or self.book_by_person(bench.world, 0)

        assert booked <= set(seen)
        assert len(seen) == len(set(seen))

    @pytest.mark.parametrize("edit", ["rename", "describe", "move"])
    async def test_an_edit_by_a_person_changes_the_fingerprint_and_the_values(
        self, bench: Bench, edit: str
    ) -> None:
        external_id = await self.book(bench)
        listed, before = await bench.sighting(external_id), await bench.adapter.read(external_id)
        assert listed is not None
        bench.advance(timedelta(minutes=5))
        if not self.edit_by_person(bench, edit, before):
            pytest.skip(f"people cannot {edit} here")
        self.settle(bench)

        again, after = await bench.sighting(external_id), await bench.adapter.read(external_id)

        assert again is not None
        assert again.fingerprint != listed.fingerprint
        assert after.fingerprint == again.fingerprint
        name = EDITED[edit]
        assert after.values.get(name) != before.values.get(name)

    async def test_a_record_that_people_cancelled_is_gone(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        if not self.cancel_by_person(bench.world, external_id):
            pytest.skip("people cannot cancel here")
        self.settle(bench)

        listed = await bench.sighting(external_id)

        assert listed is None or listed.gone
        assert (await bench.adapter.confirm_absence(external_id)).observation is None
        with pytest.raises(RecordGoneError):
            await bench.adapter.read(external_id)

    async def test_a_record_that_is_there_is_not_taken_for_absent(self, bench: Bench) -> None:
        external_id = await self.book(bench)

        absence = await bench.adapter.confirm_absence(external_id)

        assert absence.observation is not None
        assert absence.observation.external_id == external_id
        assert not absence.proven
