"""The Lightfield adapter against a Lightfield that behaves badly where the real one may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.lightfield.adapter import LightfieldAdapter, build
from sync_engine.adapters.lightfield.settings import LightfieldSettings
from sync_engine.adapters.lightfield.webhooks import Hint, is_authentic, parse_events
from sync_engine.core.capabilities import Updatable
from sync_engine.core.meeting import Field, Participant, Schedule, Value, participants
from sync_engine.core.ports import Observation, Operation, Sealed
from sync_engine.errors import (
    CredentialsError,
    OutcomeUnknownError,
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    UnavailableError,
    UnholdableError,
)
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.sandbox.lightfield import LightfieldSandbox
from sync_engine.sandbox.world import World
from tests.contract.bench import START, Bench

HOUR = timedelta(hours=1)
ORGANIZER = "olga@acme.example"
ZOOM = "https://us02web.zoom.us/j/97763643886?pwd=x"
LIST = "/v1/meetings"
ONE = "/v1/meetings/{id}"


class LightfieldBench(Bench):
    """A bench that knows it is Lightfield's."""

    @property
    def lightfield(self) -> LightfieldAdapter:
        adapter = self.adapter
        assert isinstance(adapter, LightfieldAdapter)
        return adapter

    @property
    def provider(self) -> LightfieldSandbox:
        assert isinstance(self.sandbox, LightfieldSandbox)
        return self.sandbox

    def book(self, number: int = 0, **facts: Any) -> str:
        start = START - timedelta(days=2) + number * HOUR
        facts = {"organizer": ORGANIZER, "attendees": [ORGANIZER, "a@b.c"], **facts}
        return self.provider.people.book(f"Talk {number}", start, start + HOUR / 2, **facts)

    def values(self, **changes: Value) -> dict[Field, Value]:
        start = self.now - 3 * HOUR
        values: dict[Field, Value] = {
            Field.TITLE: "Screening",
            Field.DESCRIPTION: "Agenda",
            Field.SCHEDULE: Schedule.timed(start, HOUR),
            Field.JOIN_URL: ZOOM,
            Field.ORGANIZER: ORGANIZER,
            Field.PARTICIPANTS: participants(["guest@b.c"]),
        }
        return values | {Field(name): value for name, value in changes.items()}

    async def sealed(self, **changes: Value) -> Sealed:
        return await self.lightfield.prepare(self.creating(self.values(**changes)))

    async def invite(self, seen: Observation, *addresses: str) -> Sealed:
        changes = {Field.PARTICIPANTS: participants(addresses)}
        return await self.lightfield.prepare(self.updating(seen, changes))


@pytest.fixture
async def bench() -> AsyncIterator[LightfieldBench]:
    with World(seed=1, start=START) as world:

        def make(around: Surroundings, **changes: Any) -> LightfieldAdapter:
            facts = {"base_url": world.lightfield.url, "api_key": SecretStr(world.lightfield.token)}
            return build(LightfieldSettings(**{**facts, **changes}), around)

        bench = LightfieldBench(world, world.lightfield, make)
        bench.another_adapter()
        yield bench
        await bench.close()


# Sweeping.


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (25, 1), (26, 2), (50, 2), (51, 3)])
async def test_a_sweep_costs_a_request_per_25_meetings(
    bench: LightfieldBench, count: int, requests: int
) -> None:
    for number in range(count):
        bench.book(number)

    sightings = await bench.sightings()

    assert len(sightings) == count
    assert bench.provider.requests == {("GET", LIST): requests}
    assert all("limit=25" in path for _, path, _ in bench.provider.log)


async def sweep_while(bench: LightfieldBench, happen: Iterator[None]) -> tuple[list[str], bool]:
    """Sweep, letting something happen after every page; give the ids shown, and whether all is covered."""
    ids: list[str] = []
    covered = False
    async for page in bench.lightfield.sweep(bench.window):
        ids += [sighting.external_id for sighting in page.sightings]
        covered = covered or bool(page.covered)
        next(happen, None)
    return ids, covered


@pytest.mark.parametrize("deleted", [1, 7, 24, 25, 30])
async def test_deletions_during_a_sweep_let_no_row_slip_through(bench: LightfieldBench, deleted: int) -> None:
    newest_first = list(reversed([bench.book(number) for number in range(90)]))

    def happen() -> Iterator[None]:
        for external_id in newest_first[:deleted]:
            bench.provider.people.cancel(external_id)
        yield

    ids, covered = await sweep_while(bench, happen())

    assert covered
    assert set(newest_first[deleted:]) <= set(ids)
    assert len(ids) == len(set(ids))


