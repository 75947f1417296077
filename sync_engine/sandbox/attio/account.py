"""Attio's endpoints about the token and the users of the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.attio.answers import Refusal, nanoseconds, not_found
from sync_engine.sandbox.attio.door import endpoint, token_of
from sync_engine.sandbox.attio.state import JsonObject, Member
from sync_engine.sandbox.server import json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.attio.sandbox import AttioSandbox


class AccountEndpoints:
    """Identify the token; list members."""

    def __init__(self, sandbox: AttioSandbox) -> None:
        self._sandbox, self._workspace = sandbox, sandbox.workspace

    def routes(self) -> list[Route]:
        """Give the endpoints."""
        sandbox, users = self._sandbox, "user_management:read"
        member = "/v2/workspace_members/{workspace_member_id}"
        return [
            Route("/v2/self", self._identify, methods=["GET"]),
            endpoint(sandbox, "GET", "/v2/workspace_members", self._list_members, users),
            endpoint(sandbox, "GET", member, self._get_member, users),
        ]

    async def _identify(self, request: Request) -> Response:
        sandbox = self._sandbox
        token = token_of(request)
        if token is None:
            message = "The access token is missing or invalid."
            return Refusal(401, "unauthorized", message, kind="auth_error").response()
        with sandbox.world.lock:
            refused = sandbox.limits.refuse("read") if sandbox.rate_limits else None
            if refused is not None:
                return refused
            if token != sandbox.token or not sandbox.token_active:
                return json_response({"active": False})
            return json_response(self._identity())

    def _identity(self) -> JsonObject:
        workspace, client_id = self._workspace, self._workspace.token_actor.id
        identity: JsonObject = {
            "active": True,
            "scope": " ".join(sorted(self._sandbox.scopes)),
            "client_id": client_id,
            "token_type": "Bearer",
            "exp": None,
            "iat": 1_735_689_600,
            "sub": workspace.id,
            "aud": client_id,
            "iss": "attio.com",
            "workspace_id": workspace.id,
            "workspace_name": "Sandbox",
            "workspace_slug": "sandbox",
            "workspace_logo_url": None,
        }
        if self._sandbox.token_level is not None:
            identity["token_level"] = self._sandbox.token_level
        return identity

    async def _list_members(self, request: Request) -> Response:
        return json_response({"data": [self._member(each) for each in self._workspace.members.values()]})

    async def _get_member(self, request: Request) -> Response:
        number = request.path_params["workspace_member_id"]
        found = self._workspace.members.get(number)
        if found is None:
            raise not_found("Workspace member", number)
        return json_response({"data": self._member(found)})

    def _member(self, member: Member) -> JsonObject:
        return {
            "id": {"workspace_id": self._workspace.id, "workspace_member_id": member.id},
            "first_name": member.first_name,
            "last_name": member.last_name,
            "avatar_url": None,
            "email_address": member.email,
            "created_at": nanoseconds(member.created_at),
            "access_level": member.access_level,
        }
