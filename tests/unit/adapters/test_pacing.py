from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_engine.adapters.pacing import LocalPacer


class FakeTime:
    """A monotonic clock that moves only when somebody sleeps; every sleep is a little too long."""

    def __init__(self, *, late_by: float = 0.0, seed: int = 0) -> None:
        self.now = 1000.0
        self.late_by = late_by
        self.random = random.Random(seed)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.0) + self.random.uniform(0, self.late_by)
        await asyncio.sleep(0)


def pacer_of(time: FakeTime, **rates: float) -> LocalPacer:
    pacer = LocalPacer(monotonic=time.monotonic, sleep=time.sleep)
    for category, rate in rates.items():
        pacer.set_rate(category, rate)
    return pacer


async def departures(pacer: LocalPacer, time: FakeTime, number: int, category: str = "write") -> list[float]:
    left: list[float] = []
    for _ in range(number):
        await pacer.acquire(category)
        left.append(time.now)
    return left


def most_in_one_second(left: list[float]) -> int:
    return max(bisect_left(left, moment + 1.0) - index for index, moment in enumerate(left))


@pytest.mark.parametrize("rate", [1, 2, 5, 10, 25, 80, 100, 500])
async def test_the_pace_is_at_least_95_percent_of_the_rate_and_no_second_holds_more(rate: int) -> None:
    time = FakeTime(late_by=0.004)

    left = await departures(pacer_of(time, write=rate), time, rate * 60)

    assert most_in_one_second(left) <= rate
    assert (len(left) - 1) / (left[-1] - left[0]) >= 0.95 * rate


@settings(max_examples=150, deadline=None)
@given(
    st.floats(0.1, 300),
    st.lists(st.floats(0, 3), max_size=8),
    st.sampled_from([0.0, 0.001, 0.05, 0.5]),
    st.integers(0, 10_000),
)
def test_no_second_holds_more_than_the_rate_however_requests_and_stalls_fall(
    rate: float, idle: list[float], late_by: float, seed: int
) -> None:
    time = FakeTime(late_by=late_by, seed=seed)
    pacer = pacer_of(time, write=rate)

    async def bursts() -> list[float]:
        left: list[float] = []
        for pause in [*idle, 0.0]:
            time.now += pause
            left += await departures(pacer, time, min(40, math.ceil(rate) * 2))
        return left

    assert most_in_one_second(asyncio.run(bursts())) <= math.ceil(rate)


async def test_many_at_once_leave_in_the_order_they_came_and_no_faster() -> None:
    time = FakeTime()
    pacer = pacer_of(time, write=10)
    left: list[tuple[float, int]] = []

    async def one(number: int) -> None:
        await pacer.acquire("write")
        left.append((time.now, number))

    await asyncio.gather(*(one(number) for number in range(50)))

    assert [number for _, number in left] == list(range(50))
    assert most_in_one_second([moment for moment, _ in left]) <= 10


async def test_the_first_permit_after_a_rest_is_due_at_once() -> None:
    time = FakeTime()
    pacer = pacer_of(time, write=2)
    await departures(pacer, time, 3)
    time.now += 60

    before = time.now
    await pacer.acquire("write")

    assert time.now == before


async def test_a_pause_holds_back_its_category_and_no_other() -> None:
    time = FakeTime()
    pacer = pacer_of(time, read=10, write=10)
    pacer.pause("write", 3.0)

    before = time.now
    await pacer.acquire("read")
    assert time.now == before

    await pacer.acquire("write")
    assert time.now >= before + 3.0


async def test_a_pause_that_comes_while_a_permit_is_waited_for_counts() -> None:
    time = FakeTime()

    async def sleep_and_hear_of_a_pause(seconds: float) -> None:
        if time.now < 1001.0:
            pacer.pause("write", 5.0)
        await time.sleep(seconds)

    pacer = LocalPacer(monotonic=time.monotonic, sleep=sleep_and_hear_of_a_pause)
    pacer.set_rate("write", 1)
    await pacer.acquire("write")

    await pacer.acquire("write")

    assert time.now >= 1005.0


async def test_a_shorter_pause_does_not_shorten_a_longer_one() -> None:
    time = FakeTime()
    pacer = pacer_of(time, write=10)
    pacer.pause("write", 3.0)
    pacer.pause("write", 1.0)

    await pacer.acquire("write")

    assert time.now >= 1003.0


async def test_a_category_without_a_rate_is_not_paced_but_can_be_paused() -> None:
    time = FakeTime()
    pacer = pacer_of(time)
    await departures(pacer, time, 100)
    assert time.now == 1000.0

    pacer.pause("write", 2.0)
    await pacer.acquire("write")

    assert time.now >= 1002.0


async def test_a_rate_an_operator_set_beats_what_an_adapter_declares() -> None:
    time = FakeTime()
    pacer = LocalPacer({"write": 1.0}, monotonic=time.monotonic, sleep=time.sleep)
    pacer.set_rate("write", 1000)

    left = await departures(pacer, time, 4)

    assert left[-1] - left[0] >= 3.0


async def test_a_corrected_rate_counts_from_the_next_permit_on() -> None:
    time = FakeTime()
    pacer = pacer_of(time, write=1)
    await pacer.acquire("write")
    await pacer.acquire("write")
    pacer.set_rate("write", 100)
    await pacer.acquire("write")

    left = await departures(pacer, time, 10)

    assert left[-1] - left[0] < 0.2


async def test_a_rate_that_is_no_rate_is_not_learned() -> None:
    time = FakeTime()
    pacer = pacer_of(time, write=10)

    pacer.set_rate("write", 0)
    pacer.set_rate("write", float("nan"))

    assert len(await departures(pacer, time, 5)) == 5
    with pytest.raises(ValueError, match="more than 0"):
        LocalPacer({"write": 0.0})


def test_one_pacer_serves_one_event_loop_after_the_other() -> None:
    pacer = LocalPacer({"write": 500.0})

    async def several() -> None:
        await asyncio.gather(*(pacer.acquire("write") for _ in range(5)))

    asyncio.run(several())
    asyncio.run(several())


async def test_a_waiter_that_gives_up_does_not_hold_up_the_others() -> None:
    pacer = LocalPacer({"write": 200.0})
    pacer.pause("write", 30.0)
    waiter = asyncio.create_task(pacer.acquire("write"))
    await asyncio.sleep(0)

    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter

    await asyncio.wait_for(pacer.acquire("other"), 1.0)


async def test_a_minute_s_budget_lets_a_few_requests_go_at_once_and_is_never_exceeded() -> None:
    time = FakeTime()
    pacer = pacer_of(time)
    pacer.set_rate("all", 5.0, window_seconds=60)

    left = await departures(pacer, time, 900, "all")

    assert sum(moment == left[0] for moment in left) >= 10
    assert max(sum(start <= moment < start + 60 for moment in left) for start in left) <= 300
    assert 900 / (left[-1] - left[0]) >= 0.95 * 5
