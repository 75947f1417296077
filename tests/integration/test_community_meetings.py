"""Real schedules: the series of an open-source community, over a year and two changes of the clocks.

They are hosted in Zoom and synced to the other three. What must come out is read off the data and the
providers' own records, never off the engine's projection.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_engine.bootstrap import build_engine
from sync_engine.core.owned_block import split
from sync_engine.core.refs import HoldKind, Ref
from sync_engine.sandbox.configuration import configuration_of
from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.sandbox.world import World
from sync_engine.services.engine import Engine
from sync_engine.services.sync import Summary, sync
from sync_engine.settings import load_settings

DATA = Path(__file__).parents[3] / "shared" / "data" / "community_meetings.jsonl"
SERIES, OCCURRENCES = 48, 2138
NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
WINDOW = "window_past_days = 330\nwindow_future_days = 240"
UNPACED = (
    "rates = { light = 1e6, medium = 1e6, heavy = 1e6, read = 1e6, write = 1e6, search = 1e6, all = 1e6 }\n"
)
HOSTS = 20
# Every so many series' prospect is left out of the CRM: nobody there knows him.
UNKNOWN_EVERY = 12
LIGHTFIELD_MARGIN = timedelta(minutes=5)
PAGE = {"zoom": 300, "attio": 200, "lightfield": 25, "prospect_crm": 200}

Record = dict[str, Any]

pytestmark = pytest.mark.skipif(
    not DATA.is_file(),
    reason="NOT TESTED ON REAL SCHEDULES: ../shared/data/community_meetings.jsonl is not there",
)


@dataclass(frozen=True)
class Planned:
    """One occurrence as the data has it, and as its host's number at Zoom makes it."""

    title: str
    agenda: str
    start: datetime
    end: datetime
    zone: str
    local_time: str
    host: str
    guests: tuple[str, ...]
    prospect: str
    link: str
    number: str

    @property
    def key(self) -> tuple[str, datetime]:
        """Name the occurrence: titles are unique over the series."""
        return (self.title, self.start)


class Community:
    """The world with everything booked, and what the data says must be seen of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.series = [json.loads(line) for line in DATA.read_text().splitlines()]
        chairs = sorted({row["organizer"] for row in self.series})
        self.hosts = chairs[:HOSTS]
        self.host_of = {chair: self.hosts[place % HOSTS] for place, chair in enumerate(chairs)}
        prospects = [next(p for p in row["participants"] if _is_prospect(p)) for row in self.series]
        self.unknown = set(prospects[::UNKNOWN_EVERY])
        for sandbox in world.sandboxes:
            assert hasattr(sandbox, "rate_limits")
            sandbox.rate_limits = False
        world.zoom.host_daily_cap = None
        for host in self.hosts:
            world.zoom.add_host(host)
        self.owner = world.prospect_crm.add_user("Recruiter", "recruiter@acme.example")
        for prospect in sorted(set(prospects) - self.unknown):
            world.prospect_crm.add_prospect(prospect.split("@")[0], "Candidate", prospect)
        self.planned = [
            occurrence
            for row, prospect in zip(self.series, prospects, strict=True)
            for occurrence in self._book(row, prospect)
        ]

    def _book(self, row: Record, prospect: str) -> Iterator[Planned]:
        starts = [datetime.fromisoformat(each["start_utc"]) for each in row["occurrences"]]
        host, length = self.host_of[row["organizer"]], timedelta(minutes=row["duration_minutes"])
        number = self.world.zoom.people.book_occurrences(
            host,
            row["title"],
            starts,
            row["duration_minutes"],
            row["time_zone"],
            agenda=row["description"],
            invitees=row["participants"],
            join_url=row["join_url"] or None,
        )
        for start in starts:
            yield Planned(
                title=row["title"],
                agenda=row["description"].strip(),
                start=start,
                end=start + length,
                zone=row["time_zone"],
                local_time=row["local_time"],
                host=host,
                guests=tuple(sorted(set(row["participants"]) - {host})),
                prospect=prospect,
                link=row["join_url"],
                number=number,
            )

    @cached_property
    def past(self) -> list[Planned]:
        """Give the occurrences that are over, as far as Lightfield is concerned."""
        return [p for p in self.planned if p.end + LIGHTFIELD_MARGIN <= NOW]

    @cached_property
    def known(self) -> list[Planned]:
        """Give the occurrences with somebody the CRM knows."""
        return [p for p in self.planned if p.prospect not in self.unknown]

    @cached_property
    def links(self) -> dict[str, str]:
        """Give the link of each number at Zoom: the data's own, else the one Zoom issued."""
        return {str(record["id"]): str(record["join_url"]) for record in self.world.zoom.records()}

    def living(self, sandbox: ProviderSandbox) -> list[Record]:
        """Give a provider's records that are not deleted."""
        records: list[Record] = sandbox.records()  # type: ignore[attr-defined]
        return [record for record in records if not record["deleted"]]

    def floor(self) -> dict[str, int]:
        """Say how many requests a sweep without news may cost at each provider, and has to."""
        per_host = Counter(self.host_of[row["organizer"]] for row in self.series)
        canary = 1
        listed = {s.name: len(self.living(s)) for s in self.world.sandboxes}
        return {
            "zoom": canary
            + _pages(HOSTS, PAGE["zoom"])
            + sum(_pages(per_host[host], PAGE["zoom"]) for host in self.hosts)
            # The list shows a series once and hides its occurrences: one read by id for each.
            + len(self.series),
            **{
                name: canary + _pages(listed[name], PAGE[name])
                for name in ("attio", "lightfield", "prospect_crm")
            },
        }


