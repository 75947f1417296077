"""What pending deliveries ask for, once each and the oldest first."""

from __future__ import annotations

from datetime import UTC, datetime

from sync_engine.core.ports import Hints
from sync_engine.services.hinted import Asked, Key, Kind, keys_of
from sync_engine.store.inbox import InboxRow

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def row(name: str, *records: str, gone: bool = False) -> InboxRow:
    hints = Hints(records=records, told_gone=frozenset(records) if gone else frozenset())
    return InboxRow(name, "acme/side", name, NOW, NOW, hints=hints)


def key(name: str) -> Key:
    return Key(Kind.RECORD, name)


def ids(rows: list[InboxRow]) -> list[str]:
    return [each.id for each in rows]


def test_a_thing_that_many_ask_for_is_looked_at_once_and_answers_them_all() -> None:
    asked = Asked([row("1", "a"), row("2", "b"), row("3", "a")])

    assert list(asked.next(10)) == [key("a"), key("b")]
    asked.answer(key("a"))

    assert ids(asked.take_answered()) == ["1", "3"]
    assert list(asked.next(10)) == [key("b")]


def test_what_was_asked_for_first_comes_first_however_often_others_are() -> None:
    asked = Asked([row("1", "a"), *(row(f"b{n}", "b") for n in range(50)), row("3", "c")])

    assert list(asked.next(2)) == [key("a"), key("b")]


def test_a_delivery_is_answered_when_everything_it_asks_for_is() -> None:
    asked = Asked([row("1", "a", "b")])

    asked.answer(key("a"))
    half = asked.take_answered()
    asked.answer(key("b"))

    assert (ids(half), ids(asked.take_answered()), asked.is_done) == ([], ["1"], True)


def test_a_delivery_that_asks_for_nothing_is_answered_at_once() -> None:
    assert ids(Asked([row("1")]).take_answered()) == ["1"]


def test_what_one_knows_is_still_looked_at_for_another() -> None:
    first, second = row("1", "a"), row("2", "a")
    asked = Asked([first, second])

    asked.drop([(first, key("a"))])
    known = asked.take_answered()
    left = list(asked.next(10))
    asked.drop([(second, key("a"))])

    assert (ids(known), left, asked.is_done) == (["1"], [key("a")], True)


def test_a_failed_look_takes_its_deliveries_out_and_no_others() -> None:
    asked = Asked([row("1", "a", "b"), row("2", "b")])

    failed = asked.take_asking(key("a"))
    asked.answer(key("b"))

    assert ids(failed) == ["1"]
    assert ids(asked.take_answered()) == ["2"]


def test_one_word_of_a_deletion_is_enough_to_ask_for_it() -> None:
    asked = Asked([row("1", "a"), row("2", "a", gone=True), row("3", "b")])

    assert asked.next(10) == {key("a"): True, key("b"): False}


def test_records_series_and_people_of_the_same_id_are_different_things() -> None:
    mixed = InboxRow("1", "c", "1", NOW, NOW, hints=Hints(records=("7",), groups=("7",), people=("7",)))

    assert len(set(keys_of(mixed))) == 3
