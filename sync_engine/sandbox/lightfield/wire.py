"""How the API writes a meeting: wrapped fields, summaries in lists, redaction per caller."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sync_engine.sandbox.lightfield.records import Record, Version, instant

# What a summary row of a list leaves out.
ONLY_BY_ID = frozenset({"$transcript", "$transcripts", "$note", "$meetingPrep", "$postMeetingSummary"})

_TYPES = {
    "$title": "TEXT",
    "$startDate": "DATETIME",
    "$endDate": "DATETIME",
    "$description": "TEXT",
    "$meetingUrl": "URL",
    "$organizerEmail": "EMAIL",
    "$attendeeEmails": "EMAIL",
    "$privacySetting": "SINGLE_SELECT",
    "$meetingPrep": "MARKDOWN",
    "$postMeetingSummary": "MARKDOWN",
    "$manuallyAddedAttendeeEmails": "EMAIL",
    "$manuallyRemovedAttendeeEmails": "EMAIL",
}
_WRITABLE = frozenset(_TYPES) - {"$manuallyAddedAttendeeEmails", "$manuallyRemovedAttendeeEmails"}


def _fields(version: Version) -> dict[str, Any]:
    values: dict[str, Any] = {
        "$title": version.title,
        "$startDate": instant(version.start),
        "$endDate": instant(version.end),
        "$description": version.description,
        "$meetingUrl": version.url,
        "$organizerEmail": version.organizer,
        "$attendeeEmails": list(version.attendees),
        "$privacySetting": version.privacy,
        "$meetingPrep": version.prep,
        "$postMeetingSummary": version.summary,
        "$manuallyAddedAttendeeEmails": list(version.added),
        "$manuallyRemovedAttendeeEmails": list(version.removed),
    }
    return {key: {"valueType": _TYPES[key], "value": value} for key, value in values.items()}


def relation(object_type: str, ids: Sequence[str], *, many: bool = True) -> dict[str, Any]:
    """Write one relationship."""
    return {
        "cardinality": "HAS_MANY" if many else "HAS_ONE",
        "objectType": object_type,
        "values": list(ids),
    }


def _relationships(version: Version, derived: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        "$contact": relation("contact", derived.get("contact", ())),
        "$account": relation("account", derived.get("account", ())),
        "$opportunity": relation("opportunity", ()),
        "$note": relation("note", version.notes),
        "$transcript": relation("file", [version.transcript] if version.transcript else [], many=False),
        "$transcripts": relation("file", version.transcripts),
    }


def meeting(
    record: Record,
    version: Version,
    *,
    access: str,
    nulled: Collection[str],
    omitted: Collection[str],
    derived: Mapping[str, Sequence[str]],
    updated: bool,
) -> dict[str, Any]:
    """Write one meeting for one caller.

    ``nulled``: fields shown with a null value; ``omitted``: fields and relationships left out.
    ``updated``: whether ``updatedAt`` is shown at all.
    """
    fields = {key: value for key, value in _fields(version).items() if key not in omitted}
    for key in nulled:
        if key in fields:
            fields[key] = {**fields[key], "value": None}
    relationships = {
        key: value for key, value in _relationships(version, derived).items() if key not in omitted
    }
    return {
        "id": record.id,
        "objectType": "meeting",
        "accessLevel": access,
        "createdAt": instant(record.created_at),
        "updatedAt": instant(record.updated_at) if updated and record.updated_at else None,
        "externalId": record.external_id,
        "httpLink": f"https://crm.lightfield.app/crm/meetings/{record.id}",
        "fields": fields,
        "relationships": relationships,
    }


def definitions() -> dict[str, Any]:
    """Write the definitions of the meeting object."""
    fields: dict[str, Any] = {
        key: {
            "id": f"ad_{key[1:]}",
            "label": key[1:],
            "description": None,
            "valueType": value_type,
            "typeConfiguration": {},
            **({} if key in _WRITABLE else {"readOnly": True}),
        }
        for key, value_type in _TYPES.items()
    }
    relationships = {
        key: {
            "id": f"rd_{key[1:]}",
            "label": key[1:],
            "description": None,
            "cardinality": "HAS_ONE" if key == "$transcript" else "HAS_MANY",
            "objectType": kind,
        }
        for key, kind in {
            "$contact": "contact",
            "$account": "account",
            "$opportunity": "opportunity",
            "$note": "note",
            "$transcript": "file",
            "$transcripts": "file",
        }.items()
    }
    return {"objectType": "meeting", "fieldDefinitions": fields, "relationshipDefinitions": relationships}
