"""The Attio adapter reading the Attio sandbox, checking its account, and its further operations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from sync_engine.adapters.attio.adapter import build
from sync_engine.adapters.attio.schemas import Segment, Speaker
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.adapters.attio.webhooks import EVENT_TYPES, ensure_webhook, is_authentic, parse_events
from sync_engine.core.meeting import (
    Field,
    Participant,
    Response,
)
from sync_engine.errors import (
    CredentialsError,
    RateLimitedError,
    RefusedError,
)
from sync_engine.sandbox.faults import Fault
from sync_engine.sandbox.world import World
from tests.contract.bench import START
from tests.integration.adapters.attio_bench import (
    GUEST,
    AttioBench,
    book,
    opened,
)


@pytest.fixture
async def bench() -> AsyncIterator[AttioBench]:
    async with opened() as made:
        yield made


# -- reading -------------------------------------------------------------------------------------------


async def test_links_that_attio_adds_by_itself_are_no_change(bench: AttioBench) -> None:
    _, before = await bench.created()
    links = len((await bench.it.client.get_meeting(before.external_id))["linked_records"])

    bench.advance(timedelta(minutes=1))
    after = await bench.it.read(before.external_id)

    assert len((await bench.it.client.get_meeting(before.external_id))["linked_records"]) > links
    assert after.fingerprint == before.fingerprint


async def test_an_answer_to_an_invitation_is_a_change(bench: AttioBench) -> None:
    number = book(bench)
    before = await bench.it.read(number)

    bench.attio.people.respond(number, GUEST, "declined")
    after = await bench.it.read(number)

    assert after.fingerprint != before.fingerprint
    assert after.values[Field.PARTICIPANTS] == (Participant(GUEST, None, Response.DECLINED),)


async def test_guests_without_an_address_are_left_out_and_still_count_as_a_change(bench: AttioBench) -> None:
    number = book(bench)
    before = await bench.it.read(number)

    bench.attio.people.invite(number, "", name="Walk-in")
    after = await bench.it.read(number)

    assert after.values == before.values
    assert after.fingerprint != before.fingerprint


async def test_a_meeting_without_a_flagged_organizer_says_nothing_about_one(bench: AttioBench) -> None:
    seen = await bench.it.read(book(bench, organizer=None))

    assert Field.ORGANIZER not in seen.values


async def test_a_meeting_that_moved_out_of_the_window_is_not_taken_for_deleted(bench: AttioBench) -> None:
    number = book(bench)
    bench.attio.people.move(number, START + timedelta(days=400))

    assert await bench.sighting(number) is None
    assert (await bench.it.confirm_absence(number)).observation is not None


async def test_a_hidden_meeting_is_absent_but_not_proven_deleted(bench: AttioBench) -> None:
    number = book(bench)
    bench.attio.people.hide(number)

    absence = await bench.it.confirm_absence(number)

    assert absence.observation is None
    assert not absence.proven


async def test_an_answer_of_some_other_server_does_not_prove_a_deletion(bench: AttioBench) -> None:
    number = book(bench)
    bench.attio.faults.append(Fault("GET", "/v2/meetings/.*", status=404, body="<html>gone</html>"))

    with pytest.raises(RefusedError):
        await bench.it.confirm_absence(number)


async def test_every_page_repeats_the_window_and_asks_for_200_rows(bench: AttioBench) -> None:
    bench.attio.paging.largest_page = 2
    for number in range(5):
        book(bench, title=str(number))

    await bench.pages()

    queries = [
        path.partition("?")[2] for method, path, _ in bench.attio.log if path.startswith("/v2/meetings?")
    ]
    assert len(queries) == 3
    for query in queries:
        assert "limit=200" in query
        assert "ends_from=2026-10-17T09%3A00%3A00Z" in query
        assert "starts_before=2027-01-15T09%3A00%3A00Z" in query


async def test_a_refused_cursor_starts_the_walk_anew_and_leaves_nothing_out(bench: AttioBench) -> None:
    bench.attio.paging.largest_page, bench.attio.paging.lifetime = 2, timedelta(minutes=5)
    ids = {book(bench, title=str(number)) for number in range(5)}
    found: set[str] = set()
    covered = False

    async for number_of_page, page in _numbered(bench):
        found |= {sighting.external_id for sighting in page.sightings}
        covered = covered or bool(page.covered)
        if number_of_page == 2:
            bench.advance(timedelta(minutes=6))

    assert found == ids
    assert covered


async def _numbered(bench: AttioBench) -> AsyncIterator[tuple[int, Any]]:
    number = 0
    async for page in bench.it.sweep(bench.window):
        number += 1
        yield number, page


async def test_a_cursor_that_is_always_refused_ends_in_an_error_and_covers_nothing(bench: AttioBench) -> None:
    bench.attio.paging.largest_page, bench.attio.paging.lifetime = 2, timedelta(minutes=-1)
    for number in range(5):
        book(bench, title=str(number))
    covered = False

    async def walk() -> None:
        nonlocal covered
        async for page in bench.it.sweep(bench.window):
            covered = covered or bool(page.covered)

    with pytest.raises(RefusedError):
        await walk()

    assert not covered
    assert bench.attio.count("GET", "/v2/meetings") == 8


async def test_a_sweep_of_many_meetings_costs_exactly_its_pages(bench: AttioBench) -> None:
    for number in range(401):
        book(bench, title=str(number))
    bench.attio.reset_counters()

    seen = await bench.sightings()

    assert len(seen) == 401
    assert dict(bench.attio.requests) == {("GET", "/v2/meetings"): 3}


# -- accounts ------------------------------------------------------------------------------------------


async def test_a_dead_token_is_noticed_although_the_answer_is_200(bench: AttioBench) -> None:
    bench.attio.token_active = False

    with pytest.raises(CredentialsError):
        await bench.it.canary()

    subjects = {finding.subject for finding in await bench.it.check() if not finding.ok}
    assert subjects == {"credentials"}


async def test_a_users_token_is_named_by_check(bench: AttioBench) -> None:
    bench.attio.token_level = "user"

    bad = {finding.subject: finding for finding in await bench.it.check() if not finding.ok}

    assert set(bad) == {"token level", "meetings"}
    assert all(finding.fix for finding in bad.values())


async def test_a_server_that_tells_no_token_level_is_taken_as_workspace(bench: AttioBench) -> None:
    bench.attio.token_level = None

    assert [finding for finding in await bench.it.check() if not finding.ok] == []


async def test_every_missing_scope_is_named(bench: AttioBench) -> None:
    bench.attio.scopes = {"meeting:read", "record_permission:read"}

    bad = [finding.subject for finding in await bench.it.check() if not finding.ok]

    assert bad == ["scope meeting:read-write", "scope call_recording:read"]


async def test_an_observing_connection_needs_no_write_scope(bench: AttioBench) -> None:
    bench.attio.scopes = {"meeting:read", "record_permission:read"}
    observer = bench.another(writes=(), replace=False)

    assert [finding for finding in await observer.check() if not finding.ok] == []


async def test_a_clock_that_is_wrong_is_a_finding(bench: AttioBench) -> None:
    around = replace(bench.surroundings(), now=lambda: bench.now + timedelta(minutes=3))
    late = build(AttioSettings(base_url=bench.attio.url, access_token=SecretStr(bench.attio.token)), around)
    bench.adapters.append(late)

    bad = [finding.subject for finding in await late.check() if not finding.ok]

    assert bad == ["clock"]


async def test_a_plan_that_lacks_a_feature_does_not_look_like_a_dead_token(bench: AttioBench) -> None:
    body = {"status_code": 403, "type": "auth_error", "code": "billing_error", "message": "Upgrade."}
    bench.attio.faults.append(Fault(status=403, body=body))

    with pytest.raises(RefusedError) as caught:
        await bench.it.read(bench.new_id())

    assert caught.value.code == "billing_error"


async def test_the_real_limits_are_kept_and_a_429_names_its_moment(bench: AttioBench) -> None:
    bench.attio.rate_limits = True
    bench.attio.limits.per_second["read"] = 0

    with pytest.raises(RateLimitedError) as caught:
        await bench.it.canary()

    assert caught.value.retry_at - bench.now <= timedelta(seconds=2)


async def test_many_creates_at_once_meet_no_429() -> None:
    """Thirty writes take more than a second of the permitted rate, so a boundary is crossed."""
    with World(seed=1) as world:
        bench = AttioBench(world, world.attio, lambda around: build(
            AttioSettings(base_url=world.attio.url, access_token=SecretStr(world.attio.token)),
            replace(around, sleep=asyncio.sleep),
        ))  # fmt: skip
        bench.another_adapter()
        try:
            sealed = [await bench.it.prepare(bench.create()) for _ in range(30)]
            await asyncio.gather(*(bench.it.send(each) for each in sealed))
        finally:
            await bench.close()

        assert world.attio.limits.refused == 0
        assert len(bench.live()) == 30


# -- the client's further operations -------------------------------------------------------------------


async def test_people_are_looked_up_by_their_exact_address(bench: AttioBench) -> None:
    await bench.created()

    (person,) = await bench.it.client.find_people(GUEST.upper())
    nobody = await bench.it.client.find_people("nobody@customer.example")

    assert person.id.record_id
    assert nobody == []


def segments(count: int) -> list[Segment]:
    names = ("Anna", "Anna", "Ben")
    return [
        Segment(speech=f"Word {n}.", start_time=n, end_time=n + 1, speaker=Speaker(name=names[n % 3]))
        for n in range(count)
    ]


@pytest.mark.parametrize("newer", [True, False])
async def test_a_transcript_comes_back_from_newer_and_older_servers(bench: AttioBench, newer: bool) -> None:
    bench.attio.transcript_in_recording = newer
    _, seen = await bench.created()

    made = await bench.it.client.create_call_recording(seen.external_id, segments(150))
    (listed,) = await bench.it.client.list_call_recordings(seen.external_id)
    read = await bench.it.client.get_call_recording(seen.external_id, listed.id.call_recording_id)

    assert listed.id == made.id
    assert read.transcript is not None
    assert list(read.transcript.segments) == segments(150)


async def test_a_transcript_of_too_many_segments_is_joined_by_speaker(bench: AttioBench) -> None:
    _, seen = await bench.created()

    made = await bench.it.client.create_call_recording(seen.external_id, segments(6_000))
    read = await bench.it.client.get_call_recording(seen.external_id, made.id.call_recording_id)

    assert read.transcript is not None
    assert len(read.transcript.segments) == 4_000
    assert read.transcript.segments[0].speech == "Word 0. Word 1."
    assert read.transcript.segments[-1].end_time == 6_000


async def test_a_webhook_is_made_once_and_its_deliveries_verify(bench: AttioBench) -> None:
    target = "https://engine.example/webhooks/acme/attio"

    secret = await ensure_webhook(bench.it.client, target)
    again = await ensure_webhook(bench.it.client, target)
    _, seen = await bench.created()
    bench.attio.people.record(seen.external_id)
    bench.advance(timedelta(minutes=1))
    await bench.it.canary()

    assert secret
    assert again is None
    (hook,) = bench.attio.workspace.webhooks.values()
    assert {s["event_type"] for s in hook.subscriptions} == set(EVENT_TYPES)
    await bench.it.canary()
    await bench.it.read(seen.external_id)
    (delivery,) = bench.world.deliveries
    assert is_authentic(delivery.body, delivery.headers, ["old-secret", secret])
    assert [hint.meeting_id for hint in parse_events(delivery.body)] == [seen.external_id]


async def test_a_subscription_that_exists_is_no_error(bench: AttioBench) -> None:
    target, wanted = "https://engine.example/hook", ["note.created"]

    first = await bench.it.client.create_webhook(target, wanted)
    second = await bench.it.client.create_webhook(target, wanted)

    assert first is not None
    assert first.secret
    assert second is None


async def test_all_webhooks_are_seen_over_several_pages(bench: AttioBench) -> None:
    for number in range(101):
        await bench.it.client.create_webhook(f"https://engine.example/{number}", ["note.created"])

    assert len(await bench.it.client.list_webhooks()) == 101
