"""Contacts, accounts and members: as much of them as a meeting touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sync_engine.sandbox.lightfield.problems import ApiError, invalid_type, not_found
from sync_engine.sandbox.lightfield.records import instant
from sync_engine.sandbox.lightfield.wire import relation

CONTACT_FIELDS = frozenset({"$email", "$name", "$profilePhotoUrl"})


@dataclass
class Entry:
    """One contact, account or member."""

    id: str
    kind: str
    created_at: datetime
    name: Any
    emails: list[str] = field(default_factory=list)
    website: str | None = None
    account: str | None = None
    role: str = "member"

    def shown(self) -> dict[str, Any]:
        """Write the entry as the API does."""
        fields, relationships = getattr(self, f"_{self.kind}")()
        return {
            "id": self.id,
            "createdAt": instant(self.created_at),
            "updatedAt": None,
            "httpLink": f"https://crm.lightfield.app/crm/{self.kind}s/{self.id}",
            **({} if self.kind == "member" else {"externalId": None}),
            "fields": fields,
            "relationships": relationships,
        }

    def _contact(self) -> tuple[dict[str, Any], dict[str, Any]]:
        fields = {
            "$email": {"valueType": "EMAIL", "value": list(self.emails)},
            "$name": {"valueType": "FULL_NAME", "value": self.name},
            "$profilePhotoUrl": {"valueType": "URL", "value": None},
        }
        return fields, {"$account": relation("account", [self.account] if self.account else [])}

    def _account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        fields = {
            "$name": {"valueType": "TEXT", "value": self.name},
            "$website": {"valueType": "URL", "value": [self.website] if self.website else []},
        }
        return fields, {}

    def _member(self) -> tuple[dict[str, Any], dict[str, Any]]:
        # A member's address is a single string where a contact's is a list.
        fields = {
            "$email": {"valueType": "EMAIL", "value": self.emails[0]},
            "$name": {"valueType": "FULL_NAME", "value": self.name},
            "$profileImage": {"valueType": "URL", "value": None},
            "$role": {"valueType": "TEXT", "value": self.role},
        }
        return fields, {}


class Directory:
    """Who and what the organization knows."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Entry]] = {"contact": {}, "account": {}, "member": {}}
        self._contact_of: dict[str, str] = {}

    def add(self, entry: Entry) -> Entry:
        """Add an entry."""
        self._entries[entry.kind][entry.id] = entry
        if entry.kind == "contact":
            for address in entry.emails:
                self._contact_of.setdefault(address.casefold(), entry.id)
        return entry

    def get(self, kind: str, entry_id: str) -> Entry:
        """Give an entry."""
        entry = self._entries[kind].get(entry_id)
        if entry is None:
            raise not_found(kind)
        return entry

    def named_account(self, name: str) -> Entry | None:
        """Give the account of a name."""
        return next((entry for entry in self._entries["account"].values() if entry.name == name), None)

    def is_member(self, address: str) -> bool:
        """Tell whether an address belongs to a member."""
        wanted = address.casefold()
        return any(wanted in (e.casefold() for e in m.emails) for m in self._entries["member"].values())

    def contact_of(self, address: str) -> Entry | None:
        """Give the contact with an address."""
        return self._entries["contact"].get(self._contact_of.get(address.casefold(), ""))

    def derived(self, addresses: Sequence[str]) -> dict[str, list[str]]:
        """Give the contacts of a meeting's attendees, and the accounts of those."""
        contacts = [found for address in addresses if (found := self.contact_of(address)) is not None]
        accounts = {contact.account: None for contact in contacts if contact.account}
        return {"contact": [contact.id for contact in contacts], "account": list(accounts)}

    def page(
        self, kind: str, filters: Mapping[str, str], offset: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """Give one page, newest first; ``contains`` compares whole texts loosely, as searches do."""
        found = list(reversed(self._entries[kind].values()))
        for key, wanted in filters.items():
            if key == "$email[contains]":
                found = [e for e in found if any(wanted.casefold() in a.casefold() for a in e.emails)]
            elif key == "$name[equal]":
                found = [e for e in found if e.name == wanted]
            elif key == "$website[contains]":
                found = [e for e in found if e.website and wanted.casefold() in e.website.casefold()]
            else:
                raise ApiError(400, "This filter is not known.", code="unknown_field", param=key)
        return [entry.shown() for entry in found[offset : offset + limit]], len(found)

    def create_contact(self, entry_id: str, body: Mapping[str, Any], now: datetime) -> Entry:
        """Create a contact from a request body."""
        values = body.get("fields")
        if not isinstance(values, dict):
            raise invalid_type("fields")
        for key in values:
            if key not in CONTACT_FIELDS:
                raise ApiError(400, "Not a field.", code="unknown_field", param=f"fields.{key}")
        emails = values.get("$email", [])
        if not isinstance(emails, list) or not all(isinstance(item, str) for item in emails):
            raise invalid_type("fields.$email")
        account = (body.get("relationships") or {}).get("$account")
        if account is not None:
            self.get("account", account)
        return self.add(Entry(entry_id, "contact", now, values.get("$name"), emails, account=account))
