"""What a create, an update, a delete by the API do to a meeting."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.zoom import recurrence
from sync_engine.sandbox.zoom import settings as meeting_settings
from sync_engine.sandbox.zoom.refusal import Refusal, invalid, not_licensed
from sync_engine.sandbox.zoom.state import Host, Kind, Meeting, Occurrence
from sync_engine.sandbox.zoom.times import moved_alike, read_start

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox

_OF_ONE_OCCURRENCE = frozenset({"agenda", "start_time", "duration", "settings"})
_TIMED = (Kind.ONCE, Kind.SERIES)


def create(sandbox: ZoomSandbox, caller: Host, body: Mapping[str, Any]) -> Meeting:
    """Make a meeting from a valid body.

    A start that is missing or past is no mistake: the meeting is planned for now.
    """
    kind = Kind(body.get("type") or Kind.ONCE)
    host = _host_of(sandbox, caller, body, kind)
    settings = _allowed_settings(sandbox, kind, body.get("settings") or {}, creating=True)
    _check_alternative_hosts(sandbox, settings)
    meeting = sandbox.new_meeting(host, kind, body.get("topic") or f"{host.name}'s Zoom Meeting")
    meeting.source = "open_api"
    meeting.assistant_id = caller.id if host is not caller else ""
    meeting.agenda = body.get("agenda") or ""
    meeting.timezone = body.get("timezone") or sandbox.timezone
    meeting.duration = body.get("duration") or 60
    meeting.settings = settings
    meeting.tracking_fields = _tracking_fields(sandbox, body, creating=True)
    if kind in _TIMED:
        now = sandbox.now()
        start = _sent_start(body, meeting.timezone)
        meeting.start = start if start is not None and start > now else now
    if kind is Kind.SERIES:
        _plan(meeting, body.get("recurrence"))
    if settings.get("use_pmi") and kind in (Kind.ONCE, Kind.NO_FIXED_TIME):
        meeting.pmi = host.pmi
    passcode = body.get("password") or ""
    if not passcode and sandbox.requires_passcodes and body.get("default_password", True) is not False:
        passcode = sandbox.new_passcode()
    sandbox.set_passcode(meeting, passcode)
    sandbox.open(meeting)
    _mail_alternative_hosts(sandbox, meeting, meeting.alternative_hosts)
    return meeting


def _host_of(sandbox: ZoomSandbox, caller: Host, body: Mapping[str, Any], kind: Kind) -> Host:
    wanted = body.get("schedule_for")
    if not wanted:
        return caller
    host = sandbox.account.find_host(wanted)
    if host is None:
        raise Refusal(400, 300, "The value that you entered in the schedule_for field is invalid.")
    if kind is Kind.INSTANT or (host is not caller and not sandbox.scheduling_privilege):
        raise Refusal(400, 3000, "You can not schedule a meeting for this user.")
    if not host.licensed:
        raise not_licensed()
    return host


def _allowed_settings(
    sandbox: ZoomSandbox, kind: Kind, settings: Mapping[str, Any], *, creating: bool
) -> dict[str, Any]:
    """Give the settings that come through; the account drops the others without a word."""
    kept = meeting_settings.taken(
        settings, creating=creating, custom_keys_on_create=sandbox.create_takes_custom_keys
    )
    if kind is Kind.NO_FIXED_TIME:
        kept.pop("approval_type", None)
    if kind is Kind.SERIES:
        kept.pop("use_pmi", None)
    if not sandbox.has_breakout_rooms:
        kept.pop("breakout_room", None)
    for name in sandbox.locked_settings:
        kept.pop(name, None)
    return kept


def _check_alternative_hosts(sandbox: ZoomSandbox, settings: Mapping[str, Any]) -> None:
    for key in settings.get("alternative_hosts", "").split(";"):
        host = sandbox.account.find_host(key.strip()) if key.strip() else None
        if key.strip() and (host is None or not host.licensed):
            raise invalid(("settings.alternative_hosts", "That user cannot be an alternative host."))


def _tracking_fields(sandbox: ZoomSandbox, body: Mapping[str, Any], *, creating: bool) -> dict[str, str]:
    """Give the values under labels the account knows; unknown labels are dropped."""
    sent = {entry["field"]: entry.get("value", "") for entry in body.get("tracking_fields") or ()}
    if creating and sandbox.enforces_tracking_fields:
        missing = [
            each for each, made in sandbox.tracking_fields.items() if made.required and not sent.get(each)
        ]
        if missing:
            raise invalid(*((f"tracking_fields.{label}", "This field is required.") for label in missing))
    return {label: value for label, value in sent.items() if label in sandbox.tracking_fields}


def _sent_start(body: Mapping[str, Any], zone: str) -> datetime | None:
    start = read_start(body["start_time"], zone) if body.get("start_time") else None
    return start.moment if start else None


def _plan(meeting: Meeting, rule: Mapping[str, Any] | None) -> None:
    """Give a series its dates from its start; the first date becomes the start."""
    if rule is None:
        raise invalid(("recurrence", "This field is required for a recurring meeting with fixed time."))
    assert meeting.start is not None
    meeting.recurrence, meeting.by_dates = recurrence.stored(rule), False
    starts = recurrence.expand(meeting.recurrence, meeting.start, meeting.timezone)
    if not starts:
        raise invalid(("recurrence", "The rule has no occurrence."))
    meeting.start = starts[0]
    meeting.set_dates(starts)


def update(sandbox: ZoomSandbox, meeting: Meeting, body: Mapping[str, Any]) -> None:
    """Change a meeting or a whole series; what is not sent stays."""
    kind = Kind(body.get("type") or meeting.kind)
    if kind not in (meeting.kind, Kind.ONCE, Kind.NO_FIXED_TIME, Kind.SERIES):
        raise invalid(("type", "Invalid field."))
    zone = body.get("timezone") or meeting.timezone
    start = _future_start(sandbox, body, zone)
    settings = _allowed_settings(sandbox, kind, body.get("settings") or {}, creating=False)
    _check_alternative_hosts(sandbox, settings)
    host = _host_of(sandbox, sandbox.account.hosts[meeting.host_id], body, kind)
    if kind is Kind.SERIES and meeting.kind is not Kind.SERIES and not body.get("recurrence"):
        raise invalid(("recurrence", "This field is required for a recurring meeting with fixed time."))
    _check_rule(body.get("recurrence"), start or meeting.start or sandbox.now(), zone)
    frozen = kind is meeting.kind is Kind.SERIES and start is None
    if frozen and sandbox.series_without_start == "nothing":
        return
    known = set(meeting.alternative_hosts)
    with sandbox.editing(meeting):
        _update_words(sandbox, meeting, body)
        _update_settings(sandbox, meeting, settings)
        meeting.host_id = host.id
        if not frozen:
            meeting.timezone = zone
            meeting.duration = body.get("duration") or meeting.duration
            _update_dates(sandbox, meeting, kind, start, body.get("recurrence"))
    _mail_alternative_hosts(
        sandbox, meeting, [each for each in meeting.alternative_hosts if each not in known]
    )


def _check_rule(rule: Mapping[str, Any] | None, start: datetime, zone: str) -> None:
    if rule and not recurrence.expand(recurrence.stored(rule), start, zone):
        raise invalid(("recurrence", "The rule has no occurrence."))


def _future_start(sandbox: ZoomSandbox, body: Mapping[str, Any], zone: str) -> datetime | None:
    """Give the start an update takes; past ones and ones with fractions of a second are as good as none."""
    sent = read_start(body["start_time"], zone) if body.get("start_time") else None
    if sent is None or sent.fractional or sent.moment <= sandbox.now():
        return None
    return sent.moment


def _update_words(sandbox: ZoomSandbox, meeting: Meeting, body: Mapping[str, Any]) -> None:
    if body.get("topic"):
        meeting.topic = body["topic"]
    if body.get("agenda") is not None:
        meeting.agenda = body["agenda"]
    if body.get("password") is not None:
        sandbox.set_passcode(meeting, body["password"])
    if body.get("tracking_fields") is not None:
        sent = _tracking_fields(sandbox, body, creating=False)
        kept = meeting.tracking_fields if sandbox.patch_merges_arrays else {}
        meeting.tracking_fields = kept | sent


def _update_settings(sandbox: ZoomSandbox, meeting: Meeting, settings: dict[str, Any]) -> None:
    if sandbox.patch_merges_arrays:
        for name, key in (("meeting_invitees", "email"), ("custom_keys", "key")):
            if name in settings:
                entries = [*meeting.settings.get(name, ()), *settings[name]]
                settings[name] = list({entry[key]: entry for entry in entries}.values())
    meeting.settings = meeting.settings | settings
    if "use_pmi" in settings:
        meeting.pmi = sandbox.account.hosts[meeting.host_id].pmi if settings["use_pmi"] else None


def _update_dates(
    sandbox: ZoomSandbox,
    meeting: Meeting,
    kind: Kind,
    start: datetime | None,
    rule: Mapping[str, Any] | None,
) -> None:
    was, meeting.kind = meeting.kind, kind
    if kind is not Kind.SERIES:
        meeting.recurrence, meeting.occurrences = None, []
    if kind is Kind.NO_FIXED_TIME:
        meeting.start = None
    elif kind is Kind.ONCE:
        meeting.start = start or meeting.start or sandbox.now()
    elif kind is Kind.SERIES:
        before, meeting.start = meeting.start, start or meeting.start or sandbox.now()
        _update_series(sandbox, meeting, before if was is Kind.SERIES else None, rule)


def _update_series(
    sandbox: ZoomSandbox, meeting: Meeting, before: datetime | None, rule: Mapping[str, Any] | None
) -> None:
    """Plan the dates to come anew; those that are over stay as they were."""
    now = sandbox.now()
    coming = [each for each in meeting.occurrences if each.end > now]
    meeting.occurrences = [each for each in meeting.occurrences if each.end <= now]
    if rule is None and meeting.by_dates and before is not None and meeting.start is not None:
        kept = [each.start for each in coming if not each.deleted]
        meeting.set_dates([moved_alike(each, before, meeting.start, meeting.timezone) for each in kept])
    else:
        _plan(meeting, rule or meeting.recurrence)


def update_occurrence(
    sandbox: ZoomSandbox, meeting: Meeting, occurrence: Occurrence, body: Mapping[str, Any]
) -> None:
    """Change one date of a series: its agenda, start, length and a few settings, nothing else."""
    settings = body.get("settings") or {}
    extra = [name for name in body if name not in _OF_ONE_OCCURRENCE]
    extra += [f"settings.{name}" for name in settings if name not in meeting_settings.OF_ONE_OCCURRENCE]
    if extra and sandbox.occurrence_extras == "refused":
        raise invalid(*((name, "This field cannot be changed for one occurrence.") for name in extra))
    start = _future_start(sandbox, body, meeting.timezone)
    with sandbox.editing(meeting, scope="single"):
        occurrence.start = start or occurrence.start
        occurrence.duration = body.get("duration") or occurrence.duration
        if body.get("agenda") is not None:
            occurrence.agenda = body["agenda"]
        kept = {n: v for n, v in settings.items() if n in meeting_settings.OF_ONE_OCCURRENCE}
        occurrence.settings = occurrence.settings | kept


def delete(
    sandbox: ZoomSandbox,
    meeting: Meeting,
    occurrence: Occurrence | None,
    *,
    mail_hosts: bool,
    mail_registrants: bool,
) -> None:
    """Put a meeting, a series or one date of it away, and mail whom the flags name."""
    if meeting.pmi is not None:
        raise Refusal(400, 3018, "Not allowed to delete PMI.")
    if occurrence is None:
        sandbox.trash(meeting)
    else:
        sandbox.drop_occurrence(meeting, occurrence)
    if mail_hosts:
        host = sandbox.account.hosts[meeting.host_id]
        sandbox.mail("cancellation", [host.email, *meeting.alternative_hosts], meeting)
    if mail_registrants:
        sandbox.mail("registrant_cancellation", meeting.registrants, meeting)


def _mail_alternative_hosts(sandbox: ZoomSandbox, meeting: Meeting, added: list[str]) -> None:
    if added and meeting.settings.get("alternative_hosts_email_notification", True):
        sandbox.mail("alternative_host", added, meeting)
