"""How far the math library is from the truth: arguments, references and the measure of it.

The measure is the largest distance from the exact result in units in the last place. CUDA documents
whole ulps between its result and the correctly rounded one: "2" there is at most 2.5 here.
References are long doubles of 64 bits' precision: NumPy's, or `exact_math` where it has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from typing import Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from gon_server.cuda_c.builtins import BUILTINS
from gon_server.cuda_c.builtins_math import BINARY, UNARY
from tests.unit import exact_math
from tests.unit.cuda_unit import Array, Call, CudaUnit

Long: TypeAlias = npt.NDArray[np.longdouble]
Floats: TypeAlias = npt.NDArray[np.float64]
LONG = np.longdouble
PI = LONG("3.14159265358979323846264338327950288")
# Functions that C leaves the choice of a zero to.
NO_SIGN_OF_ZERO = ("fmax", "fmin")
EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1e-30, -1e-30, 0.25]


class _Scipy(Protocol):
    """What is used of scipy.special, which tells no types."""

    def erf(self, x: Floats, /) -> Floats: ...
    def erfc(self, x: Floats, /) -> Floats: ...
    def erfcinv(self, x: Floats, /) -> Floats: ...
    def erfcx(self, x: Floats, /) -> Floats: ...
    def erfinv(self, x: Floats, /) -> Floats: ...
    def gamma(self, x: Floats, /) -> Floats: ...
    def gammaln(self, x: Floats, /) -> Floats: ...
    def ndtr(self, x: Floats, /) -> Floats: ...
    def ndtri(self, x: Floats, /) -> Floats: ...


_SCIPY = cast(_Scipy, import_module("scipy.special"))


@dataclass(frozen=True)
class Measured:
    """The largest error in ulp, and the arguments it is at."""

    ulp: float
    at: tuple[float, ...]


@dataclass(frozen=True)
class Special:
    """A function NumPy has not in long double: `rough` is a double's, `exact` takes it as a start;
    both are compared within `low` to `high` only, without `gap`.
    """

    rough: Callable[[Floats], Floats]
    exact: Callable[[Decimal, float], Decimal]
    low: float
    high: float
    gap: tuple[float, float] = (0.0, 0.0)


def _alone(function: Callable[[Decimal], Decimal]) -> Callable[[Decimal, float], Decimal]:
    return lambda x, _near: function(x)


SPECIALS = {
    "erf": Special(_SCIPY.erf, _alone(exact_math.erf), -7.0, 7.0),
    "erfc": Special(_SCIPY.erfc, _alone(exact_math.erfc), -7.0, 26.0),
    "erfcinv": Special(_SCIPY.erfcinv, exact_math.erfcinv, 0.0, 2.0),
    "erfcx": Special(_SCIPY.erfcx, _alone(exact_math.erfcx), -9.0, 40.0),
    "erfinv": Special(_SCIPY.erfinv, exact_math.erfinv, -1.0, 1.0),
    # CUDA's bounds of lgamma do not hold between its zeros left of -2.
    "lgamma": Special(_SCIPY.gammaln, _alone(exact_math.lgamma), -60.0, 1e4, (-23.1, -2.2)),
    "normcdf": Special(_SCIPY.ndtr, _alone(exact_math.normcdf), -37.0, 9.0),
    "normcdfinv": Special(_SCIPY.ndtri, exact_math.normcdfinv, 0.0, 1.0),
    "tgamma": Special(_SCIPY.gamma, _alone(exact_math.tgamma), -30.0, 170.0),
}


# References ---------------------------------------------------------------------------------------
def _pi_times(x: Long, quarters: int) -> Long:
    """sin(pi x + quarters pi / 2) by the nearest quarter turn, so that zeros are exact."""
    n = np.rint(2 * x)
    turned = PI * (x - n / 2)
    quarter = np.where(np.isfinite(n), np.fmod(n, 4), 0).astype(int) + quarters
    value = np.where(quarter % 2 == 0, np.sin(turned), np.cos(turned))
    value = np.where(quarter % 4 >= 2, -value, value)
    zero = np.copysign(0, x) if quarters == 0 else np.zeros_like(x)
    return np.where(value == 0, zero, value).astype(LONG)


def _special(name: str, x: Long, *, to_all_digits: bool) -> Long:
    special = SPECIALS[name]
    double = x.astype(np.float64)
    rough = special.rough(double)
    result = rough.astype(LONG)
    if name == "lgamma":  # SciPy gives -inf there, C and CUDA inf
        result[np.isneginf(x)] = np.inf
    if name == "erfinv":  # and has lost the sign of 0
        result[x == 0] = x[x == 0]
    if to_all_digits:
        for i in np.flatnonzero(np.isfinite(rough) & np.isfinite(double) & (rough != 0.0)):
            exact = special.exact(Decimal(float(double[i])), float(rough[i]))
            result[i] = LONG(str(exact))
    return result


def _remainder(x: Long, y: Long) -> Long:
    def one(a: float, b: float) -> float:
        return math.nan if b == 0 or math.isinf(a) else math.remainder(a, b)

    return np.array([one(float(a), float(b)) for a, b in zip(x, y, strict=True)], LONG)


def _plus_or_nothing(x: Long, y: Long) -> Long:
    difference = x - y
    return np.where(np.isnan(x) | np.isnan(y), np.nan, np.where(x > y, difference, 0)).astype(LONG)


def _log_base(x: Long) -> Long:
    """The exponent of a number as one has it whose mantissa is 1 to 2."""
    exponent = (np.frexp(x)[1] - 1).astype(LONG)
    exponent[x == 0] = -np.inf
    exponent[np.isinf(x)] = np.inf
    exponent[np.isnan(x)] = np.nan
    return exponent


def _away(x: Long) -> Long:
    return np.copysign(np.floor(np.abs(x) + LONG(0.5)), x)


# What NumPy has by another name, or not at all.
OF_ONE: dict[str, Callable[[Long], Long]] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cospi": lambda x: _pi_times(x, 1),
    "exp10": lambda x: np.power(LONG(10), x),
    "logb": _log_base,
    "nearbyint": np.rint,
    "rcbrt": lambda x: LONG(1) / np.cbrt(x),
    "round": _away,
    "rsqrt": lambda x: LONG(1) / np.sqrt(x),
    "sinpi": lambda x: _pi_times(x, 0),
}
OF_TWO: dict[str, Callable[[Long, Long], Long]] = {
    "atan2": np.arctan2,
    "copysign": np.copysign,
    "fdim": _plus_or_nothing,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "fmod": np.fmod,
    "hypot": np.hypot,
    "nextafter": np.nextafter,
    "pow": np.power,
    "remainder": _remainder,
}


def reference(name: str, dtype: type[np.floating], arguments: list[Long]) -> Long:
    """Return what the function gives, exactly for a number of type `dtype`."""
    x = arguments[0]
    with np.errstate(all="ignore"):
        if name in SPECIALS:
            return _special(name, x, to_all_digits=dtype is np.float64)
        if name in OF_TWO:
            return OF_TWO[name](x, arguments[1])
        function: Callable[[Long], Long] = OF_ONE.get(name) or getattr(np, name)
        return function(x)


# Arguments ----------------------------------------------------------------------------------------
def _bits(rng: np.random.Generator, count: int, dtype: type[np.floating]) -> Array:
    words = np.uint32 if dtype is np.float32 else np.uint64
    values = rng.integers(0, np.iinfo(words).max, count, words, endpoint=True).view(dtype)
    return values[np.isfinite(values)]


def arguments(
    name: str, dtype: type[np.floating], count: int, rng: np.random.Generator
) -> list[Array]:
    """Return arguments over all that is interesting: any bits, small and large numbers, edges."""
    if name in SPECIALS:
        return [_within(SPECIALS[name], dtype, count, rng)]
    quarter = count // 4
    x = np.concatenate(
        [
            np.array(EDGES, dtype),
            np.array([np.finfo(dtype).max, np.finfo(dtype).tiny], dtype),
            np.array([np.finfo(dtype).smallest_subnormal] * 2, dtype),
            _bits(rng, quarter, dtype),
            rng.uniform(-10, 10, quarter).astype(dtype),
            rng.normal(0, 100, quarter).astype(dtype),
            rng.uniform(-1, 1, quarter).astype(dtype),
        ]
    )
    if name not in {row.name for row in BINARY}:
        return [x]
    y = rng.permutation(x)
    if name == "pow":
        span = 80 if dtype is np.float32 else 690
        with np.errstate(all="ignore"):
            fitting = rng.uniform(-span, span, x.size) / np.log(np.abs(x.astype(np.float64)))
        keep = rng.random(x.size) < 0.5
        y = np.where(keep & np.isfinite(fitting), fitting, y).astype(dtype)
        x = np.where(keep, np.abs(x), x)
    return [x, y]


def _within(
    special: Special, dtype: type[np.floating], count: int, rng: np.random.Generator
) -> Array:
    size = 20 * count if dtype is np.float32 else count
    low, high = special.low, special.high
    wide = rng.uniform(low, high, size)
    narrow = np.clip(rng.normal(0, 1, size), low, high)
    tiny = np.clip(10.0 ** rng.uniform(-30, 0, size // 2), low, high)
    x = np.concatenate([np.array(EDGES[:5]), wide, narrow, tiny]).astype(dtype)
    x = x[~((x > special.gap[0]) & (x < special.gap[1]))]
    return x[~((x < 0) & (x == np.rint(x)) & np.isfinite(x))] if special.gap[0] else x


# The measure --------------------------------------------------------------------------------------
def error_ulp(got: Array, expected: Long, *, signs: bool) -> npt.NDArray[np.float64]:
    """Return each error in ulp of the result's type; infinite where one is special, not both, and,
    with `signs`, where a zero has the wrong sign.
    """
    dtype = got.dtype
    with np.errstate(all="ignore"):
        rounded = expected.astype(dtype)
        spacing = np.spacing(np.abs(rounded)).astype(LONG)
        distance = np.abs(got.astype(LONG) - expected) / spacing
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        finite = np.isfinite(rounded) & np.isfinite(got)
        error = np.where(same & ~finite, 0, np.where(finite, distance, np.inf))
        if signs:
            zeros = (got == 0) & (rounded == 0)
            error[zeros & (np.signbit(got) != np.signbit(rounded))] = np.inf
    return error.astype(np.float64)


def math_calls() -> Iterator[tuple[str, str, Call]]:
    """Yield the built-in's name, its row's name and its call, in both precisions."""
    for rows, letters in ((UNARY, ("a",)), (BINARY, ("a", "b"))):
        for row in rows:
            operands = ", ".join(letters)
            for name, type_name in ((f"{row.name}f", "float"), (row.name, "double")):
                call = Call(f"gon_{name}({operands})", (type_name,) * len(letters), type_name)
                yield name, row.name, call


@dataclass(frozen=True)
class Case:
    """A call, its arguments and what it should give."""

    call: Call
    inputs: list[Array]
    expected: Long
    signs: bool = True


def library_cases(rng: np.random.Generator, count: int, exact_count: int) -> dict[str, Case]:
    """Return a case for every function of one or two numbers."""
    cases: dict[str, Case] = {}
    for name, row, call in math_calls():
        dtype = np.float32 if call.out == "float" else np.float64
        inputs = arguments(row, dtype, exact_count if row in SPECIALS else count, rng)
        if row == "nextafter":  # is of the type itself, not of what it is a part of
            expected = np.nextafter(*inputs).astype(LONG)
        else:
            expected = reference(row, dtype, [x.astype(LONG) for x in inputs])
        cases[name] = Case(call, inputs, expected, signs=row not in NO_SIGN_OF_ZERO)
    return cases


def _norm(*values: Long) -> Long:
    return np.sqrt(np.sum([value * value for value in values], axis=0, dtype=LONG))


def norm_cases(rng: np.random.Generator, count: int) -> dict[str, Case]:
    """Return cases of the norms: sizes that a square would not fit."""
    cases: dict[str, Case] = {}
    for base, size in (("rhypot", 2), ("norm3d", 3), ("norm4d", 4), ("rnorm3d", 3), ("rnorm4d", 4)):
        for name, kind, most in ((f"{base}f", "float", 120), (base, "double", 900)):
            scale = np.exp2(rng.integers(-most, most, count))
            dtype = np.float32 if kind == "float" else np.float64
            values: list[Array] = [
                (rng.normal(0, 1, count) * scale).astype(dtype) for _ in range(size)
            ]
            norm = _norm(*(value.astype(LONG) for value in values))
            call = Call(f"gon_{name}({', '.join('abcd'[:size])})", (kind,) * size, kind)
            cases[name] = Case(call, values, LONG(1) / norm if base.startswith("r") else norm)
    return cases


# Quick intrinsics whose error CUDA documents in ulp, and the function they are.
QUICK: dict[str, Callable[[Long], Long]] = {
    "__expf": np.exp,
    "__exp10f": OF_ONE["exp10"],
    "__logf": np.log,
    "__log2f": np.log2,
    "__log10f": np.log10,
}


def quick_cases(rng: np.random.Generator, count: int) -> dict[str, Case]:
    """Return cases of the quick intrinsics, where CUDA's bounds of them hold."""
    x = rng.uniform(0.001, 30, count).astype(np.float32)
    y = rng.normal(0, 100, count).astype(np.float32)
    call = "gon_{}(a)".format
    cases = {
        name: Case(Call(call(name), ("float",), "float"), [x], exact(x.astype(LONG)))
        for name, exact in QUICK.items()
    }
    for name in ("fdividef", "__fdividef"):
        quotient = Call(f"gon_{name}(a, b)", ("float", "float"), "float")
        cases[name] = Case(quotient, [x, y], x.astype(LONG) / y.astype(LONG))
    return cases


