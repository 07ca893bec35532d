"""The simulator:

nothing runs before it is waited for, and unordered programs come out in many ways.
"""

from __future__ import annotations

import pytest

from gon.errors import DeviceError, InvalidArgument
from gon.limits import SIM_QUEUED_MAX
from gon.model import DEFAULT_STREAM, Handle, LocalBytes, Program
from gon_server.devices import sim

H1, H2 = Handle(1), Handle(2)


def _race(seed: int, *, ordered: bool) -> int:
    """Return what two streams that write the same byte leave there."""
    device = sim.SimDevice(seed)
    device.allocate(H1, 1)
    device.create_stream(H1)
    device.create_stream(H2)
    device.create_event(H1)
    device.fill(H1, H1, 0, 1, b"\1")
    if ordered:
        device.record(H1, H1)
        device.wait_event(H2, H1)
    device.fill(H2, H1, 0, 1, b"\2")
    device.sync_all().wait()
    out = bytearray(1)
    device.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
    return out[0]


def test_a_program_without_order_comes_out_in_more_ways_than_one() -> None:
    assert {_race(seed, ordered=False) for seed in range(20)} == {1, 2}
    assert {_race(seed, ordered=True) for seed in range(20)} == {2}


def test_a_seed_shows_the_same_again() -> None:
    assert [_race(seed, ordered=False) for seed in range(20)] == [
        _race(seed, ordered=False) for seed in range(20)
    ]


def test_nothing_runs_before_it_is_waited_for() -> None:
    device = sim.open_device("3")
    device.allocate(H1, 4)
    out = bytearray(4)
    device.fill(DEFAULT_STREAM, H1, 0, 4, b"a")
    pending = device.read(DEFAULT_STREAM, H1, 0, memoryview(out))
    assert bytes(out) == bytes(4)
    while not pending.done():
        assert bytes(out) in (bytes(4), b"aaaa")
    assert bytes(out) == b"aaaa"


def test_ops_held_back_are_bounded() -> None:
    device = sim.open_device("")
    device.allocate(H1, 4)
    for _ in range(SIM_QUEUED_MAX + 100):
        device.fill(DEFAULT_STREAM, H1, 0, 4, b"a")
    assert f"{SIM_QUEUED_MAX} ops held back" in repr(device)


def test_a_kernel_that_overruns_fails_at_the_next_wait_and_only_there() -> None:
    device = sim.open_device("")
    device.load(H1, Program(b"block_sum\nindex # a comment\n\n", "python-sim"))
    device.get_kernel(H1, H1, "block_sum")
    device.allocate(H1, 64)
    device.create_stream(H1)
    args = (1, 1, LocalBytes(64))
    device.launch(H1, H1, (2, 1, 1), (16, 1, 1), 0, args)
    device.sync(DEFAULT_STREAM).wait()
    with pytest.raises(DeviceError, match="reaches 128 bytes"):
        device.sync(H1).wait()
    device.sync(H1).wait()


def test_an_address_is_a_seed() -> None:
    assert "seed 12" in repr(sim.open_device("12"))
    with pytest.raises(InvalidArgument):
        sim.open_device("twelve")
