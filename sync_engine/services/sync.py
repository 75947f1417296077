"""Sync: pull every connection once, then work until nothing is due now."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from sync_engine.services.engine import Engine, Tenant
from sync_engine.services.linking import look_again
from sync_engine.services.pull import pull_connection
from sync_engine.services.push import push_connection
from sync_engine.services.reconcile import reconcile_page
from sync_engine.services.run import Progress, Run, silent
from sync_engine.services.standing import Standing, standing_of
from sync_engine.store.runs import RunRow, RunState

log = structlog.get_logger()

MOST_ROUNDS = 12
"""Pushing and reconciling feed each other a few times (a join link flows back); more is a loop."""

PATIENCE_SECONDS = 60.0
"""How long a sync waits for another run that works on one of its connections."""

_COUNTED = (
    "settled",
    "runs",
    "observed",
    "created",
    "updated",
    "deleted",
    "held",
    "deferred",
    "parked",
    "conflicts",
    "quarantined",
    "unsettled",
)


@dataclass
class Summary:
    """What one sync did and what it leaves; the numbers of several workspaces add up.

    ``held``, ``deferred``, ``parked``, ``quarantined`` count what stands now; the others what was done.
    """

    settled: int = 0
    runs: int = 0
    observed: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    held: int = 0
    deferred: int = 0
    parked: int = 0
    conflicts: int = 0
    quarantined: int = 0
    unsettled: int = 0
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    duration_ms: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    unreachable: list[str] = field(default_factory=list)

    @property
    def needs_attention(self) -> bool:
        """Tell whether anything is parked, failed, set aside or waits for a person."""
        return bool(self.parked or self.quarantined or self.failures or self.unsettled)

    def add(self, other: Summary, *, prefix: str = "") -> None:
        """Add another summary's numbers; ``prefix`` tells its connections from ours of the same name."""
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.requests.update({prefix + name: counts for name, counts in other.requests.items()})
        self.failures.update({prefix + name: reason for name, reason in other.failures.items()})
        self.unreachable += [prefix + name for name in other.unreachable]


async def sync(
    engine: Engine,
    workspaces: Sequence[str],
    *,
    progress: Progress = silent,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Summary:
    """Run whole cycles over workspaces; what waits (held, deferred, limited) is reported, not waited for.

    A connection another run is working on is waited for, ``patience_seconds`` long: what was edited
    before this run began must not be reported settled unseen. After that it is a failure of this run.
    """
    started = time.perf_counter()
    summary = Summary()
    for name in workspaces:
        part = await _sync_tenant(engine, engine.tenants[name], progress, patience_seconds)
        # Two workspaces may both have a connection called "zoom".
        summary.add(part, prefix=f"{name}/" if len(workspaces) > 1 else "")
    summary.duration_ms = round((time.perf_counter() - started) * 1000)
    return summary


async def _sync_tenant(
    engine: Engine, tenant: Tenant, progress: Progress, patience_seconds: float
) -> Summary:
    run = Run(engine.new_id(), progress, patience_seconds=patience_seconds)
    before = {name: Counter(c.meter.by_method) for name, c in tenant.channels.items()}
    prepare(engine, tenant)
    with engine.store.transaction() as uow:
        uow.runs.start(RunRow(run.id, tenant.name, "sync", engine.now()))
    await pull_all(engine, tenant, run)
    await settle(engine, tenant, run)
    standing = standing_of(engine, tenant)
    requests = {n: dict(c.meter.by_method - before[n]) for n, c in tenant.channels.items()}
    _finish(engine, tenant, run, standing, requests)
    return _summary(run, standing, requests)


def prepare(engine: Engine, tenant: Tenant) -> None:
    """Make sure the workspace is known; settings that changed what is planned put every meeting in line."""
    with engine.store.transaction() as uow:
        named = [(channel.name, channel.provider) for channel in tenant.channels.values()]
        uow.connections.ensure(tenant.name, named, engine.now())
        if uow.connections.policy_fingerprint(tenant.name) != tenant.fingerprint:
            uow.meetings.mark_all_dirty(tenant.name)
            uow.connections.keep_policy_fingerprint(tenant.name, tenant.fingerprint)


async def pull_all(engine: Engine, tenant: Tenant, run: Run) -> None:
    """Pull every connection of a workspace once; one that fails does not stop the others."""
    await asyncio.gather(*(pull_connection(engine, tenant, c, run) for c in tenant.channels.values()))
    for channel in tenant.channels.values():
        look_again(engine, tenant, channel, run)


async def settle(engine: Engine, tenant: Tenant, run: Run) -> None:
    """Reconcile and push until nothing is in line and nothing is due now."""
    for _ in range(MOST_ROUNDS):
        run.cycles += 1
        reconciled = 0
        while number := reconcile_page(engine, tenant, run):
            reconciled += number
            # Hundreds of pages in a row would keep renewals of leases waiting.
            await asyncio.sleep(0)
        pushed = await asyncio.gather(
            *(push_connection(engine, tenant, c, run) for c in tenant.channels.values())
        )
        if not any(pushed) and not _in_line(engine, tenant):
            return
    run.fail(f"workspace {tenant.name}", f"still busy after {MOST_ROUNDS} rounds; run it again")


def _in_line(engine: Engine, tenant: Tenant) -> bool:
    with engine.store.reading() as uow:
        return uow.meetings.has_dirty(tenant.name)


def _summary(run: Run, standing: Standing, requests: dict[str, dict[str, int]]) -> Summary:
    return Summary(
        settled=standing.settled,
        runs=1,
        observed=run.observed,
        created=run.created,
        updated=run.updated,
        deleted=run.deleted,
        held=standing.held,
        deferred=standing.deferred,
        parked=standing.parked,
        conflicts=run.conflicts,
        quarantined=standing.quarantined,
        unsettled=standing.unsettled,
        requests=requests,
        failures=dict(run.failures),
        unreachable=sorted(run.unreachable),
    )


def _finish(
    engine: Engine,
    tenant: Tenant,
    run: Run,
    standing: Standing,
    requests: dict[str, dict[str, int]],
) -> None:
    counts = {
        "observed": run.observed,
        "created": run.created,
        "updated": run.updated,
        "deleted": run.deleted,
        "conflicts": run.conflicts,
        "settled": standing.settled,
        "unsettled": standing.unsettled,
        "held": standing.held,
        "deferred": standing.deferred,
        "parked": standing.parked,
        "quarantined": standing.quarantined,
    }
    state = RunState.FAILED if run.failures else RunState.FINISHED
    with engine.store.transaction() as uow:
        uow.runs.finish(run.id, engine.now(), summary=counts, requests=requests, state=state)
    log.info("sync_finished", workspace=tenant.name, run_id=run.id, failures=len(run.failures), **counts)