async def test_a_sweep_of_a_list_that_keeps_shrinking_loses_nothing(bench: LightfieldBench) -> None:
    newest_first = list(reversed([bench.book(number) for number in range(80)]))
    doomed = newest_first[:8]

    def happen() -> Iterator[None]:
        for external_id in doomed:
            bench.provider.people.cancel(external_id)
            yield

    ids, covered = await sweep_while(bench, happen())

    assert covered
    assert set(newest_first[8:]) <= set(ids)


async def test_insertions_during_a_sweep_repeat_no_row_and_cost_no_repetition(
    bench: LightfieldBench,
) -> None:
    there = {bench.book(number) for number in range(60)}

    def happen() -> Iterator[None]:
        for number in range(3):
            bench.book(100 + number)
        yield

    ids, covered = await sweep_while(bench, happen())

    assert covered
    assert there <= set(ids)
    assert len(ids) == len(set(ids))
    assert bench.provider.count("GET", LIST) == 3


async def test_a_total_that_counts_hidden_rows_does_not_unsettle_a_sweep(bench: LightfieldBench) -> None:
    bench.provider.counts_hidden = True
    visible = {bench.book(number) for number in range(3)}
    bench.book(9, attendees=["spam@b.c"])
    bench.provider.people.block("spam@b.c")

    pages = await bench.pages()

    assert {s.external_id for page in pages for s in page.sightings} == visible
    assert pages[-1].covered
    assert len(pages) <= 2


async def test_the_fast_lane_stops_behind_its_watermark(bench: LightfieldBench) -> None:
    old = [bench.book(number) for number in range(60)]
    bench.advance(timedelta(days=1))
    new = [bench.book(100 + number) for number in range(3)]

    pages = [page async for page in bench.lightfield.sweep_recent(bench.now - HOUR)]

    shown = [sighting.external_id for page in pages for sighting in page.sightings]
    assert set(new) <= set(shown)
    assert len(pages) == 1
    assert not any(page.covered for page in pages)
    everything = [page async for page in bench.lightfield.sweep_recent(START - timedelta(days=1))]
    assert {s.external_id for page in everything for s in page.sightings} == {*old, *new}


async def test_future_meetings_of_the_calendar_are_shown(bench: LightfieldBench) -> None:
    external_id = bench.provider.people.book("Plan", START + HOUR, START + 2 * HOUR)

    assert await bench.sighting(external_id) is not None


# What counts as a change.


async def test_texts_of_the_assistant_and_derived_records_are_no_change(bench: LightfieldBench) -> None:
    external_id = bench.book()
    before = await bench.sighting(external_id)
    assert before is not None
    bench.advance(HOUR)

    bench.provider.people.summarise(external_id, "## Went well")
    bench.provider.people.prepare(external_id, "Read the file")
    bench.provider.people.add_contact("a@b.c")
    bench.provider.people.record_transcript(external_id, "hello")

    after = await bench.sighting(external_id)
    assert after is not None
    assert after.raw["updatedAt"] != before.raw["updatedAt"]
    assert after.fingerprint == before.fingerprint


async def test_rows_without_a_description_have_the_fingerprint_of_their_read(bench: LightfieldBench) -> None:
    bench.provider.summaries_lack_description = True
    external_id = bench.book(description="Only a read shows this")

    listed = await bench.sighting(external_id)
    read = await bench.lightfield.read(external_id)

    assert listed is not None
    assert listed.fingerprint == read.fingerprint
    assert read.values[Field.DESCRIPTION] == "Only a read shows this"
    assert Field.DESCRIPTION not in bench.lightfield.translate(listed).values
    bench.provider.summaries_lack_description = False
    listed = await bench.sighting(external_id)
    assert listed is not None
    assert listed.fingerprint == (await bench.lightfield.read(external_id)).fingerprint


async def test_a_row_of_a_lagging_index_is_never_taken_for_the_whole_truth(bench: LightfieldBench) -> None:
    bench.provider.index_lag = timedelta(minutes=10)
    external_id = bench.book()
    bench.advance(HOUR)
    seen = await bench.lightfield.read(external_id)
    written = await bench.lightfield.send(await bench.invite(seen, "a@b.c", "new@b.c"))

    row = await bench.sighting(external_id)

    assert row is not None
    stale = bench.lightfield.translate(row)
    assert not stale.complete
    assert stale.values[Field.PARTICIPANTS] == participants(["a@b.c"])
    assert written.observation is not None
    assert (await bench.lightfield.read(external_id)).values == written.observation.values


