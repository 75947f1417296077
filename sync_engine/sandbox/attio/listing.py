"""Attio's list of meetings: filters, order, cursors."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from starlette.datastructures import QueryParams

from sync_engine.sandbox.attio.answers import Refusal, invalid
from sync_engine.sandbox.attio.inputs import identifier, known_zone, read_moment, whole_number
from sync_engine.sandbox.attio.state import StoredMeeting, moment_of
from sync_engine.sandbox.attio.workspace import Workspace

FILTERS = (
    "linked_object",
    "linked_record_id",
    "participants",
    "sort",
    "ends_from",
    "starts_before",
    "timezone",
)


@dataclass
class Paging:
    """How cursors behave where Attio does not say.

    ``kind``: "keyset" continues after the last row; "offset" counts rows, so that rows shift between pages
    when meetings come or go. ``lifetime``: cursors older than that are refused (None: never).
    ``same_filters``: a cursor used with other filters is refused. ``largest_page``: never more rows than
    that, so that a small world takes several pages.
    """

    kind: str = "keyset"
    lifetime: timedelta | None = None
    same_filters: bool = True
    largest_page: int = 200


@dataclass(frozen=True)
class Query:
    """What one request asks for."""

    limit: int
    descending: bool
    emails: frozenset[str]
    link: tuple[str, str] | None
    ends_from: datetime | None
    starts_before: datetime | None
    zone: str
    digest: str

    @classmethod
    def read(cls, query: QueryParams, workspace: Workspace) -> Query:
        """Read and check the query; unknown parameters are ignored."""
        sort = query.get("sort", "start_asc")
        if sort not in ("start_asc", "start_desc"):
            raise invalid("sort: must be start_asc or start_desc.", "sort")
        digest = hashlib.sha256(json.dumps([query.get(name) for name in FILTERS]).encode()).hexdigest()[:16]
        emails = (email.strip().lower() for email in query.get("participants", "").split(","))
        return cls(
            limit=whole_number(query, "limit", 50, 1, 200),
            descending=sort == "start_desc",
            emails=frozenset(email for email in emails if email),
            link=_read_link(query, workspace),
            ends_from=_read_bound(query, "ends_from"),
            starts_before=_read_bound(query, "starts_before"),
            zone=known_zone(query.get("timezone")) or "UTC",
            digest=digest,
        )

    def holds(self, meeting: StoredMeeting) -> bool:
        """Tell whether a meeting is asked for; people and linked record are alternatives."""
        if meeting.hidden:
            return False
        if self.ends_from is not None and moment_of(meeting.end, self.zone) < self.ends_from:
            return False
        if self.starts_before is not None and moment_of(meeting.start, self.zone) >= self.starts_before:
            return False
        if not self.emails and self.link is None:
            return True
        return bool(self.emails & meeting.emails) or self.link in meeting.linked


def _read_link(query: QueryParams, workspace: Workspace) -> tuple[str, str] | None:
    name, record_id = query.get("linked_object"), query.get("linked_record_id")
    if (name is None) is not (record_id is None):
        raise invalid("linked_object and linked_record_id must be given together.")
    if name is None:
        return None
    slug = workspace.object_slug(name)
    if slug is None:
        raise Refusal(404, "not_found", f'Object with slug/ID "{name}" was not found.')
    return slug, identifier(record_id, "linked_record_id")


def _read_bound(query: QueryParams, name: str) -> datetime | None:
    text = query.get(name)
    return read_moment(text, None, name) if text else None


def page_of(
    workspace: Workspace, query: Query, cursor: str | None, paging: Paging
) -> tuple[list[StoredMeeting], str | None]:
    """Give one page and the cursor of the next one."""
    after: tuple[float, str] | None = None
    skip = 0
    if cursor:
        place = _read_cursor(cursor, query, paging, workspace.now())
        if isinstance(place, int):
            skip = place
        else:
            after = place
    limit = min(query.limit, paging.largest_page)
    rows = list(islice(_matching(workspace, query, after), skip, skip + limit + 1))
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    following = skip + limit if paging.kind == "offset" else page[-1].key
    return page, _write_cursor(following, query, workspace.now())


def _matching(workspace: Workspace, query: Query, after: tuple[float, str] | None) -> Iterator[StoredMeeting]:
    meetings = workspace.meetings
    if query.emails and query.link is None:
        found = [meetings.by_id[number] for number in meetings.of_people(set(query.emails))]
        found.sort(key=lambda meeting: meeting.key, reverse=query.descending)
        rows: Iterator[StoredMeeting] = (
            meeting
            for meeting in found
            if after is None or ((meeting.key < after) if query.descending else (meeting.key > after))
        )
    else:
        rows = meetings.ordered(
            after=after,
            descending=query.descending,
            ends_from=query.ends_from,
            starts_before=query.starts_before,
        )
    return (meeting for meeting in rows if query.holds(meeting))


def _write_cursor(place: int | tuple[float, str], query: Query, now: datetime) -> str:
    return base64.urlsafe_b64encode(json.dumps([query.digest, place, now.timestamp()]).encode()).decode()


def _read_cursor(cursor: str, query: Query, paging: Paging, now: datetime) -> int | tuple[float, str]:
    refusal = invalid("Invalid pagination cursor.", "cursor")
    try:
        digest, place, issued = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError:
        raise refusal from None
    if paging.same_filters and digest != query.digest:
        raise refusal
    if paging.lifetime is not None and now.timestamp() - issued > paging.lifetime.total_seconds():
        raise refusal
    return place if isinstance(place, int) else (place[0], place[1])
