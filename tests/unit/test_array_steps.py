"""What operations give that have no function of NumPy's behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from gon.array_ops import AnyOperation, Draw, Erf, Pick, Put
from gon.array_program import Input, Operand
from gon.errors import InvalidArgument
from gon_server.engines.array.erf import erf
from gon_server.engines.base import Tensor
from gon_server.engines.limits import PART_ELEMENTS_MAX
from tests.unit.test_array_programs import N, output, program, run, step, whole


def made_of(
    operation: AnyOperation, *given: Tensor, numbers: Sequence[np.generic] = ()
) -> NDArray[np.float64]:
    """Return what an operation gives of arrays, or of numbers behind them."""
    inputs = [Input(each.dtype.name, each.size) for each in given]  # type: ignore[arg-type]
    operands = [whole(place, *each.shape) for place, each in enumerate(given)]
    operands += [whole(len(given) + place) for place in range(len(numbers))]
    out = np.zeros(N)
    made = program(
        step(operation, *operands),
        inputs=inputs,
        numbers=[each.dtype.name for each in numbers],
        outputs=[output(whole(len(operands), N))],
    )
    run(made, *[each.reshape(-1) for each in given], out, numbers=numbers)
    return out


def test_places_are_picked_and_put() -> None:
    x, places = np.arange(N, dtype=np.float64), np.arange(N) * 5 - 30
    assert np.array_equal(made_of(Pick(0), x, places), x[places % N])
    # NumPy's own way to wrap would not come back from there.
    far = np.array([-(1 << 63), (1 << 63) - 1] * (N // 2))
    assert np.array_equal(made_of(Pick(0), x, far), x[far % N])
    furthest = np.full(N, (1 << 64) - 1, np.uint64)
    assert np.array_equal(made_of(Pick(0), x, furthest), x[furthest % np.uint64(N)])
    for adds in (True, False):
        wanted = x.copy()
        few = np.array([3, 3, 1, 0])
        values = np.array([1.0, 2.0, 4.0, 8.0])
        if adds:
            np.add.at(wanted, few, values)
        else:
            wanted[few] = values
        assert np.array_equal(made_of(Put(adds, False), x, values, few), wanted)
        assert np.array_equal(made_of(Put(adds, True), x, values, few - 2 * N), wanted)
    with pytest.raises(InvalidArgument, match="out of bounds"):
        made_of(Put(False, False), x, values, few + N)


@pytest.mark.parametrize("wraps", [True, False])
def test_views_that_repeat_are_put_in_parts(wraps: bool) -> None:
    shape = (3, PART_ELEMENTS_MAX // 2)
    made = program(
        step(
            Put(True, wraps),
            whole(0, N),
            Operand(1, 0, shape, (1, 0)),
            Operand(2, 0, shape, (0, 0)),
        ),
        inputs=[Input("float64", N), Input("float64", 3), Input("int8", 1)],
        outputs=[output(whole(3, N))],
    )
    out = np.zeros(N)
    run(made, np.zeros(N), np.array([1.0, 2.0, 4.0]), np.array([2], np.int8), out)
    assert out.tolist() == [0, 0, 7 * shape[1], *[0] * (N - 3)]


def test_what_is_drawn_is_of_its_seed_and_place() -> None:
    def drawn(seed: int, place: int) -> NDArray[np.float64]:
        numbers = [np.uint64(seed), np.uint64(place)]
        return made_of(Draw("uniform", N, "float64"), numbers=numbers)

    first = drawn(1, 0)
    assert np.array_equal(first, np.random.Generator(np.random.Philox(key=1)).random(N))
    assert np.array_equal(first, drawn(1, 0))
    assert not any(set(first) & set(drawn(*other)) for other in ((1, 1), (2, 0)))


def test_the_error_function_is_the_mathematicians() -> None:
    x = np.array([0, -0.0, 1e-9, 0.3, -0.9, 1, 1.1, -2.5, 5.9, 7, np.inf, -np.inf])
    wanted = np.array([math.erf(each) for each in x])
    assert np.allclose(made_of(Erf(), x), wanted, rtol=1e-15, atol=0)
    assert np.allclose(made_of(Erf(), x.astype(np.float32)), wanted, rtol=2e-7, atol=0)
    assert np.isnan(made_of(Erf(), np.full(N, np.nan))).all()
    # In parts, of whatever type and strides.
    many = np.tile(x.astype(np.float16), (PART_ELEMENTS_MAX // 4, 1)).T
    found = np.empty(many.shape, np.float16)
    erf(many, out=found)
    assert np.allclose(found, [[math.erf(each)] for each in many[:, 0]], rtol=1e-3)
