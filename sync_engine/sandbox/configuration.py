"""Write the configuration that connects an engine to a world's sandboxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync_engine.sandbox.world import World


def configuration_of(
    world: World,
    *,
    workspace: str = "acme",
    database_url: str = "sqlite:///sync-engine.db",
    default_host: str = "",
    default_owner_id: str = "",
    owner_map: Mapping[str, str] | None = None,
    twin_grace_minutes: float = 15,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Give a complete ``sync-engine.toml`` for a world that is being served.

    ``extra``: further lines per connection name, or ``workspace`` for the workspace itself.
    """
    more = dict(extra or {})
    owners = ", ".join(f'"{email}" = "{owner}"' for email, owner in (owner_map or {}).items())
    host = f'default_host = "{default_host}"\n' if default_host else ""
    at = f"workspaces.{workspace}"
    zoom, attio = world.zoom, world.attio
    return f"""\
database_url = "{database_url}"

[{at}]
precedence = ["zoom", "attio", "lightfield", "prospects"]
{more.get("workspace", "")}

[{at}.connections.zoom]
provider = "zoom"
base_url = "{zoom.url}"
auth_url = "{zoom.token_url}"
account_id = "{zoom.account_id}"
client_id = "{zoom.client_id}"
client_secret = "{zoom.client_secret}"
{host}{more.get("zoom", "")}

[{at}.connections.attio]
provider = "attio"
base_url = "{attio.url}"
access_token = "{attio.token}"
twin_grace_minutes = {twin_grace_minutes}
{more.get("attio", "")}

[{at}.connections.lightfield]
provider = "lightfield"
base_url = "{world.lightfield.url}"
api_key = "{world.lightfield.token}"
twin_grace_minutes = {twin_grace_minutes}
{more.get("lightfield", "")}

[{at}.connections.prospects]
provider = "prospect_crm"
base_url = "{world.prospect_crm.url}"
api_key = "{world.prospect_crm.token}"
default_owner_id = "{default_owner_id}"
owner_map = {{ {owners} }}
{more.get("prospects", "")}
"""
