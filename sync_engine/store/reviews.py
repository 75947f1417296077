"""Match reviews: records of which a person has to say which meeting they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sync_engine.core.ports import Observation
from sync_engine.store import codec
from sync_engine.store.repository import Repository, chunks
from sync_engine.store.tables import match_reviews


class ReviewState(StrEnum):
    """What a person said: it is that meeting, it is one of its own, or leave it alone."""

    OPEN = "open"
    LINKED = "linked"
    SEPARATE = "separate"
    IGNORED = "ignored"


@dataclass(slots=True)
class ReviewRow:
    """One record that matches too well to be new and not well enough to be linked.

    ``candidates``: JSON objects with ``meeting_id``, score and evidence. ``meeting_id``: the one chosen.
    """

    id: str
    workspace: str
    connection_id: str
    external_id: str
    observation: Observation
    candidates: Sequence[Mapping[str, Any]]
    raised_at: datetime
    fingerprint: str = ""
    state: ReviewState = ReviewState.OPEN
    meeting_id: str | None = None
    decided_at: datetime | None = None


class Reviews(Repository):
    """Find and keep match reviews; one per record."""

    def save(self, rows: Sequence[ReviewRow]) -> None:
        """Write reviews; a record that already has one keeps that one's id and age."""
        self._upsert(
            match_reviews,
            [_to_row(row) for row in rows],
            ("connection_id", "external_id"),
            kept=("id", "raised_at"),
        )

    def known(self, connection_id: str, external_ids: Collection[str]) -> dict[str, ReviewRow]:
        """Load the reviews of these records, decided ones too, by external id."""
        found: dict[str, ReviewRow] = {}
        for part in chunks(sorted(set(external_ids))):
            query = sa.select(match_reviews).where(
                match_reviews.c.connection_id == connection_id, match_reviews.c.external_id.in_(part)
            )
            found.update((row.external_id, row) for row in self._rows(query))
        return found

    def get(self, review_id: str) -> ReviewRow | None:
        """Load one review."""
        rows = self._rows(sa.select(match_reviews).where(match_reviews.c.id == review_id))
        return rows[0] if rows else None

    def open_of_workspace(self, workspace: str, limit: int = 500) -> list[ReviewRow]:
        """List what waits for a person, oldest first."""
        query = _open(workspace).order_by(match_reviews.c.id).limit(limit)
        return self._rows(query)

    def count_open(self, workspace: str) -> int:
        """Count what waits for a person."""
        query = sa.select(sa.func.count()).select_from(_open(workspace).subquery())
        return int(self._connection.execute(query).scalar_one())

    def decide(
        self, review_id: str, state: ReviewState, now: datetime, meeting_id: str | None = None
    ) -> bool:
        """Keep a person's answer; False if the review had been decided already."""
        statement = (
            sa.update(match_reviews)
            .where(match_reviews.c.id == review_id, match_reviews.c.state == ReviewState.OPEN.value)
            .values(state=state.value, meeting_id=meeting_id, decided_at=now)
            .returning(match_reviews.c.id)
        )
        return self._connection.execute(statement).first() is not None

    def withdraw(self, connection_id: str, external_ids: Collection[str]) -> None:
        """Drop open questions that answered themselves: the record is gone, or was linked otherwise."""
        for part in chunks(sorted(set(external_ids))):
            self._connection.execute(
                sa.delete(match_reviews).where(
                    match_reviews.c.connection_id == connection_id,
                    match_reviews.c.external_id.in_(part),
                    match_reviews.c.state == ReviewState.OPEN.value,
                )
            )

    def _rows(self, query: sa.Select[Any]) -> list[ReviewRow]:
        return [_from_row(row) for row in self._connection.execute(query).mappings()]


def _open(workspace: str) -> sa.Select[Any]:
    return sa.select(match_reviews).where(
        match_reviews.c.workspace == workspace, match_reviews.c.state == ReviewState.OPEN.value
    )


def _to_row(row: ReviewRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "workspace": row.workspace,
        "connection_id": row.connection_id,
        "external_id": row.external_id,
        "state": row.state.value,
        "raised_at": row.raised_at,
        "decided_at": row.decided_at,
        "meeting_id": row.meeting_id,
        "fingerprint": row.fingerprint,
        "observation": codec.observation_to_json(row.observation),
        "candidates": [dict(candidate) for candidate in row.candidates],
    }


def _from_row(data: sa.RowMapping) -> ReviewRow:
    return ReviewRow(
        id=data["id"],
        workspace=data["workspace"],
        connection_id=data["connection_id"],
        external_id=data["external_id"],
        observation=codec.observation_from_json(data["observation"]),
        candidates=data["candidates"],
        raised_at=data["raised_at"],
        fingerprint=data["fingerprint"],
        state=ReviewState(data["state"]),
        meeting_id=data["meeting_id"],
        decided_at=data["decided_at"],
    )
