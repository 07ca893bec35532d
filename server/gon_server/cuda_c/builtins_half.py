"""Half precision (cuda_fp16.h): `half` is OpenCL's half, `half2` a struct of two.

Each operation of a half2 is the half's, twice. Comparisons are false where an operand is no number,
those with `u` true. Functions beyond arithmetic are computed in float and rounded once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, function
from gon_server.cuda_c.builtins_casts import ROUNDINGS, WHOLE, whole_of

_FP16: Final = (Feature.FP16,)

# Arithmetic: number of operands, and what is made of a, b and c.
ARITHMETIC: Final = {
    "__hadd": (2, "a + b"),
    "__hadd_rn": (2, "a + b"),
    "__hsub": (2, "a - b"),
    "__hsub_rn": (2, "a - b"),
    "__hmul": (2, "a * b"),
    "__hmul_rn": (2, "a * b"),
    "__hdiv": (2, "a / b"),
    "__hfma": (3, "fma(a, b, c)"),
    "__hneg": (1, "-a"),
    "__habs": (1, "fabs(a)"),
    "__hadd_sat": (2, "gon_half_sat(a + b)"),
    "__hsub_sat": (2, "gon_half_sat(a - b)"),
    "__hmul_sat": (2, "gon_half_sat(a * b)"),
    "__hfma_sat": (3, "gon_half_sat(fma(a, b, c))"),
    "__hfma_relu": (3, "gon_half_relu(fma(a, b, c))"),
    "__hmin": (2, "fmin(a, b)"),
    "__hmax": (2, "fmax(a, b)"),
    "__hmin_nan": (2, "isnan(a) || isnan(b) ? gon_half_nan() : fmin(a, b)"),
    "__hmax_nan": (2, "isnan(a) || isnan(b) ? gon_half_nan() : fmax(a, b)"),
}
# `hNAME` and `h2NAME`, by the float's expression.
FUNCTIONS: Final = {
    "ceil": "ceil(x)",
    "cos": "cos(x)",
    "exp": "exp(x)",
    "exp10": "exp10(x)",
    "exp2": "exp2(x)",
    "floor": "floor(x)",
    "log": "log(x)",
    "log10": "log10(x)",
    "log2": "log2(x)",
    "rcp": "1.0f / x",
    "rint": "rint(x)",
    "rsqrt": "rsqrt(x)",
    "sin": "sin(x)",
    "sqrt": "sqrt(x)",
    "tanh": "tanh(x)",
    "trunc": "trunc(x)",
}
# What compares, and what it becomes where no number counts as true.
COMPARISONS: Final = {
    "eq": ("a == b", "!(a < b || a > b)"),
    "ne": ("a < b || a > b", "a != b"),
    "lt": ("a < b", "!(a >= b)"),
    "le": ("a <= b", "!(a > b)"),
    "gt": ("a > b", "!(a <= b)"),
    "ge": ("a >= b", "!(a < b)"),
}


def half_builtins() -> Iterator[Builtin]:
    """Yield arithmetic, functions, comparisons and conversions."""
    for name, (count, expression) in ARITHMETIC.items():
        params = ", ".join(f"half {operand}" for operand in "abc"[:count])
        if name != "__hadd":  # the name is also that of whole numbers: prelude/integers.cl
            yield _half(name, f"GON_FN half gon_{name}({params}) {{ return {expression}; }}")
        yield _twice(name, pair_name(name), "abc"[:count])
    for name, expression in FUNCTIONS.items():
        body = f"float x = (float)a; return (half)({expression});"
        text = f"GON_FN half gon_h{name}(half a) {{ {body} }}"
        yield _half(f"h{name}", text)
        yield _twice(f"h{name}", f"h2{name}", "a")
    for name, (ordered, unordered) in COMPARISONS.items():
        yield from _comparison(f"__h{name}", f"__hb{name}2", ordered)
        yield from _comparison(f"__h{name}u", f"__hb{name}u2", unordered)
    for short, mode in ROUNDINGS.items():
        yield from _conversions(short, mode)


def pair_name(name: str) -> str:
    """Return what CUDA calls the half2's form of a half's arithmetic."""
    if name == "__hdiv":
        return "__h2div"
    stem, _, rest = name.removeprefix("__").partition("_")
    return f"__{stem}2" + (f"_{rest}" if rest else "")


def _half(name: str, text: str) -> Builtin:
    return function(name, text, needs=_FP16)


def _twice(name: str, pair: str, operands: str) -> Builtin:
    params = ", ".join(f"gon_half2 {operand}" for operand in operands)
    low, high = (", ".join(f"{operand}.{m}" for operand in operands) for m in "xy")
    both = f"gon_make_half2(gon_{name}({low}), gon_{name}({high}))"
    return _half(pair, f"GON_FN gon_half2 gon_{pair}({params}) {{ return {both}; }}")


def _comparison(name: str, both: str, expression: str) -> Iterator[Builtin]:
    low, high = f"gon_{name}(a.x, b.x)", f"gon_{name}(a.y, b.y)"
    pair = "(gon_half2 a, gon_half2 b)"
    yield _half(name, f"GON_FN bool gon_{name}(half a, half b) {{ return {expression}; }}")
    yield _half(both, f"GON_FN bool gon_{both}{pair} {{ return {low} && {high}; }}")
    ones = f"gon_make_half2({low} ? (half)1 : (half)0, {high} ? (half)1 : (half)0)"
    yield _half(f"{name}2", f"GON_FN gon_half2 gon_{name}2{pair} {{ return {ones}; }}")
    mask = f"({low} ? 0xffffu : 0u) | ({high} ? 0xffff0000u : 0u)"
    yield _half(f"{name}2_mask", f"GON_FN uint gon_{name}2_mask{pair} {{ return {mask}; }}")


def _conversions(short: str, mode: str) -> Iterator[Builtin]:
    name = f"__float2half_{short}"
    yield _half(name, f"GON_FN half gon_{name}(float x) {{ return convert_half_{mode}(x); }}")
    for short_name, type_name in {**WHOLE, "short": "short", "ushort": "ushort"}.items():
        to, back = f"__half2{short_name}_{short}", f"__{short_name}2half_{short}"
        whole = whole_of("x", type_name, mode)
        yield _half(to, f"GON_FN {type_name} gon_{to}(half x) {{ return {whole}; }}")
        text = f"GON_FN half gon_{back}({type_name} x) {{ return convert_half_{mode}(x); }}"
        yield _half(back, text)
