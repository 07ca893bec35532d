"""Arrays of devices as arrays of NumPy's: in place where that can be; else what changed travels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

import numpy as np
import pytest

import gon
from gon.device import Device as Contract
from gon.elastic import InPlace
from gon.errors import InvalidArgument
from gon.model import Handle
from gon.testing.kernels import MODULES
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_server.devices import opencl, sim
from gon_server.devices.opencl_runtime import select
from tests.fake_cuda import open_fake
from tests.inproc_worker import remote

OPENERS: dict[str, Callable[[], AbstractContextManager[Contract]]] = {
    "opencl": lambda: closing(opencl.open_device("")),
    # As on a device that has memory of its own.
    "opencl-apart": lambda: closing(opencl.OpenClDevice(select(""), "", may_share=False)),
    "sim": lambda: closing(sim.open_device("3")),
    "sim-afar": lambda: remote(sim.open_device("4")),
    "cuda-fake": lambda: closing(open_fake(0)),
}
IN_PLACE = ("opencl", "sim")
SHAPE = (50, 1000)
PIECE_BYTES = 4096


@pytest.fixture(params=OPENERS)
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def device(where: str) -> Iterator[Device]:
    with OPENERS[where]() as contract:
        yield Device(
            contract,
            where=where,
            memory_bytes=1 << 28,
            counts=lambda: NOTHING_CARRIED,
            on_close=lambda: None,
        )


def numbers() -> np.ndarray:
    return np.arange(50_000, dtype=np.uint32).reshape(SHAPE)


def advance(device: Device, array: gon.DeviceArray, stream: gon.Stream, term: int) -> None:
    """Queue array = 3 · array + term."""
    code_format = next(name for name in device.info.formats if name in MODULES)
    kernel = device.compile(MODULES[code_format].code, code_format).get_kernel("advance")
    gon.launch(stream, gon.LaunchConfig(array.size // 50, 50), kernel, array, 3, term)


@pytest.fixture
def moved(device: Device, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, int]]]:
    """What is written to and read from the device from now on: ranges of bytes."""
    found: dict[str, list[tuple[int, int]]] = {"write": [], "read": []}
    for name, ranges in found.items():

        def noted(
            stream: Handle,
            buffer: Handle,
            offset: int,
            data: memoryview,
            name: str = name,
            ranges: list[tuple[int, int]] = ranges,
        ) -> object:
            ranges.append((offset, data.nbytes))
            return getattr(type(device.contract), name)(
                device.contract, stream, buffer, offset, data
            )

        monkeypatch.setattr(device.contract, name, noted)
    return found


def test_a_map_is_between_what_is_queued_before_and_after(device: Device) -> None:
    stream = device.create_stream()
    array = device.asarray(numbers())
    advance(device, array, stream, 1)
    with array.map(stream=stream) as host:
        assert np.array_equal(host, numbers() * 3 + 1)
        host[7] += 5
    advance(device, array, stream, 2)
    wanted = numbers() * 3 + 1
    wanted[7] += 5
    assert np.array_equal(array.get(stream=stream), wanted * 3 + 2)


def test_nothing_is_copied_where_the_memory_is_this_processs(
    where: str, device: Device, moved: dict[str, list[tuple[int, int]]]
) -> None:
    array = device.zeros(SHAPE, np.uint32)
    with array[1:].map() as host:
        host[:] = numbers()[1:]
        address = host.ctypes.data
    if where in IN_PLACE:
        contract = device.contract
        assert isinstance(contract, InPlace)
        memory = np.frombuffer(contract.memory_of(array.buffer.handle), np.uint8)
        assert address == memory.ctypes.data + 4000
        assert moved == {"write": [], "read": []}
    assert np.array_equal(array.get()[1:], numbers()[1:])


@pytest.mark.parametrize("where", sorted(OPENERS.keys() - IN_PLACE))
def test_elsewhere_what_was_changed_is_written(
    device: Device, moved: dict[str, list[tuple[int, int]]]
) -> None:
    array = device.asarray(numbers())[2:]
    moved["write"].clear()
    with array.map() as host:
        host[0, 0] += 1
        host[10:14] = 0
        host[-1, -1] = 7
    first = 8000
    # Whole pieces from the array's beginning on; the last one is short.
    rows = (4000 * 10 // PIECE_BYTES * PIECE_BYTES, 4000 * 14)
    last = array.nbytes // PIECE_BYTES * PIECE_BYTES
    assert moved["write"] == [
        (first, PIECE_BYTES),
        (first + rows[0], -(-(rows[1] - rows[0]) // PIECE_BYTES) * PIECE_BYTES),
        (first + last, array.nbytes - last),
    ]
    moved["write"].clear()
    with array.map() as host:
        host[:] = host.copy()
    with array.map(write=False) as host:
        host.sum()
    assert not moved["write"]
    moved["read"].clear()
    with array.map(read=False) as host:
        host[:] = 9
    assert moved["write"] == [(first, array.nbytes)]
    assert not moved["read"]
    assert np.array_equal(array.get(), np.full(array.shape, 9, np.uint32))


def test_how_a_block_ends_and_what_its_array_is_then(device: Device) -> None:
    array = device.asarray(numbers())
    kept: list[np.ndarray] = []

    def fail() -> None:
        with array.map() as host:
            kept.append(host)
            host[0, 0] = 77
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert array.get()[0, 0] == 77
    with pytest.raises(ValueError, match="read-only"):
        kept[0][0, 0] = 78
    with array.map(write=False) as host, pytest.raises(ValueError, match="read-only"):
        host[0, 0] = 78
    with device.zeros((0, 4), np.uint8).map() as host:
        assert host.shape == (0, 4)


def test_what_is_refused(device: Device) -> None:
    array = device.asarray(numbers())
    with (
        pytest.raises(InvalidArgument, match="neither read nor written"),
        array.map(read=False, write=False),
    ):
        pass
    with device.capture():
        array.fill(0)
        with pytest.raises(InvalidArgument, match="a map cannot be captured"), array.map():
            pass
    array.buffer.close()
    with pytest.raises(InvalidArgument, match="mapped buffer is closed"), array.map():
        pass


def test_an_array_is_not_closed_before_its_map_is(device: Device) -> None:
    """Where the map is the array's memory, that may soon be another's."""
    array = device.asarray(numbers())
    with array.map() as host:
        with pytest.raises(InvalidArgument, match="mapped buffer cannot be closed"):
            array.buffer.close()
        host[0] = 7
    assert (array.get()[0] == 7).all()
    array.buffer.close()
    with pytest.raises(InvalidArgument, match="closed"), array.map():
        pass
