"""One connection to one prospect CRM account."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.exact_json import compact
from sync_engine.adapters.prospect_crm import writing
from sync_engine.adapters.prospect_crm.capabilities import build_capabilities
from sync_engine.adapters.prospect_crm.checking import check_connection
from sync_engine.adapters.prospect_crm.client import CONFLICT, PROVIDER, ProspectCrmClient, Row, item_of
from sync_engine.adapters.prospect_crm.listing import Listing
from sync_engine.adapters.prospect_crm.mapping import Known, Reading, observe, parse_meeting, shows
from sync_engine.adapters.prospect_crm.owners import Owners
from sync_engine.adapters.prospect_crm.prospects import Prospects
from sync_engine.adapters.prospect_crm.receiver import ProspectCrmReceiver
from sync_engine.adapters.prospect_crm.schemas import AuthWire
from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings
from sync_engine.core.capabilities import Capabilities
from sync_engine.core.ports import (
    Absence,
    Finding,
    Identity,
    Json,
    Observation,
    Operation,
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
    ProviderError,
    RecordGoneError,
    RefusedError,
    StaleWriteError,
    UnholdableError,
    UnmappableRecordError,
)

VERBS = ("POST", "PATCH", "PUT")
# While the first request with a key still runs, the same one is refused; these waits let it end.
CONFLICT_WAITS_SECONDS = (0.3, 0.8, 2.0, 4.0)
FIND_PAGES = 5


class ProspectCrmAdapter:
    """Implement ``core.ports.Adapter`` for the prospect CRM.

    What is learned and kept between runs (``memory``): the verb that updates, the generation of answers,
    whether the key check exists, and which prospect is who.
    """

    def __init__(self, settings: ProspectCrmSettings, around: Surroundings) -> None:
        self._settings, self._around = settings, around
        kept = around.memory
        self._verb = _kept_verb(kept.get("update_method"))
        self._auth_missing = kept.get("auth") is False
        generation = kept.get("generation")
        self._client = ProspectCrmClient(
            settings, around, generation=generation if generation in {"G2", "G3"} else ""
        )
        self._owners = Owners(settings.owner_map, settings.default_owner_id)
        self._reading = Reading(
            self._owners,
            timedelta(minutes=settings.default_duration_minutes),
            settings.notes == "description",
        )
        self._receiver = ProspectCrmReceiver(settings, around)
        prospects = kept.get("prospects")
        self._prospects = Prospects(
            self._client, settings, self._owners, around.now, prospects if isinstance(prospects, dict) else {}
        )
        self._capabilities = {
            keys_work: build_capabilities(
                connection=around.connection,
                owners=self._owners,
                default_length=self._reading.default_length,
                shares_text=self._reading.shares_text,
                keys_work=keys_work,
            )
            for keys_work in (True, False)
        }

    @property
    def capabilities(self) -> Capabilities:
        """Say what this connection can hold; an account of the older generation has no idempotency keys."""
        return self._capabilities[self._client.generation != "G2"]

    @property
    def memory(self) -> Mapping[str, Json]:
        """Give what was learned about the account."""
        facts: dict[str, Json] = {"prospects": self._prospects.memory}
        if self._verb:
            facts["update_method"] = self._verb
        if self._client.generation:
            facts["generation"] = self._client.generation
        if self._auth_missing:
            facts["auth"] = False
        return facts

    @property
    def receiver(self) -> ProspectCrmReceiver:
        """Give what takes the CRM's deliveries."""
        return self._receiver

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # -- identity ---------------------------------------------------------------------------------

    async def canary(self) -> Identity:
        """Ask whose key this is; an account without the key check has no name to know it by."""
        if not self._auth_missing:
            try:
                row = await self._client.auth()
            except RecordGoneError:
                self._auth_missing = True
            else:
                return _identity(row)
        await self._client.meetings(limit=1)
        return Identity("")

    async def check(self) -> Sequence[Finding]:
        """Verify key, permissions, owners, quotas and clock."""
        return await check_connection(self._client, self._settings, self._verb, self.canary)

    # -- reading ----------------------------------------------------------------------------------

    def sweep(self, window: Window) -> AsyncIterator[SweepPage]:
        """List every meeting of the window; exactly one request per 200 of them."""
        return Listing(self._client, self._around.sleep).pages(window)

    def translate(self, sighting: Sighting) -> Observation:
        """Translate one listed row; without its prospect, if we never met, it stays incomplete."""
        return replace(
            observe(
                sighting.external_id,
                sighting.raw,
                self._known_of(sighting.raw),
                self._reading,
                self._around.now(),
            ),
            fingerprint=sighting.fingerprint,
        )

    async def read(self, external_id: str) -> Observation:
        """Read one meeting and, where we do not know him yet, its prospect."""
        return await self._observe(external_id, await self._client.meeting(external_id))

    async def confirm_absence(self, external_id: str) -> Absence:
        """Ask for the record; the provider keeps no trace of a deleted one."""
        try:
            return Absence(await self.read(external_id))
        except RecordGoneError:
            return Absence()

    async def addresses_of(self, people: Sequence[str]) -> frozenset[str]:
        """Read prospects a delivery spoke of; who has no address, or is gone, is left out."""
        found = [await self._prospects.read(one) for one in people]
        return frozenset(known.email for known in found if known is not None and known.email)

    def _known_of(self, row: Row) -> Known | None:
        prospect_id = row.get("prospectId")
        return self._prospects.of(prospect_id) if isinstance(prospect_id, str) else None

    async def _observe(self, external_id: str, row: Row) -> Observation:
        wire = parse_meeting(row)
        if wire.id != external_id:
            raise InvalidResponseError(
                "the answer shows another record", provider=PROVIDER, operation="get_meeting"
            )
        known = await self._prospects.resolve(wire.prospect_id)
        return observe(external_id, row, known, self._reading, self._around.now())

    # -- preparing --------------------------------------------------------------------------------

    def write_scope(self, write: Write) -> str:
        """Name no scope: there is no daily cap."""
        return ""

    async def prepare(self, write: Write) -> Sealed:
        """Decide the exact request."""
        if write.operation is Operation.CREATE:
            return await writing.seal_create(
                write, self._client, self._prospects, self._owners, shares_text=self._reading.shares_text
            )
        if write.external_id is None:
            raise UnholdableError("the record's id is not known")
        if write.operation is Operation.DELETE:
            return writing.seal_delete(write)
        if write.operation is Operation.UPDATE:
            return await self._prepare_update(write)
        raise UnholdableError("a deleted meeting cannot be restored here")

    async def _prepare_update(self, write: Write) -> Sealed:
        assert write.external_id is not None
        verb = self._settled_verb
        since = write.base_observed_at
        late = since is None or self._around.now() - since > writing.BASE_LASTS
        row: Row | None = None
        if writing.must_read_first(write, late, verb):
            row = await self._client.meeting(write.external_id)
            writing.guard_base(write, await self._observe(write.external_id, row), self.capabilities)
        return writing.seal_update(write, row, self._reading, verb=verb)

    @property
    def _settled_verb(self) -> str:
        method = self._settings.update_method
        return self._verb if method == "auto" else method

    # -- sending ----------------------------------------------------------------------------------

    async def send(self, sealed: Sealed) -> Written:
        """Send a sealed request once."""
        if sealed.operation is Operation.CREATE:
            return await self._send_create(sealed)
        if sealed.operation is Operation.UPDATE:
            return await self._send_update(sealed)
        return await self._send_delete(sealed)

    async def _send_create(self, sealed: Sealed) -> Written:
        try:
            # Without working keys a repeated create would make a second meeting.
            answer = await self._send_keyed(
                sealed, "POST", sealed.body, sealed.key, repeatable=self._client.generation == "G3"
            )
        except RefusedError as error:
            if error.code == CONFLICT:
                return await self._adopt(sealed, error)
            # Who was remembered may have been deleted or merged since; the next attempt looks again.
            self._prospects.forget(str(sealed.details.get("prospect_id")))
            raise
        except RecordGoneError as error:
            self._prospects.forget(str(sealed.details.get("prospect_id")))
            raise RefusedError(
                "the prospect or owner does not exist",
                provider=PROVIDER, operation="create_meeting", status_code=error.status_code,
            ) from error  # fmt: skip
        row = item_of(answer) if isinstance(answer, dict) else {}
        external_id = row.get("id")
        if not isinstance(external_id, str) or not external_id:
            raise OutcomeUnknownError(
                "the answer shows no record", provider=PROVIDER, operation="create_meeting"
            )
        return await self._written(external_id, row)

    async def _adopt(self, sealed: Sealed, conflict: RefusedError) -> Written:
        found = await self.find(sealed)
        if not found:
            raise OutcomeUnknownError(
                "the idempotency key stays in use and no such meeting is found",
                provider=PROVIDER, operation="create_meeting", status_code=409, code=CONFLICT,
            ) from conflict  # fmt: skip
        return Written(found[0].external_id, found[0])

    async def _send_update(self, sealed: Sealed) -> Written:
        assert sealed.external_id is not None
        settled, verbs = self._settled_verb, self._verbs(sealed)
        for verb in verbs:
            body = sealed.details.get("whole") if verb == "PUT" else sealed.body
            if verb != "PUT" and sealed.method == "PUT":
                body = compact(sealed.details["changes"])
            if body is None:
                return await self._start_over(sealed.external_id)
            try:
                answer = await self._send_keyed(
                    sealed, verb, body, f"{sealed.key}:{verb.lower()}", repeatable=True
                )
            except RefusedError as error:
                if error.status_code == 405:
                    continue
                raise self._conflict_or(error) from error
            except RecordGoneError:
                if settled:
                    raise
                # 404 may be the verb's fault: only a read that finds the record proves it.
                await self._client.meeting(sealed.external_id)
                continue
            written = await self._updated(sealed, item_of(answer) if isinstance(answer, dict) else {})
            if written is not None or settled:
                self._verb = verb
                return written or Written(sealed.external_id)
        self._verb = ""
        raise RefusedError(
            "no verb updates meetings here; set update_method", provider=PROVIDER, operation="update_meeting"
        )

    def _verbs(self, sealed: Sealed) -> tuple[str, ...]:
        if self._settings.update_method != "auto":
            return (self._settings.update_method,)
        first = self._verb or sealed.method
        return (first, *(verb for verb in VERBS if verb != first))

    async def _start_over(self, external_id: str) -> Written:
        """Have the write planned anew: the verb it was sealed for no longer works."""
        self._verb = ""
        raise StaleWriteError(
            "the verb that updates meetings changed", observation=await self.read(external_id),
            provider=PROVIDER, operation="update_meeting",
        )  # fmt: skip

    async def _updated(self, sealed: Sealed, row: Row) -> Written | None:
        """Verify an update by what the answer shows, else by a read; None if it had no effect."""
        assert sealed.external_id is not None
        changes = sealed.details["changes"]
        if row.get("id") == sealed.external_id and shows(row, changes):
            return await self._written(sealed.external_id, row)
        try:
            row = await self._client.meeting(sealed.external_id)
        except RecordGoneError:
            raise
        except ProviderError:
            return Written(sealed.external_id)
        if not shows(row, changes) and not self._settled_verb:
            return None
        return await self._written(sealed.external_id, row)

    async def _send_delete(self, sealed: Sealed) -> Written:
        assert sealed.external_id is not None
        try:
            await self._send_keyed(sealed, "DELETE", None, sealed.key, repeatable=True)
        except RefusedError as error:
            raise self._conflict_or(error) from error
        return Written(sealed.external_id)

    def _conflict_or(self, error: RefusedError) -> ProviderError:
        if error.code != CONFLICT:
            return error
        return OutcomeUnknownError(
            "the idempotency key stays in use",
            provider=PROVIDER, operation=error.operation, status_code=409, code=CONFLICT,
        )  # fmt: skip

    async def _send_keyed(
        self, sealed: Sealed, method: str, body: str | None, key: str | None, *, repeatable: bool
    ) -> Json:
        """Send, and again unchanged while the provider says that the first one still runs."""
        operation = f"{sealed.operation.value}_meeting"
        for wait_seconds in (*CONFLICT_WAITS_SECONDS, None):
            try:
                return await self._client.write(
                    method, sealed.path, body=body, key=key, operation=operation, repeatable=repeatable
                )
            except RefusedError as error:
                if error.code != CONFLICT or wait_seconds is None:
                    raise
                await self._around.sleep(wait_seconds)
        raise AssertionError("unreachable")

    async def _written(self, external_id: str, row: Row) -> Written:
        try:
            return Written(external_id, await self._observe(external_id, row))
        except (ProviderError, UnmappableRecordError):
            # The write took effect; what it shows is read another time.
            return Written(external_id)

    # -- finding ----------------------------------------------------------------------------------

    async def find(self, sealed: Sealed) -> Sequence[Observation]:
        """Search the meeting a create may have made.

        All meetings of its prospect are looked through, whatever their time: people may have moved it
        since. Ours is the one that names the canonical meeting in our block; or, where somebody erased
        the block, one made through the API that shows every other field exactly as we sent it.
        """
        if sealed.operation is not Operation.CREATE or sealed.body is None:
            return ()
        sent, meeting_id = _sent(sealed), sealed.details.get("meeting_id")
        marked: list[Observation] = []
        alike: list[Observation] = []
        for row in await self._meetings_of(str(sealed.details.get("prospect_id"))):
            try:
                seen = await self._observe(str(row.get("id")), row)
            except UnmappableRecordError:
                continue
            if meeting_id in seen.marks:
                marked.append(seen)
            elif not seen.marks and row.get("createdByApi") is True and shows(row, sent):
                alike.append(seen)
        return [*marked, *alike]

    async def _meetings_of(self, prospect_id: str) -> list[Row]:
        rows: dict[str, Row] = {}
        token: str | None = None
        for _ in range(FIND_PAGES):
            page = await self._client.meetings(token=token, prospectId=prospect_id)
            rows.update(
                {
                    row["id"]: row
                    for row in page.rows
                    if isinstance(row, dict)
                    and isinstance(row.get("id"), str)
                    and row.get("prospectId") == prospect_id
                }
            )
            if not page.token or page.token == token:
                break
            token = page.token
        return list(rows.values())


def build(settings: ProspectCrmSettings, around: Surroundings) -> ProspectCrmAdapter:
    """Make an adapter of one connection."""
    return ProspectCrmAdapter(settings, around)


def _kept_verb(value: Json) -> str:
    return value if value in VERBS else ""


def _sent(sealed: Sealed) -> dict[str, Json]:
    sent: dict[str, Json] = json.loads(sealed.body or "{}")
    return {name: sent[name] for name in ("meetingDate", "timeZone", "meetingType", "ownerId", "location")}


def _identity(row: Row) -> Identity:
    try:
        wire = AuthWire.model_validate(row)
    except ValueError:
        raise InvalidResponseError(
            "the key check does not have the documented form", provider=PROVIDER, operation="check_key"
        ) from None
    if not (wire.active and wire.is_active):
        raise CredentialsError("the API key is not active", provider=PROVIDER, operation="check_key")
    return Identity(wire.account_id)
