"""Array programs: what is one, what they give, and that nothing else is run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gon.array_limits import ARRAY_ELEMENTS_MAX
from gon.array_ops import (
    ELEMENTS,
    AnyOperation,
    Apply,
    Arange,
    Cast,
    Draw,
    Erf,
    Gather,
    Nonzero,
    Pick,
    Put,
    Reduce,
    Select,
    Take,
    Where,
)
from gon.array_program import (
    ARRAY_FORMAT,
    ArrayProgram,
    Input,
    Operand,
    Output,
    Step,
    c_strides,
    decode,
    encode,
)
from gon.array_rules import promoted
from gon.errors import GonError, InvalidArgument, LimitExceeded, Unsupported
from gon.model import Program
from gon_server.engines.array.engine import open_engine
from gon_server.engines.array.plan import BLOCK
from gon_server.engines.array.program import Scratch
from gon_server.engines.base import Share, Tensor
from gon_server.engines.limits import SCRATCH_KEPT_BYTES_MAX

ENGINE = open_engine(Share(1))
ADD = Apply("add")
N = 12


def whole(value: int, *shape: int) -> Operand:
    return Operand(value, 0, shape, c_strides(shape))


def step(operation: AnyOperation, *operands: Operand) -> Step:
    return Step(operation, operands)


def output(of: Operand, extent: int = N, base: int = 0, strides: tuple[int, ...] = (1,)) -> Output:
    return Output(of, extent, base, strides)


def program(
    *steps: Step,
    inputs: Sequence[Input] = (Input("float64", N), Input("float64", N)),
    outputs: Sequence[Output] = (output(whole(2, N)),),
    numbers: Sequence[str] = (),
    version: int = 1,
) -> ArrayProgram:
    return ArrayProgram(
        version=version,
        inputs=tuple(inputs),
        numbers=tuple(numbers),  # type: ignore[arg-type]
        steps=steps or (step(ADD, whole(0, N), whole(1, N)),),
        outputs=tuple(outputs),
    )


def run(made: ArrayProgram, *tensors: Tensor, numbers: Sequence[np.generic] = ()) -> None:
    loaded = ENGINE.load(Program(encode(made), ARRAY_FORMAT))
    values = {f"n{place}": number.tobytes() for place, number in enumerate(numbers)}
    loaded.bind("main", tensors, values).run()


# The standard's tables of promotion: within a kind the wider type, of signed and unsigned integers
# the signed one that holds both; uint64 with a signed one is left open.
def by_the_standard(first: str, second: str) -> str | None:
    kinds = {np.dtype(name).kind for name in (first, second)}
    sizes = [np.dtype(name).itemsize for name in (first, second)]
    if len(kinds) == 1:
        return first if sizes[0] >= sizes[1] else second
    if kinds == {"i", "u"}:
        signed, unsigned = (first, second) if first[0] == "i" else (second, first)
        size = max(np.dtype(signed).itemsize, 2 * np.dtype(unsigned).itemsize)
        return f"int{8 * size}" if size <= 8 else None
    if kinds == {"f", "c"}:
        return "complex64" if {first, second} == {"float32", "complex64"} else "complex128"
    return None


def test_types_are_promoted_as_the_standard_says() -> None:
    names = [name for name in ELEMENTS if name not in ("bool", "float16")]
    for first, second in itertools.product(names, names):
        wanted = by_the_standard(first, second)
        if wanted is not None:
            found = promoted("multiply", np.dtype(first), np.dtype(second))
            assert found == np.dtype(wanted), (first, second)


REFUSED: list[tuple[ArrayProgram, type[GonError], str]] = [
    (program(version=2), Unsupported, "version 2"),
    (program(outputs=()), InvalidArgument, "without outputs"),
    (program(*[step(ADD, whole(0, N), whole(1, N))] * 65), LimitExceeded, "65 steps"),
    (program(step(ADD, whole(0, N), whole(3, N))), InvalidArgument, "value 3 is not there yet"),
    (program(step(ADD, whole(0, N), whole(2, N))), InvalidArgument, "value 2 is not there yet"),
    (program(step(ADD, whole(0, N + 1), whole(1, N + 1))), InvalidArgument, "from 0 to 13"),
    (program(step(ADD, Operand(0, 1, (N,), (1,)), whole(1, N))), InvalidArgument, "from 1 to 13"),
    (program(step(ADD, Operand(0, 0, (2,), (-1,)), whole(1, 2))), InvalidArgument, "from -1 to 1"),
    (program(step(ADD, Operand(0, 13, (0,), (1,)), whole(1, 0))), InvalidArgument, "from 13"),
    (program(step(ADD, Operand(0, 0, (2, 2), (1,)), whole(1, 2, 2))), InvalidArgument, "1 strides"),
    (
        program(step(ADD, Operand(0, 0, (1,), (1 << 62,)), whole(1, 1))),
        InvalidArgument,
        "strides of",
    ),
    (program(step(ADD, whole(0, N), whole(1, 6))), InvalidArgument, "one shape"),
    (program(step(ADD, whole(0, N))), InvalidArgument, "no function 'add' of 1 operands"),
    (program(step(Apply("__class__"), whole(0, N))), InvalidArgument, "no function '__class__'"),
    (program(step(Apply("frompyfunc"), whole(0, N))), InvalidArgument, "no function"),
    (
        program(step(Reduce("sum", (0, 0), "float64"), whole(0, N))),
        InvalidArgument,
        "an axis is given twice",
    ),
    (program(step(Reduce("max", (1,), "float64"), whole(0, N))), InvalidArgument, "no axis 1"),
    (program(step(Take(0), whole(0, N), whole(1, N))), InvalidArgument, "places are integers"),
    (program(step(Pick(0), whole(0, N), whole(1, N))), InvalidArgument, "places are integers"),
    (program(step(Erf(), Operand(0, 0, (2, 2), (0, 0)), whole(1, 2))), InvalidArgument, "number"),
    (
        program(step(Put(True, True), whole(0, N), whole(1, N), whole(1, N))),
        InvalidArgument,
        "places are integers",
    ),
    (
        program(step(Put(True, True), whole(0, N), whole(1, 2))),
        InvalidArgument,
        "as many indices",
    ),
    (
        program(step(Draw("uniform", N, "int32"), whole(0), whole(1))),
        InvalidArgument,
        "of uint64 are needed",
    ),
    (program(step(Where(), whole(0, N), whole(0, N), whole(1, N))), InvalidArgument, "of bool"),
    (
        program(
            step(Cast("float64"), Operand(0, 0, (ARRAY_ELEMENTS_MAX + 1,), (0,))),
            outputs=[output(Operand(2, 0, (1,), (1,)), 1)],
        ),
        LimitExceeded,
        "at most",
    ),
    (
        program(
            step(Cast("float64"), Operand(0, 0, (1 << 30,), (0,))),
            step(Reduce("sum", (0,), "float64"), whole(2, 1 << 30)),
            outputs=[output(Operand(3, 0, (1,), (1,)), 1)],
        ),
        LimitExceeded,
        "between the steps",
    ),
    (program(step(Cast("complex64"), whole(0, N)), step(Cast("int8"), whole(2, N))),
     InvalidArgument, "complex64 does not become int8"),
    (program(outputs=[output(whole(2, N), N - 1)]), InvalidArgument, "output 0: a view of"),
    (program(outputs=[output(whole(2, N), N, 0, (0,))]), InvalidArgument, "more than once"),
    (
        program(outputs=[output(whole(2, 3, 4), 30, 0, (1, 2))]),
        InvalidArgument,
        "more than once",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("made", "kind", "says"), REFUSED)
def test_what_is_no_program_is_refused_before_it_runs(
    made: ArrayProgram, kind: type[GonError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        ENGINE.load(Program(encode(made), ARRAY_FORMAT))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_bytes_are_they_are_refused_or_harmless(data: st.DataObject) -> None:
    made = program(
        step(ADD, whole(0, 3, 4), Operand(1, 3, (3, 4), (4, -1))),
        step(Reduce("sum", (0,), "float64"), whole(3, 3, 4)),
        step(Take(0), whole(4, 4), whole(2, 2)),
        inputs=(Input("float64", N), Input("float64", N), Input("int64", 2)),
        outputs=(output(whole(5, 2), 4, 3, (-2,)),),
    )
    coded = bytearray(encode(made))
    for _ in range(data.draw(st.integers(1, 4))):
        coded[data.draw(st.integers(0, len(coded) - 1))] = data.draw(st.integers(0, 255))
    try:
        loaded = ENGINE.load(Program(bytes(coded), ARRAY_FORMAT))
        (info,) = loaded.functions
        tensors = [
            np.zeros(tuple(map(int, param.shape or ())), param.dtype)
            for param in info.params
            if param.shape is not None and np.prod([int(size) for size in param.shape]) < 1 << 20
        ]
        if len(tensors) == len(info.params):
            loaded.bind("main", tensors, {}).run()
    except (InvalidArgument, LimitExceeded, Unsupported, MemoryError):
        return


def test_only_the_elements_of_an_outputs_view_are_written() -> None:
    out = np.full(30, -1.0)
    x, y = np.arange(12.0), np.arange(12.0)[::-1].copy()
    run(program(outputs=[output(whole(2, 3, 4), 30, 28, (-9, -2))]), x, y, out)
    wanted = np.full(30, -1.0)
    for row, column in itertools.product(range(3), range(4)):
        wanted[28 - 9 * row - 2 * column] = 11
    assert np.array_equal(out, wanted)


def test_bytes_that_are_no_bools_find_no_more_than_there_is() -> None:
    """NumPy counts true elements by adding bytes up, and writes as many places."""
    mask = np.full(N, 255, np.uint8).view(np.bool_)
    places = np.full((1, N), -1, np.int64)
    made = program(
        step(Nonzero(), whole(0, N)),
        step(Select(), whole(1, N), whole(0, N)),
        inputs=(Input("bool", N), Input("float64", N)),
        outputs=(output(whole(2, N)), output(whole(3, N))),
    )
    found = np.zeros(N)
    run(made, mask, np.arange(float(N)), places.reshape(-1), found)
    assert places[0].tolist() == list(range(N))
    assert found.tolist() == list(range(N))


@pytest.mark.parametrize("operation", [Take(0), Gather()])
def test_places_out_of_bounds_are_an_error_of_the_caller(operation: AnyOperation) -> None:
    made = program(
        step(operation, whole(0, N), whole(1, 2)),
        inputs=(Input("float64", N), Input("int64", 2)),
        outputs=(output(whole(2, 2), 2),),
    )
    with pytest.raises(InvalidArgument, match="out of bounds"):
        run(made, np.zeros(N), np.array([0, N]), np.zeros(2))


def test_a_range_is_as_long_as_it_says() -> None:
    numbers = [np.int64(0), np.int64(1 << 60), np.int64(1)]
    made = program(
        step(Arange(N, "int64"), *(Operand(place, 0, (), ()) for place in range(3))),
        inputs=(),
        numbers=("int64",) * 3,
        outputs=(output(whole(3, N)),),
    )
    with pytest.raises(InvalidArgument, match="are not 12 elements"):
        run(made, np.zeros(N, np.int64), numbers=numbers)


SIZE = 2 * BLOCK + 77
FUNCTIONS = ("add", "subtract", "multiply", "maximum")


@st.composite
def chains(draw: st.DrawFn) -> list[tuple[str, int, int, bool]]:
    """Steps on two values there are each, the second as it is or one element of an input; and how
    the result is made: element by element, or turned around, which no block can be.
    """
    count = draw(st.integers(2, 10))
    return [
        (
            draw(st.sampled_from((*FUNCTIONS, "turn", "running"))),
            draw(st.integers(0, number + 1)),
            draw(st.integers(0, number + 1)),
            draw(st.booleans()),
        )
        for number in range(count)
    ]


@settings(max_examples=40, deadline=None)
@given(chains(), st.sets(st.integers(0, 9), max_size=3))
def test_blocks_and_shared_memory_change_no_result(
    chain: list[tuple[str, int, int, bool]], wanted: set[int]
) -> None:
    x: NDArray[np.float32] = np.linspace(-1, 1, SIZE, dtype=np.float32)
    y: NDArray[np.float32] = np.cos(np.arange(SIZE, dtype=np.float32))
    values = [x, y]
    steps: list[Step] = []
    with np.errstate(all="ignore"):
        for function, first, second, one in chain:
            if function == "turn":
                steps.append(step(Cast("float32"), Operand(first, SIZE - 1, (SIZE,), (-1,))))
                values.append(values[first][::-1].copy())
            elif function == "running":
                seen = Operand(first, 0, (SIZE, 1), (1, 1))
                steps.append(step(Reduce("max", (1,), "float32"), seen))
                values.append(values[first].copy())
            else:
                operand = Operand(second, 5, (SIZE,), (0,)) if one else whole(second, SIZE)
                steps.append(step(Apply(function), whole(first, SIZE), operand))
                given_second = values[second][5] if one else values[second]
                values.append(getattr(np, function)(values[first], given_second))
    asked = sorted({number % len(chain) for number in wanted} | {len(chain) - 1})
    made = program(
        *steps,
        inputs=(Input("float32", SIZE), Input("float32", SIZE)),
        outputs=[output(whole(2 + number, SIZE), SIZE) for number in asked],
    )
    results = [np.zeros(SIZE, np.float32) for _ in asked]
    run(made, x, y, *results)
    for number, result in zip(asked, results, strict=True):
        assert np.array_equal(result, values[2 + number], equal_nan=True)


def test_a_program_reads_the_same_once_coded() -> None:
    made = program(step(Apply("pow"), whole(0, N), Operand(2, 0, (N,), (0,))), numbers=("float64",),
                   outputs=(output(whole(3, N)),))  # fmt: skip
    assert decode(encode(made)).program == made
    x, y, out = np.arange(12.0), np.zeros(N), np.zeros(N)
    run(made, x, y, out, numbers=[np.float64(3)])
    assert np.array_equal(out, np.power(x, 3.0))


def test_a_size_of_zero_hides_no_others() -> None:
    huge = Operand(0, 0, (0, ARRAY_ELEMENTS_MAX, ARRAY_ELEMENTS_MAX), (0, 0, 0))
    made = program(step(Apply("negative"), huge), outputs=[output(Operand(2, 0, (0,), (1,)), 0)])
    with pytest.raises(LimitExceeded, match="step 0: an array of"):
        decode(encode(made))


def test_memory_between_that_grows_is_kept_a_few_times_only() -> None:
    scratch = Scratch()
    kept = {id(room): room for room in (scratch.memory(1 << 20 | n << 6) for n in range(1, 40))}
    assert len(kept) == 1
    assert scratch.memory(SCRATCH_KEPT_BYTES_MAX).nbytes == SCRATCH_KEPT_BYTES_MAX
