"""``sync-engine check --fix``: bring webhooks to us, or say exactly what to click."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sync_engine.adapters.registry import known_providers
from sync_engine.core.ports import Finding, RegistersWebhook
from sync_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from sync_engine.services.engine import Channel, Engine

SUBJECT = "webhook"
PLACEHOLDER = "https://YOUR-HOST"


def public_address(public_url: str | None) -> str:
    """Give the address providers reach us at. Raises ConfigurationError for one that cannot be it."""
    if public_url is None:
        raise ConfigurationError(
            "--fix needs --public-url: where providers reach sync-engine serve, as https://sync.acme.example"
        )
    parts = urlsplit(public_url.strip())
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError("--public-url must be an address such as https://sync.acme.example")
    return public_url.strip().rstrip("/")


async def webhook_finding(engine: Engine, channel: Channel, address: str) -> Finding:
    """Register a connection's webhook where its provider has an API for it; else tell the clicks."""
    adapter = channel.adapter
    if isinstance(adapter, RegistersWebhook):
        from sync_engine.services.sync import prepare

        # What is kept of a connection refers to it, and this may be the first time it is heard of.
        prepare(engine, engine.tenants[channel.workspace])
        return await adapter.ensure_webhook(f"{address}/webhooks/{channel.id}")
    receiver = adapter.receiver
    if receiver is None:
        return Finding(SUBJECT, True, "the provider sends none; sweeps find what changed")
    steps = _steps(channel, address)
    if receiver.listens:
        return Finding(SUBJECT, True, f"has a secret here. At the provider: {steps}")
    return Finding(SUBJECT, False, "webhook_secret is not set; until then sweeps find what changed", steps)


def _steps(channel: Channel, address: str) -> str:
    """Give the steps of the provider's set-up guide that are about webhooks."""
    entry = known_providers().get(channel.provider)
    guide = entry.guide if entry is not None else None
    about = [step for step in guide.steps if "/webhooks/" in step] if guide is not None else []
    filled = (
        step.replace(PLACEHOLDER, address)
        .replace("{workspace}", channel.workspace)
        .replace("{connection}", channel.name)
        for step in about
    )
    return " ".join(filled) or f"let it call {address}/webhooks/{channel.id}"
