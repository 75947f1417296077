from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.clock import SandboxClock
from sync_engine.sandbox.faults import Fault, Moment
from sync_engine.sandbox.server import UNKNOWN_ROUTE, ProviderSandbox, Servers, json_response
from sync_engine.sandbox.world import World

START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


class SmallWorld:
    """What a sandbox needs of a world: a seed, a clock, a lock."""

    def __init__(self) -> None:
        self.seed = 1
        self.random = random.Random(1)
        self.clock = SandboxClock(START)
        self.lock = threading.RLock()


class Notebook(ProviderSandbox):
    """A provider of two endpoints."""

    name = "notebook"
    base_path = "/v1"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.notes: list[str] = []
        self.settled = 0

    def routes(self) -> Sequence[Route]:
        return [
            Route("/v1/notes", self.list_notes, methods=["GET"]),
            Route("/v1/notes", self.add_note, methods=["POST"]),
            Route("/v1/notes/{number}", self.show_note, methods=["GET"]),
            Route("/v1/crash", self.crash, methods=["GET"]),
        ]

    def settle(self) -> None:
        self.settled += 1

    def guard(self, request: Request) -> Response | None:
        return json_response({"error": "key"}, 401) if request.headers.get("x-key") == "wrong" else None

    def finish(self, request: Request, response: Response) -> None:
        response.headers["x-standing"] = "yes"

    def list_notes(self, request: Request) -> Response:
        return json_response({"notes": self.notes})

    async def add_note(self, request: Request) -> Response:
        self.notes.append((await request.json())["text"])
        return json_response({"number": len(self.notes)}, 201)

    def show_note(self, request: Request) -> Response:
        return json_response({"text": self.notes[int(request.path_params["number"]) - 1]})

    def crash(self, request: Request) -> Response:
        raise LookupError("a bug in the sandbox")


@contextmanager
def serving(*sandboxes: ProviderSandbox, ports: dict[str, int] | None = None) -> Iterator[None]:
    servers = Servers(sandboxes, ports)
    servers.start()
    try:
        yield
    finally:
        servers.stop()


def notebook() -> Notebook:
    return Notebook(cast(Any, SmallWorld()))


@pytest.fixture
def book() -> Iterator[Notebook]:
    book = notebook()
    with serving(book):
        yield book


@pytest.fixture
def client(book: Notebook) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=book.url, trust_env=False, timeout=5) as client:
        yield client


def add(client: httpx.Client, text: str = "hello") -> httpx.Response:
    return client.post("/notes", json={"text": text})


# -- counting ----------------------------------------------------------------------------------------------


def test_requests_are_counted_by_method_and_route(book: Notebook, client: httpx.Client) -> None:
    add(client)
    client.get("/notes/1")
    client.get("/notes/1?full=yes")

    assert book.requests == {("POST", "/v1/notes"): 1, ("GET", "/v1/notes/{number}"): 2}
    assert (book.count(), book.count("GET"), book.count(route="/v1/notes")) == (3, 2, 1)
    assert book.log[-1] == ("GET", "/v1/notes/1?full=yes", 200)


def test_a_request_that_no_route_knows_is_counted_too(book: Notebook, client: httpx.Client) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.delete("/notes").status_code == 405

    assert book.count(route=UNKNOWN_ROUTE) == 2
    assert book.log == [("GET", "/v1/nothing", 404), ("DELETE", "/v1/notes", 405)]


def test_a_struck_request_is_counted(book: Notebook, client: httpx.Client) -> None:
    book.faults.append(Fault(status=500))

    client.get("/notes")

    assert book.count() == 1
    assert book.log == [("GET", "/v1/notes", 500)]


def test_counters_can_be_forgotten(book: Notebook, client: httpx.Client) -> None:
    client.get("/notes")

    book.reset_counters()

    assert (book.count(), book.log) == (0, [])


# -- answers -----------------------------------------------------------------------------------------------


def test_what_became_due_happens_before_every_request(book: Notebook, client: httpx.Client) -> None:
    client.get("/notes")
    client.get("/notes")

    assert book.settled == 2


def test_the_guard_answers_in_place_of_the_endpoint(book: Notebook, client: httpx.Client) -> None:
    answer = client.post("/notes", json={"text": "x"}, headers={"x-key": "wrong"})

    assert answer.status_code == 401
    assert answer.headers["x-standing"] == "yes"
    assert book.notes == []


def test_answers_are_dated_by_the_clock_of_the_world(book: Notebook, client: httpx.Client) -> None:
    book.world.clock.advance(timedelta(hours=1))

    dates = client.get("/notes").headers.get_list("date")

    assert [parsedate_to_datetime(date) for date in dates] == [START + timedelta(hours=1)]


def test_a_crash_of_an_endpoint_is_not_taken_for_a_fault() -> None:
    book = notebook()
    servers = Servers([book])
    servers.start()
    with httpx.Client(base_url=book.url, trust_env=False) as client:
        status = client.get("/crash").status_code

    with pytest.raises(RuntimeError, match="notebook sandbox crashed") as caught:
        servers.stop()

    assert status == 500
    assert isinstance(caught.value.__cause__, LookupError)


# -- faults ------------------------------------------------------------------------------------------------


def test_a_status_before_the_effect_prevents_it(book: Notebook, client: httpx.Client) -> None:
    book.faults.append(Fault(status=503, body={"error": "busy"}, headers={"Retry-After": "2"}))

    answer = add(client)

    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, {"error": "busy"}, "2")
    assert book.notes == []


