"""Take Zoom's deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.receiving import MOST_NAMED, WebhookSecrets, readable
from sync_engine.adapters.zoom import webhooks
from sync_engine.adapters.zoom.capabilities import normal_agenda, normal_title
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.adapters.zoom.zones import zone_from_zoom
from sync_engine.core.meeting import Field, Schedule, normal_email
from sync_engine.core.owned_block import split
from sync_engine.core.ports import Hints, Observation, Reply
from sync_engine.errors import UnmappableRecordError

# What changes a record. Everything else (who joined, what was recorded) would only cost reads.
EVENTS = frozenset(
    {
        "meeting.created",
        "meeting.updated",
        "meeting.deleted",
        "meeting.permanently_deleted",
        "meeting.recovered",
        "meeting.converted_to_webinar",
    }
)
CREATED, UPDATED = "meeting.created", "meeting.updated"
EXISTS = "exists"
# Keys of a changed meeting that can be compared with what it showed; the uuid comes along with others.
_TOLD = frozenset({"id", "uuid", "topic", "agenda", "start_time", "duration", "timezone", "settings"})


class ZoomReceiver:
    """Check and read the deliveries of one connection."""

    def __init__(self, settings: ZoomSettings, around: Surroundings) -> None:
        self._secrets = WebhookSecrets(settings, around)

    @property
    def listens(self) -> bool:
        """Tell whether there is a secret to check deliveries with."""
        return bool(self._secrets)

    def authenticate(self, body: bytes, headers: Mapping[str, str], now: datetime) -> bool:
        """Tell whether Zoom signed the raw body, within the time it may go on repeating it."""
        return self._secrets.fit(lambda secrets: webhooks.is_authentic(body, headers, secrets, now=now))

    def challenge(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Reply | None:
        """Answer the validation of our address with the secret that signed it."""
        answer = webhooks.answer_challenge(body, headers, self._secrets.known, now=now)
        return Reply(answer) if answer is not None else None

    def delivery_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Give Zoom's request id, the same for every repetition."""
        return webhooks.delivery_id(body, headers)

    def hints(self, body: bytes) -> Hints:
        """Read what changed: occurrences, or a number that may be a meeting's or a series'.

        Raises: UnmappableRecordError.
        """
        found = readable(body)
        if not isinstance(found, dict) or not isinstance(found.get("event"), str):
            raise UnmappableRecordError("the body names no event")
        if found["event"] not in EVENTS:
            return Hints()
        hints = webhooks.parse_events(body)
        if not hints:
            raise UnmappableRecordError("the event names no meeting")
        (hint,) = hints
        ids = hint.external_ids[:MOST_NAMED]
        gone = frozenset(ids) if hint.deleted else frozenset[str]()
        if hint.occurrence_ids:
            return Hints(records=ids, told_gone=gone)
        claims = _claims(hint.event, found)
        return Hints(groups=ids, told_gone=gone, claims={hint.number: claims} if claims else {})

    def is_known(self, claims: Mapping[str, str], shown: Observation) -> bool:
        """Tell whether a record showed already what an event says was set."""
        if not claims:
            return False
        there = _shown(shown)
        return all(there.get(name) == claim for name, claim in claims.items() if name != EXISTS)


def _claims(event: str, envelope: Mapping[str, Any]) -> dict[str, str]:
    """Digest what an event says a meeting shows now; nothing if it leaves a change open."""
    if event == CREATED:
        # Whatever was changed since has an event of its own.
        return {EXISTS: "yes"}
    changed = envelope.get("payload", {}).get("object")
    if event != UPDATED or not isinstance(changed, dict) or changed.keys() - _TOLD:
        return {}
    settings = changed.get("settings", {})
    if not isinstance(settings, dict) or settings.keys() - {"meeting_invitees"}:
        return {}
    try:
        return {
            name: _digest(read(value))
            for name, value in {**changed, **settings}.items()
            if (read := _READ.get(name)) is not None
        }
    except (TypeError, ValueError, KeyError, AttributeError):
        return {}


def _shown(seen: Observation) -> dict[str, str]:
    values = seen.values
    found: dict[str, object] = {}
    if Field.TITLE in values:
        found["topic"] = values[Field.TITLE]
    if Field.DESCRIPTION in values:
        found["agenda"] = values[Field.DESCRIPTION]
    schedule = values.get(Field.SCHEDULE)
    if isinstance(schedule, Schedule):
        found["start_time"] = schedule.start
        found["duration"] = int(schedule.length.total_seconds()) // 60
        found["timezone"] = schedule.zone
    people = values.get(Field.PARTICIPANTS)
    if isinstance(people, tuple):
        found["meeting_invitees"] = sorted(person.email for person in people)
    return {name: _digest(value) for name, value in found.items()}


def _instant(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


_READ: dict[str, Any] = {
    "topic": normal_title,
    "agenda": lambda value: normal_agenda(split(value).text),
    "start_time": _instant,
    "duration": int,
    "timezone": zone_from_zoom,
    "meeting_invitees": lambda value: sorted(normal_email(one["email"]) for one in value),
}


def _digest(value: object) -> str:
    return blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
