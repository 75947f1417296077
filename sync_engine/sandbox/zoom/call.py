"""One request on its way to its endpoint, and what every endpoint asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sync_engine.sandbox.zoom.oauth import Token
from sync_engine.sandbox.zoom.refusal import (
    Refusal,
    a_webinar,
    invalid,
    no_such_meeting,
    no_such_user,
    not_licensed,
)
from sync_engine.sandbox.zoom.state import Host, Meeting, Run

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import ZoomSandbox


@dataclass(frozen=True)
class Call:
    """An authenticated request."""

    token: Token
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    def user(self, sandbox: ZoomSandbox) -> Host:
        """Give the user of the path: id, address, or ``me`` for a user's own token.

        Raises:
            Refusal: 404/1001 unknown, 400/201 somebody else's user.
        """
        key = self.path["userId"]
        own = self.token.user_id
        if key == "me" and own is not None:
            key = own
        host = sandbox.account.find_host(key)
        if host is None:
            raise no_such_user(key)
        if own not in (None, host.id):
            raise Refusal(400, 201, "Invalid api key or secret, or no permission.")
        return host

    def host(self, sandbox: ZoomSandbox) -> Host:
        """Give the user of the path, who may host.

        Raises:
            Refusal: as ``user``, and 400/3161 without a licence.
        """
        host = self.user(sandbox)
        if not host.licensed:
            raise not_licensed()
        return host

    def meeting(self, sandbox: ZoomSandbox, *, in_trash: bool = False) -> Meeting:
        """Give the meeting of the path; with ``in_trash`` deleted ones too.

        Raises:
            Refusal: 404/3001 gone or never there, 400/3000 a webinar, 400/3161, 400/3003 another's.
        """
        text = self.path["meetingId"]
        if not text.isascii() or not text.isdigit():
            raise invalid(("meetingId", "Invalid field."))
        meeting = sandbox.account.meetings.get(int(text))
        if meeting is None or meeting.purged or meeting.expired:
            raise no_such_meeting(text)
        if meeting.deleted_at is not None and not in_trash:
            raise no_such_meeting(text)
        self._check_access(sandbox, meeting)
        return meeting

    def _check_access(self, sandbox: ZoomSandbox, meeting: Meeting) -> None:
        if meeting.is_webinar:
            raise a_webinar()
        if not sandbox.account.hosts[meeting.host_id].licensed:
            raise not_licensed()
        if self.token.user_id not in (None, meeting.host_id):
            raise Refusal(400, 3003, "You are not the meeting host.")

    def run(self, sandbox: ZoomSandbox) -> tuple[Meeting, Run | None]:
        """Give the meeting and the ended run of the path: by uuid, or the latest one of a number.

        Raises:
            Refusal: 404/3001, when there is no such meeting; 400/3003 another's.
        """
        # The server has decoded the path once; a uuid comes encoded twice.
        text = unquote(self.path["meetingId"])
        if text.isascii() and text.isdigit():
            meeting = sandbox.account.meetings.get(int(text))
            run = next((each for each in reversed(meeting.runs) if each.end), None) if meeting else None
        else:
            meeting, run = sandbox.account.runs.get(text, (None, None))
        if meeting is None or meeting.purged:
            raise no_such_meeting(text)
        if self.token.user_id not in (None, meeting.host_id):
            raise Refusal(400, 3003, "You are not the meeting host.")
        return meeting, run if run and run.end else None
