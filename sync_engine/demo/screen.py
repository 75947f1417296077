"""How the demo looks: everything printed comes from the sandboxes, the engine's store or its summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from sync_engine.demo.data import TITLES, ZONE
from sync_engine.demo.narrative import told
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
    Mark.REMOVED: "dim strike",
    Mark.NOT_WANTED: "dim",
}
_SIGNS = {Mark.AGREES: "✓", Mark.PARTLY: "◐", Mark.DIFFERS: "✗", Mark.LATER: "◔"}
_PLAIN_SIGNS = {Mark.AGREES: "=", Mark.PARTLY: "/", Mark.DIFFERS: "X", Mark.LATER: ">"}
_WORDS = {Mark.LATER: "later", Mark.HELD: "held", Mark.REMOVED: "gone", Mark.NOT_WANTED: "-"}
_PHASES = {"pull": "reading", "reconcile": "deciding", "push": "writing"}


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

    def opening(self, where: str) -> None:
        """Say what this is."""
        text = Text.assemble(
            ("One meeting, four systems, kept in agreement field by field.\n", "bold"),
            "Zoom, Attio, Lightfield and a prospect CRM run as local servers on 127.0.0.1, and the real engine\n"
            "syncs them over HTTP. No account is used, nothing leaves this machine.\n",
            (f"Everything lies in {where}", "dim"),
        )
        self.console.print(Panel(text, border_style="cyan", box=self._box(), padding=(0, 1)))

    def act(self, number: int, moment: datetime, title: str) -> None:
        """Begin an act, after a pause where one is wanted."""
        if number > 1:
            self._wait()
        self.console.print()
        heading = (
            f"[bold cyan]{number}  {title}[/]  [dim]{local(moment, '%a %d %b %Y, %H:%M')} in {ZONE.key}[/]"
        )
        self.console.rule(heading, align="left", style="cyan")

    def say(self, text: str) -> None:
        """Print a paragraph; Rich markup is allowed."""
        self.console.print(Padding(text, (0, 0, 0, 2)))

    @contextmanager
    def progress(self, expected: int) -> Iterator[runs.Progress]:
        """Show a sync while it runs; ``expected`` records are there to read."""
        columns = (
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[count]}"),
        )
        with Progress(*columns, console=self.console, transient=not self.console.is_terminal) as shown:
            bars = {
                phase: shown.add_task(word, total=expected if phase == "pull" else None, count="")
                for phase, word in _PHASES.items()
            }
            tally: Counter[str] = Counter()

            def heard(phase: str, _connection: str, number: int) -> None:
                tally[phase] += number
                shown.update(bars[phase], completed=tally[phase], count=str(tally[phase]))

            yield heard
            _complete(shown, bars, tally)

    def board(self, rows: Sequence[Row], names: Sequence[str], *, legend: bool = True) -> None:
        """Show what each side holds of each meeting."""
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("Day", no_wrap=True, style="dim")
        table.add_column("Meeting", no_wrap=True, overflow="ellipsis", ratio=1 if not self._is_wide else None)
        for name in names:
            table.add_column(self._title(name), no_wrap=True)
        day = ""
        for row in rows:
            today = local(row.start, "%a %d") if row.start else ""
            title = Text(row.meeting.title, style="strike dim" if row.is_cancelled else "")
            table.add_row("" if today == day else today, title, *(self._cell(row.cells[n]) for n in names))
            day = today
        self.console.print(Padding(table, (1, 0, 1, 2)))
        if legend:
            self._legend(rows)

    def _cell(self, cell: Cell) -> Text:
        signs = _PLAIN_SIGNS if self._is_plain else _SIGNS
        words = _WORDS.get(cell.mark, "")
        if cell.record is not None:
            words = local(cell.record["start"])
            if self._is_wide:
                end, guests = cell.record["end"], len(cell.record["participants"])
                words += f"-{local(end)}" if end else ""
                words += f" +{guests}" if guests else ""
        elif cell.until is not None and self._is_wide:
            words = local(cell.until, "%a %H:%M")
        return Text(f"{signs.get(cell.mark, '')} {words}".strip(), style=_STYLES[cell.mark])

    def _legend(self, rows: Sequence[Row]) -> None:
        cells = [cell for row in rows for cell in row.cells.values()]
        present = {cell.mark for cell in cells}
        signs = _PLAIN_SIGNS if self._is_plain else _SIGNS
        sayings = {
            Mark.AGREES: "there, and as it should be: the time is what that side’s record says",
            Mark.PARTLY: "there, but holds a value back it cannot take",
            Mark.DIFFERS: "[bold red]does not agree[/]",
        }
        for mark, saying in sayings.items():
            if mark in present:
                self.say(f"[{_STYLES[mark]}]{signs[mark]}[/] {saying}{self._guests(mark)}")
        for mark in (Mark.LATER, Mark.HELD):
            reasons = Counter(reason for cell in cells if cell.mark is mark for reason in cell.why)
            for reason, number in reasons.most_common():
                sign = signs.get(mark, "held")
                self.say(f"[{_STYLES[mark]}]{sign}[/] {number} × {escape(reason)}")
        if Mark.NOT_WANTED in present:
            self.say("[dim]-[/] has no place there (a phone call needs no Zoom room)")

    def _guests(self, mark: Mark) -> str:
        return "; +n: its guests" if mark is Mark.AGREES and self._is_wide else ""

    def edits(self, edits: Iterable[Edit]) -> None:
        """List what people did."""
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for edit in edits:
            table.add_row(edit.who, self._title(edit.side), edit.what)
        self.console.print(Padding(table, (1, 0, 0, 2)))

    def summary(self, act: Act) -> None:
        """Say in one line what a sync did, and what each server was asked."""
        did = act.summary
        self.say(
            f"[bold]{did.observed}[/] records seen · [bold]{did.created}[/] created · "
            f"[bold]{did.updated}[/] updated · [bold]{did.deleted}[/] deleted · "
            f"{did.conflicts} conflicts settled · {did.duration_ms / 1000:.1f} s"
        )
        asked = " · ".join(f"{self._title(name)} {_verbs(methods)}" for name, methods in act.asked.items())
        self.say(f"[dim]requests, counted by the servers: {asked}[/]")

    def journal(self, act: Act, board: Board) -> None:
        """Tell from the journal who changed what where, and what was written because of it."""
        for title, lines in told(act.journal, board):
            self.console.print(Padding(Text(title, style="bold"), (1, 0, 0, 2)))
            for side, line in lines:
                label = Text(f"{self._title(side):<{self._label_width}}", style="cyan")
                self.console.print(Padding(label + Text(line), (0, 0, 0, 4)))
        self.console.print()

    @property
    def _label_width(self) -> int:
        return max(len(self._title(name)) for name in TITLES) + 2

    def held(self, rows: Sequence[Row]) -> None:
        """Name the single values a side holds back, and why."""
        for row in rows:
            for name, cell in row.cells.items():
                if cell.mark is Mark.PARTLY:
                    reasons = escape("; ".join(cell.why))
                    self.say(f"[yellow]held[/] {escape(row.meeting.title)} · {self._title(name)} · {reasons}")

    def claims(self, results: Sequence[tuple[str, bool]]) -> None:
        """Show what was checked on the servers themselves."""
        yes, no = ("ok", "NO") if self._is_plain else ("✓", "✗")
        for text, holds in results:
            sign = f"[green]{yes}[/]" if holds else f"[bold red]{no}[/]"
            self.say(f"{sign} {escape(text)}" if holds else f"{sign} [bold red]NOT TRUE:[/] {escape(text)}")

    def closing(self, wrong: Sequence[str], kept: str | None) -> None:
        """Say how it ended and what to do next."""
        if wrong:
            body = Text("The demo is not true:\n", style="bold red")
            body.append("\n".join(wrong), style="red")
            self.console.print(Panel(body, border_style="red", box=self._box()))
            return
        commands = (
            ("sync-engine init", "write a configuration for your own accounts"),
            ("sync-engine check", "try every connection: credentials, scopes, quotas"),
            ("sync-engine plan", "see what a first sync would do; writes nothing"),
            ("sync-engine sync", "do it"),
        )
        table = Table(box=None, padding=(0, 3, 0, 0), show_header=False)
        for command, purpose in commands:
            table.add_row(f"[bold]{command}[/]", purpose)
        self.console.print()
        self.console.print(
            Panel(table, title="Next", title_align="left", border_style="green", box=self._box())
        )
        if kept:
            self.say(f"[dim]kept in {escape(kept)}: the configuration and the engine’s store[/]")

    def _title(self, name: str) -> str:
        title = TITLES[name]
        return title if self._is_wide else title.split()[-1]

    def _box(self) -> box.Box:
        return box.ASCII if self._is_plain else box.ROUNDED

    def _wait(self) -> None:
        if self.pause and self.console.is_terminal:
            self.console.input("\n[dim]  Enter goes on ...[/]")


def _complete(shown: Progress, bars: Mapping[str, TaskID], tally: Mapping[str, int]) -> None:
    words = {"pull": "records seen", "reconcile": "meetings", "push": "writes"}
    for phase, bar in bars.items():
        number = tally[phase]
        shown.update(bar, total=max(number, 1), completed=max(number, 1), count=f"{number} {words[phase]}")


def _verbs(methods: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {verb}" for verb, number in sorted(methods.items()))
