"""What every adapter keeps when the provider, the network or the credentials fail."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import structlog

from sync_engine.core.capabilities import Creatable
from sync_engine.core.ports import Adapter, Finding, Observation, Sighting
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    ProviderError,
    RateLimitedError,
    SyncError,
    UnavailableError,
    UnmappableRecordError,
)
from sync_engine.sandbox.faults import Fault, Moment
from tests.contract.bench import GUEST, TITLE, Bench, closed_port, message_of
from tests.contract.side import Side

JUNK: tuple[Any, ...] = (
    None,
    0,
    -1,
    1e300,
    True,
    "",
    "junk",
    "9999-99-99T99:99:99Z",
    [],
    [[]],
    {},
    {"a": {}},
)


class BadDayLaws(Side):
    """Hold for limits, failures, nonsense and silence."""

    @pytest.mark.parametrize("form", ["seconds", "http date", "iso moment"])
    async def test_a_short_wait_named_by_the_provider_ends_in_exactly_one_create(
        self, bench: Bench, form: str
    ) -> None:
        sealed = await self.sealed_creation(bench)
        before = self.count_records(bench.world)
        due = bench.now + timedelta(seconds=2)
        headers = {"Retry-After": retry_after(form, bench.now, 2)}
        bench.sandbox.faults.append(self.striking(sealed, status=429, headers=headers, times=1))

        handed_back: datetime | None = None
        try:
            await bench.adapter.send(sealed)
        except RateLimitedError as error:
            handed_back = error.retry_at
            await bench.adapter.send(sealed)

        assert self.count_records(bench.world) == before + 1
        assert handed_back is None or abs((handed_back - due).total_seconds()) <= 1

    @pytest.mark.parametrize("form", ["seconds", "http date", "iso moment"])
    async def test_a_long_wait_is_handed_back_with_its_moment(self, bench: Bench, form: str) -> None:
        external_id = await self.book(bench)
        await bench.adapter.canary()
        due = bench.now + timedelta(hours=1)
        headers = {"Retry-After": retry_after(form, bench.now, 3600)}
        bench.sandbox.faults.append(Fault(status=429, headers=headers, times=None))

        with pytest.raises(RateLimitedError) as caught:
            await bench.adapter.read(external_id)

        assert abs((caught.value.retry_at - due).total_seconds()) <= 1
        assert sum(bench.waits) < 60

    async def test_refused_credentials_are_renewed_at_most_once(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        await bench.adapter.canary()
        bench.sandbox.reset_counters()
        bench.sandbox.faults.append(Fault(method="GET", status=401, times=None))

        with pytest.raises(CredentialsError):
            await bench.adapter.read(external_id)

        assert sum(1 for _, _, status in bench.sandbox.log if status == 401) <= 2

    async def test_wrong_credentials_are_named_as_such(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        stranger = bench.another_adapter(wrong_credentials=True)

        for doing in (stranger.canary(), stranger.read(external_id)):
            with pytest.raises(CredentialsError):
                await doing

    async def test_a_read_outlives_two_failures_of_the_server(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        bench.sandbox.faults.append(Fault(method="GET", status=503, times=2))

        seen = await bench.adapter.read(external_id)

        assert seen.external_id == external_id
        assert bench.sandbox.faults[0].struck == 2

    async def test_a_sweep_outlives_two_failures_of_the_server(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        bench.sandbox.faults.append(Fault(method="GET|POST", path=self.list_path, status=500, times=2))

        assert await bench.sighting(external_id) is not None

    async def test_a_sweep_waits_out_a_short_limit(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        limit = Fault(path=self.list_path, status=429, headers={"Retry-After": "1"}, times=1)
        bench.sandbox.faults.append(limit)

        pages = await bench.pages()

        assert limit.struck
        assert external_id in {s.external_id for page in pages for s in page.sightings}
        assert any(page.covered for page in pages)

    async def test_a_sweep_that_failed_covers_nothing_it_did_not_read(self, bench: Bench) -> None:
        for number in range(self.crowd):
            await self.book(bench, number)
        scopes = {s.external_id: s.scope for s in await bench.sightings()}
        fault = Fault(method="GET|POST", path=self.list_path, status=500, skip=1, times=None)
        bench.sandbox.faults.append(fault)
        covered: set[str] = set()
        problems: list[str] = []
        seen: list[Sighting] = []

        try:
            async for page in bench.adapter.sweep(bench.window):
                covered |= page.covered
                problems += [problem.reason for problem in page.problems]
                seen += page.sightings
        except SyncError as error:
            problems.append(str(error))

        assert fault.struck
        assert problems
        missed = scopes.keys() - {sighting.external_id for sighting in seen}
        assert not covered & {scopes[external_id] for external_id in missed}

    @pytest.mark.parametrize("body", [b"<html>busy</html>", b'{"half": ', b"", b"[]", b"null", b'"text"'])
    async def test_an_answer_that_is_not_what_was_documented_is_named_as_such(
        self, bench: Bench, body: bytes
    ) -> None:
        external_id = await self.book(bench)
        await bench.adapter.canary()
        bench.sandbox.faults.append(
            Fault(method="GET", rewrite=lambda _: body, moment=Moment.AFTER, times=None)
        )

        with pytest.raises((InvalidResponseError, UnmappableRecordError)):
            await bench.adapter.read(external_id)
        with pytest.raises(InvalidResponseError):
            await bench.adapter.canary()

    async def test_garbage_in_place_of_a_page_covers_nothing(self, bench: Bench) -> None:
        await self.book(bench)
        await bench.adapter.canary()
        bench.sandbox.faults.append(
            Fault(method="GET|POST", path=self.list_path, rewrite=lambda _: b"<html/>", times=None)
        )
        covered: set[str] = set()
        problems = 0

        try:
            async for page in bench.adapter.sweep(bench.window):
                covered |= page.covered
                problems += len(page.problems)
        except InvalidResponseError:
            problems += 1

        assert problems
        assert not covered

    async def test_any_malformed_row_becomes_unmappable_and_nothing_else(self, bench: Bench) -> None:
        listed = await bench.sighting(await self.book(bench))
        assert listed is not None

        for raw in filter(is_row, broken_rows(dict(listed.raw))):
            broken = Sighting(listed.external_id, "0", raw, scope=listed.scope)
            try:
                assert isinstance(bench.adapter.translate(broken), Observation)
            except UnmappableRecordError as error:
                self.assert_silent(bench, str(error))
        with pytest.raises(UnmappableRecordError):
            bench.adapter.translate(Sighting(listed.external_id, "0", {}, scope=listed.scope))

    async def test_one_malformed_row_does_not_stop_the_page(self, bench: Bench) -> None:
        ids = [await self.book(bench, number) for number in range(3)]
        rewrite = row_breaker(ids[1], self.break_row)
        bench.sandbox.faults.append(Fault(path=self.list_path, rewrite=rewrite, times=None))

        pages = await bench.pages()

        good: set[str] = set()
        bad: set[str] = {problem.external_id for page in pages for problem in page.problems}
        for sighting in (s for page in pages for s in page.sightings):
            try:
                good.add(bench.adapter.translate(sighting).external_id)
            except UnmappableRecordError:
                bad.add(sighting.external_id)
        assert {ids[0], ids[2]} <= good
        assert ids[1] not in good
        assert ids[1] in bad

    async def test_a_row_that_names_no_record_is_not_passed_over_in_silence(self, bench: Bench) -> None:
        ids = [await self.book(bench, number) for number in range(3)]
        scope = next(s.scope for s in await bench.sightings() if s.external_id == ids[1])
        bench.sandbox.faults.append(
            Fault(path=self.list_path, rewrite=row_breaker(ids[1], lose_identity), times=None)
        )

        pages = await bench.pages()

        assert {ids[0], ids[2]} <= {s.external_id for page in pages for s in page.sightings}
        is_reported = any(page.problems for page in pages)
        is_covered = any(scope in page.covered for page in pages)
        assert is_reported or not is_covered

    async def test_the_canary_is_one_request_and_names_a_stable_account(self, bench: Bench) -> None:
        first = await bench.adapter.canary()
        bench.sandbox.reset_counters()

        second = await bench.adapter.canary()

        assert bench.sandbox.requests.total() == 1
        assert first == second
        assert first.account_id or first.label

    async def test_check_finds_a_good_connection_good(self, bench: Bench) -> None:
        findings = await bench.adapter.check()

        assert findings
        assert [finding for finding in findings if not finding.ok] == []

    async def test_check_turns_wrong_credentials_into_a_finding_with_a_fix(self, bench: Bench) -> None:
        findings = await bench.another_adapter(wrong_credentials=True).check()

        self.assert_named(bench, findings)

    async def test_check_turns_a_server_that_is_down_into_a_finding_with_a_fix(self, bench: Bench) -> None:
        with closed_port() as port:
            findings = await bench.another_adapter(base_url=f"http://127.0.0.1:{port}").check()

        self.assert_named(bench, findings)

    async def test_check_survives_every_answer_being_nonsense(self, bench: Bench) -> None:
        bench.sandbox.faults.append(Fault(rewrite=lambda _: b"[[[", times=None))

        findings = await bench.adapter.check()

        self.assert_named(bench, findings)

    def assert_named(self, bench: Bench, findings: Any) -> None:
        bad: list[Finding] = [finding for finding in findings if not finding.ok]
        assert bad
        assert all(finding.subject and finding.detail and finding.fix for finding in bad)
        self.assert_silent(bench, repr(bad))

    async def test_a_server_that_is_down_is_unavailable(self, bench: Bench) -> None:
        with closed_port() as port:
            lost = bench.another_adapter(base_url=f"http://127.0.0.1:{port}")
            with pytest.raises(UnavailableError) as caught:
                await lost.canary()

        assert not isinstance(caught.value, RateLimitedError)

    async def test_neither_errors_nor_logs_hold_secrets_or_personal_data(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        echo = {"message": f"bad value {TITLE} for {GUEST}", "title": TITLE, "errors": [{"message": GUEST}]}
        with structlog.testing.capture_logs() as events:
            external_id = await self.book(bench)
            await bench.sightings()
            words = []
            for status in (400, 401, 403, 409, 422, 429, 500):
                bench.sandbox.faults[:] = [Fault(status=status, body=echo, times=None)]
                words += [await message_of(self.reading(bench.adapter, external_id))]
                words += [await message_of(self.creating_one(bench))]
            bench.sandbox.faults[:] = [Fault(cut=True, times=None)]
            words += [await message_of(self.reading(bench.adapter, external_id))]
            bench.sandbox.faults[:] = [Fault(rewrite=lambda _: json.dumps([echo]).encode(), times=None)]
            words += [await message_of(self.reading(bench.adapter, external_id))]

        assert all(words[0::2][:6])
        for text in [*words, repr(events), caplog.text]:
            self.assert_silent(bench, text)

    def reading(self, adapter: Adapter, external_id: str) -> Awaitable[Observation]:
        return adapter.read(external_id)

    async def creating_one(self, bench: Bench) -> None:
        if bench.adapter.capabilities.create is not Creatable.NEVER:
            await bench.carry_out(
                bench.creating(
                    bench.project(self.values_for_create(bench)), self.particulars_for_create(bench)
                )
            )

    async def test_a_provider_error_names_the_provider_and_the_operation(self, bench: Bench) -> None:
        external_id = await self.book(bench)
        await bench.adapter.canary()
        bench.sandbox.faults.append(Fault(status=500, times=None))

        with pytest.raises(ProviderError) as caught:
            await bench.adapter.read(external_id)

        assert caught.value.provider
        assert caught.value.operation
        assert caught.value.status_code == 500


def retry_after(form: str, now: datetime, seconds: int) -> str:
    """Write the moment to come back in one of the forms providers use."""
    moment = now + timedelta(seconds=seconds)
    if form == "http date":
        return format_datetime(moment, usegmt=True)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if form == "iso moment" else str(seconds)


def lose_identity(row: dict[str, Any]) -> None:
    for key in ("id", "uuid"):
        row.pop(key, None)


def is_row(node: Any) -> bool:
    return isinstance(node, dict)


def broken_rows(node: Any) -> Iterator[Any]:
    """Give copies of a JSON value in which one part, however deep, is junk or missing."""
    yield from JUNK
    if isinstance(node, dict):
        for key, inner in node.items():
            yield {other: value for other, value in node.items() if other != key}
            yield from ({**node, key: broken} for broken in broken_rows(inner))
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from ([*node[:index], broken, *node[index + 1 :]] for broken in broken_rows(inner))


def row_breaker(external_id: str, break_row: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Build a rewrite of JSON pages that breaks the row of one record, wherever its list stands."""

    def is_row(item: Any) -> bool:
        return isinstance(item, dict) and external_id in json.dumps(item.get("id", item.get("uuid", "")))

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for item in node:
                if is_row(item):
                    break_row(item)
                else:
                    walk(item)

    def rewrite(body: bytes) -> bytes:
        try:
            page = json.loads(body)
        except ValueError:
            return body
        walk(page)
        return json.dumps(page).encode()

    return rewrite
