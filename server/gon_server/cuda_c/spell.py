"""Spells types and what is handed down for the unit's compiler.

Rules: pure. What has no spelling at the place it is needed (a type local to a function) is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gon_server.cuda_c.layout import Array, CType, Scalar, Struct, size_of
from gon_server.cuda_c.symbols import Symbol
from gon_server.cuda_c.target import HiddenKind

PARAMS: Final[dict[HiddenKind, tuple[str, str]]] = {
    HiddenKind.SHARED: ("local uchar *", "gon_shared"),
    HiddenKind.GLOBALS: ("global uchar *", "gon_globals"),
    HiddenKind.WARPS: ("local ulong *", "gon_warps"),
}


def shape_of(kind: CType) -> tuple[CType, tuple[int, ...]]:
    """Return an array's element and its counts, outermost first."""
    counts: list[int] = []
    while isinstance(kind, Array):
        counts.append(kind.count)
        kind = kind.of
    return kind, tuple(counts)


def scalar_name(kind: Scalar) -> str:
    name = kind.name.replace("long long", "long")
    return f"gon_{name}" if name == "half" else name


def spell(kind: CType, renamed: dict[str, str]) -> str | None:
    """Return a type's name outside of functions, None where it has none that is known."""
    if isinstance(kind, Scalar):
        return scalar_name(kind)
    if isinstance(kind, Struct) and kind.name:
        if kind.is_vector:
            return f"gon_{kind.name}"
        return renamed.get(kind.name, kind.name)
    return None


def size_check(name: str, kind: CType) -> str:
    """Return a declaration that does not compile if a type is not as large as is thought."""
    if isinstance(kind, Scalar) and kind.name == name:
        return ""
    return f' _Static_assert(sizeof({name}) == {size_of(kind)}, "the size of {name}");'


def counts_text(counts: Sequence[object]) -> str:
    return "".join(f"[{count}]" for count in counts)


def hoisted_name(symbol: Symbol, number: int) -> str:
    """Return what shared memory of a function is called where it is not declared."""
    return f"gon_s{number}_{symbol.name}"
