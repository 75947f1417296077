"""Tracking fields: labels an administrator defines for the meetings of the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from sync_engine.sandbox.server import json_response
from sync_engine.sandbox.zoom.bodies import read_object
from sync_engine.sandbox.zoom.call import Call
from sync_engine.sandbox.zoom.refusal import invalid, paid_only

if TYPE_CHECKING:
    from sync_engine.sandbox.zoom.sandbox import TrackingField, ZoomSandbox


def list_fields(sandbox: ZoomSandbox, _call: Call) -> Response:
    """Answer ``GET /tracking_fields``."""
    _check_plan(sandbox)
    rows = [_row(field) for field in sandbox.tracking_fields.values()]
    return json_response({"total_records": len(rows), "tracking_fields": rows})


def create_field(sandbox: ZoomSandbox, call: Call) -> Response:
    """Answer ``POST /tracking_fields``."""
    _check_plan(sandbox)
    body = read_object(call.body)
    label, values = body.get("field"), body.get("recommended_values") or []
    if not isinstance(label, str) or not label or label in sandbox.tracking_fields:
        raise invalid(("field", "Invalid field."))
    if not isinstance(values, list):
        raise invalid(("recommended_values", "Invalid field."))
    required, visible = bool(body.get("required", False)), bool(body.get("visible", True))
    sandbox.add_tracking_field(label, required=required, visible=visible, recommended_values=values)
    return json_response(_row(sandbox.tracking_fields[label]), 201)


def _check_plan(sandbox: ZoomSandbox) -> None:
    if not sandbox.has_tracking_fields:
        raise paid_only(sandbox.account_id)


def _row(field: TrackingField) -> dict[str, Any]:
    return {
        "id": field.id,
        "field": field.label,
        "recommended_values": list(field.recommended_values),
        "required": field.required,
        "visible": field.visible,
    }
