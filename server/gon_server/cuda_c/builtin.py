"""What one built-in of CUDA C is: its name, what it needs of a unit, and the text that defines it.

A built-in `NAME` is defined in OpenCL as `gon_NAME`, by one or more parts; a part is there for the
units that have what it needs (an overload for double, a text for one dialect). What a text uses is
read from the text: every `gon_OTHER` in it.

Rules: values only; nothing here knows which built-ins there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from gon_server.cuda_c.target import Dialect, Target

PREFIX: Final = "gon_"
WARP_LANES: Final = 32
# Marks in texts → the address spaces they stand for in OpenCL C 1.2.
SPACES: Final = {"GON_ATOMIC_AS": ("global", "local"), "GON_AS": ("global", "local", "private")}
_USE: Final = re.compile(r"\bgon_(\w+)")


class Feature(Enum):
    """What a unit has: of CPP and C12, and of each X and NO_X, exactly one."""

    CPP = "C++ for OpenCL"
    C12 = "OpenCL C 1.2"
    FP16 = "half precision"
    FP64 = "double precision"
    NO_FP64 = "no double precision"
    INT64_ATOMICS = "64-bit atomics"
    NO_INT64_ATOMICS = "no 64-bit atomics"
    SUBGROUPS = "sub-groups of 32"


class Kind(Enum):
    """What a name stands for in CUDA C. A PART is ours: others are made of it."""

    FUNCTION = "function"
    TYPE = "type"
    CONSTANT = "constant"
    VARIABLE = "variable"
    NAMESPACE = "namespace"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Part:
    """A text and what a unit must have for it to be there; `uses` are names without `gon_`.

    A text about pointers is written once, for the address space `GON_AS` (`GON_ATOMIC_AS` for what
    threads share); `spaces` are those it is repeated for where there is no generic one.
    """

    text: str
    needs: frozenset[Feature] = frozenset()
    uses: frozenset[str] = frozenset()
    spaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Builtin:
    """One name. `needs` is what a unit must have for it to exist at all, `ulp` CUDA's documented
    maximum error in units in the last place, `warps` whether its kernel must run in sub-groups of
    32, `scratch` whether it needs `gon_warps` (local bytes) on units without C++, `members` what a
    namespace holds, `also` further names that its text defines.
    """

    name: str
    kind: Kind
    parts: tuple[Part, ...]
    needs: frozenset[Feature] = frozenset()
    ulp: int | None = None
    warps: bool = False
    scratch: bool = False
    members: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()

    @property
    def uses(self) -> frozenset[str]:
        """Names of what its text uses, on any unit."""
        return frozenset(use for part in self.parts for use in part.uses)


@lru_cache(maxsize=64)
def features_of(target: Target) -> frozenset[Feature]:
    """Return what a unit has."""
    has = {
        Feature.FP16: target.fp16,
        Feature.FP64: target.fp64,
        Feature.NO_FP64: not target.fp64,
        Feature.INT64_ATOMICS: target.int64_atomics,
        Feature.NO_INT64_ATOMICS: not target.int64_atomics,
        Feature.SUBGROUPS: WARP_LANES in target.subgroup_sizes,
        Feature.CPP: target.dialect is Dialect.CPP,
        Feature.C12: target.dialect is Dialect.C12,
    }
    return frozenset(feature for feature, there in has.items() if there)


def part(text: str, needs: Iterable[Feature] = (), *, own: str = "") -> Part:
    """Return a part whose uses are read from its text; `own` is the name it defines."""
    uses = frozenset(_USE.findall(text)) - {own}
    spaces = next((spaces for mark, spaces in SPACES.items() if mark in text), ())
    return Part(text.strip("\n"), frozenset(needs), uses, spaces)


def function(
    name: str,
    *texts: str | tuple[str, Feature],
    needs: Iterable[Feature] = (),
    ulp: int | None = None,
) -> Builtin:
    """Return a function; a text with a feature is there for units that have it."""
    made = [(text, ()) if isinstance(text, str) else (text[0], (text[1],)) for text in texts]
    parts = tuple(part(text, needed, own=name) for text, needed in made)
    return Builtin(name, Kind.FUNCTION, parts, frozenset(needs), ulp)
