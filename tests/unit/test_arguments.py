"""What a kernel is given for its parameters: every kind, every type, and what is refused at the
call, with the names of kernel and parameter.
"""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gon
from gon.errors import BadHandle, InvalidArgument, KernelArgumentError, LaunchTooLarge
from gon.limits import VALUE_ARGS_BYTES_MAX
from gon.model import BufferAt, KernelInfo, LaunchArg, LocalBytes, Param, ParamKind
from gon_client.arguments import is_structure, takes_of
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_server.devices.sim import SimDevice

INTS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
FLOATS = ("f2", "f4", "f8")


def open_device() -> Device:
    contract = SimDevice()
    return Device(
        contract,
        where="a test",
        memory_bytes=contract.info.memory_bytes,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
    )


DEVICE = open_device()


def value(dtype: str, size_bytes: int = 0) -> Param:
    name = f"<{dtype}" if dtype else ""
    size = size_bytes or (np.dtype(name).itemsize if name else 0)
    return Param("v", ParamKind.VALUE, f"{dtype} type", name, size)


def pointer(dtype: str = "<f4") -> Param:
    return Param("p", ParamKind.BUFFER, "float *", dtype, 0, writes=True)


LOCAL = Param("s", ParamKind.LOCAL, "local int *", "<i4")


def take(param: Param, given_: object) -> LaunchArg:
    (only,) = takes_of(KernelInfo("kern", (param,), 64), DEVICE)
    return only(given_)


def refused(param: Param, given_: object, needs: str) -> None:
    with pytest.raises(KernelArgumentError, match=f"kernel kern, parameter '{param.name}'") as no:
        take(param, given_)
    assert needs in str(no.value), no.value


# Values --------------------
@given(st.sampled_from(INTS), st.integers(-(1 << 70), 1 << 70))
def test_an_int_fits_its_type_or_is_refused(dtype: str, number: int) -> None:
    limits = np.iinfo(dtype)
    if limits.min <= number <= limits.max:
        assert take(value(dtype), number) == np.asarray(number, dtype).tobytes()
    else:
        refused(value(dtype), number, "within")


@given(st.sampled_from(INTS), st.sampled_from((-1, 0, 1)))
def test_ints_fit_up_to_the_limits_and_no_further(dtype: str, beyond: int) -> None:
    limits = np.iinfo(dtype)
    for number, out in ((limits.min - beyond, beyond > 0), (limits.max + beyond, beyond > 0)):
        if out:
            refused(value(dtype), number, "within")
        elif limits.min <= number <= limits.max:
            assert take(value(dtype), number) == np.asarray(number, dtype).tobytes()


@given(st.sampled_from(FLOATS), st.floats(allow_nan=False))
def test_a_float_is_rounded_to_its_type_or_too_large_for_it(dtype: str, number: float) -> None:
    with np.errstate(over="ignore"):
        rounded = np.asarray(number, "f8").astype(dtype)
    if math.isinf(float(rounded)) and not math.isinf(number):
        refused(value(dtype), number, "within")
    else:
        assert take(value(dtype), number) == rounded.tobytes()


@given(st.sampled_from(FLOATS), st.integers(-2048, 2048))
def test_an_int_is_taken_for_a_float(dtype: str, number: int) -> None:
    assert take(value(dtype), number) == np.asarray(number, dtype).tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_that_are_no_numbers(dtype: str) -> None:
    taken = take(value(dtype), math.nan)
    assert isinstance(taken, bytes)
    assert np.isnan(np.frombuffer(taken, dtype)[0])
    assert take(value(dtype), -math.inf) == np.asarray(-math.inf, dtype).tobytes()
    refused(value(dtype), 10**400, "within")


@given(st.sampled_from(INTS + FLOATS), st.sampled_from((*INTS, *FLOATS, "?")), st.integers(0, 1))
def test_a_numpy_scalar_is_taken_only_as_exactly_its_type(
    dtype: str, other: str, number: int
) -> None:
    scalar = np.dtype(other).type(number)
    if dtype == other:
        assert take(value(dtype), scalar) == scalar.tobytes()
    else:
        refused(value(dtype), scalar, f"numpy.{type(scalar).__name__} of {np.dtype(other)}")