# Redaction.


async def test_redaction_is_not_erasure(bench: LightfieldBench) -> None:
    external_id = bench.book(description="Agenda", url=ZOOM)
    whole = await bench.lightfield.read(external_id)
    bench.provider.people.restrict(external_id)

    redacted = await bench.lightfield.read(external_id)
    row = await bench.sighting(external_id)

    assert row is not None
    for seen in (redacted, bench.lightfield.translate(row)):
        assert set(seen.values) == {Field.SCHEDULE, Field.ORGANIZER, Field.PARTICIPANTS}
        assert all(whole.values[name] == value for name, value in seen.values.items())
        assert not seen.private


async def test_empty_values_count_only_with_full_access(bench: LightfieldBench) -> None:
    bench.provider.nulled |= {"$organizerEmail", "$attendeeEmails"}
    external_id = bench.book(organizer=None, attendees=[])

    full = await bench.lightfield.read(external_id)
    bench.provider.people.restrict(external_id)
    redacted = await bench.lightfield.read(external_id)

    assert full.values[Field.DESCRIPTION] == full.values[Field.JOIN_URL] == full.values[Field.ORGANIZER] == ""
    assert full.values[Field.PARTICIPANTS] == ()
    assert set(redacted.values) == {Field.SCHEDULE}
    assert Field.PARTICIPANTS in redacted.fixed


async def test_even_redacted_times_leave_a_record_readable(bench: LightfieldBench) -> None:
    external_id = bench.book()
    bench.provider.nulled |= {"$startDate"}
    bench.provider.redact_everything = True

    assert Field.SCHEDULE not in (await bench.lightfield.read(external_id)).values


async def test_a_private_meeting_is_marked_as_such_whoever_may_read_it(bench: LightfieldBench) -> None:
    bench.provider.caller = ORGANIZER

    seen = await bench.lightfield.read(bench.book(privacy="METADATA"))

    assert seen.private
    assert seen.values[Field.TITLE] == "Talk 0"


async def test_a_meeting_without_a_title_gets_one_that_never_wins(bench: LightfieldBench) -> None:
    external_id = bench.book()
    bench.provider.people.rename(external_id, None)

    seen = await bench.lightfield.read(external_id)

    assert seen.values[Field.TITLE] == "Meeting"
    assert seen.derived == {Field.TITLE}


# Creating.


async def test_a_create_names_its_meeting_and_asks_for_no_records(bench: LightfieldBench) -> None:
    write = bench.creating(bench.values())

    sealed = await bench.lightfield.prepare(write)
    written = await bench.lightfield.send(sealed)

    body = json.loads(sealed.body or "")
    assert body["autoCreateRecords"] is False
    assert body["fields"]["$attendeeEmails"] == [ORGANIZER, "guest@b.c"]
    assert body["fields"]["$startDate"].endswith("Z")
    assert sealed.key == f"ms-{write.intent}"
    assert written.observation is not None
    assert written.observation.marks == {write.meeting_id}
    assert written.observation.links == {"zoom:97763643886"}
    assert written.observation.values == bench.values()
    [record] = bench.provider.records()
    assert write.meeting_id in record["description"]


async def test_records_of_attendees_are_made_only_where_the_settings_say_so(bench: LightfieldBench) -> None:
    eager = bench.another_adapter(auto_create_records=True)

    await eager.send(await eager.prepare(bench.creating(bench.values())))

    assert json.loads((await bench.sealed()).body or "")["autoCreateRecords"] is False
    await bench.sightings()
    assert bench.provider.directory.contact_of("guest@b.c") is not None


async def test_a_meeting_that_is_not_over_waits(bench: LightfieldBench) -> None:
    running = Schedule.timed(bench.now - HOUR, HOUR - timedelta(minutes=1))

    with pytest.raises(UnholdableError) as caught:
        await bench.sealed(schedule=running)

    assert caught.value.retry_after_seconds == 4 * 60
    assert bench.provider.requests.total() == 0


