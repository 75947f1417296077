"""Access tokens: bought from the account's app, or renewed with one user's rotating refresh token."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.http import HttpClient
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.errors import CredentialsError, InvalidResponseError, OutcomeUnknownError, UnavailableError

# Renew this long before the end; the lifetime is told in seconds, not as a moment.
RENEW_EARLY = timedelta(seconds=60)
DEFAULT_LIFETIME_SECONDS = 3600

# The token this task was handed last: when it is refused, somebody else may have renewed it already.
_handed: ContextVar[str] = ContextVar("zoom_token_handed", default="")


class Tokens:
    """Hand out the headers that authorise a request, and renew what they carry.

    ``scopes``: what the newest token may do, empty while unknown.
    """

    def __init__(self, settings: ZoomSettings, around: Surroundings) -> None:
        self._settings, self._around = settings, around
        self._lock = asyncio.Lock()
        self._token = ""
        self._expires_at: datetime | None = None
        self.scopes: frozenset[str] = frozenset()
        self.http: HttpClient | None = None

    async def headers(self, refused: bool) -> Mapping[str, str]:
        """Give the headers; ``refused`` tells that Zoom refused the last token this task was given."""
        async with self._lock:
            is_spent = refused and self._token == _handed.get()
            if is_spent or self._expires_at is None or self._around.now() >= self._expires_at:
                await self._renew()
            _handed.set(self._token)
            return {"Authorization": f"Bearer {self._token}"}

    async def _renew(self) -> None:
        if self._settings.acts_for_one_user:
            async with self._around.vault.exclusive():
                answer = await self._refresh()
                # Kept before it is used: the old refresh token is dead from this moment.
                if refresh := _text(answer, "refresh_token"):
                    self._around.vault.store(refresh)
        else:
            form = {"grant_type": "account_credentials", "account_id": self._settings.account_id}
            answer = await self._ask(form)
        lifetime = answer.get("expires_in")
        seconds = lifetime if isinstance(lifetime, int) and lifetime > 0 else DEFAULT_LIFETIME_SECONDS
        early = min(RENEW_EARLY, timedelta(seconds=seconds) / 2)
        self._token = _text(answer, "access_token")
        self._expires_at = self._around.now() + timedelta(seconds=seconds) - early
        self.scopes = frozenset(_text(answer, "scope").split())

    async def _refresh(self) -> Mapping[str, Any]:
        refused: CredentialsError | None = None
        for token in self._refresh_tokens():
            try:
                return await self._ask({"grant_type": "refresh_token", "refresh_token": token})
            except CredentialsError as error:
                if error.code not in {"invalid_grant", "invalid_request", "4740", "4741"}:
                    raise
                refused = error
        assert refused is not None
        raise refused

    def _refresh_tokens(self) -> Iterator[str]:
        """Give the refresh tokens worth trying: the newest kept, a newer one, and one freshly configured."""
        configured = self._settings.refresh_token
        tried: set[str] = set()
        # The vault is read again after a refusal: another process may have stored a newer one meanwhile.
        # The configured one comes last: it is the newest only after a person authorised the app again.
        for source in (
            self._around.vault.load,
            self._around.vault.load,
            configured.get_secret_value if configured else str,
        ):
            token = source()
            if token and token not in tried:
                tried.add(token)
                yield token

    async def _ask(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        if self.http is None:
            raise RuntimeError("the token source was not given its HTTP client")
        secret = self._settings.client_secret.get_secret_value()
        basic = base64.b64encode(f"{self._settings.client_id}:{secret}".encode()).decode()
        try:
            answer = await self.http.request(
                "POST", "", url=self._settings.auth_url, operation="token", category="token", form=form,
                headers={"Authorization": f"Basic {basic}"}, authorised=False, repeatable=True,
            )  # fmt: skip
        except OutcomeUnknownError as error:
            # Of the request that needs the token nothing was sent yet, so its outcome is well known.
            raise UnavailableError(
                "no token could be had",
                provider=error.provider, operation="token", status_code=error.status_code, code="not_sent",
            ) from error  # fmt: skip
        body = answer.json()
        if not isinstance(body, dict) or not _text(body, "access_token"):
            raise InvalidResponseError(
                "the token endpoint gave no token",
                provider="zoom", operation="token", status_code=answer.status,
            )  # fmt: skip
        return body


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
