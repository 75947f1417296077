"""Webhooks: one signed delivery for every change, whoever made it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.server import Delivery
from sync_engine.sandbox.zoom import wire
from sync_engine.sandbox.zoom.state import Kind, Meeting, Occurrence, Run
from sync_engine.sandbox.zoom.times import milliseconds, stamp

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox


class Notices:
    """Tell subscribers what happened; silent while the sandbox has no ``webhook_secret``."""

    def __init__(self, sandbox: ZoomSandbox) -> None:
        self._sandbox = sandbox

    def created(self, meeting: Meeting) -> None:
        """Tell of a new meeting."""
        payload = {"operation": "all", "object": wire.announced(self._sandbox, meeting)}
        self._send("meeting.created", self._operator(meeting) | payload)

    def updated(self, meeting: Meeting, fresh: dict[str, Any], old: dict[str, Any], scope: str) -> None:
        """Tell of changed fields: only they are named, beside the meeting number."""
        payload = {
            "scope": scope,
            "object": {"id": meeting.id} | wire.told(fresh),
            "old_object": {"id": meeting.id} | wire.told(old),
            "time_stamp": milliseconds(self._sandbox.world.clock.now()),
        }
        self._send("meeting.updated", self._operator(meeting) | payload)

    def deleted(self, meeting: Meeting, occurrence: Occurrence | None = None) -> None:
        """Tell of a meeting, a series or one date of it that is gone. Free accounts are not told."""
        if self._sandbox.plan != "free":
            self._removal("meeting.deleted", meeting, occurrence)

    def recovered(self, meeting: Meeting) -> None:
        """Tell of a meeting taken back out of the trash."""
        self._removal("meeting.recovered", meeting, None)

    def purged(self, meeting: Meeting) -> None:
        """Tell of a meeting that left the trash for good."""
        self._removal("meeting.permanently_deleted", meeting, None)

    def started(self, meeting: Meeting, run: Run) -> None:
        """Tell that a meeting runs."""
        self._send("meeting.started", {"object": self._running(meeting, run)})

    def ended(self, meeting: Meeting, run: Run) -> None:
        """Tell that a meeting is over; ``duration`` stays the planned one."""
        end = {"end_time": stamp(run.end)} if run.end else {}
        self._send("meeting.ended", {"object": self._running(meeting, run) | end})

    def became_webinar(self, meeting: Meeting) -> None:
        """Tell that a meeting is a webinar now."""
        kind = 9 if meeting.kind is Kind.SERIES else 6 if meeting.kind is Kind.NO_FIXED_TIME else 5
        payload = {"object": wire.identity(meeting) | {"type": kind}}
        self._send("meeting.converted_to_webinar", self._operator(meeting) | payload)

    def url_validation(self) -> str:
        """Send the challenge Zoom sends every 72 hours; gives the plain token."""
        source = self._sandbox.random
        plain = base64.urlsafe_b64encode(source.randbytes(16)).decode().rstrip("=")
        self._send("endpoint.url_validation", {"plainToken": plain})
        return plain

    def _removal(self, event: str, meeting: Meeting, occurrence: Occurrence | None) -> None:
        shown = wire.identity(meeting)
        operation = "all" if meeting.kind in (Kind.SERIES, Kind.NO_FIXED_TIME) else "single"
        if occurrence is not None:
            operation = "single"
            gone = {"occurrence_id": occurrence.id, "start_time": stamp(occurrence.start)}
            shown["occurrences"] = [gone]
        self._send(event, self._operator(meeting) | {"operation": operation, "object": shown})

    def _operator(self, meeting: Meeting) -> dict[str, Any]:
        host = self._sandbox.account.hosts.get(meeting.host_id)
        return {"operator": host.email if host else "", "operator_id": meeting.host_id}

    def _running(self, meeting: Meeting, run: Run) -> dict[str, Any]:
        shown = wire.identity(meeting, run.start) | {"id": str(meeting.id), "uuid": run.uuid}
        if meeting.pmi is not None:
            host = self._sandbox.account.hosts[meeting.host_id]
            room = f"{host.name}'s Personal Meeting Room"
            shown |= {"id": str(meeting.pmi), "type": int(Kind.PERSONAL_ROOM), "topic": room}
        return shown

    def _send(self, event: str, payload: dict[str, Any]) -> None:
        secret = self._sandbox.webhook_secret
        if secret is None:
            return
        now = self._sandbox.world.clock.now()
        if event != "endpoint.url_validation":
            payload = {"account_id": self._sandbox.account_id} | payload
        envelope = {"event": event, "event_ts": milliseconds(now), "payload": payload}
        # Zoom escapes slashes, so whoever signs anything but the raw bytes gets another signature.
        text = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")
        body, moment = text.encode(), str(int(now.timestamp()))
        self._sandbox.world.deliver(Delivery(self._sandbox.name, body, self._headers(secret, moment, body)))

    def _headers(self, secret: str, moment: str, body: bytes) -> dict[str, str]:
        source = self._sandbox.random
        return {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Zoom Marketplace/1.0a",
            "x-zm-signature": signature(secret, moment, body),
            "x-zm-request-timestamp": moment,
            "x-zm-request-id": str(uuid.UUID(int=source.getrandbits(128), version=4)),
            "x-zm-trackingid": f"WEB_{source.getrandbits(64):016x}",
        }


def signature(secret: str, moment: str, body: bytes) -> str:
    """Sign raw bytes; ``moment`` is Unix seconds as text."""
    message = b"v0:" + moment.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