@pytest.mark.parametrize(
    "wrong", [None, "1", b"\1\0\0\0", 1.5, 1j, True, [1], np.zeros(1, "i4"), np.array(1, "i4")],
    ids=repr,
)  # fmt: skip
def test_what_is_no_int(wrong: object) -> None:
    refused(value("i4"), wrong, "int32 or a")


@pytest.mark.parametrize("wrong", [None, "1", b"\0\0\0\0", 1j, True, np.float64(1)], ids=repr)
def test_what_is_no_float(wrong: object) -> None:
    refused(value("f4"), wrong, "float32 or a")


def test_an_enumeration_of_ints_is_ints() -> None:
    class Mode(enum.IntEnum):
        FAST = 3

    assert take(value("i4"), Mode.FAST) == b"\3\0\0\0"


# Structures --------------------
PAIR = np.dtype([("factor", "<f4"), ("term", "<i4")])


@given(st.floats(width=32), st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_structure_is_bytes_or_a_record_of_its_size(factor: float, term: int) -> None:
    raw = struct.pack("<fi", factor, term)
    record = np.array([(factor, term)], PAIR)
    assert take(value("", 8), raw) == raw
    assert take(value("", 8), record) == raw
    assert take(value("", 8), record[0]) == raw


@given(st.binary(max_size=40), st.integers(1, 40))
def test_a_structure_of_another_size_is_refused(raw: bytes, size: int) -> None:
    assume(len(raw) != size)
    refused(value("", size), raw, f"a value of {size} bytes, not {len(raw)}")


def test_a_structure_of_unknown_size_is_bounded() -> None:
    unknown = Param("v", ParamKind.VALUE, "thing")
    assert take(unknown, b"any") == b"any"
    with pytest.raises(InvalidArgument, match="parameter 'v': 4097 bytes"):
        take(unknown, bytes(VALUE_ARGS_BYTES_MAX + 1))


@pytest.mark.parametrize("wrong", [None, 1, 1.0, "abcd", bytearray(8), [1, 2]], ids=repr)
def test_what_is_no_structure(wrong: object) -> None:
    refused(value("", 8), wrong, "a NumPy value or bytes, 8 bytes")


def test_what_counts_as_a_structure() -> None:
    assert is_structure(value("", 8))
    assert is_structure(Param("v", ParamKind.VALUE, "float2", "(2,)<f4", 8))
    assert not is_structure(value("f4"))
    assert not is_structure(pointer(""))
    assert not is_structure(LOCAL)


def test_a_vector_is_a_structure() -> None:
    float2 = Param("v", ParamKind.VALUE, "float2", "(2,)<f4", 8)
    assert take(float2, np.array([1, 2], "f4")) == struct.pack("<2f", 1, 2)


def test_values_together_are_bounded() -> None:
    params = tuple(value("", 1024) for _ in range(5))
    with pytest.raises(KernelArgumentError, match="kernel kern takes 5120 bytes of values"):
        takes_of(KernelInfo("kern", params, 64), DEVICE)


# Local memory --------------------
@given(st.integers(1, 1 << 40))
def test_local_memory_is_a_size(size: int) -> None:
    assert take(LOCAL, gon.LocalBytes(size)) == LocalBytes(size)


@pytest.mark.parametrize("wrong", [0, 64, None, LocalBytes(0), LocalBytes(-4), b"abcd"], ids=repr)
def test_what_is_no_local_memory(wrong: object) -> None:
    refused(LOCAL, wrong, "gon.LocalBytes(n) with n > 0")


# Buffers --------------------
@given(st.sampled_from(INTS + FLOATS), st.sampled_from(INTS + FLOATS))
def test_an_array_is_taken_only_for_a_pointer_to_its_type(dtype: str, other: str) -> None:
    array = DEVICE.zeros(4, other)
    param = pointer(np.dtype(dtype).str)
    if dtype == other:
        assert take(param, array) == array.buffer.handle
        assert take(param, array[1:]) == BufferAt(array.buffer.handle, array.dtype.itemsize)
    else:
        refused(param, array, f"a device array of {np.dtype(dtype)}")


def test_a_buffer_is_taken_for_any_pointer_and_any_array_for_one_to_a_structure() -> None:
    buffer = DEVICE.allocate(64)
    assert take(pointer(), buffer) == buffer.handle
    assert take(pointer(""), buffer) == buffer.handle
    array = DEVICE.zeros(4, "c16")
    assert take(pointer(""), array) == array.buffer.handle


@pytest.mark.parametrize("wrong", [None, 1, b"abcd", np.zeros(4, "f4"), LocalBytes(4)], ids=repr)
def test_what_is_no_buffer(wrong: object) -> None:
    refused(pointer(), wrong, "a device array of float32 or a Buffer")
    refused(pointer(""), wrong, "a device array or a Buffer")


def test_a_closed_buffer_is_no_argument() -> None:
    array = DEVICE.zeros(4)
    array.buffer.close()
    for given_ in (array, array[1:], array.buffer):
        with pytest.raises(BadHandle, match="parameter 'p': the buffer is closed"):
            take(pointer(), given_)


def test_a_buffer_of_another_device_is_no_argument() -> None:
    other = open_device()
    for given_ in (other.zeros(4), other.allocate(16)):
        with pytest.raises(BadHandle, match="parameter 'p': the buffer is another device's"):
            take(pointer(), given_)


# A launch --------------------
Call = Callable[[Device, gon.Kernel, gon.DeviceArray], None]


def _launch(*args: object, block: int = 4, stream: gon.Stream | None = None) -> Call:
    def call(device: Device, kernel: gon.Kernel, array: gon.DeviceArray) -> None:
        filled = [array if arg is ... else arg for arg in args]
        gon.launch(stream or device.default_stream, gon.LaunchConfig(1, block), kernel, *filled)

    return call


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (_launch(), KernelArgumentError, r"takes 4 arguments \(a, x, y, n\), 0 were given"),
        (_launch(1.0, ..., ...), KernelArgumentError, "3 were given"),
        (_launch(1.0, ..., ..., 4, 5), KernelArgumentError, "5 were given"),
        (_launch(..., ..., ..., 4), KernelArgumentError, "parameter 'a'"),
        (_launch(1.0, ..., None, 4), KernelArgumentError, "parameter 'y'"),
        (_launch(1.0, ..., ..., 4.0), KernelArgumentError, "parameter 'n'"),
        (_launch(1.0, ..., ..., 4, block=1025), LaunchTooLarge, "a block of 1025 threads"),
        (
            _launch(1.0, ..., ..., 4, stream=DEVICE.default_stream),
            BadHandle,
            "the stream is another device's",
        ),
    ],
)
def test_a_launch_refuses_at_the_call(call: Call, error: type[gon.GonError], says: str) -> None:
    device = open_device()
    saxpy = device.compile("saxpy", "python-sim").get_kernel("saxpy")
    with pytest.raises(error, match=f"kernel saxpy.*{says}"):
        call(device, saxpy, device.zeros(4))
    device.sync()


