"""Nothing waits without need, nobody is mailed, and the log gives nothing away."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.case import Case
from tests.simulation.ledger import TOKEN

EDITS_OF_A_LOOP = 2


def nothing_waits_without_need(case: Case) -> Iterator[str]:
    """Faults that have passed leave nothing parked, quarantined or frozen for a person."""
    for row in case.says.parked:
        if row.decision_id is None:
            yield f"parked without need: {row.operation} at {row.connection_id}: {row.last_error}"
    live = {seen.key for records in case.groups.values() for seen in records if seen.live}
    for connection, external_id in sorted(case.says.quarantined & live):
        yield f"still set aside: {connection}/{external_id[-8:]}"
    for connection, external_id in sorted(case.says.reviews & case.says.refs.keys()):
        yield f"a person is asked about a record that is known: {connection}/{external_id[-8:]}"
    if case.stage.mood.conflicts == "ask":
        return
    for (connection, external_id), ref in case.says.refs.items():
        for name in ref.ref.frozen:
            yield f"frozen without being asked for: {name.value} at {connection}/{external_id[-8:]}"


def no_guest_was_mailed(case: Case) -> Iterator[str]:
    """What we do at Zoom mails nobody."""
    if case.stage.mails:
        yield f"{case.stage.mails} mails were sent"


def the_log_tells_no_secret(case: Case) -> Iterator[str]:
    """No title, address, note or secret stands in what was logged."""
    log, world = case.stage.log.getvalue(), case.stage.world
    if "@" in log:
        where = log.index("@")
        yield f"an address in the log: ...{log[max(0, where - 80) : where + 20]}"
    found = TOKEN.search(log)
    if found:
        yield f"people's words in the log: ...{log[max(0, found.start() - 80) : found.end() + 20]}"
    for name, secret in {
        "client secret": world.zoom.client_secret, "Attio token": world.attio.token,
        "Lightfield key": world.lightfield.token, "CRM key": world.prospect_crm.token, "passcode": "pwd=",
    }.items():  # fmt: skip
        if secret in log:
            yield f"the log tells the {name}"
