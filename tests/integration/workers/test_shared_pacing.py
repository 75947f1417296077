"""One budget for all workers, kept in a real Redis."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from sync_engine.adapters.shared_pacing import SharedPacer, SharedPacing, redis_py_url
from tests.integration.workers.rig import OwnRedis

RATE = 50.0


@pytest.fixture
async def workers(own_redis: OwnRedis) -> AsyncIterator[list[SharedPacing]]:
    """Give the ways of two workers to one Redis."""
    both = [SharedPacing(own_redis.url) for _ in range(2)]
    yield both
    for each in both:
        await each.aclose()


def pacer_of(worker: SharedPacing, connection: str = "acme/zoom", **rates: float) -> SharedPacer:
    pacer = worker.pacer(connection)
    for category, rate in (rates or {"write": RATE}).items():
        pacer.set_rate(category, rate)
    return pacer


async def departures(pacer: SharedPacer, number: int, category: str = "write") -> list[float]:
    left: list[float] = []
    for _ in range(number):
        await pacer.acquire(category)
        left.append(time.monotonic())
    return left


async def test_workers_together_keep_one_rate_and_use_it(workers: list[SharedPacing]) -> None:
    pacers = [pacer_of(worker) for worker in workers]

    halves = await asyncio.gather(*(departures(pacer, 50) for pacer in pacers))

    left = sorted(halves[0] + halves[1])
    assert max(bisect_left(left, moment + 1.0) - index for index, moment in enumerate(left)) <= RATE + 1
    assert (len(left) - 1) / (left[-1] - left[0]) >= 0.8 * RATE


async def test_neither_worker_starves(workers: list[SharedPacing]) -> None:
    pacers = [pacer_of(worker) for worker in workers]
    left = [0, 0]

    async def take(number: int) -> None:
        while True:
            await pacers[number].acquire("write")
            left[number] += 1

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await asyncio.gather(take(0), take(1))

    assert min(left) >= 0.2 * sum(left)


async def test_a_worker_that_died_while_it_waited_holds_nobody_up_for_long(
    workers: list[SharedPacing],
) -> None:
    dies, lives = (pacer_of(worker, write=20) for worker in workers)
    await lives.acquire("write")
    waiting = asyncio.ensure_future(dies.acquire("write"))
    await asyncio.sleep(0.02)
    waiting.cancel()

    started = time.monotonic()
    await departures(lives, 3)

    assert time.monotonic() - started < 1.5


async def test_the_budget_of_one_connection_is_not_spent_by_another(workers: list[SharedPacing]) -> None:
    busy, other = pacer_of(workers[0], "acme/zoom", write=1), pacer_of(workers[1], "other/zoom", write=1)
    await busy.acquire("write")

    started = time.monotonic()
    await other.acquire("write")

    assert time.monotonic() - started < 0.5


async def test_a_pause_one_worker_is_told_of_holds_the_other_back(workers: list[SharedPacing]) -> None:
    told, other = (pacer_of(worker) for worker in workers)
    await other.acquire("write")

    told.pause("write", 0.6)
    await asyncio.sleep(0.05)  # the news travels by itself
    started = time.monotonic()
    await other.acquire("write")

    assert time.monotonic() - started > 0.4


async def test_a_rate_one_worker_is_told_counts_for_the_other(workers: list[SharedPacing]) -> None:
    told, other = (pacer_of(worker, write=1000) for worker in workers)
    told.set_rate("write", 10)
    await told.acquire("write")

    left = await departures(other, 5)

    assert left[-1] - left[0] > 0.35


async def test_a_rate_an_operator_set_is_not_corrected(workers: list[SharedPacing]) -> None:
    pacer = workers[0].pacer("acme/zoom", {"write": 1000})
    pacer.set_rate("write", 1)

    left = await departures(pacer, 5)

    assert left[-1] - left[0] < 0.5


async def test_without_redis_a_worker_paces_by_itself_and_says_so_once(
    workers: list[SharedPacing], own_redis: OwnRedis
) -> None:
    pacer = pacer_of(workers[0], write=20)
    await pacer.acquire("write")
    own_redis.kill()

    with capture_logs() as logs:
        left = await departures(pacer, 5)

    assert left[-1] - left[0] > 0.15
    assert [line["event"] for line in logs] == ["shared_pacing_lost"]


async def test_a_redis_that_came_back_is_used_again(own_redis: OwnRedis) -> None:
    now = [0.0]
    worker = SharedPacing(own_redis.url, monotonic=lambda: now[0])
    pacer = pacer_of(worker, write=1000)
    own_redis.kill()
    await pacer.acquire("write")

    own_redis.start()
    now[0] += 10
    with capture_logs() as logs:
        await pacer.acquire("write")
    await worker.aclose()

    assert [line["event"] for line in logs] == ["shared_pacing_regained"]
    assert own_redis.client.exists("ms:pace:acme/zoom:write")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("redis://host:6379/1", "redis://host:6379/1"),
        ("redis+socket:///run/r.sock", "unix:///run/r.sock"),
        ("redis+socket:///run/r.sock?virtual_host=3", "unix:///run/r.sock?db=3"),
    ],
)
def test_an_address_is_spelt_as_the_client_wants_it(ours: str, theirs: str) -> None:
    assert redis_py_url(ours) == theirs
