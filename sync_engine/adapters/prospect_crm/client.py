"""The prospect CRM's endpoints, one method each; reads both response generations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.http import Answer, HttpClient
from sync_engine.adapters.prospect_crm.budget import HourBudget
from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings
from sync_engine.adapters.retry_after import parse_retry_after, retry_moment
from sync_engine.core.ports import Json, Now
from sync_engine.errors import InvalidResponseError, ProviderError, RateLimitedError, RefusedError

PROVIDER = "prospect_crm"
CATEGORY = "all"
PAGE = 200
PROSPECT_LIMIT = 25
KEY_HEADER = "X-Idempotency-Key"
CONFLICT = "idempotency_conflict"

Row = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of meetings; ``token`` leads to the next one. Rows are as they came, not checked."""

    rows: list[Json]
    token: str | None


@dataclass(frozen=True, slots=True)
class Matches:
    """What a search for prospects found; ``truncated``: there are more, which cannot be paged to."""

    rows: list[Json]
    truncated: bool


class ProspectCrmClient:
    """Speak to one account.

    ``generation`` is learned from the shape of lists: "G3" honours idempotency keys, "G2" does not,
    empty means no list was seen yet.
    """

    def __init__(self, settings: ProspectCrmSettings, around: Surroundings, *, generation: str = "") -> None:
        self.generation = generation
        self.limit_seen: int | None = None
        self._around = around
        self._per_minute = self._allowed = settings.per_minute
        self._budget = HourBudget(settings.per_hour, around.now)
        around.pacer.set_rate(CATEGORY, settings.per_minute / 60, window_seconds=60)
        headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}

        async def credentials(_renew: bool) -> Mapping[str, str]:
            return headers

        self._http = HttpClient(
            provider=PROVIDER,
            base_url=settings.base_url,
            surroundings=replace(around, on_request=self._count),
            credentials=credentials,
            classify=lambda answer: classify(answer, around.now),
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
        )

    @property
    def clock_skew_seconds(self) -> float | None:
        """Give how far the provider's clock is ahead of ours."""
        return self._http.clock_skew_seconds

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def auth(self) -> Row:
        """Ask whose key this is."""
        return item_of(await self._object("GET", "/auth", "check_key"))

    async def meetings(self, *, token: str | None = None, limit: int = PAGE, **filters: str | int) -> Page:
        """List one page of meetings, latest first. The filters are sent again with every token."""
        params: dict[str, str | int | bool] = {**filters, "limit": limit}
        if token:
            params["pageToken"] = token
        body = await self._object("GET", "/meetings", "list_meetings", params=params)
        rows = body.get("items")
        if not isinstance(rows, list):
            raise self._invalid("list_meetings")
        pagination = body.get("pagination")
        self.generation = "G3" if isinstance(pagination, dict) else "G2"
        found = (pagination.get("nextPageToken") if isinstance(pagination, dict) else None) or body.get(
            "nextPageToken"
        )
        return Page(rows, found if isinstance(found, str) else None)

    async def meeting(self, meeting_id: str) -> Row:
        """Read one meeting."""
        return self._with_id(
            item_of(await self._object("GET", meeting_path(meeting_id), "get_meeting")), "get_meeting"
        )

    async def prospect(self, prospect_id: str) -> Row:
        """Read one prospect."""
        path = f"/prospects/{quote(prospect_id, safe='')}"
        return self._with_id(item_of(await self._object("GET", path, "get_prospect")), "get_prospect")

    async def prospects(self, email: str) -> Matches:
        """Search prospects by address; how exactly the provider compares is not documented."""
        params: dict[str, str | int | bool] = {"email": email, "limit": PROSPECT_LIMIT}
        body = await self._object("GET", "/prospects", "search_prospects", params=params)
        is_newest = isinstance(body.get("items"), list)
        rows = body["items"] if is_newest else body.get("prospects")
        if not isinstance(rows, list):
            raise self._invalid("search_prospects")
        self.generation = "G3" if is_newest else "G2"
        counts = body.get("pagination") if is_newest else body
        total = counts.get("totalCount") if isinstance(counts, dict) else None
        return Matches(rows, isinstance(total, int) and total > len(rows))

    async def create_prospect(self, body: str, key: str) -> Row:
        """Create a prospect, or get the one who is there."""
        answer = await self._send(
            "POST", "/prospects", "create_prospect", body=body, key=key, repeatable=True
        )
        return self._with_id(item_of(self._checked(answer, "create_prospect")), "create_prospect")

    async def write(
        self, method: str, path: str, *, body: str | None, key: str | None, operation: str, repeatable: bool
    ) -> Json:
        """Send one sealed write and give its answer, None where it has no JSON body."""
        answer = await self._send(method, path, operation, body=body, key=key, repeatable=repeatable)
        found = answer.json_or_none()
        self._refuse_failure(found, operation, answer.status)
        return found

    async def _send(
        self, method: str, path: str, operation: str, *, body: str | None, key: str | None, repeatable: bool
    ) -> Answer:
        self._budget.check()
        answer = await self._http.request(
            method,
            path,
            operation=operation,
            category=CATEGORY,
            content=body,
            headers={KEY_HEADER: key} if key else None,
            repeatable=repeatable,
        )
        self._learn(answer)
        return answer

    async def _object(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        params: Mapping[str, str | int | bool] | None = None,
    ) -> dict[str, Json]:
        self._budget.check()
        answer = await self._http.request(method, path, operation=operation, category=CATEGORY, params=params)
        self._learn(answer)
        return self._checked(answer, operation)

    def _checked(self, answer: Answer, operation: str) -> dict[str, Json]:
        found = answer.json_or_none()
        self._refuse_failure(found, operation, answer.status)
        if not isinstance(found, dict):
            raise self._invalid(operation, answer.status)
        return found

    def _refuse_failure(self, found: Any, operation: str, status: int) -> None:
        if isinstance(found, dict) and found.get("success") is False:
            raise RefusedError(
                "the provider reported a failure", provider=PROVIDER, operation=operation, status_code=status
            )

    def _with_id(self, row: Row, operation: str) -> Row:
        if not isinstance(row.get("id"), str) or not row["id"]:
            raise self._invalid(operation)
        return row

    def _invalid(self, operation: str, status: int | None = None) -> InvalidResponseError:
        return InvalidResponseError(
            "the answer does not have the documented form",
            provider=PROVIDER, operation=operation, status_code=status,
        )  # fmt: skip

    def _count(self, method: str, operation: str, status: int | None, elapsed_ms: float) -> None:
        self._budget.count()
        self._around.on_request(method, operation, status, elapsed_ms)

    def _learn(self, answer: Answer) -> None:
        """Slow down where the provider's minute is smaller than ours; never speed up beyond our share."""
        text = answer.headers.get("ratelimit-limit", "")
        if not text.isdigit() or int(text) < 1:
            return
        self.limit_seen = int(text)
        allowed = min(self._per_minute, self.limit_seen)
        if allowed != self._allowed:
            self._allowed = allowed
            self._around.pacer.set_rate(CATEGORY, allowed / 60, window_seconds=60)


def meeting_path(meeting_id: str) -> str:
    """Give the path of one meeting."""
    return f"/meetings/{quote(meeting_id, safe='')}"


def item_of(body: Mapping[str, Json]) -> Row:
    """Take the record out of its answer: wrapped in ``item`` in the newest generation, flat before."""
    inner = body.get("item")
    return inner if isinstance(inner, dict) else body


def classify(answer: Answer, now: Now) -> ProviderError | None:
    """Name the two statuses that mean something particular here; the rest is left to the status."""
    if answer.status == 409:
        return RefusedError("the idempotency key is in use", status_code=409, code=CONFLICT)
    if answer.status == 429 and "retry-after" not in answer.headers:
        body = answer.json_or_none()
        seconds = body.get("retryAfter") if isinstance(body, dict) else None
        moment = parse_retry_after(str(seconds), now()) if isinstance(seconds, int | float) else None
        return RateLimitedError(
            "the rate limit is reached",
            retry_at=moment or retry_moment(answer.headers, now(), fallback_seconds=2.0),
            status_code=429,
        )
    return None
