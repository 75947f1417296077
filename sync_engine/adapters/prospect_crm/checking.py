"""Say whether a connection is well, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sync_engine.adapters.prospect_crm.client import Page, ProspectCrmClient
from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings
from sync_engine.core.ports import Finding, Identity
from sync_engine.errors import CredentialsError, ProviderError, RateLimitedError, UnavailableError

SKEW_SECONDS = 60.0
KEY_FIX = "make an API key under Settings, API / Webhooks, Add API Key, and set api_key to it"


async def check_connection(
    client: ProspectCrmClient,
    settings: ProspectCrmSettings,
    verb: str,
    canary: Callable[[], Awaitable[Identity]],
) -> list[Finding]:
    """Look at the key, its permissions, the owners, quotas and the clock; never raises for a finding."""
    credentials = await _tried("API key", canary, KEY_FIX)
    if not credentials.ok:
        return [credentials]
    page: Page | None = None

    async def list_meetings() -> None:
        nonlocal page
        page = await client.meetings()

    async def search_prospects() -> None:
        await client.prospects("nobody@prospects.invalid")

    findings = [
        credentials,
        await _tried("permission to read meetings", list_meetings, "let the API key read and write meetings"),
        await _tried("permission to read prospects", search_prospects, "let the API key read prospects"),
    ]
    findings.append(_owner(settings, page))
    findings.append(_quota(client, settings))
    findings.append(_update_verb(settings, verb))
    if client.clock_skew_seconds is not None:
        findings.append(_clock(client.clock_skew_seconds))
    return findings


async def _tried(subject: str, ask: Callable[[], Awaitable[object]], fix: str) -> Finding:
    try:
        await ask()
    except CredentialsError:
        return Finding(subject, False, "the provider refused it", fix)
    except RateLimitedError as error:
        return Finding(
            subject,
            False,
            "the rate limit is reached",
            f"try again after {error.retry_at:%Y-%m-%d %H:%M} UTC",
        )
    except UnavailableError:
        return Finding(subject, False, "the provider does not answer", "check base_url and the network")
    except ProviderError as error:
        status = f" (HTTP {error.status_code})" if error.status_code else ""
        return Finding(
            subject, False, f"the answer was not understood{status}", "check that base_url ends in /v2"
        )
    return Finding(subject, True, "works")


def _owner(settings: ProspectCrmSettings, page: Page | None) -> Finding:
    named = {settings.default_owner_id, *settings.owner_map.values()} - {""}
    if not settings.default_owner_id and "create" in settings.writes and settings.create != "never":
        where = "only meetings whose organizer is in owner_map can be created" if named else "nobody can own"
        return Finding(
            "owners",
            False,
            f"default_owner_id is not set: {where}",
            "set default_owner_id to a user id; the ids in use stand in ownerId of existing meetings",
        )
    in_use = {row.get("ownerId") for row in page.rows if isinstance(row, dict)} if page else set()
    unseen = len(named - in_use)
    note = f"{unseen} of them own no meeting in the newest {len(page.rows)}" if page and page.rows else ""
    return Finding("owners", True, f"{len(named)} user ids configured" + (f"; {note}" if note else ""))


def _quota(client: ProspectCrmClient, settings: ProspectCrmSettings) -> Finding:
    share = f"{settings.per_minute} requests a minute and {settings.per_hour or 'any number'} an hour"
    if client.limit_seen is not None and client.limit_seen < settings.per_minute:
        fix = f"set per_minute to {client.limit_seen} or less"
        return Finding("quota", False, f"we plan {share}, the provider allows {client.limit_seen}", fix)
    return Finding("quota", True, f"we plan {share}")


def _update_verb(settings: ProspectCrmSettings, verb: str) -> Finding:
    if settings.update_method != "auto":
        return Finding("update verb", True, f"{settings.update_method}, as configured")
    return Finding("update verb", True, f"{verb}, found out" if verb else "is found out at the first update")


def _clock(skew_seconds: float) -> Finding:
    if abs(skew_seconds) <= SKEW_SECONDS:
        return Finding("clock", True, "agrees with the provider's")
    detail = f"the provider's clock is {skew_seconds:+.0f} s from ours"
    return Finding("clock", False, detail, "let this machine's clock be set by NTP; signatures depend on it")
