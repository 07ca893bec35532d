"""SPIR-V:

what a module says of its parameters, and that it runs; broken modules never reach a compiler.
"""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import InvalidArgument, KernelArgumentError
from gon.model import DEFAULT_STREAM, Handle, ParamKind, Program
from gon_server.devices import opencl
from gon_server.devices.opencl_spirv import IlParam, kernels_of


def _op(code: int, *words: int) -> list[int]:
    return [(len(words) + 1) << 16 | code, *words]


def _string(text: str) -> list[int]:
    octets = text.encode() + b"\0" * (4 - len(text) % 4)
    return list(struct.unpack(f"<{len(octets) // 4}I", octets))


def store_module() -> bytes:
    """Return `kernel void store(global uint *out, uint value) { out[get_global_id(0)] = value;

    }`.
    """
    void, uint, pointer, form, function, out, value, ulong, triple, place, gid = range(2, 13)
    label, loaded, index, address = range(13, 17)
    words = [0x07230203, 0x00010000, 0, 20, 0]
    words += _op(17, 4) + _op(17, 6) + _op(17, 5) + _op(17, 11)  # Addresses, Kernel, Linkage, Int64
    words += _op(14, 2, 2)  # 64-bit addresses, OpenCL
    words += _op(15, 6, function, *_string("store"), gid)
    words += _op(5, out, *_string("out")) + _op(5, value, *_string("value"))
    words += _op(71, gid, 11, 28)  # BuiltIn GlobalInvocationId
    words += _op(19, void) + _op(21, uint, 32, 0) + _op(21, ulong, 64, 0)
    words += _op(23, triple, ulong, 3) + _op(32, place, 1, triple) + _op(32, pointer, 5, uint)
    words += _op(33, form, void, pointer, uint) + _op(59, place, gid, 1)
    words += _op(54, void, function, 0, form) + _op(55, pointer, out) + _op(55, uint, value)
    words += _op(248, label) + _op(61, triple, loaded, gid) + _op(81, ulong, index, loaded, 0)
    words += _op(70, pointer, address, out, index) + _op(62, address, value)
    words += _op(253) + _op(56)
    return struct.pack(f"<{len(words)}I", *words)


def test_parameters_are_told() -> None:
    assert kernels_of(store_module()) == {
        "store": [
            IlParam("out", "global", "uint", const=False),
            IlParam("value", "private", "uint", const=True),
        ]
    }


def test_images_and_samplers_are_told() -> None:
    """Of a kernel of an array of images to write, depths to read, a sampler, and one of samples."""
    void, single, array, depths, how, many, form, function = range(2, 10)
    images, depth, sampler, samples = range(10, 14)
    words = [0x07230203, 0x00010000, 0, 20, 0]
    words += _op(15, 6, function, *_string("look")) + _op(5, images, *_string("images"))
    words += _op(19, void) + _op(22, single, 32)
    words += _op(25, array, void, 1, 0, 1, 0, 0, 0, 1)  # two dimensions, of an array, write only
    words += _op(25, depths, void, 1, 1, 0, 0, 0, 0)  # without an access it is to be read
    words += _op(25, many, void, 1, 0, 0, 1, 0, 0, 0) + _op(26, how)
    words += _op(33, form, void, array, depths, how, many) + _op(54, void, function, 0, form)
    words += _op(55, array, images) + _op(55, depths, depth) + _op(55, how, sampler)
    words += _op(55, many, samples) + _op(56)
    assert kernels_of(struct.pack(f"<{len(words)}I", *words)) == {
        "look": [
            IlParam("images", "", "", True, "image2d_array_t", 0x11A1),
            IlParam("", "", "", True, "image2d_depth_t", 0x11A0),
            IlParam("", "", "", True, "sampler_t"),
            IlParam("", "", "", True),
        ]
    }


def test_a_module_loads_and_runs() -> None:
    device = opencl.open_device("")
    info = device.load(Handle(1), Program(store_module(), "spir-v"))
    (store,) = info.kernels
    assert [(p.kind, p.dtype, p.size_bytes, p.writes) for p in store.params] == [
        (ParamKind.BUFFER, "uint32", 0, True),
        (ParamKind.VALUE, "uint32", 4, False),
    ]
    device.get_kernel(Handle(1), Handle(1), "store")
    device.allocate(Handle(1), 64)
    value = np.uint32(7).tobytes()
    device.launch(DEFAULT_STREAM, Handle(1), (4, 1, 1), (4, 1, 1), 0, (1, value))
    out = bytearray(64)
    device.read(DEFAULT_STREAM, Handle(1), 0, memoryview(out)).wait()
    assert np.frombuffer(out, np.uint32).tolist() == [7] * 16
    with pytest.raises(KernelArgumentError, match=r"store.*out"):
        device.launch(DEFAULT_STREAM, Handle(1), (4, 1, 1), (4, 1, 1), 0, (bytes(8), value))
    device.close()


@pytest.mark.parametrize("cut", [4, 8, 12, 40, 100, 200, 3])
def test_a_module_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(InvalidArgument):
        kernels_of(store_module()[:-cut])


def _with_a_word_changed(place: int, word: int) -> bytes:
    words = bytearray(store_module())
    words[4 * place : 4 * place + 4] = struct.pack("<I", word)
    return bytes(words)


@given(
    st.binary(max_size=200)
    | st.binary(max_size=64).map(lambda end: store_module()[:20] + end)
    | st.builds(_with_a_word_changed, st.integers(5, 90), st.integers(0, (1 << 32) - 1))
)
def test_any_bytes_are_told_of_or_refused(code: bytes) -> None:
    # Anything but InvalidArgument would be ours.
    with contextlib.suppress(InvalidArgument):
        kernels_of(code)
