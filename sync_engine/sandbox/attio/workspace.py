"""What happens inside an Attio workspace, whoever asked for it: the API, a person, the calendar sync."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import json
import random
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from sync_engine.sandbox.attio.state import (
    Actor,
    JsonObject,
    Meetings,
    Member,
    Note,
    Record,
    Recording,
    StoredMeeting,
    Webhook,
)
from sync_engine.sandbox.clock import SandboxClock
from sync_engine.sandbox.server import Delivery

SYSTEM = Actor("system", None)
# Addresses at mail providers say nothing about a company.
FREE_MAIL = frozenset(
    {"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com"}
)


class Workspace:
    """Hold the state and its rules.

    ``creates_people``: participants with an address become person records. ``company_delay``: how much
    later their companies are linked. ``recording_delay``: how long a recording is processed.
    """

    def __init__(
        self, clock: SandboxClock, chance: random.Random, deliver: Callable[[Delivery], None]
    ) -> None:
        self._clock, self._chance, self._deliver = clock, chance, deliver
        self.id = self.new_id()
        self.object_ids = {slug: self.new_id() for slug in ("people", "companies", "deals")}
        self.token_actor = Actor("api-token", self.new_id())
        self.meetings = Meetings()
        self.records: dict[str, Record] = {}
        self.notes: dict[str, Note] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.members: dict[str, Member] = {}
        self.standing_webhook_id = self.new_id()
        self.webhook_secret: str | None = None
        self.creates_people = True
        self.company_delay = timedelta(seconds=30)
        self.recording_delay = timedelta(seconds=5)
        self._person_by_email: dict[str, str] = {}
        self._company_by_domain: dict[str, str] = {}
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._number = 0

    def now(self) -> datetime:
        """Give the world's time."""
        return self._clock.now()

    def new_id(self) -> str:
        """Make a UUID out of the world's seed."""
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def later(self, delay: timedelta, action: Callable[[], None]) -> None:
        """Do something when its time has come."""
        self._number += 1
        heapq.heappush(self._due, (self.now() + delay, self._number, action))

    def settle(self) -> None:
        """Do everything that is due."""
        now = self.now()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    # Meetings ----------------------------------------------------------------------------------------

    def admit(self, meeting: StoredMeeting) -> None:
        """Put a meeting in: its people are linked now, their companies later."""
        events: list[JsonObject] = []
        for email in sorted(meeting.emails):
            person = self.person(email, events) if self.creates_people else self.known_person(email)
            if person:
                meeting.linked[("people", person.id)] = None
        self.meetings.add(meeting)
        meeting.touch()
        domains = {email.rpartition("@")[2] for email in meeting.emails} - FREE_MAIL
        if self.creates_people and domains:
            self.later(self.company_delay, lambda: self._link_companies(meeting, sorted(domains)))
        self.emit(events)

    def _link_companies(self, meeting: StoredMeeting, domains: Iterable[str]) -> None:
        events: list[JsonObject] = []
        for domain in domains:
            known = self._company_by_domain.get(domain)
            if known is None:
                known = self._add_record(
                    Record(self.new_id(), "companies", self.now(), domain=domain), events
                )
                self._company_by_domain[domain] = known
            meeting.linked[("companies", known)] = None
        meeting.touch()
        self.emit(events)

    # Records -----------------------------------------------------------------------------------------

    def known_person(self, email: str) -> Record | None:
        """Look a person up by address."""
        record_id = self._person_by_email.get(email.strip().lower())
        return self.records.get(record_id) if record_id else None

    def person(self, email: str, events: list[JsonObject]) -> Record:
        """Give the person of an address, new where nobody has it."""
        known = self.known_person(email)
        if known:
            return known
        record = Record(self.new_id(), "people", self.now())
        self._add_record(record, events)
        self.give_email(record, email)
        return record

    def give_email(self, record: Record, email: str) -> None:
        """Add an address to a person; one who has it keeps it."""
        normal = email.strip().lower()
        if normal not in record.emails:
            record.emails.append(normal)
            self._person_by_email[normal] = record.id

    def add_deal(self) -> str:
        """Add a deal, to link meetings with."""
        return self._add_record(Record(self.new_id(), "deals", self.now()), [])

    def merge_people(self, kept_id: str, lost_id: str) -> None:
        """Merge one person into another; the id of the second is gone afterwards."""
        kept, lost = self.records[kept_id], self.records.pop(lost_id)
        for email in lost.emails:
            self.give_email(kept, email)
        for meeting in self.meetings.by_id.values():
            if ("people", lost_id) in meeting.linked:
                del meeting.linked[("people", lost_id)]
                meeting.linked[("people", kept_id)] = None
                meeting.touch()
        identity = {"workspace_id": self.id, "object_id": self.object_ids["people"], "record_id": kept_id}
        self.emit(
            [
                {
                    "event_type": "record.merged",
                    "id": identity,
                    "duplicate_object_id": self.object_ids["people"],
                    "duplicate_record_id": lost_id,
                    "actor": SYSTEM.wire(),
                }
            ]
        )

    def object_slug(self, name: str) -> str | None:
        """Give the slug of an object named by slug or id."""
        if name in self.object_ids:
            return name
        return next((slug for slug, number in self.object_ids.items() if number == name), None)

    def record_event(self, event_type: str, record: Record) -> JsonObject:
        """Build a record event."""
        return {
            "event_type": event_type,
            "id": {
                "workspace_id": self.id,
                "object_id": self.object_ids[record.object_slug],
                "record_id": record.id,
            },
            "actor": SYSTEM.wire(),
        }

    def _add_record(self, record: Record, events: list[JsonObject]) -> str:
        self.records[record.id] = record
        events.append(self.record_event("record.created", record))
        return record.id

    # Recordings --------------------------------------------------------------------------------------

    def add_recording(self, meeting: StoredMeeting, recording: Recording) -> None:
        """Add a recording; it completes later, and only then is announced."""
        meeting.recordings[recording.id] = recording

        def complete() -> None:
            recording.status = "completed"
            identity = {
                "workspace_id": self.id,
                "meeting_id": meeting.id,
                "call_recording_id": recording.id,
            }
            event = {
                "event_type": "call-recording.created",
                "id": identity,
                "actor": recording.actor.wire(),
            }
            self.emit([event])

        self.later(self.recording_delay, complete)

    # Webhooks ----------------------------------------------------------------------------------------

    def emit(self, events: list[JsonObject]) -> None:
        """Send events to the standing webhook, if it has a secret, and to every subscription they fit."""
        if not events:
            return
        if self.webhook_secret is not None:
            self._send(self.standing_webhook_id, self.webhook_secret, events)
        for hook in self.webhooks.values():
            fitting = [event for event in events if _fits(event, hook.subscriptions)]
            if fitting and hook.status != "inactive":
                self._send(hook.id, hook.secret, fitting)

    def _send(self, webhook_id: str, secret: str, events: list[JsonObject]) -> None:
        body = json.dumps({"webhook_id": webhook_id, "events": events}, separators=(",", ":")).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "Attio-Signature": signature,
            "X-Attio-Signature": signature,
            "Idempotency-Key": self.new_id(),
        }
        self._deliver(Delivery("attio", body, headers))


def _fits(event: JsonObject, subscriptions: list[JsonObject]) -> bool:
    return any(
        subscription["event_type"] == event["event_type"] and _passes(event, subscription["filter"])
        for subscription in subscriptions
    )


def _passes(event: JsonObject, rule: JsonObject | None) -> bool:
    if rule is None:
        return True
    if "$and" in rule:
        return all(_holds(event, condition) for condition in rule["$and"])
    return any(_holds(event, condition) for condition in rule["$or"])


def _holds(event: JsonObject, condition: JsonObject) -> bool:
    value: object = event
    for step in condition["field"].split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return (value == condition["value"]) is (condition["operator"] == "equals")
