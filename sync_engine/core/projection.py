"""A meeting as one connection can hold it."""

from __future__ import annotations

from collections.abc import Mapping

from sync_engine.core.capabilities import Capabilities, FieldCapability
from sync_engine.core.meeting import Field, Meeting, Value


def project(
    meeting: Meeting, name: Field, capability: FieldCapability, shown: Value | None = None
) -> Value | None:
    """Give the value one connection would show for a field after a write; None if there is none to hold.

    ``shown``: what the record showed last; a set with fixed members is narrowed to those it has.
    """
    value = capability.source(meeting) if capability.source else meeting.values.get(name)
    if value is None:
        return None
    if capability.fixed_members and isinstance(shown, tuple) and isinstance(value, tuple):
        members = {p.email for p in shown}
        value = tuple(p for p in value if p.email in members)
    return capability.normalise(value)


def projection(
    meeting: Meeting, capabilities: Capabilities, shown: Mapping[Field, Value] | None = None
) -> dict[Field, Value]:
    """Give the whole meeting as one connection can hold it."""
    values: dict[Field, Value] = {}
    for name, capability in capabilities.fields.items():
        value = project(meeting, name, capability, (shown or {}).get(name))
        if value is not None:
            values[name] = value
    return values


def refusal(meeting: Meeting, capabilities: Capabilities) -> tuple[Field, str] | None:
    """Name the field, and why, that keeps a whole meeting from being created at a connection."""
    for name, capability in capabilities.fields.items():
        value = capability.source(meeting) if capability.source else meeting.values.get(name)
        reason = capability.refuse(value) if value is not None else None
        if reason:
            return name, reason
    return None
