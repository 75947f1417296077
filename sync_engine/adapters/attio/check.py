"""Whether an Attio connection is set up well, and what to fix."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sync_engine.adapters.attio.client import AttioClient
from sync_engine.adapters.attio.schemas import Identity
from sync_engine.adapters.attio.settings import AttioSettings
from sync_engine.core.ports import Finding
from sync_engine.errors import CredentialsError, ProviderError

SKEW_LIMIT_SECONDS = 60.0
NEW_TOKEN = "make a workspace access token in Attio (Workspace settings, Developers) and set access_token"


async def findings(client: AttioClient, settings: AttioSettings, now: datetime) -> Sequence[Finding]:
    """Look at everything that can be wrong; what goes wrong on the way is a finding itself."""
    try:
        identity = await client.identify()
    except CredentialsError:
        return [Finding("credentials", False, "Attio refused the token", NEW_TOKEN)]
    except ProviderError as error:
        fix = "check base_url and the network, then run check again"
        return [Finding("reachability", False, str(error), fix)]
    found = [Finding("reachability", True, "Attio answers")]
    if not identity.active:
        return [*found, Finding("credentials", False, "the token is revoked or unknown", NEW_TOKEN)]
    found.append(Finding("credentials", True, f"the token opens workspace {identity.workspace_slug}"))
    found.append(_level(identity))
    found.extend(_scope(identity, *needed) for needed in _needed_scopes(settings))
    found.append(_clock(client))
    found.append(await _listing(client, now))
    found.append(Finding("quota", True, "Attio permits 100 reads and 25 writes a second"))
    found.extend(_configuration(settings))
    return found


def _level(identity: Identity) -> Finding:
    if identity.token_level == "workspace":
        return Finding("token level", True, "the token belongs to the workspace")
    detail = "a user's token can neither list meetings nor manage webhooks"
    return Finding("token level", False, detail, NEW_TOKEN)


def _needed_scopes(settings: AttioSettings) -> list[tuple[str, str]]:
    needed = [("record_permission:read", "to read and write meetings")]
    if settings.writes:
        needed.insert(0, ("meeting:read-write", "to create and delete meetings"))
    else:
        needed.insert(0, ("meeting:read", "to read meetings"))
    if settings.replace and "delete" in settings.writes:
        needed.append(("call_recording:read", "to see whether a meeting can be replaced without loss"))
    if settings.transcripts:
        needed.append(("call_recording:read-write", "to add transcripts"))
    return needed


def _scope(identity: Identity, scope: str, purpose: str) -> Finding:
    granted = scope in identity.scopes or f"{scope}-write" in identity.scopes
    fix = "" if granted else f"tick {scope} for the token in Attio: Workspace settings, Developers"
    return Finding(f"scope {scope}", granted, purpose if granted else f"missing; needed {purpose}", fix)


def _clock(client: AttioClient) -> Finding:
    skew = client.http.clock_skew_seconds
    if skew is None or abs(skew) <= SKEW_LIMIT_SECONDS:
        return Finding("clock", True, "this machine and Attio agree on the time")
    detail = f"this machine's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} Attio's"
    return Finding("clock", False, detail, "let the machine take its time from NTP")


async def _listing(client: AttioClient, now: datetime) -> Finding:
    """Read one short window for real: a scope can be granted and the endpoint still be refused."""
    pages = client.iter_meetings(ends_from=now, starts_before=now + timedelta(seconds=1))
    try:
        async for _ in pages:
            break
    except ProviderError as error:
        return Finding("meetings", False, f"cannot be listed: {error}", NEW_TOKEN)
    return Finding("meetings", True, "can be listed")


def _configuration(settings: AttioSettings) -> list[Finding]:
    found: list[Finding] = []
    if "create" in settings.writes and settings.create != "never" and settings.twin_grace_minutes == 0:
        detail = "Attio's calendar sync may bring a meeting minutes after we created it"
        fix = "set twin_grace_minutes to 15, unless no calendar is connected in Attio"
        found.append(Finding("twin_grace_minutes", True, detail, fix))
    if not settings.replace:
        detail = "changed meetings stay as they were in Attio and are shown as held"
        found.append(Finding("replace", True, detail, "set replace = true to have them created anew"))
    return found
