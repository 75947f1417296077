from __future__ import annotations

import io
import json

import pytest
from starlette.applications import Starlette

from sync_engine.observability import configure_logging
from sync_engine.web.health import is_loopback
from sync_engine.web.serving import HOST, PORT, configuration_of, warn_if_open


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_an_address_of_this_machine_is_told(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.4", "example.org", "localhost.example.org", ""])
def test_any_other_address_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_by_default_only_this_machine_is_served() -> None:
    assert is_loopback(HOST)
    assert PORT == 8080


def test_serving_beyond_this_machine_is_warned_of() -> None:
    log = io.StringIO()
    configure_logging("json", "warning", log)

    warn_if_open("127.0.0.1", has_metrics_token=False)
    warn_if_open("0.0.0.0", has_metrics_token=False)
    configure_logging()

    (warning,) = map(json.loads, log.getvalue().splitlines())
    assert (warning["event"], warning["host"]) == ("serving_beyond_this_machine", "0.0.0.0")


def test_uvicorn_leaves_our_log_alone_and_says_no_name() -> None:
    configuration = configuration_of(Starlette(), HOST, PORT)

    assert configuration.log_config is None
    assert not configuration.access_log
    assert not configuration.server_header
