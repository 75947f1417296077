"""The Zoom adapter: what ``core.ports.Adapter`` asks for, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.zoom import mapping
from sync_engine.adapters.zoom.capabilities import capabilities
from sync_engine.adapters.zoom.client import ZoomClient
from sync_engine.adapters.zoom.health import Checkup
from sync_engine.adapters.zoom.hosts import Hosts
from sync_engine.adapters.zoom.listing import Sweep
from sync_engine.adapters.zoom.mapping import Target
from sync_engine.adapters.zoom.preparing import Preparer
from sync_engine.adapters.zoom.reading import Reader
from sync_engine.adapters.zoom.receiver import ZoomReceiver
from sync_engine.adapters.zoom.sending import Sender
from sync_engine.adapters.zoom.settings import ZoomSettings
from sync_engine.adapters.zoom.tracking import Tracking
from sync_engine.core.capabilities import Capabilities
from sync_engine.core.ports import (
    Absence,
    Adapter,
    Finding,
    Group,
    Identity,
    Json,
    Observation,
    Sealed,
    Sighting,
    SweepPage,
    Window,
    Write,
    Written,
)


class ZoomAdapter:
    """Read and write the scheduled meetings of one Zoom account."""

    def __init__(self, settings: ZoomSettings, around: Surroundings) -> None:
        self._settings, self._around = settings, around
        self.client = ZoomClient(settings, around)
        self._capabilities = capabilities(settings.daily_write_reserve)
        self._receiver = ZoomReceiver(settings, around)
        self._hosts = Hosts(self.client, settings, around.now)
        self._tracking = Tracking(self.client, around.memory)
        self._reader = Reader(self.client, around.now)
        self._preparer = Preparer(self._reader, self._hosts, self._tracking, around.now)
        self._sender = Sender(self.client, self._reader, self._hosts, self._tracking, around.now)

    @property
    def capabilities(self) -> Capabilities:
        """Say what this connection can hold."""
        return self._capabilities

    @property
    def memory(self) -> Mapping[str, Json]:
        """Give what was learned about the account."""
        return self._tracking.memory

    @property
    def receiver(self) -> ZoomReceiver:
        """Give what takes Zoom's deliveries."""
        return self._receiver

    async def canary(self) -> Identity:
        """Read the account's own identity; one request."""
        if self._settings.acts_for_one_user:
            me = await self.client.get_me()
            return Identity(me.account_id or me.id, label="Zoom user")
        await self.client.list_users(page_size=1)
        return Identity(self._settings.account_id, label="Zoom account")

    async def check(self) -> Sequence[Finding]:
        """Verify the connection; problems become findings."""
        return await Checkup(self.client, self._hosts, self._tracking, self._settings).run()

    def sweep(self, window: Window) -> AsyncIterator[SweepPage]:
        """List every host's meetings, and the occurrences of their series in the window."""
        concurrency = self._settings.concurrency
        return Sweep(self.client, self._hosts, window, self._around.now, concurrency).pages()

    def translate(self, sighting: Sighting) -> Observation:
        """Translate one sighting. Raises UnmappableRecordError."""
        return mapping.translate(sighting, self._around.now())

    async def read(self, external_id: str) -> Observation:
        """Read one meeting or occurrence by id. Raises RecordGoneError, UnmappableRecordError."""
        return await self._reader.read(Target.of(external_id))

    async def read_group(self, key: str, window: Window) -> Group:
        """Read a number that may be a meeting's or a series', as most deliveries name it; one request."""
        return await self._reader.group(Target.of(key), window)

    async def confirm_absence(self, external_id: str) -> Absence:
        """Ask whether a meeting that a sweep missed is gone.

        Raises: UnmappableRecordError where it became a webinar or a series: it is not gone, it is no
            record of ours any more.
        """
        return await self._reader.confirm_absence(Target.of(external_id))

    def write_scope(self, write: Write) -> str:
        """Give the host whose daily cap a write counts against; deletions count against none."""
        return self._preparer.scope(write)

    async def prepare(self, write: Write) -> Sealed:
        """Decide the exact request of a write."""
        return await self._preparer.prepare(write)

    async def send(self, sealed: Sealed) -> Written:
        """Send a sealed request once."""
        return await self._sender.send(sealed)

    async def find(self, sealed: Sealed) -> Sequence[Observation]:
        """Search what a write of unknown outcome left behind."""
        return await self._sender.find(sealed)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()


def build(settings: ZoomSettings, around: Surroundings) -> Adapter:
    """Build the adapter of one connection."""
    return ZoomAdapter(settings, around)
