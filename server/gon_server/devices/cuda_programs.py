"""The programs of a CUDA device: modules and kernels by handle, compiled here or elsewhere."""

from __future__ import annotations

from gon.limits import KERNELS_MAX, MODULES_MAX
from gon.model import Handle, ModuleInfo, Program
from gon_server.devices.books import Table, check_format
from gon_server.devices.cuda_build import (
    BUILT_FORMAT,
    Built,
    ReadSource,
    architecture,
    build_program,
    pack,
    unpack,
)
from gon_server.devices.cuda_cubin import ParamSize
from gon_server.devices.cuda_driver import Cuda, Health, compiler_error_of
from gon_server.devices.cuda_kernel import BoundKernel
from gon_server.devices.cuda_memory import DeviceBuffer
from gon_server.devices.cuda_program import Module
from gon_server.devices.cuda_tables import HealthyTable
from gon_server.devices.cuda_units import Described


class Programs:
    """Modules and kernels of one device; see gon.device.Device and gon.device.Builder."""

    def __init__(
        self,
        cuda: Cuda,
        unit: Described,
        health: Health,
        read_source: ReadSource,
        param_size: ParamSize,
    ) -> None:
        self._cuda = cuda
        self._unit = unit
        self._health = health
        self._read_source = read_source
        self._param_size = param_size
        self._modules: Table[Module] = HealthyTable("module", MODULES_MAX, health)
        self.kernels: Table[BoundKernel] = HealthyTable("kernel", KERNELS_MAX, health)

    def __repr__(self) -> str:
        return f"Programs({len(self._modules)} modules, {len(self.kernels)} kernels)"

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        self._modules.check_new(module)
        return self._load(module, self._build(program))

    @property
    def build_identity(self) -> str:
        """What a build depends on beside its program: NVRTC, the architecture, our format."""
        major, minor = self._cuda.api.nvrtc.getVersion()
        target = architecture(self._cuda, self._unit.capability)
        return f"NVRTC {major}.{minor} for {target}, format {BUILT_FORMAT}"

    def build(self, program: Program) -> bytes:
        return pack(self._build(program))

    def load_built(self, module: Handle, built: bytes) -> ModuleInfo:
        self._modules.check_new(module)
        return self._load(module, unpack(built, self._unit.capability))

    def _build(self, program: Program) -> Built:
        check_format(program, self._unit.info)
        try:
            return build_program(self._cuda, self._unit.capability, program, self._read_source)
        except self._cuda.errors as error:
            raise compiler_error_of(error, "building a program") from error

    def _load(self, module: Handle, built: Built) -> ModuleInfo:
        try:
            loaded = Module(self._cuda, built, self._param_size)
        except self._cuda.errors as error:
            raise self._health.error_of(error, "loading a module") from error
        self._modules.add(module, loaded)
        return loaded.info

    def unload(self, module: Handle) -> Module:
        """Forget a module, and return it: queued work may still need it."""
        return self._modules.remove(module)

    def variable(self, module: Handle, name: str) -> DeviceBuffer:
        """Return a module's variable as a buffer. Raises InvalidArgument."""
        try:
            return self._modules[module].variable(name)
        except self._cuda.errors as error:
            raise self._health.error_of(error, f"getting variable {name}") from error

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self.kernels.check_new(kernel)
        found = self._modules[module].kernel(name)
        try:
            bound = BoundKernel(self._cuda, found, self._unit)
        except self._cuda.errors as error:
            raise self._health.error_of(error, f"getting kernel {name}") from error
        self.kernels.add(kernel, bound)

    def clear(self) -> None:
        """Forget everything."""
        self.kernels.clear()
        self._modules.clear()
