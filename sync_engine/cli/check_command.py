"""``sync-engine check``: the command around the check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sync_engine.cli.context import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    ending,
    examples,
    read_settings,
    stdout,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sync_engine.core.ports import Finding

EXAMPLES = examples("sync-engine check", "sync-engine check --workspace acme --json")


def check(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
) -> None:
    """Verify every connection: credentials, scopes, quotas and clock, and say how to fix what is wrong."""
    with ending():
        from sync_engine.bootstrap import build_engine
        from sync_engine.cli.check import run_check

        settings = read_settings(ctx, config, "warning")
        if workspace is not None:
            settings.workspace(workspace)
        engine = build_engine(settings)

        async def examine(name: str, connection: str) -> Sequence[Finding]:
            adapter = engine.tenants[name].channels[connection].adapter
            try:
                return await adapter.check()
            finally:
                await adapter.aclose()

        try:
            code = run_check(settings, examine, workspace=workspace, in_json=in_json, console=stdout())
        finally:
            engine.store.close()
        raise typer.Exit(code)
