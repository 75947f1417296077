"""The receiver as providers see it: real servers, real signatures."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sync_engine.sandbox.server import Delivery
from sync_engine.store.inbox import InboxState
from tests.integration.web.bench import (
    SECRETS,
    Door,
    channel_of,
    inbox,
    let_sandboxes_deliver,
    path_of,
    served,
    table_away,
    taken,
)
from tests.lab import JANE, Lab


async def _zoom_edit(lab: Lab) -> Delivery:
    lab.world.zoom.people.rename(lab.book(), "Renamed 10:00 / Zürich")
    return taken(lab)[-1]


async def _attio_recording(lab: Lab) -> Delivery:
    start = lab.world.clock.now() - timedelta(hours=2)
    meeting = lab.world.attio.people.book("Talk", start, start + timedelta(hours=1), attendees=[JANE])
    lab.world.attio.people.record(meeting)
    lab.pass_time(minutes=1)
    await channel_of(lab, "attio").adapter.canary()
    (recorded,) = (delivery for delivery in taken(lab) if b"call-recording.created" in delivery.body)
    return recorded


async def _lightfield_meeting(lab: Lab) -> Delivery:
    start = lab.world.clock.now() - timedelta(hours=2)
    lab.world.lightfield.people.book("Talk", start, start + timedelta(hours=1))
    return taken(lab)[-1]


async def _crm_prospect(lab: Lab) -> Delivery:
    lab.world.prospect_crm.add_prospect("Joe", "Roe", "joe@prospects.example")
    return taken(lab)[-1]


HAPPENINGS = [_zoom_edit, _attio_recording, _lightfield_meeting, _crm_prospect]


@pytest.mark.parametrize("happening", HAPPENINGS)
async def test_a_signed_delivery_of_each_provider_is_stored_and_told(
    lab: Lab, door: Door, happening: Callable[[Lab], object]
) -> None:
    delivery = await happening(lab)  # type: ignore[misc]

    answer = door.post(delivery)

    connection = channel_of(lab, delivery.provider).id
    (row,) = inbox(lab.engine, connection)
    assert answer.status_code == 200
    assert answer.content == b""
    assert not row.hints.is_empty
    assert row.request_id == answer.headers["x-request-id"]


@pytest.mark.parametrize("happening", HAPPENINGS)
async def test_a_forged_delivery_is_refused_and_leaves_no_trace(
    lab: Lab, door: Door, happening: Callable[[Lab], object]
) -> None:
    delivery = await happening(lab)  # type: ignore[misc]
    forged = [
        replace(delivery, headers={"content-type": "application/json"}),
        replace(delivery, headers={name: _other(value) for name, value in delivery.headers.items()}),
    ]
    if delivery.provider != "lightfield":  # its secret covers no body
        forged.append(replace(delivery, body=delivery.body.replace(b"}", b" }", 1)))

    answers = [door.post(each) for each in forged]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.content for answer in answers} == {b""}
    assert inbox(lab.engine, channel_of(lab, delivery.provider).id) == []


def _other(value: str) -> str:
    return value[:-1] + ("0" if value[-1] != "0" else "1")


@pytest.mark.parametrize("happening", HAPPENINGS)
async def test_the_secret_of_another_account_opens_nothing(
    lab: Lab, happening: Callable[[Lab], object]
) -> None:
    delivery = await happening(lab)  # type: ignore[misc]
    await lab.restart(**{name: f'webhook_secret = "another-{name}"' for name in SECRETS})

    with served(lab.engine) as door:
        answer = door.post(delivery)

    assert answer.status_code == 401


@pytest.mark.parametrize("happening", HAPPENINGS)
async def test_a_rotated_secret_is_accepted_until_it_is_taken_out(
    lab: Lab, happening: Callable[[Lab], object]
) -> None:
    delivery = await happening(lab)  # type: ignore[misc]
    both = {
        name: f'webhook_secret = "newer-{name}"\nprevious_webhook_secret = "{old}"'
        for name, old in SECRETS.items()
    }
    await lab.restart(**both)
    with served(lab.engine) as door:
        while_rotating = door.post(delivery)
    await lab.restart(**{name: f'webhook_secret = "newer-{name}"' for name in SECRETS})
    with served(lab.engine) as door:
        afterwards = door.post(delivery)

    assert (while_rotating.status_code, afterwards.status_code) == (200, 401)


@pytest.mark.parametrize(
    "path",
    ["/webhooks/acme/nothing", "/webhooks/nobody/zoom", "/webhooks/acme/Zoom", "/webhooks/acme/zoom/more"],
)
async def test_what_is_not_there_is_not_found_and_says_nothing(lab: Lab, door: Door, path: str) -> None:
    delivery = await _zoom_edit(lab)

    answer = door.client.post(path, content=delivery.body, headers=delivery.headers)

    assert answer.status_code == 404
    assert b"zoom" not in answer.content.lower()


async def test_a_connection_without_a_secret_takes_nothing(lab: Lab) -> None:
    delivery = await _zoom_edit(lab)
    await lab.restart(zoom="")

    with served(lab.engine) as door:
        answer = door.post(delivery)

    assert answer.status_code == 404


async def test_a_repeated_delivery_is_answered_and_stored_once(lab: Lab, door: Door) -> None:
    delivery = await _zoom_edit(lab)

    statuses = [door.post(delivery).status_code for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert len(inbox(lab.engine)) == 1


async def test_an_old_delivery_that_is_replayed_is_refused(lab: Lab, door: Door) -> None:
    zoom, crm = await _zoom_edit(lab), await _crm_prospect(lab)
    lab.pass_time(minutes=6)

    within_zooms_retries, beyond_five_minutes = door.post(zoom), door.post(crm)
    lab.pass_time(hours=3)
    much_later = door.post(zoom)

    assert within_zooms_retries.status_code == 200
    assert beyond_five_minutes.status_code == 401
    assert much_later.status_code == 401


@pytest.mark.parametrize("header", ["X-HiringCenter-Signature", "X-HiringCenter-Pro-Signature"])
async def test_both_names_of_the_crms_signature_header_are_understood(
    lab: Lab, door: Door, header: str
) -> None:
    lab.world.prospect_crm.webhook_header = header
    lab.world.prospect_crm.previous_webhook_secret = "an-older-one"

    answer = door.post(await _crm_prospect(lab))

    assert answer.status_code == 200


async def test_escaped_slashes_are_signed_as_they_were_sent(lab: Lab, door: Door) -> None:
    delivery = await _zoom_edit(lab)
    assert rb"\/" in delivery.body
    reserialised = json.dumps(json.loads(delivery.body), separators=(",", ":"), ensure_ascii=False).encode()

    as_sent, written_anew = door.post(delivery), door.post(replace(delivery, body=reserialised))

    assert (as_sent.status_code, written_anew.status_code) == (200, 401)


async def test_zooms_validation_of_the_address_is_answered_and_noted(lab: Lab, door: Door) -> None:
    plain = lab.world.zoom.url_validation()

    answer = door.post(taken(lab)[-1])

    encrypted = hmac.new(SECRETS["zoom"].encode(), plain.encode(), hashlib.sha256).hexdigest()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"plainToken": plain, "encryptedToken": encrypted}
    assert inbox(lab.engine) == []


async def test_an_unsigned_validation_is_no_oracle(lab: Lab, door: Door) -> None:
    lab.world.zoom.url_validation()
    delivery = taken(lab)[-1]

    answer = door.post(replace(delivery, headers={}))

    assert answer.status_code == 401
    assert answer.content == b""


async def test_a_signed_body_that_cannot_be_read_is_set_aside(lab: Lab, door: Door) -> None:
    bodies = [b"", b"\xff\xfe", b"[1, 2", b"null", b"{}", b'{"event": 5}', b'{"event":"meeting.updated"}']

    answers = [door.post(_signed_by_zoom(lab, body)) for body in bodies]

    assert {answer.status_code for answer in answers} == {200}
    assert inbox(lab.engine) == []
    assert _states(lab) == {InboxState.UNUSABLE: len(bodies)}


async def test_an_event_that_concerns_no_record_needs_no_work(lab: Lab, door: Door) -> None:
    body = b'{"event":"meeting.participant_joined","payload":{"object":{"id":"123"}}}'

    answer = door.post(_signed_by_zoom(lab, body))

    assert answer.status_code == 200
    assert _states(lab) == {InboxState.DONE: 1}
    assert door.notified == []


def _signed_by_zoom(lab: Lab, body: bytes) -> Delivery:
    stamp = str(int(lab.world.clock.now().timestamp()))
    message = b"v0:" + stamp.encode() + b":" + body
    signature = "v0=" + hmac.new(SECRETS["zoom"].encode(), message, hashlib.sha256).hexdigest()
    return Delivery("zoom", body, {"x-zm-signature": signature, "x-zm-request-timestamp": stamp})


def _states(lab: Lab) -> dict[InboxState, int]:
    with lab.engine.store.reading() as uow:
        rows = uow.connection.exec_driver_sql("SELECT state, count(*) FROM inbox GROUP BY state").all()
    return {InboxState(state): count for state, count in rows}


async def test_no_text_of_a_body_is_kept(lab: Lab, door: Door) -> None:
    lab.book("A secret topic", agenda="A secret agenda")
    lab.world.zoom.people.rename(lab.book("Another"), "A secret topic")

    door.post_all(taken(lab))

    with lab.engine.store.reading() as uow:
        kept = repr(uow.connection.exec_driver_sql("SELECT * FROM inbox").all())
    assert "hints" not in kept
    for words in ("secret", "Another", JANE, "pwd=", "acme.example"):
        assert words not in kept


async def test_a_body_of_more_than_a_megabyte_is_not_read(lab: Lab, door: Door) -> None:
    delivery = await _zoom_edit(lab)
    large = b" " * (1024 * 1024 + 1)

    def in_pieces() -> object:
        yield from (large[:600_000], large[600_000:])

    told = door.client.post(path_of(delivery), content=large, headers=delivery.headers)
    untold = door.client.post(path_of(delivery), content=in_pieces(), headers=delivery.headers)  # type: ignore[arg-type]
    just_fits = door.client.post(path_of(delivery), content=large[:-1], headers=delivery.headers)

    assert (told.status_code, untold.status_code, just_fits.status_code) == (413, 413, 401)


async def test_only_post_delivers(door: Door) -> None:
    assert door.get("/webhooks/acme/zoom").status_code == 405


async def test_a_delivery_that_cannot_be_stored_is_asked_for_again(lab: Lab, door: Door) -> None:
    delivery = await _zoom_edit(lab)

    with table_away(lab, "inbox"):
        meanwhile = door.post(delivery)
    afterwards = door.post(delivery)

    assert (meanwhile.status_code, afterwards.status_code) == (503, 200)
    assert len(inbox(lab.engine)) == 1


async def test_a_broker_that_is_away_costs_no_delivery(lab: Lab) -> None:
    delivery = await _zoom_edit(lab)

    def away(_inbox_id: str) -> None:
        raise ConnectionError

    with served(lab.engine, notify=away) as door:
        answer = door.post(delivery)

    assert answer.status_code == 200
    assert len(inbox(lab.engine)) == 1


async def test_a_new_delivery_is_told_once(lab: Lab) -> None:
    delivery = await _zoom_edit(lab)

    with served(lab.engine) as door:
        door.post(delivery)
        door.post(delivery)

    (row,) = inbox(lab.engine)
    assert door.notified == [row.id]


async def test_a_secret_that_check_kept_is_taken_up_while_serving(lab: Lab) -> None:
    await lab.restart(attio="")
    let_sandboxes_deliver(lab)
    delivery = await _attio_recording(lab)

    with served(lab.engine) as door:
        before = door.post(delivery)
        with lab.engine.store.transaction() as uow:
            uow.connections.ensure("acme", [("attio", "attio")], lab.engine.now())
            uow.connections.store_secret("acme/attio", "webhook", SECRETS["attio"], lab.engine.now())
        lab.pass_time(seconds=11)
        after = door.post(delivery)

    assert (before.status_code, after.status_code) == (404, 200)
