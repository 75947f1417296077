"""What an operator decided: who may be written to, and whose value wins a true conflict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from sync_engine.core.meeting import Field, Value
from sync_engine.core.ports import Window


class DeletionPolicy(StrEnum):
    """What a proven deletion at one connection means for the others."""

    PROPAGATE = "propagate"
    KEEP = "keep"
    ASK = "ask"


class CreateRule(StrEnum):
    """Which meetings a connection is given that it does not have yet."""

    ALWAYS = "always"
    NEVER = "never"
    VIRTUAL_WITHOUT_LINK = "virtual_without_link"


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator permits at one connection."""

    may_create: bool = True
    may_update: bool = True
    may_delete: bool = True
    create: CreateRule = CreateRule.ALWAYS
    replace: bool = False
    twin_grace: timedelta = timedelta(0)
    share_private: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value in a true conflict, and where it came from."""

    connection: str
    value: Value
    machine: bool = False
    derived: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for one workspace. ``connections`` has the rules of every configured connection.

    ``owners``: the connection whose value wins a conflict over a field. ``ask``: fields whose conflicts a
    person decides.
    """

    window: Window
    connections: Mapping[str, Rules]
    precedence: tuple[str, ...] = ()
    owners: Mapping[Field, str] = field(default_factory=dict)
    ask: frozenset[Field] = frozenset()
    deletions: DeletionPolicy = DeletionPolicy.PROPAGATE

    def rank(self, connection: str) -> tuple[int, str]:
        """Order connections by precedence; the lowest rank wins, names break ties."""
        try:
            return (self.precedence.index(connection), connection)
        except ValueError:
            return (len(self.precedence), connection)

    def order(
        self, name: Field, candidates: Iterable[Candidate], *, issuer: str | None = None
    ) -> list[Candidate]:
        """Order the candidates of a conflict, winner first.

        An issued value beats everything (a side that issues links holds the only link that works), then
        the declared owner, then what a person typed, then the precedence of connections.
        """
        owner = self.owners.get(name)

        def key(candidate: Candidate) -> tuple[bool, bool, bool, bool, tuple[int, str], str]:
            return (
                candidate.connection != issuer,
                candidate.derived,
                candidate.connection != owner,
                candidate.machine,
                self.rank(candidate.connection),
                repr(candidate.value),
            )

        return sorted(candidates, key=key)

    def why(self, name: Field, winner: Candidate, loser: Candidate, *, issuer: str | None = None) -> str:
        """Say which rule put one candidate before another."""
        if winner.connection == issuer and loser.connection != issuer:
            return f"{winner.connection} issues it"
        if loser.derived and not winner.derived:
            return "the other value was not typed by anybody"
        if self.owners.get(name) == winner.connection and loser.connection != winner.connection:
            return f"{winner.connection} owns this field"
        if loser.machine and not winner.machine:
            return "a person's value goes before a program's"
        return f"{winner.connection} goes before {loser.connection}"
