"""Put the engine together from its settings; the only module that knows every part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import structlog

from sync_engine.adapters.base import ConnectionSettings, Surroundings
from sync_engine.adapters.pacing import LocalPacer
from sync_engine.adapters.registry import ProviderEntry, known_providers
from sync_engine.core.guards import Threshold
from sync_engine.core.ids import Ids
from sync_engine.core.meeting import Field
from sync_engine.core.policy import CreateRule, DeletionPolicy, Rules
from sync_engine.core.ports import Adapter, Json, Now
from sync_engine.errors import ConfigurationError
from sync_engine.services.engine import Channel, Engine, RequestMeter, Tenant
from sync_engine.services.lease import hold_waiting
from sync_engine.settings import ASK, Settings, Workspace
from sync_engine.store import schema
from sync_engine.store.clock import clock_of
from sync_engine.store.connections import connection_id
from sync_engine.store.keyring import Keyring
from sync_engine.store.unit_of_work import Store

if TYPE_CHECKING:
    from sync_engine.adapters.shared_pacing import SharedPacing

log = structlog.get_logger()

OnRequest: TypeAlias = Callable[[str, str, int | None, float], None]
"""Hears of a request to a provider: provider, method, status (None: no answer came), milliseconds."""


def system_time() -> datetime:
    """Tell the time of this machine."""
    return datetime.now(UTC)


class StoreVault:
    """Keep one of a connection's changing secrets in the store."""

    def __init__(self, store: Store, connection: str, now: Now, name: str = "token") -> None:
        self._store, self._connection, self._now, self._name = store, connection, now, name

    def load(self) -> str | None:
        """Give the newest secret."""
        with self._store.reading() as uow:
            return uow.connections.load_secret(self._connection, self._name)

    def store(self, secret: str) -> None:
        """Keep a new secret, encrypted if there is a key.

        Without one it is kept all the same: by now the provider takes no other, and refusing to keep it
        would end the connection.
        """
        if not self._store.keyring.seals:
            fix = "set SYNC_ENGINE__SECRET_KEY"
            log.warning("secret_kept_in_plain", connection_id=self._connection, fix=fix)
        with self._store.transaction() as uow:
            uow.connections.store_secret(self._connection, self._name, secret, self._now())

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Let one caller at a time, over all processes, renew the secret."""
        async with hold_waiting(self._store, f"vault:{self._connection}:{self._name}"):
            yield


def open_store(settings: Settings, now: Now = system_time) -> Store:
    """Open the store; an embedded SQLite is brought up to date, PostgreSQL has to be already.

    Raises:
        ConfigurationError: the database's tables are not those of this release.
    """
    store = Store.open(settings.database_url, now, Keyring(settings.secret_keys))
    if store.engine.dialect.name == "sqlite":
        schema.upgrade(store.engine)
    elif not schema.is_usable(store.engine):
        store.close()
        raise ConfigurationError(
            "database_url: the database's tables are not those of this release; run sync-engine db upgrade"
        )
    return store


def build_engine(
    settings: Settings,
    *,
    store: Store | None = None,
    now: Now | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    providers: Mapping[str, ProviderEntry] | None = None,
    on_request: OnRequest | None = None,
) -> Engine:
    """Build the engine; adapters open no connection before they are used.

    Without ``now`` the time is the database's where several hosts share one. With a ``redis_url`` all
    processes share their pace. ``on_request`` hears of every request to a provider.
    """
    opened = store or open_store(settings, now or system_time)
    now = now or clock_of(opened.engine, system_time)
    shared = _shared_pacing(settings, sleep)
    known = known_providers() if providers is None else providers
    remembered = _memories(opened)
    tenants = {
        name: _tenant(name, workspace, settings, opened, known, remembered, now, sleep, shared, on_request)
        for name, workspace in settings.workspaces.items()
    }
    ids = Ids()
    closing = (shared.aclose,) if shared else ()
    return Engine(opened, now, lambda: ids(now()), tenants, sleep, closing)


def _shared_pacing(settings: Settings, sleep: Callable[[float], Awaitable[None]]) -> SharedPacing | None:
    if not settings.redis_url:
        return None
    # Most commands run without a Redis, and should not wait for its client.
    from sync_engine.adapters.shared_pacing import SharedPacing

    return SharedPacing(settings.redis_url, sleep=sleep)


def _memories(store: Store) -> dict[str, Mapping[str, Json]]:
    with store.reading() as uow:
        return {
            row.id: row.memory
            for workspace in uow.connections.workspaces()
            for row in uow.connections.of_workspace(workspace)
        }


def _tenant(
    name: str,
    workspace: Workspace,
    settings: Settings,
    store: Store,
    known: Mapping[str, ProviderEntry],
    remembered: Mapping[str, Mapping[str, Json]],
    now: Now,
    sleep: Callable[[float], Awaitable[None]],
    shared: SharedPacing | None,
    on_request: OnRequest | None,
) -> Tenant:
    channels: dict[str, Channel] = {}
    for connection, chosen in workspace.connections.items():
        meter = RequestMeter(also=partial(on_request, chosen.provider) if on_request else None)
        key = connection_id(name, connection)
        around = Surroundings(
            workspace=name,
            connection=connection,
            now=now,
            pacer=shared.pacer(key, chosen.rates) if shared else LocalPacer(chosen.rates),
            vault=StoreVault(store, key, now),
            webhook_vault=StoreVault(store, key, now, "webhook"),
            sleep=sleep,
            on_request=meter,
            memory=remembered.get(key, {}),
        )
        adapter: Adapter = known[chosen.provider].build(chosen, around)
        channels[connection] = Channel(
            name, connection, chosen.provider, adapter, _rules(chosen), meter, chosen.concurrency
        )
    return Tenant(
        name=name,
        channels=channels,
        fingerprint=settings.fingerprint(name),
        precedence=workspace.precedence,
        owners={field: owner for field, owner in workspace.owners.items() if owner != ASK},
        ask=_asked(workspace),
        deletions=DeletionPolicy(workspace.deletions),
        past=timedelta(days=workspace.window_past_days),
        future=timedelta(days=workspace.window_future_days),
        guard=Threshold(workspace.guard_percent, workspace.guard_count),
        poll=timedelta(seconds=workspace.poll_seconds),
    )


def _rules(chosen: ConnectionSettings) -> Rules:
    return Rules(
        may_create="create" in chosen.writes,
        may_update="update" in chosen.writes,
        may_delete="delete" in chosen.writes,
        create=CreateRule(chosen.create),
        replace=chosen.replace,
        twin_grace=timedelta(minutes=chosen.twin_grace_minutes),
        share_private=chosen.share_private,
    )


def _asked(workspace: Workspace) -> frozenset[Field]:
    """Name the fields whose conflicts a person decides; a declared owner decides without asking."""
    if workspace.conflicts == "ask":
        return frozenset(field for field in Field if workspace.owners.get(field, ASK) == ASK)
    return frozenset(field for field, owner in workspace.owners.items() if owner == ASK)
