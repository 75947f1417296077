"""Addresses of the database and of the broker: which forms are accepted."""

from __future__ import annotations

import re
from pathlib import Path

_DATABASES = ("sqlite", "postgresql+psycopg")
_BROKERS = ("redis", "rediss", "redis+socket")
_SQLITE_FILE = re.compile(r"sqlite:///(?P<path>[^?]*)(?P<query>\?.*)?")
_PASSWORD = re.compile(r"(?<=:)[^:@/]*(?=@)")


def correct_database_url(url: str) -> str:
    """Give the address with the driver we use; providers of databases hand out shorter forms.

    Raises:
        ValueError: another database, or another driver; says which are supported.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg://{rest}"
    if separator and scheme.startswith("postgresql+") and scheme not in _DATABASES:
        raise ValueError(f"the driver of {scheme} is not supported; begin it with postgresql+psycopg://")
    if not separator or scheme not in _DATABASES:
        raise ValueError(
            "is not a database we can use; write sqlite:///sync-engine.db or postgresql+psycopg://user@host/name"
        )
    return url


def anchor_sqlite(url: str, folder: Path) -> str:
    """Make a relative SQLite file relative to the configuration's folder, not to where we were started."""
    match = _SQLITE_FILE.fullmatch(url)
    path = match["path"] if match else ""
    if match is None or path in {"", ":memory:"} or path.startswith(("/", "file:")):
        return url
    return f"sqlite:///{folder / path}{match['query'] or ''}"


def check_broker_url(url: str) -> str:
    """Accept an empty address, which means the embedded broker, or one of a Redis."""
    scheme, separator, _ = url.partition("://")
    if url and (not separator or scheme not in _BROKERS):
        raise ValueError(
            "is not the address of a Redis; write redis://host:6379/0, or leave it empty to use our own"
        )
    return url


def without_password(url: str) -> str:
    """Give an address as it may be shown."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    # A password may itself hold an @ that nobody escaped; the last one ends it.
    login, at, host = authority.rpartition("@")
    user, colon, _ = login.partition(":")
    shown = f"{user}{colon}{'***' if colon else ''}{at}{host}"
    return f"{scheme}{separator}{shown}{slash}{path}" if separator else url
