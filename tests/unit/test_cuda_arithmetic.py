"""Expressions of C, drawn at random, are worth on a unit what the language says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from gon.model import Program
from gon_server.cuda_c.target import Dialect
from gon_server.cuda_c.translate import translate
from tests.unit.c_expressions import (
    CHAR,
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    UCHAR,
    UINT,
    ULONG,
    USHORT,
    VARIABLES,
    Binary,
    Cast,
    Choice,
    Expression,
    Literal,
    Type,
    Unary,
    Undefined,
    Value,
    Variable,
    convert,
    expressions,
)
from tests.unit.cuda_unit import Array, CudaUnit

ROWS = 24
Drawn = Sequence[Expression]


@pytest.fixture(scope="module", params=Dialect, ids=lambda dialect: dialect.name)
def unit(request: pytest.FixtureRequest) -> CudaUnit:
    return CudaUnit(request.param)


def rows_of(seed: int) -> list[dict[str, Value]]:
    """Numbers of every variable: small ones, any, and the ends of its range."""
    rng = np.random.default_rng(seed)
    columns = {name: column(type_, rng) for name, type_ in VARIABLES.items()}
    return [{name: values[row] for name, values in columns.items()} for row in range(ROWS)]


def column(type_: Type, rng: np.random.Generator) -> list[Value]:
    if type_.is_float:
        spread = rng.normal(0, 1, ROWS) * 2.0 ** rng.integers(-10, 30, ROWS)
        return [float(value) for value in spread.astype(type_.dtype)]
    info = np.iinfo(type_.dtype)
    ends = [info.min, info.max, 0, 1, info.max - 1]
    small = rng.integers(max(info.min, -50), 50, ROWS - 12)
    free = rng.integers(info.min, info.max, 7, type_.dtype, endpoint=True)
    numbers = [int(value) for value in [*ends, *small.tolist(), *free.tolist()]]
    return [numbers[at] for at in rng.permutation(ROWS)]


def kernel_of(index: int, expression: Expression) -> str:
    params = ", ".join(f"const {type_.name} *{name}_" for name, type_ in VARIABLES.items())
    loads = " ".join(f"{type_.name} {name} = {name}_[i];" for name, type_ in VARIABLES.items())
    return (
        f'extern "C" __global__ void k{index}({params}, {expression.type.name} *out) {{\n'
        f"    int i = blockIdx.x; {loads}\n    out[i] = {expression.spell()};\n}}\n"
    )


def defined(expression: Expression, rows: list[dict[str, Value]]) -> list[tuple[int, Value]]:
    """Rows for which the language says what the expression is worth, and what."""
    known: list[tuple[int, Value]] = []
    for index, row in enumerate(rows):
        try:
            known.append((index, expression.evaluate(row)))
        except Undefined:
            continue
    return known


V = {type_: Variable(name) for name, type_ in VARIABLES.items()}
KNOWN_TRAPS: list[Expression] = [
    Binary("<", V[INT], V[UINT]),
    Binary("-", V[UCHAR], V[USHORT]),
    Binary(">>", Unary("~", V[UCHAR]), Literal(INT, 1)),
    Binary("/", V[INT], Literal(INT, 3)),
    Binary("%", V[LONG], Literal(INT, 7)),
    Binary("*", V[UINT], V[CHAR]),
    Binary("+", Binary("*", V[FLOAT], V[FLOAT]), V[FLOAT]),
    Cast(FLOAT, V[LONG]),
    Cast(FLOAT, V[ULONG]),
    Cast(FLOAT, V[DOUBLE]),
    Cast(CHAR, V[INT]),
    Cast(INT, Binary("/", V[FLOAT], Literal(INT, 1000))),
    Choice(V[CHAR], V[UINT], V[INT]),
    Binary("==", V[FLOAT], V[DOUBLE]),
    Binary("+", V[FLOAT], V[ULONG]),
    Binary("<<", V[USHORT], Literal(INT, 15)),
]


@example(drawn=KNOWN_TRAPS, seed=0)
@given(drawn=st.lists(expressions, min_size=10, max_size=10), seed=st.integers(0, 1 << 30))
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_an_expression_is_worth_what_c_says(unit: CudaUnit, drawn: Drawn, seed: int) -> None:
    rows = rows_of(seed)
    source = "".join(kernel_of(index, expression) for index, expression in enumerate(drawn))
    program = Program(source.encode(), "cuda-c", "-fmad=false")
    translation = translate(program, unit.target)
    built = unit.build_text(translation.text)
    symbols = {kernel.name: kernel.symbol for kernel in translation.kernels}
    for index, expression in enumerate(drawn):
        known = defined(expression, rows)
        if not known:
            continue
        arrays: list[Array] = [
            np.array([rows[row][name] for row, _ in known], type_.dtype)
            for name, type_ in VARIABLES.items()
        ]
        expected = np.array([value for _, value in known], expression.type.dtype)
        out = np.zeros_like(expected)
        got = unit.launch(built, symbols[f"k{index}"], [*arrays, out], (out.size,))[-1]
        np.testing.assert_array_equal(got, expected, err_msg=expression.spell())


def test_the_reference_knows_the_language() -> None:
    row: dict[str, Value] = {"v0": -1, "v1": 200, "v4": -7, "v5": 3, "v6": -(1 << 63)}
    assert Binary("<", V[INT], V[UINT]).evaluate(row) == 0
    assert Binary("/", V[INT], Literal(INT, 2)).evaluate(row) == -3
    assert Binary("%", V[INT], Literal(INT, 2)).evaluate(row) == -1
    assert Unary("~", V[UCHAR]).evaluate(row) == -201
    assert Cast(UCHAR, V[CHAR]).evaluate(row) == 255
    assert Binary("+", V[INT], V[UINT]).type is UINT
    assert Binary("+", V[LONG], V[UINT]).type is LONG
    assert convert(16_777_217, INT, FLOAT) == 16_777_216.0
    nowhere: list[Expression] = [
        Binary("-", V[LONG], Literal(INT, 1)),
        Binary("/", V[INT], Literal(INT, 0)),
        Binary("<<", V[INT], Literal(INT, 1)),
        Binary("/", V[LONG], Unary("-", Literal(LONG, 1))),
        Cast(CHAR, Literal(DOUBLE, 1e9)),
    ]
    for undefined in nowhere:
        with pytest.raises(Undefined):
            undefined.evaluate(row)
