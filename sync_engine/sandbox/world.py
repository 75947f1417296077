"""One world: a clock, a seed, four providers, and the calendars the team's events travel through."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from sync_engine.sandbox.attio import AttioSandbox
from sync_engine.sandbox.clock import SandboxClock
from sync_engine.sandbox.lightfield import LightfieldSandbox
from sync_engine.sandbox.prospect_crm import ProspectCrmSandbox
from sync_engine.sandbox.server import Delivery, ProviderSandbox, Servers
from sync_engine.sandbox.zoom import ZoomSandbox


@dataclass(frozen=True)
class CalendarEvent:
    """One event as the team's Google or Outlook calendars hold it: what calendar syncs copy.

    ``uid`` is stable over updates; ``cancelled`` events are taken out by the syncs.
    """

    uid: str
    title: str
    description: str
    start: datetime
    end: datetime
    zone: str
    organizer: str
    attendees: tuple[str, ...]
    join_url: str
    cancelled: bool = False


class World:
    """Hold the four sandboxes together.

    ``start`` freezes the clock there; without it real time runs. ``on_delivery`` is handed every webhook
    a provider sends; without it they are kept in ``deliveries``.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        start: datetime | None = None,
        ports: dict[str, int] | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.clock = SandboxClock(start)
        self.lock = threading.RLock()
        self.deliveries: list[Delivery] = []
        self._on_delivery = on_delivery or self.deliveries.append
        self.zoom = ZoomSandbox(self)
        self.attio = AttioSandbox(self)
        self.lightfield = LightfieldSandbox(self)
        self.prospect_crm = ProspectCrmSandbox(self)
        self.sandboxes: tuple[ProviderSandbox, ...] = (
            self.zoom,
            self.attio,
            self.lightfield,
            self.prospect_crm,
        )
        self._servers = Servers(self.sandboxes, ports)

    def __enter__(self) -> Self:
        self._servers.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._servers.stop()

    def publish(self, event: CalendarEvent) -> None:
        """Put an event into the team's calendars (new, changed or cancelled); syncs copy it in their time."""
        for sandbox in self.sandboxes:
            sandbox.on_calendar_event(event)

    def deliver(self, delivery: Delivery) -> None:
        """Send a webhook of a provider on its way."""
        self._on_delivery(delivery)

    def requests(self) -> int:
        """Count the requests all providers have answered."""
        return sum(sandbox.requests.total() for sandbox in self.sandboxes)
