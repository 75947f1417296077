"""How the demo looks: everything printed comes from the sandboxes, the engine's store or its summary."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from sync_engine.demo.data import TITLES, ZONE
from sync_engine.demo.narrative import REPLACED, Line, told
from sync_engine.demo.sides import Board, Cell, Mark, Row
from sync_engine.demo.stage import Act
from sync_engine.demo.story import Edit
from sync_engine.services import run as runs

WIDE = 110
_STYLES = {
    Mark.AGREES: "green",
    Mark.PARTLY: "yellow",
    Mark.DIFFERS: "bold red",
    Mark.LATER: "cyan",
    Mark.HELD: "dim",
    Mark.REMOVED: "dim",
    Mark.NOT_WANTED: "dim",
}
_SIGNS = {Mark.AGREES: "✓", Mark.PARTLY: "◐", Mark.DIFFERS: "✗", Mark.LATER: "◔"}
_PLAIN_SIGNS = {Mark.AGREES: "=", Mark.PARTLY: "/", Mark.DIFFERS: "X", Mark.LATER: ">"}
_WORDS = {Mark.LATER: "later", Mark.HELD: "held", Mark.REMOVED: "gone", Mark.NOT_WANTED: "-"}
_SAYINGS = {
    Mark.AGREES: "there and as it should be; the time is the one that side’s record has",
    Mark.PARTLY: "there, with a value held back that its API cannot take",
    Mark.DIFFERS: "does not agree",
    Mark.NOT_WANTED: "has no place there (a phone call needs no Zoom room)",
}
_PHASES = {
    "pull": ("reading", "records"),
    "reconcile": ("deciding", "meetings"),
    "push": ("writing", "writes"),
}
_NEXT = (
    ("init", "write a configuration for your own accounts"),
    ("check", "try every connection: credentials, scopes, quotas"),
    ("plan", "see what a first sync would do; writes nothing"),
    ("sync", "do it"),
)


def local(moment: datetime, form: str = "%H:%M") -> str:
    """Write a moment as the team's wall clock shows it."""
    return moment.astimezone(ZONE).strftime(form)


