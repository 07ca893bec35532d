"""The device conformance suite: on every backend in this process, on each from afar through a
session in this process, and on the host's software-defined unit through gond over every link.

`OPENERS` names devices of which each check gets a fresh one; a lease of gond serves several checks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager

import pytest

import gon
from gon.clock import SYSTEM_CLOCK
from gon.device import Device, HostDevice
from gon.errors import CompileError, GonError, LeaseLost
from gon.limits import MIB
from gon.model import DEFAULT_STREAM, Handle, Program
from gon.personalities import PERSONALITIES
from gon.testing.device_trial import FIRST_HANDLE
from gon.testing.devices import CHECKS, DeviceCheck, check_device
from gon.transport.inproc import inproc_pair
from gon_client.connect import Host
from gon_server.devices import cuda, null, opencl, sim
from gon_server.devices.cuda_units import has_driver
from gon_server.devices.opencl_runtime import select
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf
from tests.e2e.gond_process import Gond
from tests.fake_cuda import open_fake
from tests.inproc_worker import MakePair, remote, stream_pair
from tests.loans import SmallPages, shm_pair

# Bounded, so that what checks leave behind stays far from the limits of a session.
CHECKS_PER_LEASE = 16
HANDLES_PER_CHECK = 100_000

each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)


def direct(open_device: Callable[[], HostDevice]) -> Callable[[], AbstractContextManager[Device]]:
    return lambda: closing(open_device())


def afar(
    open_device: Callable[[], HostDevice], make_pair: MakePair
) -> Callable[[], AbstractContextManager[Device]]:
    return lambda: remote(open_device(), make_pair)


def lent(open_device: Callable[[], HostDevice]) -> Callable[[], AbstractContextManager[Device]]:
    @contextmanager
    def opened() -> Generator[Device]:
        with pytest.MonkeyPatch.context() as patch:
            for module in ("gon_client.mapped", "gon_server.devices.opencl_memory"):
                patch.setattr(f"{module}.MAPPED_BUFFER_BYTES_MIN", 1)
            with remote(open_device(), shm_pair, pages=SmallPages(256 * MIB)) as device:
                yield device

    return opened


def elastic(base: HostDevice) -> HostDevice:
    """Return a unit that may be a gpu and an npu; engines are loaded when they are needed."""
    may_be = [each for each in PERSONALITIES if each.name in ("gpu", "npu")]
    return ElasticUnit(base, Shelf(Share(1)), may_be, SYSTEM_CLOCK)


OPENERS: dict[str, Callable[[], AbstractContextManager[Device]]] = {
    "null": direct(lambda: null.open_device("")),
    "sim-0": direct(lambda: sim.open_device("")),
    "sim-7": direct(lambda: sim.open_device("7")),
    "opencl": direct(lambda: opencl.open_device("")),
    # As on a device that has memory of its own: transfers, mappings and sub-buffers by the driver.
    "opencl-apart": direct(lambda: opencl.OpenClDevice(select(""), "", may_share=False)),
    "sim-inproc": afar(lambda: sim.open_device("1"), inproc_pair),
    "sim-stream": afar(lambda: sim.open_device("2"), stream_pair),
    "opencl-inproc": afar(lambda: opencl.open_device(""), inproc_pair),
    "opencl-stream": afar(lambda: opencl.open_device(""), stream_pair),
    "elastic-sim": direct(lambda: elastic(sim.open_device("3"))),
    "elastic-opencl": direct(lambda: elastic(opencl.open_device(""))),
    "elastic-opencl-stream": afar(lambda: elastic(opencl.open_device("")), stream_pair),
    # In memory that the client reaches, even the smallest buffers.
    "sim-lent": lent(lambda: sim.open_device("4")),
    "opencl-lent": lent(lambda: opencl.open_device("")),
    # The CUDA backend without a GPU; the number draws the order in which streams run.
    "cuda-fake-0": direct(lambda: open_fake(0)),
    "cuda-fake-7": direct(lambda: open_fake(7)),
    "cuda-fake-stream": afar(lambda: open_fake(1), stream_pair),
}


@pytest.fixture(params=OPENERS)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device that nobody has used, closed afterwards."""
    with OPENERS[request.param]() as opened:
        yield opened


@each_check
def test_device_keeps_the_contract(device: Device, check: DeviceCheck) -> None:
    if not check.applies_to(device.info):
        pytest.skip(f"{device.info.name} lacks {check.needs.value}")
    check.run(device)


@pytest.mark.gpu
@pytest.mark.skipif(not has_driver(), reason="there is no CUDA GPU")
@each_check
def test_cuda_gpu_keeps_the_contract(check: DeviceCheck) -> None:
    with closing(cuda.open_device("")) as opened:
        assert check.applies_to(opened.info)
        check.run(opened)


class Lessee:
    """Devices leased from one host over one kind of link, each for a number of checks."""

    def __init__(self, host: Host, link: str, leases: ExitStack) -> None:
        self._host = host
        self._link = link
        self._leases = leases
        self._device: gon.Device | None = None
        self._checks = 0

    @contextmanager
    def borrow(self) -> Generator[tuple[Device, int]]:
        """Give a device and the first of the handles that nobody has used."""
        if self._device is None or self._checks == CHECKS_PER_LEASE:
            self._leases.close()
            self._device = self._leases.enter_context(self._host.acquire(link=self._link))
            self._checks = 0
        self._checks += 1
        # After a check that fails nobody gets it.
        leased, self._device = self._device, None
        yield leased.contract, FIRST_HANDLE + self._checks * HANDLES_PER_CHECK
        if is_quiet(leased.contract):
            self._device = leased


def is_quiet(device: Device) -> bool:
    """Hear of the failures a check has left; return whether the next one can use the device."""
    for _ in range(3):
        try:
            device.sync(DEFAULT_STREAM).wait()
            device.sync_all().wait()
        except LeaseLost:
            return False
        except GonError:
            continue
        return True
    return False


@pytest.fixture(scope="module", params=["tcp", "unix", "shm", "zmq"])
def lessee(soft_gond: Gond, request: pytest.FixtureRequest) -> Iterator[Lessee]:
    with gon.connect(soft_gond.tcp) as host, ExitStack() as leases:
        yield Lessee(host, request.param, leases)


@each_check
def test_leased_device_keeps_the_contract(lessee: Lessee, check: DeviceCheck) -> None:
    with lessee.borrow() as (device, first_handle):
        assert check.applies_to(device.info)
        check.run(device, first_handle)


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
        device.load(Handle(1), Program(b"no_such", "python-sim"))
    assert "line 1" in caught.value.log
