"""Workspaces and connections: whose accounts there are, and how each of them is doing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sync_engine.errors import CredentialsError
from sync_engine.store.keyring import Keyring
from sync_engine.store.repository import Repository
from sync_engine.store.tables import connections, secrets, workspaces


class ConnectionState(StrEnum):
    """Whether a connection may be called.

    ``paused`` ends by itself at ``paused_until``; ``unauthorised`` ends once a canary succeeds;
    ``revoked`` ends when a person connects the account again.
    """

    OK = "ok"
    PAUSED = "paused"
    UNAUTHORISED = "unauthorised"
    REVOKED = "revoked"


def connection_id(workspace: str, name: str) -> str:
    """Give the id of a connection: ``acme/zoom``."""
    return f"{workspace}/{name}"


@dataclass(slots=True)
class ConnectionRow:
    """One connection. ``identity``: the account id last seen. ``memory``: what its adapter learned.

    How its webhooks are doing: ``sweep_wanted_at``: a delivery asked for a sweep then. ``poll_seconds``:
    the adapted interval, None for the configured one. ``delivered_at`` and ``challenged_at``: the newest
    delivery that was worked on, and the newest challenge that was answered. ``missed``: how many changes
    a sweep has found so far that a delivery should have told. ``save`` leaves these alone.
    """

    workspace: str
    name: str
    provider: str
    created_at: datetime
    identity: str | None = None
    state: ConnectionState = ConnectionState.OK
    paused_until: datetime | None = None
    paused_reason: str | None = None
    last_sweep_at: datetime | None = None
    last_complete_sweep_at: datetime | None = None
    cursor: Mapping[str, Any] | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)
    sweep_wanted_at: datetime | None = None
    poll_seconds: float | None = None
    delivered_at: datetime | None = None
    challenged_at: datetime | None = None
    missed: int = 0

    @property
    def id(self) -> str:
        """Give the connection's id."""
        return connection_id(self.workspace, self.name)


