"""Verify a Lightfield connection, and say what a person has to fix."""

from __future__ import annotations

from collections.abc import Sequence

from sync_engine.adapters.lightfield.client import LightfieldClient
from sync_engine.adapters.lightfield.guide import GUIDE
from sync_engine.adapters.lightfield.schemas import KeyFacts
from sync_engine.adapters.lightfield.settings import LightfieldSettings
from sync_engine.core.ports import Finding
from sync_engine.errors import CredentialsError, ProviderError

LARGEST_SKEW_SECONDS = 60.0
NEW_KEY = "create a key as an administrator at crm.lightfield.app/crm/settings/api-keys"

# What each scope is needed for; the first cannot be done without.
_SCOPES = {
    "meetings:read": "reading meetings",
    "meetings:create": "creating meetings",
    "meetings:update": "changing attendees",
    "meetings:delete": "carrying out deletions",
    "meetings:restore": "seeing deletions at once, and undoing them",
}


async def findings(client: LightfieldClient, settings: LightfieldSettings) -> Sequence[Finding]:
    """Look at the connection from the outside in; stop where nothing further can be known."""
    try:
        key = await client.validate_key()
    except ProviderError as error:
        return [_broken("credentials" if isinstance(error, CredentialsError) else "connection", error)]
    found = [Finding("credentials", True, f"the API key is valid ({key.subject_type or 'unknown'} key)")]
    found += _scopes(key, settings)
    try:
        page = await client.list_meetings(0)
        count = len(page.rows) if page.total is None else page.total
        found.append(Finding("meetings", True, f"{count} meetings are listed"))
    except ProviderError as error:
        found.append(_broken("meetings", error))
    found += [_clock(client), _quota(client), _webhook(settings)]
    return found


def _broken(subject: str, error: ProviderError) -> Finding:
    if isinstance(error, CredentialsError):
        return Finding(subject, False, str(error), f"{NEW_KEY} and set it as api_key")
    return Finding(subject, False, str(error), "check base_url and status.lightfield.app, then try again")


def _scopes(key: KeyFacts, settings: LightfieldSettings) -> list[Finding]:
    wanted = dict(_SCOPES)
    for kind, scope in (("create", "meetings:create"), ("update", "meetings:update")):
        if kind not in settings.writes:
            del wanted[scope]
    if "delete" not in settings.writes:
        del wanted["meetings:delete"]
    if settings.transcripts:
        wanted["files:create"] = "uploading transcripts"
    return [
        Finding(f"scope {scope}", True, "granted")
        if key.allows(scope)
        else Finding(
            f"scope {scope}",
            False,
            f"missing; needed for {purpose}",
            f"{NEW_KEY} with these scopes: {', '.join(GUIDE.scopes)}",
        )
        for scope, purpose in wanted.items()
    ]


def _clock(client: LightfieldClient) -> Finding:
    skew = client.clock_skew_seconds
    if skew is None:
        return Finding("clock", True, "Lightfield does not tell the time")
    if abs(skew) <= LARGEST_SKEW_SECONDS:
        return Finding("clock", True, f"{skew:+.0f} s apart")
    fix = "synchronise this machine's clock (NTP); Lightfield takes only meetings that are over by its own"
    return Finding("clock", False, f"{skew:+.0f} s apart", fix)


def _quota(client: LightfieldClient) -> Finding:
    told = ", ".join(f"{category} {rate:.4g}/s" for category, rate in client.rates.items())
    return Finding("quota", True, f"kept to {told}; shared with the organization's other integrations")


def _webhook(settings: LightfieldSettings) -> Finding:
    if settings.webhook_secret is None:
        return Finding("webhook", True, "no workflow is expected to call; sweeps find every change")
    return Finding(
        "webhook", True, f"workflow calls are recognised by their {settings.webhook_header} header"
    )
