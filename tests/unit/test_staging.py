"""Engines on units whose buffers are not the host's memory: by copies, as if they were."""

from __future__ import annotations

import pytest

from gon.errors import BadHandle, DeviceError, OutOfMemory, Unsupported
from gon.model import DEFAULT_STREAM, BufferAt, Handle, Program
from gon_server.devices import null
from tests.unit.elastic_bench import ADD, ONE, OTHER, SIZE, Bench, X, Y, Z, args, open_apart


def test_memory_that_is_elsewhere_is_told_to_be() -> None:
    for base in (open_apart(), null.open_device("")):
        unit = Bench(base).unit
        assert not unit.in_place
        with pytest.raises(Unsupported, match="not this host's"):
            unit.memory_of(X)
        unit.close()


def test_kernels_and_functions_take_turns_by_copies() -> None:
    """What a kernel wrote is there for a function, and back; a copy of before is never used."""
    bench = Bench(open_apart())
    unit = bench.unit
    unit.reconfigure("gpu", keep=True)
    unit.load(Handle(50), Program(ADD.encode(), "opencl-c"))
    unit.get_kernel(Handle(51), Handle(50), "add")
    for turn in range(1, 4):
        unit.launch(DEFAULT_STREAM, Handle(51), (SIZE, 1, 1), ONE, 0, (X,))
        bench.launch(args(X, Y, 10))
        unit.launch(DEFAULT_STREAM, Handle(51), (SIZE, 1, 1), ONE, 0, (Y,))
        assert bench.content(X) == [turn] * SIZE
        assert bench.content(Y) == [turn + 11] * SIZE
    assert len(bench.engine.loaded[0].places) == 1
    unit.close()


def test_of_a_buffer_only_its_tensor_is_copied() -> None:
    bench = Bench(open_apart())
    unit = bench.unit
    unit.fill(DEFAULT_STREAM, X, 0, SIZE, b"\1")
    bench.launch(args(X, Y, 0))
    unit.fill(DEFAULT_STREAM, Y, 0, SIZE, b"\5")
    bench.launch(args(BufferAt(X, 8), BufferAt(Y, 16), 1, 32))
    assert bench.content(Y) == [5] * 16 + [2] * 32 + [5] * 16
    unit.close()


@pytest.mark.parametrize("fills", [True, False])
def test_what_a_function_leaves_of_its_outputs_stays(fills: bool) -> None:
    """Of a function that may leave some, what the device has by now stays."""
    bench = Bench(open_apart())
    bench.launch(args(X, Y, 3))
    bench.unit.fill(DEFAULT_STREAM, Y, 0, SIZE, b"\7")
    program = bench.engine.loaded[0]
    program.fills, program.leaves = fills, 60
    bench.launch(args(X, Y, 4))
    assert bench.content(Y)[:4] == [4] * 4
    assert (bench.content(Y)[4:] == [7] * 60) is not fills
    bench.unit.close()


def test_a_run_that_fails_changes_nothing_on_the_device() -> None:
    bench = Bench(open_apart())
    bench.unit.fill(DEFAULT_STREAM, Y, 0, SIZE, b"\5")
    with pytest.raises(DeviceError):
        bench.launch(args(X, Y, 1), OTHER)
    assert bench.content(Y) == [5] * SIZE
    bench.unit.close()


def test_a_copy_goes_with_its_buffer_and_with_the_programs() -> None:
    bench = Bench(open_apart())
    unit, copies = bench.unit, bench.unit._copies
    assert copies is not None
    unit.fill(DEFAULT_STREAM, X, 0, SIZE, b"\1")
    bench.launch(args(X, Y, 1))
    assert copies.taken_bytes == 2 * SIZE
    # A buffer of another size by the same handle has another copy.
    unit.free(Y)
    assert copies.taken_bytes == SIZE
    unit.allocate(Y, 2 * SIZE)
    bench.launch(args(X, BufferAt(Y, SIZE), 2))
    assert bench.content(Y, 2 * SIZE) == [0] * SIZE + [3] * SIZE
    assert len(bench.engine.loaded[0].places) == 2
    unit.reconfigure("gpu", keep=False)
    assert copies.taken_bytes == 0
    assert bench.content(Y, 2 * SIZE) == [0] * SIZE + [3] * SIZE
    unit.close()


def test_copies_take_no_more_than_the_lease_has() -> None:
    bench = Bench(open_apart())
    bench.unit.bound_memory(2 * SIZE)
    bench.launch(args(X, Y, 1))
    with pytest.raises(OutOfMemory, match="a copy of buffer 3"):
        bench.launch(args(X, Z, 1))
    bench.launch(args(X, Y, 2))
    assert bench.content(Y) == [2] * SIZE
    with pytest.raises(BadHandle, match="no buffer 77"):
        bench.launch(args(X, Handle(77), 1))
    bench.unit.close()
