"""The null device:

sizes and handles are kept, bytes are not, and modules are described by words.
"""

from __future__ import annotations

import pytest

from gon.errors import BadHandle, CompileError, InvalidArgument, OutOfMemory
from gon.model import DEFAULT_STREAM, BufferAt, Handle, ParamKind, Program
from gon_server.devices import null

H1, H2 = Handle(1), Handle(2)


def test_what_is_read_is_zeros() -> None:
    device = null.open_device("")
    device.allocate(H1, 8)
    device.write(DEFAULT_STREAM, H1, 0, memoryview(b"abcdefgh"))
    out = bytearray(b"x" * 8)
    device.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
    assert bytes(out) == bytes(8)
    assert device.host_window(DEFAULT_STREAM, H1, 2, 6, write=False).tobytes() == bytes(6)


def test_memory_is_counted() -> None:
    device = null.open_device("")
    device.allocate(H1, device.info.memory_bytes)
    with pytest.raises(OutOfMemory):
        device.allocate(H2, 1)
    device.free(H1)
    device.allocate(H2, 1)


def test_a_module_describes_its_kernels() -> None:
    device = null.open_device("")
    info = device.load(
        H1, Program(b"saxpy 4 const buffer 4\n\nempty\nsum const buffer local", "null")
    )
    assert [kernel.name for kernel in info.kernels] == ["saxpy", "empty", "sum"]
    kinds = [param.kind for param in info.kernels[2].params]
    assert kinds == [ParamKind.BUFFER, ParamKind.BUFFER, ParamKind.LOCAL]
    device.get_kernel(H1, H1, "saxpy")
    device.allocate(H1, 4)
    device.allocate(H2, 4)
    args = (bytes(4), 1, 2, bytes(4))
    device.launch(DEFAULT_STREAM, H1, (1, 1, 1), (1, 1, 1), 0, args)
    assert device.written_by(H1, args) == [H2]
    assert device.written_by(H1, (bytes(4), 1, BufferAt(1, 2), bytes(4))) == [H1]
    with pytest.raises(BadHandle, match="no buffer 3"):
        device.launch(DEFAULT_STREAM, H1, (1, 1, 1), (1, 1, 1), 0, (bytes(4), 1, 3, bytes(4)))
    with pytest.raises(BadHandle, match="no stream 9"):
        device.launch(Handle(9), H1, (1, 1, 1), (1, 1, 1), 0, args)


@pytest.mark.parametrize("line", ["f 0", "f 99999", "f const *", "f -4"])
def test_a_line_that_describes_none_is_named(line: str) -> None:
    with pytest.raises(CompileError) as caught:
        null.open_device("").load(H1, Program(f"ok 4\n{line}".encode(), "null"))
    assert "line 2" in caught.value.log


def test_there_is_one_null_device() -> None:
    with pytest.raises(InvalidArgument):
        null.open_device("0")
