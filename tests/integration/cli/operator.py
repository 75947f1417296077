"""An operator at a terminal: four sandboxes, a configuration, and the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from sync_engine.cli.app import app
from sync_engine.observability import configure_logging
from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.world import World

HOST = "host@acme.example"
GUEST = "jane@example.org"


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read what stands on stdout: one JSON value and nothing else."""
        return json.loads(self.out)


class Operator:
    """Types commands as a person does, against a world served in this process, by the real clock."""

    def __init__(self, world: World, folder: Path, extra: Mapping[str, str] | None = None) -> None:
        self.world, self.folder = world, folder
        self.host = world.zoom.add_host(HOST, first_name="Hanna", last_name="Ost")
        self.user = world.prospect_crm.add_user("Hanna Ost", HOST)
        self.prospect = world.prospect_crm.add_prospect("Jane", "Doe", GUEST)
        self.file = folder / "sync-engine.toml"
        self.configure(extra)

    def configure(self, extra: Mapping[str, str] | None = None) -> None:
        """Write the configuration; ``extra`` as ``configuration_of`` takes it."""
        text = configuration_of(
            self.world,
            default_host=HOST,
            default_owner_id=self.user,
            owner_map={HOST: self.user},
            twin_grace_minutes=0,
            extra=extra,
        )
        self.file.write_text(text, encoding="utf-8")
        self.file.chmod(0o600)

    def run(self, *arguments: str) -> Outcome:
        """Run a command in this process."""
        result = CliRunner().invoke(app, ["--config", str(self.file), *arguments], env={"COLUMNS": "100"})
        # The command logged to a stream that is closed by now.
        configure_logging("console", "error", sys.__stderr__)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def sync(self) -> Any:
        """Run a sync and give its summary."""
        return self.run("sync", "--json").json

    def book(self, title: str = "Kick-off", *, days: float = 1, agenda: str = "") -> str:
        """Let the host plan a meeting with the guest at Zoom; gives its number."""
        return self.world.zoom.people.book(
            self.host, title, soon(days), zone="Europe/Berlin", agenda=agenda, invitees=[GUEST]
        )

    def changes(self) -> int:
        """Count the requests so far that may have changed something at a provider."""
        return sum(
            number
            for sandbox in self.world.sandboxes
            for (method, route), number in sandbox.requests.items()
            if method not in {"GET", "HEAD"} and "token" not in route and "search" not in route
        )


def soon(days: float) -> datetime:
    """Give a whole minute some days ahead."""
    return (datetime.now(UTC) + timedelta(days=days)).replace(second=0, microsecond=0)


def live(side: Any) -> list[dict[str, Any]]:
    """Give the records a sandbox holds, without deleted ones."""
    return [record for record in side.records() if not record.get("deleted")]
