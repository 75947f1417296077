"""Subscribe to Attio's deliveries, which its API allows."""

from __future__ import annotations

from urllib.parse import urlsplit

from sync_engine.adapters.attio.client import AttioClient
from sync_engine.adapters.attio.receiver import AttioReceiver
from sync_engine.adapters.attio.webhooks import ensure_webhook
from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.receiving import keep_secret
from sync_engine.core.ports import Finding
from sync_engine.errors import CredentialsError, ProviderError

SUBJECT = "webhook"
MAKE_ANEW = (
    "delete that webhook in Attio (Workspace settings, Developers) and run this again, "
    "or set webhook_secret to its signing secret"
)


async def ensure(client: AttioClient, around: Surroundings, receiver: AttioReceiver, url: str) -> Finding:
    """Subscribe unless that is done; a subscription whose secret nobody kept is told, not doubled."""
    if urlsplit(url).scheme != "https":
        return Finding(SUBJECT, False, "Attio delivers to https addresses only", "give an https --public-url")
    try:
        secret = await ensure_webhook(client, url)
    except CredentialsError:
        fix = "tick webhook:read-write for the token in Attio: Workspace settings, Developers"
        return Finding(SUBJECT, False, "the token may not manage webhooks", fix)
    except ProviderError as error:
        return Finding(SUBJECT, False, f"could not be registered: {error}", "run check --fix again")
    if secret is not None and around.webhook_vault is not None:
        keep_secret(around.webhook_vault, secret)
        return Finding(SUBJECT, True, "registered; its secret is kept in the database")
    if not receiver.listens:
        return Finding(SUBJECT, False, "is registered, but its signing secret is not known here", MAKE_ANEW)
    return Finding(SUBJECT, True, "is registered")
