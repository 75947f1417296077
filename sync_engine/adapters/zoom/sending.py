"""Sending sealed requests, and finding out what one of unknown outcome did."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sync_engine.adapters.http import Answer
from sync_engine.adapters.zoom.answers import BAD_REQUEST, HOST_CAP, NO_HOST
from sync_engine.adapters.zoom.client import ZoomClient
from sync_engine.adapters.zoom.hosts import Hosts
from sync_engine.adapters.zoom.mapping import Target, from_read, is_candidate, mark_of
from sync_engine.adapters.zoom.reading import Reader
from sync_engine.adapters.zoom.tracking import Tracking
from sync_engine.core.meeting import Field, Schedule
from sync_engine.core.ports import Json, Now, Observation, Operation, Sealed, Written
from sync_engine.errors import (
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitedError,
    RecordGoneError,
    RefusedError,
    UnholdableError,
    UnmappableRecordError,
)

# Zoom's clock and ours may differ by this much and a meeting still count as made after the intent.
CLOCK_TOLERANCE = timedelta(minutes=2)
# The same planned start, give or take seconds that Zoom drops.
SAME_START = timedelta(minutes=1)
_OPERATIONS = {
    Operation.CREATE: "create_meeting",
    Operation.UPDATE: "update_meeting",
    Operation.DELETE: "delete_meeting",
    Operation.RESTORE: "recover_meeting",
}


class Sender:
    """Carry sealed requests out."""

    def __init__(
        self, client: ZoomClient, reader: Reader, hosts: Hosts, tracking: Tracking, now: Now
    ) -> None:
        self._client, self._reader, self._hosts, self._tracking = client, reader, hosts, tracking
        self._now = now
        # Zoom refuses several writes for one user at once.
        self._one_per_host: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, sealed: Sealed) -> Written:
        """Send a sealed request once.

        Raises: UnholdableError, with nothing sent, when its start has passed while it waited.
        """
        if start := sealed.details.get("start"):
            _refuse_passed(datetime.fromisoformat(str(start)), self._now())
        if not sealed.scope:
            return await self._send(sealed)
        async with self._one_per_host[sealed.scope]:
            return await self._send(sealed)

    async def _send(self, sealed: Sealed) -> Written:
        if sealed.operation is Operation.CREATE:
            return self._created(sealed, await self._request(sealed, repeatable=False))
        if not sealed.external_id:
            raise RefusedError("a write to an existing meeting needs its id", provider="zoom")
        target = Target.of(sealed.external_id)
        if sealed.operation is Operation.DELETE:
            await self._delete(sealed, target)
            return Written(target.external_id)
        # An update is not repeated blindly: a person may have edited while the answer was waited for.
        await self._request(sealed, repeatable=sealed.operation is Operation.RESTORE)
        return Written(target.external_id, await self._reader.read_back(target))

    async def _request(self, sealed: Sealed, *, repeatable: bool) -> Answer:
        try:
            return await self._client.send(
                sealed.method, sealed.path, sealed.body,
                operation=_OPERATIONS[sealed.operation], repeatable=repeatable,
            )  # fmt: skip
        except RateLimitedError as error:
            if error.code == HOST_CAP:
                error.scope = sealed.scope or error.scope
            raise
        except RefusedError as error:
            if sealed.operation is Operation.CREATE:
                self._learn_from(error, sealed)
            raise

    def _learn_from(self, error: RefusedError, sealed: Sealed) -> None:
        if error.code in NO_HOST:
            self._hosts.mark_unable(sealed.scope)
        if error.code == BAD_REQUEST:
            self._tracking.forget()

    async def _delete(self, sealed: Sealed, target: Target) -> None:
        try:
            await self._request(sealed, repeatable=True)
        except RefusedError as error:
            # Zoom calls an occurrence that is deleted already a bad value rather than gone.
            if error.code != BAD_REQUEST or not target.occurrence_id:
                raise
            await self._reader.read(target)
            raise

    def _created(self, sealed: Sealed, answer: Answer) -> Written:
        try:
            body = answer.json()
            if not isinstance(body, dict):
                raise InvalidResponseError("not an object")
            shown = from_read(body, self._now(), self._hosts.email_of(sealed.scope))
        except (InvalidResponseError, UnmappableRecordError) as error:
            raise OutcomeUnknownError(
                "Zoom's answer to a create cannot be read; the meeting may exist",
                provider="zoom", operation="create_meeting", status_code=answer.status,
            ) from error  # fmt: skip
        schedule, asked = shown.values[Field.SCHEDULE], datetime.fromisoformat(str(sealed.details["start"]))
        assert isinstance(schedule, Schedule)
        if abs(schedule.start - asked) >= SAME_START:
            raise RefusedError(
                f"Zoom made meeting {shown.external_id} with another start than was asked for; "
                "it was left there: delete or correct it in Zoom",
                provider="zoom", operation="create_meeting", status_code=answer.status, code="other_start",
            )  # fmt: skip
        return Written(shown.external_id, shown)

    async def find(self, sealed: Sealed) -> Sequence[Observation]:
        """Find what a write of unknown outcome left: what a create made, or what the record shows now.

        A create's meeting is one with our mark, else one of the same topic, start and length that was
        made since the intent; marked ones come first.
        """
        if sealed.operation is not Operation.CREATE:
            try:
                return [await self._reader.read(Target.of(sealed.external_id or ""))]
            except RecordGoneError:
                return []
        marked: list[Observation] = []
        alike: list[Observation] = []
        for row in await self._candidates(sealed):
            target = Target(str(int(row["id"])))
            try:
                body = await self._reader.body(target)
                shown = self._reader.observe(target, body)
            except (RecordGoneError, UnmappableRecordError):
                continue
            mark = mark_of(body)
            if mark == sealed.details.get("meeting_id"):
                marked.append(shown)
            elif mark is None:
                alike.append(shown)
        return [*marked, *alike]

    async def _candidates(self, sealed: Sealed) -> list[dict[str, Json]]:
        body = json.loads(sealed.body or "{}")
        since = datetime.fromisoformat(str(sealed.details["intended_at"])) - CLOCK_TOLERANCE
        found: list[dict[str, Json]] = []
        token = ""
        while True:
            rows, token = await self._client.list_meetings(str(sealed.details["host_id"]), token)
            found += [row for row in rows if isinstance(row, dict) and is_candidate(row, body, since)]
            if not token:
                return found


def _refuse_passed(start: datetime, now: datetime) -> None:
    if start <= now:
        raise UnholdableError("the start passed before the write could be sent; nothing was sent")
