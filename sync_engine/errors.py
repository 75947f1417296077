"""Every error the engine raises on purpose; each says what to do next.

SyncError
├── ConfigurationError         a person fixes a setting; not retried
├── UnmappableRecordError      set this record aside, keep the batch, show it in the report
├── UnholdableError            this side cannot hold the write; hold it with the reason
├── NeedsReviewError           a person has to choose (two prospects share an address)
├── LeaseLostError             another run took over; stop without writing
└── ProviderError              carries provider, operation, status_code
    ├── UnavailableError       timeout or 5xx: retry with backoff and jitter
    │   └── RateLimitedError   pause until ``retry_at`` (whole connection, or one ``scope`` of it)
    ├── CredentialsError       pause the connection and tell its owner
    ├── RecordGoneError        treat as missing on their side
    ├── StaleWriteError        carries what the side shows now: merge again
    ├── RefusedError           a permanent no (4xx): park the write
    ├── OutcomeUnknownError    the write may or may not have happened: look before repeating
    └── InvalidResponseError   the body does not fit the schema: set it aside and alert
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync_engine.core.ports import Observation


class SyncError(Exception):
    """Stand at the root of everything the engine raises on purpose."""


class ConfigurationError(SyncError):
    """Name the key that is wrong and how to fix it."""


class UnmappableRecordError(SyncError):
    """Say why one provider record cannot be read as a meeting."""


class UnholdableError(SyncError):
    """Say why a connection cannot hold a write now; the engine holds it and shows the reason.

    ``retry_after_seconds``: when asking again could give another answer; None waits for a change.
    """

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class NeedsReviewError(SyncError):
    """Say what a person has to choose before a write can go on."""


class LeaseLostError(SyncError):
    """Tell a run that another one took its lease; it must stop without writing."""


class ProviderError(SyncError):
    """Carry what is known about one failed provider call; never holds a body, a token or an address."""

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        operation: str = "",
        status_code: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.operation = operation
        self.status_code = status_code
        self.code = code


class UnavailableError(ProviderError):
    """The provider did not answer, or answered 5xx; retry later."""


class RateLimitedError(UnavailableError):
    """The provider asked us to wait until ``retry_at`` (aware UTC).

    ``scope`` names the part that is limited (a Zoom host); empty means the whole connection.
    """

    def __init__(self, message: str, *, retry_at: datetime, scope: str = "", **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.retry_at = retry_at
        self.scope = scope


class CredentialsError(ProviderError):
    """The credentials were refused, or lack a scope; a person has to act."""


class RecordGoneError(ProviderError):
    """The record does not exist, was deleted, expired, or is hidden from us."""


class StaleWriteError(ProviderError):
    """The record is not what the write was planned upon; ``observation`` is what it shows now."""

    def __init__(self, message: str, *, observation: Observation, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.observation = observation


class RefusedError(ProviderError):
    """The provider refused this request for good; sending it again would be refused again."""


class OutcomeUnknownError(ProviderError):
    """A write was sent and no trustworthy answer came back; it may have taken effect."""


class InvalidResponseError(ProviderError):
    """An answer does not have the documented form."""
