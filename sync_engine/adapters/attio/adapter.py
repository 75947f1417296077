"""What the engine asks of an adapter, answered for Attio."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sync_engine.adapters.attio import check, subscribing
from sync_engine.adapters.attio.answers import (
    ABOUT_EXTERNAL_REF,
    CALENDAR_SYNCED,
    NO_SUCH_RECORD,
    NO_SUCH_ROUTE,
)
from sync_engine.adapters.attio.capabilities import capabilities
from sync_engine.adapters.attio.client import PROVIDER, AttioClient
from sync_engine.adapters.attio.mapping import (
    attendees,
    edge_schedule,
    links_to_copy,
    to_body,
    to_observation,
    to_sighting,
)
from sync_engine.adapters.attio.receiver import AttioReceiver
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.exact_json import compact
from sync_engine.core.capabilities import Capabilities
from sync_engine.core.meeting import Field, Schedule, Values
from sync_engine.core.ports import (
    Absence,
    Finding,
    Identity,
    Json,
    Observation,
    Operation,
    Problem,
    Sealed,
    Sighting,
    SweepPage,
    Window,
    Write,
    Written,
)
from sync_engine.errors import (
    CredentialsError,
    InvalidResponseError,
    OutcomeUnknownError,
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    UnholdableError,
    UnmappableRecordError,
)

ADDRESSES_ASKED = 20
PROBE_AGAIN_AFTER = timedelta(hours=24)
# A meeting that is older than the request that got it as its answer was found, not created.
OLDER_THAN_THE_REQUEST = timedelta(minutes=5)
NO_DELETE = "this Attio server cannot delete a meeting yet"


def build(settings: AttioSettings, around: Surroundings) -> AttioAdapter:
    """Build the adapter of one connection."""
    return AttioAdapter(settings, around)


class AttioAdapter:
    """One connection to an Attio workspace.

    Memory: ``external_ref`` ("refused" or "required", once an answer told), ``delete_route`` (whether a
    meeting can be deleted, and when that was seen).
    """

    def __init__(self, settings: AttioSettings, around: Surroundings) -> None:
        self._settings, self._around = settings, around
        self._capabilities = capabilities(may_replace=settings.replace, skipped=settings.skip_participants)
        self._memory: dict[str, Json] = dict(around.memory)
        self._receiver = AttioReceiver(settings, around)
        self._asking_route = asyncio.Lock()
        self.client = AttioClient(
            base_url=settings.base_url,
            access_token=settings.access_token.get_secret_value(),
            surroundings=around,
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Say what this connection can hold."""
        return self._capabilities

    @property
    def memory(self) -> Mapping[str, Json]:
        """Give what was learned about the account."""
        return dict(self._memory)

    @property
    def receiver(self) -> AttioReceiver:
        """Give what takes Attio's deliveries."""
        return self._receiver

    async def canary(self) -> Identity:
        """Read whose workspace the token opens; a dead token is told with HTTP 200."""
        identity = await self.client.identify()
        if not identity.active:
            raise CredentialsError(
                "the token is not active", provider=PROVIDER, operation="identify", code="inactive"
            )
        return Identity(identity.workspace_id, identity.workspace_slug)

    async def check(self) -> Sequence[Finding]:
        """Verify token, level, scopes and clock."""
        return await check.findings(self.client, self._settings, self._around.now())

    async def ensure_webhook(self, url: str) -> Finding:
        """Subscribe to deliveries at a public URL; the secret, which is told once, is kept at once."""
        return await subscribing.ensure(self.client, self._around, self._receiver, url)

    # Reading -----------------------------------------------------------------------------------------

    async def sweep(self, window: Window) -> AsyncIterator[SweepPage]:
        """List everything that overlaps the window; the last page says that it is covered."""
        pages = self.client.iter_meetings(ends_from=window.start, starts_before=window.end)
        async for rows, is_last in pages:
            sightings: list[Sighting] = []
            problems: list[Problem] = []
            for row in rows:
                try:
                    sightings.append(to_sighting(row))
                except UnmappableRecordError as error:
                    payload = row if isinstance(row, dict) else {}
                    problems.append(Problem(str(error), _id_in(payload), payload=payload))
            yield SweepPage(sightings, frozenset({""}) if is_last else frozenset(), problems)

    def translate(self, sighting: Sighting) -> Observation:
        """Translate one listed row; pure."""
        seen = to_observation(sighting.raw, self._around.now())
        if seen.external_id != sighting.external_id:
            raise UnmappableRecordError("the row is another meeting's")
        return seen

    async def read(self, external_id: str) -> Observation:
        """Read one meeting by id."""
        return to_observation(await self.client.get_meeting(external_id), self._around.now())

    async def confirm_absence(self, external_id: str) -> Absence:
        """Ask for a meeting a sweep missed: it may only have moved out of the window."""
        try:
            return Absence(await self.read(external_id))
        except RecordGoneError:
            return Absence()

    # Writing -----------------------------------------------------------------------------------------

    def write_scope(self, write: Write) -> str:
        """Say that no write counts against a daily cap."""
        return ""

    async def prepare(self, write: Write) -> Sealed:
        """Decide the exact request; reads first where a meeting is to be replaced."""
        if write.operation is Operation.CREATE:
            return await self._prepare_create(write)
        if write.operation is Operation.DELETE and write.external_id:
            if self._delete_route_known() is False:
                raise UnholdableError(NO_DELETE, retry_after_seconds=PROBE_AGAIN_AFTER.total_seconds())
            path = f"/v2/meetings/{write.external_id}"
            return Sealed(Operation.DELETE, "DELETE", path, external_id=write.external_id)
        raise UnholdableError("Attio changes nothing of a meeting once it exists")

    async def _prepare_create(self, write: Write) -> Sealed:
        if not isinstance(write.values.get(Field.SCHEDULE), Schedule):
            raise UnholdableError("Attio needs to know when a meeting takes place")
        if not attendees(write.values):
            raise UnholdableError("Attio needs at least one participant with an address")
        links = await self._links_of_replaced(write) if write.replaces else []
        # With the same reference, a server that finds or creates would hand the old meeting back.
        plain = f"meeting-sync:{write.meeting_id}"
        revised = f"{plain}:r{write.revision}"
        reference = revised if write.replaces else plain
        sent = None if self._memory.get("external_ref") == "refused" else reference
        body = to_body(write.values, write.meeting_id, external_ref=sent, linked_records=links)
        return Sealed(
            Operation.CREATE,
            "POST",
            "/v2/meetings",
            body=compact(body),
            details={
                "meeting_id": write.meeting_id,
                "reference": reference,
                "other_reference": f"{revised}:{write.intent}",
                "replaces": write.replaces,
            },
        )

    async def _links_of_replaced(self, write: Write) -> list[dict[str, str]]:
        """Make sure that the old meeting can go without loss, and give the records linked with it."""
        assert write.replaces is not None
        if not await self._can_delete():
            raise UnholdableError(NO_DELETE, retry_after_seconds=PROBE_AGAIN_AFTER.total_seconds())
        row = await self.client.get_meeting(write.replaces)
        shown = to_observation(row, self._around.now())
        if not shown.deletable:
            raise UnholdableError("the meeting belongs to a calendar; Attio does not let us delete it")
        if _differ(write.base, shown.values):
            raise StaleWriteError("the meeting was changed meanwhile", observation=shown, provider=PROVIDER)
        try:
            recordings = await self.client.list_call_recordings(write.replaces, limit=1)
        except CredentialsError:
            reason = (
                "the token may not look for recordings (scope call_recording:read), which a replacement loses"
            )
            raise UnholdableError(reason) from None
        if recordings:
            raise UnholdableError("the meeting has recordings, which cannot move to a new one")
        return links_to_copy(row)

    async def send(self, sealed: Sealed) -> Written:
        """Send a sealed request once."""
        if sealed.operation is Operation.DELETE and sealed.external_id:
            return await self._delete(sealed.external_id)
        try:
            return await self._create(sealed)
        except InvalidResponseError as error:
            raise OutcomeUnknownError(
                "the meeting was probably created, its answer cannot be read",
                provider=PROVIDER,
                operation="create_meeting",
                status_code=error.status_code,
            ) from error

    async def _create(self, sealed: Sealed) -> Written:
        body = json.loads(sealed.body or "{}")
        row = await self._post(sealed.body or "", body, str(sealed.details["reference"]))
        if self._is_older(row, body["data"]):
            # The reference belongs to a meeting of ours that is no longer this one; nothing was written.
            body["data"]["external_ref"] = sealed.details["other_reference"]
            row = await self.client.create_meeting(compact(body))
            if self._is_older(row, body["data"]):
                raise RefusedError(
                    "Attio found an older meeting instead of creating this one",
                    provider=PROVIDER,
                    operation="create_meeting",
                    code="found_not_written",
                )
        return self._written(row)

    async def _post(self, text: str, body: dict[str, Any], reference: str) -> dict[str, Any]:
        """Create with or without ``external_ref``: older servers demand it, newer ones may refuse it.

        A 400 created nothing, so the other form can be tried, once.
        """
        try:
            return await self.client.create_meeting(text)
        except RefusedError as error:
            named = error.code == ABOUT_EXTERNAL_REF
            unexplained = error.code == "validation_type" and "external_ref" not in self._memory
            if not (named or unexplained):
                raise
            with_reference = "external_ref" in body["data"]
            if with_reference:
                del body["data"]["external_ref"]
            else:
                body["data"]["external_ref"] = reference
            try:
                row = await self.client.create_meeting(compact(body))
            except RefusedError:
                raise error from None
            self._memory["external_ref"] = "refused" if with_reference else "required"
            return row

    def _is_older(self, row: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
        """Tell whether an answer shows a meeting that existed before, with other content than was sent.

        Only a server that finds or creates does that, and only for a reference it knows.
        """
        if "external_ref" not in sent:
            return False
        try:
            there, ours = edge_schedule(row), edge_schedule(sent)
        except UnmappableRecordError:
            return False
        if (there.start, there.end) != (ours.start, ours.end):
            return True
        retitled = _plain(row.get("title")) != _plain(sent.get("title"))
        return retitled and self._created_long_ago(row.get("created_at"))

    def _created_long_ago(self, stamp: object) -> bool:
        try:
            created = datetime.fromisoformat(str(stamp))
        except ValueError:
            return False
        return created.tzinfo is not None and self._around.now() - created > OLDER_THAN_THE_REQUEST

    def _written(self, row: Mapping[str, Any]) -> Written:
        meeting_id = _id_in(row)
        if not meeting_id:
            raise InvalidResponseError("the answer names no meeting", provider=PROVIDER)
        try:
            return Written(meeting_id, to_observation(row, self._around.now()))
        except UnmappableRecordError:
            return Written(meeting_id)

    async def _delete(self, meeting_id: str) -> Written:
        try:
            await self.client.delete_meeting(meeting_id)
        except RecordGoneError as error:
            if error.code == NO_SUCH_RECORD:
                raise
            # The server may just not know the route; then the meeting is still there.
            await self.client.get_meeting(meeting_id)
            raise self._no_delete_route() from error
        except RefusedError as error:
            if error.code == CALENDAR_SYNCED:
                reason = "the meeting came from a calendar; it has to be deleted there"
                raise UnholdableError(reason) from error
            if error.code == NO_SUCH_ROUTE:
                raise self._no_delete_route() from error
            raise
        self._learn_delete_route(exists=True)
        return Written(meeting_id)

    async def find(self, sealed: Sealed) -> Sequence[Observation]:
        """Search the meeting a create may have made, or the copy a calendar sync made of it.

        A meeting with our mark and the same times is ours. Else one must agree in start, end and title and
        share a participant, carry no other meeting's mark, and be the only one. The meeting that is being
        replaced is not its own replacement.
        """
        if sealed.operation is not Operation.CREATE or sealed.body is None:
            return ()
        data = json.loads(sealed.body)["data"]
        schedule = edge_schedule(data)
        emails = [person["email_address"] for person in data["participants"]]
        same_times: list[tuple[str, Observation]] = []
        pages = self.client.iter_meetings(
            ends_from=schedule.start,
            starts_before=schedule.start + timedelta(seconds=1),
            participants=emails[:ADDRESSES_ASKED],
        )
        async for rows, _ in pages:
            for row in rows:
                seen = self._same_times(row, schedule)
                if seen is not None and seen.external_id != sealed.details.get("replaces"):
                    same_times.append((str(row.get("created_at")), seen))
        ours = str(sealed.details["meeting_id"])
        marked = {
            seen.external_id: seen
            for _, seen in sorted(same_times, key=lambda pair: pair[0])
            if ours in seen.marks
        }
        if marked:
            return tuple(marked.values())
        twins = {
            seen.external_id: seen
            for _, seen in same_times
            if not seen.marks and _is_twin(seen.values, data["title"], set(emails))
        }
        return tuple(twins.values()) if len(twins) == 1 else ()

    def _same_times(self, row: Any, schedule: Schedule) -> Observation | None:
        try:
            seen = to_observation(row, self._around.now())
        except UnmappableRecordError:
            return None
        there = seen.values[Field.SCHEDULE]
        same = isinstance(there, Schedule) and (there.start, there.end, there.all_day) == (
            schedule.start,
            schedule.end,
            schedule.all_day,
        )
        return seen if same else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    # The delete route --------------------------------------------------------------------------------

    async def _can_delete(self) -> bool:
        """Tell whether the server has a route for deleting; asked once with an id nobody has."""
        # Many records may be replaced at once: one of them asks, the others wait for the answer.
        async with self._asking_route:
            known = self._delete_route_known()
            if known is not None:
                return known
            exists = False
            try:
                await self.client.delete_meeting(str(uuid.uuid4()))
            except RecordGoneError as error:
                exists = error.code == NO_SUCH_RECORD
            except RefusedError as error:
                if error.code != NO_SUCH_ROUTE:
                    raise
            self._learn_delete_route(exists=exists)
            return exists

    def _delete_route_known(self) -> bool | None:
        known = self._memory.get("delete_route")
        if not isinstance(known, dict):
            return None
        if known.get("exists"):
            return True
        try:
            seen_at = datetime.fromisoformat(str(known.get("seen_at")))
        except ValueError:
            return None
        return False if self._around.now() - seen_at < PROBE_AGAIN_AFTER else None

    def _learn_delete_route(self, *, exists: bool) -> None:
        self._memory["delete_route"] = {"exists": exists, "seen_at": self._around.now().isoformat()}

    def _no_delete_route(self) -> UnholdableError:
        self._learn_delete_route(exists=False)
        return UnholdableError(NO_DELETE, retry_after_seconds=PROBE_AGAIN_AFTER.total_seconds())


def _id_in(row: Mapping[str, Any]) -> str:
    identity = row.get("id")
    found = identity.get("meeting_id") if isinstance(identity, dict) else None
    return found if isinstance(found, str) else ""


def _plain(text: object) -> str:
    return " ".join(str(text or "").split()).casefold()


def _differ(base: Values, shown: Values) -> bool:
    """Tell whether a record shows something else than it did, in any field both know."""
    return any(base[name] != shown[name] for name in base.keys() & shown.keys())


def _is_twin(values: Values, title: str, emails: set[str]) -> bool:
    people = values.get(Field.PARTICIPANTS, ())
    there = {person.email for person in people} if isinstance(people, tuple) else set()
    there.add(str(values.get(Field.ORGANIZER, "")))
    return _plain(values.get(Field.TITLE)) == _plain(title) and bool(there & emails)
