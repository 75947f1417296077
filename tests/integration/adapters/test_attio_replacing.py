"""The Attio adapter replacing meetings, since nothing can be changed in place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sync_engine.core.meeting import (
    Field,
)
from sync_engine.core.ports import Operation
from sync_engine.errors import (
    RecordGoneError,
    StaleWriteError,
    UnholdableError,
)
from tests.contract.bench import START
from tests.integration.adapters.attio_bench import (
    DAY,
    AttioBench,
    book,
    moved,
    opened,
    post_body,
)


@pytest.fixture
async def bench() -> AsyncIterator[AttioBench]:
    async with opened() as made:
        yield made


# -- replacing -----------------------------------------------------------------------------------------


async def test_a_replacement_is_a_new_meeting_with_the_old_links(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.advance(timedelta(minutes=1))
    deal = bench.attio.people.add_deal()
    await bench.it.client.append_linked_records(seen.external_id, [("deals", deal)])

    sealed = await bench.it.prepare(bench.replacing(write, seen, moved()))
    written = await bench.it.send(sealed)
    await bench.carry_out(bench.deleting(seen.external_id))

    (record,) = bench.live()
    assert (record["id"], record["start"]) == (written.external_id, START + DAY + timedelta(hours=3))
    links = (await bench.it.client.get_meeting(written.external_id))["linked_records"]
    assert deal in [link["record_id"] for link in links]
    assert post_body(bench, sealed)["linked_records"][0] == {"object": "deals", "record_id": deal}


async def test_a_replacement_on_the_older_generation_gets_a_reference_of_its_own(bench: AttioBench) -> None:
    bench.attio.generation = "A"
    write, seen = await bench.created()

    written = await bench.carry_out(bench.replacing(write, seen, moved()))

    assert written.external_id != seen.external_id
    assert bench.attio.count("POST", "/v2/meetings") == 2


async def test_find_does_not_take_the_replaced_meeting_for_its_replacement(bench: AttioBench) -> None:
    write, seen = await bench.created()
    sealed = await bench.it.prepare(bench.replacing(write, seen, {Field.TITLE: "Retitled"}))

    before = await bench.it.find(sealed)
    written = await bench.it.send(sealed)

    assert list(before) == []
    assert [each.external_id for each in await bench.it.find(sealed)] == [written.external_id]


@pytest.mark.parametrize("status", [404, 405])
async def test_nothing_is_replaced_where_the_old_one_could_not_be_deleted(
    bench: AttioBench, status: int
) -> None:
    bench.attio.has_delete, bench.attio.missing_route_status = False, status
    write, seen = await bench.created()

    for _ in range(2):
        with pytest.raises(UnholdableError, match="cannot delete") as caught:
            await bench.it.prepare(bench.replacing(write, seen, moved()))

    assert caught.value.retry_after_seconds == 86_400
    assert bench.attio.count("DELETE") == 1
    assert len(bench.live()) == 1


async def test_a_server_that_has_learned_to_delete_is_asked_again_after_a_day(bench: AttioBench) -> None:
    bench.attio.has_delete = False
    write, seen = await bench.created()
    with pytest.raises(UnholdableError):
        await bench.it.prepare(bench.replacing(write, seen, moved()))
    bench.attio.has_delete = True

    bench.advance(timedelta(hours=25))
    sealed = await bench.it.prepare(bench.replacing(write, seen, moved()))

    assert sealed.operation is Operation.CREATE


async def test_the_delete_route_is_probed_once_and_remembered_by_other_processes(bench: AttioBench) -> None:
    write, seen = await bench.created()
    await bench.it.prepare(bench.replacing(write, seen, moved()))

    other = bench.another(memory=json.loads(json.dumps(bench.it.memory)))
    await other.prepare(bench.replacing(write, seen, moved()))

    assert bench.attio.count("DELETE") == 1
    assert len(bench.live()) == 1


async def test_a_meeting_with_recordings_is_not_replaced(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.people.record(seen.external_id)

    with pytest.raises(UnholdableError, match="recordings"):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


async def test_a_meeting_whose_recordings_cannot_be_seen_is_not_replaced(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.scopes.discard("call_recording:read-write")

    with pytest.raises(UnholdableError, match="call_recording:read"):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


async def test_a_calendars_meeting_is_not_replaced(bench: AttioBench) -> None:
    seen = await bench.it.read(book(bench))
    write = bench.create()

    with pytest.raises(UnholdableError, match="calendar"):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


async def test_a_replacement_planned_on_an_old_state_carries_what_is_there_now(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.people.rename(seen.external_id, "Renamed by hand")

    with pytest.raises(StaleWriteError) as caught:
        await bench.it.prepare(bench.replacing(write, seen, moved()))

    assert caught.value.observation.values[Field.TITLE] == "Renamed by hand"


async def test_a_replacement_of_a_meeting_that_is_gone_says_so(bench: AttioBench) -> None:
    write, seen = await bench.created()
    bench.attio.people.cancel(seen.external_id)

    with pytest.raises(RecordGoneError):
        await bench.it.prepare(bench.replacing(write, seen, moved()))


def test_a_connection_that_must_not_replace_says_so_in_its_capabilities() -> None:
    from sync_engine.adapters.attio.capabilities import capabilities
    from sync_engine.core.capabilities import Ownership

    assert capabilities(may_replace=False).replace is Ownership.NO
    assert capabilities(may_replace=True).replace is Ownership.OWN


async def test_many_replacements_at_once_ask_for_the_delete_route_once(bench: AttioBench) -> None:
    made = [await bench.created() for _ in range(4)]
    replacements = [bench.replacing(write, seen, moved()) for write, seen in made]

    await asyncio.gather(*(bench.it.prepare(write) for write in replacements))

    assert bench.attio.count("DELETE") == 1