@pytest.mark.parametrize("status", [400, 422])
async def test_a_meeting_that_is_not_over_by_their_clock_waits_too(
    bench: LightfieldBench, status: int
) -> None:
    bench.provider.rule_status = status
    hasty = bench.another_adapter(create_margin_minutes=0)
    just_over = bench.creating(bench.values(schedule=Schedule.timed(bench.now - HOUR, HOUR)))

    with pytest.raises(UnholdableError) as caught:
        await hasty.send(await hasty.prepare(just_over))

    assert caught.value.retry_after_seconds
    bench.advance(timedelta(minutes=1))
    assert (await hasty.send(await hasty.prepare(just_over))).external_id


async def test_a_create_that_is_refused_for_good_says_so(bench: LightfieldBench) -> None:
    sealed = await bench.sealed()
    broken = replace(sealed, body=(sealed.body or "").replace("$title", "$titel"))

    with pytest.raises(RefusedError) as caught:
        await bench.lightfield.send(broken)

    assert caught.value.code == "unknown_field"


async def test_sending_a_create_twice_makes_one_meeting(bench: LightfieldBench) -> None:
    sealed = await bench.sealed()

    first = await bench.lightfield.send(sealed)
    again = await bench.lightfield.send(sealed)

    assert again == first
    assert len(bench.provider.records()) == 1


async def test_a_key_in_use_is_waited_for(bench: LightfieldBench) -> None:
    bench.provider.write_seconds = 0.15
    patient = build(
        LightfieldSettings(base_url=bench.provider.url, api_key=SecretStr(bench.provider.token)),
        replace(bench.surroundings(), sleep=asyncio.sleep),
    )
    sealed = await bench.sealed()

    one, other = await asyncio.gather(patient.send(sealed), patient.send(sealed))
    await patient.aclose()

    assert one.external_id == other.external_id
    assert len(bench.provider.records()) == 1
    assert 409 in {status for _, _, status in bench.provider.log}


async def test_a_key_that_stays_in_use_leaves_the_outcome_open(bench: LightfieldBench) -> None:
    body = {"type": "idempotency_conflict", "message": "busy"}
    fault = Fault(method="POST", status=409, body=body, times=None)
    bench.provider.faults.append(fault)

    with pytest.raises(OutcomeUnknownError):
        await bench.lightfield.send(await bench.sealed())

    assert 2 <= fault.struck <= 4


@pytest.mark.parametrize("body", [{"error": {"type": "conflict"}}, {"type": "conflict"}, None])
async def test_a_concurrent_change_is_tried_again_later(bench: LightfieldBench, body: Any) -> None:
    fault = Fault(method="POST", status=409, body=body, times=None)
    bench.provider.faults.append(fault)

    with pytest.raises(UnavailableError):
        await bench.lightfield.send(await bench.sealed())

    assert fault.struck == 1


# Finding what a create may have made.


async def test_a_lost_create_is_found_by_its_mark(bench: LightfieldBench) -> None:
    sealed = await bench.sealed()
    written = await bench.lightfield.send(sealed)
    bench.provider.people.move(written.external_id, START - timedelta(days=9))
    bench.provider.people.rename(written.external_id, "Renamed")

    found = await bench.lightfield.find(sealed)

    assert [one.external_id for one in found] == [written.external_id]


async def test_a_lost_create_whose_description_was_rewritten_is_found_by_its_facts(
    bench: LightfieldBench,
) -> None:
    sealed = await bench.sealed()
    written = await bench.lightfield.send(sealed)
    bench.provider.people.describe(written.external_id, "Rewritten")

    assert [one.external_id for one in await bench.lightfield.find(sealed)] == [written.external_id]


async def test_neither_a_twin_nor_another_meeting_is_taken_for_a_lost_create(bench: LightfieldBench) -> None:
    schedule = bench.values()[Field.SCHEDULE]
    assert isinstance(schedule, Schedule)
    times = (schedule.start, schedule.end)
    bench.provider.people.book("Screening", *times, url=ZOOM)
    bench.advance(HOUR)
    sealed = await bench.sealed(schedule=schedule)
    bench.provider.people.book("Screening", *times, url="https://example.com")
    redacted = bench.provider.people.book("Screening", *times, url=ZOOM)
    bench.provider.people.restrict(redacted)
    await bench.lightfield.send(await bench.sealed(schedule=schedule))

    assert list(await bench.lightfield.find(sealed)) == []


