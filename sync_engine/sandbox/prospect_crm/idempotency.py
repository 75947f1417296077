"""Idempotency keys: replay the first answer, refuse another payload, refuse while the first still runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from sync_engine.sandbox.prospect_crm.refusals import RefusalError, bad_request

HEADER = "X-Idempotency-Key"
LONGEST_KEY = 512


@dataclass
class _Kept:
    payload: str
    at: datetime
    response: Response | None = None  # None while the first request still runs


class Keys:
    """Remember answers by key, for one API key.

    ``lifetime``: how long (None: for ever). ``replays_errors``: keep refusals too. ``verbs``: methods that
    honour the header. The provider documents none of the three beyond POST, DELETE and the update call.
    """

    def __init__(self) -> None:
        self.lifetime: timedelta | None = None
        self.replays_errors = False
        self.verbs = {"POST", "PATCH", "PUT", "DELETE"}
        self._kept: dict[str, _Kept] = {}

    def begin(self, request: Request, body: bytes, now: datetime) -> Response | None:
        """Open a key, or answer from what is kept."""
        key = request.headers.get(HEADER)
        if key is None or request.method not in self.verbs:
            return None
        if len(key) > LONGEST_KEY:
            raise bad_request(f"{HEADER} must not exceed {LONGEST_KEY} characters")
        digest = hashlib.sha256(
            b"\0".join((request.method.encode(), request.url.path.encode(), request.url.query.encode(), body))
        ).hexdigest()
        kept = self._kept.get(key)
        if kept and self.lifetime is not None and now - kept.at > self.lifetime:
            kept = None
        if kept is None:
            self._kept[key] = _Kept(digest, now)
            return None
        if kept.payload != digest:
            raise RefusalError(409, "This idempotency key was used with a different request.")
        if kept.response is None:
            raise RefusalError(409, "A request with this idempotency key is still being processed.")
        first = kept.response
        return Response(
            first.body,
            first.status_code,
            {"content-type": "application/json", "Idempotency-Replayed": "true"},
        )

    def end(self, request: Request, response: Response) -> None:
        """Keep the first answer of a key, or free the key where refusals are not kept."""
        key = request.headers.get(HEADER)
        if key is None or request.method not in self.verbs or key not in self._kept:
            return
        if response.status_code < 300 or (self.replays_errors and response.status_code < 500):
            self._kept[key].response = response
        else:
            del self._kept[key]
