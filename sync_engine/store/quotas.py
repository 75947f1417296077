"""Daily quotas, counted where all workers see them."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sync_engine.store.repository import Repository
from sync_engine.store.tables import quotas


class Quotas(Repository):
    """Count what was used of a quota per connection, scope (a host) and UTC day."""

    def add(self, connection_id: str, scope: str, day: date, amount: int = 1) -> int:
        """Count a use, whatever the limit; gives the new total. A negative amount gives something back."""
        used = self._add(connection_id, scope, day, amount, None)
        assert used is not None  # without a limit the statement always writes
        return used

    def take(self, connection_id: str, scope: str, day: date, *, limit: int, amount: int = 1) -> int | None:
        """Count a use only if the total stays within ``limit``; gives the new total, None if it would not."""
        if amount > limit:
            return None
        return self._add(connection_id, scope, day, amount, quotas.c.used + amount <= limit)

    def used(self, connection_id: str, scope: str, day: date) -> int:
        """Give what was used of one scope."""
        query = sa.select(quotas.c.used).where(
            quotas.c.connection_id == connection_id, quotas.c.scope == scope, quotas.c.day == day
        )
        return int(self._connection.execute(query).scalar_one_or_none() or 0)

    def of_day(self, connection_id: str, day: date) -> dict[str, int]:
        """Give what was used on a day, by scope."""
        query = sa.select(quotas.c.scope, quotas.c.used).where(
            quotas.c.connection_id == connection_id, quotas.c.day == day
        )
        return {row.scope: row.used for row in self._connection.execute(query.order_by(quotas.c.scope))}

    def correct(self, connection_id: str, scope: str, day: date, used: int) -> None:
        """Take over what the provider itself says was used."""
        row = {"connection_id": connection_id, "scope": scope, "day": day, "used": used}
        self._upsert(quotas, [row], ("connection_id", "scope", "day"))

    def prune(self, before: date) -> None:
        """Forget earlier days."""
        self._connection.execute(sa.delete(quotas).where(quotas.c.day < before))

    def _add(
        self,
        connection_id: str,
        scope: str,
        day: date,
        amount: int,
        allowed: sa.ColumnElement[bool] | None,
    ) -> int | None:
        insert = postgresql.insert if self._dialect == "postgresql" else sqlite.insert
        row: dict[str, Any] = {"connection_id": connection_id, "scope": scope, "day": day, "used": amount}
        statement = (
            insert(quotas)
            .values(row)
            .on_conflict_do_update(
                index_elements=["connection_id", "scope", "day"],
                set_={"used": quotas.c.used + amount},
                where=allowed,
            )
            .returning(quotas.c.used)
        )
        return self._connection.execute(statement).scalar_one_or_none()
