"""What Lightfield's trash lists: the one proof that a meeting was deleted rather than hidden."""

from __future__ import annotations

from sync_engine.adapters.lightfield.answers import ForbiddenError
from sync_engine.adapters.lightfield.client import LightfieldClient, ListPage
from sync_engine.adapters.lightfield.listing import Walk
from sync_engine.adapters.lightfield.schemas import KeyFacts
from sync_engine.errors import RefusedError

RIGHT = "meetings:restore"


def ids_of(page: ListPage) -> list[str]:
    """Give the ids of the rows that have one."""
    return [
        row["id"]
        for row in page.rows
        if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]
    ]


class Trash:
    """Read the trash at most once between two calls of ``forget``."""

    def __init__(self, client: LightfieldClient) -> None:
        self._client = client
        self._allowed = True
        self._ids: frozenset[str] | None = None
        self._is_read = False

    @property
    def is_readable(self) -> bool:
        """Tell whether the trash was read in full since the last ``forget``: what it lacks is not in it."""
        return self._is_read

    def learn(self, key: KeyFacts) -> None:
        """Hear what the key may do, so that a listing it may not see is not asked for."""
        self._allowed = key.allows(RIGHT)

    def forget(self) -> None:
        """Drop what was read; the next question reads again."""
        self._ids = None
        self._is_read = False

    async def holds(self, external_id: str) -> bool:
        """Tell whether the trash surely holds a record; False also where nobody can know."""
        if not self._allowed:
            return False
        if self._ids is None:
            self._ids = await self._read()
        return external_id in self._ids

    async def _read(self) -> frozenset[str]:
        try:
            page = await self._client.list_meetings(0, trashed=True)
        except ForbiddenError:
            self._allowed = False
            return frozenset()
        except RefusedError:
            return frozenset()
        # An API that does not know the filter ignores it and lists what is not deleted at all.
        active = set(ids_of(await self._client.list_meetings(0))) if page.rows else set()
        if active & set(ids_of(page)):
            return frozenset()
        found: set[str] = set()
        walk = Walk()
        while True:
            found |= walk.take(ids_of(page), len(page.rows), page.total)
            if walk.is_finished:
                # An empty trash may just as well be a filter nobody knows; it proves nothing.
                self._is_read = bool(found)
                return frozenset(found)
            page = await self._client.list_meetings(walk.offset, trashed=True)
