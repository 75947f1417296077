"""Reading one record by id: a single meeting, or one occurrence out of its series."""

from __future__ import annotations

from dataclasses import dataclass

from sync_engine.adapters.zoom.answers import WEBINAR
from sync_engine.adapters.zoom.client import ZoomClient
from sync_engine.adapters.zoom.mapping import (
    SERIES,
    Host,
    Target,
    from_read,
    from_series,
    occurrence_sightings,
    stamp,
    translate,
)
from sync_engine.core.ports import Absence, Group, Json, Now, Observation, Problem, Window
from sync_engine.errors import ProviderError, RecordGoneError, RefusedError, UnmappableRecordError


@dataclass(frozen=True, slots=True)
class Reader:
    """Read records of one connection."""

    client: ZoomClient
    now: Now

    async def body(self, target: Target) -> dict[str, Json]:
        """Read the meeting, or the whole series of an occurrence, as Zoom shows it.

        Raises: UnmappableRecordError where the number has become a webinar, which is another API.
        """
        try:
            return await self.client.get_meeting(target.number, past_occurrences=bool(target.occurrence_id))
        except RefusedError as error:
            if error.code == WEBINAR:
                raise UnmappableRecordError("the meeting has become a webinar") from None
            raise

    def observe(self, target: Target, body: dict[str, Json]) -> Observation:
        """Translate what was read. Raises RecordGoneError, UnmappableRecordError."""
        if target.occurrence_id:
            return from_series(body, target.occurrence_id, self.now())
        return from_read(body, self.now())

    async def read(self, target: Target) -> Observation:
        """Read one record; all there is to know of it."""
        return self.observe(target, await self.body(target))

    async def read_back(self, target: Target) -> Observation | None:
        """Read what a write left behind; None where that fails, because the write itself is done."""
        try:
            return await self.read(target)
        except (ProviderError, UnmappableRecordError):
            return None

    async def group(self, target: Target, window: Window) -> Group:
        """Read a number and give the single meeting, or the occurrences of the series inside a window."""
        # A single meeting is not harmed by asking for past occurrences as well.
        body = await self.body(Target(target.number, "all"))
        if body.get("type") != SERIES:
            return Group([self.observe(Target(target.number), body)])
        host = Host(str(body.get("host_id") or ""), str(body.get("host_email") or ""))
        try:
            sightings = occurrence_sightings(body, host, stamp(window.start), stamp(window.end))
        except (TypeError, ValueError, KeyError, AttributeError):
            raise UnmappableRecordError("the series does not have the documented form") from None
        observations: list[Observation] = []
        problems: list[Problem] = []
        for sighting in sightings:
            if sighting.gone:
                continue
            try:
                observations.append(translate(sighting, self.now()))
            except UnmappableRecordError as error:
                problems.append(Problem(str(error), sighting.external_id, sighting.scope))
        return Group(observations, frozenset(s.external_id for s in sightings if s.gone), problems)

    async def confirm_absence(self, target: Target) -> Absence:
        """Tell whether a record is really gone; an occurrence listed as cancelled is proof."""
        try:
            body = await self.body(target)
        except RecordGoneError:
            return Absence()
        try:
            return Absence(self.observe(target, body))
        except RecordGoneError:
            occurrences = body.get("occurrences") or ()
            ids = {one.get("occurrence_id") for one in occurrences if isinstance(one, dict)}
            return Absence(proven=target.occurrence_id in ids)
