"""What one CRM account holds: users, prospects, meetings, notes, tasks."""

from __future__ import annotations

import bisect
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
"""A record in the provider's own words, as the API shows it."""


@dataclass(frozen=True)
class User:
    """A member of the account; the API shows ids only."""

    id: str
    name: str
    email: str


class Meetings:
    """Meetings by id, and in the order every list has: latest first, then by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, Record] = {}
        self._order: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self.by_id)

    def add(self, record: Record) -> None:
        """Take a new meeting in."""
        self.by_id[record["id"]] = record
        bisect.insort(self._order, self._place(record))

    def remove(self, meeting_id: str) -> Record:
        """Take a meeting out for good."""
        record = self.by_id.pop(meeting_id)
        del self._order[bisect.bisect_left(self._order, self._place(record))]
        return record

    def change(self, meeting_id: str, **fields: Any) -> Record:
        """Change fields of a meeting; a new date moves it in the order."""
        record = self.by_id[meeting_id]
        if fields.get("meetingDate", record["meetingDate"]) == record["meetingDate"]:
            record.update(fields)
            return record
        self.remove(meeting_id)
        record.update(fields)
        self.add(record)
        return record

    def latest_first(self, *, before_ms: int | None, after_id: str | None) -> Iterator[Record]:
        """Walk meetings from the latest one, from ``before_ms`` on, or from behind one record."""
        start = 0
        if before_ms is not None:
            start = bisect.bisect_left(self._order, (-before_ms, ""))
        if after_id is not None:
            # The place of the anchor is where it is *now*: a meeting moved meanwhile takes the page with it.
            start = max(start, bisect.bisect_right(self._order, self._place(self.by_id[after_id])))
        for index in range(start, len(self._order)):
            yield self.by_id[self._order[index][1]]

    @staticmethod
    def _place(record: Record) -> tuple[int, str]:
        return (-record["meetingDate"], record["id"])


@dataclass
class Account:
    """Everything behind one API key."""

    id: str
    random: random.Random
    users: dict[str, User] = field(default_factory=dict)
    prospects: dict[str, Record] = field(default_factory=dict)
    meetings: Meetings = field(default_factory=Meetings)
    deleted: dict[str, Record] = field(default_factory=dict)
    notes: list[Record] = field(default_factory=list)
    tasks: list[Record] = field(default_factory=list)
    _by_email: dict[str, list[Record]] | None = None

    def with_email(self, address: str) -> list[Record]:
        """Give the prospects with an address, however it is spelled."""
        if self._by_email is None:
            self._by_email = {}
            for record in self.prospects.values():
                self._by_email.setdefault((record["email"] or "").casefold(), []).append(record)
        return list(self._by_email.get(address.casefold(), ())) if address else []

    def prospects_changed(self) -> None:
        """Forget who has which address."""
        self._by_email = None

    def new_id(self) -> str:
        """Make an id: 32 lower-case hex characters."""
        return f"{self.random.getrandbits(128):032x}"

    def add_user(self, name: str, email: str) -> User:
        """Add a member."""
        user = User(self.new_id(), name, email)
        self.users[user.id] = user
        return user

    def add_prospect(self, now_ms: int, first: str, last: str, **fields: Any) -> Record:
        """Add a prospect; ``fields`` in the provider's words."""
        record: Record = {
            "id": self.new_id(),
            "firstName": first,
            "lastName": last,
            "email": None,
            "phone": None,
            "currentStage": "New",
            "currentStageId": "stage_new",
            "labels": [],
            "title": None,
            "company": None,
            "createdAt": now_ms,
            "updatedAt": now_ms,
        }
        record.update(fields)
        self.prospects[record["id"]] = record
        self.prospects_changed()
        return record

    def add_meeting(self, now_ms: int, **fields: Any) -> Record:
        """Add a meeting; ``fields`` in the provider's words."""
        record: Record = {
            "id": self.new_id(),
            "prospectId": "",
            "meetingDate": 0,
            "timeZone": "UTC",
            "meetingType": "",
            "ownerId": "",
            "location": None,
            "notes": None,
            "createdBy": None,
            "createdByApi": False,
            "createdByApiKeyId": None,
            "createdByApiKeyName": None,
            "createdAt": now_ms,
            "updatedAt": now_ms,
            "review": None,
        }
        record.update(fields)
        self.meetings.add(record)
        return record
