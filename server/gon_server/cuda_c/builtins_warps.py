"""Shuffles of a warp and its reductions, for every type that CUDA has them for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, Kind, part

_TYPES: Final = {
    "int": frozenset[Feature](),
    "uint": frozenset[Feature](),
    "long": frozenset[Feature](),
    "ulong": frozenset[Feature](),
    "float": frozenset[Feature](),
    "double": frozenset({Feature.FP64}),
    "half": frozenset({Feature.FP16}),
}
# CUDA's name → its second argument, and the lane it reads from.
_SHUFFLES: Final = {
    "__shfl_sync": ("int lane", "gon_shuffle_source(lane, width)"),
    "__shfl_up_sync": ("uint by", "gon_shuffle_up_source(by, width)"),
    "__shfl_down_sync": ("uint by", "gon_shuffle_down_source(by, width)"),
    "__shfl_xor_sync": ("int with", "gon_shuffle_xor_source(with, width)"),
}
_REDUCTIONS: Final = {
    "__reduce_add_sync": (("int", "uint"), "r + other"),
    "__reduce_min_sync": (("int", "uint"), "min(r, other)"),
    "__reduce_max_sync": (("int", "uint"), "max(r, other)"),
    "__reduce_and_sync": (("uint",), "r & other"),
    "__reduce_or_sync": (("uint",), "r | other"),
    "__reduce_xor_sync": (("uint",), "r ^ other"),
}
_NEEDS: Final = frozenset({Feature.SUBGROUPS})


def warp_builtins() -> Iterator[Builtin]:
    """Yield the shuffles and reductions."""
    for name, (param, source) in _SHUFFLES.items():
        kind = param.split()[1]
        parts = tuple(
            part(
                f"GON_FN {t} gon_{name}(uint mask, {t} value, {param}, int width) {{"
                f" return sub_group_shuffle(value, {source}); }}\n"
                f"GON_FN {t} gon_{name}(uint mask, {t} value, {param}) {{"
                f" return gon_{name}(mask, value, {kind}, 32); }}",
                needs,
                own=name,
            )
            for t, needs in _TYPES.items()
        )
        yield Builtin(name, Kind.FUNCTION, parts, _NEEDS, warps=True)
    for name, (types, step) in _REDUCTIONS.items():
        parts = tuple(part(_reduction(name, t, step), own=name) for t in types)
        yield Builtin(name, Kind.FUNCTION, parts, _NEEDS, warps=True)


def _reduction(name: str, type_name: str, step: str) -> str:
    """The lanes of the mask are gone through one by one: right for any mask."""
    return f"""\
GON_FN {type_name} gon_{name}(uint mask, {type_name} value) {{
    uint left = mask & gon___activemask();
    {type_name} r = sub_group_shuffle(value, 31u - clz(left & (0u - left)));
    for (left &= left - 1u; left; left &= left - 1u) {{
        {type_name} other = sub_group_shuffle(value, 31u - clz(left & (0u - left)));
        r = {step};
    }}
    return r;
}}"""
