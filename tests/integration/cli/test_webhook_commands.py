"""``check --fix`` and ``serve``: bringing webhooks to us, and taking them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from sync_engine.bootstrap import build_engine
from sync_engine.cli.app import app
from sync_engine.settings import load_settings
from tests.integration.cli.operator import Operator

URL = "https://sync.acme.example"


def _webhook_rows(found: Any) -> dict[str, dict[str, Any]]:
    return {row["connection"]: row for row in found["findings"] if row["subject"] == "webhook"}


def _kept_secret(operator: Operator) -> str | None:
    engine = build_engine(load_settings(operator.file, {}))
    try:
        with engine.store.reading() as uow:
            return uow.connections.load_secret("acme/attio", "webhook")
    finally:
        engine.store.close()


def test_fix_registers_where_the_api_can_and_tells_the_clicks_elsewhere(operator: Operator) -> None:
    outcome = operator.run("check", "--fix", "--public-url", f"{URL}/", "--json")

    rows = _webhook_rows(outcome.json)
    (hook,) = operator.world.attio.workspace.webhooks.values()
    assert hook.target_url == f"{URL}/webhooks/acme/attio"
    assert rows["attio"]["ok"]
    assert _kept_secret(operator) == hook.secret
    for connection in ("zoom", "lightfield", "prospects"):
        assert not rows[connection]["ok"]
        assert f"{URL}/webhooks/acme/{connection}" in rows[connection]["fix"]
    assert hook.secret not in outcome.out + outcome.err


def test_fixing_again_registers_nothing_and_finds_it_well(operator: Operator) -> None:
    operator.run("check", "--fix", "--public-url", URL)

    outcome = operator.run("check", "--fix", "--public-url", URL, "--json")

    assert len(operator.world.attio.workspace.webhooks) == 1
    assert _webhook_rows(outcome.json)["attio"]["detail"] == "is registered"


def test_a_registration_whose_secret_nobody_kept_is_told(operator: Operator) -> None:
    operator.run("check", "--fix", "--public-url", URL)
    (operator.folder / "sync-engine.db").unlink()

    row = _webhook_rows(operator.run("check", "--fix", "--public-url", URL, "--json").json)["attio"]

    assert not row["ok"]
    assert "secret is not known" in row["detail"]
    assert len(operator.world.attio.workspace.webhooks) == 1


def test_a_check_alone_registers_nothing(operator: Operator) -> None:
    outcome = operator.run("check", "--json")

    assert operator.world.attio.workspace.webhooks == {}
    assert "attio" not in _webhook_rows(outcome.json)


@pytest.mark.parametrize(
    "arguments", [(), ("--public-url", "sync.acme.example"), ("--public-url", "https://")]
)
def test_fix_without_a_usable_address_is_wrong_usage(operator: Operator, arguments: tuple[str, ...]) -> None:
    outcome = operator.run("check", "--fix", *arguments)

    assert outcome.code == 2
    assert "--public-url" in outcome.err


def test_serve_has_help_with_an_example() -> None:
    result = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "100"})

    assert result.exit_code == 0
    assert "sync-engine serve" in result.stdout


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _serving(operator: Operator) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "sync_engine",
        "--config",
        str(operator.file),
        "serve",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            _wait_until_up(client, process)
            yield client, process
    finally:
        process.kill()
        process.communicate(timeout=10)


def _wait_until_up(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    for _ in range(600):
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            assert process.poll() is None, "the server ended"
        pause.wait(0.05)
    raise AssertionError("the server did not come up")


def test_serve_stores_a_providers_delivery_and_ends_when_told(operator: Operator) -> None:
    operator.configure({"zoom": 'webhook_secret = "zoom-secret"'})
    operator.world.zoom.webhook_secret = "zoom-secret"
    operator.book()
    (delivery,) = operator.world.deliveries

    with _serving(operator) as (client, process):
        answer = client.post("/webhooks/acme/zoom", content=delivery.body, headers=delivery.headers)
        metrics = client.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=20)[1].decode()

    assert answer.status_code == 200
    assert 'sync_engine_inbox_pending{connection="acme/zoom"} 1.0' in metrics
    assert process.returncode in {0, -signal.SIGTERM}
    assert "delivery_received" in log
    assert answer.headers["x-request-id"] in log
    assert "Kick-off" not in log
