"""Meetings and users as they look in answers and webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.zoom import settings as meeting_settings
from sync_engine.sandbox.zoom.state import Host, Kind, Meeting, Occurrence
from sync_engine.sandbox.zoom.times import stamp

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox

LIST_AGENDA_LENGTH = 250
_TIMED = (Kind.ONCE, Kind.SERIES)


def list_row(meeting: Meeting) -> dict[str, Any]:
    """Give a row of a host's list: few fields, a long agenda cut, a series as its parent alone."""
    row: dict[str, Any] = {
        "uuid": meeting.uuid,
        "id": meeting.id,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": int(meeting.kind),
    }
    if meeting.kind in _TIMED and meeting.start is not None:
        row |= {"start_time": stamp(meeting.start), "duration": meeting.duration}
    row["timezone"] = meeting.timezone
    if meeting.agenda:
        row["agenda"] = meeting.agenda[:LIST_AGENDA_LENGTH]
    row |= {"created_at": stamp(meeting.created_at), "join_url": meeting.join_url}
    if meeting.pmi is not None:
        row["pmi"] = str(meeting.pmi)
    return row


def occurrence_row(occurrence: Occurrence) -> dict[str, Any]:
    """Give one date of a series."""
    return {
        "occurrence_id": occurrence.id,
        "start_time": stamp(occurrence.start),
        "duration": occurrence.duration,
        "status": "deleted" if occurrence.deleted else "available",
    }


def full(sandbox: ZoomSandbox, meeting: Meeting, *, show_previous: bool = False) -> dict[str, Any]:
    """Give everything GET and a create's answer show."""
    host = sandbox.account.hosts[meeting.host_id]
    body: dict[str, Any] = {
        "uuid": meeting.uuid,
        "id": meeting.id,
        "host_id": host.id,
        "host_email": host.email,
        "topic": meeting.topic,
        "type": int(meeting.kind),
        "status": "started" if meeting.started else "waiting",
        "timezone": meeting.timezone,
        "agenda": meeting.agenda,
        "created_at": stamp(meeting.created_at),
        "start_url": f"https://us02web.zoom.us/s/{meeting.id}?zak={sandbox.host_key(host)}",
        "join_url": meeting.join_url,
        "settings": full_settings(sandbox, meeting),
        "pre_schedule": False,
        "creation_source": meeting.source,
    }
    if meeting.kind in _TIMED and meeting.start is not None:
        body |= {"start_time": stamp(meeting.start), "duration": meeting.duration}
    if meeting.assistant_id:
        body["assistant_id"] = meeting.assistant_id
    if meeting.pmi is not None:
        body["pmi"] = str(meeting.pmi)
    if meeting.settings.get("approval_type", 2) != 2:
        body["registration_url"] = f"https://us02web.zoom.us/meeting/register/{meeting.join_key}"
    body |= _secrets(meeting)
    if meeting.tracking_fields:
        body["tracking_fields"] = tracking_rows(sandbox, meeting)
    if meeting.kind is Kind.SERIES:
        now = sandbox.world.clock.now()
        shown = [each for each in meeting.occurrences if show_previous or each.end > now]
        body["occurrences"] = [occurrence_row(each) for each in shown]
        body["recurrence"] = dict(meeting.recurrence or {})
    return body


def one_occurrence(sandbox: ZoomSandbox, meeting: Meeting, occurrence: Occurrence) -> dict[str, Any]:
    """Give the details of one date of a series."""
    body = full(sandbox, meeting)
    del body["occurrences"]
    body |= {"start_time": stamp(occurrence.start), "duration": occurrence.duration}
    if occurrence.agenda is not None:
        body["agenda"] = occurrence.agenda
    body["settings"] |= occurrence.settings
    return body


def _secrets(meeting: Meeting) -> dict[str, str]:
    if not meeting.passcode:
        return {}
    digits = meeting.passcode if meeting.passcode.isdigit() else str(meeting.id)[-6:]
    return {
        "password": meeting.passcode,
        "encrypted_password": meeting.join_key,
        "h323_password": digits,
        "pstn_password": digits,
    }


def full_settings(sandbox: ZoomSandbox, meeting: Meeting) -> dict[str, Any]:
    """Give all settings, defaults included."""
    shown: dict[str, Any] = meeting_settings.DEFAULTS | meeting.settings
    shown["meeting_invitees"] = [
        {"email": email, "internal_user": sandbox.account.find_host(email) is not None}
        for email in meeting.invitees
    ]
    return shown


def tracking_rows(sandbox: ZoomSandbox, meeting: Meeting) -> list[dict[str, Any]]:
    """Give a meeting's tracking fields."""
    return [
        {"field": label, "value": value, "visible": sandbox.tracking_fields[label].visible}
        for label, value in meeting.tracking_fields.items()
        if label in sandbox.tracking_fields
    ]


