"""`Device.flow`, on a device that runs flows where its buffers lie."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from gon.errors import InvalidArgument, LimitExceeded, OutOfMemory
from gon.flow import (
    FLOW_FORMAT,
    Checksum,
    Compress,
    Decompress,
    Decrypt,
    Encrypt,
    Flow,
    Scan,
    Verify,
)
from gon.limits import MIB
from gon.model import DeviceInfo, Dim3, Handle, LaunchArg, ModuleInfo, Program
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_server.devices.sim import SimDevice
from gon_server.engines.base import EngineProgram, Share
from gon_server.engines.dpu.engine import open_engine
from gon_server.engines.signature import resolve

KEY = bytes(range(32))
TEXT = b"a cat and another cat\n" * 1000


class FlowingDevice(SimDevice):
    """The simulator, with flows as its programs."""

    def __init__(self) -> None:
        super().__init__(7)
        self._engine = open_engine(Share(1))
        self._programs: dict[Handle, EngineProgram] = {}
        self._functions: dict[Handle, EngineProgram] = {}
        self.addresses: list[int] = []

    @property
    def info(self) -> DeviceInfo:
        return dataclasses.replace(super().info, formats=(FLOW_FORMAT,), memory_bytes=64 * MIB)

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        loaded = self._programs[module] = self._engine.load(program)
        return ModuleInfo(loaded.functions, "")

    def unload(self, module: Handle) -> None:
        del self._programs[module]

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self._functions[kernel] = self._programs[module]

    def close_kernel(self, kernel: Handle) -> None:
        del self._functions[kernel]

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        program = self._functions[kernel]
        (info,) = program.functions
        tensors, values = resolve(info, args, lambda buffer: self._buffers[buffer].data)
        self.addresses = [tensor.ctypes.data for tensor in tensors]
        bound = program.bind(info.name, tensors, values)
        self._schedule.queue(self._streams[stream], bound.run)


@pytest.fixture
def unit() -> FlowingDevice:
    return FlowingDevice()


@pytest.fixture
def dev(unit: FlowingDevice) -> Device:
    return Device(
        unit,
        where="this process",
        memory_bytes=unit.info.memory_bytes,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
    )


def test_a_flow_there_and_back(dev: Device) -> None:
    pack = dev.flow([Compress(codec="zlib"), Checksum(digest="sha-256", passes=True), Encrypt()])
    unpack = dev.flow(
        [Decrypt(), Verify(digest="sha-256"), Decompress(codec="zlib", limit_bytes=MIB)]
    )
    stream = dev.create_stream()
    data = dev.asarray(np.frombuffer(TEXT, np.uint8))
    packed = pack(data, key=KEY, stream=stream)
    assert "not waited for" in repr(packed)
    assert packed.nbytes < len(TEXT) / 10
    assert len(packed.array) == packed.nbytes <= len(packed.room)
    back = unpack(
        packed.array, key=KEY, nonce=packed.values["nonce"], expected=packed.digest(), stream=stream
    )
    assert back.array.get(stream=stream).tobytes() == TEXT


def test_bytes_stay_where_they_are(dev: Device, unit: FlowingDevice) -> None:
    """An array of any type goes in, from where it lies; the result is written where it lies."""
    data = dev.asarray(np.arange(1000, dtype=np.float32))[100:]
    found = dev.flow([Compress(codec="zlib")])(data)
    packed = found.array.get().tobytes()
    assert zlib.decompress(packed) == np.arange(100, 1000, dtype=np.float32).tobytes()
    owner = unit._buffers[data.buffer.handle]
    assert unit.addresses[0] == owner.ctypes.data + 400
    assert unit.addresses[1] == unit._buffers[found.room.buffer.handle].ctypes.data


def test_scans_tell_counts_and_places(dev: Device) -> None:
    data = dev.asarray(np.frombuffer(TEXT, np.uint8))
    scan = Scan(patterns=("cat", "^a"), places_max=3, starts=True, passes=True)
    found = dev.flow(
        [
            scan,
            Scan(patterns=("dog",), places_max=5),
        ]
    )(data)
    assert (found.count(0), found.count(1)) == (2001, 0)
    assert found.places(0).tolist() == [[1, 0, 1], [0, 2, 5], [0, 18, 21]]
    assert found.places(1).shape == (0, 2)
    assert found.nbytes == 0
    for ask in (lambda: found.array, found.count, found.digest, lambda: found.count(7)):
        with pytest.raises(InvalidArgument):
            ask()


def test_every_nonce_is_drawn_anew(dev: Device) -> None:
    seal = dev.flow(Flow(stages=(Encrypt(),)))
    data = dev.asarray(np.zeros(100, np.uint8))
    nonces = {seal(data, key=KEY).values["nonce"] for _ in range(8)}
    assert len(nonces) == 8
    given = seal(data, key=KEY, nonce=b"twelve bytes")
    assert given.values == {"nonce": b"twelve bytes"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "needs key, a key of 32 bytes"),
        ({"key": KEY}, "needs nonce, a nonce of 12 bytes"),
        ({"key": KEY[1:], "nonce": KEY[:12]}, "needs key"),
        ({"key": "k" * 32, "nonce": KEY[:12]}, "of type bytes"),
        ({"key": KEY, "nonce": KEY[:12], "salt": b""}, "has no argument 'salt'; it has key, nonce"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    dev: Device, values: dict[str, bytes], says: str
) -> None:
    flow = dev.flow([Decrypt()])
    with pytest.raises(InvalidArgument, match=says) as refused:
        flow(dev.zeros(100, np.uint8), **values)  # pyright: ignore[reportArgumentType]
    assert "kkk" not in str(refused.value)


def test_what_is_no_flow_is_refused_before_it_travels(dev: Device) -> None:
    with pytest.raises(InvalidArgument, match="without stages"):
        dev.flow([])
    with pytest.raises(InvalidArgument, match="cannot be named 'stream'"):
        dev.flow([Encrypt(key="stream")])
    with pytest.raises(LimitExceeded):
        dev.flow([Compress(codec="gzip", level=9)])


def test_room_may_be_told(dev: Device) -> None:
    unpack = dev.flow([Decompress(codec="zlib", limit_bytes=1 << 30)])
    data = dev.asarray(np.frombuffer(zlib.compress(TEXT), np.uint8))
    with pytest.raises(OutOfMemory):
        unpack(data)
    assert unpack(data, result_bytes=len(TEXT)).array.get().tobytes() == TEXT
