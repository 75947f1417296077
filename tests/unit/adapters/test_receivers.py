"""What the receivers of all adapters share, and how Zoom's tells an echo from news."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from sync_engine.adapters.base import ConnectionSettings, Surroundings
from sync_engine.adapters.pacing import LocalPacer
from sync_engine.adapters.receiving import WebhookSecrets, keep_secret, named, readable
from sync_engine.adapters.zoom.receiver import ZoomReceiver
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.core.meeting import Field, Participant, Schedule, Value
from sync_engine.core.ports import Hints, Observation
from sync_engine.errors import UnmappableRecordError

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


class Drawer:
    """A vault in memory that counts how often it is looked into."""

    def __init__(self, secret: str | None = None) -> None:
        self.secret, self.looks = secret, 0

    def load(self) -> str | None:
        self.looks += 1
        return self.secret

    def store(self, secret: str) -> None:
        self.secret = secret

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        yield


class Clock:
    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime:
        return self.moment


async def _no_wait(_seconds: float) -> None:
    return None


def around(drawer: Drawer | None = None, clock: Clock | None = None) -> Surroundings:
    return Surroundings(
        workspace="acme",
        connection="side",
        now=clock or Clock(),
        pacer=LocalPacer({}),
        vault=Drawer(),
        sleep=_no_wait,
        webhook_vault=drawer,
    )


def settings(current: str | None = None, previous: str | None = None) -> ConnectionSettings:
    return ConnectionSettings(
        provider="side",
        base_url="https://side.example",
        webhook_secret=SecretStr(current) if current is not None else None,
        previous_webhook_secret=SecretStr(previous) if previous is not None else None,
    )


def test_both_secrets_of_a_rotation_are_tried() -> None:
    secrets = WebhookSecrets(settings("new", "old"), around())

    assert secrets.known == ("new", "old")
    assert secrets.fit(lambda known: "old" in known)
    assert not secrets.fit(lambda known: "other" in known)


def test_a_previous_secret_alone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="previous_webhook_secret needs webhook_secret"):
        settings(None, "old")


@pytest.mark.parametrize("given", [settings(), settings("")])
def test_without_a_secret_nothing_is_expected(given: ConnectionSettings) -> None:
    secrets = WebhookSecrets(given, around(Drawer()))

    assert not secrets
    assert not secrets.fit(lambda known: bool(known))


def test_a_secret_stored_by_another_process_is_found_without_a_restart() -> None:
    drawer, clock = Drawer(), Clock()
    secrets = WebhookSecrets(settings(), around(drawer, clock))
    assert not secrets

    drawer.store("kept")
    clock.moment += timedelta(seconds=11)

    assert secrets.fit(lambda known: "kept" in known)


def test_forged_deliveries_do_not_make_us_look_again_and_again() -> None:
    drawer, clock = Drawer("kept"), Clock()
    secrets = WebhookSecrets(settings("current"), around(drawer, clock))

    for _ in range(100):
        assert not secrets.fit(lambda known: "forged" in known)

    assert drawer.looks == 1


def test_a_second_registered_webhook_does_not_silence_the_first() -> None:
    drawer = Drawer()

    for secret in ("one", "two", "two", "three", "four"):
        keep_secret(drawer, secret)
    secrets = WebhookSecrets(settings(), around(drawer))

    assert secrets.fit(lambda known: known == ("four", "three", "two"))


@pytest.mark.parametrize("body", [b"", b"\xff", b"nonsense", b"[" * 5000, b"5", b'"text"', b"null"])
def test_a_body_that_is_no_object_is_refused_without_quoting_it(body: bytes) -> None:
    with pytest.raises(UnmappableRecordError) as caught:
        readable(body)

    assert "nonsense" not in str(caught.value)


def test_ids_that_would_leave_their_path_are_not_believed() -> None:
    given = ["a-1", "../self", "a/b", "", "a?b", "a-1", "x" * 201, "..", "mtg_1"]

    assert named(given) == ("a-1", "mtg_1")


# -- Zoom ------------------------------------------------------------------------------------------------


def zoom() -> ZoomReceiver:
    made = ZoomSettings(
        account_id="a", client_id="c", client_secret=SecretStr("s"), webhook_secret=SecretStr("w")
    )
    return ZoomReceiver(made, around())


def event(name: str, **payload: Any) -> bytes:
    return json.dumps({"event": name, "payload": payload}).encode()


def shown(**changes: Value) -> Observation:
    values: dict[Field, Value] = {
        Field.TITLE: "Demo",
        Field.DESCRIPTION: "Agenda",
        Field.SCHEDULE: Schedule.timed(NOW, timedelta(minutes=30), "Europe/Berlin"),
        Field.PARTICIPANTS: (Participant("jane@x.example"),),
    }
    return Observation("7", values | {Field(name): value for name, value in changes.items()}, NOW)


SAME = {
    "topic": "Demo",
    "agenda": "Agenda",
    "start_time": "2026-11-20T09:00:00Z",
    "duration": 30,
    "timezone": "Europe/Berlin",
    "settings": {"meeting_invitees": [{"email": "Jane@x.example"}]},
}


@pytest.mark.parametrize("told", [SAME, *({"uuid": "u==", key: value} for key, value in SAME.items())])
def test_an_update_that_says_what_was_shown_is_an_echo(told: dict[str, Any]) -> None:
    hints = zoom().hints(event("meeting.updated", scope="all", object={"id": 7, **told}))

    assert hints.groups == ("7",)
    assert zoom().is_known(hints.claims["7"], shown())


@pytest.mark.parametrize(
    "told",
    [
        {"topic": "Other"},
        {"agenda": "Other"},
        {"start_time": "2026-11-20T09:01:00Z"},
        {"duration": 31},
        {"timezone": "Europe/Paris"},
        {"settings": {"meeting_invitees": []}},
        {**SAME, "topic": "Other"},
    ],
)
def test_an_update_that_says_anything_else_is_news(told: dict[str, Any]) -> None:
    hints = zoom().hints(event("meeting.updated", object={"id": 7, **told}))

    assert not zoom().is_known(hints.claims["7"], shown())


@pytest.mark.parametrize(
    "told",
    [
        {"topic": "Demo", "password": "x"},
        {"topic": "Demo", "recurrence": {"type": 1}},
        {"settings": {"private_meeting": True}},
        {"settings": "none"},
        {"start_time": 5},
        {"topic": None},
        {"topic": "Demo", "type": 8},
        {"uuid": "u=="},
    ],
)
def test_an_update_that_leaves_a_change_open_is_looked_at(told: dict[str, Any]) -> None:
    hints = zoom().hints(event("meeting.updated", object={"id": 7, **told}))

    assert not zoom().is_known(hints.claims.get("7", {}), shown())


def test_claims_hold_no_word_of_the_meeting() -> None:
    hints = zoom().hints(event("meeting.updated", object={"id": 7, **SAME}))

    assert "Demo" not in repr(hints)
    assert "jane" not in repr(hints).casefold()


def test_a_deleted_occurrence_is_a_record_and_a_deleted_number_may_be_a_series() -> None:
    gone = {"id": 7, "occurrences": [{"occurrence_id": "11"}, {"occurrence_id": "12"}]}

    some = zoom().hints(event("meeting.deleted", operation="single", object=gone))
    whole = zoom().hints(event("meeting.deleted", operation="all", object=gone))

    assert some == Hints(records=("7/11", "7/12"), told_gone=frozenset({"7/11", "7/12"}))
    assert whole == Hints(groups=("7",), told_gone=frozenset({"7"}))


@pytest.mark.parametrize("name", ["meeting.participant_joined", "recording.completed", "user.created", "x"])
def test_events_that_change_no_record_ask_for_nothing(name: str) -> None:
    assert zoom().hints(event(name, object={"id": 7})).is_empty


@pytest.mark.parametrize("body", [b"{}", b'{"event":7}', event("meeting.updated", object={"id": "x"}), b"[]"])
def test_an_event_about_nothing_cannot_be_read(body: bytes) -> None:
    with pytest.raises(UnmappableRecordError):
        zoom().hints(body)
