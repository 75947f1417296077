from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import structlog

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.http import ATTEMPTS, LONGEST_WAIT_SECONDS, Answer, HttpClient
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    UnavailableError,
)
from tests.contract.bench import MemoryVault
from tests.integration.adapters.loopback import Heard, LoopbackServer, Reply

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
SECRET = "sk_very_secret"
PERSON = "ann@customer.example"


class RecordingPacer:
    """Lets everything pass and writes down what it was asked."""

    def __init__(self) -> None:
        self.acquired: list[str] = []
        self.paused: list[tuple[str, float]] = []

    async def acquire(self, category: str) -> None:
        self.acquired.append(category)

    def set_rate(self, category: str, per_second: float, *, window_seconds: float = 1.0) -> None:
        raise AssertionError("the client declares no rates")

    def pause(self, category: str, seconds: float) -> None:
        self.paused.append((category, seconds))


@dataclass
class Bench:
    """One server, what the client told its surroundings, and the credentials it is given."""

    server: LoopbackServer
    now: datetime = NOW
    waits: list[float] = field(default_factory=list)
    sent: list[tuple[str, str, int | None, float]] = field(default_factory=list)
    pacer: RecordingPacer = field(default_factory=RecordingPacer)
    tokens: list[str] = field(default_factory=lambda: [SECRET])
    renewals: int = 0
    clients: list[HttpClient] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    async def credentials(self, renew: bool) -> Mapping[str, str]:
        if renew:
            self.renewals += 1
            await asyncio.sleep(0.01)
            if len(self.tokens) > 1:
                self.tokens.pop(0)
        return {"Authorization": f"Bearer {self.tokens[0]}"}

    def client(self, **changes: Any) -> HttpClient:
        around = Surroundings(
            workspace="acme",
            connection="test",
            now=lambda: self.now,
            pacer=self.pacer,
            vault=MemoryVault(),
            sleep=self.sleep,
            on_request=lambda *facts: self.sent.append(facts),
        )
        client = HttpClient(
            **{
                "provider": "acme_meet",
                "base_url": self.server.url,
                "surroundings": around,
                "credentials": self.credentials,
                "timeout_seconds": 5.0,
                **changes,
            }
        )
        self.clients.append(client)
        return client


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with LoopbackServer() as server:
        bench = Bench(server)
        yield bench
        for client in bench.clients:
            await client.aclose()


async def read(client: HttpClient, **changes: Any) -> Answer:
    return await client.request("GET", "/meetings", operation="list_meetings", category="read", **changes)


async def write(client: HttpClient, **changes: Any) -> Answer:
    facts = {"operation": "create_meeting", "category": "write", "content": '{"title":"Demo"}', **changes}
    return await client.request("POST", "/meetings", **facts)


# -- requests as they leave --------------------------------------------------------------------------------


async def test_a_sealed_body_leaves_byte_for_byte_as_json(bench: Bench) -> None:
    body = '{"title":"Demo é  ","a":1.0}'

    await write(bench.client(), content=body, headers={"Idempotency-Key": "k1"})

    heard = bench.server.heard[0]
    assert heard.body == body.encode()
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["idempotency-key"] == "k1"
    assert heard.headers["authorization"] == f"Bearer {SECRET}"
    assert heard.headers["accept"] == "application/json"


async def test_parameters_are_escaped_so_that_a_plus_stays_a_plus(bench: Bench) -> None:
    await read(bench.client(), params={"participants": "a+b@x.example", "limit": 5})

    assert bench.server.heard[0].target == "/meetings?participants=a%2Bb%40x.example&limit=5"


async def test_an_escaped_path_is_not_unescaped(bench: Bench) -> None:
    await bench.client().request("GET", "/meetings/%252Fabc%253D%253D", operation="read", category="read")

    assert bench.server.heard[0].target == "/meetings/%252Fabc%253D%253D"


async def test_a_request_that_is_not_authorised_carries_no_credentials(bench: Bench) -> None:
    await bench.client().request(
        "POST",
        "",
        url=f"{bench.server.url}/token",
        form={"grant_type": "x"},
        operation="token",
        category="token",
        authorised=False,
    )

    heard = bench.server.heard[0]
    assert "authorization" not in heard.headers
    assert heard.body == b"grant_type=x"


async def test_credentials_never_leave_for_another_host(bench: Bench) -> None:
    async with LoopbackServer() as stranger:
        with pytest.raises(RefusedError):
            await read(bench.client(), url=f"{stranger.url}/meetings")

        assert stranger.heard == []
        await read(bench.client(), url=f"{stranger.url}/upload", authorised=False)
        assert "authorization" not in stranger.heard[0].headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(bench: Bench, status: int) -> None:
    async with LoopbackServer() as stranger:
        bench.server.replies = [Reply(status, headers={"location": f"{stranger.url}/x"})]

        with pytest.raises(RefusedError) as caught:
            await read(bench.client())

        assert caught.value.status_code == status
        assert stranger.heard == []
        assert len(bench.server.heard) == 1