async def test_the_record_that_is_replaced_is_not_taken_for_its_successor(bench: LightfieldBench) -> None:
    write = bench.creating(bench.values())
    old = await bench.lightfield.send(await bench.lightfield.prepare(write))
    again = replace(write, intent=bench.new_id(), replaces=old.external_id)

    sealed = await bench.lightfield.prepare(again)

    assert list(await bench.lightfield.find(sealed)) == []
    new = await bench.lightfield.send(sealed)
    assert [one.external_id for one in await bench.lightfield.find(sealed)] == [new.external_id]


@pytest.mark.parametrize("attach", ["note", "transcript"])
async def test_a_record_that_carries_what_cannot_be_moved_is_not_replaced(
    bench: LightfieldBench, attach: str
) -> None:
    external_id = bench.book()
    if attach == "note":
        bench.provider.people.note(external_id)
    else:
        bench.provider.people.record_transcript(external_id, "hello")
    write = replace(bench.creating(bench.values()), replaces=external_id)

    with pytest.raises(UnholdableError):
        await bench.lightfield.prepare(write)


# Changing attendees.


def raw_attendees(bench: LightfieldBench, external_id: str) -> Sequence[str]:
    record = bench.provider.meetings.get(external_id)
    assert record is not None
    return record.now.attendees


async def test_attendees_are_written_as_a_whole_with_the_organizer_and_in_their_spelling(
    bench: LightfieldBench,
) -> None:
    external_id = bench.book(attendees=["Olga@ACME.example", "A@b.c", "leaving@b.c"])
    seen = await bench.lightfield.read(external_id)

    written = await bench.lightfield.send(await bench.invite(seen, "a@b.c", "new@b.c"))

    assert raw_attendees(bench, external_id) == ("Olga@ACME.example", "A@b.c", "new@b.c")
    assert written.observation is not None
    assert written.observation.values[Field.PARTICIPANTS] == participants(["a@b.c", "new@b.c"])


async def test_an_organizer_who_is_not_in_the_list_stays_out_of_it(bench: LightfieldBench) -> None:
    external_id = bench.book(attendees=["a@b.c"])
    seen = await bench.lightfield.read(external_id)

    await bench.lightfield.send(await bench.invite(seen, "a@b.c", "new@b.c"))

    assert raw_attendees(bench, external_id) == ("a@b.c", "new@b.c")


async def test_attendees_are_read_right_before_they_are_replaced(bench: LightfieldBench) -> None:
    external_id = bench.book()
    seen = await bench.lightfield.read(external_id)
    bench.provider.people.invite(external_id, "late@b.c")

    with pytest.raises(StaleWriteError) as caught:
        await bench.invite(seen, "a@b.c", "new@b.c")

    assert Participant("late@b.c") in caught.value.observation.values[Field.PARTICIPANTS]  # type: ignore[operator]


async def test_attendees_wait_until_the_meeting_ended(bench: LightfieldBench) -> None:
    running = bench.provider.people.book("Now", START - HOUR, START + HOUR, attendees=["a@b.c"])
    seen = await bench.lightfield.read(running)

    with pytest.raises(UnholdableError) as caught:
        await bench.invite(seen, "new@b.c")

    assert caught.value.retry_after_seconds == 3600


async def test_a_list_that_is_not_shown_is_not_replaced(bench: LightfieldBench) -> None:
    external_id = bench.book()
    seen = await bench.lightfield.read(external_id)
    bench.provider.omitted.add("$attendeeEmails")
    bench.provider.people.restrict(external_id)

    with pytest.raises(UnholdableError):
        await bench.invite(seen, "new@b.c")


async def test_nothing_but_attendees_is_ever_updated(bench: LightfieldBench) -> None:
    seen = await bench.lightfield.read(bench.book())

    with pytest.raises(UnholdableError):
        await bench.lightfield.prepare(bench.updating(seen, {Field.TITLE: "New"}))


async def test_the_key_of_an_update_names_record_and_payload(bench: LightfieldBench) -> None:
    one, two = [await bench.lightfield.read(bench.book(number)) for number in range(2)]
    write = bench.updating(one, {Field.PARTICIPANTS: participants(["new@b.c"])})
    other_values = {**write.values, Field.PARTICIPANTS: participants(["else@b.c"])}

    writes = [write, replace(write, external_id=two.external_id), replace(write, values=other_values)]
    keys = [(await bench.lightfield.prepare(one_write)).key for one_write in writes]

    assert len(set(keys)) == 3
    assert all(key and key.startswith(f"ms-{write.intent}") and len(key) <= 255 for key in keys)
    assert (await bench.lightfield.prepare(write)).key == keys[0]


