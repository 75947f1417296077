"""The users' endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from sync_engine.sandbox.server import json_response
from sync_engine.sandbox.zoom import wire
from sync_engine.sandbox.zoom.call import Call
from sync_engine.sandbox.zoom.refusal import Refusal, invalid

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox

MAX_PAGE = 2000


def list_users(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /users``: one status at a time, in the order users came."""
    status = call.query.get("status", "active")
    if status not in ("active", "inactive", "pending"):
        raise invalid(("status", "Invalid field."))
    hosts = [host for host in sandbox.account.hosts.values() if host.status == status]
    page = sandbox.pages.turn(
        call.query, ("users", status), len(hosts), most=MAX_PAGE, bound=sandbox.binds_page_tokens
    )
    return json_response(page.envelope | {"users": [wire.user_row(host) for host in hosts[page.shown]]})


def get_user(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``GET /users/{userId}``."""
    host = call.user(sandbox)
    if host.status == "pending":
        raise Refusal(400, 1120, "A valid invitation to join the Zoom account was not found for this user.")
    return json_response(wire.user(sandbox, host))
