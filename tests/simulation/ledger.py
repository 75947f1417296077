"""What people did, and how the records of the world look to them: the oracle's own memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TOKEN = re.compile(r"\b[mM](\d{3})x")
_BLOCK = re.compile(r"\n*^--- meeting sync.*?^--- end of meeting sync ---$", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(r"^([A-Z][a-z]+): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Seen:
    """One record of the world as people see it. ``words``: its text without our block."""

    connection: str
    id: str
    token: int | None
    live: bool
    by_api: bool
    title: str
    words: str
    block: dict[str, str]
    start: datetime | None
    end: datetime | None
    zone: str | None
    people: frozenset[str]
    organizer: str | None
    location: str
    join_url: str
    kind: str
    raw: dict[str, Any]
    hidden: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Name the record over all connections."""
        return (self.connection, self.id)

    @property
    def whole_text(self) -> str:
        """Give the text people edit: their words and our block."""
        return str(self.raw.get("notes" if self.connection == "prospects" else "description") or "")


def seen_of(connection: str, record: dict[str, Any]) -> Seen:
    """Take one sandbox record apart."""
    text = str(record.get("notes" if connection == "prospects" else "description") or "")
    block = "\n".join(_BLOCK.findall(text))
    words = _BLOCK.sub("", text).strip("\n")
    external_id = str(record["id"])
    if record.get("occurrence_id"):
        external_id += f"/{record['occurrence_id']}"
    people = frozenset(email.casefold() for email in record.get("participants") or ())
    organizer = record.get("organizer")
    title = record.get("title") or ""
    return Seen(
        connection=connection,
        id=external_id,
        token=_token(title, *people, block, words),
        live=not record["deleted"] and not record.get("webinar"),
        by_api=bool(record["created_by_api"]),
        title=" ".join(title.split()),
        words=words,
        block=dict(_ENTRY.findall(block)),
        start=record["start"],
        end=record["end"],
        zone=record.get("zone"),
        people=people,
        organizer=organizer.casefold() if organizer else None,
        location=record.get("location") or "",
        join_url=record.get("join_url") or "",
        kind=record.get("kind") or "",
        raw=record,
    )


def _token(*texts: str) -> int | None:
    for text in texts:
        found = TOKEN.search(text)
        if found:
            return int(found.group(1))
    return None


@dataclass
class Deed:
    """One edit a person made. ``value``: what the field says afterwards, in a form the oracle can find.

    ``raced``: the engine wrote to the record within the very moment; no protocol could have saved it.
    """

    step: int
    at: datetime
    token: int
    connection: str
    record: str
    field: str
    value: Any
    raced: bool = False

    def __str__(self) -> str:
        return f"{self.connection}/{self.record[-8:]} m{self.token:03} {self.field} := {self.value!r}"


@dataclass
class Matter:
    """One meeting as people mean it. ``records``: born of people, by connection and id."""

    token: int
    title: str
    guests: list[str]
    prospect: str | None = None
    is_series: bool = False
    born_at: str = ""
    copies: int = 0


@dataclass
class Ledger:
    """Remember matters and deeds of one history."""

    matters: dict[int, Matter] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)
    starts: set[datetime] = field(default_factory=set)
    words: int = 0
    step: int = 0
    quiet_steps: list[int] = field(default_factory=list)

    def add(self, matter: Matter) -> None:
        """Remember a matter."""
        self.matters[matter.token] = matter

    def did(self, at: datetime, seen: Seen, name: str, value: Any) -> Deed:
        """Remember an edit."""
        assert seen.token is not None
        deed = Deed(self.step, at, seen.token, seen.connection, seen.id, name, value)
        self.deeds.append(deed)
        return deed

    def word(self, stem: str, token: int) -> str:
        """Make a word nobody used before."""
        self.words += 1
        return f"{stem} m{token:03}x w{self.words:04}"

    def of(self, token: int, names: Iterable[str] | None = None) -> list[Deed]:
        """Give the deeds of one matter, of some fields only if named."""
        wanted = None if names is None else set(names)
        return [d for d in self.deeds if d.token == token and (wanted is None or d.field in wanted)]