async def test_an_older_api_is_remembered_and_asked_again_after_a_month(bench: LightfieldBench) -> None:
    bench.provider.knows_attendee_updates = False
    seen = await bench.lightfield.read(bench.book())
    sealed = await bench.invite(seen, "new@b.c")

    with pytest.raises(UnholdableError):
        await bench.lightfield.send(sealed)

    later = bench.another_adapter(memory=json.loads(json.dumps(dict(bench.lightfield.memory))))
    assert later.capabilities.fields[Field.PARTICIPANTS].updatable is Updatable.NEVER
    bench.provider.reset_counters()
    with pytest.raises(UnholdableError):
        await later.prepare(bench.updating(seen, {Field.PARTICIPANTS: participants(["new@b.c"])}))
    assert bench.provider.requests.total() == 0
    bench.advance(timedelta(days=31))
    assert later.capabilities.fields[Field.PARTICIPANTS].updatable is Updatable.AFTER_END


async def test_a_blocklisted_attendee_takes_the_meeting_away_but_not_for_good(
    bench: LightfieldBench,
) -> None:
    external_id = bench.book()
    bench.provider.people.block("spam@b.c")
    seen = await bench.lightfield.read(external_id)
    await bench.lightfield.send(await bench.invite(seen, "a@b.c", "spam@b.c"))

    absence = await bench.lightfield.confirm_absence(external_id)

    assert absence.observation is None
    assert not absence.proven
    bench.provider.people.unblock("spam@b.c")
    assert (await bench.lightfield.confirm_absence(external_id)).observation is not None


# Absence.


async def test_the_trash_proves_a_deletion_at_the_price_of_one_listing(bench: LightfieldBench) -> None:
    gone = [bench.book(number) for number in range(4)]
    bench.book(9)
    for external_id in gone:
        bench.provider.people.cancel(external_id)
    await bench.sightings()
    bench.provider.reset_counters()

    absences = [await bench.lightfield.confirm_absence(external_id) for external_id in gone]

    assert [(absence.observation, absence.proven) for absence in absences] == [(None, True)] * 4
    # One page of the trash, and one of the list to know that the two differ.
    assert bench.provider.requests == {("GET", ONE): 4, ("GET", LIST): 2}


async def test_every_sweep_looks_into_the_trash_anew(bench: LightfieldBench) -> None:
    early, late = bench.book(), bench.book(1)
    bench.provider.people.cancel(early)
    await bench.sightings()
    assert (await bench.lightfield.confirm_absence(early)).proven
    bench.provider.people.cancel(late)

    await bench.sightings()

    assert (await bench.lightfield.confirm_absence(late)).proven


@pytest.mark.parametrize("through", ["scope known", "scope unknown"])
async def test_without_the_right_to_see_the_trash_nothing_is_proven(
    bench: LightfieldBench, through: str
) -> None:
    bench.provider.scopes = {"meetings:read"}
    external_id, other = bench.book(), bench.book(1)
    bench.provider.people.cancel(external_id)
    bench.provider.people.cancel(other)
    if through == "scope known":
        await bench.lightfield.canary()

    for one in (external_id, other):
        absence = await bench.lightfield.confirm_absence(one)
        assert (absence.observation, absence.proven) == (None, False)

    refused = [status for _, _, status in bench.provider.log if status == 403]
    assert len(refused) == (0 if through == "scope known" else 1)


async def test_where_reads_show_the_trash_the_trash_decides(bench: LightfieldBench) -> None:
    bench.provider.trashed_readable = True
    gone, there = bench.book(), bench.book(1)
    bench.provider.people.cancel(gone)

    absence = await bench.lightfield.confirm_absence(gone)
    presence = await bench.lightfield.confirm_absence(there)

    assert (absence.observation, absence.proven) == (None, True)
    assert presence.observation is not None


async def test_a_meeting_restored_after_the_trash_was_read_is_there(bench: LightfieldBench) -> None:
    external_id, other = bench.book(), bench.book(1)
    bench.provider.people.cancel(external_id)
    bench.provider.people.cancel(other)
    await bench.lightfield.confirm_absence(other)

    bench.provider.people.restore(external_id)

    assert (await bench.lightfield.confirm_absence(external_id)).observation is not None


async def test_an_api_that_ignores_the_filter_proves_no_deletion(bench: LightfieldBench) -> None:
    bench.provider.knows_trash = False
    there, gone = bench.book(), bench.book(1)
    bench.provider.people.purge(gone)

    presence = await bench.lightfield.confirm_absence(there)
    absence = await bench.lightfield.confirm_absence(gone)

    assert presence.observation is not None
    assert (absence.observation, absence.proven) == (None, False)


