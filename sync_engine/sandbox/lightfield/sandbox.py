"""The Lightfield server: endpoints, and everything about it that can be switched."""

from __future__ import annotations

import asyncio
import heapq
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_engine.sandbox.lightfield import bodies, wire
from sync_engine.sandbox.lightfield.directory import Directory, Entry
from sync_engine.sandbox.lightfield.files import Files
from sync_engine.sandbox.lightfield.gate import KeyShelf, RateLimits
from sync_engine.sandbox.lightfield.people import LightfieldPeople
from sync_engine.sandbox.lightfield.problems import ApiError, not_found, unknown_field
from sync_engine.sandbox.lightfield.records import Meetings, Record, Version, clean, instant
from sync_engine.sandbox.server import Delivery, ProviderSandbox, json_response

if TYPE_CHECKING:
    from sync_engine.sandbox.world import CalendarEvent, World

VERSION = "2026-03-01"
PAGE = 25

Action = Callable[[Request, Any], Any]


class LightfieldSandbox(ProviderSandbox):
    """Serve one organization.

    The key it accepts is ``token``; ``scopes`` are what the key may do, and none at all means everything.

    What the provider does not document has a switch, whose default is the likelier behaviour:
    ``rule_status`` (400 or 422 for a meeting that is not over), ``trashed_readable`` (a read by id of a
    trashed meeting gives the record instead of 404), ``nulled`` and ``omitted`` (what redaction takes
    away, and how), ``private_redacts``, ``summaries_lack_description``, ``counts_hidden`` (hidden rows
    are in ``totalCount``), ``clamps_limit``, ``updated_at_null``, ``cancelled_goes_to_trash`` and
    ``calendar_recreates_trashed`` (what a calendar event does to its copy), ``wrapped_errors``.

    The API as it was until October 2026: ``knows_attendee_updates = False`` (only the privacy setting can
    be updated), ``knows_trash = False`` (no delete, no restore, ``status`` ignored).

    ``index_lag``: lists show the world as it was that long ago. ``write_seconds``: how long a write is
    being worked on. ``redact_everything``: the key sees metadata only. ``may_delete``: the key's person
    may edit, and so delete, meetings. ``caller``: address of the person the key belongs to.
    ``webhook_secret``: with one, a workflow posts every creation and change (no deletion) under the header
    ``webhook_header``.
    """

    name = "lightfield"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.token = "sk_lf_sandbox"
        self.scopes: set[str] = set()
        self.subject_type = "workspace"
        self.caller: str | None = None
        self.rate_limits = True
        self.rate = {"write": 25.0, "read": 25.0, "search": 25.0}
        self.wrapped_errors = True
        self.index_lag = timedelta(0)
        self.write_seconds = 0.0
        self.rule_status = 422
        self.trashed_readable = False
        self.redact_everything = False
        self.private_redacts = True
        self.nulled = {"$title", "$description", "$meetingPrep", "$postMeetingSummary"}
        self.omitted = {"$meetingUrl", "$transcript", "$transcripts", "$note"}
        self.summaries_lack_description = False
        self.counts_hidden = False
        self.clamps_limit = False
        self.updated_at_null = False
        self.knows_attendee_updates = True
        self.knows_trash = True
        self.may_delete = True
        self.calendar_sync_delay: timedelta | None = None
        self.cancelled_goes_to_trash = False
        self.calendar_recreates_trashed = False
        self.webhook_secret: str | None = None
        self.webhook_header = "X-Sync-Secret"
        self.blocklist: set[str] = set()
        self.meetings = Meetings()
        self.files = Files()
        self.directory = Directory()
        self.people = LightfieldPeople(self)
        self._limits = RateLimits()
        self._keys = KeyShelf()
        self._events: list[tuple[datetime, int, CalendarEvent]] = []
        self._heard = 0
        self._sync_due = False
        self._to_derive: list[Record] = []

    # What the world does to the state; always under the world's lock.

    def new_id(self, prefix: str) -> str:
        """Make an id of the provider's form."""
        return f"{prefix}_cm{self.random.getrandbits(96):024x}"

    def add(self, first: Version, *, manual: bool, calendar_uid: str | None = None) -> Record:
        """Add a meeting."""
        record = self.meetings.add(self.new_id("mtg"), first, manual=manual, calendar_uid=calendar_uid)
        self._after_change(record, "create")
        return record

    def apply(self, record: Record, **changes: Any) -> None:
        """Change a meeting, if anything differs."""
        if any(getattr(record.now, key) != value for key, value in changes.items()):
            self.meetings.change(record, self.world.clock.now(), **changes)
            self._after_change(record, "update")

    def _after_change(self, record: Record, event: str) -> None:
        if self.blocklist:
            self.plan_blocklist_sync()
        if self.webhook_secret is None or record.now.shelf != "active":
            return
        occurred = self.world.clock.now().isoformat()
        body = json.dumps({"meetingId": record.id, "event": event, "occurredAt": occurred}).encode()
        headers = {"Content-Type": "application/json", self.webhook_header: self.webhook_secret}
        self.world.deliver(Delivery(self.name, body, headers))

    def plan_blocklist_sync(self) -> None:
        """Let the next sync look at the blocklist again."""
        self._sync_due = True

    def on_calendar_event(self, event: CalendarEvent) -> None:
        """Hear of a calendar event; its copy follows after ``calendar_sync_delay``."""
        if self.calendar_sync_delay is None:
            return
        with self.world.lock:
            self._heard += 1
            due = self.world.clock.now() + self.calendar_sync_delay
            heapq.heappush(self._events, (due, self._heard, event))

    def settle(self) -> None:
        """Let due calendar events, derived records and the blocklist take effect."""
        now = self.world.clock.now()
        while self._events and self._events[0][0] <= now:
            self._copy(heapq.heappop(self._events)[2])
        while self._to_derive:
            self._make_records(self._to_derive.pop())
        if self._sync_due:
            self._sync_due = False
            for record in self.meetings:
                hidden = any(address.casefold() in self.blocklist for address in record.now.attendees)
                if hidden != record.now.hidden:
                    self.meetings.change(record, now, hidden=hidden)

    def _copy(self, event: CalendarEvent) -> None:
        record = self.meetings.of_event(event.uid)
        gone = record is not None and (record.now.purged or record.now.trashed)
        if event.cancelled:
            if record is not None and not gone:
                self.apply(record, **{"trashed" if self.cancelled_goes_to_trash else "purged": True})
            return
        values: dict[str, Any] = {
            "title": event.title,
            "start": event.start,
            "end": event.end,
            "description": event.description or None,
            "url": event.join_url or None,
            "organizer": event.organizer or None,
            "attendees": clean([*([event.organizer] if event.organizer else []), *event.attendees]),
        }
        if record is None or (gone and (record.now.purged or self.calendar_recreates_trashed)):
            self.add(Version(self.world.clock.now(), **values), manual=False, calendar_uid=event.uid)
        elif not gone:
            self.apply(record, **values)

    def _make_records(self, record: Record) -> None:
        now = self.world.clock.now()
        for address in record.now.attendees:
            if self.directory.contact_of(address) or self.directory.is_member(address):
                continue
            domain = address.partition("@")[2]
            account = self.directory.named_account(domain) or self.directory.add(
                Entry(self.new_id("acc"), "account", now, domain, website=f"https://{domain}")
            )
            name = {"firstName": "", "lastName": ""}
            self.directory.add(Entry(self.new_id("con"), "contact", now, name, [address], account=account.id))

    def records(self) -> list[dict[str, Any]]:
        """Give every meeting as people see it, with neutral keys."""
        with self.world.lock:
            self.settle()
            return [_neutral(record) for record in self.meetings]

    # The gate.

    def guard(self, request: Request) -> Response | None:
        """Check key, version and rate limit; the storage host knows none of them."""
        if request.url.path.startswith("/storage/"):
            return None
        request.state.rate_headers = {}
        try:
            self._check_gate(request)
        except ApiError as error:
            return error.response(wrapped=self.wrapped_errors)
        return None

    def _check_gate(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise ApiError(401, "The API key is missing, invalid or revoked.")
        if request.headers.get("lightfield-version") != VERSION:
            raise ApiError(
                400, "The version header is missing.", code="version_header", param="Lightfield-Version"
            )
        category = _category(request)
        if self.rate_limits:
            passes, headers = self._limits.take(category, self.rate[category], self.world.clock.now())
            request.state.rate_headers = headers
            if not passes:
                raise ApiError(
                    429, "The rate limit is reached.", headers={"Retry-After": headers["Retry-After"]}
                )

    def finish(self, request: Request, response: Response) -> None:
        """Put the rate limit headers on an answer."""
        for key, value in getattr(request.state, "rate_headers", {}).items():
            response.headers[key] = value

    def _may(self, *wanted: str) -> None:
        for scope in wanted:
            if self.scopes and scope not in self.scopes:
                raise ApiError(403, f"The key lacks the scope {scope}.")

    # Endpoints.

    def routes(self) -> Sequence[Route]:
        """Give the endpoints."""
        read, write = self._endpoint, self._writing
        return [
            Route("/v1/auth/validate", read(self._validate), methods=["GET"]),
            Route("/v1/meetings", read(self._list, "meetings:read"), methods=["GET"]),
            Route(
                "/v1/meetings",
                write(self._create, "meetings:create", keyed="meeting.create"),
                methods=["POST"],
            ),
            Route("/v1/meetings/definitions", read(self._definitions, "meetings:read"), methods=["GET"]),
            Route("/v1/meetings/{id}", read(self._retrieve, "meetings:read"), methods=["GET"]),
            Route(
                "/v1/meetings/{id}",
                write(self._update, "meetings:update", keyed="meeting.update"),
                methods=["POST"],
            ),
            Route("/v1/meetings/{id}", write(self._delete, "meetings:delete"), methods=["DELETE"]),
            Route("/v1/meetings/{id}/restore", write(self._restore, "meetings:restore"), methods=["POST"]),
            *self._file_routes(),
            *self._directory_routes(),
            Route("/{path:path}", read(_nothing_here), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    def _file_routes(self) -> list[Route]:
        read, write, files = self._endpoint, self._writing, self.files
        now = self.world.clock.now
        return [
            Route("/v1/files", read(self._list_files, "files:read"), methods=["GET"]),
            Route("/v1/files", write(self._create_file, "files:create"), methods=["POST"]),
            Route(
                "/v1/files/{id}",
                read(lambda r, _: files.get(r.path_params["id"], now()).shown(), "files:read"),
                methods=["GET"],
            ),
            Route("/v1/files/{id}/url", read(self._file_url, "files:read"), methods=["GET"]),
            Route("/v1/files/{id}/complete", write(self._complete_file, "files:create"), methods=["POST"]),
            Route(
                "/v1/files/{id}/cancel",
                write(lambda r, _: files.cancel(r.path_params["id"], now()).shown(), "files:create"),
                methods=["POST"],
            ),
            Route("/storage/{secret}", self._storage, methods=["PUT", "GET"]),
        ]

    def _directory_routes(self) -> list[Route]:
        found: list[Route] = [
            Route(
                "/v1/contacts",
                self._writing(self._create_contact, "contacts:create", keyed="contact.create"),
                methods=["POST"],
            )
        ]
        for kind in ("contact", "account", "member"):
            scope = f"{kind}s:read"
            found.append(
                Route(f"/v1/{kind}s", self._endpoint(self._listing_of(kind), scope), methods=["GET"])
            )
            found.append(
                Route(f"/v1/{kind}s/{{id}}", self._endpoint(self._entry_of(kind), scope), methods=["GET"])
            )
        return found

    def _endpoint(self, action: Action, *scopes: str) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a read."""

        async def handle(request: Request) -> Response:
            try:
                with self.world.lock:
                    self._may(*scopes)
                    return json_response(action(request, None))
            except ApiError as error:
                return error.response(wrapped=self.wrapped_errors)

        return handle

    def _writing(
        self, action: Action, *scopes: str, keyed: str | None = None
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a write: its body, its key, and the time it takes."""

        async def handle(request: Request) -> Response:
            try:
                with self.world.lock:
                    self._may(*scopes)
                return json_response(await self._keyed(request, action, keyed))
            except ApiError as error:
                return error.response(wrapped=self.wrapped_errors)

        return handle

    async def _keyed(self, request: Request, action: Action, operation: str | None) -> Any:
        key = request.headers.get("idempotency-key") if operation else None
        now = self.world.clock.now
        with self.world.lock:
            remembered = self._keys.begin(operation or "", key, now())
        if remembered is not None:
            return remembered
        answer: Any = None
        try:
            if self.write_seconds:
                await asyncio.sleep(self.write_seconds)
            body = await _json_body(request)
            with self.world.lock:
                answer = action(request, body)
        finally:
            with self.world.lock:
                self._keys.end(operation or "", key, now(), answer)
        return answer

    def _validate(self, request: Request, body: Any) -> Any:
        return {
            "active": True,
            "tokenType": "api_key",
            "subjectType": self.subject_type,
            "scopes": sorted(self.scopes),
        }

    def _definitions(self, request: Request, body: Any) -> Any:
        if not self.knows_trash:
            raise not_found("meeting")
        return wire.definitions()

    # Meetings.

    def _access(self, version: Version) -> str:
        takes_part = self.caller is not None and self.caller.casefold() in {
            address.casefold() for address in (*version.attendees, version.organizer or "")
        }
        private = self.private_redacts and version.privacy == "METADATA" and not takes_part
        return "METADATA" if self.redact_everything or version.restricted or private else "FULL"

    def _shown(self, record: Record, version: Version, *, summary: bool = False) -> dict[str, Any]:
        access = self._access(version)
        omitted = set(self.omitted) if access == "METADATA" else set()
        if summary:
            omitted |= wire.ONLY_BY_ID
            if self.summaries_lack_description:
                omitted.add("$description")
        if not self.knows_attendee_updates:
            omitted |= {"$manuallyAddedAttendeeEmails", "$manuallyRemovedAttendeeEmails"}
        return wire.meeting(
            record,
            version,
            access=access,
            nulled=self.nulled if access == "METADATA" else (),
            omitted=omitted,
            derived=self.directory.derived(version.attendees),
            updated=not self.updated_at_null,
        )

    def _list(self, request: Request, body: Any) -> Any:
        query = request.query_params
        limit, offset = bodies.page_bounds(query, PAGE, clamp=self.clamps_limit)
        status = query.get("status", "active") if self.knows_trash else "active"
        if status not in {"active", "trashed"}:
            raise ApiError(400, "Not a status.", code="invalid_type", param="status")
        if status == "trashed":
            self._may("meetings:restore")
        if self.index_lag:
            moment = self.world.clock.now() - self.index_lag
            rows, total = self.meetings.page_as_of(moment, status, offset, limit)
        else:
            rows, total = self.meetings.page(status, offset, limit)
        if self.counts_hidden and status == "active":
            total += self.meetings.hidden
        data = [self._shown(record, version, summary=True) for record, version in rows]
        return {"object": "list", "data": data, "totalCount": total}

    def _find(self, request: Request, *, trashed: bool = False) -> Record:
        record = self.meetings.get(request.path_params["id"])
        shelf = record.now.shelf if record else None
        if record is None or shelf is None or (shelf == "trashed" and not trashed):
            raise not_found("meeting")
        return record

    def _retrieve(self, request: Request, body: Any) -> Any:
        record = self._find(request, trashed=self.trashed_readable)
        return self._shown(record, record.now)

    def _create(self, request: Request, body: Any) -> Any:
        body = bodies.members(body, ("fields", "relationships", "autoCreateRecords"))
        values = bodies.fields(body, bodies.CREATE_FIELDS)
        bodies.required_texts(values)
        now = self.world.clock.now()
        start, end = bodies.moment(values, "$startDate"), bodies.moment(values, "$endDate")
        for key, moment in (("$startDate", start), ("$endDate", end)):
            if moment >= now:
                raise self._rule("The meeting has to be over.", f"fields.{key}")
        if end < start:
            raise self._rule("The meeting ends before it starts.", "fields.$endDate")
        file_id = bodies.new_transcript(body)
        transcript = self.files.attachable(file_id, now) if file_id else None
        version = Version(
            now, values["$title"], start, end,
            values.get("$description"), values.get("$meetingUrl"), values.get("$organizerEmail"),
            clean(values.get("$attendeeEmails", ())), values.get("$privacySetting", "FULL"),
            transcript=transcript, transcripts=(transcript,) if transcript else (),
        )  # fmt: skip
        record = self.add(version, manual=True)
        if body.get("autoCreateRecords") is True:
            self._to_derive.append(record)
        return self._shown(record, record.now)

    def _rule(self, message: str, param: str) -> ApiError:
        code = "invalid_configuration" if self.rule_status == 400 else None
        return ApiError(self.rule_status, message, code=code, param=param)

    def _update(self, request: Request, body: Any) -> Any:
        record = self._find(request)
        body = bodies.members({} if body is None else body, ("fields", "relationships"))
        known = bodies.UPDATE_FIELDS if self.knows_attendee_updates else bodies.UPDATE_FIELDS_BEFORE
        values = bodies.fields(body, known)
        if "fields" in body and not self.knows_attendee_updates and "$privacySetting" not in values:
            raise unknown_field("$privacySetting")
        changes: dict[str, Any] = {}
        if "$attendeeEmails" in values:
            changes |= self._attendees(record, values["$attendeeEmails"])
        for key, name in (
            ("$privacySetting", "privacy"), ("$meetingPrep", "prep"), ("$postMeetingSummary", "summary")
        ):  # fmt: skip
            if key in values:
                changes[name] = values[key] or None
        file_id = bodies.replaced_transcript(body)
        if file_id is not None:
            changes["transcript"] = self.files.attachable(file_id, self.world.clock.now())
            if file_id not in record.now.transcripts:
                changes["transcripts"] = (*record.now.transcripts, file_id)
        self.apply(record, **changes)
        return self._shown(record, record.now)

    def _attendees(self, record: Record, given: list[str]) -> dict[str, Any]:
        before = record.now
        if before.end > self.world.clock.now():
            raise self._rule("The meeting has not ended.", "fields.$attendeeEmails")
        if len(given) > bodies.MOST_ATTENDEES:
            raise self._rule("Too many attendees.", "fields.$attendeeEmails")
        after = clean(given)
        was = {address.casefold() for address in before.attendees}
        stays = {address.casefold() for address in after}
        added = [*before.added, *(a for a in after if a.casefold() not in was)]
        dropped = [a for a in before.attendees if a.casefold() not in stays]
        return {
            "attendees": after,
            "added": clean([a for a in added if a.casefold() in stays]),
            "removed": clean([a for a in (*before.removed, *dropped) if a.casefold() not in stays]),
        }

    def _delete(self, request: Request, body: Any) -> Any:
        if not self.knows_trash:
            raise not_found("path")
        record = self._find(request)
        if not self.may_delete:
            raise ApiError(403, "Only participants and administrators may delete a meeting.")
        self.apply(record, trashed=True)
        return self._shown(record, record.now)

    def _restore(self, request: Request, body: Any) -> Any:
        if not self.knows_trash:
            raise not_found("path")
        record = self._find(request, trashed=True)
        self.apply(record, trashed=False)
        return self._shown(record, record.now)

    # Files, contacts, accounts, members.

    def _list_files(self, request: Request, body: Any) -> Any:
        limit, offset = bodies.page_bounds(request.query_params, PAGE, clamp=self.clamps_limit)
        data, total = self.files.page(offset, limit)
        return {"object": "list", "data": data, "totalCount": total}

    def _create_file(self, request: Request, body: Any) -> Any:
        body = bodies.members(body, ("purpose", "filename", "mimeType", "sizeBytes"))
        now = self.world.clock.now()
        file = self.files.create(self.new_id("fil"), self.new_id("up"), body, now)
        return {**file.shown(), "uploadUrl": f"{self.url}{file.path}", "uploadHeaders": file.headers}

    def _complete_file(self, request: Request, body: Any) -> Any:
        body = bodies.members({} if body is None else body, ("md5",))
        md5 = body.get("md5")
        if md5 is not None and not (isinstance(md5, str) and re.fullmatch(r"[a-f0-9]{32}", md5)):
            raise ApiError(400, "Not a digest.", code="invalid_type", param="md5")
        return self.files.complete(request.path_params["id"], md5, self.world.clock.now()).shown()

    def _file_url(self, request: Request, body: Any) -> Any:
        now = self.world.clock.now()
        file = self.files.get(request.path_params["id"], now)
        if file.status != "COMPLETED":
            raise ApiError(422, "The upload is not complete.")
        return {"url": f"{self.url}{file.path}", "expiresAt": instant(now + timedelta(hours=1))}

    async def _storage(self, request: Request) -> Response:
        return await self.files.storage(request, self.world.clock.now())

    def _create_contact(self, request: Request, body: Any) -> Any:
        body = bodies.members(body, ("fields", "relationships", "skipEnrichment"))
        return self.directory.create_contact(self.new_id("con"), body, self.world.clock.now()).shown()

    def _listing_of(self, kind: str) -> Action:
        def action(request: Request, _: Any) -> Any:
            limit, offset = bodies.page_bounds(request.query_params, PAGE, clamp=self.clamps_limit)
            filters = {k: v for k, v in request.query_params.items() if k not in {"limit", "offset"}}
            data, total = self.directory.page(kind, filters, offset, limit)
            return {"object": "list", "data": data, "totalCount": total}

        return action

    def _entry_of(self, kind: str) -> Action:
        return lambda request, _: self.directory.get(kind, request.path_params["id"]).shown()


def _nothing_here(*_: Any) -> Any:
    raise not_found("path")


def _category(request: Request) -> str:
    if request.method != "GET":
        return "write"
    return "search" if re.fullmatch(r"/v1/[a-z]+", request.url.path) else "read"


async def _json_body(request: Request) -> Any:
    raw = await request.body()
    if not raw:
        return None
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ApiError(415, "The body has to be JSON.")
    try:
        return json.loads(raw)
    except ValueError:
        raise ApiError(400, "The body is not JSON.", code="invalid_type") from None


def _neutral(record: Record) -> dict[str, Any]:
    version = record.now
    organizer = (version.organizer or "").casefold() or None
    people: Mapping[str, None] = dict.fromkeys(a.casefold() for a in version.attendees)
    return {
        "id": record.id,
        "title": version.title,
        "description": version.description,
        "start": version.start,
        "end": version.end,
        "zone": None,
        "all_day": None,
        "location": None,
        "join_url": version.url,
        "organizer": organizer,
        "participants": sorted(a for a in people if a != organizer),
        "deleted": version.shelf != "active",
        "created_by_api": record.manual,
        "notes": None,
    }
