"""What is given where something else is needed: a clear error with a code, whatever it is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

import gon
from gon.errors import BadHandle, InvalidArgument, Unsupported
from gon_client.control import ControlChannel

if TYPE_CHECKING:
    from gon_client.buffer import HostArray

N = 8


def test_a_name_of_a_graph_is_an_argument_of_launches_alone() -> None:
    with gon.local("sim:1") as device:
        x = device.asarray(np.ones(N, np.float32))
        kernel = device.compile("saxpy\n", "python-sim").get_kernel("saxpy")
        with device.capture() as graph:
            x.fill(0)
            name = graph.buffer("x", x)
        array, host = cast("gon.DeviceArray", name), cast("HostArray", name)
        buffer, stream = cast("gon.Buffer", name), cast("gon.Stream", name)
        event = cast("gon.Event", name)
        wrong: list[Callable[[], object]] = [
            lambda: x.copy_from(array),
            lambda: x.buffer.copy_from(buffer),
            lambda: x.buffer.copy_to(buffer),
            lambda: x.set(host),
            lambda: x.get(host),
            lambda: x.get_async(host),
            lambda: x.fill(0, stream=stream),
            lambda: x.fill(0, stream=cast("gon.Stream", device.create_event())),
            lambda: device.default_stream.wait(event),
            lambda: graph.launch(stream),
        ]
        for call in wrong:
            with pytest.raises(InvalidArgument):
                call()
        with pytest.raises(BadHandle, match="another device's, or none"):
            gon.launch(stream, gon.LaunchConfig(1, N), kernel, np.float32(1), x, x, np.int32(N))
        assert x.get().tolist() == [1] * N


def test_a_launch_of_what_is_no_kernel_says_so() -> None:
    with gon.local("sim:1") as device:
        kernel = device.compile("nothing\n", "python-sim").get_kernel("nothing")
        s, config = device.default_stream, gon.LaunchConfig(1)
        with pytest.raises(InvalidArgument, match="this is no kernel: 'nothing'"):
            gon.launch(s, config, cast("gon.Kernel", "nothing"))
        with pytest.raises(InvalidArgument, match=r"config must be of type LaunchConfig: \(1, 1\)"):
            gon.launch(s, cast("gon.LaunchConfig", (1, 1)), kernel)


def test_whole_numbers_of_numpy_are_sizes_and_rows() -> None:
    with gon.local("sim:1") as device:
        x = device.zeros(np.int64(N))
        assert x.shape == (N,)
        assert device.zeros([np.int64(2), 3]).shape == (2, 3)
        assert x[np.uint8(1)].shape == ()


@pytest.mark.parametrize("dtype", [object, "U0", [("a", object)]])
def test_elements_that_are_no_bytes_are_refused(dtype: object) -> None:
    wanted = cast("np.dtype[np.generic]", np.dtype(cast("type", dtype)))
    with gon.local("sim:1") as device:
        x = device.zeros(N)
        for call in (lambda: device.zeros(N, wanted), lambda: x.view(wanted)):
            with pytest.raises(InvalidArgument, match="no bytes that a device can hold"):
                call()


@pytest.mark.parametrize("key", ["a", None, ..., 1.5, np.ones(N, bool)], ids=str)
def test_rows_are_chosen_by_numbers_and_slices(key: object) -> None:
    with gon.local("sim:1") as device, pytest.raises(InvalidArgument, match="a whole number or a"):
        device.zeros(N)[cast("int", key)]


def test_an_array_of_a_device_is_none_of_numpys() -> None:
    with gon.local("sim:1") as device:
        x = device.zeros(N)
        calls: list[Callable[[], object]] = [partial(np.asarray, x), partial(device.asarray, x)]
        for call in calls:
            with pytest.raises(InvalidArgument, match=r"get\(\) reads it as a NumPy array"):
                call()


def test_what_is_of_a_device_stays_in_its_process() -> None:
    with gon.local("sim:1") as device:
        x = device.zeros(N)
        for each in (device, x, x.buffer, device.default_stream, device.create_event()):
            for carry in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(Unsupported, match="stays in its process"):
                    carry(each)
        assert x.get().tolist() == [0] * N


@pytest.mark.parametrize("source", ["\ud800", 3, None, ["nothing"]], ids=repr)
def test_a_source_that_is_no_text_and_no_bytes_is_refused(source: object) -> None:
    with gon.local("sim:1") as device:
        with pytest.raises(InvalidArgument, match="source is no text"):
            device.compile(cast("str", source), "python-sim")
        kept = cast("bytes", memoryview(b"nothing\n"))
        assert device.compile(kept, "python-sim").get_kernel("nothing")


def test_a_personality_that_is_no_text_changes_nothing() -> None:
    with gon.local("sim:1", personalities=("gpu", "dpu")) as device:
        with pytest.raises(InvalidArgument, match="personality is no text"):
            device.reconfigure(cast("str", None))
        assert device.configuration.state == "ready"


def test_names_that_are_no_text_are_refused_before_anything_is_asked() -> None:
    channel = ControlChannel("unix:///nowhere/gond.sock", 0.1)
    with pytest.raises(InvalidArgument, match="personalities are several names"):
        channel.acquire(personalities="gpu")
    for unit in ("\ud800", cast("str", 3)):
        with pytest.raises(InvalidArgument, match="unit is no text"):
            channel.acquire(unit=unit)
    channel.close()


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), 1e30])
def test_a_limit_that_no_call_can_have_is_refused(timeout_s: float) -> None:
    with pytest.raises(InvalidArgument, match="timeout_s is"):
        gon.connect("unix:///nowhere/gond.sock", timeout_s=timeout_s)


@pytest.mark.parametrize("address", ["unix:////nowhere", "gon://\ud800", 3, "gon://"], ids=repr)
def test_what_is_no_address_is_said(address: object) -> None:
    with pytest.raises(InvalidArgument, match="address"):
        gon.connect(cast("str", address))
