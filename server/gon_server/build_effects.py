"""What the book of builds speaks of, and what it wants done: gon_server.builds gives effects,
gon_server.building obeys them in their order.

Rules: frozen values, nothing else. Must not know: how any of it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gon_server.modules import ModuleKey


@dataclass(frozen=True, slots=True)
class Place:
    """Whose builder, and on which unit."""

    tenant: str
    unit: str


@dataclass(frozen=True, slots=True)
class Waiter:
    """A worker that waits, and its own number for what it waits for."""

    worker: int
    number: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no module: what an error of ours is made of."""

    code: int
    message: str
    log: str = ""


@dataclass(frozen=True, slots=True)
class Hire:
    """Effect: make a warm worker of the place's unit this builder; `ready` or `gone` follows."""

    builder: int
    place: Place


@dataclass(frozen=True, slots=True)
class Start:
    """Effect: let the builder build the program; `built`, `failed` or `gone` follows."""

    builder: int
    key: ModuleKey


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Effect: end the builder, which is idle; `gone` follows."""

    builder: int
    reason: str


@dataclass(frozen=True, slots=True)
class Doom:
    """Effect: kill the builder; `gone` follows, with this reason."""

    builder: int
    reason: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Effect: give the waiter the module."""

    waiter: Waiter
    key: ModuleKey


@dataclass(frozen=True, slots=True)
class Fail:
    """Effect: tell the waiter why there is none."""

    waiter: Waiter
    failure: Failure


@dataclass(frozen=True, slots=True)
class Forget:
    """Effect: nobody waits for the program any more."""

    key: ModuleKey


@dataclass(frozen=True, slots=True)
class Evict:
    """Effect: the module is not kept any more."""

    key: ModuleKey


Effect: TypeAlias = Hire | Start | Dismiss | Doom | Deliver | Fail | Forget | Evict
