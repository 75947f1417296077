"""Bad weather: faults drawn from a seed, put over the sandboxes and lifted again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from sync_engine.sandbox.faults import Fault, Moment
from tests.simulation.stage import PROVIDERS, Stage

WRITES = "POST|PATCH|PUT|DELETE"
LISTS = {
    "zoom": r"/v2/users/[^/]+/meetings",
    "attio": r"/v2/meetings",
    "lightfield": r"/v1/meetings",
    "prospects": r"/v2/meetings",
}
KINDS = (
    "error_before", "error_after", "cut_before", "cut_after", "slow", "limited", "unauthorised",
    "truncated", "empty", "garbled", "malformed", "stale_index", "redacted", "late_copies",
)  # fmt: skip


class Weather:
    """Put faults over the world, and take all of them away at the end."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.faults: list[tuple[str, str, Fault]] = []
        self._counted = 0

    def worsen(self, rng: random.Random) -> str:
        """Bring one more fault over one side."""
        kind, connection = rng.choice(KINDS), rng.choice(list(PROVIDERS))
        world = self.stage.world
        if kind == "stale_index":
            world.lightfield.index_lag = timedelta(minutes=rng.choice([1, 10, 40]))
        elif kind == "redacted":
            world.lightfield.redact_everything = True
        elif kind == "late_copies":
            if self.stage.mood.calendars:
                world.attio.calendar_sync_delay = timedelta(minutes=rng.choice([1, 30, 90]))
                world.lightfield.calendar_sync_delay = timedelta(minutes=rng.choice([1, 30, 90]))
        else:
            fault = _FAULTS[kind](rng, connection, self.stage.now())
            self.stage.sandbox[connection].faults.append(fault)
            self.faults.append((kind, connection, fault))
            return f"{kind} at {connection}"
        self.stage.stats[f"weather: {kind}"] += 1
        return kind

    def clear(self) -> None:
        """Lift every fault."""
        world = self.stage.world
        for kind, connection, fault in self.faults:
            self.stage.sandbox[connection].faults.remove(fault)
            self.stage.stats["faults struck"] += fault.struck
            self.stage.stats[f"weather: {kind}"] += fault.struck
        self.faults.clear()
        world.lightfield.index_lag = timedelta(0)
        world.lightfield.redact_everything = False


def _status(rng: random.Random) -> int:
    return rng.choice([500, 502, 503, 504])


def _where(rng: random.Random, connection: str) -> dict[str, Any]:
    # The token endpoint of Zoom is left alone: it has its own tests, and its failure is a connection's.
    path = r"(?!/oauth).*"
    method = rng.choice(["GET", WRITES, WRITES, ".*"])
    return {
        "path": path,
        "method": method,
        "times": rng.choice([1, 1, 2, 3, 8]),
        "skip": rng.choice([0, 0, 1, 3]),
    }


def _error(moment: Moment) -> Callable[[random.Random, str, datetime], Fault]:
    def make(rng: random.Random, connection: str, now: datetime) -> Fault:
        return Fault(**_where(rng, connection), status=_status(rng), body={"error": "oops"}, moment=moment)

    return make


def _cut(moment: Moment) -> Callable[[random.Random, str, datetime], Fault]:
    def make(rng: random.Random, connection: str, now: datetime) -> Fault:
        return Fault(**_where(rng, connection), cut=True, moment=moment)

    return make


def _slow(rng: random.Random, connection: str, now: datetime) -> Fault:
    return Fault(**_where(rng, connection), delay_seconds=0.03)


def _limited(rng: random.Random, connection: str, now: datetime) -> Fault:
    seconds = rng.choice([0, 1, 20, 90, 400])
    until = now + timedelta(seconds=seconds)
    forms: list[dict[str, str]] = [
        {"Retry-After": str(seconds)},
        {"Retry-After": format_datetime(until, usegmt=True)},
        {"Retry-After": until.strftime("%Y-%m-%dT%H:%M:%SZ")},
        {},
    ]
    return Fault(**_where(rng, connection), status=429, body={}, headers=rng.choice(forms))


def _unauthorised(rng: random.Random, connection: str, now: datetime) -> Fault:
    return Fault(path=r"(?!/oauth).*", status=401, body={}, times=rng.choice([1, 2, 6]))


def _listing(connection: str, change: Callable[[list[Any]], list[Any]], times: int) -> Fault:
    def rewrite(answer: bytes) -> bytes:
        try:
            body = json.loads(answer)
        except ValueError:
            return answer
        for name in ("meetings", "data", "items"):
            rows = body.get(name) if isinstance(body, dict) else None
            if isinstance(rows, list):
                body[name] = change(rows)
        return json.dumps(body).encode()

    return Fault(method="GET", path=LISTS[connection], rewrite=rewrite, times=times)


def broken_record(connection: str, token: int) -> Fault:
    """Break the rows of one meeting in a side's listing for good."""

    def spoil(rows: list[Any]) -> list[Any]:
        for row in rows:
            if isinstance(row, dict) and f"m{token:03}x" in json.dumps(row):
                row.update(start=7, duration="nonsense", fields=None, meetingDate="nonsense")
        return rows

    fault = _listing(connection, spoil, 1)
    fault.times = None
    return fault


def _truncated(rng: random.Random, connection: str, now: datetime) -> Fault:
    return _listing(connection, lambda rows: rows[: len(rows) // 2], rng.choice([1, 2, 4]))


def _empty(rng: random.Random, connection: str, now: datetime) -> Fault:
    return _listing(connection, lambda rows: [], rng.choice([1, 2, 4]))


def _malformed(rng: random.Random, connection: str, now: datetime) -> Fault:
    place, key = (
        rng.random(),
        rng.choice(["start", "start_time", "fields", "meetingDate", "title", "duration"]),
    )
    value: Any = rng.choice([None, 7, "nonsense", [], {"a": 1}])

    def spoil(rows: list[Any]) -> list[Any]:
        if rows:
            row = rows[int(place * len(rows))]
            if isinstance(row, dict):
                row[key] = value
        return rows

    return _listing(connection, spoil, rng.choice([1, 3]))


def _garbled(rng: random.Random, connection: str, now: datetime) -> Fault:
    where = _where(rng, connection)
    return Fault(**where, rewrite=lambda answer: answer[: len(answer) // 2], moment=Moment.AFTER)


_FAULTS: dict[str, Callable[[random.Random, str, datetime], Fault]] = {
    "error_before": _error(Moment.BEFORE),
    "error_after": _error(Moment.AFTER),
    "cut_before": _cut(Moment.BEFORE),
    "cut_after": _cut(Moment.AFTER),
    "slow": _slow,
    "limited": _limited,
    "unauthorised": _unauthorised,
    "truncated": _truncated,
    "empty": _empty,
    "garbled": _garbled,
    "malformed": _malformed,
}
