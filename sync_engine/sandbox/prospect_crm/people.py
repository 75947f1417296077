"""What recruiters do in the web application: everything the API can, and the rest."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.prospect_crm.fields import epoch_ms

if TYPE_CHECKING:
    from sync_engine.sandbox.prospect_crm.sandbox import ProspectCrmSandbox


class People:
    """Act as a person; every method gives the id of the record it touched."""

    def __init__(self, crm: ProspectCrmSandbox) -> None:
        self._crm = crm

    def book(
        self,
        prospect_id: str,
        start: datetime,
        zone: str = "America/New_York",
        kind: str = "virtual",
        owner_id: str | None = None,
        location: str | None = None,
        notes: str | None = None,
    ) -> str:
        """Plan a meeting with a prospect; the owner is the account's first user unless named."""
        crm = self._crm
        with crm.world.lock:
            owner = owner_id or next(iter(crm.account.users))
            record = crm.account.add_meeting(
                crm.now_ms(),
                prospectId=prospect_id,
                meetingDate=epoch_ms(start),
                timeZone=zone,
                meetingType=kind,
                ownerId=owner,
                location=location,
                notes=notes,
                createdBy=owner,
            )
            return str(record["id"])

    def move(self, meeting_id: str, start: datetime, zone: str | None = None) -> str:
        """Give a meeting another time."""
        change: dict[str, Any] = {"meetingDate": epoch_ms(start)}
        return self._change(meeting_id, **change, **({"timeZone": zone} if zone else {}))

    def set_zone(self, meeting_id: str, zone: str) -> str:
        """Show a meeting in another zone; the instant stays."""
        return self._change(meeting_id, timeZone=zone)

    def set_kind(self, meeting_id: str, kind: str) -> str:
        """Give a meeting another label."""
        return self._change(meeting_id, meetingType=kind)

    def set_location(self, meeting_id: str, location: str | None) -> str:
        """Give a meeting another place."""
        return self._change(meeting_id, location=location)

    def set_notes(self, meeting_id: str, notes: str | None) -> str:
        """Replace the internal notes, whatever stood there."""
        return self._change(meeting_id, notes=notes)

    def append_notes(self, meeting_id: str, text: str) -> str:
        """Write a line at the top of the internal notes, as people do who leave the rest alone."""
        with self._crm.world.lock:
            before = self._crm.account.meetings.by_id[meeting_id]["notes"]
            return self.set_notes(meeting_id, f"{text}\n{before}" if before else text)

    def change_owner(self, meeting_id: str, owner_id: str) -> str:
        """Hand a meeting to another user."""
        return self._change(meeting_id, ownerId=owner_id)

    def review(self, meeting_id: str, review: Any) -> str:
        """Review a meeting that took place; this touches ``updatedAt`` and nothing we sync."""
        return self._change(meeting_id, review=review)

    def cancel(self, meeting_id: str) -> str:
        """Delete a meeting."""
        with self._crm.world.lock:
            self._crm.remove(meeting_id)
            return meeting_id

    def change_email(self, prospect_id: str, email: str | None) -> str:
        """Give a prospect another address."""
        crm = self._crm
        with crm.world.lock:
            crm.account.prospects[prospect_id].update(email=email, updatedAt=crm.now_ms())
            crm.account.prospects_changed()
            return prospect_id

    def remove_prospect(self, prospect_id: str) -> str:
        """Delete a prospect; meetings keep the id of nobody."""
        with self._crm.world.lock:
            del self._crm.account.prospects[prospect_id]
            self._crm.account.prospects_changed()
            return prospect_id

    def _change(self, meeting_id: str, **fields: Any) -> str:
        crm = self._crm
        with crm.world.lock:
            crm.account.meetings.change(meeting_id, **fields, updatedAt=crm.now_ms())
            return meeting_id
