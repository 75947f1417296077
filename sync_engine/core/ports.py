"""What the engine asks of an adapter, and the values that cross that border."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, runtime_checkable

from sync_engine.core.capabilities import Capabilities
from sync_engine.core.meeting import Field, Series, Values

Json: TypeAlias = Any
"""A JSON value."""


@dataclass(frozen=True, slots=True)
class Window:
    """The span of meeting times a sweep must cover: aware UTC, ``end`` exclusive."""

    start: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment lies in the window."""
        return self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Sighting:
    """One record as a listing showed it, not translated yet, so that an unchanged row costs nothing.

    ``fingerprint`` hashes what the row shows of the fields we use, and nothing volatile. ``scope``: the
    part of the account whose listing shows the record (a Zoom host's id; empty where there are no
    parts). ``gone``: the listing itself says the record was deleted (a cancelled occurrence).
    """

    external_id: str
    fingerprint: str
    raw: Mapping[str, Json]
    scope: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a listing that could not be read; the rest went on.

    ``external_id`` is empty when a whole scope failed. ``payload`` has secrets removed.
    """

    reason: str
    external_id: str = ""
    scope: str = ""
    payload: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SweepPage:
    """One page of a sweep. ``covered``: scopes whose every page has now been read without error."""

    sightings: Sequence[Sighting]
    covered: frozenset[str] = frozenset()
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What a connection showed of one record at one moment, translated.

    ``values`` has exactly the fields this record *showed*: a missing field means "no information", an
    empty value means "empty". ``derived``: fields the adapter had to invent. ``machine``: fields that
    software, not a person, wrote. ``outdated``: fields whose copy in an owned block of ours no longer fits
    what the record itself shows. ``complete``: False for a list row that hides fields which a read by id
    shows. ``links``: conference keys found in any URL or text ("zoom:97763643886"). ``marks``: canonical
    meeting ids found in an owned block of ours. ``fixed``: fields this record cannot change although the
    connection can, with the reason. ``read_only``: why the record takes no write at all. ``particulars``:
    the provider's own facts later writes need (host, uuid, prospect); JSON, no secrets.
    """

    external_id: str
    values: Values
    observed_at: datetime
    fingerprint: str = ""
    complete: bool = True
    derived: frozenset[Field] = frozenset()
    machine: frozenset[Field] = frozenset()
    outdated: frozenset[Field] = frozenset()
    private: bool = False
    series: Series | None = None
    links: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    ical_uid: str | None = None
    fixed: Mapping[Field, str] = field(default_factory=dict)
    read_only: str | None = None
    deletable: bool = True
    scope: str = ""
    particulars: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Absence:
    """What a read by id says of a record a sweep did not show.

    Either ``observation`` is set (it is still there), or it is missing; ``proven`` then tells that one
    such answer is enough (the provider's trash lists it), whatever ``absence_proofs`` asks for.
    ``hidden``: it cannot be read, and what the provider shows says that it was not deleted either.
    """

    observation: Observation | None = None
    proven: bool = False
    hidden: bool = False


class Operation(StrEnum):
    """What an outbox row does at the provider; each is one mutation there."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Write:
    """One intended write, before it is sealed.

    ``intent`` is the outbox row's id: it names the intent and is the stem of any idempotency key.
    ``values``: the whole projection. ``changed``: the fields to write (update only). ``base``: what the
    record last showed; the write was planned upon it, at ``base_observed_at``. ``replaces``: the external
    id of the record that a create takes the place of. ``preview``: somebody only wants to see what it would
    take; nothing may be written, not even what the write itself would need first.
    """

    intent: str
    operation: Operation
    connection: str
    meeting_id: str
    revision: int
    values: Values
    intended_at: datetime
    external_id: str | None = None
    changed: frozenset[Field] = frozenset()
    base: Values = field(default_factory=dict)
    base_observed_at: datetime | None = None
    particulars: Mapping[str, Json] = field(default_factory=dict)
    replaces: str | None = None
    preview: bool = False


@dataclass(frozen=True, slots=True)
class Sealed:
    """One request, frozen: committed before its first byte leaves and sent again unchanged.

    ``body`` is the exact JSON text. ``details``: what ``find`` and read-back need (JSON; no secrets).
    ``scope``: whose daily cap it counts against, empty for none.
    """

    operation: Operation
    method: str
    path: str
    body: str | None = None
    key: str | None = None
    external_id: str | None = None
    scope: str = ""
    details: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """The effect of a sent write: the record's id and, where known, what it shows now."""

    external_id: str
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """What one read showed of a series, or of the single record that has the series' id.

    ``observations``: its records in the window, each in full. ``gone``: records it says were deleted.
    ``problems``: records that could not be translated.
    """

    observations: Sequence[Observation]
    gone: frozenset[str] = frozenset()
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider wants to hear in answer to a delivery that asks something."""

    body: bytes
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Hints:
    """What a delivery says is worth a look; nothing of it is believed before it was read.

    ``records``: external ids to read. ``groups``: keys of series (as ``Observation.series`` has them), or
    of single records where the delivery does not tell which. ``told_gone``: which of ``records`` and
    ``groups`` it says were deleted. ``people``: ids of persons a held record may have waited for.
    ``sweep``: something changed that only a listing shows. ``claims``: per record or group what the
    delivery says it shows now, in digests; only there if it says everything that changed.
    """

    records: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    told_gone: frozenset[str] = frozenset()
    people: tuple[str, ...] = ()
    sweep: bool = False
    claims: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is to be looked at."""
        return not (self.records or self.groups or self.people or self.sweep)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose account the credentials open: the canary of a run.

    ``account_id`` is stable and no secret; empty where the provider names no account.
    """

    account_id: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``check``: what was looked at, whether it is well, and how to fix it."""

    subject: str
    ok: bool
    detail: str
    fix: str = ""


