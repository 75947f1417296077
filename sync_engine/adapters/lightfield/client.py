"""Lightfield's endpoints, one method each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

from sync_engine.adapters.base import Surroundings, check_base_url
from sync_engine.adapters.http import Answer, HttpClient
from sync_engine.adapters.lightfield import answers
from sync_engine.adapters.lightfield.answers import CATEGORIES, DOCUMENTED_PER_SECOND, category_of
from sync_engine.adapters.lightfield.listing import PAGE
from sync_engine.adapters.lightfield.schemas import Download, KeyFacts, StoredFile, UploadSession
from sync_engine.adapters.lightfield.settings import LightfieldSettings
from sync_engine.core.ports import Json
from sync_engine.errors import InvalidResponseError, OutcomeUnknownError, RefusedError, UnavailableError

VERSION = "2026-03-01"
MEETINGS = "/v1/meetings"
TRANSCRIPT_TYPE = "text/plain"

_Form = TypeVar("_Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of meetings as raw rows, and how many the whole listing says it has."""

    rows: list[Json]
    total: int | None


def path_of_meeting(external_id: str) -> str:
    """Give the path of one meeting."""
    return f"{MEETINGS}/{quote(external_id, safe='')}"


class LightfieldClient:
    """Call Lightfield's REST API for one connection."""

    def __init__(self, settings: LightfieldSettings, around: Surroundings) -> None:
        self._rates = dict.fromkeys(CATEGORIES, DOCUMENTED_PER_SECOND)
        self._pacer = around.pacer
        for category, per_second in self._rates.items():
            around.pacer.set_rate(category, per_second)
        # The version goes with the credentials, so that an upload to the storage host carries neither.
        granted = {
            "Authorization": f"Bearer {settings.api_key.get_secret_value()}",
            "Lightfield-Version": VERSION,
        }

        async def credentials(_: bool) -> Mapping[str, str]:
            return granted

        self._http = HttpClient(
            provider="lightfield",
            base_url=settings.base_url,
            surroundings=around,
            credentials=credentials,
            classify=answers.build_classify(self._learn_rate),
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def clock_skew_seconds(self) -> float | None:
        """Tell how far Lightfield's clock is ahead of ours, None before the first answer."""
        return self._http.clock_skew_seconds

    @property
    def rates(self) -> Mapping[str, float]:
        """Give the requests per second we keep to, by category."""
        return self._rates

    def _learn_rate(self, category: str, per_second: float) -> None:
        if self._rates[category] != per_second:
            self._rates[category] = per_second
            self._pacer.set_rate(category, per_second)

    async def validate_key(self) -> KeyFacts:
        """Ask what the key may do; needs no scope."""
        answer = await self._get("/v1/auth/validate", answers.VALIDATE)
        return _validated(KeyFacts, answer.json(), answer)

    async def list_meetings(self, offset: int = 0, *, trashed: bool = False) -> ListPage:
        """List one page of meetings as raw rows, newest creation first.

        The listing is an index that can lag behind writes by an unknown time.
        """
        params: dict[str, str | int | bool] = {"limit": PAGE, "offset": offset}
        if trashed:
            params["status"] = "trashed"
        answer = await self._get(MEETINGS, answers.LIST_TRASH if trashed else answers.LIST, params)
        body = answer.json()
        rows = body.get("data") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            raise _unexpected(answer)
        total = body.get("totalCount")
        return ListPage(rows, total if isinstance(total, int) and not isinstance(total, bool) else None)

    async def get_meeting(self, external_id: str) -> dict[str, Json]:
        """Read one meeting, raw: up to date, unlike the listing."""
        answer = await self._get(path_of_meeting(external_id), answers.READ)
        body = answer.json()
        if not isinstance(body, dict) or "fields" not in body:
            raise _unexpected(answer)
        return body

    async def get_definitions(self) -> dict[str, Json]:
        """Read which fields meetings have in this organization; older deployments answer 404."""
        answer = await self._get("/v1/meetings/definitions", answers.DEFINITIONS)
        body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("fieldDefinitions"), dict):
            raise _unexpected(answer)
        return body

    async def write(
        self, method: str, path: str, body: str | None, *, operation: str, key: str | None
    ) -> dict[str, Json]:
        """Send a write whose exact bytes were decided before, and give the meeting it answers with.

        Every write may be repeated: a create and an update carry a key, deleting or restoring twice is
        deleting or restoring once.

        Raises: UnavailableError for a change that somebody else was making at the same moment;
            OutcomeUnknownError when the answer to a success could not be read.
        """
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = await self._request(
                method, path, operation, content=body, headers=headers, repeatable=True
            )
        except answers.ConcurrentChangeError as error:
            raise UnavailableError(
                str(error), provider=error.provider, operation=operation, status_code=409, code=error.code
            ) from None
        meeting = answer.json_or_none()
        if not isinstance(meeting, dict) or not isinstance(meeting.get("id"), str):
            raise OutcomeUnknownError(
                "the answer to a write does not have the documented form",
                provider="lightfield",
                operation=operation,
                status_code=answer.status,
            )
        return meeting

    async def upload_transcript(self, filename: str, text: str) -> str:
        """Upload a transcript as a finished file and give its id."""
        content = text.encode()
        facts = {
            "purpose": "meeting_transcript",
            "filename": filename[:255] or "transcript.txt",
            "mimeType": TRANSCRIPT_TYPE,
            "sizeBytes": len(content),
        }
        answer = await self._request("POST", "/v1/files", "create_file", json=facts)
        session = _validated(UploadSession, answer.json(), answer)
        await self._upload(session, content)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        path = f"/v1/files/{quote(session.id, safe='')}/complete"
        answer = await self._request("POST", path, "complete_file", json={"md5": digest})
        file = _validated(StoredFile, answer.json(), answer)
        if file.status != "COMPLETED":
            raise _unexpected(answer)
        return file.id

    async def _upload(self, session: UploadSession, content: bytes) -> None:
        """Send the bytes to the storage host with exactly the headers it signed, and no key of ours."""
        _check_upload_target(session.upload_url)
        signed = {key.title(): value for key, value in session.upload_headers.items()}
        await self._http.request(
            "PUT", "", operation=answers.UPLOAD, category=answers.WRITE, content=content,
            headers={"Content-Type": TRANSCRIPT_TYPE, **signed},
            url=session.upload_url, authorised=False, repeatable=True,
        )  # fmt: skip

    async def get_file_url(self, file_id: str) -> str:
        """Ask for a short-lived link to a finished file."""
        answer = await self._get(f"/v1/files/{quote(file_id, safe='')}/url", "get_file_url")
        return _validated(Download, answer.json(), answer).url

    async def _get(
        self, path: str, operation: str, params: Mapping[str, str | int | bool] | None = None
    ) -> Answer:
        return await self._request("GET", path, operation, params=params)

    async def _request(self, method: str, path: str, operation: str, **rest: Any) -> Answer:
        return await self._http.request(
            method, path, operation=operation, category=category_of(operation), **rest
        )


def _check_upload_target(url: str) -> None:
    """Refuse to send a transcript in the clear, or to an address that is none."""
    parts = urlsplit(url)
    try:
        check_base_url(f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        raise RefusedError(
            "the upload address is not https", provider="lightfield", operation=answers.UPLOAD
        ) from None


def _validated(form: type[_Form], body: Json, answer: Answer) -> _Form:
    try:
        return form.model_validate(body)
    except ValidationError:
        raise _unexpected(answer) from None


def _unexpected(answer: Answer) -> InvalidResponseError:
    return InvalidResponseError(
        "the answer does not have the documented form",
        provider="lightfield",
        operation=answer.operation,
        status_code=answer.status,
    )
