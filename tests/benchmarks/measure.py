"""What a stretch of work cost this process: wall time, its own CPU, and memory at its peak."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


@dataclass
class Cost:
    """Seconds and mebibytes; memory is 0 where the system does not tell."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    grown_mib: float = 0.0

    def per_second(self, number: int) -> float:
        return number / self.wall_seconds if self.wall_seconds else 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block; the figures stand in the yielded cost once it has ended."""
    cost = Cost()
    _reset_peak()
    before = _mebibytes("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield cost
    finally:
        cost.wall_seconds = time.perf_counter() - wall
        cost.cpu_seconds = time.process_time() - cpu
        cost.peak_mib = _mebibytes("VmHWM")
        cost.grown_mib = max(0.0, cost.peak_mib - before)


def machine() -> str:
    """Name what was measured on: processor, cores, how busy they are, Python."""
    load = os.getloadavg()[0]
    return f"{_processor()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _reset_peak() -> None:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return


def _mebibytes(name: str) -> float:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) / 1024 if found else 0.0
