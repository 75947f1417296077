"""What a connection can hold, as data; nothing outside an adapter asks which provider it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sync_engine.core.meeting import Field, Meeting, Value


class Updatable(StrEnum):
    """When a field of an existing record can be changed."""

    ALWAYS = "always"
    BEFORE_START = "before_start"
    AFTER_END = "after_end"
    NEVER = "never"


class Creatable(StrEnum):
    """When a record can be created, relative to the meeting."""

    ANY = "any"
    FUTURE = "future"
    PAST = "past"
    NEVER = "never"


class Ownership(StrEnum):
    """Which records an operation is allowed on: any, only those we created, none."""

    ANY = "any"
    OWN = "own"
    NO = "no"


class Idempotency(StrEnum):
    """How a repeated create is kept from doubling a record."""

    KEY = "key"
    SEARCH = "search"


class ChangeSignal(StrEnum):
    """The best hint of a change the side offers."""

    WEBHOOK = "webhook"
    UPDATED_AT = "updated_at"
    HASH = "hash"


def _unchanged(value: Value) -> Value:
    return value


def _holds(_value: Value) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class FieldCapability:
    """What one connection can do with one field.

    ``readable``: records show it. False with ``creatable`` means it is carried: written (say inside an
    owned block) and never read back.
    ``normalise``: pure and idempotent; the value as this side would show it after a write (cut, rounded,
    without names ...). ``refuse``: a reason when a value cannot be held at all, else None.
    ``source``: takes the value from the meeting; default is the field of the same name.
    ``fixed_members``: of a participant set, only who the record already holds can be shown.
    ``issued``: the side itself issues the value (a join link); its value wins a merge.
    """

    readable: bool = True
    creatable: bool = True
    updatable: Updatable = Updatable.ALWAYS
    normalise: Callable[[Value], Value] = _unchanged
    refuse: Callable[[Value], str | None] = _holds
    source: Callable[[Meeting], Value | None] | None = None
    fixed_members: bool = False
    issued: bool = False


@dataclass(frozen=True, slots=True)
class DailyCap:
    """A provider's cap on writes per scope and UTC day; ``reserve`` is kept for deletions."""

    limit: int
    reserve: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one connection can do with a whole record.

    ``create_margin``: with ``Creatable.PAST``, how long after the end creating becomes possible.
    ``complete_list``: list rows show everything a read by id shows.
    ``twins``: the side grows its own copy of calendar meetings, minutes later.
    ``absence_proofs``: how many sweeps must miss a record, each confirmed by a read, before it is gone.
    ``forgets_past``: records of past meetings expire by themselves; that is not a deletion.
    ``key_lifetime``: how long an idempotency key is known to protect; None if not established.
    """

    fields: Mapping[Field, FieldCapability]
    create: Creatable = Creatable.ANY
    create_margin: timedelta = timedelta(0)
    delete: Ownership = Ownership.ANY
    replace: Ownership = Ownership.NO
    restore: bool = False
    complete_list: bool = True
    change_signal: ChangeSignal = ChangeSignal.HASH
    idempotency: Idempotency = Idempotency.SEARCH
    key_lifetime: timedelta | None = None
    twins: bool = False
    absence_proofs: int = 1
    forgets_past: bool = False
    daily_cap: DailyCap | None = None

    def of(self, name: Field) -> FieldCapability | None:
        """Give the capability for a field, None where the side has no such field at all."""
        return self.fields.get(name)
