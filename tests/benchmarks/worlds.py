"""The worlds that are measured, each served by a process of its own: its work is not counted as ours."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.world import CalendarEvent, World

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
WORKSPACE = "bench"
PAST_DAYS, FUTURE_DAYS = 30, 180
HOSTS = [f"host{number}@acme.example" for number in range(20)]
PROSPECTS = [f"prospect{number}@candidates.example.com" for number in range(200)]
GUESTS = [f"guest{number}@customer{number % 40}.example" for number in range(600)]
PER_SERIES = 50
TOPICS = ("Kick-off", "Interview", "Review", "Planning", "Demo", "Retrospective", "Screening", "Offer")
AGENDA = "What we want to decide, who prepares what, and where the notes of the last time are. " * 2

UNLIMITED = (
    "rates = { light = 1e6, medium = 1e6, heavy = 1e6, read = 1e6, write = 1e6, search = 1e6, all = 1e6 }"
)


@dataclass(frozen=True)
class Booking:
    """One meeting as its people would describe it."""

    number: int
    title: str
    start: datetime
    minutes: int
    host: str
    guests: tuple[str, ...]
    prospect: str

    @property
    def end(self) -> datetime:
        return self.start + timedelta(minutes=self.minutes)

    @property
    def everyone(self) -> tuple[str, ...]:
        return (*self.guests, self.prospect)


def bookings(number: int, seed: int = 7) -> list[Booking]:
    """Plan meetings over the whole window, at quarters of hours of working days, as teams do."""
    chance = random.Random(seed)
    # Nothing stands at the very edges of the window, where a moment decides whether it is seen.
    days = range(-PAST_DAYS + 2, FUTURE_DAYS - 2)
    return [
        Booking(
            number=index,
            title=f"{chance.choice(TOPICS)} {index}",
            start=NOW + timedelta(days=chance.choice(days), minutes=15 * chance.randrange(1, 36)),
            minutes=chance.choice((30, 45, 60)),
            host=HOSTS[index % len(HOSTS)],
            guests=tuple(chance.sample(GUESTS, 4)),
            prospect=chance.choice(PROSPECTS),
        )
        for index in range(number)
    ]


def timeline(world: World, number: int) -> Callable[[int], None]:
    """Meetings that only one connection knows, whose list shows everything."""
    made = [_at_attio(world, booking) for booking in bookings(number)]

    def change(how_many: int) -> None:
        for meeting_id, booking in zip(made[:how_many], bookings(number), strict=False):
            world.attio.people.move(meeting_id, booking.start + timedelta(minutes=5))

    return change


def zoom_singles(world: World, number: int) -> Callable[[int], None]:
    """Single Zoom meetings: the list hides who is invited, so that each costs a read of its own."""
    made = [
        world.zoom.people.book(
            b.host, b.title, b.start, b.minutes, zone="Europe/Berlin", agenda=AGENDA, invitees=b.everyone
        )
        for b in bookings(number)
    ]

    def change(how_many: int) -> None:
        for meeting_id, booking in zip(made[:how_many], bookings(number), strict=False):
            world.zoom.people.move(meeting_id, booking.start + timedelta(minutes=5))

    return change


def everywhere(world: World, number: int) -> Callable[[int], None]:
    """Every meeting stands wherever it can: Zoom series, their calendar copies, what is over, the CRM."""
    made: list[str] = []
    people = bookings(number)
    prospects = dict(zip(PROSPECTS, _prospect_ids(world), strict=True))
    for first in range(0, number, PER_SERIES):
        _everywhere_one_series(world, people[first : first + PER_SERIES], prospects, made)
    world.clock.advance(timedelta(minutes=1))
    world.attio.settle()
    world.lightfield.settle()

    def change(how_many: int) -> None:
        left = how_many
        for series in made:
            for occurrence, start in world.zoom.people.occurrences(series)[:left]:
                world.zoom.people.move_occurrence(series, occurrence, start + timedelta(minutes=5))
                left -= 1

    return change


def _everywhere_one_series(
    world: World, some: list[Booking], prospects: dict[str, str], made: list[str]
) -> None:
    lead = some[0]
    # Two dates of one series never fall on one moment, as the bookings of a batch may.
    starts = sorted({booking.start for booking in some})
    while len(starts) < len(some):
        starts = sorted({*starts, starts[-1] - timedelta(minutes=7 * (len(some) - len(starts)))})
    people = world.zoom.people
    series = people.book_occurrences(
        lead.host, lead.title, starts, lead.minutes, "Europe/Berlin", agenda=AGENDA, invitees=lead.everyone
    )
    link = f"https://zoom.us/j/{series}"
    made.append(series)
    for start in starts:
        event = CalendarEvent(
            f"{series}-{start:%Y%m%d%H%M}@zoom.us",
            lead.title,
            AGENDA,
            start,
            start + timedelta(minutes=lead.minutes),
            "Europe/Berlin",
            lead.host,
            lead.everyone,
            link,
        )
        world.attio.on_calendar_event(event)
        if event.end <= NOW:
            # What the engine itself would have made there: Lightfield takes meetings once they are over.
            world.lightfield.on_calendar_event(event)
        world.prospect_crm.people.book(prospects[lead.prospect], start, "Europe/Berlin", location=link)


def _at_attio(world: World, booking: Booking) -> str:
    return world.attio.people.book(
        booking.title,
        booking.start,
        booking.end,
        zone="Europe/Berlin",
        organizer=booking.host,
        attendees=booking.everyone,
        description=AGENDA,
    )


def _prospect_ids(world: World) -> list[str]:
    return [world.prospect_crm.add_prospect(e.split("@")[0], "Candidate", e) for e in PROSPECTS]


def backlog(world: World, number: int) -> Callable[[int], None]:
    """Past dates of one Zoom series, which Attio and Lightfield do not have yet; real time runs."""
    first = world.clock.now() - timedelta(days=2)
    starts = [first - timedelta(minutes=30 * index) for index in range(number)]
    series = world.zoom.people.book_occurrences(HOSTS[0], "Stand-up", starts, 15, "UTC", invitees=GUESTS[:3])

    def change(_: int) -> None:
        world.zoom.people.rename(series, "Daily")

    return change


WORLDS: dict[str, Callable[[World, int], Callable[[int], None]]] = {
    "timeline": timeline,
    "zoom singles": zoom_singles,
    "everywhere": everywhere,
    "backlog": backlog,
}


def _serve(channel: Connection, kind: str, number: int) -> None:
    """Serve one world until told to end; the process's whole life."""
    is_timed = kind == "backlog"
    world = World(seed=number, start=None if is_timed else NOW)
    _limit(world, is_timed)
    world.zoom.host_daily_cap = None
    world.attio.calendar_sync_delay = timedelta(seconds=30)
    world.lightfield.calendar_sync_delay = timedelta(seconds=30)
    for host in HOSTS:
        world.zoom.add_host(host)
    owner = world.prospect_crm.add_user("Recruiter", "recruiter@acme.example")
    with world:
        change = WORLDS[kind](world, number)
        if kind != "everywhere":
            _prospect_ids(world)
        channel.send(None if is_timed else world.clock.now())
        answers: dict[str, Callable[[Any], Any]] = {
            "configuration": lambda given: _configuration(world, owner, given),
            "requests": lambda _: {s.name: dict(s.requests) for s in world.sandboxes},
            "records": lambda _: {s.name: _living(s) for s in world.sandboxes},
            "forget": lambda _: _forget(world),
            "change": change,
            "refused": lambda _: {
                s.name: sum(status == 429 for *_, status in s.log) for s in world.sandboxes
            },
        }
        while True:
            question, given = channel.recv()
            if question == "end":
                return
            channel.send(answers[question](given))


