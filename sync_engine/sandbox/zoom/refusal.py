"""How the sandbox says no: Zoom's own numbers in Zoom's own body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from sync_engine.sandbox.server import json_response


class Refusal(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """Refuse a request with an HTTP status, Zoom's code and a message."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status}/{code}")
        self.status, self.code, self.message = status, code, message
        self.errors, self.headers = tuple(errors), dict(headers or {})

    def response(self) -> Response:
        """Give the answer as it goes over the wire."""
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.errors:
            body["errors"] = [{"field": field, "message": message} for field, message in self.errors]
        return json_response(body, self.status, self.headers or None)


def invalid(*errors: tuple[str, str]) -> Refusal:
    """Refuse a body or a query: one (field, message) per mistake."""
    return Refusal(400, 300, "Validation Failed.", errors=errors)


def no_such_meeting(number: object) -> Refusal:
    """Refuse a meeting that never was, was deleted, or has expired: Zoom does not tell which."""
    return Refusal(404, 3001, f"Meeting does not exist: {number}.")


def no_such_user(key: str) -> Refusal:
    """Refuse a user the account does not have."""
    return Refusal(404, 1001, f"User does not exist: {key}.")


def not_licensed() -> Refusal:
    """Refuse a user who may not host."""
    return Refusal(
        400, 3161, "Meeting hosting and scheduling capabilities are not allowed for your user account."
    )


def a_webinar() -> Refusal:
    """Refuse a meeting that has become a webinar."""
    return Refusal(400, 3000, "Cannot access webinar info.")


def bad_page_token() -> Refusal:
    """Refuse a page token that is unknown, too old, or was given for other parameters."""
    return Refusal(400, 300, "The next page token is invalid or expired.")


def paid_only(account_id: str) -> Refusal:
    """Refuse what the account's plan does not hold."""
    return Refusal(400, 200, f"Only available for paid account: {account_id}.")