class Receiver(Protocol):
    """Take what a provider sends by itself; no I/O but for looking up secrets."""

    @property
    def listens(self) -> bool:
        """Tell whether there is a secret to check deliveries with."""

    def authenticate(self, body: bytes, headers: Mapping[str, str], now: datetime) -> bool:
        """Tell whether the raw body comes from the provider, and not too long ago; constant time."""

    def challenge(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Reply | None:
        """Give the answer to an authentic delivery that asks one; None for all others."""

    def delivery_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Give what a repeated delivery has in common with the first one."""

    def hints(self, body: bytes) -> Hints:
        """Read what is worth a look. Raises UnmappableRecordError for a body that cannot be read."""

    def is_known(self, claims: Mapping[str, str], shown: Observation) -> bool:
        """Tell whether what a delivery claims is what the record showed already (an echo of our write)."""


@runtime_checkable
class ReadsGroups(Protocol):
    """A side whose deliveries may name a series, or not tell whether they do."""

    async def read_group(self, key: str, window: Window) -> Group:
        """Read a series, or the single record of that id, with one request. Raises RecordGoneError."""


@runtime_checkable
class KnowsPeople(Protocol):
    """A side whose deliveries may name persons."""

    async def addresses_of(self, people: Sequence[str]) -> frozenset[str]:
        """Read who these are; gives their normalised addresses. Who is gone is left out."""


@runtime_checkable
class RegistersWebhook(Protocol):
    """A side whose API takes subscriptions."""

    async def ensure_webhook(self, url: str) -> Finding:
        """Subscribe to deliveries at a public URL unless that is done, and keep the secret."""


@runtime_checkable
class Adapter(Protocol):
    """One connection to one provider account. All methods may raise the errors of ``errors.py``."""

    @property
    def capabilities(self) -> Capabilities:
        """Say what this connection can hold."""

    @property
    def memory(self) -> Mapping[str, Json]:
        """Give what was learned about the account and is worth keeping between runs (JSON, no secrets)."""

    @property
    def receiver(self) -> Receiver | None:
        """Give what takes the provider's deliveries; None where it sends none."""

    async def canary(self) -> Identity:
        """Read the account's own identity with the credentials in use; one request."""

    async def check(self) -> Sequence[Finding]:
        """Verify credentials, scopes, quotas and clock, and say what to fix; never raises for a finding."""

    def sweep(self, window: Window) -> AsyncIterator[SweepPage]:
        """List every record whose meeting lies in the window; records outside may be shown too."""

    def translate(self, sighting: Sighting) -> Observation:
        """Translate one listed row; pure. Raises UnmappableRecordError."""

    async def read(self, external_id: str) -> Observation:
        """Read one record by id: the truth. Raises RecordGoneError, UnmappableRecordError."""

    async def confirm_absence(self, external_id: str) -> Absence:
        """Ask whether a record that a sweep missed is really gone."""

    def write_scope(self, write: Write) -> str:
        """Say whose daily cap the write would count against; empty for none. Pure."""

    async def prepare(self, write: Write) -> Sealed:
        """Decide the exact request; may read first.

        Raises StaleWriteError, RecordGoneError, UnholdableError, NeedsReviewError.
        """

    async def send(self, sealed: Sealed) -> Written:
        """Send a sealed request once.

        Raises OutcomeUnknownError when it may have taken effect and the request carries no key; with a
        key it is repeated unchanged first. RecordGoneError on a delete counts as done by the caller.
        """

    async def find(self, sealed: Sealed) -> Sequence[Observation]:
        """Search records that a create of unknown outcome may have made, best first; never guesses."""

    async def aclose(self) -> None:
        """Close the connections."""


Now: TypeAlias = Callable[[], datetime]
"""Tells the time: aware UTC."""


class Vault(Protocol):
    """Keeps one secret that changes while we run (a rotating refresh token)."""

    def load(self) -> str | None:
        """Give the newest secret, None before the first one was stored."""

    def store(self, secret: str) -> None:
        """Keep a secret before the answer that brought it is used for anything."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Let one caller at a time, over all processes, read, renew and store."""
