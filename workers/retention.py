"""Translate the retention settings into spans of time."""

from __future__ import annotations

from datetime import timedelta

from sync_engine.services.maintain import Retention
from sync_engine.settings import RetentionSettings


def retention_of(chosen: RetentionSettings) -> Retention:
    """Give how long what is over is kept."""
    return Retention(
        journal=timedelta(days=chosen.journal_days),
        outbox=timedelta(days=chosen.outbox_days),
        inbox=timedelta(days=chosen.inbox_days),
        runs=timedelta(days=chosen.runs_days),
        quotas=timedelta(days=chosen.quotas_days),
    )
