"""Make a meeting of a record that belongs to none yet."""

from __future__ import annotations

from sync_engine.core.meeting import Meeting, Provenance, Visibility
from sync_engine.core.ports import Observation


def meeting_from(observation: Observation, meeting_id: str, workspace: str, connection: str) -> Meeting:
    """Build the canonical meeting a first record stands for; nothing is agreed with anybody yet."""
    provenance = {
        name: Provenance(
            connection,
            observation.observed_at,
            1,
            derived=name in observation.derived,
            machine=name in observation.machine,
        )
        for name in observation.values
    }
    return Meeting(
        meeting_id,
        workspace,
        1,
        dict(observation.values),
        provenance,
        visibility=Visibility.PRIVATE if observation.private else Visibility.OPEN,
        series=observation.series,
        origin=connection,
    )
