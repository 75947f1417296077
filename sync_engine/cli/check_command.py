"""``sync-engine check``: the command around the check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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

EXAMPLES = examples(
    "sync-engine check",
    "sync-engine check --workspace acme --json",
    "sync-engine check --fix --public-url https://sync.acme.example     register webhooks",
)


def check(
    ctx: typer.Context,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    in_json: JsonOption = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Register webhooks where the provider's API can; else say how.")
    ] = False,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url",
            metavar="URL",
            help="Where providers reach sync-engine serve, as https://sync.acme.example.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Verify every connection: credentials, scopes, quotas and clock, and say how to fix what is wrong."""
    with ending():
        from sync_engine.bootstrap import build_engine
        from sync_engine.cli.check import run_check
        from sync_engine.cli.check_webhooks import public_address, webhook_finding

        settings = read_settings(ctx, config, "warning")
        if workspace is not None:
            settings.workspace(workspace)
        address = public_address(public_url) if fix else None
        engine = build_engine(settings)

        async def examine(name: str, connection: str) -> Sequence[Finding]:
            channel = engine.tenants[name].channels[connection]
            try:
                findings = await channel.adapter.check()
                if address is None:
                    return findings
                return [*findings, await webhook_finding(engine, channel, address)]
            finally:
                await channel.adapter.aclose()

        try:
            code = run_check(settings, examine, workspace=workspace, in_json=in_json, console=stdout())
        finally:
            engine.store.close()
        raise typer.Exit(code)
