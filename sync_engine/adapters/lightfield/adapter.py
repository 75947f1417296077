"""One Lightfield connection, as the engine sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.lightfield import answers, writes
from sync_engine.adapters.lightfield.capabilities import NO_ATTENDEE_UPDATES, capabilities
from sync_engine.adapters.lightfield.checks import findings
from sync_engine.adapters.lightfield.client import LightfieldClient, ListPage, path_of_meeting
from sync_engine.adapters.lightfield.listing import Walk
from sync_engine.adapters.lightfield.mapping import (
    KEYS,
    fingerprint,
    keys_missing,
    raw_addresses,
    to_addresses,
    to_observation,
    whole_list,
)
from sync_engine.adapters.lightfield.receiver import LightfieldReceiver
from sync_engine.adapters.lightfield.schemas import Attachments
from sync_engine.adapters.lightfield.search import Search
from sync_engine.adapters.lightfield.settings import LightfieldSettings
from sync_engine.adapters.lightfield.trash import Trash, ids_of
from sync_engine.core.capabilities import Capabilities
from sync_engine.core.meeting import Field
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
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    UnholdableError,
    UnmappableRecordError,
)

# What is learned about the account and kept between runs.
LIST_LACKS = "list_lacks"
NO_ATTENDEES_SINCE = "no_attendee_updates_since"
# An API without attendee updates is asked again after this long: it is in beta and grows.
ASK_AGAIN = timedelta(days=30)
# How far back behind its watermark the fast lane reads, because the index lags by an unknown time.
OVERLAP = timedelta(hours=1)
RIGHTS_RETRY_SECONDS = 86_400.0

_OPERATIONS = {
    Operation.CREATE: answers.CREATE,
    Operation.UPDATE: answers.UPDATE,
    Operation.DELETE: answers.DELETE,
    Operation.RESTORE: answers.RESTORE,
}
_FORBIDDEN = {
    Operation.CREATE: "the API key may not create meetings; it needs meetings:create",
    Operation.UPDATE: "the API key may not change this meeting; it needs meetings:update",
    Operation.DELETE: "only its participants and administrators may delete this meeting (meetings:delete)",
    Operation.RESTORE: "the API key may not restore this meeting; it needs meetings:restore",
}


def build(settings: LightfieldSettings, around: Surroundings) -> LightfieldAdapter:
    """Build the adapter of one connection."""
    return LightfieldAdapter(settings, around)


class LightfieldAdapter:
    """Keep meetings of one Lightfield organization."""

    def __init__(self, settings: LightfieldSettings, around: Surroundings) -> None:
        self._settings = settings
        self._now = around.now
        self._memory: dict[str, Json] = dict(around.memory)
        self._margin = timedelta(minutes=settings.create_margin_minutes)
        self.client = LightfieldClient(settings, around)
        self._trash = Trash(self.client)
        self._receiver = LightfieldReceiver(settings, around)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    @property
    def capabilities(self) -> Capabilities:
        """Say what this connection can hold, as far as is known of its API's age."""
        return capabilities(self._margin, attendees_updatable=self._can_update_attendees())

    @property
    def memory(self) -> Mapping[str, Json]:
        """Give what was learned about the account."""
        return self._memory

    @property
    def receiver(self) -> LightfieldReceiver:
        """Give what takes the calls of Lightfield's workflows."""
        return self._receiver

    def _can_update_attendees(self) -> bool:
        since = self._memory.get(NO_ATTENDEES_SINCE)
        if not isinstance(since, str):
            return True
        try:
            return self._now() - datetime.fromisoformat(since) > ASK_AGAIN
        except (ValueError, TypeError):
            return True

    async def canary(self) -> Identity:
        """Ask what the key may do; no endpoint names the organization it belongs to."""
        key = await self.client.validate_key()
        self._trash.learn(key)
        kind = key.subject_type or "key"
        return Identity(account_id="", label=f"{kind} key")

    async def check(self) -> Sequence[Finding]:
        """Verify the connection and say what to fix."""
        return await findings(self.client, self._settings)

    # Listing.

    async def sweep(self, window: Window) -> AsyncIterator[SweepPage]:
        """List every meeting there is: the listing knows no filter, and is ordered by creation.

        Costs one request per 25 meetings, and at least one. The one scope is covered with the last page,
        unless so much was deleted meanwhile that rows may have been passed over.
        """
        self._trash.forget()
        walk, missing, saw_rows = Walk(), set(KEYS), False
        while not walk.is_finished:
            page = await self.client.list_meetings(walk.offset)
            fresh = walk.take(ids_of(page), len(page.rows), page.total)
            for row in page.rows:
                if missing and isinstance(row, dict):
                    saw_rows = saw_rows or row.get("accessLevel") == "FULL"
                    missing = keys_missing(row, missing)
            if walk.is_finished and saw_rows:
                self._note_missing(missing)
            is_covered = walk.is_finished and walk.is_whole
            yield self._page(page, fresh, frozenset({""}) if is_covered else frozenset())

    def _note_missing(self, missing: set[str]) -> None:
        if missing:
            self._memory[LIST_LACKS] = sorted(missing)
        else:
            self._memory.pop(LIST_LACKS, None)

    async def sweep_recent(self, watermark: datetime) -> AsyncIterator[SweepPage]:
        """List what was created since ``watermark``, and an hour before; covers nothing.

        The cheap half of keeping up: new meetings stand first, while a changed one can stand anywhere.
        """
        seen: set[str] = set()
        offset = 0
        while True:
            page = await self.client.list_meetings(offset)
            fresh = set(ids_of(page)) - seen
            seen |= fresh
            yield self._page(page, fresh, frozenset())
            offset += len(page.rows)
            is_last = not page.rows or (page.total is not None and offset >= page.total)
            if is_last or not _is_newer(page.rows[-1], watermark - OVERLAP):
                return

    def _page(self, page: ListPage, fresh: set[str], covered: frozenset[str]) -> SweepPage:
        sightings: list[Sighting] = []
        problems: list[Problem] = []
        for row in page.rows:
            external_id = row.get("id") if isinstance(row, dict) else None
            if not isinstance(external_id, str) or not external_id:
                problems.append(Problem("a listed record has no id"))
            elif external_id in fresh:
                fresh.discard(external_id)
                sightings.append(Sighting(external_id, fingerprint(row), row))
        return SweepPage(sightings, covered, problems)

    def translate(self, sighting: Sighting) -> Observation:
        """Translate a listed row; it is a summary, and the index it comes from may be behind.

        So it is never complete: who sees a change in it reads the record before believing it.
        """
        return to_observation(
            sighting.raw,
            external_id=sighting.external_id,
            observed_at=self._now(),
            complete=False,
            print_of_row=sighting.fingerprint,
        )

    # One record.

    async def read(self, external_id: str) -> Observation:
        """Read one meeting: up to date, unlike the listing."""
        return self._observe(await self.client.get_meeting(external_id), external_id)

    def _observe(self, row: Mapping[str, Json], external_id: str) -> Observation:
        lacking = self._memory.get(LIST_LACKS)
        return to_observation(
            row,
            external_id=external_id,
            observed_at=self._now(),
            complete=True,
            print_of_row=fingerprint(row, lacking if isinstance(lacking, list) else ()),
        )

    async def confirm_absence(self, external_id: str) -> Absence:
        """Ask by id, and look into the trash: a meeting can also be hidden without being deleted.

        Whether a read by id shows a trashed meeting is not documented; where it does, the trash decides.
        """
        try:
            row = await self.client.get_meeting(external_id)
        except RecordGoneError:
            trashed = await self._trash.holds(external_id)
            # Deleting means trashing here: what is in no trash is hidden (a blocklist, privacy), not deleted.
            return Absence(proven=trashed, hidden=self._trash.is_readable and not trashed)
        if await self._trash.holds(external_id):
            # The trash was read earlier in this run, and the meeting may have been restored since.
            self._trash.forget()
            if await self._trash.holds(external_id):
                return Absence(proven=True)
        return Absence(self._observe(row, external_id))

    # Writing.

    def write_scope(self, write: Write) -> str:
        """Say whose daily cap a write counts against: there is none here."""
        return ""

    async def prepare(self, write: Write) -> Sealed:
        """Decide the exact request of a write."""
        if write.operation is Operation.CREATE:
            writes.check_ended(write.values, self._now(), self._margin)
            if write.replaces:
                await self._check_movable(write.replaces)
            return writes.creation(write, auto_create_records=self._settings.auto_create_records)
        external_id = _required_id(write)
        if write.operation is Operation.UPDATE:
            return await self._prepare_attendees(write, external_id)
        if write.operation is Operation.DELETE:
            return writes.deletion(external_id)
        return writes.restoration(external_id)

    async def _check_movable(self, external_id: str) -> None:
        """Keep a record that carries what no new record could be given."""
        try:
            row = await self.client.get_meeting(external_id)
        except RecordGoneError:
            return
        attached = Attachments.model_validate(row)
        if any(attached.ids(name) for name in ("$note", "$transcript", "$transcripts")):
            raise UnholdableError("the record carries notes or a transcript, which cannot be moved")
        if row.get("accessLevel") != "FULL":
            raise UnholdableError("what the record carries is not shown to this key, so it is not replaced")

    async def _prepare_attendees(self, write: Write, external_id: str) -> Sealed:
        if write.changed - {Field.PARTICIPANTS}:
            raise UnholdableError("Lightfield can change nothing of a meeting but its attendees")
        if not self._can_update_attendees():
            raise UnholdableError(NO_ATTENDEE_UPDATES)
        # The write replaces the whole list, so the list is always read first.
        row = await self.client.get_meeting(external_id)
        observation = self._observe(row, external_id)
        if writes.differs(write.base, observation.values, write.changed):
            raise StaleWriteError(
                "the attendees changed meanwhile",
                observation=observation,
                provider="lightfield",
                operation=answers.UPDATE,
            )
        if Field.PARTICIPANTS in observation.fixed:
            raise UnholdableError(observation.fixed[Field.PARTICIPANTS])
        writes.check_ended(observation.values, self._now(), timedelta(0))
        current, organizer = raw_addresses(row)
        wanted = whole_list(current, to_addresses(write.values), organizer)
        return writes.attendee_update(write, external_id, wanted)

    async def send(self, sealed: Sealed) -> Written:
        """Send a sealed request; a create or an update is repeated unchanged under its key."""
        try:
            meeting = await self.client.write(
                sealed.method, sealed.path, sealed.body,
                operation=_OPERATIONS[sealed.operation], key=sealed.key,
            )  # fmt: skip
        except answers.ForbiddenError:
            raise UnholdableError(
                _FORBIDDEN[sealed.operation], retry_after_seconds=RIGHTS_RETRY_SECONDS
            ) from None
        except RecordGoneError:
            if sealed.operation is Operation.DELETE and sealed.external_id:
                await self._check_gone(sealed.external_id)
            raise
        except RefusedError as error:
            refusal = self._refusal(sealed, error)
            if refusal is error:
                raise
            raise refusal from None
        return self._written(sealed, meeting)

    def _written(self, sealed: Sealed, meeting: Mapping[str, Json]) -> Written:
        external_id = sealed.external_id or str(meeting["id"])
        if sealed.operation is Operation.DELETE:
            return Written(external_id)
        try:
            return Written(external_id, self._observe(meeting, external_id))
        except UnmappableRecordError:
            return Written(external_id)

    def _refusal(self, sealed: Sealed, error: RefusedError) -> Exception:
        """Tell refusals that time or a newer API will lift from those that stay."""
        if error.status_code == 405:
            return UnholdableError(
                f"this Lightfield cannot {sealed.operation.value} meetings through its API"
            )
        if sealed.operation is Operation.UPDATE and error.code == answers.UNKNOWN_FIELD:
            self._memory[NO_ATTENDEES_SINCE] = self._now().isoformat()
            return UnholdableError(NO_ATTENDEE_UPDATES)
        is_of_dates = isinstance(error, answers.RuleError) and error.param in {
            "fields.$startDate",
            "fields.$endDate",
        }
        if sealed.operation is Operation.CREATE and is_of_dates and error.code != "invalid_type":
            # By Lightfield's clock the meeting is not over.
            wait = max(self._margin, timedelta(minutes=1)).total_seconds()
            return UnholdableError(writes.NOT_OVER, retry_after_seconds=wait)
        return error

    async def _check_gone(self, external_id: str) -> None:
        """Tell a record that is gone from an API that has no delete, which answers 404 as well."""
        absence = await self.confirm_absence(external_id)
        if absence.observation is not None:
            raise UnholdableError("this Lightfield does not delete meetings through its API")

    async def find(self, sealed: Sealed) -> Sequence[Observation]:
        """Search what a create of unknown outcome may have made, among what was created since."""
        search = Search(sealed)
        found: list[Observation] = []
        async for page in self.sweep_recent(search.since):
            for sighting in page.sightings:
                if not search.is_candidate(sighting.raw):
                    continue
                try:
                    row = await self.client.get_meeting(sighting.external_id)
                    observation = self._observe(row, sighting.external_id)
                except (RecordGoneError, UnmappableRecordError):
                    continue
                if search.is_it(row, observation):
                    found.append(observation)
        return sorted(found, key=lambda one: search.meeting_id not in one.marks)

    async def attach_transcript(self, external_id: str, text: str, filename: str = "transcript.txt") -> None:
        """Upload a transcript and make it the canonical one of a meeting."""
        file_id = await self.client.upload_transcript(filename, text)
        body = json.dumps({"relationships": {"$transcript": {"replace": file_id}}}, separators=(",", ":"))
        key = writes.transcript_key(external_id, file_id)
        path = path_of_meeting(external_id)
        await self.client.write("POST", path, body, operation=answers.UPDATE, key=key)


def _required_id(write: Write) -> str:
    if not write.external_id:
        raise ValueError(f"a write that is a {write.operation.value} names its record")
    return write.external_id


def _is_newer(row: Json, moment: datetime) -> bool:
    try:
        return datetime.fromisoformat(row["createdAt"]) >= moment
    except (KeyError, TypeError, ValueError):
        return False
