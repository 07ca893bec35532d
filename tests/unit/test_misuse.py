"""What is given where something else is needed: a clear error with a code, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

import gon
from gon.errors import BadHandle, InvalidArgument

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
