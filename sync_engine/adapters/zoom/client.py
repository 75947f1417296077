"""Zoom's endpoints, one method each: what they are asked, and the form of what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from pydantic import TypeAdapter, ValidationError

from sync_engine.adapters.base import Surroundings, check_base_url
from sync_engine.adapters.http import Answer, HttpClient
from sync_engine.adapters.zoom.answers import RedirectError, build_classify
from sync_engine.adapters.zoom.schemas import TrackingField, Transcript, User
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.adapters.zoom.tokens import Tokens
from sync_engine.core.ports import Json
from sync_engine.errors import InvalidResponseError, RefusedError

LIGHT, MEDIUM = "light", "medium"
# Requests per second of a Pro account; headers correct them where Zoom sends any, settings override them.
RATES = {LIGHT: 30.0, MEDIUM: 20.0, "heavy": 10.0}
PAGE_SIZE = 300
LONGEST_REDIRECT_CHAIN = 5

Model = TypeVar("Model")
_USERS = TypeAdapter(list[User])
_USER = TypeAdapter(User)
_TRANSCRIPT = TypeAdapter(Transcript)
_TRACKING_FIELDS = TypeAdapter(list[TrackingField])


def path_of_meeting(number: str) -> str:
    """Give the path of a meeting by its number."""
    return f"/meetings/{quote(number, safe='')}"


def path_of_user_meetings(user: str) -> str:
    """Give the path of a host's meetings; ``user`` is an id, an e-mail address or ``me``."""
    return f"/users/{quote(user, safe='')}/meetings"


def path_of_instance(uuid: str) -> str:
    """Give the path of one instance; encoded twice, because a uuid may hold slashes."""
    return f"/meetings/{quote(quote(uuid, safe=''), safe='')}"


class ZoomClient:
    """Call Zoom's REST API for one connection."""

    def __init__(self, settings: ZoomSettings, around: Surroundings) -> None:
        self.tokens = Tokens(settings, around)
        self._is_local = urlsplit(settings.base_url).scheme == "http"
        for category, per_second in RATES.items():
            around.pacer.set_rate(category, per_second)
        self._http = HttpClient(
            provider="zoom",
            base_url=settings.base_url,
            surroundings=around,
            credentials=self.tokens.headers,
            classify=build_classify(around.now, around.pacer.set_rate),
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
        )
        self.tokens.http = self._http

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
        """Tell how far Zoom's clock is ahead of ours, None before the first answer."""
        return self._http.clock_skew_seconds

    async def list_users(self, page_token: str = "", *, page_size: int = PAGE_SIZE) -> tuple[list[User], str]:
        """List one page of the account's active users; gives the next page's token, empty at the end."""
        params: dict[str, str | int | bool] = {"status": "active", "page_size": page_size}
        if page_token:
            params["next_page_token"] = page_token
        answer = await self._http.request(
            "GET", "/users", operation="list_users", category=MEDIUM, params=params
        )
        body = _object(answer)
        return _validated(_USERS, body.get("users"), answer), _page_token(body)

    async def get_me(self) -> User:
        """Read the user who authorised the app (user tokens only)."""
        answer = await self._http.request("GET", "/users/me", operation="get_me", category=LIGHT)
        return _validated(_USER, _object(answer), answer)

    async def list_meetings(self, user: str, page_token: str = "") -> tuple[list[Json], str]:
        """List one page of a host's scheduled meetings as raw rows, and the next page's token.

        The token lives 15 minutes and wants the same parameters again; code 300 says that it expired.
        """
        params: dict[str, str | int | bool] = {"type": "scheduled", "page_size": PAGE_SIZE}
        if page_token:
            params["next_page_token"] = page_token
        answer = await self._http.request(
            "GET", path_of_user_meetings(user), operation="list_meetings", category=MEDIUM, params=params
        )
        body = _object(answer)
        rows = body.get("meetings")
        if not isinstance(rows, list):
            raise _unexpected(answer)
        return rows, _page_token(body)

    async def get_meeting(self, number: str, *, past_occurrences: bool) -> dict[str, Json]:
        """Read a meeting or a whole series, raw; ``past_occurrences`` shows those of a series too."""
        params: dict[str, str | int | bool] = (
            {"show_previous_occurrences": "true"} if past_occurrences else {}
        )
        answer = await self._http.request(
            "GET", path_of_meeting(number), operation="get_meeting", category=LIGHT, params=params
        )
        body = _object(answer)
        if "id" not in body:
            raise _unexpected(answer)
        return body

    async def send(
        self, method: str, path: str, body: str | None, *, operation: str, repeatable: bool
    ) -> Answer:
        """Send a write whose exact bytes were decided before."""
        # Sources differ on the category of a create; the stricter one is kept to.
        category = MEDIUM if method == "POST" else LIGHT
        return await self._http.request(
            method, path, operation=operation, category=category, content=body, repeatable=repeatable
        )

    async def list_tracking_fields(self) -> Sequence[TrackingField]:
        """List the tracking fields the account has configured (Business plan and above)."""
        answer = await self._http.request(
            "GET", "/tracking_fields", operation="list_tracking_fields", category=MEDIUM
        )
        return _validated(_TRACKING_FIELDS, _object(answer).get("tracking_fields", []), answer)

    async def get_transcript(self, meeting: str) -> Transcript:
        """Ask for the transcript of a meeting: of one instance by uuid, of the latest by number."""
        path = path_of_meeting(meeting) if meeting.isdigit() else path_of_instance(meeting)
        answer = await self._http.request(
            "GET", f"{path}/transcript", operation="get_transcript", category=MEDIUM
        )
        return _validated(_TRANSCRIPT, _object(answer), answer)

    async def download(self, url: str) -> bytes:
        """Download a file Zoom named (a transcript is WebVTT); redirects are followed inside its domain."""
        for _ in range(LONGEST_REDIRECT_CHAIN):
            self._check_download(url)
            try:
                answer = await self._http.request("GET", "", url=url, operation="download", category=LIGHT)
            except RedirectError as redirect:
                url = urljoin(url, redirect.location)
                continue
            return answer.content
        raise RefusedError("the download was redirected too often", provider="zoom", operation="download")

    def _check_download(self, url: str) -> None:
        """Refuse an address that would take the token out of Zoom's domain."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https" and (host == "zoom.us" or host.endswith(".zoom.us")):
            return
        if self._is_local and parts.scheme == "http":
            try:
                check_base_url(f"{parts.scheme}://{parts.netloc}")
            except ValueError:
                pass
            else:
                return
        raise RefusedError("the download is not in Zoom's domain", provider="zoom", operation="download")


def _object(answer: Answer) -> dict[str, Json]:
    body = answer.json()
    if not isinstance(body, dict):
        raise _unexpected(answer)
    return body


def _page_token(body: dict[str, Json]) -> str:
    token = body.get("next_page_token")
    return token if isinstance(token, str) else ""


def _validated(form: TypeAdapter[Model], value: Json, answer: Answer) -> Model:
    try:
        return form.validate_python(value)
    except ValidationError:
        raise _unexpected(answer) from None


def _unexpected(answer: Answer) -> InvalidResponseError:
    return InvalidResponseError(
        "the answer does not have the documented form", provider="zoom", status_code=answer.status
    )
