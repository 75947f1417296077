"""Secrets that the configuration names instead of holding: ``file:/path`` and ``env:NAME``."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

_PLACEHOLDER = re.compile(r"\s*(?:\.\.\.|…|<[^<>]*>)?\s*")


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a field holds a secret, alone or inside a list, a table or an optional value."""
    return _holds_secret(field.annotation)


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def is_placeholder(value: object) -> bool:
    """Tell whether a text was never filled in: empty, dots, or words in angle brackets."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def fetch_secret(value: str, environ: Mapping[str, str], folder: Path) -> str:
    """Give the secret that a setting names, or the setting itself where it is the secret.

    A relative path starts at ``folder``; white space around a file's text is dropped.

    Raises:
        ValueError: the file or variable cannot be read; never says what is in it.
    """
    kind, separator, name = value.partition(":")
    if separator and kind == "file":
        try:
            return (folder / Path(name).expanduser()).read_text(encoding="utf-8").strip()
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "its folder is not known"
            raise ValueError(f"names the file {name}, which cannot be read: {reason}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"names the file {name}, which is not text in UTF-8") from error
    if separator and kind == "env":
        if name not in environ:
            raise ValueError(f"names the environment variable {name}, which is not set")
        return environ[name].strip()
    return value


def split_keys(text: str) -> tuple[str, ...]:
    """Give the keys of a setting that holds several, separated by commas or blanks."""
    return tuple(re.split(r"[,\s]+", text.strip(" \t\r\n,"))) if text.strip(" \t\r\n,") else ()


def check_keys(keys: Sequence[str]) -> None:
    """Refuse keys that cannot encrypt.

    Raises:
        ValueError: says how to make one; never shows what was given.
    """
    for key in keys:
        try:
            usable = len(base64.b64decode(key, altchars=b"-_", validate=True)) == 32
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must be keys of 32 bytes in URL-safe base64; sync-engine new-key prints one")