def _pages(rows: int, size: int) -> int:
    return max(1, ceil(rows / size))


def _is_prospect(address: str) -> bool:
    return address.endswith("@candidates.example.com")


@dataclass
class Story:
    """What happened, told once and looked at from several sides: syncing all of it takes a while."""

    community: Community
    first: Summary
    second: Summary
    costs: dict[str, Counter[tuple[str, str]]]
    floor: dict[str, int]
    zoom_before: list[Record]
    records: dict[str, list[Record]]
    refs: dict[str, dict[str, Ref]]
    moved: Planned
    third: Summary
    third_costs: dict[str, Counter[tuple[str, str]]]
    records_then: dict[str, list[Record]]
    fourth: Summary


def _run_engine(questions: Connection, file: Path) -> None:
    """Be the engine's process: sync, or tell its refs, as often as asked."""

    async def work() -> None:
        engine = build_engine(load_settings(file), now=lambda: NOW)
        try:
            while (question := questions.recv()) != "end":
                questions.send(await sync(engine, ["acme"]) if question == "sync" else _refs(engine))
        finally:
            await engine.aclose()

    asyncio.run(work())


class EngineElsewhere:
    """An engine in a process of its own, as in life: it and the sandboxes do not wait for each other."""

    def __init__(self, questions: Connection) -> None:
        self._questions = questions

    def sync(self) -> Summary:
        summary = self._ask("sync")
        assert isinstance(summary, Summary)
        return summary

    def refs(self) -> dict[str, dict[str, Ref]]:
        refs: dict[str, dict[str, Ref]] = self._ask("refs")
        return refs

    def _ask(self, question: str) -> Any:
        self._questions.send(question)
        return self._questions.recv()


@contextmanager
def _engine(file: Path) -> Iterator[EngineElsewhere]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_engine, args=(theirs, file))
    process.start()
    # Only the other process holds its end now: if it dies, asking it ends at once instead of waiting.
    theirs.close()
    try:
        yield EngineElsewhere(ours)
        ours.send("end")
        process.join(timeout=30)
    finally:
        process.kill()
        process.join(timeout=30)
        ours.close()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("community")
    with World(seed=48, start=NOW) as world:
        community = Community(world)
        file = folder / "sync-engine.toml"
        file.write_text(
            configuration_of(
                world,
                database_url=f"sqlite:///{folder / 'engine.db'}",
                default_host=community.hosts[0],
                default_owner_id=community.owner,
                twin_grace_minutes=0,
                extra={
                    "workspace": WINDOW,
                    "zoom": UNPACED,
                    "attio": UNPACED,
                    "lightfield": UNPACED,
                    "prospects": UNPACED + "per_hour = 0",
                },
            )
        )
        with _engine(file) as engine:
            told = _tell(community, engine)
        yield told


def _tell(community: Community, engine: EngineElsewhere) -> Story:
    world = community.world
    before = world.zoom.records()
    first = engine.sync()
    _forget(world)
    second = engine.sync()
    costs, records, refs, floor = _costs(world), _records(world), engine.refs(), community.floor()
    moved = _coming(community)
    occurrence = next(i for i, s in world.zoom.people.occurrences(moved.number) if s == moved.start)
    world.zoom.people.move_occurrence(moved.number, occurrence, moved.start + timedelta(minutes=90))
    _forget(world)
    third = engine.sync()
    third_costs, records_then = _costs(world), _records(world)
    fourth = engine.sync()
    return Story(
        community=community,
        first=first,
        second=second,
        costs=costs,
        floor=floor,
        zoom_before=before,
        records=records,
        refs=refs,
        moved=moved,
        third=third,
        third_costs=third_costs,
        records_then=records_then,
        fourth=fourth,
    )


def _coming(community: Community) -> Planned:
    """Choose an occurrence to move: to come, with a known prospect and a link that other series share."""
    links = Counter(row["join_url"] for row in community.series if row["join_url"])
    return next(
        p
        for p in sorted(community.known, key=lambda p: p.start)
        if p.start > NOW + timedelta(days=20) and links[p.link] > 1
    )


