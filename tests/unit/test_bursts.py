"""Launches in bursts: a queue is not given far more than it has run, unless that takes long."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import gon
from gon.native import NATIVE
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_server.devices import opencl
from gon_server.devices.limits import BURST_LAUNCHES
from tests.inproc_worker import remote, stream_pair

SOURCE = """
kernel void step(global uint *at, uint term) { at[0] = 3 * at[0] + term; }
kernel void stay(volatile global uint *gate) { while (gate[0] == 0); }
"""
ONE = gon.LaunchConfig(1, 1)


@contextmanager
def opened() -> Generator[tuple[opencl.OpenClDevice, Device]]:
    """A worker's device, and the program's."""
    near = opencl.open_device("")
    with remote(near, stream_pair) as contract:
        device = Device(
            contract,
            where="near",
            memory_bytes=1 << 28,
            counts=lambda: NOTHING_CARRIED,
            on_close=lambda: None,
        )
        yield near, device


@pytest.fixture
def device() -> Iterator[Device]:
    with opened() as (_near, device):
        yield device


def test_many_launches_run_in_order(device: Device) -> None:
    step = device.compile(SOURCE, "opencl-c").get_kernel("step")
    at, stream = device.zeros(1, np.uint32), device.create_stream()
    wanted = 0
    for number in range(5 * BURST_LAUNCHES + 7):
        gon.launch(stream, ONE, step, at, np.uint32(number))
        wanted = (3 * wanted + number) & 0xFFFFFFFF
        if number == 2 * BURST_LAUNCHES:
            stream.sync()
    assert int(at.get(stream=stream)[0]) == wanted


def test_launches_behind_one_that_takes_long_are_not_waited_for(device: Device) -> None:
    module = device.compile(SOURCE, "opencl-c")
    step, stay = module.get_kernel("step"), module.get_kernel("stay")
    at, gate = device.zeros(1, np.uint32), device.zeros(1, np.uint32)
    stream, other = device.create_stream(), device.create_stream()
    device.default_stream.sync()
    for _ in range(2):
        gon.launch(stream, ONE, stay, gate)
        for number in range(4 * BURST_LAUNCHES):
            gon.launch(stream, ONE, step, at, np.uint32(number))
        gate.set(np.ones(1, np.uint32), stream=other)
        stream.sync()
        gate.set(np.zeros(1, np.uint32), stream=other)
        other.sync()


def test_an_idle_queue_keeps_no_event() -> None:
    with opened() as (near, device):
        step = device.compile(SOURCE, "opencl-c").get_kernel("step")
        at, stream = device.zeros(1, np.uint32), device.create_stream()
        # The first is the long way's.
        for number in range(1 + BURST_LAUNCHES):
            gon.launch(stream, ONE, step, at, np.uint32(number))
        device.default_stream.sync()
        last = near._streams[stream.handle].last
        assert last is not None
        assert last.reference_count == 1 + NATIVE
        stream.sync()  # the long way: that of who has its event
        assert last.reference_count == 1
