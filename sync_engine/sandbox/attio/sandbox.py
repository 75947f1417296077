"""Attio as a faithful local server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from sync_engine.sandbox.attio.account import AccountEndpoints
from sync_engine.sandbox.attio.limits import Limits
from sync_engine.sandbox.attio.listing import Paging
from sync_engine.sandbox.attio.meetings import MeetingEndpoints
from sync_engine.sandbox.attio.people import RecordEndpoints
from sync_engine.sandbox.attio.recordings import RecordingEndpoints
from sync_engine.sandbox.attio.state import Day, Instant, StoredMeeting, moment_of
from sync_engine.sandbox.attio.web_app import AttioPeople
from sync_engine.sandbox.attio.webhooks import WebhookEndpoints
from sync_engine.sandbox.attio.workspace import Workspace
from sync_engine.sandbox.server import ProviderSandbox

if TYPE_CHECKING:
    from sync_engine.sandbox.world import CalendarEvent, World

ALL_SCOPES = frozenset(
    {
        "meeting:read-write",
        "record_permission:read-write",
        "object_configuration:read",
        "call_recording:read-write",
        "user_management:read",
        "webhook:read-write",
        "note:read-write",
    }
)


class AttioSandbox(ProviderSandbox):
    """Attio's REST API, beta meetings included.

    Credentials: ``token`` as bearer or basic user name; ``token_active`` False revokes it; ``token_level``
    is "workspace", "user", or None for a server that does not tell. ``scopes`` can be changed at any time.

    Where Attio changed, or does not say:
        ``generation``: "B" always creates a meeting; "A" demands ``external_ref`` and finds or creates.
        ``rejects_external_ref``: whether B answers 400 to the field it no longer has, or ignores it.
        ``reposts_update``: whether A writes a found meeting anew.
        ``has_delete``: whether PATCH, PUT and DELETE of a meeting exist; without, ``missing_route_status``.
        ``transcript_in_recording``: whether a read recording brings its transcript along.
        ``paging``: how cursors behave. ``calendar_actor``: who is shown as creator of synced meetings.
    """

    name = "attio"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.token = "attio-sandbox-token"
        self.token_active = True
        self.token_level: str | None = "workspace"
        self.scopes: set[str] = set(ALL_SCOPES)
        self.rate_limits = True
        self.limits = Limits(world.clock)
        self.paging = Paging()
        self.generation = "B"
        self.rejects_external_ref = False
        self.reposts_update = False
        self.has_delete = True
        self.missing_route_status = 404
        self.transcript_in_recording = True
        self.calendar_actor = "system"
        self.calendar_sync_delay: timedelta | None = None
        self.calendar_text_has_link = True
        self.workspace = Workspace(world.clock, self.random, world.deliver)
        self.people = AttioPeople(self)

    @property
    def webhook_secret(self) -> str | None:
        """Give the secret of the webhook somebody made by hand; None: there is none."""
        return self.workspace.webhook_secret

    @webhook_secret.setter
    def webhook_secret(self, secret: str | None) -> None:
        self.workspace.webhook_secret = secret

    def routes(self) -> Sequence[Route]:
        """Give the endpoints."""
        return [
            *AccountEndpoints(self).routes(),
            *MeetingEndpoints(self).routes(),
            *RecordingEndpoints(self).routes(),
            *RecordEndpoints(self).routes(),
            *WebhookEndpoints(self).routes(),
        ]

    def settle(self) -> None:
        """Link companies, finish recordings, let the calendar sync catch up."""
        self.workspace.settle()

    def on_calendar_event(self, event: CalendarEvent) -> None:
        """Copy an event of the team's calendars, ``calendar_sync_delay`` later."""
        delay = self.calendar_sync_delay
        if delay is not None:
            with self.world.lock:
                self.workspace.later(delay, lambda: self.people.sync_event(event))

    def records(self) -> list[dict[str, Any]]:
        """Give a snapshot of every meeting, deleted ones too."""
        with self.world.lock:
            self.settle()
            meetings = self.workspace.meetings
            return [_snapshot(each) for each in (*meetings.by_id.values(), *meetings.deleted.values())]


def _snapshot(meeting: StoredMeeting) -> dict[str, Any]:
    organizer = next((a.email for a in meeting.attendees if a.is_organizer and a.email), None)
    start: datetime = moment_of(meeting.start)
    return {
        "id": meeting.id,
        "title": meeting.title,
        "description": meeting.description,
        "start": start,
        "end": moment_of(meeting.end),
        "zone": meeting.start.zone if isinstance(meeting.start, Instant) else None,
        "all_day": isinstance(meeting.start, Day),
        "location": None,
        "join_url": None,
        "organizer": organizer,
        "participants": sorted(meeting.emails - {organizer}),
        "deleted": meeting.deleted,
        "created_by_api": meeting.by_api,
        "calendar_uid": meeting.calendar_uid,
    }
