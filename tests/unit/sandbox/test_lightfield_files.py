"""The file API of the Lightfield sandbox, and the storage host behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_engine.sandbox.lightfield import LightfieldSandbox
from sync_engine.sandbox.world import World

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
TEXT = b"Anna: hello"


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=1, start=NOW) as world:
        world.lightfield.rate_limits = False
        yield world


@pytest.fixture
def sandbox(world: World) -> LightfieldSandbox:
    return world.lightfield


@pytest.fixture
def api(sandbox: LightfieldSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.token}", "Lightfield-Version": "2026-03-01"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
        yield client


def session(api: httpx.Client, **changes: Any) -> dict[str, Any]:
    facts = {"filename": "t.txt", "mimeType": "text/plain", "sizeBytes": len(TEXT), **changes}
    answer = api.post("/v1/files", json={"purpose": "meeting_transcript", **facts})
    assert answer.status_code == 200, answer.text
    opened: dict[str, Any] = answer.json()
    return opened


def upload(
    opened: dict[str, Any], content: bytes = TEXT, extra: Mapping[str, str] | None = None
) -> httpx.Response:
    return httpx.put(
        opened["uploadUrl"],
        content=content,
        headers={**opened["uploadHeaders"], **(extra or {})},
        trust_env=False,
    )


def book(sandbox: LightfieldSandbox) -> str:
    start = NOW - timedelta(days=1)
    return sandbox.people.book("Talk", start, start + timedelta(hours=1))


def uploaded(api: httpx.Client) -> str:
    opened = session(api)
    assert upload(opened).is_success
    assert api.post(f"/v1/files/{opened['id']}/complete", json={}).is_success
    return str(opened["id"])


def test_a_transcript_travels_from_session_to_meeting(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    path = f"/v1/meetings/{book(sandbox)}"
    opened = session(api)

    assert opened["status"] == "PENDING"
    assert upload(opened).status_code == 200
    digest = hashlib.md5(TEXT, usedforsecurity=False).hexdigest()
    completed = api.post(f"/v1/files/{opened['id']}/complete", json={"md5": digest}).json()
    attached = api.post(path, json={"relationships": {"$transcript": {"replace": opened["id"]}}}).json()

    assert completed["status"] == "COMPLETED"
    assert attached["relationships"]["$transcript"]["values"] == [opened["id"]]
    link = api.get(f"/v1/files/{opened['id']}/url").json()["url"]
    assert httpx.get(link, trust_env=False).content == TEXT
    assert api.get(f"/v1/files/{opened['id']}").json()["completedAt"] is not None
    assert api.get("/v1/files").json()["totalCount"] == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"Authorization": "Bearer sk_lf_sandbox"},
        {"Lightfield-Version": "2026-03-01"},
        {"content-type": "application/json"},
        {"X-Storage-Signature": "other"},
    ],
)
def test_the_storage_host_takes_exactly_the_signed_headers(api: httpx.Client, extra: dict[str, str]) -> None:
    opened = session(api)

    answer = upload(opened, extra=extra)

    assert answer.status_code == 403
    assert b"SignatureDoesNotMatch" in answer.content
    assert api.post(f"/v1/files/{opened['id']}/complete", json={}).status_code == 422


def test_a_wrong_checksum_or_size_is_noticed(api: httpx.Client) -> None:
    wrong, short = session(api), session(api)
    upload(wrong)
    upload(short, TEXT[:3])

    assert api.post(f"/v1/files/{wrong['id']}/complete", json={"md5": "0" * 32}).status_code == 422
    assert api.post(f"/v1/files/{wrong['id']}/complete", json={"md5": "X"}).status_code == 400
    assert api.post(f"/v1/files/{short['id']}/complete", json={}).status_code == 422


def test_a_session_ends(world: World, api: httpx.Client) -> None:
    late, given_up = session(api), session(api)
    assert api.post(f"/v1/files/{given_up['id']}/cancel", json={}).json()["status"] == "CANCELLED"
    assert api.post(f"/v1/files/{given_up['id']}/cancel", json={}).status_code == 409

    world.clock.advance(timedelta(hours=1))

    assert upload(late).status_code == 403
    assert api.get(f"/v1/files/{late['id']}").json()["status"] == "EXPIRED"


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"mimeType": "video/mp4"}, 422),
        ({"sizeBytes": 0}, 400),
        ({"sizeBytes": 536_870_913}, 400),
        ({"filename": ""}, 400),
        ({"purpose": "party"}, 400),
        ({"bogus": 1}, 400),
    ],
)
def test_a_session_of_another_form_is_refused(api: httpx.Client, facts: dict[str, Any], status: int) -> None:
    given = {"purpose": "meeting_transcript", "filename": "t", "mimeType": "text/plain", "sizeBytes": 5}

    assert api.post("/v1/files", json={**given, **facts}).status_code == status


def test_only_a_finished_file_can_be_attached(sandbox: LightfieldSandbox, api: httpx.Client) -> None:
    path = f"/v1/meetings/{book(sandbox)}"

    def attach(file_id: str) -> httpx.Response:
        return api.post(path, json={"relationships": {"$transcript": {"replace": file_id}}})

    assert attach(session(api)["id"]).status_code == 422
    assert attach("fil_none").json()["error"]["code"] == "relationship_entity_missing"
    assert attach(uploaded(api)).is_success


def test_a_new_meeting_can_bring_its_transcript(api: httpx.Client) -> None:
    file_id = uploaded(api)
    fields = {
        "$title": "Talk",
        "$startDate": "2026-11-15T09:00:00Z",
        "$endDate": "2026-11-15T10:00:00Z",
    }

    given = {"fields": fields, "relationships": {"$transcript": [file_id]}}
    meeting = api.post("/v1/meetings", json=given).json()

    assert meeting["relationships"]["$transcripts"]["values"] == [file_id]


def test_the_newest_transcript_is_canonical_and_the_older_ones_stay(
    sandbox: LightfieldSandbox, api: httpx.Client
) -> None:
    external_id = book(sandbox)
    sandbox.people.record_transcript(external_id, "recorded")
    ours = uploaded(api)

    given = {"relationships": {"$transcript": {"replace": ours}}}
    meeting = api.post(f"/v1/meetings/{external_id}", json=given).json()

    assert meeting["relationships"]["$transcript"]["values"] == [ours]
    assert len(meeting["relationships"]["$transcripts"]["values"]) == 2


@pytest.mark.parametrize("change", [{"remove": "fil_1"}, {"add": "fil_1"}, None, {}])
def test_a_transcript_can_be_replaced_but_not_taken_away(
    sandbox: LightfieldSandbox, api: httpx.Client, change: Any
) -> None:
    answer = api.post(f"/v1/meetings/{book(sandbox)}", json={"relationships": {"$transcript": change}})

    assert answer.status_code == 400