async def test_every_request_is_metered_by_method_operation_and_status(bench: Bench) -> None:
    bench.server.replies = [Reply(503), Reply(cut=True), Reply(200)]

    await read(bench.client())

    assert [facts[:3] for facts in bench.sent] == [
        ("GET", "list_meetings", 503),
        ("GET", "list_meetings", None),
        ("GET", "list_meetings", 200),
    ]
    assert all(facts[3] > 0 for facts in bench.sent)


async def test_every_attempt_takes_a_permit_of_its_category(bench: Bench) -> None:
    bench.server.replies = [Reply(503), Reply(503)]

    await read(bench.client())

    assert bench.pacer.acquired == ["read", "read", "read"]


async def test_no_more_requests_are_under_way_than_allowed(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.server.always = Reply(wait_for=gate)
    client = bench.client(concurrency=3)
    tasks = [asyncio.create_task(read(client)) for _ in range(10)]
    await bench.server.has_heard(3)

    gate.set()
    await asyncio.gather(*tasks)

    assert bench.server.most_at_work == 3
    assert len(bench.server.heard) == 10


async def test_a_permit_is_not_taken_before_the_request_can_leave(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.server.always = Reply(wait_for=gate)
    client = bench.client(concurrency=2)
    tasks = [asyncio.create_task(read(client)) for _ in range(6)]
    await bench.server.has_heard(2)

    permits_while_two_are_under_way = len(bench.pacer.acquired)
    gate.set()
    await asyncio.gather(*tasks)

    assert permits_while_two_are_under_way == 2


async def test_the_clock_skew_is_what_the_date_header_says(bench: Bench) -> None:
    bench.server.always = Reply(headers={"date": format_datetime(NOW + timedelta(seconds=90), usegmt=True)})
    client = bench.client()
    assert client.clock_skew_seconds is None

    await read(client)
    assert client.clock_skew_seconds == 90.0

    bench.server.always = Reply(headers={"date": "garbage"})
    await read(client)
    assert client.clock_skew_seconds == 90.0


# -- errors by status --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusedError),
        (401, CredentialsError),
        (403, CredentialsError),
        (404, RecordGoneError),
        (409, RefusedError),
        (410, RecordGoneError),
        (422, RefusedError),
        (408, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
async def test_a_status_becomes_the_error_that_says_what_to_do_next(
    bench: Bench, status: int, kind: type[ProviderError]
) -> None:
    bench.server.always = Reply(status)

    with pytest.raises(kind) as caught:
        await read(bench.client())

    assert type(caught.value) is kind
    assert (caught.value.provider, caught.value.operation) == ("acme_meet", "list_meetings")
    assert caught.value.status_code == status


async def test_an_adapter_may_name_a_more_precise_error(bench: Bench) -> None:
    def classify(answer: Answer) -> ProviderError | None:
        body = answer.json_or_none()
        return RecordGoneError("expired", code="3001") if body == {"code": 3001} else None

    bench.server.replies = [Reply(400, {"code": 3001}), Reply(400, b"<html/>")]
    client = bench.client(classify=classify)

    with pytest.raises(RecordGoneError) as caught:
        await read(client)
    with pytest.raises(RefusedError):
        await read(client)

    assert (caught.value.code, caught.value.status_code, caught.value.provider) == ("3001", 400, "acme_meet")


@pytest.mark.parametrize("body", [b"<html>busy</html>", b'{"half": ', b"", b"\xff\xfe"])
async def test_an_answer_that_is_not_json_is_named_as_such(bench: Bench, body: bytes) -> None:
    bench.server.always = Reply(200, body)
    answer = await read(bench.client())

    with pytest.raises(InvalidResponseError) as caught:
        answer.json()

    assert (caught.value.provider, caught.value.operation) == ("acme_meet", "list_meetings")
    assert answer.json_or_none() is None


# -- repeating ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [Reply(500), Reply(503), Reply(cut=True)], ids=["500", "503", "cut"])
async def test_a_read_is_repeated_until_it_succeeds(bench: Bench, bad: Reply) -> None:
    bench.server.replies = [bad] * (ATTEMPTS - 1)

    answer = await read(bench.client())

    assert answer.json() == {"ok": True}
    assert len(bench.server.heard) == ATTEMPTS
    assert bench.waits == sorted(bench.waits), "each wait is longer than the one before"
    assert sum(bench.waits) < 2


@pytest.mark.parametrize("bad", [Reply(500), Reply(cut=True)], ids=["500", "cut"])
async def test_a_read_that_fails_for_good_is_given_up_after_a_few_attempts(bench: Bench, bad: Reply) -> None:
    bench.server.always = bad

    with pytest.raises(UnavailableError):
        await read(bench.client())

    assert len(bench.server.heard) == ATTEMPTS


@pytest.mark.parametrize("bad", [Reply(500), Reply(502), Reply(cut=True)], ids=["500", "502", "cut"])
async def test_a_write_without_a_key_is_sent_once_and_its_outcome_called_unknown(
    bench: Bench, bad: Reply
) -> None:
    bench.server.always = bad

    with pytest.raises(OutcomeUnknownError) as caught:
        await write(bench.client())

    assert len(bench.server.heard) == 1
    assert (caught.value.provider, caught.value.operation) == ("acme_meet", "create_meeting")


async def test_a_write_that_is_safe_to_repeat_is_repeated_unchanged(bench: Bench) -> None:
    bench.server.replies = [Reply(cut=True), Reply(500)]

    await write(bench.client(), repeatable=True, headers={"Idempotency-Key": "k1"})

    assert len({(h.body, h.headers["idempotency-key"]) for h in bench.server.heard}) == 1
    assert len(bench.server.heard) == 3


async def test_a_write_repeated_in_vain_has_an_unknown_outcome(bench: Bench) -> None:
    bench.server.always = Reply(500)

    with pytest.raises(OutcomeUnknownError):
        await write(bench.client(), repeatable=True)

    assert len(bench.server.heard) == ATTEMPTS


@pytest.mark.parametrize(
    "later",
    [Reply(429, headers={"retry-after": "3600"}), Reply(401)],
    ids=["limited", "refused credentials"],
)
async def test_a_doubt_is_not_forgotten_over_a_later_and_clearer_failure(bench: Bench, later: Reply) -> None:
    bench.server.replies = [Reply(cut=True)]
    bench.server.always = later

    with pytest.raises(OutcomeUnknownError):
        await write(bench.client(), repeatable=True)


async def test_a_doubt_is_not_forgotten_when_the_provider_then_goes_away(bench: Bench) -> None:
    client = bench.client()

    def vanish(heard: Heard) -> Reply:
        assert bench.server._server is not None
        bench.server._server.close()
        return Reply(cut=True)

    bench.server.decide = vanish

    with pytest.raises(OutcomeUnknownError):
        await write(client, repeatable=True)


async def test_a_repeated_delete_that_finds_nothing_says_so(bench: Bench) -> None:
    bench.server.replies = [Reply(cut=True), Reply(404)]

    with pytest.raises(RecordGoneError):
        await bench.client().request("DELETE", "/x", operation="delete", category="write", repeatable=True)


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_what_a_provider_refuses_is_not_repeated(bench: Bench, status: int) -> None:
    bench.server.always = Reply(status)

    with pytest.raises(ProviderError):
        await write(bench.client(), repeatable=True)

    assert len(bench.server.heard) == 1
    assert bench.waits == []


async def test_a_write_that_never_left_is_repeated_and_known_not_to_have_happened(bench: Bench) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        client = bench.client(base_url=f"http://127.0.0.1:{holder.getsockname()[1]}")

        with pytest.raises(UnavailableError) as caught:
            await write(client)

    assert caught.value.code == "not_sent"
    assert len(bench.sent) == ATTEMPTS


async def test_a_silent_server_is_given_up_after_the_timeout(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.server.always = Reply(wait_for=gate)

    with pytest.raises(OutcomeUnknownError):
        await write(bench.client(timeout_seconds=0.1))

    gate.set()
    assert len(bench.sent) == 1


async def test_a_server_that_drips_its_answer_is_given_up_too(bench: Bench) -> None:
    bench.server.always = Reply(200, b'"' + b"x" * 100 + b'"', drip=0.05)

    with pytest.raises(OutcomeUnknownError):
        async with asyncio.timeout(4):
            await write(bench.client(timeout_seconds=0.2))


# -- limits ------------------------------------------------------------------------------------------------


def forms(seconds: int) -> dict[str, str]:
    moment = NOW + timedelta(seconds=seconds)
    return {
        "seconds": str(seconds),
        "http date": format_datetime(moment, usegmt=True),
        "iso moment": moment.isoformat(),
    }


@pytest.mark.parametrize("form", ["seconds", "http date", "iso moment"])
async def test_a_short_wait_is_waited_out_even_by_a_plain_write(bench: Bench, form: str) -> None:
    bench.server.replies = [Reply(429, headers={"retry-after": forms(2)[form]})]

    await write(bench.client())

    assert len(bench.server.heard) == 2
    assert len(bench.waits) == 1
    assert 2.0 <= bench.waits[0] <= 2.2
    assert bench.pacer.paused == [("write", 2.0)]


@pytest.mark.parametrize("form", ["seconds", "http date", "iso moment"])
async def test_a_long_wait_is_handed_back_with_its_moment(bench: Bench, form: str) -> None:
    bench.server.always = Reply(429, headers={"retry-after": forms(3600)[form]})

    with pytest.raises(RateLimitedError) as caught:
        await write(bench.client())

    assert caught.value.retry_at == NOW + timedelta(hours=1)
    assert len(bench.server.heard) == 1
    assert bench.waits == []
    assert bench.pacer.paused == [("write", LONGEST_WAIT_SECONDS)]


async def test_a_limit_that_does_not_end_is_handed_back_after_a_few_attempts(bench: Bench) -> None:
    bench.server.always = Reply(429, headers={"retry-after": "1"})

    with pytest.raises(RateLimitedError):
        await write(bench.client())

    assert len(bench.server.heard) == ATTEMPTS


async def test_a_limit_without_a_moment_is_given_a_short_one(bench: Bench) -> None:
    bench.server.replies = [Reply(429)]

    await read(bench.client())

    assert 0 < bench.waits[0] <= LONGEST_WAIT_SECONDS


async def test_a_limit_of_a_part_of_the_account_neither_waits_nor_pauses_the_rest(bench: Bench) -> None:
    def classify(answer: Answer) -> ProviderError | None:
        limited = RateLimitedError("daily cap", retry_at=NOW + timedelta(seconds=1), scope="host-1")
        return limited if answer.status == 429 else None

    bench.server.always = Reply(429)

    with pytest.raises(RateLimitedError) as caught:
        await write(bench.client(classify=classify))

    assert caught.value.scope == "host-1"
    assert len(bench.server.heard) == 1
    assert bench.pacer.paused == []


# -- credentials -------------------------------------------------------------------------------------------


async def test_refused_credentials_are_renewed_once_and_the_request_repeated(bench: Bench) -> None:
    bench.tokens = ["old", "new"]
    bench.server.replies = [Reply(401)]

    await write(bench.client())

    assert [heard.headers["authorization"] for heard in bench.server.heard] == ["Bearer old", "Bearer new"]
    assert bench.renewals == 1


async def test_credentials_that_are_refused_again_are_not_renewed_again(bench: Bench) -> None:
    bench.tokens = ["old", "new", "newer"]
    bench.server.always = Reply(401)

    with pytest.raises(CredentialsError):
        await read(bench.client())

    assert len(bench.server.heard) == 2
    assert bench.renewals == 1


async def test_credentials_that_cannot_be_renewed_are_not_sent_a_second_time(bench: Bench) -> None:
    bench.server.always = Reply(401)

    with pytest.raises(CredentialsError):
        await read(bench.client())

    assert len(bench.server.heard) == 1


async def test_a_missing_right_renews_nothing(bench: Bench) -> None:
    bench.tokens = ["old", "new"]
    bench.server.always = Reply(403)

    with pytest.raises(CredentialsError):
        await read(bench.client())

    assert bench.renewals == 0
    assert len(bench.server.heard) == 1


async def test_requests_refused_together_renew_the_credentials_once(bench: Bench) -> None:
    bench.tokens = ["old", "new", "newer"]
    bench.server.decide = lambda h: Reply(401) if h.headers["authorization"] == "Bearer old" else Reply()
    client = bench.client()

    await asyncio.gather(*(read(client) for _ in range(8)))

    assert bench.renewals == 1
    assert bench.tokens[0] == "new"


@pytest.mark.parametrize("token", ["sk_very_secret\nX: y", "sk_very_secret\u2026", "sk_very_secret\x00"])
async def test_a_key_that_cannot_be_sent_is_named_without_being_shown(bench: Bench, token: str) -> None:
    bench.tokens = [token]

    with pytest.raises(CredentialsError) as caught:
        await read(bench.client())

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert bench.server.heard == []


# -- silence -----------------------------------------------------------------------------------------------


async def test_neither_errors_nor_logs_say_what_was_sent_or_answered(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    body = {"message": f"bad value for {PERSON}", "token": SECRET}
    troubles = [Reply(status, body) for status in (302, 400, 401, 403, 404, 422, 429, 500)]
    troubles += [Reply(cut=True), Reply(200, b'{"half": "' + PERSON.encode())]

    with structlog.testing.capture_logs() as events:
        for trouble in troubles:
            bench.server.always = trouble
            client = bench.client()
            try:
                answer = await client.request(
                    "POST",
                    f"/users/{PERSON}/meetings",
                    operation="create_meeting",
                    category="write",
                    params={"key": SECRET},
                    json={"title": PERSON},
                )
                answer.json()
            except ProviderError as error:
                said.append("".join(traceback.format_exception(error)) + repr(vars(error)))

    assert len(said) == len(troubles)
    for text in [*said, caplog.text, repr(events)]:
        assert PERSON not in text
        assert SECRET not in text
