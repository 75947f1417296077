"""Who hosts meetings here: the account's users, as far as the settings want them swept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_engine.adapters.zoom.client import ZoomClient
from sync_engine.adapters.zoom.mapping import Host
from sync_engine.adapters.zoom.schemas import User
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.core.meeting import normal_email
from sync_engine.core.ports import Now
from sync_engine.errors import UnholdableError

# Users come and go rarely; a create does not pay for their list each time.
FRESH = timedelta(minutes=15)
# Basic and Licensed users can host; the other types have no meetings at all.
_HOSTING_TYPES = frozenset({1, 2})


@dataclass(frozen=True, slots=True)
class Roster:
    """The hosts at one moment; ``missing``: positions in the setting ``hosts`` nobody was found for."""

    hosts: Sequence[Host]
    missing: Sequence[int]
    read_at: datetime


class Hosts:
    """Know the hosts of a connection, and choose who hosts a new meeting."""

    def __init__(self, client: ZoomClient, settings: ZoomSettings, now: Now) -> None:
        self._client, self._settings, self._now = client, settings, now
        self._roster: Roster | None = None
        self._unable: set[str] = set()

    async def reload(self) -> Roster:
        """Read the hosts anew: every page of the account's users, or the one user of a user token."""
        if self._settings.acts_for_one_user:
            users = [await self._client.get_me()]
        else:
            users = await self._all_users()
        self._roster = self._choose(users)
        return self._roster

    async def current(self) -> Roster:
        """Give the hosts, read within the last quarter of an hour."""
        if self._roster is None or self._now() - self._roster.read_at > FRESH:
            return await self.reload()
        return self._roster

    async def _all_users(self) -> list[User]:
        users, token = await self._client.list_users()
        while token:
            more, token = await self._client.list_users(token)
            users += more
        return users

    def _choose(self, users: Sequence[User]) -> Roster:
        wanted = self._settings.hosts
        by_email = {normal_email(user.email): user for user in users if user.id and user.email}
        if wanted:
            chosen = {email: by_email[email] for email in wanted if email in by_email}
        else:
            chosen = {email: user for email, user in by_email.items() if user.type in _HOSTING_TYPES}
        return Roster(
            hosts=[Host(user.id, email) for email, user in chosen.items()],
            missing=[position for position, email in enumerate(wanted, start=1) if email not in by_email],
            read_at=self._now(),
        )

    def mark_unable(self, host_id: str) -> None:
        """Remember that Zoom does not let this user host."""
        self._unable.add(host_id)

    def mark_able(self, host_id: str) -> None:
        """Forget that, now that the user's meetings could be listed."""
        self._unable.discard(host_id)

    def known(self, organizer: str | None) -> Host | None:
        """Choose the host of a new meeting among those already read; None where that is not known."""
        if self._roster is None:
            return None
        by_email = {host.email: host for host in self._roster.hosts if host.id not in self._unable}
        return by_email.get(organizer or "") or by_email.get(self._settings.default_host or "")

    def likely(self, organizer: str | None) -> str:
        """Give the address a new meeting's host will be looked up by, as long as the hosts are not read."""
        return organizer or self._settings.default_host or ""

    async def host_for(self, organizer: str | None) -> Host:
        """Choose the host of a new meeting: its organizer if she hosts here, else the default host.

        Raises: UnholdableError naming the setting that would help.
        """
        await self.current()
        if host := self.known(organizer):
            return host
        if self._settings.default_host:
            raise UnholdableError(
                "default_host may not host meetings in this Zoom account; name a licensed user of it",
                retry_after_seconds=FRESH.total_seconds(),
            )
        raise UnholdableError(
            "the organizer is no host of this Zoom account; set default_host to the e-mail of a user who is",
            retry_after_seconds=FRESH.total_seconds(),
        )

    def email_of(self, host_id: str) -> str:
        """Give a host's address, empty if unknown."""
        hosts = self._roster.hosts if self._roster else ()
        return next((host.email for host in hosts if host.id == host_id), "")