def test_launches_that_repeat_arguments_send_what_each_was_given() -> None:
    device = open_device()
    saxpy = device.compile("saxpy", "python-sim").get_kernel("saxpy")
    x, y = device.asarray(np.ones(4, "f4")), device.zeros(4)
    config, stream = gon.LaunchConfig(1, 4), device.default_stream
    for factor in (1.0, 1.0, 2.0, 2.0, 4.0):
        gon.launch(stream, config, saxpy, factor, x, y, 4)
    gon.launch(stream, config, saxpy, 1.0, y, y, 4)
    assert y.get().tolist() == [20.0] * 4
    y.buffer.close()
    with pytest.raises(BadHandle, match="closed"):
        gon.launch(stream, config, saxpy, 1.0, y, y, 4)


def test_a_structure_changed_between_launches_is_sent_as_it_is() -> None:
    device = open_device()
    scale = device.compile("scale", "python-sim").get_kernel("scale")
    data = device.asarray(np.ones(4, "f4"))
    how = np.zeros(1, np.dtype([("factor", "<f4"), ("term", "<i4"), ("unused", "V8")]))
    for factor in (2.0, 3.0):
        how["factor"] = factor
        gon.launch(device.default_stream, gon.LaunchConfig(1, 4), scale, data, how)
    assert data.get().tolist() == [6.0] * 4