async def test_a_trash_of_many_pages_is_read_to_its_end(bench: LightfieldBench) -> None:
    ids = [bench.book(number) for number in range(30)]
    for external_id in ids:
        bench.provider.people.cancel(external_id)

    assert (await bench.lightfield.confirm_absence(ids[0])).proven


async def test_a_lagging_row_of_a_deleted_meeting_is_found_out_by_reading(bench: LightfieldBench) -> None:
    bench.provider.index_lag = HOUR
    external_id = bench.book()
    bench.advance(2 * HOUR)
    bench.provider.people.cancel(external_id)

    assert await bench.sighting(external_id) is not None
    with pytest.raises(RecordGoneError):
        await bench.lightfield.read(external_id)


# Deleting and restoring.


async def change(bench: LightfieldBench, operation: Operation, seen: Observation) -> str:
    sealed = await bench.lightfield.prepare(bench.changing(operation, seen))
    return (await bench.lightfield.send(sealed)).external_id


async def test_a_missing_right_to_delete_is_about_the_record_and_not_the_key(bench: LightfieldBench) -> None:
    bench.provider.may_delete = False
    seen = await bench.lightfield.read(bench.book())

    with pytest.raises(UnholdableError) as caught:
        await change(bench, Operation.DELETE, seen)

    assert "participants" in caught.value.reason
    assert (await bench.lightfield.read(seen.external_id)).values == seen.values


@pytest.mark.parametrize("operation", [Operation.DELETE, Operation.RESTORE])
async def test_an_api_without_delete_is_not_taken_for_a_deleted_record(
    bench: LightfieldBench, operation: Operation
) -> None:
    bench.provider.knows_trash = False
    seen = await bench.lightfield.read(bench.book())

    with pytest.raises(UnholdableError if operation is Operation.DELETE else RecordGoneError):
        await change(bench, operation, seen)

    bench.provider.faults.append(Fault(method="POST|DELETE", status=405, times=None))
    with pytest.raises(UnholdableError):
        await change(bench, operation, seen)


async def test_a_delete_whose_answer_was_lost_counts_as_done(bench: LightfieldBench) -> None:
    seen = await bench.lightfield.read(bench.book())
    bench.provider.faults.append(Fault(method="DELETE", cut=True, moment=Moment.AFTER))

    with pytest.raises(RecordGoneError):
        await change(bench, Operation.DELETE, seen)

    assert bench.provider.records()[0]["deleted"]


async def test_restoring_twice_is_restoring_once(bench: LightfieldBench) -> None:
    seen = await bench.lightfield.read(bench.book())
    await change(bench, Operation.DELETE, seen)

    await change(bench, Operation.RESTORE, seen)
    await change(bench, Operation.RESTORE, seen)

    assert (await bench.lightfield.read(seen.external_id)).values == seen.values


async def test_the_same_delete_and_restore_go_over_the_wire_unkeyed(bench: LightfieldBench) -> None:
    seen = await bench.lightfield.read(bench.book())

    for operation in (Operation.DELETE, Operation.RESTORE):
        assert (await bench.lightfield.prepare(bench.changing(operation, seen))).key is None


# Rights, rates, addresses.


async def test_a_key_that_may_not_list_is_a_matter_of_credentials(bench: LightfieldBench) -> None:
    bench.provider.scopes = {"meetings:create"}

    with pytest.raises(CredentialsError):
        await bench.sightings()


async def test_a_key_that_may_not_create_can_still_read(bench: LightfieldBench) -> None:
    bench.provider.scopes = {"meetings:read"}
    bench.book()

    with pytest.raises(UnholdableError) as caught:
        await bench.lightfield.send(await bench.sealed())

    assert "meetings:create" in caught.value.reason
    assert len(await bench.sightings()) == 1


@pytest.mark.parametrize("wrapped", [True, False])
async def test_errors_are_understood_in_both_forms(bench: LightfieldBench, wrapped: bool) -> None:
    bench.provider.wrapped_errors = wrapped
    sealed = await bench.sealed()

    with pytest.raises(RefusedError) as caught:
        await bench.lightfield.send(replace(sealed, key="k" * 300))

    assert caught.value.code == "idempotency_key_too_long"