def _limit(world: World, limited: bool) -> None:
    for sandbox in (world.zoom, world.attio, world.lightfield, world.prospect_crm):
        sandbox.rate_limits = limited


def _living(sandbox: Any) -> int:
    return sum(not record["deleted"] for record in sandbox.records())


def _forget(world: World) -> None:
    for sandbox in world.sandboxes:
        sandbox.reset_counters()


def _configuration(world: World, owner: str, given: dict[str, Any]) -> str:
    writes = "" if given.get("writes", True) else "writes = []\n"
    lines = given.get("lines", UNLIMITED) + "\n" + writes
    return configuration_of(
        world,
        workspace=WORKSPACE,
        database_url=f"sqlite:///{given['database']}",
        default_host=HOSTS[0],
        default_owner_id=owner,
        twin_grace_minutes=0,
        extra={
            "workspace": f"window_past_days = {PAST_DAYS}\nwindow_future_days = {FUTURE_DAYS}",
            "zoom": lines,
            "attio": lines,
            "lightfield": lines,
            "prospects": lines + "per_hour = 0\n",
        },
    )


@dataclass
class ServedWorld:
    """A world in another process; ``frozen`` is the time there, None where real time runs."""

    channel: Connection
    frozen: datetime | None

    def now(self) -> datetime:
        """Tell the world's time."""
        return self.frozen or datetime.now(UTC)

    def ask(self, question: str, given: Any = None) -> Any:
        """Ask the other process and give its answer."""
        self.channel.send((question, given))
        return self.channel.recv()


@contextmanager
def served(kind: str, number: int) -> Iterator[ServedWorld]:
    """Serve a world of one kind with so many meetings."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, kind, number), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ServedWorld(ours, ours.recv())
    finally:
        with suppress(OSError):
            ours.send(("end", None))
        process.join(timeout=15)
        if process.is_alive():
            process.terminate()
