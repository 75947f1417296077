"""Serve the web application with uvicorn."""

from __future__ import annotations

import structlog
import uvicorn
from starlette.types import ASGIApp

from sync_engine.web.health import is_loopback

log = structlog.get_logger()

HOST, PORT = "127.0.0.1", 8080
CLOSE_SECONDS = 10
# Providers keep a connection and use it again; closed too early, a delivery meets a closing door.
KEEP_ALIVE_SECONDS = 30


def configuration_of(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """Give uvicorn's configuration: our own log, and nothing that tells strangers what runs here."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )


def warn_if_open(host: str, *, has_metrics_token: bool) -> None:
    """Say what others can reach when the address is not this machine's alone."""
    if is_loopback(host):
        return
    log.warning(
        "serving_beyond_this_machine",
        host=host,
        fix="put a proxy with TLS in front that passes on /webhooks only",
        metrics="with token" if has_metrics_token else "this machine only",
    )


def serve(app: ASGIApp, *, host: str = HOST, port: int = PORT) -> None:
    """Serve until told to stop: SIGINT or SIGTERM end it, answers under way are still given."""
    log.info("serving", host=host, port=port)
    uvicorn.Server(configuration_of(app, host, port)).run()