async def test_the_rate_follows_the_headers(bench: LightfieldBench) -> None:
    bench.provider.rate["search"] = 5.0

    await bench.sightings()
    await bench.lightfield.canary()

    rates = bench.lightfield.client.rates
    assert rates["search"] == pytest.approx(5.0)
    assert rates["read"] == rates["write"] == pytest.approx(25.0)


async def test_a_base_url_may_end_with_the_version(bench: LightfieldBench) -> None:
    adapter = bench.another_adapter(base_url=f"{bench.provider.url}/v1/")
    bench.book()

    pages = [page async for page in adapter.sweep(bench.window)]

    assert sum(len(page.sightings) for page in pages) == 1


async def test_a_wrong_base_url_is_not_taken_for_missing_meetings(bench: LightfieldBench) -> None:
    adapter = bench.another_adapter(base_url=f"{bench.provider.url}/v2")

    with pytest.raises(RefusedError):
        _ = [page async for page in adapter.sweep(bench.window)]


async def test_check_names_missing_scopes_with_their_fix(bench: LightfieldBench) -> None:
    bench.provider.scopes = {"meetings:read", "meetings:create"}

    bad = [finding for finding in await bench.lightfield.check() if not finding.ok]

    assert {finding.subject for finding in bad} == {
        "scope meetings:update",
        "scope meetings:delete",
        "scope meetings:restore",
    }
    assert all("crm.lightfield.app" in finding.fix for finding in bad)


async def test_check_asks_only_for_the_scopes_the_settings_need(bench: LightfieldBench) -> None:
    bench.provider.scopes = {"meetings:read", "meetings:restore"}
    observer = bench.another_adapter(writes=(), transcripts=False, webhook_secret=SecretStr("swordfish"))

    assert [finding for finding in await observer.check() if not finding.ok] == []


async def test_check_notices_a_clock_that_is_off(bench: LightfieldBench) -> None:
    around = replace(bench.surroundings(), now=lambda: bench.now + timedelta(minutes=3))
    settings = LightfieldSettings(base_url=bench.provider.url, api_key=SecretStr(bench.provider.token))
    late = build(settings, around)

    bad = [finding for finding in await late.check() if not finding.ok]
    await late.aclose()

    assert [finding.subject for finding in bad] == ["clock"]


# Transcripts.


async def test_a_transcript_is_uploaded_without_our_key_and_becomes_canonical(
    bench: LightfieldBench,
) -> None:
    external_id = bench.book()
    bench.provider.people.record_transcript(external_id, "recorded by Lightfield")

    await bench.lightfield.attach_transcript(external_id, "Anna: hällo")

    record = bench.provider.meetings.get(external_id)
    assert record is not None
    assert record.now.transcript is not None
    assert len(record.now.transcripts) == 2
    stored = bench.provider.files.get(record.now.transcript, bench.now)
    assert stored.content == "Anna: hällo".encode()
    assert stored.status == "COMPLETED"
    assert (await bench.lightfield.client.get_file_url(record.now.transcript)).startswith("http")


@pytest.mark.parametrize("target", ["http://storage.example/x", "ftp://storage.example/x", "/storage/x"])
async def test_a_transcript_goes_nowhere_but_to_https(bench: LightfieldBench, target: str) -> None:
    def elsewhere(body: bytes) -> bytes:
        return json.dumps({**json.loads(body), "uploadUrl": target}).encode()

    bench.provider.faults.append(Fault(path="/v1/files", rewrite=elsewhere))

    with pytest.raises(RefusedError):
        await bench.lightfield.attach_transcript(bench.book(), "secret words")

    assert bench.provider.count("PUT") == 0


async def test_a_storage_host_that_refuses_says_nothing_about_the_key(bench: LightfieldBench) -> None:
    bench.provider.faults.append(Fault(method="PUT", status=403, body="<Error/>", times=None))

    with pytest.raises(RefusedError):
        await bench.lightfield.attach_transcript(bench.book(), "words")


# Calls from workflows.


async def test_a_call_from_a_workflow_is_recognised_and_names_its_meeting(bench: LightfieldBench) -> None:
    bench.provider.webhook_secret = "swordfish"
    external_id = bench.book()

    [delivery] = bench.world.deliveries

    headers = {name.lower(): value for name, value in delivery.headers.items()}
    assert is_authentic(delivery.body, headers, ["swordfish"])
    assert not is_authentic(delivery.body, headers, ["other"])
    assert parse_events(delivery.body) == (Hint(external_id),)
