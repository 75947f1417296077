"""Print what every provider can hold: ``python -m sync_engine.adapters.table``.

It is read off the capabilities that the adapters declare. The tables in the README files are this output,
and a test compares them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.pacing import LocalPacer
from sync_engine.adapters.registry import ProviderEntry, known_providers
from sync_engine.core.capabilities import (
    Capabilities,
    ChangeSignal,
    Creatable,
    FieldCapability,
    Idempotency,
    Ownership,
    Updatable,
)
from sync_engine.core.meeting import Field, Schedule
from sync_engine.core.ports import Adapter

Row: TypeAlias = tuple[str, Callable[[Capabilities], str]]

_PLACEHOLDER = "example"
_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_ALL_DAY = Schedule.dates(date(2026, 11, 20), date(2026, 11, 21))
# Long enough to meet any limit a side has; a side that keeps all of it names none.
_LONG_TEXT = "x" * 100_000
_LIMITED = (Field.TITLE, Field.DESCRIPTION, Field.LOCATION)

_WRITABLE = {
    Updatable.ALWAYS: "written any time",
    Updatable.BEFORE_START: "written until the start",
    Updatable.AFTER_END: "written at creation, then after the end",
    Updatable.NEVER: "written at creation",
}
_CREATABLE = {
    Creatable.ANY: "any meeting",
    Creatable.FUTURE: "before the start",
    Creatable.PAST: "after the end",
    Creatable.NEVER: "no",
}
_OWNERSHIP = {Ownership.ANY: "any record", Ownership.OWN: "records of ours", Ownership.NO: "no"}
_SIGNALS = {
    ChangeSignal.WEBHOOK: "webhook",
    ChangeSignal.UPDATED_AT: "time of change, and hash",
    ChangeSignal.HASH: "hash of the list",
}


def field_words(name: Field, capabilities: Capabilities) -> str:
    """Say in a few words what a connection can do with a field."""
    can = capabilities.of(name)
    if can is None:
        return "no"
    words = [_access(can)]
    if can.fixed_members:
        words.append("members fixed")
    kept = can.normalise(_LONG_TEXT) if name in _LIMITED else _LONG_TEXT
    if isinstance(kept, str) and len(kept) < len(_LONG_TEXT):
        words.append(f"≤ {len(kept)}")
    if name is Field.SCHEDULE:
        words.append("not all-day" if can.refuse(_ALL_DAY) else "all-day too")
    return "; ".join(words)


def _access(can: FieldCapability) -> str:
    if can.issued:
        return "issued there"
    if not can.creatable and can.updatable is Updatable.NEVER:
        return "read only"
    written = _WRITABLE[can.updatable]
    return written if can.readable else f"carried, {written}"


def _creation(can: Capabilities) -> str:
    margin = round(can.create_margin / timedelta(minutes=1))
    return f"{_CREATABLE[can.create]} + {margin} min" if margin else _CREATABLE[can.create]


def _idempotency(can: Capabilities) -> str:
    if can.idempotency is Idempotency.SEARCH:
        return "search before a retry"
    if can.key_lifetime is None:
        return "key, lifetime not stated"
    return f"key, {round(can.key_lifetime / timedelta(hours=1))} h"


def _daily_cap(can: Capabilities) -> str:
    cap = can.daily_cap
    return f"{cap.limit} for each host, {cap.reserve} of them kept back" if cap else "none"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _row_of(name: Field) -> Row:
    return name.value.replace("_", " "), lambda can: field_words(name, can)


ROWS: tuple[Row, ...] = (
    *(_row_of(name) for name in Field),
    ("a record is created", _creation),
    ("is deleted", lambda can: _OWNERSHIP[can.delete]),
    ("is restored", lambda can: _yes(can.restore)),
    ("is replaced, if permitted", lambda can: _OWNERSHIP[can.replace]),
    ("its list row shows everything", lambda can: _yes(can.complete_list)),
    ("a change is told by", lambda can: _SIGNALS[can.change_signal]),
    ("sweeps that prove it gone", lambda can: str(can.absence_proofs)),
    ("forgets the past", lambda can: _yes(can.forgets_past)),
    ("grows calendar copies", lambda can: _yes(can.twins)),
    ("create stays single by", _idempotency),
    ("writes a day", _daily_cap),
)


def render(columns: Mapping[str, Capabilities]) -> str:
    """Draw the table in Markdown; ``columns`` by title, in their order."""
    lines = [("", *columns), ("---",) * (len(columns) + 1)]
    lines += [(name, *(words(can) for can in columns.values())) for name, words in ROWS]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


class _NoVault:
    """Hold nothing: no request is made."""

    def load(self) -> str | None:
        return None

    def store(self, secret: str) -> None:
        return None

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        yield


def _with_defaults(entry: ProviderEntry) -> Adapter:
    """Build an adapter as its defaults make it; what has no default gets a placeholder."""
    fields = entry.settings.model_fields
    required = [name for name, info in fields.items() if info.is_required() and name not in {"provider"}]
    needed = entry.guide.needed if entry.guide else ()
    values = dict.fromkeys([*required, *needed], _PLACEHOLDER)
    settings = entry.settings.model_validate({"provider": entry.name, **values})
    around = Surroundings(
        workspace=_PLACEHOLDER,
        connection=entry.name,
        now=lambda: _NOON,
        pacer=LocalPacer({}),
        vault=_NoVault(),
        sleep=asyncio.sleep,
    )
    adapter: Adapter = entry.build(settings, around)
    return adapter


async def read_capabilities(entries: Iterable[ProviderEntry]) -> dict[str, Capabilities]:
    """Give every provider's capabilities with default settings, by its title; makes no request."""
    found: dict[str, Capabilities] = {}
    for entry in entries:
        adapter = _with_defaults(entry)
        found[entry.guide.title if entry.guide else entry.name] = adapter.capabilities
        await adapter.aclose()
    return found


def main() -> None:
    """Print the table of all known providers."""
    print(render(asyncio.run(read_capabilities(known_providers().values()))))


if __name__ == "__main__":
    main()
