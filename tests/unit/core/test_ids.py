"""Identifiers are UUIDs of version 7 that sort by time, and reproducible from a seed."""

from __future__ import annotations

import random
import threading
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sync_engine.core.ids import Ids, uuid7

NOW = datetime(2026, 11, 20, 9, 0, 0, 123_456, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 7 * 10**15).map(lambda count: EPOCH + timedelta(microseconds=count))


@given(MOMENTS, st.binary(min_size=8, max_size=16))
def test_an_id_is_a_uuid_of_version_7_that_carries_its_millisecond(now: datetime, noise: bytes) -> None:
    made = uuid.UUID(uuid7(now, noise))

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == (now - EPOCH) // timedelta(milliseconds=1)


@given(MOMENTS, st.integers(1, 10**9), st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_ids_of_different_microseconds_sort_by_time(
    now: datetime, microseconds: int, first: bytes, second: bytes
) -> None:
    later = now + timedelta(microseconds=microseconds)

    assert uuid7(now, first) < uuid7(later, second)


def test_ids_of_one_source_grow_even_when_its_clock_stands_still_or_runs_back() -> None:
    ids = Ids(random.Random(1).getrandbits)
    moments = [NOW] * 5000 + [NOW - timedelta(seconds=1)] * 100 + [NOW + timedelta(seconds=5)]

    made = [ids(moment) for moment in moments]

    assert made == sorted(set(made))


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second = Ids(random.Random(1).getrandbits), Ids(random.Random(1).getrandbits)

    assert [first(NOW) for _ in range(10)] == [second(NOW) for _ in range(10)]


def test_threads_that_share_a_source_get_different_ids() -> None:
    ids = Ids()
    made: list[str] = []

    def make() -> None:
        made.extend(ids(NOW) for _ in range(500))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 2000
