"""The math library on a software-defined unit: no function errs more than CUDA documents, and
docs/CUDA.md says what was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gon_server.cuda_c.builtin import Kind
from gon_server.cuda_c.builtins import BUILTINS
from gon_server.cuda_c.target import Dialect
from tests.unit import cuda_math_cases as cases
from tests.unit.cuda_unit import Array, Call, CudaUnit

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "CUDA.md"
# CUDA's "2 ulp" counts from the rounded result, so from the exact one it may be 2.5.
ROUNDING = 0.5


@pytest.fixture(scope="module", params=Dialect, ids=lambda dialect: dialect.name)
def unit(request: pytest.FixtureRequest) -> CudaUnit:
    return CudaUnit(request.param)


def guide_rows() -> Iterator[tuple[str, int, float]]:
    """Yield name, documented and measured error of every row of the guide's tables."""
    row = re.compile(r"^\| `(\w+)` \| (\d+) \| ([\d.]+) \|$", re.MULTILINE)
    for name, documented, measured in row.findall(GUIDE.read_text(encoding="utf-8")):
        yield name, int(documented), float(measured)


def test_no_function_errs_more_than_cuda_documents(unit: CudaUnit) -> None:
    measured = cases.measure(unit, count=2000, exact_count=8, seed=7)
    beyond = {
        name: found
        for name, found in measured.items()
        if found.ulp > cases.documented(name) + ROUNDING
    }
    assert beyond == {}


def test_the_guide_tells_of_every_documented_error() -> None:
    rows = {name: (documented, measured) for name, documented, measured in guide_rows()}
    documented = {
        name: builtin.ulp
        for name, builtin in BUILTINS.items()
        if builtin.ulp and builtin.kind is Kind.FUNCTION
    }
    assert {name: row[0] for name, row in rows.items()} == documented
    measured = {*cases.all_cases(np.random.default_rng(0), 8, 1), *cases.TOGETHER}
    assert measured >= set(documented)
    assert {n: m for n, (d, m) in rows.items() if m > d + ROUNDING} == {}


def test_results_through_pointers_and_whole_numbers(unit: CudaUnit) -> None:
    text = """
    kernel void f(global const float *x, global float *out, global int *whole, global long *wide) {
        float s, c, w;
        int e, q;
        size_t i = get_global_id(0);
        gon_sincosf(x[i], &s, &c); out[i * 8] = s; out[i * 8 + 1] = c;
        gon_sincospif(x[i], &out[i * 8 + 2], &out[i * 8 + 3]);
        out[i * 8 + 4] = gon_frexpf(x[i], &e);
        out[i * 8 + 5] = gon_modff(x[i], &w);
        out[i * 8 + 6] = w;
        out[i * 8 + 7] = gon_remquof(x[i], 3.0f, &q);
        whole[i * 3] = e; whole[i * 3 + 1] = q & 7; whole[i * 3 + 2] = gon_ilogbf(x[i]);
        wide[i * 4] = gon_lrintf(x[i]); wide[i * 4 + 1] = gon_lroundf(x[i]);
        wide[i * 4 + 2] = gon_llrint((double)x[i]); wide[i * 4 + 3] = gon_llround((double)x[i]);
    }
    """
    x = np.array([0.5, -2.5, 1e10, 7.75, 2.5, -0.75], np.float32)
    names = ["sincosf", "sincospif", "frexpf", "modff", "remquof", "ilogbf", "lrintf", "lroundf"]
    names += ["llrint", "llround"]
    program = unit.build(names, text)
    size = x.size
    arrays = [x, np.zeros(size * 8, "f4"), np.zeros(size * 3, "i4"), np.zeros(size * 4, "i8")]
    _x, out, whole, wide = unit.launch(program, "f", arrays, (size,))
    exact = x.astype(np.float64)
    fraction, exponent = np.frexp(exact)
    quotient = np.rint(exact / 3)
    rest = exact - 3 * quotient
    expected = np.stack(
        [
            np.sin(exact),
            np.cos(exact),
            np.sin(np.pi * np.fmod(exact, 2)),
            np.cos(np.pi * np.fmod(exact, 2)),
            fraction,
            exact - np.trunc(exact),
            np.trunc(exact),
            rest,
        ],
        axis=1,
    )
    np.testing.assert_allclose(out.reshape(size, 8).astype(float), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(whole.reshape(size, 3)[:, 0], exponent)
    sign = np.where(quotient < 0, -1, 1)
    low_bits = (sign * (np.abs(quotient) % 8)).astype(int) & 7
    np.testing.assert_array_equal(whole.reshape(size, 3)[:, 1], low_bits)
    np.testing.assert_array_equal(whole.reshape(size, 3)[:, 2], exponent - 1)
    away = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
    rounded = np.stack([np.rint(exact), away, np.rint(exact), away], axis=1)
    np.testing.assert_array_equal(wide.reshape(size, 4), rounded.astype(np.int64))


def test_of_a_whole_number_it_is_double(unit: CudaUnit) -> None:
    calls = {
        "sqrt": Call("gon_sqrt(a)", ("int",), "double"),
        "exp": Call("gon_exp(a) * 1.0f", ("uint",), "double"),
        "pow": Call("gon_pow(a, b)", ("float", "int"), "float"),
        "fabs": Call("gon_fabs(a)", ("long",), "double"),
    }
    x = np.array([2, 3, 7])
    inputs: dict[str, list[Array]] = {name: [x] for name in calls} | {"pow": [x, -x]}
    results = unit.evaluate(calls, calls, inputs)
    np.testing.assert_allclose(results["sqrt"].astype(float), np.sqrt(x), rtol=1e-15)
    np.testing.assert_allclose(results["exp"].astype(float), np.exp(x), rtol=1e-15)
    np.testing.assert_allclose(results["pow"].astype(float), x.astype(float) ** -x, rtol=1e-6)
    np.testing.assert_array_equal(results["fabs"], x)


# Those whose error CUDA documents otherwise than in ulp.
QUICK: dict[str, Callable[[cases.Long], cases.Long]] = {
    "__sinf": np.sin,
    "__cosf": np.cos,
    "__tanf": np.tan,
    "__tanhf": np.tanh,
}


def test_quick_intrinsics_are_as_exact_as_what_they_are_quick_forms_of(unit: CudaUnit) -> None:
    calls = {name: Call(f"gon_{name}(a)", ("float",), "float") for name in QUICK}
    rng = np.random.default_rng(5)
    x = rng.uniform(-3, 3, 2000).astype(np.float32)
    results = unit.evaluate(calls, calls, {name: [x] for name in calls})
    for name, exact in QUICK.items():
        with np.errstate(all="ignore"):
            expected = exact(x.astype(cases.LONG))
        assert cases.error_ulp(results[name], expected, signs=True).max() < 4, name
