"""Find the one prospect a meeting is about, and remember who is who."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from sync_engine.adapters.prospect_crm.client import ProspectCrmClient, Row
from sync_engine.adapters.prospect_crm.mapping import Known, known_prospect
from sync_engine.adapters.prospect_crm.owners import Owners
from sync_engine.adapters.prospect_crm.schemas import ProspectWire
from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings
from sync_engine.core.meeting import normal_email
from sync_engine.core.ports import Json, Now
from sync_engine.errors import InvalidResponseError, NeedsReviewError, RecordGoneError, UnholdableError

FRESH = timedelta(days=1)
MISS_LASTS = timedelta(minutes=10)
NEW = "new"
ASK_AGAIN_SECONDS = 3600.0
# A big meeting's guests are looked up over several attempts, so that it cannot spend the minute's budget.
LOOKUPS_AT_ONCE = 20
GO_ON_SECONDS = 60.0
MOST_REMEMBERED = 20_000

_NOBODY = re.compile(
    r"^(no-?reply|do-?not-?reply|calendar|invites?|notifications?)[@+.-]|@resource\.calendar\."
)


class Prospects:
    """Know prospects by id and by address.

    Who was found is remembered between runs (``memory``); who was not, for ten minutes in this process.
    """

    def __init__(
        self,
        client: ProspectCrmClient,
        settings: ProspectCrmSettings,
        owners: Owners,
        now: Now,
        kept: Mapping[str, Json],
    ) -> None:
        self._client, self._settings, self._owners, self._now = client, settings, owners, now
        self._known: dict[str, Known] = {}
        self._since: dict[str, datetime] = {}
        self._by_email: dict[str, set[str]] = {}
        self._missed: dict[str, datetime] = {}
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        for prospect_id, entry in kept.items():
            if isinstance(entry, dict):
                known = Known(
                    prospect_id, *(str(entry.get(part) or "") for part in ("email", "first", "last"))
                )
                self._remember(known, _moment(entry.get("at")))

    @property
    def memory(self) -> dict[str, Json]:
        """Give what is worth keeping, as JSON."""
        return {
            known.id: {
                "email": known.email,
                "first": known.first,
                "last": known.last,
                "at": int(self._since[known.id].timestamp()),
            }
            for known in self._known.values()
        }

    def of(self, prospect_id: str) -> Known | None:
        """Give a prospect we know, None if we never looked."""
        return self._known.get(prospect_id)

    def forget(self, prospect_id: str) -> None:
        """Drop a prospect the provider no longer accepts."""
        known = self._known.pop(prospect_id, None)
        self._since.pop(prospect_id, None)
        if known is not None:
            self._by_email[known.email].discard(prospect_id)

    async def resolve(self, prospect_id: str) -> Known:
        """Give a prospect, read at the provider unless known since less than a day."""
        known = self._known.get(prospect_id)
        if known is not None and self._is_fresh(prospect_id):
            return known
        try:
            row = await self._client.prospect(prospect_id)
        except RecordGoneError:
            # Remembered like any other, or every look at the meeting would ask again.
            return self._remember(Known(prospect_id), self._now())
        return self._learn(row)

    async def read(self, prospect_id: str) -> Known | None:
        """Read a prospect that has just changed; None if it is gone."""
        try:
            return self._learn(await self._client.prospect(prospect_id))
        except RecordGoneError:
            self.forget(prospect_id)
            return None

    async def among(
        self,
        guests: Iterable[str],
        key: str,
        wanted_at: datetime | None = None,
        *,
        may_create: bool = True,
    ) -> str:
        """Give the id of the prospect among a meeting's guests: the first, by address, who is one.

        ``key``: names the intent, should a prospect have to be created. ``wanted_at``: when that intent
        was formed; who was missed before is looked for again, because news may have caused the intent.
        ``may_create``: without it, one who would be created has the id NEW.

        Raises:
            UnholdableError: none of them is a known prospect.
            NeedsReviewError: an address belongs to several prospects.
        """
        candidates = [email for email in sorted({normal_email(g) for g in guests}) if self._may_be_one(email)]
        left = LOOKUPS_AT_ONCE
        for email in candidates:
            found = self._remembered(email)
            if found is None and not self._was_missed(email, wanted_at):
                if left == 0:
                    raise UnholdableError(
                        "its guests are still being looked up", retry_after_seconds=GO_ON_SECONDS
                    )
                left -= 1
                found = await self._look_up(email)
            if found is not None:
                return found
        if self._settings.create_prospects and candidates:
            return await self._create(candidates, key, may_create=may_create)
        raise UnholdableError(
            "no known prospect among the participants", retry_after_seconds=ASK_AGAIN_SECONDS
        )

    def _may_be_one(self, email: str) -> bool:
        domain = email.rpartition("@")[2]
        is_colleague = any(domain == d or domain.endswith(f".{d}") for d in self._settings.internal_domains)
        return bool(email) and not is_colleague and not self._owners.knows(email)

    def _remembered(self, email: str) -> str | None:
        ids = [one for one in self._by_email.get(email, ()) if self._is_fresh(one)]
        return ids[0] if len(ids) == 1 else None

    def _was_missed(self, email: str, wanted_at: datetime | None) -> bool:
        since = self._missed.get(email)
        if since is None or (wanted_at is not None and since < wanted_at):
            return False
        return self._now() - since < MISS_LASTS

    async def _look_up(self, email: str) -> str | None:
        mapped = set(self._by_email.get(email, ()))
        matches = await self._client.prospects(email)
        people = [_parse(row) for row in matches.rows]
        exact = [person for person in people if normal_email(person.email or "") == email]
        ours = [person for person in exact if person.id in mapped]
        if len(ours) == 1:
            exact = ours
        elif len(exact) > 1 or matches.truncated:
            raise NeedsReviewError("several prospects may have the address of one participant")
        if not exact:
            self._missed[email] = self._now()
            return None
        person = exact[0]
        return self._remember(
            known_prospect(person.id, person.email, person.first_name, person.last_name), self._now()
        ).id

    async def _create(self, candidates: list[str], key: str, *, may_create: bool) -> str:
        people = [email for email in candidates if not _NOBODY.search(email)]
        if len(people) != 1:
            raise NeedsReviewError("a prospect is created for a meeting with exactly one outside participant")
        if not may_create:
            return NEW
        first, last = _names(people[0])
        # Without "update": false this call would overwrite a prospect that is there already.
        body = {"firstName": first, "lastName": last, "email": people[0], "update": False}
        row = await self._client.create_prospect(json.dumps(body, separators=(",", ":")), f"{key}:prospect")
        return self._learn(row).id

    def _learn(self, row: Row) -> Known:
        person = _parse(row)
        known = known_prospect(person.id, person.email, person.first_name, person.last_name)
        return self._remember(known, self._now())

    def _remember(self, known: Known, since: datetime) -> Known:
        self.forget(known.id)
        self._known[known.id], self._since[known.id] = known, since
        self._by_email.setdefault(known.email, set()).add(known.id)
        self._missed.pop(known.email, None)
        if len(self._known) > MOST_REMEMBERED:
            self.forget(next(iter(self._known)))
        return known

    def _is_fresh(self, prospect_id: str) -> bool:
        return self._now() - self._since[prospect_id] < FRESH


def _parse(row: Json) -> ProspectWire:
    try:
        return ProspectWire.model_validate(row)
    except ValueError:
        raise InvalidResponseError("a prospect does not have the documented form") from None


def _names(email: str) -> tuple[str, str]:
    """Guess first and last name from an address; the provider insists on both."""
    first, _, last = email.partition("@")[0].partition("+")[0].replace("_", ".").partition(".")
    return first.title() or "-", last.replace(".", " ").title() or "-"


def _moment(seconds: Json) -> datetime:
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
