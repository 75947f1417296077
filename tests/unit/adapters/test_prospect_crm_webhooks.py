from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sync_engine.adapters.prospect_crm.webhooks import Hint, delivery_id, is_authentic, parse_events

BODY = b'{"eventType":"prospect.created","data":{"id":"c1a7e9d34b8f4c2aa6d15e0f7b3c9d42"}}'
SECRET, OLD_SECRET = "whsec_test_prospect_crm", "whsec_old_prospect_crm"
MAC = "70cb68fff92a6dfe92aa6b5224f3f2a07b6ab0a0ddd37ff737b728fff1b5cbba"
OLD_MAC = "ee456bfb9dcb3b644cd2c55b52e34e63acc50bf02f4483b97a4d2c1060279b4f"
SIGNED_AT = datetime.fromtimestamp(1717170000, UTC)


def accepts(
    value: str,
    *,
    header: str = "X-HiringCenter-Signature",
    body: bytes = BODY,
    secrets: tuple[str, ...] = (SECRET,),
    late: timedelta = timedelta(0),
) -> bool:
    return is_authentic(body, {header: value}, secrets, now=SIGNED_AT + late)


@pytest.mark.parametrize(
    "header",
    ["X-HiringCenter-Signature", "x-hiringcenter-signature", "X-HiringCenter-Pro-Signature"],
)
def test_a_signature_is_found_under_both_brands(header: str) -> None:
    assert accepts(f"t=1717170000,v1={MAC}", header=header)


@pytest.mark.parametrize(
    "value",
    [
        f"t=1717170000,v1={OLD_MAC},v1={MAC}",
        f"t=1717170000,v1={MAC},v1={OLD_MAC}",
        f"t=1717170000, v1={MAC.upper()}",
        f"v1={MAC},t=1717170000",
        f"t=1717170000,v1=zz,v1={MAC}",
    ],
)
def test_any_of_several_signatures_is_enough(value: str) -> None:
    assert accepts(value)


def test_the_previous_secret_is_accepted_while_it_is_configured() -> None:
    assert accepts(f"t=1717170000,v1={OLD_MAC}", secrets=(SECRET, OLD_SECRET))
    assert not accepts(f"t=1717170000,v1={OLD_MAC}", secrets=(SECRET,))


@pytest.mark.parametrize(
    "value",
    [
        "", "t=1717170000", f"v1={MAC}", f"t=,v1={MAC}", f"t=now,v1={MAC}", f"t=-1,v1={MAC}",
        f"t=1717170001,v1={MAC}", "t=1717170000,v1=", f"t=1717170000,v2={MAC}", f"t=1717170000,v1={MAC[:-2]}",
        f"t={'9' * 40},v1={MAC}",
    ],
)  # fmt: skip
def test_a_signature_that_is_not_whole_is_refused(value: str) -> None:
    assert not accepts(value)


def test_one_changed_byte_is_refused() -> None:
    assert not accepts(f"t=1717170000,v1={MAC}", body=BODY.replace(b'":"', b'": "', 1))


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(300, True), (-300, True), (301, False), (-301, False), (86_400, False)]
)
def test_a_signature_is_good_for_five_minutes(seconds: int, accepted: bool) -> None:
    assert accepts(f"t=1717170000,v1={MAC}", late=timedelta(seconds=seconds)) is accepted


def test_nothing_is_authentic_without_a_secret_or_a_header() -> None:
    assert not accepts(f"t=1717170000,v1={MAC}", secrets=())
    assert not is_authentic(BODY, {}, (SECRET,), now=SIGNED_AT)


@pytest.mark.parametrize(
    "body",
    [
        b'{"eventType":"prospect.created","data":{"id":"p1"}}',
        b'{"event":"prospect.created","item":{"id":"p1"}}',
        b'{"type":"prospect.created","prospect":{"id":"p1"}}',
        b'{"type":"prospect.created","data":{"prospect":{"id":"p1"}}}',
    ],
)
def test_an_event_is_read_in_every_envelope_that_was_seen(body: bytes) -> None:
    assert parse_events(body) == (Hint("prospect.created", "p1"),)


def test_a_bare_record_is_a_hint_too() -> None:
    assert parse_events(b'{"id":"p1","first_name":"Jane"}') == (Hint("", "p1"),)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"eventType":"note.created","data":{"id":"n"}}', b'{"data":5}']
)
def test_anything_else_is_no_hint(body: bytes) -> None:
    assert parse_events(body) == ()


def test_a_repeated_delivery_has_the_same_name() -> None:
    again = {"X-HiringCenter-Signature": "t=2,v1=00"}

    assert delivery_id(BODY, {}) == delivery_id(BODY, again) != delivery_id(BODY + b" ", {})
