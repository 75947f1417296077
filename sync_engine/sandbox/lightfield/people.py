"""What people do to meetings in the web application and in their calendars: more than the API can."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sync_engine.sandbox.lightfield.directory import Entry
from sync_engine.sandbox.lightfield.files import StoredFile
from sync_engine.sandbox.lightfield.records import Record, Version, clean

if TYPE_CHECKING:
    from sync_engine.sandbox.lightfield.sandbox import LightfieldSandbox


class LightfieldPeople:
    """Act as people of the organization; every method takes effect at once and gives the record's id."""

    def __init__(self, sandbox: LightfieldSandbox) -> None:
        self._sandbox = sandbox

    def _record(self, record_id: str) -> Record:
        record = self._sandbox.meetings.get(record_id)
        if record is None:
            raise KeyError(record_id)
        return record

    def _change(self, record_id: str, **changes: Any) -> str:
        with self._sandbox.world.lock:
            self._sandbox.apply(self._record(record_id), **changes)
        return record_id

    def book(
        self,
        title: str | None,
        start: datetime,
        end: datetime,
        *,
        organizer: str | None = None,
        attendees: Sequence[str] = (),
        description: str | None = None,
        url: str | None = None,
        privacy: str | None = "FULL",
        uid: str | None = None,
    ) -> str:
        """Add a meeting the way a calendar does, past or future."""
        with self._sandbox.world.lock:
            version = Version(
                self._sandbox.world.clock.now(), title, start, end, description, url, organizer,
                clean(attendees), privacy,
            )  # fmt: skip
            return self._sandbox.add(version, manual=False, calendar_uid=uid).id

    def move(self, record_id: str, start: datetime, end: datetime | None = None) -> str:
        """Move a meeting; without an end it keeps its length."""
        with self._sandbox.world.lock:
            now = self._record(record_id).now
            return self._change(record_id, start=start, end=end or start + (now.end - now.start))

    def rename(self, record_id: str, title: str | None) -> str:
        """Change the title."""
        return self._change(record_id, title=title)

    def describe(self, record_id: str, text: str | None) -> str:
        """Change the description."""
        return self._change(record_id, description=text)

    def link(self, record_id: str, url: str | None) -> str:
        """Change the meeting's URL."""
        return self._change(record_id, url=url)

    def hand_over(self, record_id: str, organizer: str | None) -> str:
        """Change the organizer."""
        return self._change(record_id, organizer=organizer)

    def invite(self, record_id: str, email: str) -> str:
        """Add an attendee."""
        with self._sandbox.world.lock:
            now = self._record(record_id).now
            return self._change(record_id, attendees=clean([*now.attendees, email]))

    def uninvite(self, record_id: str, email: str) -> str:
        """Take an attendee out."""
        with self._sandbox.world.lock:
            kept = [a for a in self._record(record_id).now.attendees if a.casefold() != email.casefold()]
            return self._change(record_id, attendees=tuple(kept))

    def set_privacy(self, record_id: str, setting: str | None) -> str:
        """Change who may see the content: ``FULL``, ``METADATA`` or unset."""
        return self._change(record_id, privacy=setting)

    def restrict(self, record_id: str, restricted: bool = True) -> str:
        """Hide the content from the key in use, whatever the meeting's own setting."""
        return self._change(record_id, restricted=restricted)

    def cancel(self, record_id: str) -> str:
        """Move a meeting to the trash."""
        return self._change(record_id, trashed=True)

    def restore(self, record_id: str) -> str:
        """Take a meeting out of the trash."""
        return self._change(record_id, trashed=False)

    def purge(self, record_id: str) -> str:
        """Let a meeting vanish without a trace in the trash."""
        return self._change(record_id, purged=True)

    def prepare(self, record_id: str, text: str | None) -> str:
        """Let the assistant write the preparation."""
        return self._change(record_id, prep=text)

    def summarise(self, record_id: str, text: str | None) -> str:
        """Let the assistant write the summary, which moves ``updatedAt``."""
        return self._change(record_id, summary=text)

    def note(self, record_id: str) -> str:
        """Attach a note."""
        with self._sandbox.world.lock:
            notes = (*self._record(record_id).now.notes, self._sandbox.new_id("not"))
            return self._change(record_id, notes=notes)

    def record_transcript(self, record_id: str, text: str) -> str:
        """Let the recorder attach its transcript, which becomes the canonical one."""
        sandbox = self._sandbox
        with sandbox.world.lock:
            now, file_id = sandbox.world.clock.now(), sandbox.new_id("fil")
            content = text.encode()
            path = f"/storage/{sandbox.new_id('rec')}"
            facts = (file_id, "recording.txt", "text/plain", len(content), now, path)
            file = StoredFile(*facts, {}, status="COMPLETED", completed_at=now, content=content)
            sandbox.files.put_by_hand(file)
            transcripts = (*self._record(record_id).now.transcripts, file_id)
            return self._change(record_id, transcript=file_id, transcripts=transcripts)

    def block(self, email: str) -> None:
        """Put an address on the blocklist; its meetings vanish with the next sync."""
        with self._sandbox.world.lock:
            self._sandbox.blocklist.add(email.casefold())
            self._sandbox.plan_blocklist_sync()

    def unblock(self, email: str) -> None:
        """Take an address off the blocklist; its meetings come back with the next sync."""
        with self._sandbox.world.lock:
            self._sandbox.blocklist.discard(email.casefold())
            self._sandbox.plan_blocklist_sync()

    def add_member(self, email: str, first_name: str = "", last_name: str = "") -> str:
        """Add a member of the organization."""
        return self._enter("member", "mem", {"firstName": first_name, "lastName": last_name}, emails=[email])

    def add_account(self, name: str, website: str | None = None) -> str:
        """Add an account."""
        return self._enter("account", "acc", name, website=website)

    def add_contact(self, email: str, *, account: str | None = None) -> str:
        """Add a contact."""
        return self._enter(
            "contact", "con", {"firstName": "", "lastName": ""}, emails=[email], account=account
        )

    def _enter(self, kind: str, prefix: str, name: Any, **facts: Any) -> str:
        with self._sandbox.world.lock:
            entry_id = self._sandbox.new_id(prefix)
            self._sandbox.directory.add(Entry(entry_id, kind, self._sandbox.world.clock.now(), name, **facts))
        return entry_id
