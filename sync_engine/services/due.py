"""What is due: a task with the ids it carries, and the mark that keeps it from being queued twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from sync_engine.services import marks
from sync_engine.services.engine import Engine


class Task(StrEnum):
    """The tasks that others queue."""

    PULL = "pull_connection"
    INGEST = "ingest_delivery"
    RECONCILE = "reconcile_meetings"
    PUSH = "push_connection"


QUEUED_FOR = {
    Task.PULL: timedelta(seconds=20),
    Task.INGEST: timedelta(seconds=15),
    Task.RECONCILE: timedelta(seconds=10),
    Task.PUSH: timedelta(seconds=10),
}
"""How long a queued task is waited for. Where the broker lost everything, this heals it; where there is
merely a long queue, it costs one task more in so many seconds."""


_QUEUED = "queued:"


@dataclass(frozen=True, slots=True)
class Due:
    """One task that is due. ``key``: what it is about; of one task and key only one is queued at a time.

    ``request_id``: of the webhook that led to it, for the log.
    """

    task: Task
    ids: tuple[str, ...]
    key: str = ""
    request_id: str = field(default="", compare=False)

    @property
    def mark(self) -> str:
        """Give the name of the mark that stands while it is queued; empty where there is none."""
        return f"{_QUEUED}{self.task.value}:{self.key}" if self.key else ""


def to_queue(engine: Engine, found: Iterable[Due]) -> list[Due]:
    """Mark tasks as queued, and give those that were not; whoever calls this queues them."""
    wanted = list(dict.fromkeys(found))
    if not any(due.mark for due in wanted):
        return wanted
    with engine.store.transaction() as uow:
        return [due for due in wanted if not due.mark or marks.put(uow, due.mark, QUEUED_FOR[due.task])]


def begun(engine: Engine, task: Task, key: str) -> None:
    """Take the mark of a task away that begins: what happens from now on wants another one."""
    mark = Due(task, (), key).mark
    with engine.store.reading() as uow:
        stands = bool(marks.standing(uow, [mark]))
    # Of ten thousand deliveries at once nearly all find nothing to do; they should not even write.
    if stands:
        with engine.store.transaction() as uow:
            marks.take_away(uow, mark)


def all_lost(engine: Engine) -> None:
    """Take the marks of all queued tasks away: the broker has forgotten every one of them."""
    with engine.store.transaction() as uow:
        marks.take_all_away(uow, _QUEUED)


def unqueued(engine: Engine, missed: Sequence[Due]) -> None:
    """Take the marks of tasks away that could not be queued; the next tick finds them again."""
    with engine.store.transaction() as uow:
        for due in missed:
            if due.mark:
                marks.take_away(uow, due.mark)
