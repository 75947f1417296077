"""Attio's error bodies and timestamps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from sync_engine.sandbox.server import json_response


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of the sandbox
    """Answer a request with one of Attio's errors.

    ``camel`` writes the status as ``statusCode``, as the create endpoint of meetings is documented to do.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = "invalid_request_error",
        camel: bool = False,
        path: tuple[str | int, ...] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.kind = status, code, message, kind
        self.camel, self.path = camel, path

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """Build the answer."""
        body: dict[str, Any] = {
            "statusCode" if self.camel else "status_code": self.status,
            "type": self.kind,
            "code": self.code,
            "message": self.message,
        }
        if self.path is not None:
            body["validation_errors"] = [
                {"code": self.code, "path": list(self.path), "message": self.message}
            ]
        return json_response(body, self.status, headers)


def invalid(message: str, *path: str | int) -> Refusal:
    """Build the 400 of a request that does not fit its schema."""
    return Refusal(400, "validation_type", message, path=path or None)


def not_found(what: str, identifier: str) -> Refusal:
    """Build the 404 of a record that does not exist."""
    return Refusal(404, "not_found", f'{what} with ID "{identifier}" was not found.')


def nanoseconds(moment: datetime) -> str:
    """Write a moment the way Attio stamps records: UTC with nine fractional digits."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond * 1000:09d}Z"
