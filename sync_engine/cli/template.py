"""The text of a fresh configuration file: commented, complete, and ready to be filled in."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from sync_engine.adapters.guide import Guide
from sync_engine.adapters.registry import ProviderEntry

_HEAD = """\
# Configuration of the meeting sync engine. docs/configuration.md explains every key.
#
# Any value can come from the environment instead: SYNC_ENGINE__ and the keys with __ between them, as in
# SYNC_ENGINE__DATABASE_URL. A secret may also be named: "file:/run/secrets/name" or "env:NAME".
# A line that begins with # shows a default; remove the # to change it.

# A relative file lies beside this one. For several processes: postgresql+psycopg://user:password@host/name
database_url = "sqlite:///sync-engine.db"
# Empty: the engine runs its own broker. Else redis://host:6379/0
redis_url = ""

[log]
# format = "auto"            # json | console; auto: columns in a terminal, JSON elsewhere
# level = "info"             # debug | info | warning | error
"""

_WORKSPACE = """
# A workspace is one tenant: its connections are kept in agreement.
[workspaces.{name}]
# Meetings from so many days ago to so many days ahead.
window_past_days = 30
window_future_days = 180
# Whose value wins where nothing else decides; the first one first.
precedence = {precedence}
# What a proven deletion does elsewhere: propagate | keep | ask
deletions = "propagate"
# What happens when two sides changed one field: decide (by owner, person and precedence) | ask
# conflicts = "decide"
# A run that would delete more than both of these at one connection waits for a person.
# guard_percent = 10
# guard_count = 5
# How long between two looks at every connection; webhooks are faster.
# poll_seconds = 300

# Per field, the connection whose value always wins, or "ask". Fields:
#   {fields}
[workspaces.{name}.owners]
# schedule = {first}
"""

# What a line of every connection needs said; an adapter's own keys speak through its guide.
_COMMON = {
    "webhook_secret": "checks that a webhook is genuine",
    "previous_webhook_secret": "accepted as well while you change webhook_secret",
    "base_url": "where the API is; plain http for this machine only",
    "writes": "what we may do there; [] only watches",
    "create": "which meetings born elsewhere are created there: always | virtual_without_link | never",
    "replace": "may a record of ours be made anew when it cannot be changed",
    "twin_grace_minutes": "wait so long for a copy to appear by itself; 0 does not wait",
    "share_private": "may private meetings leave this connection",
    "transcripts": "may transcripts be passed on",
    "timeout_seconds": "give up on a request after so long",
    "concurrency": "requests at the same time",
    "rates": "requests per second by category, if not the documented ones",
}


@dataclass(frozen=True, slots=True)
class NewConnection:
    """One connection of a fresh file, with the answers that are known already."""

    name: str
    provider: ProviderEntry
    answers: Mapping[str, str]


def render(workspace: str, connections: Sequence[NewConnection], fields: Sequence[str]) -> str:
    """Write a whole configuration; what has no answer is a placeholder in angle brackets."""
    names = [connection.name for connection in connections]
    parts = [
        _HEAD,
        _WORKSPACE.format(
            name=workspace,
            precedence=toml_value(names),
            fields="\n#   ".join(textwrap.wrap(", ".join(fields), 90)),
            first=toml_value(names[0] if names else ""),
        ),
        *(_connection(workspace, connection) for connection in connections),
    ]
    return "".join(parts)


def questions(entry: ProviderEntry) -> list[tuple[str, str, bool]]:
    """List what to ask for one connection: key, where its value is found, whether it may be skipped."""
    needed, optional, _ = _sorted_keys(entry)
    places = _guide(entry).keys
    return [(key, places.get(key, ""), False) for key in needed] + [
        (key, places.get(key, ""), True) for key in optional
    ]


def toml_value(value: Any) -> str:
    """Write a plain value as TOML."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_value(str(key))} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(toml_value(each) for each in value)}]"
    # JSON and TOML write these alike, but for one control character that TOML wants escaped.
    return json.dumps("" if value is None else value, ensure_ascii=False, default=str).replace(
        "\x7f", "\\u007f"
    )


def _guide(entry: ProviderEntry) -> Guide:
    return entry.guide or Guide(title=entry.name, connection=entry.name, steps=())


def _sorted_keys(entry: ProviderEntry) -> tuple[list[str], list[str], list[str]]:
    """Sort a connection's keys: to be filled in, worth asking for, the rest."""
    guide = _guide(entry)
    fields = {name: info for name, info in entry.settings.model_fields.items() if name != "provider"}
    needed = [name for name, info in fields.items() if info.is_required() or name in guide.needed]
    optional = [name for name in fields if name in guide.keys and name not in needed]
    return needed, optional, [name for name in fields if name not in {*needed, *optional}]


def _connection(workspace: str, connection: NewConnection) -> str:
    entry = connection.provider
    guide = _guide(entry)
    needed, optional, rest = _sorted_keys(entry)
    fields = entry.settings.model_fields
    lines = ["", *_set_up(guide, workspace, connection.name)]
    lines += [
        f"[workspaces.{workspace}.connections.{connection.name}]",
        f"provider = {toml_value(entry.name)}",
    ]
    for key in needed:
        lines += _explained(key, guide, fields[key])
        lines.append(_filled(key, connection.answers, f"<{key.replace('_', ' ')}>"))
    for key in optional:
        lines += _explained(key, guide, fields[key])
        known = key in connection.answers
        lines.append(
            _filled(key, connection.answers, "") if known else f'# {key} = "<{key.replace("_", " ")}>"'
        )
    lines += [_default(key, guide, fields[key]) for key in rest]
    return "\n".join(lines) + "\n"


def _set_up(guide: Guide, workspace: str, connection: str) -> list[str]:
    lines = [f"# {guide.title}: what to do there"]
    for number, step in enumerate(guide.steps, start=1):
        text = step.replace("{workspace}", workspace).replace("{connection}", connection)
        lines += textwrap.wrap(
            text, 100, initial_indent=f"#  {number}. ", subsequent_indent="#     ", break_on_hyphens=False
        )
    if guide.scopes:
        lines += ["#  Scopes:", *(f"#     {scope}" for scope in guide.scopes)]
    if guide.optional_scopes:
        listed = (f"#     {scope} ({purpose})" for scope, purpose in guide.optional_scopes.items())
        lines += ["#  Further scopes, only if wanted:", *listed]
    return lines


def _explained(key: str, guide: Guide, info: FieldInfo) -> list[str]:
    text = guide.keys.get(key) or info.description or _COMMON.get(key, "")
    return [f"# {text}"] if text else []


def _filled(key: str, answers: Mapping[str, str], otherwise: str) -> str:
    return f"{key} = {toml_value(answers.get(key, otherwise))}"


def _default(key: str, guide: Guide, info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True, validated_data={})
    line = f"# {key} = {toml_value(value)}"
    text = guide.explained.get(key) or info.description or _COMMON.get(key, "")
    return f"{line:<46} # {text}" if text else line
