"""Let a stream that cannot write every character write a likeness of it instead of failing."""

from __future__ import annotations

import codecs
import io
from typing import IO

_HANDLER = "sync_engine_likeness"
# One character for one, so that columns stay columns.
_LIKENESSES = str.maketrans({"’": "'", "“": '"', "”": '"', "→": ">", "←": "<", "…": "~", "·": ",", "—": "-"})


def _likeness(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_LIKENESSES)
    return "".join(c if c.isascii() else "?" for c in text), error.end


def never_fail(stream: IO[str]) -> None:
    """Make a text stream write what its encoding lacks as the nearest character it has."""
    codecs.register_error(_HANDLER, _likeness)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_HANDLER)
