"""Finding CUDA devices through NVML: GPUs, instances, and what the owner has hidden."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gon.errors import DeviceError, Unsupported
from gon_server.devices import cuda_units
from gon_server.devices.cuda_units import discover, find

GIB = 1 << 30


class NVMLError(Exception):
    """What pynvml raises."""


@dataclass(frozen=True)
class Memory:
    total: int


@dataclass
class Gpu:
    """A GPU or an instance; `instances` is None for one that cannot be cut, or is not."""

    uuid: str
    name: str = "NVIDIA H100"
    memory_bytes: int = 80 * GIB
    can_be_cut: bool = True
    instances: list[Gpu | None] = field(default_factory=list["Gpu | None"])


class FakeNvml:
    """The functions of pynvml that are used."""

    NVMLError = NVMLError

    def __init__(self, gpus: list[Gpu], *, has_driver: bool = True) -> None:
        self._gpus = gpus
        self._has_driver = has_driver
        self.is_open = False

    def nvmlInit(self) -> None:
        if not self._has_driver:
            raise NVMLError("NVML Shared Library Not Found")
        self.is_open = True

    def nvmlShutdown(self) -> None:
        self.is_open = False

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95"

    def nvmlDeviceGetCount(self) -> int:
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Gpu:
        return self._gpus[index]

    def nvmlDeviceGetUUID(self, device: Gpu, /) -> str:
        if device.uuid == "lost":
            raise NVMLError("GPU is lost")
        return device.uuid

    def nvmlDeviceGetName(self, device: Gpu, /) -> str:
        return device.name

    def nvmlDeviceGetMemoryInfo(self, device: Gpu, /) -> Memory:
        return Memory(device.memory_bytes)

    def nvmlDeviceGetMigMode(self, device: Gpu, /) -> list[int]:
        if not device.can_be_cut:
            raise NVMLError("Not Supported")
        return [int(bool(device.instances)), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, device: Gpu, /) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Gpu, index: int, /) -> Gpu:
        instance = device.instances[index] if index < len(device.instances) else None
        if instance is None:
            raise NVMLError("Not Found")
        return instance


PLAIN = Gpu("GPU-11111111-aaaa", can_be_cut=False)
OTHER = Gpu("GPU-11112222-bbbb", "NVIDIA L40")
PART = Gpu("MIG-33333333-cccc", "NVIDIA H100 MIG 1g.10gb", 10 * GIB)
REST = Gpu("MIG-44444444-dddd", "NVIDIA H100 MIG 3g.40gb", 40 * GIB)
CUT = Gpu("GPU-99999999-eeee", instances=[PART, None, REST])
HOST = [PLAIN, CUT, OTHER]


def found(visible: str | None, host: list[Gpu] = HOST) -> list[str]:
    nvml = FakeNvml(host)
    addresses = [each.address for each in find(nvml, visible)]
    assert not nvml.is_open
    return addresses


def test_each_gpu_and_each_instance_is_a_device() -> None:
    assert found(None) == [PLAIN.uuid, PART.uuid, REST.uuid, OTHER.uuid]
    part = find(FakeNvml(HOST), None)[1]
    assert (part.kind, part.name, part.memory_bytes) == ("gpu", PART.name, 10 * GIB)
    assert part.vendor == "NVIDIA Corporation"
    assert part.driver == "NVIDIA 580.95"
    assert part.formats == ("cuda-c", "ptx", "cubin")


@pytest.mark.parametrize(
    ("visible", "wanted"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,0", [OTHER, PLAIN]),
        ("0,7,2", [PLAIN]),
        ("0,0", [PLAIN]),
        ("1", [PART, REST]),
        (" 0 , 2", [PLAIN, OTHER]),
        ("GPU-11112222-bbbb", [OTHER]),
        ("GPU-11112", [OTHER]),
        ("GPU-1111", []),
        ("GPU-9", [PART, REST]),
        ("MIG-44444444-dddd,0", [REST, PLAIN]),
        ("MIG-4,0", []),
    ],
)
def test_what_is_hidden_from_cuda_is_not_found(visible: str, wanted: list[Gpu]) -> None:
    assert found(visible) == [gpu.uuid for gpu in wanted]


def test_a_host_without_a_driver_has_none() -> None:
    assert find(FakeNvml(HOST, has_driver=False), None) == []


def test_a_driver_that_fails_is_told() -> None:
    with pytest.raises(DeviceError, match="listing CUDA devices: GPU is lost"):
        find(FakeNvml([PLAIN, Gpu("lost")]), None)


def test_looking_needs_the_drivers_files_before_any_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_installed() -> cuda_units.Nvml[cuda_units.NvmlDevice]:
        raise Unsupported("finding CUDA devices needs nvidia-ml-py")

    monkeypatch.setattr(cuda_units, "load_nvml", not_installed)
    monkeypatch.setattr(cuda_units, "has_driver", lambda: False)
    assert discover() == []
    monkeypatch.setattr(cuda_units, "has_driver", lambda: True)
    with pytest.raises(Unsupported, match="nvidia-ml-py"):
        discover()
