"""How a connection is doing: whose account it opens, and when it has to rest."""

from __future__ import annotations

import structlog

from sync_engine.errors import CredentialsError, ProviderError, RateLimitedError, UnavailableError
from sync_engine.services.engine import Channel, Engine
from sync_engine.services.run import Run
from sync_engine.store.connections import ConnectionState

log = structlog.get_logger()


def is_resting(engine: Engine, channel: Channel) -> str | None:
    """Give the reason why a connection must not be called now, if there is one."""
    with engine.store.reading() as uow:
        row = uow.connections.get(channel.id)
    if row is None or row.state is ConnectionState.OK:
        return None
    if row.state is ConnectionState.REVOKED:
        return row.paused_reason or "revoked"
    # Refused credentials are tried again with every run: a person may have mended them meanwhile.
    if row.state is ConnectionState.PAUSED and row.paused_until and engine.now() < row.paused_until:
        return row.paused_reason or "paused"
    return None


async def recognise(engine: Engine, channel: Channel, run: Run) -> bool:
    """Read the account's identity: the canary of this run. Tells whether the connection may be used.

    Credentials that suddenly open another account are refused: every record would look deleted.
    """
    resting = is_resting(engine, channel)
    if resting:
        run.fail(channel.name, resting)
        return False
    identity = await channel.adapter.canary()
    with engine.store.reading() as uow:
        row = uow.connections.get(channel.id)
    if row is None:
        return True
    if row.identity and identity.account_id and row.identity != identity.account_id:
        reason = (
            "the credentials now open another account; restore the old ones, "
            "or give the new account a connection of its own"
        )
        run.fail(channel.name, reason, unreachable=True)
        log.error("identity_changed", connection_id=channel.id)
        return False
    if (identity.account_id and not row.identity) or row.state is not ConnectionState.OK:
        with engine.store.transaction() as uow:
            uow.connections.recognise(channel.id, identity.account_id)
            uow.connections.resume(channel.id)
    return True


def rest(engine: Engine, channel: Channel, run: Run, error: ProviderError) -> None:
    """Let one connection rest, alone and visibly, after an error that concerns all of it."""
    reason = describe(error)
    unreachable = isinstance(error, CredentialsError | UnavailableError)
    limited = isinstance(error, RateLimitedError)
    run.fail(channel.name, reason, unreachable=unreachable and not limited)
    log.warning(
        "connection_failed",
        connection_id=channel.id,
        error=type(error).__name__,
        operation=error.operation,
        status_code=error.status_code,
    )
    with engine.store.transaction() as uow:
        if isinstance(error, RateLimitedError):
            if not error.scope:
                uow.connections.pause(channel.id, reason=reason, until=error.retry_at)
        elif isinstance(error, CredentialsError):
            uow.connections.pause(channel.id, reason=reason, until=None, state=ConnectionState.UNAUTHORISED)


def describe(error: ProviderError) -> str:
    """Say in one line what a provider answered, without anything it said about people."""
    where = f" ({error.operation})" if error.operation else ""
    status = f", HTTP {error.status_code}" if error.status_code else ""
    until = f" until {error.retry_at:%Y-%m-%d %H:%M:%S}Z" if isinstance(error, RateLimitedError) else ""
    return f"{error}{until}{where}{status}"
