"""The token endpoint: account credentials, and users' grants with rotating refresh tokens."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from sync_engine.sandbox.server import json_response
from sync_engine.sandbox.zoom.refusal import Refusal

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox

CODE_LIVES = timedelta(minutes=5)
REFRESH_LIVES = timedelta(days=90)


@dataclass(frozen=True)
class Token:
    """An access token: whose it is (None: the account's), what it may, until when."""

    text: str
    user_id: str | None
    scopes: frozenset[str]
    expires_at: datetime


@dataclass
class Grant:
    """What one user gave the app; ``refresh_token`` is the only live one."""

    user_id: str
    scopes: frozenset[str]
    refresh_token: str = ""
    refresh_expires_at: datetime | None = None
    old_refresh_tokens: set[str] = field(default_factory=set)


class TokenDesk:
    """Hand out tokens and know them again."""

    def __init__(self, sandbox: ZoomSandbox) -> None:
        self._sandbox = sandbox
        self._tokens: dict[str, Token] = {}
        self._codes: dict[str, tuple[str, datetime]] = {}
        self._grants: dict[str, Grant] = {}

    def issue(self, user_id: str | None = None, scopes: frozenset[str] | None = None) -> Token:
        """Issue an access token; others stay valid. Without ``scopes``: the app's, as they are now."""
        now = self._sandbox.world.clock.now()
        granted = scopes if scopes is not None else self._scopes_for(user_id)
        token = Token(f"eyJ{secrets.token_urlsafe(36)}", user_id, granted, now + self._sandbox.token_lives)
        self._tokens[token.text] = token
        if len(self._tokens) > 1000:
            self._tokens = {text: each for text, each in self._tokens.items() if each.expires_at > now}
        return token

    def _scopes_for(self, user_id: str | None) -> frozenset[str]:
        if user_id is None:
            return frozenset(self._sandbox.scopes)
        return frozenset(scope.removesuffix(":admin") for scope in self._sandbox.scopes)

    def is_live(self, text: str) -> bool:
        """Tell whether an access token still works."""
        token = self._tokens.get(text)
        return token is not None and token.expires_at > self._sandbox.world.clock.now()

    def find(self, header: str) -> Token:
        """Give the token of an ``Authorization`` header.

        Raises:
            Refusal: code 124, when there is none, it is unknown, or it has expired.
        """
        kind, _, text = header.partition(" ")
        token = self._tokens.get(text.strip()) if kind.lower() == "bearer" else None
        status = self._sandbox.token_error_status
        if token is None or not self._sandbox.app_active:
            raise Refusal(status, 124, "Invalid access token.")
        if token.expires_at <= self._sandbox.world.clock.now():
            raise Refusal(status, 124, "Access token is expired.")
        return token

    def authorize(self, user_id: str) -> str:
        """Let a user consent, as in the browser; gives the single-use code."""
        code = secrets.token_urlsafe(18)
        self._codes[code] = (user_id, self._sandbox.world.clock.now() + CODE_LIVES)
        return code

    async def answer_token(self, request: Request) -> Response:
        """Serve ``POST /oauth/token``; the parameters come as a form or in the query."""
        fields = dict(request.query_params) | dict(parse_qsl((await request.body()).decode()))
        with self._sandbox.world.lock:
            try:
                self._check_client(request.headers.get("authorization", ""))
                return json_response(self._grant(fields))
            except _TokenRefusal as refusal:
                return refusal.response()

    async def answer_revoke(self, request: Request) -> Response:
        """Serve ``POST /oauth/revoke``."""
        fields = dict(request.query_params) | dict(parse_qsl((await request.body()).decode()))
        with self._sandbox.world.lock:
            try:
                self._check_client(request.headers.get("authorization", ""))
            except _TokenRefusal as refusal:
                return refusal.response()
            token = self._tokens.pop(fields.get("token", ""), None)
            if token and token.user_id:
                self._drop_grant(token.user_id)
            return json_response({"status": "success"})

    def _check_client(self, header: str) -> None:
        try:
            pair = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        if pair != f"{self._sandbox.client_id}:{self._sandbox.client_secret}":
            raise _TokenRefusal(401, "Invalid client_id or client_secret", "invalid_client")
        if not self._sandbox.app_active:
            raise _TokenRefusal(400, "The app has been disabled", "invalid_request", 4717)

    def _grant(self, fields: Mapping[str, str]) -> dict[str, object]:
        kind = fields.get("grant_type", "")
        if kind == "account_credentials":
            if fields.get("account_id") != self._sandbox.account_id:
                raise _TokenRefusal(400, "Bad Request", "invalid_request")
            return self._body(self.issue())
        if kind == "authorization_code":
            return self._redeem(fields)
        if kind == "refresh_token":
            return self._refresh(fields.get("refresh_token", ""))
        if not kind:
            raise _TokenRefusal(400, "Missing grant type", "invalid_request", 4706)
        raise _TokenRefusal(400, "Unsupported grant type", "unsupported_grant_type", 4705)

    def _redeem(self, fields: Mapping[str, str]) -> dict[str, object]:
        user_id, dies_at = self._codes.pop(fields.get("code", ""), (None, None))
        if user_id is None or dies_at is None:
            raise _TokenRefusal(400, "Invalid authorization code", "invalid_request", 4734)
        if dies_at <= self._sandbox.world.clock.now():
            raise _TokenRefusal(400, "Authorization code expired", "invalid_request", 4733)
        if self._sandbox.redirect_uri and fields.get("redirect_uri") != self._sandbox.redirect_uri:
            raise _TokenRefusal(400, "Redirect URI mismatch", "invalid_request", 4709)
        # One user and one app hold one live grant: a new consent ends the older one.
        self._drop_grant(user_id)
        grant = self._grants[user_id] = Grant(user_id, self._scopes_for(user_id))
        return self._renewed(grant)

    def _refresh(self, refresh_token: str) -> dict[str, object]:
        now = self._sandbox.world.clock.now()
        for grant in self._grants.values():
            known = {grant.refresh_token}
            if self._sandbox.old_refresh_tokens_work:
                known |= grant.old_refresh_tokens
            if refresh_token in known and grant.refresh_expires_at and grant.refresh_expires_at > now:
                return self._renewed(grant)
        raise _TokenRefusal(400, "Invalid Token!", "invalid_grant")

    def _renewed(self, grant: Grant) -> dict[str, object]:
        if grant.refresh_token:
            grant.old_refresh_tokens.add(grant.refresh_token)
        grant.refresh_token = f"eyJ{secrets.token_urlsafe(40)}"
        grant.refresh_expires_at = self._sandbox.world.clock.now() + REFRESH_LIVES
        token = self.issue(grant.user_id, grant.scopes)
        return self._body(token) | {"refresh_token": grant.refresh_token}

    def _drop_grant(self, user_id: str) -> None:
        self._grants.pop(user_id, None)

    def _body(self, token: Token) -> dict[str, object]:
        return {
            "access_token": token.text,
            "token_type": "bearer",
            "expires_in": int(self._sandbox.token_lives.total_seconds()),
            "scope": " ".join(sorted(token.scopes)),
            "api_url": self._sandbox.api_url,
        }


class _TokenRefusal(Exception):  # noqa: N818 - an answer, not a mistake of ours
    def __init__(self, status: int, reason: str, error: str, code: int | None = None) -> None:
        super().__init__(error)
        self._status, self._body = status, {"reason": reason, "error": error}
        self._code = code

    def response(self) -> Response:
        numbered = {"code": self._code, "message": self._body["reason"]} if self._code else {}
        return json_response(numbered | self._body, self._status)