def user_row(host: Host) -> dict[str, Any]:
    """Give a user as the list shows her."""
    row = {
        "id": host.id,
        "first_name": host.first_name,
        "last_name": host.last_name,
        "display_name": host.name,
        "email": host.email,
        "type": 2 if host.licensed else 4,
        "pmi": host.pmi,
        "timezone": host.timezone,
        "verified": 1,
        "dept": "",
        "created_at": stamp(host.created_at),
        "user_created_at": stamp(host.created_at),
        "language": "en-US",
        "status": host.status,
        "role_id": "2",
    }
    if host.status == "pending":
        del row["id"]
    return row


def user(sandbox: ZoomSandbox, host: Host) -> dict[str, Any]:
    """Give a user as a read by id shows her."""
    return user_row(host) | {
        "id": host.id,
        "account_id": sandbox.account_id,
        "role_name": "Member",
        "use_pmi": False,
        "personal_meeting_url": f"https://us02web.zoom.us/j/{host.pmi}",
        "cluster": "us02",
    }


def facts(sandbox: ZoomSandbox, meeting: Meeting) -> dict[str, Any]:
    """Give what a change is told apart by: the fields ``meeting.updated`` can name, settings included."""
    shown: dict[str, Any] = {
        "uuid": meeting.uuid,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": int(meeting.kind),
        "duration": meeting.duration,
        "timezone": meeting.timezone,
        "join_url": meeting.join_url,
        "password": meeting.passcode,
        "agenda": meeting.agenda,
        "settings": dict(meeting_settings.DEFAULTS | meeting.settings),
        "occurrences": [occurrence_row(each) for each in meeting.occurrences],
        "recurrence": dict(meeting.recurrence or {}),
        "tracking_fields": [
            {"field": row["field"], "value": row["value"]} for row in tracking_rows(sandbox, meeting)
        ],
        # Not told by name in a webhook, but a change all the same.
        "occurrence_details": [(each.id, each.agenda, dict(each.settings)) for each in meeting.occurrences],
    }
    if meeting.start is not None:
        shown["start_time"] = stamp(meeting.start)
    return shown


def delta(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what is new and what was there instead, by field; both empty when nothing changed."""
    fresh, old = {}, {}
    for name in after.keys() | before.keys():
        if before.get(name) == after.get(name):
            continue
        was, is_now = before.get(name), after.get(name)
        if name in ("settings", "recurrence"):
            was, is_now = _changed_keys(was or {}, is_now or {})
        elif name == "occurrences":
            was, is_now = _changed_rows(was or [], is_now or [])
        if was is not None:
            old[name] = was
        if is_now is not None:
            fresh[name] = is_now
    return fresh, old


def _changed_keys(was: Mapping[str, Any], is_now: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = [name for name in was.keys() | is_now.keys() if was.get(name) != is_now.get(name)]
    return {n: was[n] for n in names if n in was}, {n: is_now[n] for n in names if n in is_now}


def _changed_rows(
    was: list[dict[str, Any]], is_now: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [row for row in was if row not in is_now], [row for row in is_now if row not in was]


def told(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a delta down to what a webhook names."""
    shown = {name: value for name, value in changes.items() if name != "occurrence_details"}
    if "settings" in shown:
        shown["settings"] = {
            name: value
            for name, value in shown["settings"].items()
            if name in meeting_settings.IN_WEBHOOKS and (name, value) != ("jbh_time", 15)
        }
        if not shown["settings"]:
            del shown["settings"]
    return shown


def announced(sandbox: ZoomSandbox, meeting: Meeting) -> dict[str, Any]:
    """Give ``payload.object`` of ``meeting.created``: no agenda, no host address."""
    shown = identity(meeting) | {"join_url": meeting.join_url}
    all_settings = meeting_settings.DEFAULTS | meeting.settings
    shown["settings"] = {
        "use_pmi": all_settings["use_pmi"],
        "alternative_hosts": all_settings["alternative_hosts"],
        "meeting_invitees": [{"email": email} for email in meeting.invitees],
        "join_before_host": all_settings["join_before_host"],
        "jbh_time": all_settings["jbh_time"],
    }
    if meeting.passcode:
        shown["password"] = meeting.passcode
    if meeting.pmi is not None:
        shown["pmi"] = str(meeting.pmi)
    elif meeting.tracking_fields:
        shown["tracking_fields"] = tracking_rows(sandbox, meeting)
    if meeting.kind is Kind.SERIES:
        shown["occurrences"] = [occurrence_row(each) for each in meeting.occurrences]
        shown["recurrence"] = dict(meeting.recurrence or {})
    return shown


def identity(meeting: Meeting, moment: datetime | None = None) -> dict[str, Any]:
    """Give the part every payload about a whole meeting has; ``id`` is a number here."""
    shown: dict[str, Any] = {
        "uuid": meeting.uuid,
        "id": meeting.id,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": int(meeting.kind),
        "duration": meeting.duration,
        "timezone": meeting.timezone,
    }
    start = moment or meeting.start
    if start is not None:
        shown["start_time"] = stamp(start)
    return shown
