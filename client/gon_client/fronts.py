"""Fronts: what lets programs that know nothing of GoN find a device (`gon.fronts`), as the loader
of OpenCL finds a driver where an environment variable says so.

Rules: a front that cannot be had keeps no program from running. Must not know: which fronts there
are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import entry_points

from gon.errors import ConfigError

GROUP = "gon.fronts"
# Those that would stand in the way of what a host has by itself: only for who asks.
ASKED_GROUP = "gon.fronts.asked"


@dataclass(slots=True)
class Fronts:
    """The variables of all fronts that are installed, and why there are none of others."""

    variables: dict[str, str] = field(default_factory=dict[str, str])
    lacking: list[str] = field(default_factory=list[str])


def find_fronts() -> Fronts:
    """Return what all fronts give to programs."""
    found = Fronts()
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            found.variables |= point.load()()
        except ConfigError as error:
            found.lacking.append(f"no {point.name}: {error.message}")
    return found


def asked_front(name: str) -> dict[str, str]:
    """Return what a front gives to programs that is asked for by its name. Raises ConfigError."""
    for point in entry_points(group=ASKED_GROUP, name=name):
        variables: dict[str, str] = point.load()()
        return variables
    raise ConfigError(f"there is no front for {name} here")