@dataclass
class Screen:
    """Print the demo on a console, 80 columns or more, terminal or not."""

    console: Console
    pause: bool = False

    @property
    def _is_wide(self) -> bool:
        return self.console.width >= WIDE

    @property
    def _is_plain(self) -> bool:
        return self.console.options.ascii_only

    @property
    def _signs(self) -> Mapping[Mark, str]:
        return _PLAIN_SIGNS if self._is_plain else _SIGNS

    def opening(self, where: str) -> None:
        """Say what this is."""
        text = Text.assemble(
            ("One meeting, four systems, kept in agreement field by field.\n", "bold"),
            "Zoom, Attio, Lightfield and a prospect CRM run as local servers on 127.0.0.1; the real engine "
            "syncs them over HTTP. It uses no account, and nothing leaves this machine.\n",
            (f"Writes only to {where}", "dim"),
        )
        self.console.print(Panel(text, border_style="cyan", box=self._box, padding=(0, 1)))

    def act(self, number: int, moment: datetime, title: str) -> None:
        """Begin an act, after a pause where one is wanted."""
        if number > 1 and self.pause and self.console.is_terminal:
            self.console.input("\n[dim]  Enter goes on ...[/]")
        when = local(moment, "%a %d %b, %H:%M")
        self.console.print()
        self.console.rule(
            f"[bold cyan]{number}  {title}[/]  [dim]{when} in {ZONE.key}[/]",
            align="left",
            style="cyan",
            characters="-" if self._is_plain else "─",
        )

    def say(self, text: str) -> None:
        """Print a paragraph; Rich markup is allowed."""
        self.show(Text.from_markup(text))

    def show(self, content: RenderableType, *, above: int = 0, below: int = 0, left: int = 2) -> None:
        """Print something, indented, without blanks at the ends of lines."""
        self.console.print(Padding(content, (above, 0, below, left), expand=False))

    @contextmanager
    def progress(self, expected: int) -> Iterator[runs.Progress]:
        """Show a sync while it runs; ``expected`` records are there to read."""
        columns = (
            SpinnerColumn("line" if self._is_plain else "dots", finished_text=" "),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[count]}"),
        )
        self.console.print()
        is_seen = self.console.is_terminal
        with Progress(*columns, console=self.console, disable=not is_seen) as shown:
            bars = {
                phase: shown.add_task(word, total=expected if phase == "pull" else None, count="")
                for phase, (word, _) in _PHASES.items()
            }
            tally: Counter[str] = Counter()

            def heard(phase: str, _connection: str, number: int) -> None:
                tally[phase] += number
                shown.update(bars[phase], completed=tally[phase], count=str(tally[phase]))

            yield heard
            _complete(shown, bars, tally)
        if is_seen:
            self.console.print()

    def holdings(self, holdings: Iterable[tuple[str, int, str]]) -> None:
        """List how many meetings each side has on its own, and where it listens."""
        table = _grid()
        for name, number, url in holdings:
            table.add_row(f"[cyan]{TITLES[name]}[/]", f"{number} meetings", f"[dim]{url}[/]")
        self.show(table, above=1)

    def board(self, rows: Sequence[Row], *, legend: bool = True) -> None:
        """Show what each side holds of each meeting."""
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("Day", no_wrap=True, style="dim", min_width=6)
        widths = {name: max(7, len(self.title(name))) for name in TITLES}
        room = self.console.width - 2 - 7 - 1 - sum(width + 1 for width in widths.values())
        longest = None if self._is_wide else room
        table.add_column("Meeting", no_wrap=True, overflow="ellipsis", max_width=longest)
        for name, width in widths.items():
            table.add_column(self.title(name), no_wrap=True, min_width=width)
        day = ""
        for row in rows:
            today = local(row.start, "%a %d") if row.start else ""
            title = Text(row.meeting.title, style="strike dim" if row.is_cancelled else "")
            table.add_row("" if today == day else today, title, *(self._cell(row.cells[n]) for n in TITLES))
            day = today
        self.show(table, below=1)
        if legend:
            self._legend([cell for row in rows for cell in row.cells.values()])

    def _cell(self, cell: Cell) -> Text:
        words = _WORDS.get(cell.mark, "")
        if cell.record is not None:
            words = self._in_short(cell.record["start"], cell.record["end"], len(cell.record["participants"]))
        elif cell.mark is Mark.LATER and cell.until is not None and self._is_wide:
            words = local(cell.until, "%a %H:%M")
        return Text(f"{self._signs.get(cell.mark, '')} {words}".strip(), style=_STYLES[cell.mark])

    def _in_short(self, start: datetime, end: datetime | None, guests: int) -> str:
        if not self._is_wide:
            return local(start)
        return f"{local(start)}{f'-{local(end)}' if end else ''}{f' +{guests}' if guests else ''}"

    def _legend(self, cells: Sequence[Cell]) -> None:
        present = {cell.mark for cell in cells}
        table = _grid()
        for mark, saying in _SAYINGS.items():
            if mark in present:
                more = ", +n its guests" if mark is Mark.AGREES and self._is_wide else ""
                table.add_row(Text(self._signs.get(mark, "-"), style=_STYLES[mark]), saying + more)
        for mark in (Mark.LATER, Mark.HELD):
            reasons = Counter(reason for cell in cells if cell.mark is mark for reason in cell.why)
            for reason, number in reasons.most_common():
                sign = self._signs.get(mark, _WORDS[mark])
                table.add_row(Text(sign, style=_STYLES[mark]), Text(f"{reason} ({number} meetings)"))
        self.show(table, below=1)

    def edits(self, edits: Iterable[Edit]) -> None:
        """List what people did."""
        table = _grid()
        for edit in edits:
            table.add_row(Text(edit.who, style="bold"), Text(self.title(edit.side), style="cyan"), edit.what)
        self.show(table, above=1)

    def summary(self, act: Act) -> None:
        """Say what a sync did, and what each server was asked."""
        did = act.summary
        counts = {
            "records seen": did.observed,
            "created": did.created,
            "updated": did.updated,
            "deleted": did.deleted,
            f"conflict{'s' if did.conflicts > 1 else ''} decided": did.conflicts,
        }
        parts = [f"[bold]{n}[/] {word}" for word, n in counts.items() if n or word == "records seen"]
        self.say(" · ".join([*parts, f"{did.duration_ms / 1000:.1f} s"]))
        table = _grid()
        for name, methods in act.asked.items():
            verbs = ", ".join(f"{number} {verb}" for verb, number in sorted(methods.items()))
            table.add_row(f"[cyan]{self.title(name)}[/]", f"[dim]{verbs}[/]")
        self.show(table, left=4, below=1)

    def journal(self, act: Act, board: Board) -> None:
        """Tell from the journal who changed what where, and what was written because of it."""
        for title, lines in told(act.journal, board):
            self.show(Text(title, style="bold"), above=1)
            self.lines(lines)
        self.console.print()
        if any(entry.cause == REPLACED for entry in act.journal):
            self.say("[dim]replaced: that API changes no meeting, so our own record was made anew[/]\n")

    def lines(self, lines: Iterable[Line]) -> None:
        """List what happened where."""
        table = _grid()
        width = max(len(self.title(name)) for name in TITLES)
        for side, line in lines:
            table.add_row(Text(f"{self.title(side):<{width}}", style="cyan"), Text(line))
        self.show(table, left=4)

    def held(self, rows: Iterable[Row]) -> None:
        """Name the single values a side holds back, and why."""
        for row in rows:
            for name, cell in row.cells.items():
                if cell.mark is Mark.PARTLY:
                    what = f"{row.meeting.title}, {self.title(name)}: {'; '.join(cell.why)}"
                    self.say(f"[yellow]held[/]  {escape(what)}")

    def claims(self, results: Sequence[tuple[str, bool]]) -> None:
        """Show what was checked on the servers themselves."""
        yes, no = ("ok", "NO") if self._is_plain else ("✓", "✗")
        table = _grid()
        for text, holds in results:
            sign = f"[green]{yes}[/]" if holds else f"[bold red]{no}[/]"
            table.add_row(sign, escape(text) if holds else f"[bold red]NOT TRUE:[/] {escape(text)}")
        self.say("[bold]Checked on the servers[/]")
        self.show(table)

    def closing(self, wrong: Sequence[str], kept: str | None) -> None:
        """Say how it ended and what to do next."""
        self.console.print()
        if wrong:
            body = Text("\n".join(dict.fromkeys(wrong)), style="red")
            title = "The demo is not true"
            self.console.print(
                Panel(body, title=title, title_align="left", border_style="red", box=self._box)
            )
            return
        table = _grid()
        for command, purpose in _NEXT:
            table.add_row(Text(f"{_command()} {command}", style="bold"), purpose)
        self.console.print(
            Panel(table, title="Next", title_align="left", border_style="green", box=self._box)
        )
        if kept:
            self.say(f"[dim]Kept: the configuration and the engine’s store, in {escape(kept)}[/]")

    def title(self, name: str) -> str:
        """Give the name of a side, short where there is little room."""
        title = TITLES.get(name, name)
        return title if self._is_wide or not title else title.split()[-1]

    @property
    def _box(self) -> box.Box:
        return box.ASCII if self._is_plain else box.ROUNDED


def _command() -> str:
    """Name our command the way it can be typed here: its environment may not be on the path."""
    if shutil.which("sync-engine"):
        return "sync-engine"
    beside = Path(sys.executable).with_name("sync-engine")
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)


def _grid() -> Table:
    return Table.grid(padding=(0, 2, 0, 0))


def _complete(shown: Progress, bars: Mapping[str, TaskID], tally: Mapping[str, int]) -> None:
    for phase, bar in bars.items():
        number, (_, unit) = tally[phase], _PHASES[phase]
        shown.update(bar, total=max(number, 1), completed=max(number, 1), count=f"{number} {unit}")
