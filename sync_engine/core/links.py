"""Conference keys: what identifies a video meeting inside any URL or text."""

from __future__ import annotations

import re
from urllib.parse import unquote

# A host of Zoom, and no other host that merely ends like one ("notzoom.us").
_ZOOM = r"(?<![\w.-])(?:[\w-]+\.)*zoom(?:gov)?\.(?:us|com\.cn|com)"
# The number of a meeting as it stands in links of every Zoom domain ("us02web.zoom.us/j/976...",
# "/s/...", "/w/...", "/wc/join/...", "/wc/976.../join") and of the desktop application ("confno=976...").
_NUMBER = re.compile(
    _ZOOM + r"/(?:(?:j|s|w|start|meeting|wc/join|wc/start|wc|launch/jc)/"
    r"|join\?(?:[^\s#\"'<>]{0,300}?&(?:amp;)?)?confno=)([0-9]{9,12})(?![0-9])",
    re.IGNORECASE,
)
# Vanity rooms name a room of a person, not a meeting.
_ROOM = re.compile(_ZOOM + r"/my/([\w.-]{1,63}\w)", re.IGNORECASE)
# "Meeting ID: 977 6364 3886" as invitations print it. Other services print the same words with other
# groups of digits (3-3-3-3), so the grouping must be Zoom's and nothing may follow.
_PRINTED = re.compile(
    r"\bmeeting[- ]id\s*:\s*([0-9]{3}([ -]?)(?:[0-9]{3}\2[0-9]{3,4}|[0-9]{4}\2[0-9]{4}))(?![ -]?[0-9])",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s<>\"')\]]+", re.IGNORECASE)


def conference_keys(*texts: str | None) -> frozenset[str]:
    """Find the conference keys in texts: ``zoom:97763643886``, ``zoom-room:name``.

    Links wrapped in a redirect (``?url=https%3A%2F%2F...``) are found too. A printed meeting id counts
    only in a text that names Zoom.
    """
    keys: set[str] = set()
    for text in texts:
        if not text or "zoom" not in text.casefold():
            continue
        plain = f"{text}\n{unquote(text)}" if "%2f" in text.casefold() else text
        keys.update(f"zoom:{int(number)}" for number in _NUMBER.findall(plain))
        keys.update(f"zoom:{int(re.sub('[ -]', '', printed))}" for printed, _ in _PRINTED.findall(plain))
        keys.update(f"zoom-room:{name.casefold()}" for name in _ROOM.findall(plain))
    return frozenset(keys)


def first_url(text: str | None) -> str | None:
    """Give the first http(s) URL in a text, without punctuation that ends a sentence."""
    found = _URL.search(text or "")
    return found.group(0).rstrip(".,;:!?") if found else None


def is_url(text: str) -> bool:
    """Tell whether a text is one URL and nothing else."""
    return bool(_URL.fullmatch(text.strip()))
