"""How the CRM says no: a status and its standard error body."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from sync_engine.sandbox.server import json_response


class RefusalError(Exception):
    """End a request with an error answer."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": HTTPStatus(status).phrase, "message": message, **more}

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """Give the answer."""
        return json_response(self.body, self.status, headers)


def bad_request(message: str) -> RefusalError:
    """Refuse input that does not fit."""
    return RefusalError(400, message)