class Connections(Repository):
    """Find and keep workspaces and connections."""

    def __init__(self, connection: Connection, keyring: Keyring) -> None:
        super().__init__(connection)
        self._keyring = keyring

    def ensure(
        self, workspace: str, named: Iterable[tuple[str, str]], now: datetime
    ) -> dict[str, ConnectionRow]:
        """Make sure a workspace and its (name, provider) connections exist; gives its rows by name.

        Writes only what is missing or has another provider.
        """
        if self.policy_fingerprint(workspace) is None:
            self._upsert(workspaces, [{"name": workspace, "policy_fingerprint": ""}], ("name",))
        known = {row.name: row for row in self.of_workspace(workspace)}
        for name, provider in named:
            there = known.get(name)
            if there is None:
                known[name] = ConnectionRow(workspace, name, provider, now)
                self.save(known[name])
            elif there.provider != provider:
                there.provider = provider
                self.save(there)
        return known

    def lock_workspace(self, workspace: str) -> None:
        """Let one transaction at a time match new records of a workspace.

        Two pulls that meet the same new meeting at the same moment would else both make one of it.
        """
        query = sa.select(workspaces.c.name).where(workspaces.c.name == workspace)
        # A lock that leaves the name alone: rows that refer to the workspace can still be written.
        self._connection.execute(query.with_for_update(key_share=True))

    def policy_fingerprint(self, workspace: str) -> str | None:
        """Give the policy a workspace was last reconciled with; None if there is no such workspace."""
        query = sa.select(workspaces.c.policy_fingerprint).where(workspaces.c.name == workspace)
        return self._connection.execute(query).scalar_one_or_none()

    def keep_policy_fingerprint(self, workspace: str, fingerprint: str) -> None:
        """Note the policy a workspace is reconciled with from now on."""
        row = {"name": workspace, "policy_fingerprint": fingerprint}
        self._upsert(workspaces, [row], ("name",))

    def workspaces(self) -> list[str]:
        """Name the workspaces."""
        return list(
            self._connection.execute(sa.select(workspaces.c.name).order_by(workspaces.c.name)).scalars()
        )

    def get(self, connection_id: str) -> ConnectionRow | None:
        """Load one connection."""
        rows = self._rows(sa.select(connections).where(connections.c.id == connection_id))
        return rows[0] if rows else None

    def of_workspace(self, workspace: str) -> list[ConnectionRow]:
        """Load the connections of a workspace, by name."""
        query = sa.select(connections).where(connections.c.workspace == workspace)
        return self._rows(query.order_by(connections.c.name))

    def save(self, row: ConnectionRow) -> None:
        """Write a whole connection."""
        data = {"id": row.id, "state": row.state.value}
        data |= {name: getattr(row, name) for name in _COLUMNS}
        self._upsert(connections, [data], kept=("created_at", *_WEBHOOKS))

    def swept(
        self,
        connection_id: str,
        at: datetime,
        *,
        complete: bool,
        memory: Mapping[str, Any],
        cursor: Mapping[str, Any] | None = None,
    ) -> None:
        """Note a sweep: the one row that a sweep without news writes."""
        values: dict[str, Any] = {"last_sweep_at": at, "memory": dict(memory), "cursor": cursor}
        if complete:
            values["last_complete_sweep_at"] = at
        self._change(connection_id, values)

    def remember(self, connection_id: str, memory: Mapping[str, Any]) -> None:
        """Keep what an adapter learned about its account."""
        self._change(connection_id, {"memory": dict(memory)})

    def want_sweep(self, connection_id: str, at: datetime) -> None:
        """Ask for a sweep without waiting for its time."""
        self._change(connection_id, {"sweep_wanted_at": at})

    def delivered(self, connection_id: str, at: datetime) -> None:
        """Note that a delivery was worked on."""
        self._change(connection_id, {"delivered_at": at})

    def challenged(self, connection_id: str, at: datetime) -> None:
        """Note that the provider's challenge was answered."""
        self._change(connection_id, {"challenged_at": at})

    def adapt_polling(self, connection_id: str, poll_seconds: float | None, missed: int = 0) -> None:
        """Keep the interval between sweeps, and count what deliveries failed to tell."""
        self._change(connection_id, {"poll_seconds": poll_seconds, "missed": connections.c.missed + missed})

    def recognise(self, connection_id: str, identity: str) -> None:
        """Keep the account id the credentials opened."""
        self._change(connection_id, {"identity": identity})

    def pause(
        self,
        connection_id: str,
        *,
        reason: str,
        until: datetime | None,
        state: ConnectionState = ConnectionState.PAUSED,
    ) -> None:
        """Let one connection rest, alone and visibly; ``until`` None waits for something to happen."""
        self._change(connection_id, {"state": state.value, "paused_until": until, "paused_reason": reason})

    def resume(self, connection_id: str) -> None:
        """Let a connection be called again."""
        values = {"state": ConnectionState.OK.value, "paused_until": None, "paused_reason": None}
        self._change(connection_id, values)

    def delete(self, connection_id: str) -> None:
        """Forget a connection with its refs, outbox and secrets; meetings and journal stay."""
        self._connection.execute(sa.delete(connections).where(connections.c.id == connection_id))

    def load_secret(self, connection_id: str, name: str) -> str | None:
        """Give the newest value of a secret that changes while we run."""
        query = sa.select(secrets.c.value).where(
            secrets.c.connection_id == connection_id, secrets.c.name == name
        )
        kept = self._connection.execute(query).scalar_one_or_none()
        return None if kept is None else self._keyring.open(kept)

    def store_secret(self, connection_id: str, name: str, value: str, now: datetime) -> None:
        """Keep the newest value of a secret, encrypted if there is a key."""
        kept = self._keyring.seal(value)
        row = {"connection_id": connection_id, "name": name, "value": kept, "updated_at": now}
        self._upsert(secrets, [row], ("connection_id", "name"))

    def reseal_secrets(self) -> tuple[int, int]:
        """Encrypt with the newest key what is not; gives how many, and how many no key opens."""
        resealed = unreadable = 0
        columns = (secrets.c.connection_id, secrets.c.name, secrets.c.value)
        found = self._connection.execute(sa.select(*columns).order_by(*columns[:2]).with_for_update()).all()
        for connection_id, name, kept in found:
            if self._keyring.is_current(kept):
                continue
            try:
                value = self._keyring.seal(self._keyring.open(kept))
            except CredentialsError:
                unreadable += 1
                continue
            mine = (secrets.c.connection_id == connection_id, secrets.c.name == name)
            self._connection.execute(sa.update(secrets).where(*mine).values(value=value))
            resealed += 1
        return resealed, unreadable

    def _change(self, connection_id: str, values: dict[str, Any]) -> None:
        statement = sa.update(connections).where(connections.c.id == connection_id).values(**values)
        self._connection.execute(statement)

    def _rows(self, query: sa.Select[Any]) -> list[ConnectionRow]:
        return [
            ConnectionRow(
                **{name: row[name] for name in (*_COLUMNS, *_WEBHOOKS)}, state=ConnectionState(row["state"])
            )
            for row in self._connection.execute(query).mappings()
        ]


_COLUMNS = (
    "workspace",
    "name",
    "provider",
    "created_at",
    "identity",
    "paused_until",
    "paused_reason",
    "last_sweep_at",
    "last_complete_sweep_at",
    "cursor",
    "memory",
)
# Changed one by one, each by what it is about: writing the whole row would take back another's count.
_WEBHOOKS = ("sweep_wanted_at", "poll_seconds", "delivered_at", "challenged_at", "missed")
