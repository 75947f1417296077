"""The labels of meetings: free text at the provider, three of them known."""

from __future__ import annotations

import re

from sync_engine.core.meeting import Field, Value, Values

VIRTUAL, PHONE, IN_PERSON = "virtual", "phone", "in-person"
_KNOWN = {VIRTUAL, PHONE, IN_PERSON}
_DIAL_IN = re.compile(r"(?:tel:)?\+?[\d\s().\-/]{7,24}")


def normal_kind(value: Value) -> Value:
    """Bring the three known labels to one spelling; every other label stays as people wrote it."""
    if not isinstance(value, str):
        return value
    label = " ".join(value.split())
    known = label.casefold().replace("_", "-").replace(" ", "-")
    return known if known in _KNOWN else label


def kind_for(values: Values) -> str:
    """Give the label of a new meeting: its own, else told by how people get there."""
    kind, link, place = (_text(values, name) for name in (Field.KIND, Field.JOIN_URL, Field.LOCATION))
    if kind:
        return kind
    if link or place.casefold().startswith(("http://", "https://")):
        return VIRTUAL
    return PHONE if _DIAL_IN.fullmatch(place) else IN_PERSON


def _text(values: Values, name: Field) -> str:
    value = values.get(name, "")
    return value.strip() if isinstance(value, str) else ""
