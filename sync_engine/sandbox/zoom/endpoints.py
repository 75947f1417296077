"""The table of endpoints, and the door every request passes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.zoom import meetings, past, tracking, users
from sync_engine.sandbox.zoom.call import Call
from sync_engine.sandbox.zoom.limits import Label
from sync_engine.sandbox.zoom.oauth import Token
from sync_engine.sandbox.zoom.refusal import Refusal

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox


@dataclass(frozen=True)
class Endpoint:
    """One call: verb, path, rate category, its scopes in both spellings, who answers.

    Scopes are user-level names; ``admin_only`` calls have no user-level one.
    """

    method: str
    path: str
    label: Label
    classic: str
    granular: str
    answer: Callable[[ZoomSandbox, Call], Response]
    admin_only: bool = False

    def accepts(self, account_level: bool) -> list[str]:
        """List the scopes any of which is enough."""
        names = [self.granular, self.classic]
        wide = [f"{name}:{level}" for name in names for level in ("admin", "master")]
        return wide if account_level or self.admin_only else [*names, *wide]


_LIGHT, _MEDIUM = Label.LIGHT, Label.MEDIUM
_LIST, _ONE, _PAST = "/users/{userId}/meetings", "/meetings/{meetingId}", "/past_meetings/{meetingId}"
_READ, _WRITE, _RECORDING = "meeting:read", "meeting:write", "recording:read"
ENDPOINTS = (
    Endpoint(
        "GET", "/users", _MEDIUM, "user:read", "user:read:list_users", users.list_users, admin_only=True
    ),
    Endpoint("GET", "/users/{userId}", _LIGHT, "user:read", "user:read:user", users.get_user),
    Endpoint("GET", _LIST, _MEDIUM, _READ, "meeting:read:list_meetings", meetings.list_meetings),
    Endpoint("POST", _LIST, _LIGHT, _WRITE, "meeting:write:meeting", meetings.create_meeting),
    Endpoint(
        "GET", "/users/{userId}/upcoming_meetings", _MEDIUM, _READ,
        "meeting:read:list_upcoming_meetings", meetings.list_upcoming,
    ),
    Endpoint("GET", _ONE, _LIGHT, _READ, "meeting:read:meeting", meetings.get_meeting),
    Endpoint("PATCH", _ONE, _LIGHT, _WRITE, "meeting:update:meeting", meetings.update_meeting),
    Endpoint("DELETE", _ONE, _LIGHT, _WRITE, "meeting:delete:meeting", meetings.delete_meeting),
    Endpoint("PUT", f"{_ONE}/status", _LIGHT, _WRITE, "meeting:update:status", meetings.set_status),
    Endpoint("GET", f"{_ONE}/invitation", _LIGHT, _READ, "meeting:read:invitation", meetings.get_invitation),
    Endpoint(
        "GET", f"{_ONE}/transcript", _MEDIUM, _RECORDING,
        "cloud_recording:read:meeting_transcript", past.get_transcript,
    ),
    Endpoint(
        "GET", "/transcripts/{key}", _LIGHT, _RECORDING,
        "cloud_recording:read:meeting_transcript", past.download_transcript,
    ),
    Endpoint("GET", _PAST, _LIGHT, _READ, "meeting:read:past_meeting", past.get_past),
    Endpoint(
        "GET", f"{_PAST}/instances", _MEDIUM, _READ, "meeting:read:list_past_instances", past.list_instances
    ),
    Endpoint(
        "GET", f"{_PAST}/participants", _MEDIUM, _READ,
        "meeting:read:list_past_participants", past.list_participants,
    ),
    Endpoint(
        "GET", "/tracking_fields", _MEDIUM, "tracking_fields:read",
        "tracking_field:read:list_tracking_fields", tracking.list_fields, admin_only=True,
    ),
    Endpoint(
        "POST", "/tracking_fields", _LIGHT, "tracking_fields:write",
        "tracking_field:write:tracking_field", tracking.create_field, admin_only=True,
    ),
)  # fmt: skip


def all_scopes() -> Iterator[str]:
    """Give the granular scopes an account-level app needs for everything here."""
    return (f"{endpoint.granular}:admin" for endpoint in ENDPOINTS)


def routes(sandbox: ZoomSandbox) -> list[Route]:
    """Give the routes: tokens, the API, and a refusal for everything else under it."""
    table = [
        Route("/oauth/token", sandbox.desk.answer_token, methods=["POST"]),
        Route("/oauth/revoke", sandbox.desk.answer_revoke, methods=["POST"]),
    ]
    for endpoint in ENDPOINTS:
        path = sandbox.base_path + endpoint.path
        table.append(Route(path, _door(sandbox, endpoint), methods=[endpoint.method]))
    verbs = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    table.append(Route(f"{sandbox.base_path}/{{rest:path}}", _unknown, methods=verbs))
    return table


def _unknown(_request: Request) -> Response:
    return Refusal(404, 2300, "This API endpoint is not recognized.").response()


def _door(sandbox: ZoomSandbox, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = await request.body()
        with sandbox.world.lock:
            try:
                token = sandbox.desk.find(request.headers.get("authorization", ""))
                sandbox.limits.pass_rate(endpoint.label)
                _check_scopes(sandbox, endpoint, token)
                call = Call(token, request.path_params, request.query_params, body)
                response = endpoint.answer(sandbox, call)
            except Refusal as refusal:
                response = refusal.response()
            sandbox.limits.sign(endpoint.label, response)
            return response

    return answer


def _check_scopes(sandbox: ZoomSandbox, endpoint: Endpoint, token: Token) -> None:
    enough = endpoint.accepts(token.user_id is None)
    # A scope the app lost is missing at once, whatever the token says.
    configured = sandbox.scopes | {scope.removesuffix(":admin") for scope in sandbox.scopes}
    if not token.scopes & configured & set(enough):
        shown = ", ".join(enough)
        raise Refusal(400, 4711, f"Invalid access token, does not contain scopes:[{shown}].")
