"""The demo, act by act."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from sync_engine.demo.explanation import show_life
from sync_engine.demo.plain import never_fail
from sync_engine.demo.screen import Screen
from sync_engine.demo.sides import Row
from sync_engine.demo.stage import OPENING, Act, Stage, staged
from sync_engine.demo.story import (
    AFTER_THE_DAY,
    AFTER_THE_EDITS,
    AFTER_THE_FIRST,
    AT_REST,
    EVENING,
    EXPLAINED,
    QUIET_HOUR,
    Claim,
    edits,
    row_of,
)
from sync_engine.errors import ConfigurationError
from sync_engine.observability import configure_logging


def run_demo(
    console: Console | None = None, *, pause: bool = False, seed: int = 7, keep: Path | None = None
) -> int:
    """Play the demo and give the exit code: 0 when everything it shows is true, else 1.

    ``console`` is the standard output unless given. ``pause`` waits for Enter between the acts, on a
    terminal. ``seed`` varies ids and links. ``keep`` is a new or empty folder for the configuration and
    the store; without it they lie in a temporary one, which is removed.

    Raises:
        ConfigurationError: the folder to keep them in already holds something.
    """
    configure_logging(level="error")
    shown = console or Console()
    never_fail(shown.file)
    with _folder(keep) as folder:
        return asyncio.run(_Play(Screen(shown, pause), keep).run(folder, seed))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise ConfigurationError(f"{keep} already holds something; name a folder that is new or empty")
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="sync-engine-demo-") as folder:
        yield Path(folder)


class _Play:
    def __init__(self, screen: Screen, keep: Path | None) -> None:
        self.screen, self.keep = screen, keep
        self.wrong: list[str] = []

    async def run(self, folder: Path, seed: int) -> int:
        where = str(folder) if self.keep else f"{folder} (removed at the end)"
        self.screen.opening(where)
        async with staged(folder, seed) as stage:
            await self._first_sync(stage)
            await self._morning(stage)
            self._explanation(stage)
            await self._evening(stage)
            await self._at_rest(stage)
        self.screen.closing(self.wrong, str(folder) if self.keep else None)
        return 1 if self.wrong else 0

    async def _first_sync(self, stage: Stage) -> None:
        screen = self.screen
        screen.act(1, OPENING, "The first sync")
        screen.say("A team’s week, as each system has it on its own:")
        screen.holdings(
            (name, len(records), stage.sandboxes[name].url) for name, records in stage.records().items()
        )
        act = await self._sync(stage)
        screen.board(stage.board().rows)
        screen.summary(act)
        self._check(stage, act, AFTER_THE_FIRST)

    async def _morning(self, stage: Stage) -> None:
        screen = self.screen
        stage.set_clock(QUIET_HOUR)
        screen.act(2, QUIET_HOUR, "People at work")
        done = list(edits(stage))
        for edit in done:
            edit.do(stage)
        screen.edits(done)
        screen.act(3, QUIET_HOUR, "The second sync")
        act = await self._sync(stage)
        board = stage.board()
        screen.say("What the journal says (← is a write of the engine):")
        screen.journal(act, board)
        touched = {entry.meeting_id for entry in act.journal}
        screen.board([row for row in board.rows if row.meeting.id in touched], legend=False)
        screen.held(board.rows)
        screen.summary(act)
        self._check(stage, act, AFTER_THE_EDITS)

    def _explanation(self, stage: Stage) -> None:
        self.screen.act(4, QUIET_HOUR, "Why did the panel interview move?")
        show_life(self.screen, stage, row_of(stage, EXPLAINED))

    async def _evening(self, stage: Stage) -> None:
        screen = self.screen
        stage.set_clock(EVENING)
        screen.act(5, EVENING, "The evening: what had to wait")
        screen.say("Lightfield takes a meeting only once it is over. Today’s are, now.")
        act = await self._sync(stage)
        screen.board([row for row in stage.board().rows if _is_today(row)], legend=False)
        screen.summary(act)
        self._check(stage, act, AFTER_THE_DAY)

    async def _at_rest(self, stage: Stage) -> None:
        screen = self.screen
        screen.act(6, EVENING, "Once more, with nothing to do")
        act = await self._sync(stage)
        screen.summary(act)
        self._check(stage, act, AT_REST)

    async def _sync(self, stage: Stage) -> Act:
        expected = sum(len(records) for records in stage.records().values())
        with self.screen.progress(expected) as heard:
            return await stage.sync(heard)

    def _check(self, stage: Stage, act: Act, claims: Sequence[Claim]) -> None:
        results = [(claim.text, _is_true(claim, stage, act)) for claim in claims]
        self.screen.claims(results)
        self.wrong += [text for text, holds in results if not holds]
        if not all(holds for _, holds in results):
            self.wrong += [*stage.board().disagreements(), *_failures(act)]


def _is_true(claim: Claim, stage: Stage, act: Act) -> bool:
    # A claim about a record that is not there is false, whatever it stumbles over.
    try:
        return claim.holds(stage, act)
    except LookupError:
        return False


def _failures(act: Act) -> list[str]:
    return [f"{where}: {reason}" for where, reason in act.summary.failures.items()]


def _is_today(row: Row) -> bool:
    return row.start is not None and row.start.date() == OPENING.date()
