"""The math library: for each function its OpenCL expressions and CUDA's documented maximum error.

`sinf` takes a float; `sin` is what C++ makes of it: float gives float, double and whole numbers
give double. Where OpenCL's function on the software unit is less exact than CUDA documents, the
expression is one of ours (`prelude/math_*.cl`).

Sources: tables "Mathematical Functions" of the CUDA C++ Programming Guide; overloads as NVRTC has
them, and those of whole numbers as C++ adds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, function


@dataclass(frozen=True, slots=True)
class MathFunction:
    """One row: expressions in x (and y), and the errors that CUDA documents, in ulp."""

    name: str
    single: str
    single_ulp: int
    double: str
    double_ulp: int

    @property
    def single_needs(self) -> tuple[Feature, ...]:
        """A float's function that is computed in double."""
        return (Feature.FP64,) if "gon_d_" in self.single else ()


def _same(name: str, single_ulp: int, double_ulp: int, args: str = "x") -> MathFunction:
    return MathFunction(name, f"{name}({args})", single_ulp, f"{name}({args})", double_ulp)


def _ours(name: str, single: str, single_ulp: int, double_ulp: int) -> MathFunction:
    return MathFunction(name, single, single_ulp, f"gon_d_{name}(x)", double_ulp)


def _in_double(name: str, single_ulp: int, double_ulp: int) -> MathFunction:
    return _ours(name, f"(float)gon_d_{name}(x)", single_ulp, double_ulp)


UNARY: Final = (
    _same("acos", 2, 2),
    _same("acosh", 4, 3),
    _same("asin", 2, 2),
    _same("asinh", 3, 3),
    _same("atan", 2, 2),
    _same("atanh", 3, 2),
    _same("cbrt", 1, 1),
    _same("ceil", 0, 0),
    _ours("cos", "cos(x)", 2, 2),
    _ours("cosh", "cosh(x)", 2, 1),
    _ours("cospi", "gon_f_cospi(x)", 1, 2),
    MathFunction("erf", "gon_f_erf(x)", 2, "erf(x)", 2),
    _same("erfc", 4, 5),
    _in_double("erfcinv", 4, 6),
    _in_double("erfcx", 4, 4),
    _in_double("erfinv", 2, 5),
    _same("exp", 2, 1),
    _same("exp10", 2, 1),
    _same("exp2", 2, 1),
    _same("expm1", 1, 1),
    _same("fabs", 0, 0),
    _same("floor", 0, 0),
    _same("lgamma", 6, 4),
    _same("log", 1, 1),
    _same("log10", 2, 1),
    _same("log1p", 1, 1),
    _same("log2", 1, 1),
    _same("logb", 0, 0),
    MathFunction("nearbyint", "rint(x)", 0, "rint(x)", 0),
    _in_double("normcdf", 5, 5),
    _in_double("normcdfinv", 5, 8),
    MathFunction("rcbrt", "gon_f_rcbrt(x)", 1, "gon_d_rcbrt(x)", 1),
    _same("rint", 0, 0),
    _same("round", 0, 0),
    _same("rsqrt", 2, 1),
    _ours("sin", "sin(x)", 2, 2),
    _same("sinh", 3, 2),
    _ours("sinpi", "gon_f_sinpi(x)", 1, 2),
    _same("sqrt", 0, 0),
    _ours("tan", "tan(x)", 4, 2),
    _same("tanh", 2, 1),
    _same("tgamma", 5, 10),
    _same("trunc", 0, 0),
)

BINARY: Final = (
    _same("atan2", 3, 2, "x, y"),
    _same("copysign", 0, 0, "x, y"),
    _same("fdim", 0, 0, "x, y"),
    _same("fmax", 0, 0, "x, y"),
    _same("fmin", 0, 0, "x, y"),
    _same("fmod", 0, 0, "x, y"),
    _same("hypot", 3, 2, "x, y"),
    _same("nextafter", 0, 0, "x, y"),
    _same("pow", 4, 2, "x, y"),
    _same("remainder", 0, 0, "x, y"),
)

WHOLE: Final = ("int", "uint", "long", "ulong")


def math_builtins() -> Iterator[Builtin]:
    """Yield `NAMEf` and `NAME` of every row."""
    for row in UNARY:
        yield _single(row, "float x")
        yield _overloaded(row)
    for row in BINARY:
        yield _single(row, "float x, float y")
        if row.name != "pow":  # has exponents that are whole, too: prelude/math_double.cl
            yield _pair(row)


def _single(row: MathFunction, params: str) -> Builtin:
    text = f"GON_FN float gon_{row.name}f({params}) {{ return {row.single}; }}"
    return function(f"{row.name}f", text, needs=row.single_needs, ulp=row.single_ulp)


def _overloaded(row: MathFunction) -> Builtin:
    """A whole number's function is double's; a unit without double must not give it a float."""
    name = f"gon_{row.name}"
    double = f"GON_FN double {name}(double x) {{ return {row.double}; }}"
    whole = "".join(f"\nGON_FN double {name}({t} x) {{ return {name}((double)x); }}" for t in WHOLE)
    gone = "\n".join(
        f'GON_FN float {name}({t} x) __attribute__((unavailable("of a whole number it is double,'
        f' which this unit has not")));'
        for t in WHOLE
    )
    return function(
        row.name,
        f"GON_FN float {name}(float x) {{ return {name}f(x); }}",
        (double + whole, Feature.FP64),
        (gone, Feature.NO_FP64),
        needs=row.single_needs,
        ulp=row.double_ulp,
    )


def _pair(row: MathFunction) -> Builtin:
    name = f"gon_{row.name}"
    return function(
        row.name,
        f"GON_FN float {name}(float x, float y) {{ return {name}f(x, y); }}",
        (f"GON_FN double {name}(double x, double y) {{ return {row.double}; }}", Feature.FP64),
        ulp=row.double_ulp,
    )
