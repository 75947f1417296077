"""Two small providers, so that the configuration is tested without any real adapter."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from sync_engine.adapters.base import ConnectionSettings, Surroundings
from sync_engine.adapters.guide import Guide
from sync_engine.adapters.registry import ProviderEntry, provider


class AlphaSettings(ConnectionSettings):
    provider: Literal["alpha"] = "alpha"
    base_url: str = "https://api.alpha.example"
    account_id: str
    client_secret: SecretStr
    hosts: tuple[str, ...] = ()
    default_host: str = ""
    owner_map: dict[str, str] = Field(default_factory=dict)
    webhook_secrets: tuple[SecretStr, ...] = ()


class BetaSettings(ConnectionSettings):
    provider: Literal["beta"] = "beta"
    base_url: str = "https://api.beta.example"
    api_key: SecretStr = Field(description="made below Settings, Keys")


def build(settings: Any, around: Surroundings) -> Any:
    return settings, around


ALPHA_GUIDE = Guide(
    title="Alpha",
    connection="alpha",
    steps=("Open alpha.example and make an app; webhooks go to /webhooks/{workspace}/{connection}.",),
    scopes=("meetings:read", "meetings:write"),
    keys={
        "account_id": "the account id on the page Credentials",
        "client_secret": "the client secret on the page Credentials",
        "webhook_secret": "the secret token on the page Webhooks",
    },
)

STAND_INS: dict[str, ProviderEntry] = {
    "alpha": provider("alpha", settings=AlphaSettings, build=build, guide=ALPHA_GUIDE),
    "beta": provider("beta", settings=BetaSettings, build=build),
}

VALID = """\
redis_url = ""

[workspaces.acme]
window_past_days = 7

[workspaces.acme.owners]
schedule = "a"

[workspaces.acme.connections.a]
provider = "alpha"
account_id = "12"
client_secret = "s3cret-of-alpha"
hosts = ["anna@acme.example"]

[workspaces.acme.connections.b-one]
provider = "beta"
api_key = "s3cret-of-beta"
"""
