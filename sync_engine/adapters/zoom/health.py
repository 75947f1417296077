"""What ``check`` looks at: reachability, credentials, scopes, hosts, tracking fields, clocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sync_engine.adapters.zoom.client import ZoomClient
from sync_engine.adapters.zoom.hosts import Hosts, Roster
from sync_engine.adapters.zoom.mapping import MARK_FIELD
from sync_engine.adapters.zoom.settings import DAILY_WRITES_PER_HOST, ZoomSettings
from sync_engine.adapters.zoom.tracking import Tracking
from sync_engine.core.ports import Finding
from sync_engine.errors import CredentialsError, RateLimitedError, SyncError, UnavailableError

LARGEST_SKEW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission: its granular name, the classic one, and what it is for."""

    granular: str
    classic: str
    purpose: str


_READ = (
    Scope("meeting:read:list_meetings", "meeting:read", "listing a host's meetings"),
    Scope("meeting:read:meeting", "meeting:read", "reading a meeting"),
)
_LIST_USERS = Scope("user:read:list_users", "user:read", "listing the hosts")
_READ_USER = Scope("user:read:user", "user:read", "reading the user who authorised the app")
_WRITE = {
    "create": (Scope("meeting:write:meeting", "meeting:write", "creating meetings"),),
    "update": (Scope("meeting:update:meeting", "meeting:write", "changing meetings"),),
    "delete": (
        Scope("meeting:delete:meeting", "meeting:write", "deleting meetings"),
        Scope("meeting:update:status", "meeting:write", "bringing deleted meetings back"),
    ),
}
_TRANSCRIPT = Scope("cloud_recording:read:meeting_transcript", "recording:read", "reading transcripts")


@dataclass
class Checkup:
    """Verify one connection; every finding that is not well says how to fix it."""

    client: ZoomClient
    hosts: Hosts
    tracking: Tracking
    settings: ZoomSettings
    findings: list[Finding] = field(default_factory=list)

    async def run(self) -> list[Finding]:
        """Look at everything; what cannot be looked at becomes a finding."""
        roster = await self._ask("credentials", self.hosts.reload)
        if roster is not None:
            self._well("credentials", "Zoom accepts them")
            self._check_scopes()
            self._check_hosts(roster)
            await self._check_listing(roster)
            await self._check_tracking()
            self._check_quota()
        self._check_webhooks()
        self._check_clock()
        return self.findings

    def _well(self, subject: str, detail: str) -> None:
        self.findings.append(Finding(subject, True, detail))

    def _ill(self, subject: str, detail: str, fix: str) -> None:
        self.findings.append(Finding(subject, False, detail, fix))

    async def _ask(self, subject: str, ask: Callable[[], Awaitable[Roster]]) -> Roster | None:
        try:
            return await ask()
        except SyncError as error:
            self._ill(subject, str(error), _fix_for(error))
            return None

    def _check_scopes(self) -> None:
        granted = self.client.tokens.scopes
        if not granted:
            self._well("scopes", "Zoom did not say what the token may do")
            return
        missing = [scope for scope in self._needed() if not _has(granted, scope)]
        for scope in missing:
            self._ill(
                f"scope {scope.granular}",
                f"the app lacks it; it is needed for {scope.purpose}",
                f"add {self._full(scope.granular)} to the app's scopes in the Zoom App Marketplace",
            )
        if not missing:
            self._well("scopes", "the app has every scope the settings need")

    def _needed(self) -> list[Scope]:
        needed = [_READ_USER if self.settings.acts_for_one_user else _LIST_USERS, *_READ]
        for kind in self.settings.writes:
            if kind != "create" or self.settings.create != "never":
                needed += _WRITE[kind]
        return [*needed, _TRANSCRIPT] if self.settings.transcripts else needed

    def _full(self, name: str) -> str:
        return name if self.settings.acts_for_one_user else f"{name}:admin"

    def _check_hosts(self, roster: Roster) -> None:
        for position in roster.missing:
            self._ill(
                "hosts", f"entry {position} is no active user of the account",
                "correct the address in hosts, or take it out",
            )  # fmt: skip
        default = self.settings.default_host
        if default and default not in {host.email for host in roster.hosts}:
            self._ill(
                "default_host", "it is no host of the account",
                "set default_host to the e-mail address of an active user who may host meetings",
            )  # fmt: skip
        elif not default and "create" in self.settings.writes and self.settings.create != "never":
            self._well("default_host", "not set: meetings whose organizer is no host here will be held")
        if not roster.hosts:
            self._ill(
                "hosts", "there is nobody whose meetings could be read", "name hosts who may host meetings"
            )
        elif not roster.missing:
            self._well("hosts", f"{len(roster.hosts)} found")

    async def _check_listing(self, roster: Roster) -> None:
        for host in roster.hosts[:1]:
            try:
                await self.client.list_meetings(host.id)
            except SyncError as error:
                self._ill("meetings", str(error), _fix_for(error))
            else:
                self._well("meetings", "they can be listed")

    async def _check_tracking(self) -> None:
        try:
            fields = await self.tracking.learn()
        except SyncError as error:
            self._ill("tracking fields", str(error), _fix_for(error))
            return
        required = [f for f in fields if f.required and f.field != MARK_FIELD]
        if required and "create" in self.settings.writes and self.settings.create != "never":
            self._ill(
                "tracking fields",
                f"the account requires {len(required)} of them, and meetings made by the engine have none",
                "make the fields optional in Zoom's account settings, or set create to never",
            )
        else:
            has_mark = any(f.field == MARK_FIELD for f in fields)
            self._well("tracking fields", f"{MARK_FIELD} marks our meetings" if has_mark else "not used")

    def _check_quota(self) -> None:
        left = DAILY_WRITES_PER_HOST - self.settings.daily_write_reserve
        self._well(
            "quota", f"{left} writes per host and UTC day, {self.settings.daily_write_reserve} in reserve"
        )

    def _check_webhooks(self) -> None:
        detail = "the secret is set" if self.settings.webhook_secret else (
            "webhook_secret is not set: changes are seen by sweeps only"
        )  # fmt: skip
        self._well("webhooks", detail)

    def _check_clock(self) -> None:
        skew = self.client.clock_skew_seconds
        if skew is None:
            return
        if abs(skew) > LARGEST_SKEW_SECONDS:
            self._ill(
                "clock", f"ours is {abs(skew):.0f} s off Zoom's", "synchronise this machine's clock (NTP)"
            )
        else:
            self._well("clock", "it agrees with Zoom's")


def _has(granted: frozenset[str], scope: Scope) -> bool:
    names = (scope.granular, scope.classic)
    return any(f"{name}{level}" in granted for name in names for level in ("", ":admin", ":master"))


def _fix_for(error: SyncError) -> str:
    if isinstance(error, CredentialsError):
        if error.code in {"4711", "4700"}:
            return "add the scope to the app in the Zoom App Marketplace"
        return "check account_id, client_id and client_secret, activate the app, or authorise it again"
    if isinstance(error, RateLimitedError):
        return "wait until Zoom's limit is over, then check again"
    if isinstance(error, UnavailableError):
        return "check base_url, auth_url and the network"
    return "check base_url and auth_url; Zoom's answer was not what it documents"
