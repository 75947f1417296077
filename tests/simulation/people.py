"""People at work at all four sides: what they book and what they change, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.ledger import Deed, Ledger, Matter, Seen, seen_of
from tests.simulation.stage import HOSTS, PROVIDERS, Stage

ZONES = ("Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata")
LENGTHS = (30, 45, 60, 90)
Act = Callable[["People", Seen, random.Random], Deed | None]


class People:
    """Act at the sandboxes and write down what was done."""

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self.stage, self.ledger = stage, ledger
        world = stage.world
        self.zoom, self.attio = world.zoom.people, world.attio.people
        self.lightfield, self.crm = world.lightfield.people, world.prospect_crm.people

    # -- what there is ----------------------------------------------------------------------------

    def seen(self) -> list[Seen]:
        """Give every record there is or was, of meetings people know of."""
        found = []
        for name in PROVIDERS:
            for record in self.stage.sandbox[name].records():  # type: ignore[attr-defined]
                found.append(seen_of(name, record))
        return found

    def act(self, rng: random.Random) -> Deed | None:
        """Let somebody change something somewhere."""
        connection = rng.choice(list(PROVIDERS))
        records = [s for s in self.seen() if s.connection == connection and s.token is not None]
        acts = ACTS[connection]
        name = rng.choices([a[0] for a in acts], [a[1] for a in acts])[0]
        act, wants_dead = next((a[2], a[3]) for a in acts if a[0] == name)
        now = self.stage.now()
        fit = [s for s in records if s.live is not wants_dead and s.start is not None]
        coming = [s for s in fit if s.start and s.start > now]
        chosen = coming if coming and rng.random() < 0.85 else fit
        if not chosen:
            return None
        deed = act(self, rng.choice(sorted(chosen, key=lambda s: s.id)), rng)
        if deed is not None:
            self.stage.stats[f"edits: {deed.field}"] += 1
            self.stage.stats["edits"] += 1
        return deed

    # -- bookings ---------------------------------------------------------------------------------

    def fresh_start(self, rng: random.Random, *, soonest_minutes: int = 10) -> datetime:
        """Draw a start nobody uses: the same moment must not tie strangers together."""
        now = self.stage.now().replace(second=0, microsecond=0)
        while True:
            minutes = rng.choice([rng.randint(soonest_minutes, 300), rng.randint(300, 60 * 24 * 8)])
            start = now + timedelta(minutes=minutes)
            if all(abs(start - other) > timedelta(minutes=16) for other in self.ledger.starts):
                self.ledger.starts.add(start)
                return start

    def _matter(self, rng: random.Random, *, prospect: bool) -> Matter:
        token = len(self.ledger.matters) + 1
        title = self.ledger.word(rng.choice(["Kickoff", "Interview", "Review", "Demo"]), token)
        guests = [f"m{token:03}x.{name}@guests.example" for name in rng.sample(["ann", "bob", "eve"], 2)]
        matter = Matter(token, title, guests)
        if prospect:
            email = f"m{token:03}x.prospect@prospects.example"
            crm = self.stage.world.prospect_crm
            matter.prospect = crm.add_prospect(f"Pat{token:03}", f"M{token:03}x", email)
            guests.insert(0, email)
        self.ledger.add(matter)
        return matter

    def book(self, rng: random.Random) -> None:
        """Book a meeting somewhere."""
        where = rng.choices(["zoom", "series", "attio", "lightfield", "prospects"], [6, 1, 2, 1, 3])[0]
        self.stage.stats[f"booked: {where}"] += 1
        getattr(self, f"_book_{where}")(rng)

    def _book_zoom(self, rng: random.Random) -> None:
        matter = self._matter(rng, prospect=rng.random() < 0.75)
        matter.born_at = "zoom"
        agenda = self.ledger.word("Agenda", matter.token) if rng.random() < 0.7 else ""
        if agenda and rng.random() < 0.2:
            agenda += "\n" + "\n".join(f"point {n} of m{matter.token:03}x" for n in range(20))
        start, minutes = self.fresh_start(rng), rng.choice(LENGTHS)
        zone = rng.choice(ZONES)
        host = rng.choice(HOSTS)
        self.zoom.book(host, matter.title, start, minutes, zone=zone, agenda=agenda, invitees=matter.guests)
        if not self.stage.mood.calendars and rng.random() < 0.3:
            self._book_copy(rng, matter, host, start, minutes, agenda)

    def _book_copy(
        self, rng: random.Random, matter: Matter, host: str, start: datetime, minutes: int, agenda: str
    ) -> None:
        """Book the same meeting by hand at another side too, as people do before there is an engine."""
        end = start + timedelta(minutes=minutes)
        matter.copies += 1
        if rng.random() < 0.5:
            self.attio.book(
                matter.title, start, end, organizer=host, attendees=matter.guests, description=agenda
            )
        elif matter.prospect:
            owner = self.stage.owners[HOSTS.index(host)]
            self.crm.book(matter.prospect, start, "Europe/Berlin", "virtual", owner)

    def _book_series(self, rng: random.Random) -> None:
        matter = self._matter(rng, prospect=rng.random() < 0.5)
        matter.is_series, matter.born_at = True, "zoom"
        starts = [self.fresh_start(rng, soonest_minutes=60) for _ in range(3)]
        self.zoom.book_occurrences(
            rng.choice(HOSTS), matter.title, starts, rng.choice(LENGTHS), rng.choice(ZONES),
            agenda=self.ledger.word("Agenda", matter.token), invitees=matter.guests,
        )  # fmt: skip

    def _book_attio(self, rng: random.Random) -> None:
        matter = self._matter(rng, prospect=rng.random() < 0.6)
        matter.born_at = "attio"
        start = self.fresh_start(rng)
        self.attio.book(
            matter.title, start, start + timedelta(minutes=rng.choice(LENGTHS)), zone=rng.choice(ZONES),
            organizer=rng.choice(HOSTS), attendees=matter.guests,
            description=self.ledger.word("Words", matter.token),
        )  # fmt: skip

    def _book_lightfield(self, rng: random.Random) -> None:
        matter = self._matter(rng, prospect=rng.random() < 0.5)
        matter.born_at = "lightfield"
        start = self.fresh_start(rng)
        organizer = rng.choice(HOSTS)
        self.lightfield.book(
            matter.title, start, start + timedelta(minutes=rng.choice(LENGTHS)), organizer=organizer,
            attendees=[organizer, *matter.guests], description=self.ledger.word("Words", matter.token),
        )  # fmt: skip

    def _book_prospects(self, rng: random.Random) -> None:
        matter = self._matter(rng, prospect=True)
        matter.born_at = "prospects"
        assert matter.prospect is not None
        notes = self.ledger.word("Internal", matter.token) if rng.random() < 0.5 else None
        self.crm.book(
            matter.prospect, self.fresh_start(rng), rng.choice(ZONES),
            rng.choice(["virtual", "virtual", "phone", "in-person"]), rng.choice(self.stage.owners),
            notes=notes,
        )  # fmt: skip

    # -- edits ------------------------------------------------------------------------------------

    def did(self, seen: Seen, name: str, value: Any) -> Deed:
        """Write an edit down."""
        return self.ledger.did(self.stage.now(), seen, name, value)

    def move(self, seen: Seen, rng: random.Random) -> Deed:
        """Give a meeting another start."""
        start = self.fresh_start(rng)
        number, _, occurrence = seen.id.partition("/")
        if seen.connection == "zoom" and occurrence:
            self.zoom.move_occurrence(number, occurrence, start)
        elif seen.connection == "zoom":
            self.zoom.move(number, start)
        elif seen.connection == "attio":
            self.attio.move(seen.id, start)
        elif seen.connection == "lightfield":
            self.lightfield.move(seen.id, start)
        else:
            self.crm.move(seen.id, start)
        return self.did(seen, "start", start)

    def lengthen(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Make a meeting shorter or longer."""
        assert seen.start is not None
        assert seen.end is not None
        now_long = round((seen.end - seen.start).total_seconds() / 60)
        minutes = rng.choice([m for m in (*LENGTHS, 75, 120) if m != now_long])
        end = seen.start + timedelta(minutes=minutes)
        if seen.connection == "zoom":
            if "/" in seen.id:
                return None
            self.zoom.set_duration(seen.id, minutes)
        elif seen.connection == "attio":
            self.attio.move(seen.id, seen.start, end)
        else:
            self.lightfield.move(seen.id, seen.start, end)
        return self.did(seen, "end", (seen.start, end))

    def rename(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Give a meeting another title."""
        assert seen.token is not None
        title = self.ledger.word("Renamed", seen.token)
        if rng.random() < 0.1:
            title += " long" * 30
        if seen.connection == "zoom":
            self.zoom.rename(seen.id.partition("/")[0], title)
        elif seen.connection == "attio":
            self.attio.rename(seen.id, title)
        else:
            self.lightfield.rename(seen.id, title)
        return self.did(seen, "title", title)

    def describe(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Add, change or take a line of the description; our block around it is left alone."""
        assert seen.token is not None
        if "/" in seen.id and seen.connection == "zoom":
            return None
        line = self.ledger.word("Line", seen.token)
        lines = seen.words.split("\n") if seen.words else []
        how = rng.random()
        if not lines or how < 0.5:
            lines.append(line)
        elif how < 0.8:
            lines[rng.randrange(len(lines))] = line
        else:
            lines.insert(0, line)
        words = "\n".join(lines)
        whole = seen.whole_text
        block = whole[whole.index("--- meeting sync") :] if "--- meeting sync" in whole else ""
        text = f"{words}\n\n{block}" if block else words
        if seen.connection == "zoom":
            self.zoom.describe(seen.id, text)
        elif seen.connection == "attio":
            self.attio.describe(seen.id, text)
        else:
            self.lightfield.describe(seen.id, text)
        return self.did(seen, "description", line)

    def invite(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Invite somebody new."""
        assert seen.token is not None
        self.ledger.words += 1
        email = f"m{seen.token:03}x.guest{self.ledger.words}@guests.example"
        if seen.connection == "zoom":
            self.zoom.invite(seen.id.partition("/")[0], email)
        elif seen.connection == "attio":
            self.attio.invite(seen.id, email)
        else:
            self.lightfield.invite(seen.id, email)
        return self.did(seen, "invite", email)

    def uninvite(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Take somebody out; the prospect stays, who stands for the meeting."""
        some = sorted(e for e in seen.people if "prospect" not in e and e not in HOSTS)
        if not some or len(seen.people) < 2:
            return None
        email = rng.choice(some)
        if seen.connection == "zoom":
            self.zoom.uninvite(seen.id.partition("/")[0], email)
        elif seen.connection == "attio":
            self.attio.uninvite(seen.id, email)
        else:
            self.lightfield.uninvite(seen.id, email)
        return self.did(seen, "uninvite", email)

    def cancel(self, seen: Seen, rng: random.Random) -> Deed:
        """Cancel a meeting."""
        number, _, occurrence = seen.id.partition("/")
        if seen.connection == "zoom" and occurrence:
            self.zoom.cancel_occurrence(number, occurrence)
        elif seen.connection == "zoom":
            self.zoom.cancel(number)
        elif seen.connection == "attio":
            self.attio.cancel(seen.id)
        elif seen.connection == "lightfield":
            self.lightfield.cancel(seen.id)
        else:
            self.crm.cancel(seen.id)
        return self.did(seen, "cancel", None)

    def bring_back(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Take a meeting out of the trash again."""
        try:
            if seen.connection == "zoom":
                if "/" in seen.id:
                    return None
                self.zoom.recover(seen.id)
            else:
                self.lightfield.restore(seen.id)
        except LookupError:
            return None
        return self.did(seen, "restore", None)

    def hide(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Mark a meeting private, or open again."""
        if seen.connection == "zoom":
            private = not seen.raw.get("private")
            self.zoom.set_private(seen.id.partition("/")[0], private)
        else:
            private = rng.random() < 0.5
            if rng.random() < 0.5:
                self.lightfield.set_privacy(seen.id, "METADATA" if private else "FULL")
            else:
                self.lightfield.restrict(seen.id, private)
        return self.did(seen, "private", private)

    def respond(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Answer an invitation."""
        if not seen.people:
            return None
        email = rng.choice(sorted(seen.people))
        answer = rng.choice(["accepted", "declined", "tentative"])
        self.attio.respond(seen.id, email, answer)
        return self.did(seen, "response", (email, answer))

    def hand_over(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Give a meeting to another host, organizer or owner."""
        other = rng.choice([h for h in HOSTS if h != seen.organizer])
        if seen.connection == "zoom":
            self.zoom.reassign_host(seen.id.partition("/")[0], other)
        elif seen.connection == "lightfield":
            self.lightfield.hand_over(seen.id, other)
        else:
            self.crm.change_owner(seen.id, self.stage.owners[HOSTS.index(other)])
        return self.did(seen, "organizer", other)

    def note(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Write into the recruiter's notes."""
        assert seen.token is not None
        line = self.ledger.word("Internal", seen.token)
        self.crm.append_notes(seen.id, line)
        return self.did(seen, "notes", line)

    def locate(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Give a meeting a place."""
        assert seen.token is not None
        place = self.ledger.word("Room", seen.token)
        self.crm.set_location(seen.id, place)
        return self.did(seen, "location", place)

    def relabel(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Give a meeting another kind."""
        kind = rng.choice([k for k in ("virtual", "phone", "in-person") if k != seen.kind])
        self.crm.set_kind(seen.id, kind)
        return self.did(seen, "kind", kind)

    def rezone(self, seen: Seen, rng: random.Random) -> Deed | None:
        """Show a meeting in another zone."""
        zone = rng.choice([z for z in ZONES if z != seen.zone])
        self.crm.set_zone(seen.id, zone)
        return self.did(seen, "zone", zone)


ACTS: dict[str, list[tuple[str, int, Act, bool]]] = {
    "zoom": [
        ("move", 4, People.move, False),
        ("lengthen", 2, People.lengthen, False),
        ("rename", 3, People.rename, False),
        ("describe", 3, People.describe, False),
        ("invite", 3, People.invite, False),
        ("uninvite", 2, People.uninvite, False),
        ("cancel", 2, People.cancel, False),
        ("bring_back", 2, People.bring_back, True),
        ("hide", 1, People.hide, False),
        ("hand_over", 1, People.hand_over, False),
    ],
    "attio": [
        ("move", 4, People.move, False),
        ("lengthen", 2, People.lengthen, False),
        ("rename", 3, People.rename, False),
        ("describe", 3, People.describe, False),
        ("invite", 2, People.invite, False),
        ("uninvite", 2, People.uninvite, False),
        ("cancel", 2, People.cancel, False),
        ("respond", 1, People.respond, False),
    ],
    "lightfield": [
        ("move", 3, People.move, False),
        ("lengthen", 2, People.lengthen, False),
        ("rename", 3, People.rename, False),
        ("describe", 3, People.describe, False),
        ("invite", 2, People.invite, False),
        ("uninvite", 2, People.uninvite, False),
        ("cancel", 2, People.cancel, False),
        ("bring_back", 2, People.bring_back, True),
        ("hide", 2, People.hide, False),
        ("hand_over", 1, People.hand_over, False),
    ],
    "prospects": [
        ("move", 5, People.move, False),
        ("note", 3, People.note, False),
        ("locate", 2, People.locate, False),
        ("relabel", 1, People.relabel, False),
        ("rezone", 1, People.rezone, False),
        ("hand_over", 2, People.hand_over, False),
        ("cancel", 2, People.cancel, False),
    ],
}
