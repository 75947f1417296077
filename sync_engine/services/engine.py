"""What every use case is given: the store, the time, and the tenants with their channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sync_engine.core.capabilities import Capabilities
from sync_engine.core.guards import Threshold
from sync_engine.core.meeting import Field
from sync_engine.core.policy import DeletionPolicy, Policy, Rules
from sync_engine.core.ports import Adapter, Now, Window
from sync_engine.store.unit_of_work import Store


@dataclass
class RequestMeter:
    """Count the requests of one connection by HTTP method; hand it to the adapter's surroundings.

    ``also`` hears of each: method, status (None when no answer came), milliseconds.
    """

    by_method: Counter[str] = field(default_factory=Counter)
    by_operation: Counter[str] = field(default_factory=Counter)
    also: Callable[[str, int | None, float], None] | None = None

    def __call__(self, method: str, operation: str, status: int | None, elapsed_ms: float) -> None:
        """Count one request."""
        self.by_method[method] += 1
        self.by_operation[operation] += 1
        if self.also is not None:
            self.also(method, status, elapsed_ms)


@dataclass(frozen=True)
class Channel:
    """One connection at run time: its adapter and what an operator permits there."""

    workspace: str
    name: str
    provider: str
    adapter: Adapter
    rules: Rules
    meter: RequestMeter
    concurrency: int = 8

    @property
    def id(self) -> str:
        """Give the connection's id, ``workspace/name``."""
        return f"{self.workspace}/{self.name}"


@dataclass(frozen=True)
class Tenant:
    """One workspace at run time. ``fingerprint`` changes when its settings change what is planned.

    ``poll``: how long between two looks at a connection.
    """

    name: str
    channels: Mapping[str, Channel]
    fingerprint: str
    precedence: tuple[str, ...] = ()
    owners: Mapping[Field, str] = field(default_factory=dict)
    ask: frozenset[Field] = frozenset()
    deletions: DeletionPolicy = DeletionPolicy.PROPAGATE
    past: timedelta = timedelta(days=30)
    future: timedelta = timedelta(days=180)
    guard: Threshold = field(default_factory=Threshold)
    poll: timedelta = timedelta(seconds=300)

    @property
    def capabilities(self) -> dict[str, Capabilities]:
        """Give what each connection can hold."""
        return {name: channel.adapter.capabilities for name, channel in self.channels.items()}


@dataclass(frozen=True)
class Engine:
    """The engine's surroundings. ``new_id`` makes time-ordered ids; ``closing`` is closed with it."""

    store: Store
    now: Now
    new_id: Callable[[], str]
    tenants: Mapping[str, Tenant]
    sleep: Callable[[float], Awaitable[None]]
    closing: Sequence[Callable[[], Awaitable[None]]] = ()

    def window(self, tenant: Tenant) -> Window:
        """Give the span of meeting times that is kept in agreement now."""
        now = self.now()
        return Window(now - tenant.past, now + tenant.future)

    def policy(self, tenant: Tenant) -> Policy:
        """Give a tenant's policy as it stands now."""
        return Policy(
            window=self.window(tenant),
            connections={name: channel.rules for name, channel in tenant.channels.items()},
            precedence=tenant.precedence,
            owners=tenant.owners,
            ask=tenant.ask,
            deletions=tenant.deletions,
        )

    async def aclose(self) -> None:
        """Close every adapter and the store."""
        for tenant in self.tenants.values():
            for channel in tenant.channels.values():
                await channel.adapter.aclose()
        for close in self.closing:
            await close()
        self.store.close()