def test_a_status_after_the_effect_hides_it(book: Notebook, client: httpx.Client) -> None:
    book.faults.append(Fault(status=502, body=b"<html/>", moment=Moment.AFTER))

    answer = add(client)

    assert (answer.status_code, answer.content) == (502, b"<html/>")
    assert book.notes == ["hello"]


@pytest.mark.parametrize(("moment", "notes"), [(Moment.BEFORE, []), (Moment.AFTER, ["hello"])])
def test_a_cut_leaves_the_client_without_an_answer(
    book: Notebook, client: httpx.Client, moment: Moment, notes: list[str]
) -> None:
    book.faults.append(Fault(cut=True, moment=moment))

    with pytest.raises(httpx.RemoteProtocolError):
        add(client)

    assert book.notes == notes
    assert client.get("/notes").json() == {"notes": notes}, "the next request is served again"


@pytest.mark.parametrize(("moment", "notes"), [(Moment.BEFORE, []), (Moment.AFTER, ["hello"])])
def test_a_delayed_answer_times_out_before_or_after_the_effect(
    book: Notebook, client: httpx.Client, moment: Moment, notes: list[str]
) -> None:
    book.faults.append(Fault(delay_seconds=1.0, moment=moment))

    with pytest.raises(httpx.ReadTimeout):
        client.post("/notes", json={"text": "hello"}, timeout=0.2)

    assert book.notes == notes


def test_a_fault_with_only_a_delay_lets_the_request_through(book: Notebook, client: httpx.Client) -> None:
    book.faults.append(Fault(delay_seconds=0.05))
    started = time.monotonic()

    assert add(client).status_code == 201

    assert time.monotonic() - started >= 0.05
    assert book.notes == ["hello"]


def test_a_rewrite_changes_the_bytes_of_the_real_answer(book: Notebook, client: httpx.Client) -> None:
    book.faults.append(Fault(rewrite=lambda body: body.replace(b"1", b'"one", "more": 2')))

    answer = add(client)

    assert (answer.status_code, answer.json()) == (201, {"number": "one", "more": 2})
    assert book.notes == ["hello"]


def test_a_fault_skips_then_strikes_so_many_times(book: Notebook, client: httpx.Client) -> None:
    fault = Fault(status=500, skip=1, times=2)
    book.faults.append(fault)

    assert [client.get("/notes").status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    assert fault.struck == 2


def test_a_fault_without_a_number_strikes_until_it_is_taken_away(
    book: Notebook, client: httpx.Client
) -> None:
    book.faults.append(Fault(status=500, times=None))
    assert [client.get("/notes").status_code for _ in range(3)] == [500] * 3

    book.faults.clear()

    assert client.get("/notes").status_code == 200


def test_a_fault_strikes_only_what_its_method_and_path_match_in_full(
    book: Notebook, client: httpx.Client
) -> None:
    book.faults.append(Fault(method="POST", path="/v1/notes", status=500, times=None))
    book.faults.append(Fault(path=r"/v1/notes/\d+", status=404, times=None))

    statuses = [
        add(client).status_code,
        client.get("/notes?x=1").status_code,
        client.get("/notes/7").status_code,
    ]

    assert statuses == [500, 200, 404]


def test_of_several_faults_the_first_that_strikes_decides(book: Notebook, client: httpx.Client) -> None:
    book.faults += [Fault(status=500), Fault(status=503)]

    assert [client.get("/notes").status_code for _ in range(3)] == [500, 503, 200]


# -- serving -----------------------------------------------------------------------------------------------


def test_only_loopback_is_served(book: Notebook) -> None:
    assert book.url == f"http://127.0.0.1:{book.port}/v1"
    assert book.port > 0


def test_a_stopped_server_lets_go_of_its_port() -> None:
    book = notebook()
    with serving(book):
        port = book.port
    with pytest.raises(httpx.ConnectError):
        httpx.get(book.url, trust_env=False)

    again = notebook()
    with serving(again, ports={"notebook": port}):
        assert httpx.get(f"{again.url}/notes", trust_env=False).status_code == 200
    assert again.port == port


def test_a_port_that_is_taken_is_refused_at_once() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()

        with pytest.raises(OSError, match="in use"):
            Servers([notebook()], {"notebook": holder.getsockname()[1]})


async def test_several_worlds_serve_side_by_side_without_mixing() -> None:
    books = [notebook() for _ in range(4)]
    with serving(books[0], books[1]), serving(books[2]), serving(books[3]):
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            posts = [
                client.post(f"{book.url}/notes", json={"text": f"{index}"})
                for index, book in enumerate(books)
                for _ in range(5)
            ]
            answers = await asyncio.gather(*posts)

    assert {answer.status_code for answer in answers} == {201}
    assert [book.notes for book in books] == [[str(index)] * 5 for index in range(4)]
    assert len({book.port for book in books}) == 4


# -- the clock ---------------------------------------------------------------------------------------------


def test_a_frozen_clock_moves_only_when_it_is_moved() -> None:
    clock = SandboxClock(START)

    assert (clock.now(), clock()) == (START, START)
    assert clock.advance(timedelta(minutes=5)) == START + timedelta(minutes=5)
    clock.set(START - timedelta(days=1))
    assert clock.now() == START - timedelta(days=1)


def test_a_running_clock_keeps_running_from_where_it_was_put() -> None:
    clock = SandboxClock()
    clock.set(START)
    before = clock.now()
    clock.advance(timedelta(days=1))

    assert before >= START
    assert timedelta(days=1) <= clock.now() - before < timedelta(days=1, minutes=1)


def test_a_clock_refuses_a_start_without_a_zone() -> None:
    with pytest.raises(ValueError, match="aware"):
        SandboxClock(datetime(2026, 11, 16))  # noqa: DTZ001
