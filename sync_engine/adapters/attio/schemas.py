"""Attio's wire, in Attio's words; lenient, because the endpoints are in beta."""

from __future__ import annotations

from datetime import UTC, date, datetime

from pydantic import BaseModel, ConfigDict, Field


def wire_moment(moment: datetime) -> str:
    """Write a moment as Attio takes it everywhere: UTC with ``Z``, so that no ``+`` stands in a query."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Wire(BaseModel):
    """Stand at the root of the wire models: unknown keys are new ones."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class MeetingId(Wire):
    """The composite id; only ``meeting_id`` differs within one connection."""

    meeting_id: str = Field(min_length=1)
    workspace_id: str = ""


class Edge(Wire):
    """One end of a meeting: a moment with a zone, or a date."""

    # Named apart from the types of the same names, which the annotations need.
    moment: datetime | None = Field(default=None, alias="datetime")
    timezone: str | None = None
    day: date | None = Field(default=None, alias="date")


class MeetingParticipant(Wire):
    """One participant; who has only a name has no address. ``name`` is absent on servers before July 2026."""

    email_address: str | None = None
    name: str | None = None
    is_organizer: bool = False
    status: str | None = None


class LinkedRecord(Wire):
    """A linked record in its read shape; it is written as ``object`` and ``record_id``."""

    object_slug: str
    record_id: str


class Actor(Wire):
    """Who created something."""

    type: str | None = None
    id: str | None = None


class AttioMeeting(Wire):
    """One meeting."""

    id: MeetingId
    title: str | None = None
    description: str | None = None
    is_all_day: bool = False
    start: Edge
    end: Edge
    participants: tuple[MeetingParticipant, ...] = ()
    linked_records: tuple[LinkedRecord, ...] = ()
    created_at: str | None = None
    created_by_actor: Actor | None = None


class Identity(Wire):
    """What a token is; a dead one is told with HTTP 200 and ``active`` False.

    ``token_level`` is absent before October 2026, when every token belonged to a workspace.
    """

    active: bool
    scope: str = ""
    token_level: str = "workspace"
    workspace_id: str = ""
    workspace_slug: str = ""

    @property
    def scopes(self) -> frozenset[str]:
        """Give the granted scopes one by one."""
        return frozenset(self.scope.split())


class RecordId(Wire):
    """The composite id of a record."""

    object_id: str = ""
    record_id: str


class PersonRecord(Wire):
    """One person of the CRM."""

    id: RecordId


class RecordingId(Wire):
    """The composite id of a call recording."""

    meeting_id: str = ""
    call_recording_id: str


class Speaker(Wire):
    """Who speaks; shown by name only."""

    name: str = ""


class Segment(Wire):
    """One stretch of speech; seconds from the start of the recording."""

    speech: str
    start_time: float
    end_time: float
    speaker: Speaker = Speaker()


class Transcript(Wire):
    """What was said."""

    segments: tuple[Segment, ...] = ()


class CallRecording(Wire):
    """One call recording; a list shows it without its transcript."""

    id: RecordingId
    status: str = ""
    created_at: str | None = None
    transcript: Transcript | None = None


class WebhookId(Wire):
    """The composite id of a webhook."""

    webhook_id: str


class Subscription(Wire):
    """One event a webhook asked for; filters are not ours to read."""

    event_type: str


class AttioWebhook(Wire):
    """One webhook; ``secret`` comes with the answer to its creation and never again."""

    id: WebhookId
    target_url: str
    subscriptions: tuple[Subscription, ...] = ()
    status: str = ""
    secret: str | None = None
