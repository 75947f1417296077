"""What the Lightfield sandbox answers fits the published description and the official client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest

from sync_engine.sandbox.lightfield import LightfieldSandbox
from sync_engine.sandbox.world import World

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
SPEC = Path(__file__).parents[3].parent / "shared" / "specs" / "lightfield.json"
FIELDS = {
    "$title": "Screening",
    "$startDate": "2026-11-15T14:00:00+00:00",
    "$endDate": "2026-11-15T14:30:00+00:00",
    "$attendeeEmails": ["anna@acme.example"],
}

Validate = Callable[[str, httpx.Response], dict[str, Any]]


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=1, start=NOW) as world:
        yield world


@pytest.fixture
def sandbox(world: World) -> LightfieldSandbox:
    return world.lightfield


@pytest.fixture
def api(sandbox: LightfieldSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.token}", "Lightfield-Version": "2026-03-01"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def validate() -> Validate:
    if not SPEC.exists():
        pytest.skip("the provider's description is not beside this checkout: answers are not validated")
    components = json.loads(SPEC.read_text())["components"]

    def check(name: str, answer: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        jsonschema.Draft202012Validator(schema).validate(body)
        return body

    return check


@pytest.mark.parametrize("access", ["FULL", "METADATA"])
def test_meetings_have_the_published_form(
    sandbox: LightfieldSandbox, api: httpx.Client, validate: Validate, access: str
) -> None:
    sandbox.redact_everything = access == "METADATA"
    start = NOW - timedelta(days=1)
    sandbox.people.book(None, start, start + timedelta(hours=1))

    created = validate("MeetingCreateResponse", api.post("/v1/meetings", json={"fields": FIELDS}))

    path = f"/v1/meetings/{created['id']}"
    assert validate("MeetingListResponse", api.get("/v1/meetings"))["totalCount"] == 2
    assert validate("MeetingRetrieveResponse", api.get(path))["accessLevel"] == access
    given = {"fields": {"$privacySetting": "FULL"}}
    assert validate("MeetingUpdateResponse", api.post(path, json=given))["id"] == created["id"]


def test_errors_have_the_published_form_where_they_are_bare(
    sandbox: LightfieldSandbox, api: httpx.Client, validate: Validate
) -> None:
    sandbox.wrapped_errors = False

    validate("NotFoundError", api.get("/v1/meetings/mtg_none"))
    validate("BadRequestError", api.post("/v1/meetings", json={"fields": {"bogus": 1}}))
    validate("UnauthorizedError", api.get("/v1/meetings", headers={"Authorization": "none"}))
    sandbox.may_delete = False
    sandbox.scopes = {"meetings:read"}
    validate("ForbiddenError", api.post("/v1/meetings", json={"fields": FIELDS}))


def test_everything_else_has_the_published_form(
    sandbox: LightfieldSandbox, api: httpx.Client, validate: Validate
) -> None:
    sandbox.people.add_member("anna@acme.example", "Anna", "A")
    account = sandbox.people.add_account("Customer", "https://customer.example")
    contact = sandbox.people.add_contact("b@customer.example", account=account)

    validate("AuthValidateResponse", api.get("/v1/auth/validate"))
    validate("MemberListResponse", api.get("/v1/members"))
    validate("ContactListResponse", api.get("/v1/contacts"))
    validate("ContactRetrieveResponse", api.get(f"/v1/contacts/{contact}"))
    validate("AccountListResponse", api.get("/v1/accounts"))
    given = {"filename": "t.txt", "mimeType": "text/plain", "sizeBytes": 3}
    opened = validate("FileCreateResponse", api.post("/v1/files", json=given))
    headers = opened["uploadHeaders"]
    assert httpx.put(opened["uploadUrl"], content=b"abc", headers=headers, trust_env=False).is_success
    validate("FileCompleteResponse", api.post(f"/v1/files/{opened['id']}/complete", json={}))
    validate("FileRetrieveResponse", api.get(f"/v1/files/{opened['id']}"))
    validate("FileUrlResponse", api.get(f"/v1/files/{opened['id']}/url"))
    validate("FileListResponse", api.get("/v1/files"))


def test_the_official_client_works_against_the_sandbox(world: World, sandbox: LightfieldSandbox) -> None:
    lightfield = pytest.importorskip("lightfield", reason="the official client is not installed")
    upcoming = sandbox.people.book("Upcoming", NOW, NOW + timedelta(hours=1))

    with lightfield.Lightfield(
        api_key=sandbox.token,
        base_url=sandbox.url,
        http_client=lightfield.DefaultHttpxClient(trust_env=False),
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        key = {"extra_headers": {"Idempotency-Key": "k"}}
        assert client.auth.validate().scopes == []
        created = client.meeting.create(fields=FIELDS, auto_create_records=False, **key)
        again = client.meeting.create(fields=FIELDS, auto_create_records=False, **key)
        page = client.meeting.list(limit=25, offset=0)
        fields = {"$attendeeEmails": ["b@acme.example"]}
        updated = client.meeting.update(created.id, fields=fields)
        definitions = client.meeting.definitions()
        client.meeting.delete(created.id)
        trashed = client.meeting.list(status="trashed")
        with pytest.raises(lightfield.NotFoundError):
            client.meeting.delete(created.id)
        restored = client.meeting.restore(created.id, body={})
        session = client.file.create(filename="t.txt", mime_type="text/plain", size_bytes=3)
        with pytest.raises(lightfield.BadRequestError):
            client.meeting.update(created.id, fields={"$title": "No"})

    assert again.id == created.id
    assert {row.id for row in page.data} == {created.id, upcoming}
    assert updated.fields["$attendeeEmails"].value == ["b@acme.example"]
    assert definitions.field_definitions["$title"].value_type == "TEXT"
    assert [row.id for row in trashed.data] == [created.id]
    assert restored.id == created.id
    assert session.upload_headers["content-type"] == "text/plain"
