"""Column types that behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pydantic_core
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
"""A JSON column; None is SQL NULL."""


class UtcDateTime(TypeDecorator[datetime]):
    """Store aware moments as UTC with microseconds and give them back aware.

    SQLite has no such type: there it is ISO text of constant width, which sorts as the moments do.
    A naive moment is refused: it would be another moment on every machine.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Give the conversion of a parameter."""
        return _to_text if dialect.name == "sqlite" else _to_utc

    def literal_processor(self, dialect: Dialect) -> Callable[[datetime], str]:
        """Give the conversion of a literal, for statements printed by a person."""
        return lambda moment: f"'{_to_text(moment)}'"

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Give the conversion of a result."""
        return _from_text if dialect.name == "sqlite" else _to_utc


def _to_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a stored moment must be aware")
    return moment.astimezone(UTC)


# One page of rows has few moments, over and over.
@lru_cache(maxsize=8192)
def _to_text(moment: datetime | None) -> str | None:
    aware = _to_utc(moment)
    return None if aware is None else aware.replace(tzinfo=None).isoformat(" ", "microseconds")


@lru_cache(maxsize=8192)
def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def dump_json(value: object) -> str:
    """Serialise for a JSON column: compact, and only what both databases accept."""
    try:
        text = pydantic_core.to_json(value, inf_nan_mode="null")
    except (UnicodeError, pydantic_core.PydanticSerializationError):
        text = pydantic_core.to_json(_storable(value), inf_nan_mode="null")
    if rb"\u0000" in text:
        text = pydantic_core.to_json(_storable(value), inf_nan_mode="null")
    return text.decode()


def load_json(text: str | bytes) -> Any:
    """Parse what a JSON column holds."""
    return pydantic_core.from_json(text, cache_strings="keys")


def storable_text(text: str) -> str:
    """Replace what no database stores: NUL characters, and halves of a pair left by a text cut in two."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _storable(value: object) -> object:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable_text(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(item) for item in value]
    return value
