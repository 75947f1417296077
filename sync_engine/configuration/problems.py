"""What is wrong with a configuration: one entry per mistake, all of them at once."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sync_engine.errors import ConfigurationError

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One mistake: which key, what is wrong with it and what to do.

    ``file`` and ``line`` say where the key, or the table it belongs to, is written; ``line`` is None
    where it is not written at all. ``variable``: the environment variable that set it. Holds no values
    of secrets.
    """

    key: str
    message: str
    fix: str = ""
    file: str = ""
    line: int | None = None
    variable: str = ""

    @property
    def place(self) -> str:
        """Say where to look: the variable, or the file and line."""
        if self.variable:
            return self.variable
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    def __str__(self) -> str:
        text = f"{self.key} {self.message}" if self.key else self.message
        located = f"{self.place}: {text}" if self.place else text
        return f"{located}; {self.fix}" if self.fix else located


class InvalidSettingsError(ConfigurationError):
    """Carry everything that is wrong with the configuration, so that one edit can mend it all."""

    def __init__(self, problems: Sequence[SettingProblem]) -> None:
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"the configuration has {count}:{lines}")


def dotted(path: Iterable[str | int]) -> str:
    """Write a key path as TOML would: dots between keys, quotes where a key needs them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
        text += f".{key}" if text else key
    return text


def suggestion(wrong: object, known: Iterable[str]) -> str:
    """Ask whether the closest known name was meant, else list what is known."""
    names = list(known)
    close = closest(wrong, names)
    if close is not None:
        return f'did you mean "{close}"?'
    return f"known: {', '.join(names)}" if names else ""


def closest(wrong: object, known: Iterable[str]) -> str | None:
    """Give the known name that looks most like a mistyped one, None where none does."""
    by_fold = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(str(wrong).casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None
