"""What a run was measured on, in a few words: rows of two machines are never like for like."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def machine(processors: Sequence[int]) -> str:
    """Return the processor's name, how many of them may be used, kernel and Python."""
    try:
        text = _CPUINFO.read_text("utf-8", "replace")
    except OSError:  # not Linux, or hidden
        text = ""
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{model_name(text) or platform.machine()}, {len(processors)} processors, "
        f"{platform.system()} {kernel}, Python {platform.python_version()}"
    )


def model_name(cpuinfo: str) -> str:
    """Return the processor's name in a /proc/cpuinfo, "" if it tells none."""
    names = (line for line in cpuinfo.splitlines() if line.startswith("model name"))
    return " ".join(next(names, "").partition(":")[2].split())
