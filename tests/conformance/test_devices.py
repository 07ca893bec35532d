"""The device conformance suite, on every backend in this process.

`OPENERS` names the devices; whatever opens a fresh one (directly, or through gond over some link)
may stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gon.device import Device
from gon.errors import CompileError
from gon.model import Handle
from gon.testing.devices import CHECKS, DeviceCheck, check_device
from gon_server.devices import null, opencl, sim
from gon_server.devices.opencl_runtime import select

OPENERS: dict[str, Callable[[], Device]] = {
    "null": lambda: null.open_device(""),
    "sim-0": lambda: sim.open_device(""),
    "sim-7": lambda: sim.open_device("7"),
    "opencl": lambda: opencl.open_device(""),
    # As on a device that has memory of its own: transfers, mappings and sub-buffers by the driver.
    "opencl-apart": lambda: opencl.OpenClDevice(select(""), "", may_share=False),
}


@pytest.fixture(params=OPENERS)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device that nobody has used, closed afterwards."""
    opened = OPENERS[request.param]()
    yield opened
    opened.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_device_keeps_the_contract(device: Device, check: DeviceCheck) -> None:
    if not check.applies_to(device.info):
        pytest.skip(f"{device.info.name} lacks {check.needs.value}")
    check.run(device)


class _Forgetful(sim.SimDevice):
    """Breaks the contract: what is written is not kept, and any module loads."""

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        super().write(stream, buffer, offset, memoryview(bytes(len(data))))


def test_the_suite_finds_a_device_that_breaks_it() -> None:
    with pytest.raises(AssertionError, match="not 1"):
        check_device(_Forgetful)


def test_the_suite_passes_as_a_whole() -> None:
    check_device(sim.SimDevice)


def test_a_compile_error_carries_its_log() -> None:
    device = sim.open_device("")
    with pytest.raises(CompileError) as caught:
        device.load(Handle(1), b"no_such", "python-sim", "")
    assert "line 1" in caught.value.log
