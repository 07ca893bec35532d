"""Conversions with a rounding mode, bits taken as another type, and sums, products and quotients of
floats that round to where they are told.

Beyond the range of a whole number they give its nearest value; for what is no number they give 0,
in 64 bits the highest one alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, function

# CUDA's suffix → OpenCL's.
ROUNDINGS: Final = {"rn": "rte", "rz": "rtz", "ru": "rtp", "rd": "rtn"}
WHOLE: Final = {"int": "int", "uint": "uint", "ll": "long", "ull": "ulong"}
_BITS: Final = (
    ("__float_as_int", "float", "int"),
    ("__float_as_uint", "float", "uint"),
    ("__int_as_float", "int", "float"),
    ("__uint_as_float", "uint", "float"),
    ("__double_as_longlong", "double", "long"),
    ("__longlong_as_double", "long", "double"),
)
# Directed roundings: what is exactly known of the result, in terms of prelude/intrinsics.cl.
_DIRECTED: Final = {
    "__fadd": ("float x, float y", "gon_sum_{0}(x, y)"),
    "__fsub": ("float x, float y", "gon_sum_{0}(x, -(double)y)"),
    "__fmul": ("float x, float y", "convert_float_{1}((double)x * y)"),
    "__fmaf": ("float x, float y, float z", "gon_sum_{0}((double)x * y, z)"),
    "__fmaf_ieee": ("float x, float y, float z", "gon_sum_{0}((double)x * y, z)"),
    "__fdiv": ("float x, float y", "gon_rounded_{0}(gon_near_quotient(x, y))"),
    "__frcp": ("float x", "gon_rounded_{0}(gon_near_quotient(1.0, x))"),
    "__fsqrt": ("float x", "gon_rounded_{0}(gon_near_root(x))"),
}


def cast_builtins() -> Iterator[Builtin]:
    """Yield conversions, bit casts and directed roundings."""
    for name, source, target in _BITS:
        needs = {Feature.FP64} if "double" in (source, target) else set[Feature]()
        text = f"GON_FN {target} gon_{name}({source} x) {{ return as_{target}(x); }}"
        yield function(name, text, needs=needs)
    for short, mode in ROUNDINGS.items():
        yield from _conversions(short, mode)
        if short != "rn":
            for name, (params, expression) in _DIRECTED.items():
                full = f"{name}_{short}"
                value = expression.format(short, mode)
                text = f"GON_FN float gon_{full}({params}) {{ return {value}; }}"
                yield function(full, text, needs={Feature.FP64}, ulp=0)


def _conversions(short: str, mode: str) -> Iterator[Builtin]:
    fp64 = {Feature.FP64}
    yield _convert("double", f"__double2float_{short}", "float", f"convert_float_{mode}", fp64)
    for name, type_name in WHOLE.items():
        yield _to_whole("float", f"__float2{name}_{short}", type_name, mode, set())
        yield _to_whole("double", f"__double2{name}_{short}", type_name, mode, fp64)
        yield _convert(
            type_name, f"__{name}2float_{short}", "float", f"convert_float_{mode}", set()
        )
        if short == "rn" or name in ("ll", "ull"):  # 32 bits fit a double: nothing to round
            wide = f"convert_double_{mode}"
            yield _convert(type_name, f"__{name}2double_{short}", "double", wide, fp64)


def _convert(source: str, name: str, target: str, convert: str, needs: set[Feature]) -> Builtin:
    text = f"GON_FN {target} gon_{name}({source} x) {{ return {convert}(x); }}"
    return function(name, text, needs=needs, ulp=0)


def _to_whole(source: str, name: str, target: str, mode: str, needs: set[Feature]) -> Builtin:
    text = f"GON_FN {target} gon_{name}({source} x) {{ return {whole_of('x', target, mode)}; }}"
    return function(name, text, needs=needs)


def whole_of(x: str, target: str, mode: str) -> str:
    """Return the expression that makes a whole number of the float `x`."""
    none = f"({target})0x8000000000000000UL" if target.endswith("long") else f"({target})0"
    return f"isnan({x}) ? {none} : convert_{target}_sat_{mode}({x})"
