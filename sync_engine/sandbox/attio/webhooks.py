"""Attio's endpoints for webhook subscriptions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.attio.answers import Refusal, invalid, nanoseconds, not_found
from sync_engine.sandbox.attio.door import endpoint
from sync_engine.sandbox.attio.inputs import data_of, whole_number
from sync_engine.sandbox.attio.state import JsonObject, Webhook
from sync_engine.sandbox.server import json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.attio.sandbox import AttioSandbox

ONE = "/v2/webhooks/{webhook_id}"
_VERBS = {
    "activity": ("created", "updated", "deleted"),
    "activity-attribute": ("created", "updated"),
    "activity-record": ("created", "deleted"),
    "call-recording": ("created",),
    "comment": ("created", "resolved", "unresolved", "deleted"),
    "list": ("created", "updated", "deleted"),
    "list-attribute": ("created", "updated"),
    "list-entry": ("created", "updated", "deleted"),
    "object-attribute": ("created", "updated"),
    "note": ("created", "updated", "deleted"),
    "note-content": ("updated",),
    "record": ("created", "merged", "updated", "deleted"),
    "task": ("created", "updated", "deleted"),
    "workspace-member": ("created",),
}
EVENT_TYPES = frozenset(f"{thing}.{verb}" for thing, verbs in _VERBS.items() for verb in verbs)


class WebhookEndpoints:
    """List, get, create, change and delete subscriptions."""

    def __init__(self, sandbox: AttioSandbox) -> None:
        self._sandbox, self._workspace = sandbox, sandbox.workspace

    def routes(self) -> list[Route]:
        """Give the endpoints."""
        sandbox, reads, writes = self._sandbox, "webhook:read", "webhook:read-write"
        return [
            endpoint(sandbox, "GET", "/v2/webhooks", self._list, reads, workspace_only=True),
            endpoint(sandbox, "POST", "/v2/webhooks", self._create, writes, workspace_only=True),
            endpoint(sandbox, "GET", ONE, self._get, reads, workspace_only=True),
            endpoint(sandbox, "PATCH", ONE, self._change, writes, workspace_only=True),
            endpoint(sandbox, "DELETE", ONE, self._delete, writes, workspace_only=True),
        ]

    async def _list(self, request: Request) -> Response:
        limit = whole_number(request.query_params, "limit", 10, 10, 100)
        offset = whole_number(request.query_params, "offset", 0, 0, 10**9)
        hooks = list(self._workspace.webhooks.values())[offset : offset + limit]
        return json_response({"data": [self._wire(hook) for hook in hooks]})

    async def _get(self, request: Request) -> Response:
        return json_response({"data": self._wire(self._hook(request))})

    async def _create(self, request: Request) -> Response:
        data = await data_of(request)
        target, subscriptions = _target(data.get("target_url")), _subscriptions(data.get("subscriptions"))
        self._check_unique(target, subscriptions, besides=None)
        workspace = self._workspace
        secret = workspace.new_id().replace("-", "")
        hook = Webhook(workspace.new_id(), target, subscriptions, secret, workspace.now())
        workspace.webhooks[hook.id] = hook
        return json_response({"data": {**self._wire(hook), "secret": secret}})

    async def _change(self, request: Request) -> Response:
        hook, data = self._hook(request), await data_of(request)
        target = _target(data["target_url"]) if "target_url" in data else hook.target_url
        subscriptions = hook.subscriptions
        if "subscriptions" in data:
            subscriptions = _subscriptions(data["subscriptions"])
        self._check_unique(target, subscriptions, besides=hook.id)
        hook.target_url, hook.subscriptions = target, subscriptions
        return json_response({"data": self._wire(hook)})

    async def _delete(self, request: Request) -> Response:
        del self._workspace.webhooks[self._hook(request).id]
        return json_response({})

    def _hook(self, request: Request) -> Webhook:
        number = request.path_params["webhook_id"]
        hook = self._workspace.webhooks.get(number)
        if hook is None:
            raise not_found("Webhook", number)
        return hook

    def _check_unique(self, target: str, subscriptions: list[JsonObject], *, besides: str | None) -> None:
        taken = {
            _key(hook.target_url, subscription)
            for hook in self._workspace.webhooks.values()
            if hook.id != besides
            for subscription in hook.subscriptions
        }
        for subscription in subscriptions:
            key = _key(target, subscription)
            if key in taken:
                message = "A webhook with this target URL, event type and filter already exists."
                raise Refusal(409, "uniqueness_conflict", message)
            taken.add(key)

    def _wire(self, hook: Webhook) -> JsonObject:
        return {
            "id": {"workspace_id": self._workspace.id, "webhook_id": hook.id},
            "target_url": hook.target_url,
            "subscriptions": hook.subscriptions,
            "status": hook.status,
            "created_at": nanoseconds(hook.created_at),
        }


def _key(target: str, subscription: JsonObject) -> str:
    return json.dumps([target, subscription], sort_keys=True)


def _target(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("https://"):
        raise invalid("target_url: must be an https URL.", "data", "target_url")
    return value


def _subscriptions(value: Any) -> list[JsonObject]:
    if not isinstance(value, list):
        raise invalid("subscriptions: an array is required.", "data", "subscriptions")
    read: list[JsonObject] = []
    for place, row in enumerate(value):
        path = ("data", "subscriptions", place)
        if not isinstance(row, dict) or row.get("event_type") not in EVENT_TYPES:
            raise invalid("event_type: not a known event.", *path, "event_type")
        if "filter" not in row:
            raise invalid("filter: required; null takes everything.", *path, "filter")
        _check_filter(row["filter"], *path, "filter")
        read.append({"event_type": row["event_type"], "filter": row["filter"]})
    return read


def _check_filter(rule: Any, *path: str | int) -> None:
    if rule is None:
        return
    operators = next((rule[name] for name in ("$and", "$or") if name in rule), None) if rule else None
    if not isinstance(operators, list) or not all(_is_condition(each) for each in operators):
        raise invalid("filter: must be null, or $and / $or of conditions.", *path)


def _is_condition(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("field"), str)
        and value.get("operator") in ("equals", "not_equals")
        and isinstance(value.get("value"), str)
    )
