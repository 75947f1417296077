"""The way into every Attio endpoint: token, rate limit, token level, scopes, errors."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.attio.answers import Refusal

if TYPE_CHECKING:
    from sync_engine.sandbox.attio.sandbox import AttioSandbox

Handler = Callable[[Request], Awaitable[Response]]


def endpoint(
    sandbox: AttioSandbox,
    method: str,
    path: str,
    handler: Handler,
    *scopes: str,
    category: str | None = None,
    also: str | None = None,
    workspace_only: bool = False,
) -> Route:
    """Build one endpoint.

    ``category``: its rate limit, by default a read for GET and a write for the rest; ``also``: a further
    one of its own.
    """
    limits = [category or ("read" if method == "GET" else "write"), *([also] if also else [])]

    async def handle(request: Request) -> Response:
        try:
            with sandbox.world.lock:
                check_token(sandbox, request)
                refused = sandbox.limits.refuse(*limits) if sandbox.rate_limits else None
                if refused is not None:
                    return refused
                _check_rights(sandbox, scopes, workspace_only=workspace_only)
            # The body is in memory already, so nothing below waits while the lock is held.
            await request.body()
            with sandbox.world.lock:
                return await handler(request)
        except Refusal as refusal:
            return refusal.response()

    return Route(path, handle, methods=[method])


def token_of(request: Request) -> str | None:
    """Read the token: as a bearer, or as the user name of basic authentication."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except ValueError:
            return None
    return None


def check_token(sandbox: AttioSandbox, request: Request) -> None:
    """Refuse a request without a live token."""
    if token_of(request) != sandbox.token or not sandbox.token_active:
        raise Refusal(401, "unauthorized", "The access token is missing or invalid.", kind="auth_error")


def _check_rights(sandbox: AttioSandbox, scopes: tuple[str, ...], *, workspace_only: bool) -> None:
    if workspace_only and sandbox.token_level == "user":
        message = "This endpoint does not support user-level access tokens."
        raise Refusal(403, "unauthorized", message, kind="auth_error")
    missing = [scope for scope in scopes if not _granted(sandbox.scopes, scope)]
    if missing:
        message = f"The access token lacks required scopes: {', '.join(missing)}."
        raise Refusal(403, "unauthorized", message, kind="auth_error")


def _granted(scopes: set[str], scope: str) -> bool:
    return scope in scopes or (scope.endswith(":read") and f"{scope}-write" in scopes)
