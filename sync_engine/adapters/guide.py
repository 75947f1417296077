"""What a person has to do at a provider before a connection works, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Guide:
    """Lead a person through a provider's own settings pages.

    ``connection``: the name the connection gets in a fresh configuration. ``steps``: where to click, one
    sentence each; ``{workspace}`` and ``{connection}`` stand for their names. ``scopes``: the permissions
    to tick there. ``optional_scopes``: further ones, each with what it is for. ``keys``: for a settings
    key, where its value is found; init asks for each of them. ``needed``: those among them that have a
    default and are filled in nevertheless. ``explained``: what further keys of the adapter do.
    """

    title: str
    connection: str
    steps: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    optional_scopes: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    explained: Mapping[str, str] = field(default_factory=dict)
