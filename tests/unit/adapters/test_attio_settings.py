from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from sync_engine.adapters.attio.answers import ABOUT_EXTERNAL_REF, NO_SUCH_RECORD, UNCLEAR_NOT_FOUND, classify
from sync_engine.adapters.attio.guide import GUIDE
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.adapters.http import Answer
from sync_engine.adapters.registry import PROVIDERS
from sync_engine.errors import CredentialsError, RecordGoneError, RefusedError

ID = "cb59ab17-ad15-460c-a126-0715617c0853"


def made(**changes: Any) -> AttioSettings:
    facts: dict[str, Any] = {"access_token": SecretStr("token"), **changes}
    return AttioSettings(**facts)


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = made()

    assert settings.base_url == "https://api.attio.com"
    assert settings.twin_grace_minutes == 15
    assert settings.replace is True
    assert settings.create == "always"


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak"])
def test_a_token_that_cannot_be_one_is_refused_with_where_to_get_it(token: str) -> None:
    with pytest.raises(ValidationError, match="Workspace settings"):
        made(access_token=token)


def test_blanks_around_a_token_are_dropped_and_it_is_never_shown() -> None:
    settings = made(access_token=" abc ")

    assert settings.access_token.get_secret_value() == "abc"
    assert "abc" not in repr(settings)


@pytest.mark.parametrize("patterns", [[""], ["*"]])
def test_patterns_that_would_leave_nobody_are_refused(patterns: list[str]) -> None:
    with pytest.raises(ValidationError, match="patterns"):
        made(skip_participants=patterns)


def test_unknown_keys_are_errors() -> None:
    with pytest.raises(ValidationError, match="acces_token"):
        made(acces_token="x")


def test_the_registry_finds_settings_builder_and_guide() -> None:
    entry = PROVIDERS["attio"]

    assert entry.settings is AttioSettings
    assert callable(entry.build)
    assert entry.guide is GUIDE


def answer(status: int, body: Any) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {}, content)


def error(status: int, code: str, message: str = "", **more: Any) -> Answer:
    return answer(status, {"status_code": status, "type": "t", "code": code, "message": message, **more})


@pytest.mark.parametrize("status", [200, 204, 401, 409, 413, 429, 500])
def test_most_answers_are_left_to_their_status(status: int) -> None:
    assert classify(error(status, "validation_type")) is None


@pytest.mark.parametrize(
    "body",
    [
        error(400, "validation_type", "Unrecognized key(s) in object: 'external_ref'"),
        error(400, "validation_type", "Invalid.", validation_errors=[{"path": ["data", "external_ref"]}]),
    ],
)
def test_a_complaint_about_external_ref_is_recognised(body: Answer) -> None:
    refusal = classify(body)

    assert isinstance(refusal, RefusedError)
    assert refusal.code == ABOUT_EXTERNAL_REF


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (error(404, "not_found", f'Meeting with ID "{ID}" was not found.'), NO_SUCH_RECORD),
        (error(404, "not_found", f'Could not find endpoint "DELETE /v2/meetings/{ID}".'), UNCLEAR_NOT_FOUND),
        (error(404, "not_found", "The referenced meeting was not found."), UNCLEAR_NOT_FOUND),
    ],
)
def test_a_missing_record_is_told_from_a_missing_route(found: Answer, expected: str) -> None:
    gone = classify(found)

    assert isinstance(gone, RecordGoneError)
    assert gone.code == expected


@pytest.mark.parametrize(
    "found", [answer(404, b"<html/>"), answer(404, b""), error(405, "not_found"), answer(404, [])]
)
def test_an_answer_that_names_no_record_proves_nothing(found: Answer) -> None:
    assert isinstance(classify(found), RefusedError)


def test_a_limit_of_the_plan_is_no_matter_of_credentials() -> None:
    assert isinstance(classify(error(403, "quota_exceeded")), RefusedError)
    assert isinstance(classify(error(403, "unauthorized")), CredentialsError)


def test_a_code_that_is_really_a_text_stays_out_of_the_message() -> None:
    refusal = classify(error(400, "Secret Falcon <a@x.example>"))

    assert isinstance(refusal, RefusedError)
    assert "Falcon" not in f"{refusal} {refusal.code}"
