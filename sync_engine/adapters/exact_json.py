"""The exact JSON text of a request: what is sealed is what is sent."""

from __future__ import annotations

import json

from sync_engine.core.ports import Json


def compact(body: Json) -> str:
    """Write JSON without blanks; letters stay as they are."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
