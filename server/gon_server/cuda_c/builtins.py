"""The built-ins of CUDA C for units that are no CUDA GPU: which there are, and the OpenCL text that
defines those a program uses.

The translator writes `gon_NAME` for every NAME of BUILTINS; `prelude` defines exactly what it used,
and what that needs, in an order that is always the same. Texts written by hand lie in `prelude/`,
regular families are made by the modules beside this one.

Rules: nothing here parses CUDA C or knows a driver. A built-in means what CUDA says, or it is
missing with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, Kind, Part, features_of
from gon_server.cuda_c.builtins_atomics import atomic_builtins
from gon_server.cuda_c.builtins_casts import cast_builtins
from gon_server.cuda_c.builtins_chunks import read_chunks
from gon_server.cuda_c.builtins_constants import constant_builtins
from gon_server.cuda_c.builtins_half import half_builtins
from gon_server.cuda_c.builtins_loads import load_builtins
from gon_server.cuda_c.builtins_math import math_builtins
from gon_server.cuda_c.builtins_refused import REFUSED, REFUSED_PREFIXES
from gon_server.cuda_c.builtins_simd import simd_builtins
from gon_server.cuda_c.builtins_vectors import vector_builtins
from gon_server.cuda_c.builtins_warps import warp_builtins
from gon_server.cuda_c.target import Target

__all__ = [
    "BUILTINS",
    "HEADERS",
    "REFUSED",
    "hidden_bytes",
    "missing",
    "needs_warps",
    "prelude",
    "refusal",
]

# Headers whose names are all in BUILTINS, so that including them adds nothing.
HEADERS: Final = frozenset(
    {
        "assert.h",
        "cassert",
        "cfloat",
        "climits",
        "cmath",
        "cooperative_groups.h",
        "cooperative_groups/reduce.h",
        "cooperative_groups/scan.h",
        "cstddef",
        "cstdint",
        "cstdio",
        "cstdlib",
        "cstring",
        "cuda.h",
        "cuda_fp16.h",
        "cuda_runtime.h",
        "cuda_runtime_api.h",
        "device_atomic_functions.h",
        "device_functions.h",
        "device_launch_parameters.h",
        "float.h",
        "inttypes.h",
        "limits",
        "limits.h",
        "math.h",
        "math_constants.h",
        "math_functions.h",
        "sm_20_intrinsics.h",
        "sm_30_intrinsics.h",
        "stddef.h",
        "stdint.h",
        "stdio.h",
        "stdlib.h",
        "string.h",
        "type_traits",
        "vector_functions.h",
        "vector_types.h",
    }
)
# Local bytes a thread of `gon_warps`, in which a block counts on units without C++.
SCRATCH_BYTES: Final = 8
# Names that texts use and no built-in defines.
_GIVEN: Final = frozenset({"warps"})


def _all() -> Iterator[Builtin]:
    yield from read_chunks()
    yield from math_builtins()
    yield from cast_builtins()
    yield from vector_builtins()
    yield from half_builtins()
    yield from simd_builtins()
    yield from atomic_builtins()
    yield from load_builtins()
    yield from warp_builtins()
    yield from constant_builtins()


def _table() -> dict[str, Builtin]:
    table: dict[str, Builtin] = {}
    for builtin in _all():
        assert builtin.name not in table, f"{builtin.name} is there twice"
        table[builtin.name] = builtin
    return table


_DEFINED: Final = _table()
# Every name that a text may use → the built-in whose text defines it.
_HOME: Final = {
    name: builtin for builtin in _DEFINED.values() for name in (builtin.name, *builtin.also)
}
BUILTINS: Final[Mapping[str, Builtin]] = MappingProxyType(
    {name: builtin for name, builtin in _DEFINED.items() if builtin.kind is not Kind.PART}
)


def refusal(name: str) -> str:
    """Return why there is no such name here, or "" where nothing is known of it."""
    if name in REFUSED:
        return REFUSED[name]
    return next((why for prefix, why in REFUSED_PREFIXES.items() if name.startswith(prefix)), "")


@lru_cache(maxsize=4096)  # asked for every use of a name
def missing(name: str, target: Target) -> str:
    """Return why the unit cannot have the built-in `name`, or ""."""
    has = features_of(target)
    for builtin in _closure([name], has):
        lacks = builtin.needs - has
        if lacks:
            return f"it needs {', '.join(sorted(feature.value for feature in lacks))}"
        if not _parts(builtin, has):
            wants = {feature.value for part in builtin.parts for feature in part.needs - has}
            return f"it needs {', '.join(sorted(wants))}"
    return ""


def hidden_bytes(names: Iterable[str], target: Target) -> int:
    """Return the local bytes a thread that `gon_warps` must have in each kernel that uses `names`;
    0 where none is needed.
    """
    has = features_of(target)
    needs = Feature.C12 in has and any(builtin.scratch for builtin in _closure(names, has))
    return SCRATCH_BYTES if needs else 0


def needs_warps(names: Iterable[str], target: Target) -> bool:
    """Return whether kernels that use `names` must run in sub-groups of 32."""
    return any(builtin.warps for builtin in _closure(names, features_of(target)))


def prelude(names: Iterable[str], target: Target) -> str:
    """Return the text that defines `gon_NAME` for every name, to be put before the program.

    What it computes is never contracted; what follows it is, as CUDA does by default.
    """
    has = features_of(target)
    function = "static inline __attribute__((overloadable))"
    lines = [f"#define GON_FN {function if Feature.C12 in has else 'static inline'}"]
    lines += [f"#pragma OPENCL EXTENSION {name} : enable" for name in _extensions(has)]
    lines.append("#pragma OPENCL FP_CONTRACT OFF")
    for builtin in _closure(names, has):
        lines += [_spell(part, has) for part in _parts(builtin, has)]
    lines.append("#pragma OPENCL FP_CONTRACT ON")
    return "\n".join(lines) + "\n"


def _extensions(has: frozenset[Feature]) -> Iterator[str]:
    if Feature.FP16 in has:
        yield "cl_khr_fp16"
    if Feature.C12 in has:
        if Feature.FP64 in has:
            yield "cl_khr_fp64"
        if Feature.INT64_ATOMICS in has:
            yield "cl_khr_int64_base_atomics"
            yield "cl_khr_int64_extended_atomics"


def _parts(builtin: Builtin, has: frozenset[Feature]) -> list[Part]:
    return [part for part in builtin.parts if part.needs <= has]


def _closure(names: Iterable[str], has: frozenset[Feature]) -> list[Builtin]:
    """Return what `names` need on a unit, each behind all that it uses itself."""
    order: dict[str, Builtin] = {}
    pending = [(name, False) for name in sorted(set(names), reverse=True)]
    entered: set[str] = set()
    while pending:
        name, is_left = pending.pop()
        builtin = _HOME[name]
        if is_left:
            order.setdefault(builtin.name, builtin)
        elif builtin.name not in entered:
            entered.add(builtin.name)
            pending.append((name, True))
            uses = {use for part in _parts(builtin, has) for use in part.uses}
            inner = {_HOME[use].name for use in uses - _GIVEN} - {builtin.name}
            pending += [(use, False) for use in sorted(inner, reverse=True)]
    return list(order.values())


def _spell(part: Part, has: frozenset[Feature]) -> str:
    """Write out a text about pointers: one for the generic address space where there is one."""
    if not part.spaces:
        return part.text
    mark = next(mark for mark in ("GON_ATOMIC_AS", "GON_AS") if mark in part.text)
    if Feature.CPP in has:
        return part.text.replace(f"{mark} ", "")
    return "\n".join(part.text.replace(mark, space) for space in part.spaces)
