"""Whether the account has the tracking field that can carry our mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sync_engine.adapters.zoom.answers import MISSING_SCOPE
from sync_engine.adapters.zoom.client import ZoomClient
from sync_engine.adapters.zoom.mapping import MARK_FIELD
from sync_engine.adapters.zoom.schemas import TrackingField
from sync_engine.core.ports import Json
from sync_engine.errors import CredentialsError, RecordGoneError, RefusedError

_REMEMBERED = "has_sync_ref"


class Tracking:
    """Learn once, and remember, whether a tracking field ``sync_ref`` exists."""

    def __init__(self, client: ZoomClient, memory: Mapping[str, Json]) -> None:
        self._client = client
        known = memory.get(_REMEMBERED)
        self._exists: bool | None = known if isinstance(known, bool) else None

    @property
    def memory(self) -> dict[str, Json]:
        """Give what was learned."""
        return {} if self._exists is None else {_REMEMBERED: self._exists}

    async def is_available(self) -> bool:
        """Tell whether meetings can carry our mark."""
        if self._exists is None:
            await self.learn()
        return bool(self._exists)

    def forget(self) -> None:
        """Learn it anew next time: Zoom did not take a mark."""
        self._exists = None

    async def learn(self) -> Sequence[TrackingField]:
        """Read the account's tracking fields; none where its plan or the app's scopes do not show them."""
        try:
            fields = await self._client.list_tracking_fields()
        except CredentialsError as error:
            if error.code not in MISSING_SCOPE:
                raise
            fields = ()
        except (RefusedError, RecordGoneError):
            fields = ()
        self._exists = any(field.field == MARK_FIELD for field in fields)
        return fields
