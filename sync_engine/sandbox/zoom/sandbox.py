"""The Zoom sandbox: the account, its switches, and what every change passes through."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from starlette.routing import Route

from sync_engine.sandbox.server import ProviderSandbox
from sync_engine.sandbox.zoom import calendar, endpoints, wire
from sync_engine.sandbox.zoom.limits import Limits
from sync_engine.sandbox.zoom.oauth import TokenDesk
from sync_engine.sandbox.zoom.paging import Pages
from sync_engine.sandbox.zoom.people import ZoomPeople
from sync_engine.sandbox.zoom.records import snapshots
from sync_engine.sandbox.zoom.state import Account, Host, Kind, Meeting, Occurrence
from sync_engine.sandbox.zoom.webhooks import Notices

if TYPE_CHECKING:
    from sync_engine.sandbox.world import World

_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class Mail:
    """One e-mail the account sent: why, to whom, about which meeting, when."""

    kind: str
    to: tuple[str, ...]
    meeting_id: int
    at: datetime


@dataclass(frozen=True)
class TrackingField:
    """A field the account's administrator defined for meetings."""

    id: str
    label: str
    required: bool = False
    visible: bool = True
    recommended_values: tuple[str, ...] = ()


class ZoomSandbox(ProviderSandbox):
    """Zoom's Meetings API for one account, with the web portal's part in ``people``.

    Credentials: ``account_id``, ``client_id``, ``client_secret`` at ``token_url``; ``token`` is an access
    token ready for use. Scopes are what the app is configured with: one taken away is missing at once, one
    added is in the tokens issued from then on. ``webhook_secret`` switches webhooks on.

    Nothing is there at first; ``add_host`` takes users in. ``mails_sent`` holds every e-mail the account
    sent. Limits: ``rate_limits`` (per second and, on the free plan, per day; by ``plan``),
    ``host_daily_cap`` (None: none).

    The document leaves some behaviour open; these attributes switch it: ``over_length``, ``unknown_zones``,
    ``patch_merges_arrays``, ``create_takes_custom_keys``, ``series_without_start``, ``occurrence_extras``,
    ``counts_failed_writes``, ``counts_deletes``, ``old_refresh_tokens_work``, ``binds_page_tokens``,
    ``filters_by_date``, ``token_error_status``, ``rate_limit_code``, ``reminds_by_default``,
    ``shows_rate_limits``, ``retry_after_form``.
    """

    name = "zoom"
    base_path = "/v2"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.account_id = "sandbox-zoom-account"
        self.client_id = "sandbox-zoom-client"
        self.client_secret = "sandbox-zoom-client-secret"
        self.redirect_uri: str | None = None
        self.webhook_secret: str | None = None
        self.scopes: set[str] = set(endpoints.all_scopes())
        self.app_active = True
        self.token_lives = timedelta(seconds=3600)
        self.timezone = "UTC"
        self.trash_keeps = timedelta(days=30)
        self._set_switches()
        self.mails_sent: list[Mail] = []
        self.tracking_fields: dict[str, TrackingField] = {}
        self.account = Account(self.random, self.trash_keeps)
        self.desk = TokenDesk(self)
        self.limits = Limits(self)
        self.pages = Pages(world.clock, self.random)
        self.notices = Notices(self)
        self.people = ZoomPeople(self)
        self._ready_token: str | None = None

    def _set_switches(self) -> None:
        self.plan: Literal["free", "pro", "business"] = "pro"
        self.rate_limits = True
        self.host_daily_cap: int | None = 100
        self.counts_failed_writes = True
        self.counts_deletes = False
        self.rate_limit_code = 429
        self.retry_after_form: Literal["iso", "seconds", "http_date", "absent"] = "iso"
        self.shows_rate_limits: Literal["none", "category", "all"] = "category"
        self.token_error_status: Literal[400, 401] = 401
        self.old_refresh_tokens_work = False
        self.binds_page_tokens = True
        self.filters_by_date = True
        self.over_length: Literal["refused", "cut"] = "refused"
        self.unknown_zones: Literal["refused", "replaced"] = "refused"
        self.patch_merges_arrays = False
        self.create_takes_custom_keys = False
        self.series_without_start: Literal["words_only", "nothing"] = "words_only"
        self.occurrence_extras: Literal["refused", "ignored"] = "refused"
        self.reminds_by_default = True
        self.requires_passcodes = True
        self.scheduling_privilege = True
        self.has_breakout_rooms = False
        self.locked_settings: set[str] = set()
        self.has_tracking_fields = False
        self.enforces_tracking_fields = True
        self.publishes_to_calendar = False

    @property
    def origin(self) -> str:
        """Give scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self) -> str:
        """Give the token endpoint; at Zoom it stands on a host of its own."""
        return f"{self.origin}/oauth/token"

    @property
    def api_url(self) -> str:
        """Give the cluster named in token answers."""
        return self.origin

    @property
    def token(self) -> str:
        """Give an account-level access token that is valid now."""
        with self.world.lock:
            if self._ready_token is None or not self.desk.is_live(self._ready_token):
                self._ready_token = self.desk.issue().text
            return self._ready_token

    def routes(self) -> Sequence[Route]:
        """Give the endpoints, the token endpoint outside of ``/v2`` included."""
        return endpoints.routes(self)

    def settle(self) -> None:
        """Let meeting numbers expire and the trash empty itself."""
        now = self.world.clock.now()
        self.account.expire(now)
        for meeting in self.account.empty_trash(now):
            self.notices.purged(meeting)

    def now(self) -> datetime:
        """Give the time in whole seconds, as Zoom stores it."""
        return self.world.clock.now().astimezone(UTC).replace(microsecond=0)

    def add_host(
        self,
        email: str,
        *,
        first_name: str = "",
        last_name: str = "",
        licensed: bool = True,
        timezone: str = "UTC",
    ) -> str:
        """Take a user into the account and give her id; without a licence she may not host."""
        with self.world.lock:
            pmi = self.random.randrange(2_000_000_000, 9_999_999_999)
            host = Host(
                self.account.new_user_id(), email, first_name, last_name, licensed, timezone, pmi, self.now()
            )
            self.account.add_host(host)
            return host.id

    def add_tracking_field(
        self,
        label: str,
        *,
        required: bool = False,
        visible: bool = True,
        recommended_values: Sequence[str] = (),
    ) -> str:
        """Define a tracking field, on a plan that has them from now on, and give its id."""
        with self.world.lock:
            self.has_tracking_fields = True
            made = TrackingField(
                self.account.new_user_id(), label, required, visible, tuple(recommended_values)
            )
            self.tracking_fields[label] = made
            return made.id

    def url_validation(self) -> str:
        """Send the signed challenge that proves the webhook address; gives its plain token."""
        with self.world.lock:
            return self.notices.url_validation()

    def records(self) -> list[dict[str, Any]]:
        """Give every meeting, a series as its dates, under the neutral names of test oracles."""
        with self.world.lock:
            self.settle()
            return snapshots(self)

    # What every change passes through; callers hold the world's lock.

    def new_meeting(self, host: Host, kind: Kind, topic: str) -> Meeting:
        """Make a meeting that nobody sees until ``open``."""
        number = self.account.new_number()
        return Meeting(number, self.account.new_uuid(), host.id, kind, topic, self.now(), self.timezone)

    def open(self, meeting: Meeting) -> None:
        """Put a new meeting into the account and tell of it."""
        if not meeting.join_url:
            self.set_passcode(meeting, meeting.passcode)
        self.account.add(meeting)
        self.notices.created(meeting)

    @contextmanager
    def editing(self, meeting: Meeting, scope: Literal["all", "single"] = "all") -> Iterator[None]:
        """Watch a change: afterwards the lists are right and subscribers know what differs."""
        before = wire.facts(self, meeting)
        yield
        self.account.settle_in(meeting)
        fresh, old = wire.delta(before, wire.facts(self, meeting))
        if fresh or old:
            self.notices.updated(meeting, fresh, old, scope)
            calendar.publish(self, meeting)

    def trash(self, meeting: Meeting) -> None:
        """Put a meeting into the trash."""
        meeting.deleted_at = self.world.clock.now()
        self.account.settle_in(meeting)
        self.notices.deleted(meeting)
        calendar.publish(self, meeting)

    def untrash(self, meeting: Meeting) -> None:
        """Take a meeting out of the trash."""
        meeting.deleted_at = None
        self.account.settle_in(meeting)
        self.notices.recovered(meeting)
        calendar.publish(self, meeting)

    def drop_occurrence(self, meeting: Meeting, occurrence: Occurrence) -> None:
        """Cancel one date; it stays in the series as a deleted one."""
        occurrence.deleted = True
        self.account.settle_in(meeting)
        self.notices.deleted(meeting, occurrence)
        calendar.publish(self, meeting)

    def begin(self, meeting: Meeting) -> None:
        """Let a meeting run."""
        self.notices.started(meeting, self.account.start_run(meeting, self.now()))

    def finish_run(self, meeting: Meeting) -> None:
        """Let a running meeting end."""
        self.notices.ended(meeting, self.account.end_run(meeting, self.now()))

    def mail(self, kind: str, to: Sequence[str], meeting: Meeting) -> None:
        """Send an e-mail."""
        self.mails_sent.append(Mail(kind, tuple(to), meeting.id, self.world.clock.now()))

    def new_passcode(self) -> str:
        """Draw a passcode as the account's policy wants it."""
        return "".join(self.random.choices("0123456789", k=6))

    def set_passcode(self, meeting: Meeting, passcode: str) -> None:
        """Give a meeting a passcode, and with it a join link."""
        if meeting.join_url and passcode == meeting.passcode:
            return
        meeting.passcode = passcode
        meeting.join_key = "".join(self.random.choices(_LETTERS, k=31)) + ".1"
        query = f"?pwd={meeting.join_key}" if passcode else ""
        number = meeting.id if meeting.pmi is None else meeting.pmi
        meeting.join_url = f"https://us02web.zoom.us/j/{number}{query}"

    def host_key(self, host: Host) -> str:
        """Give the host credential inside a ``start_url``: another one every two hours."""
        window = int(self.world.clock.now().timestamp() // 7200)
        return hashlib.sha256(f"{self.world.seed}:{host.id}:{window}".encode()).hexdigest()
