from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from sync_engine.adapters.attio.webhooks import delivery_id, is_authentic, parse_events

SECRET = "s3cret"
BODY = '{"webhook_id":"w","events":[{"event_type":"note.created","title":"Grüße"}]}'.encode()


def sign(body: bytes = BODY, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("name", ["Attio-Signature", "attio-signature", "X-Attio-Signature"])
@pytest.mark.parametrize("form", [str.lower, str.upper])
def test_a_signature_is_taken_from_either_header_in_either_case(name: str, form: Any) -> None:
    assert is_authentic(BODY, {name: form(sign())}, [SECRET])


def test_any_of_several_secrets_will_do() -> None:
    assert is_authentic(BODY, {"Attio-Signature": sign(secret="new")}, ["old", "new"])


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        ({}, [SECRET]),
        ({"Attio-Signature": ""}, [SECRET]),
        ({"Attio-Signature": sign()}, []),
        ({"Attio-Signature": sign(secret="")}, [""]),
        ({"Attio-Signature": sign(secret="other")}, [SECRET]),
        ({"Attio-Signature": sign()[:-1]}, [SECRET]),
        ({"Attio-Signature": "ü" * 64}, [SECRET]),
        ({"Attio-Signature": sign(b"1700000000." + BODY)}, [SECRET]),
    ],
)
def test_everything_else_is_not_authentic(headers: dict[str, str], secrets: list[str]) -> None:
    assert not is_authentic(BODY, headers, secrets)


def test_the_signature_is_over_the_raw_bytes() -> None:
    again = json.dumps(json.loads(BODY)).encode()

    assert again != BODY
    assert not is_authentic(again, {"Attio-Signature": sign()}, [SECRET])


def test_the_idempotency_key_names_a_delivery_and_without_one_its_body_does() -> None:
    assert (
        delivery_id(BODY, {"Idempotency-Key": "k1"})
        == delivery_id(b"{}", {"idempotency-key": " k1 "})
        == "k1"
    )
    assert delivery_id(BODY, {}) == delivery_id(BODY, {"Idempotency-Key": " "}) != delivery_id(b"{}", {})


def test_every_event_of_a_delivery_is_a_hint_also_of_types_nobody_knows() -> None:
    ids = {"workspace_id": "w", "meeting_id": "m", "call_recording_id": "r"}
    events: list[Any] = [
        {"event_type": "call-recording.created", "id": ids, "actor": {"type": "system", "id": None}},
        {"event_type": "meeting.exploded", "id": {"workspace_id": "w", "extra": None}},
        {"event_type": "task.created"},
        {"event_type": 7},
        "nonsense",
    ]

    hints = parse_events(json.dumps({"webhook_id": "h", "events": events}).encode())

    assert [(hint.event_type, hint.meeting_id) for hint in hints] == [
        ("call-recording.created", "m"),
        ("meeting.exploded", None),
        ("task.created", None),
    ]
    assert dict(hints[0].ids) == ids


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"events": {}}', b"\xff", b"null"])
def test_a_body_of_another_form_gives_no_hint(body: bytes) -> None:
    assert parse_events(body) == ()
