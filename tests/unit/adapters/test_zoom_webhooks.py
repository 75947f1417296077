from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_engine.adapters.zoom.webhooks import Hint, answer_challenge, delivery_id, is_authentic, parse_events

SECRET = "test_secret_token"
STAMP = "1739923528"
SENT = datetime.fromtimestamp(1739923528, UTC)
PLAIN = (
    b'{"event":"meeting.deleted","event_ts":1739923527123,'
    b'"payload":{"account_id":"A1","object":{"id":85746065123}}}'
)
PLAIN_SIGNATURE = "v0=0cfd51d6f76373e984964d11ce3de877dae9f4221334b2ad31f1a13e0dd8927e"
ESCAPED = (
    '{"event":"meeting.updated","event_ts":1739923527123,'
    '"payload":{"object":{"id":1,"topic":"Zürich \\/ 10:00"}}}'
).encode()
ESCAPED_SIGNATURE = "v0=e623da108a75642d72a286e58dfdf15e4432ebd99b8c31184189cdac28ae1ca4"
RESERIALISED_SIGNATURE = "v0=591dca9628ef9a7f623c39ba11a04fd4497326ab5ac9c6ce2db3fe3b7c4ab052"
CHALLENGE = json.dumps(
    {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
).encode()


def headers(signature: str, stamp: str = STAMP) -> dict[str, str]:
    return {"X-Zm-Signature": signature, "x-zm-request-timestamp": stamp, "x-zm-request-id": "r-1"}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), b"v0:" + STAMP.encode() + b":" + body, hashlib.sha256)
    return headers(f"v0={digest.hexdigest()}")


def event(name: str, **payload: Any) -> bytes:
    return json.dumps({"event": name, "event_ts": 1739923527123, "payload": payload}).encode()


@pytest.mark.parametrize(("body", "signature"), [(PLAIN, PLAIN_SIGNATURE), (ESCAPED, ESCAPED_SIGNATURE)])
def test_a_signature_over_the_raw_bytes_is_authentic(body: bytes, signature: str) -> None:
    assert is_authentic(body, headers(signature), [SECRET], now=SENT)


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (ESCAPED, headers(RESERIALISED_SIGNATURE)),
        (PLAIN + b" ", headers(PLAIN_SIGNATURE)),
        (PLAIN, headers("")),
        (PLAIN, headers("v0=é")),
        (PLAIN, headers(PLAIN_SIGNATURE, "later")),
        (PLAIN, {}),
    ],
)
def test_anything_else_is_not(body: bytes, given: dict[str, str]) -> None:
    assert not is_authentic(body, given, [SECRET], now=SENT)


def test_each_of_several_secrets_counts_and_an_empty_one_never() -> None:
    assert is_authentic(PLAIN, headers(PLAIN_SIGNATURE), ["newer", SECRET], now=SENT)
    assert not is_authentic(PLAIN, signed(PLAIN, ""), [""], now=SENT)
    assert not is_authentic(PLAIN, headers(PLAIN_SIGNATURE), [], now=SENT)


@pytest.mark.parametrize(("minutes", "fresh"), [(0, True), (119, True), (121, False), (-121, False)])
def test_a_delivery_is_accepted_as_long_as_zoom_may_repeat_it(minutes: int, fresh: bool) -> None:
    now = SENT + timedelta(minutes=minutes)

    assert is_authentic(PLAIN, headers(PLAIN_SIGNATURE), [SECRET], now=now) is fresh


def test_the_tolerance_is_an_argument() -> None:
    now = SENT + timedelta(minutes=6)
    short = timedelta(minutes=5)

    assert not is_authentic(PLAIN, headers(PLAIN_SIGNATURE), [SECRET], now=now, tolerance=short)


def test_the_challenge_is_answered_with_the_secret_that_signed_it() -> None:
    answer = answer_challenge(CHALLENGE, signed(CHALLENGE), ["older", SECRET], now=SENT)

    assert answer is not None
    assert json.loads(answer) == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": "4efea922935c335d972476de138d2208a0d46ab28c79ee592d497a1b216419b8",
    }


def test_a_forged_challenge_and_other_events_are_not_answered() -> None:
    assert answer_challenge(CHALLENGE, signed(CHALLENGE, "guess"), [SECRET], now=SENT) is None
    assert answer_challenge(PLAIN, headers(PLAIN_SIGNATURE), [SECRET], now=SENT) is None


def test_a_delivery_is_known_again_by_its_id_else_by_its_body() -> None:
    assert delivery_id(PLAIN, {"X-ZM-Request-Id": "r-1"}) == "r-1"
    assert delivery_id(PLAIN, {}) == hashlib.sha256(PLAIN).hexdigest()


@pytest.mark.parametrize("number", [97763643886, "97763643886"])
def test_a_meeting_number_is_text_whether_sent_as_number_or_as_text(number: int | str) -> None:
    hints = parse_events(event("meeting.ended", object={"id": number, "host_id": "h"}))

    moment = datetime.fromtimestamp(1739923527.123, UTC)
    assert hints == (Hint("meeting.ended", "97763643886", ("97763643886",), "h", moment),)


def test_a_deleted_occurrence_is_named_by_its_own_id() -> None:
    shown = {"id": 1, "type": 8, "occurrences": [{"occurrence_id": "17"}, {"occurrence_id": "18"}]}

    (hint,) = parse_events(event("meeting.deleted", operation="single", object=shown))

    assert hint.deleted
    assert hint.external_ids == ("1/17", "1/18")
    assert hint.occurrence_ids == ("17", "18")


def test_a_deleted_single_meeting_and_a_deleted_series_are_named_by_their_number() -> None:
    occurrences = [{"occurrence_id": "17"}]

    (single,) = parse_events(event("meeting.deleted", operation="single", object={"id": 1}))
    (whole,) = parse_events(
        event("meeting.deleted", operation="all", object={"id": 1, "occurrences": occurrences})
    )

    assert single.external_ids == whole.external_ids == ("1",)
    assert single.deleted
    assert whole.deleted


def test_the_time_of_a_change_beats_the_time_of_the_event() -> None:
    (hint,) = parse_events(event("meeting.updated", object={"id": 1}, time_stamp=1739923500000))

    assert hint.moment == datetime.fromtimestamp(1739923500, UTC)


def test_a_summary_event_names_its_meeting_too() -> None:
    (hint,) = parse_events(event("meeting.summary_completed", object={"meeting_id": 7}))

    assert hint.number == "7"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{", b'{"event": 5}', b"\xff",
        event("user.created", object={"id": 1}),
        event("meeting.updated"),
        event("meeting.updated", object={"id": None}),
        event("meeting.updated", object={"id": {"a": 1}}),
        event("meeting.updated", object=[1]),
    ],
)  # fmt: skip
def test_what_is_no_meeting_event_gives_no_hint(body: bytes) -> None:
    assert parse_events(body) == ()
