"""`gon.xp` on a leased unit: without a word about it under `gon run`, and over each link."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gon
from gon.errors import InvalidArgument
from gon.model import LaunchConfig
from tests.e2e.gond_process import PATIENCE_S, Gond

GON = [sys.executable, "-c", "from gon_client.cli import main; main()"]
SCRIPT = """
import gon
xp = gon.xp
x = xp.linspace(0.0, 1.0, 1001)
print(round(float(xp.sum(x ** 2)) / 1001, 3), x.device.configuration.personality)
"""


def test_a_script_under_gon_run_needs_no_more(soft_gond: Gond) -> None:
    command = [*GON, "run", "--host", soft_gond.tcp, "--stats"]
    done = subprocess.run(
        [*command, "--", sys.executable, "-c", SCRIPT],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout == "0.334 gpu\n", done.stderr
    # The lease that was taken before is the one that was used.
    assert "gon run: 1 devices" in done.stderr


def test_arrays_and_kernels_share_what_they_work_on(device: gon.Device) -> None:
    source = "__global__ void twice(float *x) { x[threadIdx.x] *= 2; }"
    twice = device.compile(source, "cuda-c").get_kernel("twice")
    with gon.xp.use(device):
        x = gon.xp.arange(256, dtype=gon.xp.float32) + 1
        gon.launch(device.default_stream, LaunchConfig(1, 256), twice, x.device_array())
        y = gon.xp.reshape(x, (2, 128)).T @ gon.xp.ones((2, 1), dtype=gon.xp.float32)
        before = device.counts().waits
        again = gon.xp.reshape(x, (2, 128)).T @ gon.xp.ones((2, 1), dtype=gon.xp.float32)
        # What is known is posted: nobody waits before an element is asked for.
        assert device.counts().waits == before
        host = (np.arange(256, dtype=np.float32) + 1) * 2
        wanted = host.reshape(2, 128).T @ np.ones((2, 1), np.float32)
        assert np.array_equal(y.numpy(), wanted)
        assert np.array_equal(again.numpy(), wanted)


def test_what_fails_takes_nothing_else_with_it(device: gon.Device) -> None:
    with gon.xp.use(device):
        x, places = gon.xp.asarray([1.0, 2.0, 3.0]), gon.xp.asarray([7])
        later, wrong, right = x * 2, x[places], x[places - 5]
        both = wrong + right
        x[0] = 5
        assert later.numpy().tolist() == [2, 4, 6]
        assert (right + 1).numpy().tolist() == [4]
        for bad in (wrong, both, wrong + 1):
            with pytest.raises(InvalidArgument, match="out of bounds"):
                bad.numpy()
        with pytest.raises(InvalidArgument, match="out of bounds"):
            x[...] = wrong
        # What is posted aside stops nothing else; a sync of the device tells of it, and so does
        # what is asked for afterwards.
        wrong = x[places]
        device.arrays.evaluate([wrong.storage])
        device.default_stream.sync()
        with pytest.raises(InvalidArgument, match="out of bounds"):
            device.sync()
        assert (x + 1).numpy().tolist() == [6, 3, 4]
        with pytest.raises(InvalidArgument, match="out of bounds"):
            (wrong * 2).numpy()
        assert x.numpy().tolist() == [5, 2, 3]
