"""Conversions, directed roundings and bits taken as they are, against fractions."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import pytest

from gon_server.cuda_c.target import Dialect
from tests.unit.cuda_unit import NUMPY, Array, Call, CudaUnit, whole_numbers, wrap

COUNT = 200


@pytest.fixture(scope="module", params=Dialect, ids=lambda dialect: dialect.name)
def unit(request: pytest.FixtureRequest) -> CudaUnit:
    return CudaUnit(request.param)


MODES: dict[str, Callable[[Fraction], int]] = {
    "rn": round,
    "rz": int,
    "ru": lambda x: -((-x.numerator) // x.denominator),
    "rd": lambda x: x.numerator // x.denominator,
}
TARGETS = {"int": "int", "uint": "uint", "ll": "long", "ull": "ulong"}


def to_whole(value: float, mode: str, out: str) -> int:
    info = np.iinfo(NUMPY[out])
    if np.isnan(value):
        return wrap(1 << 63, out) if info.bits == 64 else 0
    if np.isinf(value):
        return int(info.max if value > 0 else info.min)
    return max(int(info.min), min(int(info.max), MODES[mode](Fraction(value))))


def floats(type_name: str) -> Array:
    rng = np.random.default_rng(17)
    edges = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        np.inf,
        -np.inf,
        1e30,
        -1e30,
        2.0**31,
        -(2.0**63),
    ]
    spread = rng.normal(0, 1, COUNT) * np.exp2(rng.integers(-4, 66, COUNT))
    return np.concatenate([edges, [np.nan], spread]).astype(NUMPY[type_name])


def test_floats_become_whole_numbers(unit: CudaUnit) -> None:
    calls: dict[str, Call] = {}
    inputs: dict[str, list[Array]] = {}
    for source in ("float", "double"):
        for target, out in TARGETS.items():
            for mode in MODES:
                name = f"__{source}2{target}_{mode}"
                calls[name] = Call(f"gon_{name}(a)", (source,), out)
                inputs[name] = [floats(source)]
    results = unit.evaluate(calls, calls, inputs)
    for name, call in calls.items():
        mode = name[-2:]
        expected = [to_whole(float(x), mode, call.out) for x in inputs[name][0]]
        got = [int(value) for value in results[name]]
        wrong = [t for t in zip(inputs[name][0], got, expected, strict=True) if t[1] != t[2]]
        assert not wrong, (name, wrong[:3])


def nearest(value: Fraction, mode: str, dtype: str) -> float:
    """The number of `dtype` that is `value` rounded as told; within its range."""
    kind = np.dtype(dtype).type
    at = kind(float(value))
    if Fraction(float(at)) == value or mode == "rn":
        return float(at if mode != "rn" else round_nearest(value, dtype))
    below, above = (
        (np.nextafter(at, kind(-np.inf)), at)
        if Fraction(float(at)) > value
        else (
            at,
            np.nextafter(at, kind(np.inf)),
        )
    )
    up = mode == "ru" or (mode == "rz" and value < 0)
    return float(above if up else below)


def round_nearest(value: Fraction, dtype: str) -> float:
    """Python rounds a fraction to double once; to float it is done here on the bits."""
    if dtype == "f8":
        return value.numerator / value.denominator
    kind = np.float32(float(value))
    near = [np.nextafter(kind, np.float32(-np.inf)), kind, np.nextafter(kind, np.float32(np.inf))]
    even: tuple[int, ...] = struct.unpack("<3I", struct.pack("<3f", *near))
    away = [(abs(Fraction(float(x)) - value), bits & 1) for x, bits in zip(near, even, strict=True)]
    return float(near[away.index(min(away))])


def test_whole_numbers_become_floats(unit: CudaUnit) -> None:
    calls: dict[str, Call] = {}
    inputs: dict[str, list[Array]] = {}
    rng = np.random.default_rng(19)
    for source, type_name in TARGETS.items():
        for mode in MODES:
            for out in (
                ("float", "double") if mode == "rn" or type_name.endswith("long") else ("float",)
            ):
                name = f"__{source}2{out}_{mode}"
                calls[name] = Call(f"gon_{name}(a)", (type_name,), out)
                inputs[name] = [whole_numbers(type_name, rng)]
    results = unit.evaluate(calls, calls, inputs)
    for name, call in calls.items():
        for x, got in zip(inputs[name][0], results[name], strict=True):
            expected = nearest(Fraction(int(x)), name[-2:], NUMPY[call.out])
            assert float(got) == expected, (name, int(x))


Exact: TypeAlias = Callable[[Fraction, Fraction, Fraction], Fraction]
DIRECTED: dict[str, Exact] = {
    "__fadd": lambda a, b, _c: a + b,
    "__fsub": lambda a, b, _c: a - b,
    "__fmul": lambda a, b, _c: a * b,
    "__fdiv": lambda a, b, _c: a / b,
    "__fmaf": lambda a, b, c: a * b + c,
    "__frcp": lambda a, _b, _c: 1 / a,
}


def test_sums_and_products_round_where_they_are_told(unit: CudaUnit) -> None:
    rng = np.random.default_rng(23)
    a, b, c = (
        (rng.normal(0, 1, 200) * np.exp2(rng.integers(-30, 30, 200))).astype(np.float32)
        for _ in range(3)
    )
    b[:20] = -a[:20]
    calls: dict[str, Call] = {}
    for mode in MODES:
        for stem in DIRECTED:
            operands = {"__fmaf": "a, b, c", "__frcp": "a"}.get(stem, "a, b")
            text = f"gon_{stem}_{mode}({operands})"
            calls[f"{stem}_{mode}"] = Call(text, ("float",) * 3, "float")
        calls[f"__fsqrt_{mode}"] = Call(f"gon___fsqrt_{mode}(a * a)", ("float",) * 3, "float")
    results = unit.evaluate(calls, calls, {name: [a, b, c] for name in calls})
    for name in calls:
        stem, mode = name[:-3], name[-2:]
        for x, y, z, got in zip(a, b, c, results[name], strict=True):
            p, q, r = Fraction(float(x)), Fraction(float(y)), Fraction(float(z))
            if stem == "__fsqrt":
                square = Fraction(float(np.float32(x * x)))
                assert root_is_rounded(Fraction(float(got)), square, mode, got), (name, x)
                continue
            exact = DIRECTED[stem](p, q, r)
            assert float(got) == nearest(exact, mode, "f4"), (name, x, y, z)
            if exact == 0:
                assert np.signbit(got) == (mode == "rd"), name


def root_is_rounded(root: Fraction, square: Fraction, mode: str, got: np.float32) -> bool:
    below = Fraction(float(np.nextafter(got, np.float32(0))))
    above = Fraction(float(np.nextafter(got, np.float32(np.inf))))
    if mode == "ru":
        return below**2 < square <= root**2
    if mode == "rn":
        return ((below + root) / 2) ** 2 <= square <= ((above + root) / 2) ** 2
    return root**2 <= square < above**2


def test_bits_are_taken_as_they_are(unit: CudaUnit) -> None:
    rng = np.random.default_rng(29)
    words, wide = whole_numbers("int", rng), whole_numbers("long", rng)
    calls = {
        "__int_as_float": Call("gon___int_as_float(a)", ("int",), "float"),
        "__uint_as_float": Call("gon___uint_as_float((uint)a)", ("int",), "float"),
        "__float_as_int": Call("gon___float_as_int(as_float(a))", ("int",), "int"),
        "__float_as_uint": Call("gon___float_as_uint(as_float(a))", ("int",), "uint"),
        "__longlong_as_double": Call("gon___longlong_as_double(a)", ("long",), "double"),
        "__double_as_longlong": Call("gon___double_as_longlong(as_double(a))", ("long",), "long"),
        "__double2hiint": Call("gon___double2hiint(as_double(a))", ("long",), "int"),
        "__double2loint": Call("gon___double2loint(as_double(a))", ("long",), "int"),
        "__hiloint2double": Call(
            "gon___hiloint2double((int)(a >> 32), (int)a)", ("long",), "double"
        ),
    }
    inputs = {name: [wide if call.ins == ("long",) else words] for name, call in calls.items()}
    results = unit.evaluate(calls, calls, inputs)
    high, low = (wide.view("i4")[1::2], wide.view("i4")[::2])
    for name, got in results.items():
        expected = {"__double2hiint": high, "__double2loint": low}.get(name, inputs[name][0])
        kept = got.view(expected.dtype)
        numbers = ~np.isnan(got) if got.dtype.kind == "f" else np.ones(got.size, bool)
        np.testing.assert_array_equal(kept[numbers], expected[numbers], err_msg=name)
