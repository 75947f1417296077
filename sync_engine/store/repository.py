"""What all repositories share: the connection, and statements for many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import Insert

T = TypeVar("T")

CHUNK = 500
"""Parameters of one statement: well below SQLite's and PostgreSQL's limits, few statements to prepare."""


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut items into sequences that fit one statement."""
    everything = list(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


@lru_cache(maxsize=256)
def upsert(dialect: str, table: Table, keys: tuple[str, ...], kept: tuple[str, ...] = ()) -> Insert:
    """Build the statement that inserts a row or overwrites the one with the same keys.

    ``kept``: columns that an existing row keeps. Built once: the statement is also the key of
    SQLAlchemy's cache.
    """
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in kept
    }
    if not changed:
        return statement.on_conflict_do_nothing(index_elements=list(keys))
    return statement.on_conflict_do_update(index_elements=list(keys), set_=changed)


class Repository:
    """Hold the connection of one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def _upsert(
        self,
        table: Table,
        rows: Iterable[Mapping[str, Any]],
        keys: tuple[str, ...] = ("id",),
        kept: tuple[str, ...] = (),
    ) -> None:
        """Write rows, the last one of each key, in the order of their keys.

        Two workers that write the same rows in different orders would deadlock on PostgreSQL.
        """
        by_key = {tuple(row[key] for key in keys): row for row in rows}
        if by_key:
            ordered = [by_key[key] for key in sorted(by_key)]
            self._connection.execute(upsert(self._dialect, table, keys, kept), ordered)

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._connection.execute(table.insert(), rows)
