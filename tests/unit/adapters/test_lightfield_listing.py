"""Walking a list that moves while it is read."""

from __future__ import annotations

import random

import pytest

from sync_engine.adapters.lightfield.listing import MOST_STEPS_BACK, PAGE, Walk


def walk(
    rows: list[int], happen: dict[int, list[int]] | None = None, born: int = 0
) -> tuple[list[int], Walk]:
    """Walk over rows (newest first); before page n, the rows ``happen[n]`` go, and ``born`` new ones come."""
    listing, steps, seen, fresh_id = list(rows), Walk(), [], 1_000_000
    page = 0
    while not steps.is_finished:
        for gone in (happen or {}).get(page, []):
            if gone in listing:
                listing.remove(gone)
        for _ in range(born if page else 0):
            fresh_id += 1
            listing.insert(0, fresh_id)
        shown = listing[steps.offset : steps.offset + PAGE]
        fresh = steps.take([str(one) for one in shown], len(shown), len(listing))
        seen += [int(one) for one in fresh]
        page += 1
        assert page < 2_000
    return seen, steps


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 75, 101])
def test_a_list_at_rest_is_seen_whole_and_once(count: int) -> None:
    seen, steps = walk(list(range(count)))

    assert sorted(seen) == list(range(count))
    assert steps.is_whole


def test_any_deletions_leave_no_gap() -> None:
    chance = random.Random(7)
    for _ in range(300):
        rows = list(range(chance.randint(30, 260)))
        happen = {page: chance.sample(rows, chance.randint(0, min(40, len(rows)))) for page in range(1, 5)}
        seen, steps = walk(rows, happen)

        gone = {one for some in happen.values() for one in some}
        assert steps.is_whole
        assert set(rows) - gone <= set(seen)
        assert len(seen) == len(set(seen))


def test_insertions_cost_no_step_back() -> None:
    seen, steps = walk(list(range(200)), born=3)

    assert steps.is_whole
    assert set(range(200)) <= set(seen)


def test_a_list_that_shrinks_without_end_is_read_but_not_called_whole() -> None:
    rows = list(range(4_000))
    happen = {page: rows[page * 40 : page * 40 + 40] for page in range(1, 100)}

    _, steps = walk(rows, happen)

    assert steps.is_finished
    assert not steps.is_whole
    assert MOST_STEPS_BACK > 0


def test_a_short_page_ends_a_list_that_names_no_total() -> None:
    steps = Walk()

    first = steps.take([str(number) for number in range(PAGE)], PAGE, None)
    second = steps.take(["a", "b"], 2, None)

    assert (len(first), len(second)) == (PAGE, 2)
    assert steps.is_finished
    assert steps.is_whole


def test_a_short_page_before_the_end_is_followed_by_the_rest() -> None:
    steps = Walk()

    steps.take([str(number) for number in range(22)], 22, 40)

    assert not steps.is_finished
    assert steps.offset == 22


def test_empty_pages_before_a_wrong_total_come_to_an_end() -> None:
    steps = Walk()
    pages = 0

    while not steps.is_finished:
        steps.take([], 0, 120)
        pages += 1

    assert pages == 5


def test_a_row_twice_in_one_page_is_one_row() -> None:
    assert Walk().take(["a", "a", "b"], 3, 3) == {"a", "b"}
