"""``sync-engine serve``: take deliveries, tell health and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sync_engine.cli.context import ConfigOption, ending, examples, read_settings

if TYPE_CHECKING:
    from sync_engine.metrics import Metrics
    from sync_engine.services.inbox import Notify
    from sync_engine.settings import Settings
    from sync_engine.web.health import BrokerCheck

EXAMPLES = examples(
    "sync-engine serve                               on 127.0.0.1:8080",
    "sync-engine serve --host 0.0.0.0 --port 8000    behind a proxy with TLS",
)

HostOption = Annotated[str, typer.Option("--host", help="The address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", help="The port to listen on.", min=0, max=65_535)]


def serve(
    ctx: typer.Context,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
) -> None:
    """Take webhooks at /webhooks/WORKSPACE/CONNECTION and tell /healthz, /readyz and /metrics.

    What arrives is stored and answered at once; sync-engine worker reads what it is about.
    """
    with ending():
        from sync_engine.bootstrap import build_engine
        from sync_engine.metrics import Metrics
        from sync_engine.web import serving
        from sync_engine.web.app import build_app

        settings = read_settings(ctx, config)
        metrics = Metrics()
        engine = build_engine(settings, on_request=metrics.request)
        notify, broker = _broker_of(settings, metrics)
        token = settings.metrics_token.get_secret_value() if settings.metrics_token else ""
        serving.warn_if_open(host, has_metrics_token=bool(token))
        app = build_app(engine, notify=notify, broker=broker, metrics=metrics, metrics_token=token)
        try:
            serving.serve(app, host=host, port=port)
        finally:
            engine.store.close()


def _broker_of(settings: Settings, metrics: Metrics) -> tuple[Notify | None, BrokerCheck | None]:
    """Give the way to wake workers, and to see whether it is open; nothing where no broker is named.

    How deep the queues are is told beside the rest.
    """
    if not settings.redis_url:
        return None, None
    from workers.queue_depth import QueueCollector
    from workers.reachability import broker_answers
    from workers.tasks import wake

    metrics.registry.register(QueueCollector())
    return wake, broker_answers
