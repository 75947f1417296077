"""Make a meeting of a record that belongs to none yet."""

from __future__ import annotations

from sync_engine.core.fields import is_invitation
from sync_engine.core.meeting import Meeting, Provenance, Visibility
from sync_engine.core.ports import Observation


def meeting_from(
    observation: Observation, meeting_id: str, workspace: str, connection: str, *, grows_twins: bool = False
) -> Meeting:
    """Build the canonical meeting a first record stands for; nothing is agreed with anybody yet.

    ``grows_twins``: the connection copies calendars, whose texts may be a conference system's invitation.
    """
    provenance = {
        name: Provenance(
            connection,
            observation.observed_at,
            1,
            derived=name in observation.derived
            or (grows_twins and is_invitation(name, observation.values[name])),
            machine=name in observation.machine,
        )
        for name, value in observation.values.items()
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
