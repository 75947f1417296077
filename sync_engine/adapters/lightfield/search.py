"""Recognise the record a create of ours has made, when its answer was lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from sync_engine.adapters.lightfield.mapping import DESCRIPTION, END, START, TITLE, URL
from sync_engine.core.ports import Json, Observation, Sealed

# Their clock may be behind ours by this much.
SKEW = timedelta(minutes=5)


class Search:
    """Hold what the record must look like; it was created after ``since``."""

    def __init__(self, sealed: Sealed) -> None:
        self.meeting_id = str(sealed.details["meeting_id"])
        self.since = datetime.fromisoformat(str(sealed.details["since"])) - SKEW
        self._replaces = sealed.details.get("replaces")
        sent = json.loads(sealed.body or "{}")
        self._fields: Mapping[str, Json] = sent.get("fields", {})

    def is_candidate(self, row: Mapping[str, Json]) -> bool:
        """Tell whether a listed row is worth reading: new, with the same time or with our mark."""
        if row.get("id") == self._replaces or not self._is_new(row):
            return False
        return self._same_time(row) or self.meeting_id in str(_shown(row, DESCRIPTION) or "")

    def is_it(self, row: Mapping[str, Json], observation: Observation) -> bool:
        """Tell whether a record is the one: by our mark, else by time, title and URL together.

        A mark of another meeting excludes it, and so does a title that this key is not shown.
        """
        if observation.marks:
            return self.meeting_id in observation.marks
        return self._same_time(row) and all(
            (_shown(row, key) or None) == (self._fields.get(key) or None) for key in (TITLE, URL)
        )

    def _is_new(self, row: Mapping[str, Json]) -> bool:
        try:
            return datetime.fromisoformat(row["createdAt"]) >= self.since
        except (KeyError, TypeError, ValueError):
            return False

    def _same_time(self, row: Mapping[str, Json]) -> bool:
        return all(_same_moment(_shown(row, key), self._fields.get(key)) for key in (START, END))


def _shown(row: Mapping[str, Json], key: str) -> Json:
    try:
        return row["fields"][key]["value"]
    except (KeyError, TypeError):
        return None


def _same_moment(one: Json, other: Json) -> bool:
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return False
