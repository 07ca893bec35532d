"""Fronts: what lets programs that know nothing of GoN find a device (`gon.fronts`), as the loader
of OpenCL finds a driver where an environment variable says so.

Must not know: which fronts there are.
"""

from __future__ import annotations

from importlib.metadata import entry_points

GROUP = "gon.fronts"


def front_variables() -> dict[str, str]:
    """Return the variables of all fronts that are installed. Raises ConfigError, as they do."""
    made: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        made |= point.load()()
    return made
