"""The prospect CRM's server: credentials, limits, routes, and the switches for what is not documented."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.prospect_crm import webhooks
from sync_engine.sandbox.prospect_crm.extras import ExtraEndpoints
from sync_engine.sandbox.prospect_crm.fields import epoch_ms, from_ms
from sync_engine.sandbox.prospect_crm.idempotency import Keys
from sync_engine.sandbox.prospect_crm.limits import RateWindows
from sync_engine.sandbox.prospect_crm.meetings import MeetingEndpoints
from sync_engine.sandbox.prospect_crm.people import People
from sync_engine.sandbox.prospect_crm.prospects import ProspectEndpoints, phone_digits
from sync_engine.sandbox.prospect_crm.refusals import RefusalError
from sync_engine.sandbox.prospect_crm.state import Account, Record
from sync_engine.sandbox.server import ProviderSandbox

if TYPE_CHECKING:
    from sync_engine.sandbox.world import World

Endpoint = Callable[[Request, bytes], Response]
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class ProspectCrmSandbox(ProviderSandbox):
    """Hold one CRM account behind the key ``token``.

    Switches for what the provider does not document: ``generation`` (shapes of answers), ``update_method``
    and ``wrong_verb_status`` (405 or 404 for the other verbs), ``unknown_keys`` ("reject" or "ignore"),
    ``bounds_inclusive``, ``last_page_token`` ("null" or "absent"), ``counts_meetings``, ``clamps_limits``,
    ``email_match`` ("casefold", "exact", "contains"), ``updates_prospects`` (None: as the generation has
    it), ``soft_delete`` (410 afterwards instead of 404), ``delete_status`` (200 or 204), ``reset_unit``,
    ``keys`` (lifetime, verbs, replayed errors), ``processing_seconds`` (a request runs that long, which is
    when a second one with its key is refused), ``webhook_header``.

    ``webhook_secret`` set means prospects are announced; ``previous_webhook_secret`` adds a second ``v1``.
    """

    name = "prospect_crm"
    base_path = "/v2"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.token = "crm-sandbox-key"
        self.key_name = "Meeting sync"
        self.scopes = {
            f"{kind}:{right}"
            for kind in ("meetings", "prospects", "notes", "tasks")
            for right in ("read", "write")
        }
        self.account = Account(f"acc_{self.random.getrandbits(64):016x}", self.random)
        self.key_id = self.account.new_id()
        self.generation: Literal["G2", "G3"] = "G3"
        self.update_method: Literal["POST", "PATCH", "PUT"] = "PATCH"
        self.wrong_verb_status: Literal[404, 405] = 405
        self.unknown_keys: Literal["reject", "ignore"] = "reject"
        self.bounds_inclusive = True
        self.last_page_token: Literal["null", "absent"] = "null"
        self.counts_meetings = False
        self.clamps_limits = False
        self.email_match: Literal["casefold", "exact", "contains"] = "casefold"
        self.updates_prospects: bool | None = None
        self.soft_delete = False
        self.delete_status: Literal[200, 204] = 200
        self.processing_seconds = 0.0
        self.webhook_secret: str | None = None
        self.previous_webhook_secret: str | None = None
        self.webhook_header = "X-HiringCenter-Signature"
        self.rate_limits = True
        self.limits = RateWindows(world.clock)
        self.keys = Keys()
        self.people = People(self)
        self._meetings = MeetingEndpoints(self)
        self._prospects = ProspectEndpoints(self)
        self._extras = ExtraEndpoints(self)

    # -- what people and tests set up -------------------------------------------------------------

    def add_user(self, name: str, email: str) -> str:
        """Add a member of the account and give the id."""
        with self.world.lock:
            return self.account.add_user(name, email).id

    def add_prospect(self, first: str, last: str, email: str | None, phone: str | None = None) -> str:
        """Add a prospect and give the id."""
        with self.world.lock:
            record = self.new_prospect(firstName=first, lastName=last, email=email, phone=phone_digits(phone))
            return str(record["id"])

    def records(self) -> list[dict[str, Any]]:
        """Give every meeting, deleted ones too, in neutral words."""
        with self.world.lock:
            living = [self._neutral(record, False) for record in self.account.meetings.by_id.values()]
            return living + [self._neutral(record, True) for record in self.account.deleted.values()]

    def _neutral(self, record: Record, deleted: bool) -> dict[str, Any]:
        owner = self.account.users.get(record["ownerId"])
        prospect = self.account.prospects.get(record["prospectId"]) or {}
        return {
            "id": record["id"],
            "title": None,
            "description": None,
            "start": from_ms(record["meetingDate"]),
            "end": None,
            "zone": record["timeZone"],
            "all_day": None,
            "location": record["location"],
            "join_url": None,
            "organizer": owner.email if owner else None,
            "participants": [prospect["email"]] if prospect.get("email") else [],
            "deleted": deleted,
            "created_by_api": record["createdByApi"],
            "notes": record["notes"],
            "kind": record["meetingType"],
        }

    # -- what endpoints share ---------------------------------------------------------------------

    def now_ms(self) -> int:
        """Give the world's time as the API writes it."""
        return epoch_ms(self.world.clock.now())

    def item(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Wrap one record as this generation does."""
        if self.generation == "G2":
            return {"success": True, **record}
        return {"success": True, "item": dict(record)}

    def remove(self, meeting_id: str) -> None:
        """Delete a meeting; its record is kept for test oracles only."""
        self.account.deleted[meeting_id] = self.account.meetings.remove(meeting_id)

    def new_prospect(self, *, firstName: str, lastName: str, **fields: Any) -> Record:  # noqa: N803
        """Add a prospect in the provider's words and announce it."""
        record = self.account.add_prospect(self.now_ms(), firstName, lastName, **fields)
        if self.webhook_secret:
            secrets = [self.webhook_secret]
            if self.previous_webhook_secret:
                secrets.append(self.previous_webhook_secret)
            now = self.world.clock.now()
            self.world.deliver(
                webhooks.delivery(self.name, self.webhook_header, secrets, now, "prospect.created", record)
            )
        return record

    # -- HTTP -------------------------------------------------------------------------------------

    def guard(self, request: Request) -> Response | None:
        """Refuse a wrong key and a spent rate window."""
        sent = request.headers.get("authorization", "")
        if not hmac.compare_digest(sent.encode(), f"Bearer {self.token}".encode()):
            return RefusalError(401, "Missing or invalid API key").response()
        refusal = self.limits.take() if self.rate_limits else None
        return refusal.response() if refusal else None

    def finish(self, request: Request, response: Response) -> None:
        """Put the rate window on every answer."""
        if self.rate_limits:
            self.limits.put_headers(response)

    def routes(self) -> Sequence[Route]:
        """Give the endpoints."""
        meetings, prospects, extras = self._meetings, self._prospects, self._extras
        one_meeting = {
            "GET": ("meetings:read", meetings.get),
            "DELETE": ("meetings:write", meetings.delete),
            **dict.fromkeys(("POST", "PATCH", "PUT"), ("meetings:write", meetings.update)),
        }
        return [
            self._resource("/auth", {"GET": ("", extras.auth)}),
            self._resource(
                "/meetings",
                {"GET": ("meetings:read", meetings.search), "POST": ("meetings:write", meetings.create)},
            ),
            self._resource("/meetings/{meeting_id}", one_meeting),
            self._resource(
                "/prospects",
                {
                    "GET": ("prospects:read", prospects.search),
                    "POST": ("prospects:write", prospects.create_or_update),
                },
            ),
            self._resource("/prospects/{prospect_id}", {"GET": ("prospects:read", prospects.get)}),
            self._resource(
                "/notes",
                {"GET": ("notes:read", extras.list_notes), "POST": ("notes:write", extras.create_note)},
            ),
            self._resource("/notes/{note_id}", {"GET": ("notes:read", extras.get_note)}),
            self._resource(
                "/tasks",
                {"GET": ("tasks:read", extras.list_tasks), "POST": ("tasks:write", extras.create_task)},
            ),
            self._resource("/webhooks/poll", {"GET": ("prospects:read", prospects.poll)}),
            self._resource("/{rest:path}", {}, otherwise=404),
        ]

    def _resource(
        self, path: str, verbs: Mapping[str, tuple[str, Endpoint]], *, otherwise: int = 405
    ) -> Route:
        async def answer(request: Request) -> Response:
            if request.method not in verbs:
                return RefusalError(otherwise, "This method or path does not exist").response()
            permission, endpoint = verbs[request.method]
            if permission and permission not in self.scopes:
                return RefusalError(403, f"The API key lacks the permission {permission}").response()
            return await self._run(request, endpoint)

        return Route(self.base_path + path, answer, methods=_METHODS)

    async def _run(self, request: Request, endpoint: Endpoint) -> Response:
        body = await request.body()
        keyed = self.generation == "G3"
        try:
            with self.world.lock:
                kept = self.keys.begin(request, body, self.world.clock.now()) if keyed else None
        except RefusalError as refusal:
            return refusal.response()
        if kept is not None:
            return kept
        if self.processing_seconds:
            await asyncio.sleep(self.processing_seconds)
        with self.world.lock:
            try:
                response = endpoint(request, body)
            except RefusalError as refusal:
                response = refusal.response()
            if keyed:
                self.keys.end(request, response)
        return response
