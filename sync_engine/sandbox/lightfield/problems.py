"""The errors the API answers with."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sync_engine.sandbox.server import json_response

TYPES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    415: "unsupported_media_type",
    422: "unprocessable_content",
    429: "too_many_requests",
    500: "internal_server_error",
    503: "service_unavailable",
    504: "gateway_timeout",
}


class ApiError(Exception):
    """One refusal: status, type, and where documented a code and the parameter it is about."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.code, self.param = code, param
        self.kind = kind or TYPES[status]
        self.headers = headers or {}

    def response(self, *, wrapped: bool) -> Response:
        """Build the answer; both the wrapped and the bare form are in use."""
        body: dict[str, Any] = {"type": self.kind, "message": self.message}
        if self.code:
            body["code"] = self.code
        if self.param:
            body["param"] = self.param
        return json_response({"error": body} if wrapped else body, self.status, self.headers)


def not_found(what: str = "record") -> ApiError:
    """Build the answer for something that is not there, or not for this caller."""
    return ApiError(404, f"The {what} does not exist.")


def unknown_field(key: str) -> ApiError:
    """Build the answer for a field the operation does not take."""
    return ApiError(400, "This field is not accepted.", code="unknown_field", param=f"fields.{key}")


def unknown_relationship(key: str) -> ApiError:
    """Build the answer for a relationship the operation does not take."""
    return ApiError(
        400, "This relationship is not accepted.", code="unknown_relationship", param=f"relationships.{key}"
    )


def invalid_type(param: str) -> ApiError:
    """Build the answer for a value of the wrong type."""
    return ApiError(400, "The value has the wrong type.", code="invalid_type", param=param)


def missing(param: str) -> ApiError:
    """Build the answer for a value that has to be there."""
    return ApiError(400, "A required value is missing.", code="parameter_missing", param=param)
