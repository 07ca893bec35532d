"""`Device.flow`, on a device that runs flows where its buffers lie."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pytest

from gon import flow_limits, limits
from gon.clock import SYSTEM_CLOCK
from gon.device import Device as Contract
from gon.errors import (
    CorruptData,
    InvalidArgument,
    LimitExceeded,
    OutOfMemory,
    RemoteProtocolError,
)
from gon.flow import (
    Checksum,
    Compress,
    Decompress,
    Decrypt,
    Encrypt,
    Flow,
    Scan,
    Stage,
    Verify,
)
from gon.limits import MIB
from gon.personalities import PERSONALITIES
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.link import SessionLink
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share
from gon_server.engines.dpu import program
from gon_server.engines.dpu.running import Outputs, Run
from gon_server.engines.dpu.scan_driver import ScanDatabase
from gon_server.engines.shelf import Shelf
from tests.inproc_worker import InprocWorker, open_session, stream_pair

KEY = bytes(range(32))
TEXT = b"a cat and another cat\n" * 1000


@pytest.fixture
def unit() -> ElasticUnit:
    (dpu,) = (each for each in PERSONALITIES if each.name == "dpu")
    return ElasticUnit(SimDevice(7), Shelf(Share(1)), [dpu], SYSTEM_CLOCK)


@pytest.fixture(params=["here", "far"])
def dev(request: pytest.FixtureRequest, unit: ElasticUnit) -> Iterator[Device]:
    """The unit by itself, and behind a session, an executor and their rule of failures."""
    if request.param == "here":
        yield seen_by_a_program(unit)
        return
    worker = InprocWorker(unit, stream_pair)
    session = open_session(worker)
    device = seen_by_a_program(RemoteDevice(session), session)
    try:
        yield device
    finally:
        device.close()
        worker.close()
    assert not [end for end in worker.endings if isinstance(end, RemoteProtocolError)]


def seen_by_a_program(contract: Contract, session: SessionLink | None = None) -> Device:
    return Device(
        contract,
        where="this process",
        memory_bytes=64 * MIB,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
        express=session.express if session else None,
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


def test_bytes_stay_where_they_are(
    dev: Device, unit: ElasticUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array of any type goes in, from where it lies; the result is written where it lies."""
    seen: list[tuple[int, int]] = []

    class Watched(Run):
        def __init__(
            self,
            flow: Flow,
            databases: Sequence[ScanDatabase],
            data: memoryview,
            values: Mapping[str, bytes],
            outputs: Outputs,
        ) -> None:
            seen.append((address(data), address(outputs.result)))
            super().__init__(flow, databases, data, values, outputs)

    monkeypatch.setattr(program, "Run", Watched)
    data = dev.asarray(np.arange(1000, dtype=np.float32))[100:]
    found = dev.flow([Compress(codec="zlib")])(data)
    packed = found.array.get().tobytes()
    assert zlib.decompress(packed) == np.arange(100, 1000, dtype=np.float32).tobytes()
    whole, room = (unit.memory_of(each.buffer.handle) for each in (data, found.room))
    assert seen == [(address(whole) + 400, address(room))]


def address(view: memoryview) -> int:
    return int(np.frombuffer(view, np.uint8).ctypes.data)


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_device_goes_on_after_a_flow_that_failed(dev: Device, cut: int) -> None:
    unpack = dev.flow([Decompress(codec="zlib", limit_bytes=MIB)])
    data = dev.asarray(np.frombuffer(zlib.compress(TEXT), np.uint8))
    with pytest.raises(CorruptData):
        _ = unpack(data[:-cut]).nbytes
    assert unpack(data).array.get().tobytes() == TEXT


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


def test_a_flow_that_takes_keys_is_not_captured(dev: Device) -> None:
    """A graph would use one nonce again and again, and keep the key."""
    seal = dev.flow(Flow(stages=(Encrypt(),)))
    text = dev.asarray(np.zeros(100, np.uint8))
    first = seal(text, key=KEY)
    with pytest.raises(InvalidArgument, match="keys"), dev.capture():
        seal(text, out=first, key=KEY)
    assert seal(text, out=first, key=KEY).values["nonce"] != first.values["nonce"]


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


# What docs/FLOWS.md says --------------------
GUIDE = (Path(__file__).parents[2] / "docs" / "FLOWS.md").read_text("utf-8")


def test_the_guides_program_runs(dev: Device) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(source, "FLOWS.md", "exec"), names)
    there_and_back = cast("Callable[[Device, bytes, bytes], bytes]", names["there_and_back"])
    assert there_and_back(dev, TEXT, KEY) == TEXT


def test_the_guide_tells_every_stage_parameter_and_limit() -> None:
    for stage in get_args(Stage):
        (row,) = re.findall(rf"^\| `{stage.__name__}` \|.*$", GUIDE, re.MULTILINE)
        for name in stage.__struct_fields__:
            as_above = "as `Encrypt`" in row or stage is Decompress
            assert f"`{name}`" in row or as_above, (stage, name)
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "": 1}
    told = {
        name: int(number.replace(",", "")) * units[unit]
        for name, number, unit in re.findall(
            r"^\| `(FLOW_\w+)` \| ([\d,]+) ?(\w*) \|$", GUIDE, re.MULTILINE
        )
    }
    others = {"FLOW_CHUNK_BYTES", "FLOW_CHUNK_BYTES_MIN"}
    assert told == {
        name: value
        for name, value in vars(flow_limits).items()
        if name.startswith("FLOW_") and name not in others
    }
    assert flow_limits.FLOW_CHUNK_BYTES == 256 * limits.KIB
