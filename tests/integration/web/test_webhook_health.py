"""What a sweep repairs is counted as missed, and how often to sweep follows from it."""

from __future__ import annotations

from datetime import timedelta

from sync_engine.services.webhook_health import LONGEST, next_sweep_due
from sync_engine.store.connections import ConnectionRow
from tests.integration.web.bench import Door, deliver, taken
from tests.lab import JANE, MONDAY, Lab


def _row(lab: Lab, connection: str = "acme/zoom") -> ConnectionRow:
    with lab.engine.store.reading() as uow:
        row = uow.connections.get(connection)
    assert row is not None
    return row


async def test_what_no_delivery_told_is_missed_and_shortens_the_interval(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=3))

    await lab.sync()

    row = _row(lab)
    assert (row.missed, row.poll_seconds) == (1, lab.tenant.poll.total_seconds() / 2)
    assert next_sweep_due(row, lab.tenant, lab.engine.now()) == lab.engine.now() + lab.tenant.poll / 2


async def test_a_deletion_no_delivery_told_is_missed_too(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()

    lab.world.zoom.people.cancel(number)
    await lab.sync()

    assert _row(lab).missed == 1


async def test_what_a_delivery_told_is_not_missed_even_while_it_waits(lab: Lab, door: Door) -> None:
    starts = [MONDAY + timedelta(days=day) for day in (1, 2)]
    series = lab.world.zoom.people.book_occurrences(lab.host, "Standup", starts, 15, invitees=[JANE])
    number = lab.book()
    await lab.settle()
    taken(lab)
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=3))
    lab.world.zoom.people.rename(series, "Daily")

    door.post_all(taken(lab))
    await lab.sync()

    assert _row(lab).missed == 0


async def test_our_own_writes_are_never_missed(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    lab.world.prospect_crm.people.move(lab.one(lab.world.prospect_crm)["id"], MONDAY + timedelta(days=4))

    await lab.settle()
    await lab.sync()

    assert _row(lab).missed == 0


async def test_a_first_load_misses_nothing(lab: Lab) -> None:
    for days in (1, 2, 3):
        lab.book(days=days)

    await lab.settle()

    assert _row(lab).missed == 0


async def test_a_side_without_webhooks_of_meetings_is_not_measured_by_them(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    lab.world.prospect_crm.people.move(lab.one(lab.world.prospect_crm)["id"], MONDAY + timedelta(days=4))

    await lab.sync()

    row = _row(lab, "acme/prospects")
    assert (row.missed, row.poll_seconds) == (0, None)


async def test_deliveries_that_tell_everything_lengthen_the_interval_within_limits(
    lab: Lab, door: Door
) -> None:
    number = lab.book()
    await lab.settle()
    usual = lab.tenant.poll.total_seconds()
    intervals = []
    for day in range(2, 10):
        lab.pass_time(minutes=5)
        lab.world.zoom.people.move(number, MONDAY + timedelta(days=day))
        await deliver(lab, door)
        await lab.sync()
        intervals.append(_row(lab).poll_seconds)

    assert intervals[0] == usual * 1.5
    assert intervals == sorted(intervals)  # type: ignore[type-var]
    assert intervals[-1] == min(LONGEST, usual * 4)


async def test_misses_shorten_the_interval_no_further_than_its_limit(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    for day in range(2, 9):
        lab.world.zoom.people.move(number, MONDAY + timedelta(days=day))
        await lab.sync()
        lab.pass_time(minutes=5)

    row = _row(lab)
    assert (row.missed, row.poll_seconds) == (7, lab.tenant.poll.total_seconds() / 8)


async def test_a_quiet_connection_goes_back_to_its_configured_interval(lab: Lab) -> None:
    number = lab.book()
    await lab.settle()
    lab.world.zoom.people.move(number, MONDAY + timedelta(days=3))
    await lab.settle()

    for _ in range(6):
        lab.pass_time(minutes=5)
        await lab.sync()

    assert _row(lab).poll_seconds == lab.tenant.poll.total_seconds()
