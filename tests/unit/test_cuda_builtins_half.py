"""Half precision on a software-defined unit, against NumPy's float16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from gon_server.cuda_c.builtins_half import ARITHMETIC, COMPARISONS, FUNCTIONS, pair_name
from gon_server.cuda_c.target import Dialect
from tests.unit.cuda_unit import Array, Call, CudaUnit

Doubles = npt.NDArray[np.float64]
EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 65504.0, 6e-8, -6e-8, 6.1e-5, 0.5, 2.0]


@pytest.fixture(scope="module", params=Dialect, ids=lambda dialect: dialect.name)
def unit(request: pytest.FixtureRequest) -> CudaUnit:
    return CudaUnit(request.param)


def halves(seed: int, count: int = 3000) -> npt.NDArray[np.float16]:
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 1 << 16, count).astype(np.uint16).view(np.float16)
    near = rng.normal(0, 2, count).astype(np.float16)
    edges = np.tile(np.array(EDGES, np.float16), 13)
    return np.concatenate([words, near, rng.permutation(edges)])


def half_of(exact: Doubles) -> npt.NDArray[np.float16]:
    with np.errstate(all="ignore"):
        return exact.astype(np.float16)


def saturated(x: Doubles) -> Doubles:
    return np.where(x > 0, np.minimum(x, 1), 0)


def nan_of(picked: Doubles, a: Doubles, b: Doubles) -> Doubles:
    return np.where(np.isnan(a) | np.isnan(b), np.nan, picked)


# A double holds a sum or product of halves exactly, and a product and a sum but for what rounding
# to half does not see.
EXACT: dict[str, Callable[[Doubles, Doubles, Doubles], Doubles]] = {
    "__hadd": lambda a, b, _c: a + b,
    "__hadd_rn": lambda a, b, _c: a + b,
    "__hsub": lambda a, b, _c: a - b,
    "__hsub_rn": lambda a, b, _c: a - b,
    "__hmul": lambda a, b, _c: a * b,
    "__hmul_rn": lambda a, b, _c: a * b,
    "__hdiv": lambda a, b, _c: a / b,
    "__hfma": lambda a, b, c: a * b + c,
    "__hneg": lambda a, _b, _c: -a,
    "__habs": lambda a, _b, _c: np.abs(a),
    "__hadd_sat": lambda a, b, _c: saturated(a + b),
    "__hsub_sat": lambda a, b, _c: saturated(a - b),
    "__hmul_sat": lambda a, b, _c: saturated(a * b),
    "__hfma_sat": lambda a, b, c: saturated(a * b + c),
    "__hfma_relu": lambda a, b, c: np.where(a * b + c < 0, 0, a * b + c),
    "__hmin": lambda a, b, _c: np.fmin(a, b),
    "__hmax": lambda a, b, _c: np.fmax(a, b),
    "__hmin_nan": lambda a, b, _c: nan_of(np.fmin(a, b), a, b),
    "__hmax_nan": lambda a, b, _c: nan_of(np.fmax(a, b), a, b),
}


def test_arithmetic_rounds_once(unit: CudaUnit) -> None:
    assert set(EXACT) == set(ARITHMETIC)
    operands = [halves(1), halves(2), halves(3)]
    calls: dict[str, Call] = {}
    names: set[str] = {"make_half2"}
    for name, (count, _) in ARITHMETIC.items():
        letters = "abc"[:count]
        pairs = ", ".join(f"gon_make_half2({x}, {x})" for x in letters)
        calls[name] = Call(f"gon_{name}({', '.join(letters)})", ("half",) * 3, "half")
        calls[pair_name(name)] = Call(f"gon_{pair_name(name)}({pairs}).y", ("half",) * 3, "half")
        names |= {name, pair_name(name)}
    results = unit.evaluate(names, calls, {name: [*operands] for name in calls})
    with np.errstate(all="ignore"):
        a, b, c = (x.astype(np.float64) for x in operands)
        for name, exact in EXACT.items():
            expected = half_of(exact(a, b, c))
            np.testing.assert_array_equal(results[name], expected, err_msg=name)
            np.testing.assert_array_equal(results[pair_name(name)], expected, err_msg=name)


FLOATS: dict[str, Callable[[Doubles], Doubles]] = {
    "exp10": lambda x: 10.0**x,
    "rcp": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / np.sqrt(x),
}


def test_functions_are_within_an_ulp(unit: CudaUnit) -> None:
    x = halves(5)
    calls = {f"h{name}": Call(f"gon_h{name}(a)", ("half",), "half") for name in FUNCTIONS}
    for name in FUNCTIONS:
        calls[f"h2{name}"] = Call(f"gon_h2{name}(gon_make_half2(a, a)).x", ("half",), "half")
    results = unit.evaluate({*calls, "make_half2"}, calls, {name: [x] for name in calls})
    with np.errstate(all="ignore"):
        for name in FUNCTIONS:
            exact = FLOATS.get(name) or getattr(np, name)
            expected = half_of(exact(x.astype(np.float64)))
            got = results[f"h{name}"].astype(np.float16)
            np.testing.assert_array_max_ulp(got, expected, maxulp=1)
            np.testing.assert_array_equal(results[f"h{name}"], results[f"h2{name}"])


COMPARE: dict[str, Callable[[Array, Array], npt.NDArray[np.bool_]]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def test_comparisons_and_what_is_no_number(unit: CudaUnit) -> None:
    assert set(COMPARE) == set(COMPARISONS)
    a, b = halves(7), halves(8)
    b[:500] = a[:500]
    pair = "gon_make_half2(a, b), gon_make_half2(b, a)"
    calls: dict[str, Call] = {}
    names: set[str] = {"make_half2"}
    for name in COMPARE:
        for u in ("", "u"):
            used = [f"__h{name}{u}", f"__hb{name}{u}2", f"__h{name}{u}2", f"__h{name}{u}2_mask"]
            names |= set(used)
            calls[used[0]] = Call(f"gon_{used[0]}(a, b)", ("half", "half"), "bool")
            calls[used[1]] = Call(f"gon_{used[1]}({pair})", ("half", "half"), "bool")
            calls[used[2]] = Call(f"gon_{used[2]}({pair}).x", ("half", "half"), "half")
            calls[used[3]] = Call(f"gon_{used[3]}({pair})", ("half", "half"), "uint")
    results = unit.evaluate(names, calls, {name: [a, b] for name in calls})
    none = np.isnan(a) | np.isnan(b)
    for name, compare in COMPARE.items():
        for u in ("", "u"):
            one = np.where(none, u == "u", compare(a, b))
            other = np.where(none, u == "u", compare(b, a))
            np.testing.assert_array_equal(results[f"__h{name}{u}"], one)
            np.testing.assert_array_equal(results[f"__hb{name}{u}2"], one & other)
            np.testing.assert_array_equal(results[f"__h{name}{u}2"], one.astype(np.float16))
            mask = np.where(one, 0xFFFF, 0) | np.where(other, 0xFFFF0000, 0)
            np.testing.assert_array_equal(results[f"__h{name}{u}2_mask"], mask)


def test_conversions(unit: CudaUnit) -> None:
    x = halves(9)
    y = np.concatenate([np.random.default_rng(1).normal(0, 1e3, 2000), EDGES]).astype(np.float32)
    y = np.concatenate([y, np.array([1e-9, -1e-9, 65519.9, 65520.0, 1e6, -1e6], np.float32)])
    calls = {
        "__half2float": Call("gon___half2float(a)", ("half",), "float"),
        "__half2int_rn": Call("gon___half2int_rn(a)", ("half",), "int"),
        "__half2int_rd": Call("gon___half2int_rd(a)", ("half",), "int"),
        "__half2ll_rz": Call("gon___half2ll_rz(a)", ("half",), "long"),
        "__half2ushort_ru": Call("gon___half2ushort_ru(a)", ("half",), "ushort"),
        "__half2char_rz": Call("gon___half2char_rz(a)", ("half",), "char"),
        "__half_as_ushort": Call("gon___half_as_ushort(a)", ("half",), "ushort"),
        "__hisnan": Call("gon___hisnan(a)", ("half",), "bool"),
        "__hisinf": Call("gon___hisinf(a)", ("half",), "int"),
        "__float2half": Call("gon___float2half(a)", ("float",), "half"),
        "__float2half_rz": Call("gon___float2half_rz(a)", ("float",), "half"),
        "__float2half_ru": Call("gon___float2half_ru(a)", ("float",), "half"),
        "__float2half_rd": Call("gon___float2half_rd(a)", ("float",), "half"),
        "__double2half": Call("gon___double2half((double)a)", ("float",), "half"),
        "__low2float": Call(
            "gon___low2float(gon___lowhigh2highlow(gon___floats2half2_rn(0.0f, a)))",
            ("float",),
            "float",
        ),
    }
    inputs: dict[str, list[Array]] = {n: [x if c.ins == ("half",) else y] for n, c in calls.items()}
    names = {*calls, "__lowhigh2highlow", "__floats2half2_rn"}
    got = unit.evaluate(names, calls, inputs)
    double = x.astype(np.float64)
    with np.errstate(all="ignore"):
        number = np.nan_to_num(double, nan=0, posinf=1e30, neginf=-1e30)
        nearest = y.astype(np.float16)
        wide = nearest.astype(np.float64)
    to_int = np.iinfo(np.int32)
    expected: dict[str, Array] = {
        "__half2float": x.astype(np.float32),
        "__half2int_rn": np.clip(np.rint(number), to_int.min, to_int.max),
        "__half2int_rd": np.clip(np.floor(number), to_int.min, to_int.max),
        "__half2ushort_ru": np.clip(np.ceil(number), 0, 65535),
        "__half2char_rz": np.clip(np.trunc(number), -128, 127),
        "__half_as_ushort": x.view(np.uint16),
        "__hisnan": np.isnan(x),
        "__hisinf": np.where(np.isinf(x), np.sign(number), 0),
        "__float2half": nearest,
        "__double2half": nearest,
        "__low2float": nearest.astype(np.float32),
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
    finite = np.isfinite(double)
    np.testing.assert_array_equal(got["__half2ll_rz"][finite], np.trunc(double[finite]))
    assert set(got["__half2ll_rz"][np.isnan(double)].tolist()) == {-(1 << 63)}
    infinity = np.float16(np.inf)
    with np.errstate(all="ignore"):
        below = np.where(wide > y, np.nextafter(nearest, -infinity), nearest)
        above = np.where(wide < y, np.nextafter(nearest, infinity), nearest)
    np.testing.assert_array_equal(got["__float2half_rd"], below)
    np.testing.assert_array_equal(got["__float2half_ru"], above)
    np.testing.assert_array_equal(got["__float2half_rz"], np.where(y > 0, below, above))


def test_a_half2_has_operators_in_cpp() -> None:
    text = """
    kernel void f(global gon_half2 *p) {
        gon_half2 a = p[0], b = p[1];
        p[2] = (a + b) * a - b / -a;
        gon_half h = 1.0f;
        p[3] = gon_make_half2(h, h + a.x);
    }"""
    unit = CudaUnit(Dialect.CPP)
    values = np.array([1.5, 2.0, 3.0, -4.0, 0, 0, 0, 0], np.float16)
    (got,) = unit.launch(unit.build(["half", "half2", "make_half2"], text), "f", [values])
    a, b = values[:2], values[2:4]
    np.testing.assert_array_equal(got[4:6], (a + b) * a - b / -a)
    assert got[6:].tolist() == [1.0, 2.5]
