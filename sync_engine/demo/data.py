"""A week in the calendars of an invented recruiting and revenue team."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from sync_engine.sandbox.world import World

ZONE = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 16, tzinfo=ZONE)
WORKSPACE = "brightwater"

ZOOM, ATTIO, LIGHTFIELD, PROSPECTS = "zoom", "attio", "lightfield", "prospects"
TITLES: Mapping[str, str] = MappingProxyType(
    {ZOOM: "Zoom", ATTIO: "Attio", LIGHTFIELD: "Lightfield", PROSPECTS: "Prospect CRM"}
)

LENA, MARCO, PRIYA = "lena@brightwater.example", "marco@brightwater.example", "priya@brightwater.example"
TEAM = {LENA: ("Lena", "Vogt"), MARCO: ("Marco", "Ruiz"), PRIYA: ("Priya", "Nair")}

JONAS, AMARA, TOMAS = "jonas@keller.example", "amara@okafor.example", "tomas@silva.example"
WEI, SOFIA, DANIEL = "wei@chen.example", "sofia@lind.example", "daniel@brandt.example"
KNOWN = {
    JONAS: ("Jonas", "Keller"),
    AMARA: ("Amara", "Okafor"),
    TOMAS: ("Tomas", "Silva"),
    WEI: ("Wei", "Chen"),
    SOFIA: ("Sofia", "Lind"),
    DANIEL: ("Daniel", "Brandt"),
}
BUYER, BUYERS_ENGINEER, BUYERS_BOSS = "buyer@halden.example", "it@halden.example", "cfo@halden.example"


def at(day: int, clock: str) -> datetime:
    """Give a moment of the story: days after its Monday, and the wall clock of the team."""
    hour, minute = map(int, clock.split(":"))
    return (MONDAY + timedelta(days=day)).replace(hour=hour, minute=minute)


@dataclass(frozen=True)
class Booking:
    """One meeting somebody books at Zoom; ``weeks`` makes a weekly series of it."""

    key: str
    host: str
    title: str
    start: datetime
    minutes: int
    guests: tuple[str, ...] = ()
    agenda: str = ""
    weeks: int = 1


CARLA, INES, CLARA = "carla@lindqvist.example", "ines@fjordline.example", "clara@orchard.example"
OPS, FINANCE = "ops@tessera.example", "finance@tessera.example"
PRICES = "Bring the spring price list"

ZOOM_WEEK = (
    Booking("debrief", LENA, "Debrief: finance lead search", at(-3, "15:00"), 45, (CARLA,)),
    Booking("jonas", LENA, "Screening: Jonas Keller", at(0, "09:30"), 30, (JONAS,), "Motivation"),
    Booking("fjordline", MARCO, "Discovery: Fjordline Logistics", at(0, "11:00"), 45, (INES,)),
    Booking(
        "tessera", PRIYA, "Quarterly review: Tessera Labs", at(0, "14:00"), 60, (OPS, FINANCE), "Roadmap"
    ),
    Booking("amara", LENA, "Offer call: Amara Okafor", at(0, "16:30"), 30, (AMARA,)),
    Booking("demo", MARCO, "Product demo: Halden Foods", at(1, "10:00"), 60, (BUYER,), PRICES),
    Booking("panel", LENA, "Panel interview: Tomas Silva", at(1, "13:30"), 45, (TOMAS,), "Case study"),
    Booking("renewal", PRIYA, "Renewal: Orchard Clinics", at(1, "15:00"), 30, (CLARA,)),
    Booking("pipeline", MARCO, "Weekly pipeline review", at(2, "09:00"), 30, weeks=2),
    Booking("wei", LENA, "Screening: Wei Chen", at(2, "11:30"), 45, (WEI,)),
    Booking("contract", MARCO, "Contract: Fjordline Logistics", at(2, "15:30"), 60, (INES,)),
    Booking("workshop", PRIYA, "Onboarding: Tessera Labs", at(3, "10:00"), 90, (OPS,)),
    Booking("sofia", LENA, "Reference call: Sofia Lind", at(3, "14:00"), 30, (SOFIA,)),
    Booking("proposal", MARCO, "Proposal: Halden Foods", at(4, "09:30"), 45, (BUYER,)),
)


@dataclass
class Week:
    """What was booked: for each key of the story the connection and the id of the record there.

    ``users`` and ``prospects`` are ids at the CRM, by address.
    """

    records: dict[str, tuple[str, str]] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    prospects: dict[str, str] = field(default_factory=dict)

    def id_of(self, key: str) -> str:
        """Give the id of the record a story key was booked as."""
        return self.records[key][1]


def fill(world: World) -> Week:
    """Let the team book its week in the four systems, before any of them is connected."""
    week = Week()
    _introduce(world, week)
    for booking in ZOOM_WEEK:
        week.records[booking.key] = (ZOOM, _book(world, booking))
    _book_in_the_crm(world, week)
    _book_in_calendars(world, week)
    return week


def _introduce(world: World, week: Week) -> None:
    for email, (first, last) in TEAM.items():
        world.zoom.add_host(email, first_name=first, last_name=last, timezone=ZONE.key)
        world.attio.people.add_member(first, last, email)
        world.lightfield.people.add_member(email, first, last)
        week.users[email] = world.prospect_crm.add_user(f"{first} {last}", email)
    for email, (first, last) in KNOWN.items():
        week.prospects[email] = world.prospect_crm.add_prospect(first, last, email)


def _book(world: World, booking: Booking) -> str:
    people, guests = world.zoom.people, booking.guests
    if booking.weeks == 1:
        return people.book(
            booking.host, booking.title, booking.start, booking.minutes,
            zone=ZONE.key, agenda=booking.agenda, invitees=guests,
        )  # fmt: skip
    # Days of the week count from Sunday = 1 at Zoom.
    weekday = str(booking.start.isoweekday() % 7 + 1)
    rule = {"type": 2, "repeat_interval": 1, "weekly_days": weekday, "end_times": booking.weeks}
    return people.book_series(
        booking.host, booking.title, booking.start, booking.minutes, rule,
        zone=ZONE.key, agenda=booking.agenda, invitees=guests,
    )  # fmt: skip


def _book_in_the_crm(world: World, week: Week) -> None:
    people, lena = world.prospect_crm.people, week.users[LENA]
    phone = people.book(
        week.prospects[DANIEL],
        at(1, "16:00"),
        ZONE.key,
        "phone",
        lena,
        notes="Prefers mornings from March on",
    )
    visit = people.book(
        week.prospects[JONAS], at(3, "16:30"), ZONE.key, "in-person", lena, location="Office, room 2"
    )
    week.records |= {"phone": (PROSPECTS, phone), "visit": (PROSPECTS, visit)}


def _book_in_calendars(world: World, week: Week) -> None:
    """Two calendar events Attio followed: a lunch, and the invitation to a meeting that is at Zoom too."""
    people = world.attio.people
    lunch = people.book(
        "Lunch with Clara Holm", at(2, "13:00"), at(2, "14:00"),
        zone=ZONE.key, organizer=PRIYA, attendees=[CLARA],
    )  # fmt: skip
    twin = people.book(
        "Product demo: Halden Foods", at(1, "10:00"), at(1, "11:00"),
        zone=ZONE.key, organizer=MARCO, attendees=[BUYER], description=PRICES,
    )  # fmt: skip
    week.records |= {"lunch": (ATTIO, lunch), "twin": (ATTIO, twin)}
