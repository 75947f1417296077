"""Workers, beats and brokers that die, with real processes: nothing is lost and nothing happens twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from sync_engine.sandbox.faults import Fault, Moment
from tests.integration.workers.rig import OwnRedis, Rig, children_of, eventually, is_alive, kill

# Real processes, real signals and minutes of waiting for brokers: `make processes`.
pytestmark = pytest.mark.slow


def slow_create() -> Fault:
    """Let a create take effect and keep its answer back for longer than its sender will live."""
    return Fault(method="POST", path=r"/v2/meetings", delay_seconds=60, moment=Moment.AFTER)


def everywhere(rig: Rig, *titles: str) -> bool:
    """Tell whether these and no other meetings are where they belong, once each."""
    attio, crm = rig.titles(rig.world.attio), rig.world.prospect_crm.records()
    return attio == sorted(titles) and len(crm) == len(titles)


def test_losing_the_broker_with_everything_in_it_loses_nothing(rig: Rig, own_redis: OwnRedis) -> None:
    rig.worker()
    rig.beat()
    rig.book("Before")
    eventually(lambda: everywhere(rig, "Before"), 40, "the first meeting is everywhere")

    for number in range(5):
        rig.book(f"Amid {number}", days=2 + number)
    own_redis.kill()
    rig.book("While away", days=8)
    own_redis.start()

    titles = ["Before", *(f"Amid {number}" for number in range(5)), "While away"]
    eventually(lambda: everywhere(rig, *titles), 40, "all meetings are everywhere")


@pytest.mark.parametrize("victim", ["child", "parent"])
def test_a_worker_killed_in_mid_push_leaves_exactly_one_effect(rig: Rig, victim: str) -> None:
    fault = slow_create()
    rig.world.attio.faults.append(fault)
    worker = rig.worker(concurrency=2)
    rig.beat()
    rig.book("Once")
    eventually(lambda: fault.struck, 40, "the create was sent")

    if victim == "child":
        for child in children_of(worker.pid):
            kill(child)
    else:
        orphans = children_of(worker.pid)
        kill(worker.pid)
        worker.wait()
        eventually(lambda: not any(map(is_alive, orphans)), 10, "the children end with their parent")
        rig.worker()

    eventually(lambda: everywhere(rig, "Once"), 40, "the meeting is everywhere, once")
    rig.book("Twice", days=2)
    eventually(lambda: everywhere(rig, "Once", "Twice"), 20, "work goes on")


def test_two_beats_tick_as_often_as_one_and_survive_a_flush(rig: Rig, own_redis: OwnRedis) -> None:
    beats = [rig.beat(), rig.beat()]
    eventually(lambda: ticks(own_redis) > 0 and is_standing_by(own_redis), 30, "both beats run")

    together = arrivals(own_redis, 3)
    own_redis.client.flushall()
    flushed = arrivals(own_redis, 1)
    end(beats[leader(rig)])
    alone = arrivals(own_redis, 1)

    # Two schedules would tick twice in every two seconds.
    assert together[-1] - together[0] > 3
    assert flushed < alone


def ticks(own_redis: OwnRedis) -> int:
    """Count the ticks nobody has taken; there is no worker."""
    return int(own_redis.client.llen("ms:control"))


def is_standing_by(own_redis: OwnRedis) -> bool:
    """Tell whether both beats have connected."""
    return len(own_redis.client.client_list()) >= 3


def leader(rig: Rig) -> int:
    """Tell which beat was the last one to take the lead."""
    led: dict[str, int] = {}
    for number in range(2):
        for line in (rig.folder / f"beat-{number}.log").read_text().splitlines():
            if "beat_leads" in line:
                led[json.loads(line)["timestamp"]] = number
    return led[max(led)]


def arrivals(own_redis: OwnRedis, number: int) -> list[float]:
    """Give the moments at which so many further ticks came."""
    came: list[float] = []
    for _ in range(number):
        before = ticks(own_redis)
        eventually(lambda before=before: ticks(own_redis) > before, 20, "a tick")  # type: ignore[misc]
        came.append(time.monotonic())
    return came


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process the way its operator would."""
    process.send_signal(signal.SIGTERM)
    process.wait(10)