def _forget(world: World) -> None:
    for sandbox in world.sandboxes:
        sandbox.reset_counters()


def _costs(world: World) -> dict[str, Counter[tuple[str, str]]]:
    return {sandbox.name: Counter(sandbox.requests) for sandbox in world.sandboxes}


def _records(world: World) -> dict[str, list[Record]]:
    return {sandbox.name: sandbox.records() for sandbox in world.sandboxes}  # type: ignore[attr-defined]


def _refs(engine: Engine) -> dict[str, dict[str, Ref]]:
    """Give every ref by connection and meeting, for the reasons the engine gives."""
    refs: dict[str, dict[str, Ref]] = {}
    with engine.store.reading() as uow:
        for channel in engine.tenants["acme"].channels.values():
            rows = uow.refs.of_connection(channel.id, limit=10_000)
            refs[channel.name] = {row.meeting_id: row.ref for row in rows}
    return refs


def _once(records: list[Record]) -> dict[tuple[str, datetime], Record]:
    """Index records by title and start, and insist that none is there twice."""
    found = {(str(r["title"]), r["start"]): r for r in records}
    assert len(found) == len(records)
    return found


def test_the_data_is_what_the_tests_are_about(story: Story) -> None:
    series, planned = story.community.series, story.community.planned
    links = Counter(row["join_url"] for row in series if row["join_url"])

    assert (len(series), len(planned)) == (SERIES, OCCURRENCES)
    assert len({p.key for p in planned}) == OCCURRENCES
    assert sum(shared > 1 for shared in links.values()) >= 5
    assert len({row["time_zone"] for row in series}) >= 4
    assert 0 < len(story.community.past) < len(planned)
    assert 0 < len(story.community.known) < len(planned)


def test_every_occurrence_is_one_meeting_however_many_share_its_link(story: Story) -> None:
    assert story.first.settled == OCCURRENCES
    assert len({meeting for refs in story.refs.values() for meeting in refs}) == OCCURRENCES
    assert story.first.parked == story.first.conflicts == story.first.quarantined == 0
    assert not story.first.failures


def test_zoom_where_everything_came_from_is_left_as_it_was(story: Story) -> None:
    assert story.records["zoom"] == story.zoom_before


def test_attio_has_every_occurrence_once_as_it_was_planned(story: Story) -> None:
    records = _once(story.records["attio"])

    assert records.keys() == {p.key for p in story.community.planned}
    for planned in story.community.planned:
        record = records[planned.key]
        text = split(record["description"])
        assert record["end"] == planned.end
        assert record["zone"] == planned.zone
        assert record["organizer"] == planned.host
        assert tuple(record["participants"]) == planned.guests
        assert text.text.strip() == planned.agenda
        assert text.entries is not None
        assert text.entries["Join"] == story.community.links[planned.number]


def test_lightfield_has_what_is_over_and_waits_for_the_rest(story: Story) -> None:
    records = _once(story.records["lightfield"])
    coming = OCCURRENCES - len(story.community.past)
    waiting = [r for r in story.refs["lightfield"].values() if r.hold is not None]

    assert records.keys() == {p.key for p in story.community.past}
    for planned in story.community.past:
        record = records[planned.key]
        assert record["end"] == planned.end
        assert record["organizer"] == planned.host
        assert set(record["participants"]) - {planned.host} == set(planned.guests)
        assert split(record["description"]).text.strip() == planned.agenda
        assert record["join_url"] == story.community.links[planned.number]
    assert len(waiting) == coming == story.first.deferred
    assert {r.hold.kind for r in waiting if r.hold} == {HoldKind.DEFERRED}
    assert all(r.hold and r.hold.until and r.hold.until > NOW for r in waiting)


def test_the_crm_has_every_occurrence_with_a_prospect_it_knows(story: Story) -> None:
    records = {(r["participants"][0], r["start"]): r for r in story.records["prospect_crm"]}

    assert len(records) == len(story.records["prospect_crm"])
    assert records.keys() == {(p.prospect, p.start) for p in story.community.known}
    for planned in story.community.known:
        record = records[planned.prospect, planned.start]
        carried = split(record["notes"]).entries
        assert record["zone"] == planned.zone
        assert record["location"] == story.community.links[planned.number]
        assert record["organizer"] == "recruiter@acme.example"
        assert carried is not None
        assert carried["Title"] == planned.title


def test_a_meeting_without_a_known_prospect_is_held_with_its_reason(story: Story) -> None:
    held = [r for r in story.refs["prospects"].values() if r.external_id is None]
    unknown = OCCURRENCES - len(story.community.known)

    assert len(held) == unknown == story.first.held
    assert {r.hold.kind for r in held if r.hold} == {HoldKind.HELD}
    assert {r.hold.reason for r in held if r.hold} == {"no known prospect among the participants"}


