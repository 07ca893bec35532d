"""From a launch's arguments to tensors: in place, and nothing that does not fit."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gon.errors import GonError, InvalidArgument, KernelArgumentError, LimitExceeded
from gon.model import BufferAt, Handle, KernelInfo, LaunchArg, LocalBytes, ParamKind
from gon_server.engines.base import Tensor
from gon_server.engines.limits import TENSORS_MAX
from gon_server.engines.signature import data, function, resolve, tensor, value, written

MATMUL = function(
    "matmul",
    tensor("a", "float32", ("n", 3)),
    tensor("b", "bfloat16", (3, "m")),
    tensor("c", "float32", ("n", "m"), writes=True),
    value("scale", "float32"),
    data("key", 16),
)
BUFFERS = {1: bytearray(48), 2: bytearray(64), 3: bytearray(64), 4: bytearray(1)}
REST: tuple[LaunchArg, ...] = (struct.pack("<f", 2), b"k" * 16)


def memory(buffer: Handle) -> memoryview:
    return memoryview(BUFFERS[buffer])


def dims(*sizes: int) -> tuple[LaunchArg, ...]:
    return tuple(struct.pack("<q", size) for size in sizes)


def taken(info: KernelInfo, *args: LaunchArg) -> tuple[list[Tensor], dict[str, bytes]]:
    return resolve(info, args, memory)


def test_a_signature_ends_with_its_dimensions() -> None:
    assert [p.name for p in MATMUL.params] == ["a", "b", "c", "scale", "key", "n", "m"]
    n, m = MATMUL.params[-2:]
    assert (n.kind, n.dtype, n.size_bytes) == (ParamKind.VALUE, "<i8", 8)
    assert m.shape is None


def test_a_dimension_that_is_a_value_already_is_not_added() -> None:
    info = function("f", tensor("x", "int8", ("n",)), value("n", "int64"))
    assert [param.name for param in info.params] == ["x", "n"]


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(LimitExceeded):
        function("f", *(tensor(f"x{i}", "int8", (1,)) for i in range(TENSORS_MAX + 1)))


def test_tensors_are_the_buffers_own_memory() -> None:
    (a, b, c), values = taken(MATMUL, 1, BufferAt(2, 32), 3, *REST, *dims(4, 4))
    assert (a.shape, b.shape, c.shape) == ((4, 3), (3, 4), (4, 4))
    assert (a.dtype, b.dtype, c.dtype) == (np.float32, np.dtype("V2"), np.float32)
    start = np.frombuffer(BUFFERS[2], np.uint8).ctypes.data
    assert b.ctypes.data == start + 32
    assert not a.flags.writeable
    c[1, 2] = 5.0
    assert np.frombuffer(BUFFERS[3], np.float32)[6] == 5.0
    assert values["key"] == b"k" * 16
    assert values["n"] == struct.pack("<q", 4)


def test_a_dimension_may_be_nothing() -> None:
    (a, _, c), _ = taken(MATMUL, 1, 2, 3, *REST, *dims(0, 4))
    assert (a.size, c.size) == (0, 0)


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        ((1, 2, 3), KernelArgumentError, "takes 7 arguments, 3 were given"),
        (
            (1, 2, b"x", *REST, *dims(4, 4)),
            KernelArgumentError,
            "parameter c .* a buffer is needed",
        ),
        ((1, LocalBytes(4), 3, *REST, *dims(4, 4)), KernelArgumentError, "parameter b"),
        ((1, 2, 3, b"x", REST[1], *dims(4, 4)), KernelArgumentError, "a value of 4 bytes"),
        ((1, 2, 3, *REST, 4, *dims(4)), KernelArgumentError, "a value of 8 bytes"),
        ((1, 2, 3, *REST, *dims(5, 4)), InvalidArgument, r"a is float32\[5, 3\], 60 bytes; .* 48"),
        ((1, 2, BufferAt(3, 4), *REST, *dims(4, 4)), InvalidArgument, "it begins at 4"),
        ((1, BufferAt(2, 65), 3, *REST, *dims(4, 4)), InvalidArgument, "it begins at 65"),
        ((1, BufferAt(2, 3), 3, *REST, *dims(4, 4)), InvalidArgument, "needs a multiple of 2"),
        ((1, 2, 3, *REST, *dims(-1, 4)), InvalidArgument, "dimension n is -1"),
        ((1, 2, 3, *REST, *dims(1 << 61, 1 << 61)), InvalidArgument, "buffer 1 has 48"),
        ((3, 2, 3, *REST, *dims(4, 4)), InvalidArgument, "share memory"),
    ],
)
def test_what_does_not_fit_is_refused(
    args: tuple[LaunchArg, ...], error: type[GonError], says: str
) -> None:
    with pytest.raises(error, match=says):
        taken(MATMUL, *args)


def test_inputs_may_share_memory_and_outputs_may_not() -> None:
    info = function(
        "f",
        tensor("a", "uint8", (16,)),
        tensor("b", "uint8", (16,)),
        tensor("c", "uint8", (16,), writes=True),
        tensor("d", "uint8", (16,), writes=True),
    )
    taken(info, 1, BufferAt(1, 8), 2, BufferAt(2, 16))
    for args in (
        (1, 1, 2, BufferAt(2, 15)),
        (1, BufferAt(2, 8), 2, 3),
        (BufferAt(2, 8), 1, 2, 3),
        (2, 2, 2, 3),
    ):
        with pytest.raises(InvalidArgument, match="share memory"):
            taken(info, *args)


def test_outputs_are_what_failures_poison() -> None:
    assert written(MATMUL, (1, 2, BufferAt(3, 8), *REST)) == [3]
    assert written(MATMUL, (1, 2)) == []
    assert written(MATMUL, (1, 2, b"")) == []


def test_sizes_that_no_array_may_have_are_refused() -> None:
    """Also of a tensor of no bytes, which any buffer has room for."""
    info = function("f", tensor("x", "float32", ("a", "b", "c")))
    (seen,), _values = taken(info, 1, *dims(0, 1 << 40, 2))
    assert seen.shape == (0, 1 << 40, 2)
    with pytest.raises(InvalidArgument, match=r"x is float32\[0, .*too big"):
        taken(info, 1, *dims(0, 1 << 61, 1 << 61))
