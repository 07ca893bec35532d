"""Memory that a worker lends its client, between real processes: what a client sees there, what one
that abuses it can change, and what is left of it when either is gone.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pytest

import gon
from gon.limits import MIB
from gon_client.remote import RemoteDevice
from gon_server.pages import open_pages
from tests.e2e.gond_process import Gond, all_free, until

ADD = """
kernel void add(global int *x, int by) { x[get_global_id(0)] += by; }
"""
COUNT = MIB

pytestmark = pytest.mark.skipif(
    open_pages(2 * MIB) is None, reason="this host gives files in memory no pages of 2 MiB"
)

HOLDER = f"""
import sys, time
import numpy as np
import gon
with gon.connect(sys.argv[1]) as host, host.acquire(link="shm") as device:
    x = device.asarray(np.ones({COUNT}, np.int32))
    assert x.get().sum() == {COUNT}
    print(gon.stats(device).counts.direct_copies, flush=True)
    time.sleep(600)
"""


def memory_of(device: gon.Device) -> npt.NDArray[np.uint8]:
    """Return all that is lent to this process."""
    contract = device.contract
    assert isinstance(contract, RemoteDevice)
    borrowed = contract._link.mapped._dialer.borrowed
    assert borrowed is not None
    return borrowed.memory


def test_programs_see_what_was_copied_in_place(soft_gond: Gond) -> None:
    with gon.connect(soft_gond.unix) as host, host.acquire(link="shm") as device:
        add = device.compile(ADD).get_kernel("add")
        mirror = np.arange(COUNT, dtype=np.int32)
        arrays = [device.asarray(mirror) for _ in range(2)]
        streams = [device.default_stream, device.create_stream()]
        out = np.empty_like(mirror)
        for step in range(20):
            for array, stream in zip(arrays, streams, strict=True):
                if step % 5 == 0:
                    mirror = np.arange(step, COUNT + step, dtype=np.int32)
                    array.set(mirror, stream=stream)
                gon.launch(stream, gon.LaunchConfig(COUNT), add, array, step)
            mirror = mirror + step
            for array, stream in zip(arrays, streams, strict=True):
                array.get(out, stream=stream)
                np.testing.assert_array_equal(out, mirror)
        assert gon.stats(device).counts.direct_copies >= 40


def test_a_client_that_scribbles_spoils_its_own_buffers_only(soft_gond: Gond) -> None:
    with (
        gon.connect(soft_gond.unix) as host,
        host.acquire(link="shm") as neighbour,
        host.acquire(link="shm") as device,
    ):
        kept = neighbour.asarray(np.full(COUNT, 5, np.int32))
        add = device.compile(ADD).get_kernel("add")
        x = device.zeros(COUNT, np.int32)
        memory = memory_of(device)
        for step in range(50):
            gon.launch(device.default_stream, gon.LaunchConfig(COUNT), add, x, 1)
            # Where its buffers are and where none is, while a kernel runs.
            memory[step : 64 * MIB : 997] = step
        device.sync()
        whole = memory.base
        assert isinstance(whole, memoryview)
        assert isinstance(whole.obj, mmap.mmap)
        whole.obj.madvise(mmap.MADV_REMOVE, 0, 64 * MIB)
        gon.launch(device.default_stream, gon.LaunchConfig(COUNT), add, x, 1)
        device.sync()
        assert not device.zeros(4 * MIB, np.uint8).get().any()
        assert (kept.get() == 5).all()


def test_nothing_is_left_of_a_killed_worker_for_whoever_keeps_its_memory(soft_gond: Gond) -> None:
    with gon.connect(soft_gond.unix) as host, host.acquire(link="shm") as device:
        x = device.asarray(np.ones(COUNT, np.int32))
        out = np.empty(COUNT, np.int32)
        assert x.get(out).all()
        memory = memory_of(device)
        assert memory[: 16 * MIB].any()
        soft_gond.serving().kill()
        with suppress(gon.LeaseLost):
            while True:  # what it reads until it hears of it is what was there
                assert x.get(out).all()
        until(lambda: not memory[: 16 * MIB].any(), "its memory is empty")


def test_a_killed_client_leaves_no_lease_behind(soft_gond: Gond) -> None:
    channel = soft_gond.channel()
    until(lambda: all_free(channel), "no other lease is left")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, soft_gond.unix], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert int(holder.stdout.readline()) >= 2
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert not all_free(channel)
    channel.close()
