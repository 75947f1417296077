"""Which process holds a lease, and whether it still lives."""

from __future__ import annotations

import os
import platform
import secrets
from pathlib import Path

_SEPARATOR = "|"


def new_owner() -> str:
    """Name one holder in this process: host, pid, start of the process, and a token of its own.

    The token tells two threads of one process apart: each of them is another holder.
    """
    pid = os.getpid()
    return _SEPARATOR.join((host(), str(pid), started(pid) or "", secrets.token_hex(6)))


def host() -> str:
    """Name the space in which a pid means one process: the machine, and on Linux its pid namespace.

    Two containers may share a host name and still count their processes apart.
    """
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{platform.node()}#{namespace}"


def started(pid: int) -> str | None:
    """Give when a process started, in the system's own count; None where that cannot be known.

    A pid is used again after a while; with its start it is one process for good.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second column, the program's name, may hold blanks and brackets; the start is the 22nd.
    columns = stat.rpartition(")")[2].split()
    return columns[19] if len(columns) > 19 else None


def is_dead(owner: str) -> bool:
    """Tell whether an owner is known to have ended; False for another host, where nobody can tell."""
    parts = owner.split(_SEPARATOR)
    if len(parts) != 4 or parts[0] != host() or not parts[1].isdigit():
        return False
    pid = int(parts[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError, OSError):
        return False
    now_started = started(pid)
    return bool(parts[2]) and now_started is not None and now_started != parts[2]