@pytest.mark.parametrize("name", ["attio", "lightfield", "prospect_crm"])
def test_clocks_change_and_the_local_time_of_a_series_does_not(story: Story, name: str) -> None:
    planned = {p.start: p for p in story.community.planned}
    by_key = {p.key: p for p in story.community.planned}
    by_prospect = {(p.prospect, p.start): p for p in story.community.planned}
    offsets: dict[str, set[timedelta | None]] = {}
    for record in story.records[name]:
        assert record["start"] in planned
        mine = (
            by_prospect[record["participants"][0], record["start"]]
            if record["title"] is None
            else by_key[record["title"], record["start"]]
        )
        local = record["start"].astimezone(ZoneInfo(record["zone"] or mine.zone))
        offsets.setdefault(mine.zone, set()).add(local.utcoffset())
        assert f"{local:%H:%M}" == mine.local_time

    assert {zone: len(found) for zone, found in offsets.items()} == {
        zone: 1 if zone == "UTC" else 2 for zone in {p.zone for p in story.community.planned}
    }


def test_a_second_sync_writes_nothing_and_costs_exactly_the_floor(story: Story) -> None:
    methods = {method for counted in story.costs.values() for method, _ in counted}

    assert (story.second.created, story.second.updated, story.second.deleted) == (0, 0, 0)
    assert methods == {"GET"}
    assert {name: counted.total() for name, counted in story.costs.items()} == story.floor
    assert story.second.settled == OCCURRENCES


def test_a_moved_occurrence_moves_everywhere_and_nothing_else_does(story: Story) -> None:
    moved, then = story.moved, story.moved.start + timedelta(minutes=90)
    attio, attio_then = _living(story.records["attio"]), _living(story.records_then["attio"])
    crm, crm_then = story.records["prospect_crm"], story.records_then["prospect_crm"]
    old, new = _difference(attio, attio_then)
    crm_old, crm_new = _difference(crm, crm_then)

    assert [r["title"] for r in old] == [r["title"] for r in new] == [moved.title]
    assert (old[0]["start"], new[0]["start"]) == (moved.start, then)
    # The copy at Attio is a new record that says everything the old one said, but the time.
    assert _without(old[0], "id", "start", "end") == _without(new[0], "id", "start", "end")
    assert new[0]["end"] - new[0]["start"] == old[0]["end"] - old[0]["start"]
    assert (crm_old[0]["start"], crm_new[0]["start"]) == (moved.start, then)
    assert len(crm_old) == len(crm_new) == 1
    assert _without(crm_old[0], "start", "notes") == _without(crm_new[0], "start", "notes")
    assert story.records_then["lightfield"] == story.records["lightfield"]


def test_a_moved_occurrence_costs_its_own_writes_above_the_floor(story: Story) -> None:
    costs, floor = story.third_costs, story.floor
    attio, crm = costs["attio"], costs["prospect_crm"]
    written = {
        # Whether meetings can be deleted is asked once, of one nobody has; then the old one goes.
        ("DELETE", "/v2/meetings/{meeting_id}"): 2,
        ("POST", "/v2/meetings"): 1,
        ("GET", "/v2/meetings/{meeting_id}"): 1,
        ("GET", "/v2/meetings/{meeting_id}/call_recordings"): 1,
    }

    assert costs["zoom"].total() == floor["zoom"]
    assert costs["lightfield"].total() == floor["lightfield"]
    assert {key: attio[key] for key in written} == written
    assert attio.total() == floor["attio"] + sum(written.values())
    # The CRM's record is read before it is changed, because people write in its notes too. Which verb its
    # server takes is found out with the first update there is.
    assert crm["GET", "/v2/meetings/{meeting_id}"] == 1
    assert [crm[verb, "/v2/meetings/{meeting_id}"] for verb in ("POST", "PATCH", "PUT")] == [1, 1, 0]
    assert crm.total() == floor["prospect_crm"] + 3
    assert (story.third.created, story.third.updated, story.third.deleted) == (1, 1, 1)


def test_after_the_move_everything_is_at_rest_again(story: Story) -> None:
    assert (story.fourth.created, story.fourth.updated, story.fourth.deleted) == (0, 0, 0)
    assert story.fourth.settled == OCCURRENCES


def _living(records: list[Record]) -> list[Record]:
    return [record for record in records if not record["deleted"]]


def _difference(before: list[Record], after: list[Record]) -> tuple[list[Record], list[Record]]:
    """Give the records that only the first and only the second list has."""
    return [r for r in before if r not in after], [r for r in after if r not in before]


def _without(record: Record, *names: str) -> Record:
    return {name: value for name, value in record.items() if name not in names}
