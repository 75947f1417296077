"""A believable start: a small team with a fortnight of meetings, in the four sandboxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from sync_engine.sandbox.world import World

ZONE = ZoneInfo("Europe/Berlin")

ADA, BEN, CHLOE = "ada@acme.example", "ben@acme.example", "chloe@acme.example"
TEAM = {ADA: ("Ada", "Berger"), BEN: ("Ben", "Castillo"), CHLOE: ("Chloe", "Dubois")}
PROSPECTS = {
    "nadia@petrov.example": ("Nadia", "Petrova"),
    "omar@haddad.example": ("Omar", "Haddad"),
    "greta@nyman.example": ("Greta", "Nyman"),
    "leo@marchetti.example": ("Leo", "Marchetti"),
    "yuki@tanabe.example": ("Yuki", "Tanabe"),
}
CUSTOMER, CUSTOMERS_BOSS = "buyer@northwind.example", "cfo@northwind.example"

# Host, title, days from today, hour, minutes, guests, agenda.
_ZOOM = (
    (ADA, "Interview: Nadia Petrova", -4, 10, 45, ("nadia@petrov.example",), "Experience\nQuestions"),
    (BEN, "Discovery: Northwind", -2, 14, 60, (CUSTOMER,), "Needs, budget, timeline"),
    (CHLOE, "Handover", -1, 9, 30, (ADA, BEN), ""),
    (ADA, "Interview: Omar Haddad", 1, 10, 45, ("omar@haddad.example",), ""),
    (BEN, "Proposal: Northwind", 2, 15, 60, (CUSTOMER, CUSTOMERS_BOSS), "Offer\nNext steps"),
    (BEN, "Demo: Fabrikam", 3, 11, 30, ("lead@fabrikam.example",), ""),
    (ADA, "Second interview: Greta Nyman", 5, 13, 60, ("greta@nyman.example",), "Case study"),
    (CHLOE, "Quarterly review: Contoso", 8, 16, 90, ("ops@contoso.example",), "Adoption\nRoadmap\nRenewal"),
)


@dataclass(frozen=True)
class StartState:
    """What an engine's configuration has to know of a world: who hosts, and who owns at the CRM."""

    default_host: str
    default_owner_id: str
    owner_map: Mapping[str, str]
    meetings: int


def populate(world: World, *, empty: bool = False) -> StartState:
    """Let the team move in and, unless ``empty``, book its meetings; relative to the world's present."""
    users = _move_in(world)
    prospects = {
        email: world.prospect_crm.add_prospect(first, last, email)
        for email, (first, last) in PROSPECTS.items()
    }
    if not empty:
        _book_at_zoom(world)
        _book_at_the_crm(world, users, prospects)
        _book_in_calendars(world)
    sides = (world.zoom, world.attio, world.lightfield, world.prospect_crm)
    meetings = sum(len(side.records()) for side in sides)
    return StartState(BEN, users[ADA], users, meetings)


def _move_in(world: World) -> dict[str, str]:
    users = {}
    for email, (first, last) in TEAM.items():
        world.zoom.add_host(email, first_name=first, last_name=last, timezone=ZONE.key)
        world.attio.people.add_member(first, last, email)
        world.lightfield.people.add_member(email, first, last)
        users[email] = world.prospect_crm.add_user(f"{first} {last}", email)
    return users


def _at(world: World, days: int, hour: int) -> datetime:
    today = world.clock.now().astimezone(ZONE).replace(hour=hour, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days)


def _book_at_zoom(world: World) -> None:
    people = world.zoom.people
    for host, title, days, hour, minutes, guests, agenda in _ZOOM:
        start = _at(world, days, hour)
        people.book(host, title, start, minutes, zone=ZONE.key, agenda=agenda, invitees=guests)
    starts = [_at(world, 1 + 7 * week, 9) for week in range(3)]
    people.book_occurrences(CHLOE, "Weekly stand-up", starts, 15, ZONE.key, invitees=(ADA, BEN))


def _book_at_the_crm(world: World, users: Mapping[str, str], prospects: Mapping[str, str]) -> None:
    people = world.prospect_crm.people
    leo, yuki = prospects["leo@marchetti.example"], prospects["yuki@tanabe.example"]
    people.book(leo, _at(world, 2, 9), ZONE.key, "virtual", users[ADA], notes="Prefers short calls")
    people.book(yuki, _at(world, 4, 17), ZONE.key, "phone", users[CHLOE])
    people.book(leo, _at(world, 6, 11), ZONE.key, "in-person", users[ADA], location="Office, room 4")


def _book_in_calendars(world: World) -> None:
    """Calendar events the CRMs followed: one of them is a meeting that is at Zoom, too."""
    people = world.attio.people
    demo, lunch = _at(world, 3, 11), _at(world, 4, 12)
    people.book(
        "Demo: Fabrikam", demo, demo + timedelta(minutes=30),
        zone=ZONE.key, organizer=BEN, attendees=("lead@fabrikam.example",),
    )  # fmt: skip
    people.book(
        "Lunch with Northwind", lunch, lunch + timedelta(hours=1),
        zone=ZONE.key, organizer=BEN, attendees=(CUSTOMER,),
    )  # fmt: skip
    fair = _at(world, 9, 0)
    people.book("Trade fair", fair, fair + timedelta(days=2), organizer=CHLOE, attendees=(BEN,), all_day=True)
    call = _at(world, -3, 16)
    world.lightfield.people.book(
        "Check-in: Contoso", call, call + timedelta(minutes=30),
        organizer=CHLOE, attendees=("ops@contoso.example",), description="Open tickets",
    )  # fmt: skip