# Functions that give two results, by the functions whose results these are.
TOGETHER = {
    "sincosf": ("sinf", "cosf"),
    "sincos": ("sin", "cos"),
    "sincospif": ("sinpif", "cospif"),
    "sincospi": ("sinpi", "cospi"),
}


def all_cases(rng: np.random.Generator, count: int, exact_count: int) -> dict[str, Case]:
    """Return a case for every function that gives one result."""
    return {
        **library_cases(rng, count, exact_count),
        **norm_cases(rng, count),
        **quick_cases(rng, count),
    }


def measure(unit: CudaUnit, count: int, exact_count: int, seed: int) -> dict[str, Measured]:
    """Measure every function with a documented error on `count` arguments, those that need all
    digits in double on `exact_count`.
    """
    cases = all_cases(np.random.default_rng(seed), count, exact_count)
    calls = {name: case.call for name, case in cases.items()}
    results = unit.evaluate(cases, calls, {name: case.inputs for name, case in cases.items()})
    measured: dict[str, Measured] = {}
    for name, case in cases.items():
        error = error_ulp(results[name], case.expected, signs=case.signs)
        worst = int(np.argmax(error))
        measured[name] = Measured(float(error[worst]), tuple(float(x[worst]) for x in case.inputs))
    for name, parts in TOGETHER.items():
        measured[name] = max((measured[part] for part in parts), key=lambda found: found.ulp)
    return measured


def documented(name: str) -> int:
    """Return CUDA's documented maximum error of a function of the library."""
    ulp = BUILTINS[name].ulp
    assert ulp is not None, f"{name} has no documented error"
    return ulp
