"""The programs of an OpenCL device: modules and kernels by handle, compiled here or elsewhere."""

from __future__ import annotations

from gon.errors import InvalidArgument
from gon.limits import KERNELS_MAX, MODULES_MAX
from gon.model import DeviceInfo, Handle, ModuleInfo, Program
from gon_server.devices import opencl_driver as driver
from gon_server.devices.books import Table, check_format
from gon_server.devices.opencl_build import build_program, pack, unpack
from gon_server.devices.opencl_driver import DriverError
from gon_server.devices.opencl_kernel import BoundKernel
from gon_server.devices.opencl_program import Module


class Programs:
    """Modules and kernels of one device; see gon.device.Device and gon.device.Builder."""

    def __init__(self, context: driver.Context, unit: driver.Unit, info: DeviceInfo) -> None:
        self._context = context
        self._unit = unit
        self._info = info
        self._modules: Table[Module] = Table("module", MODULES_MAX)
        self.kernels: Table[BoundKernel] = Table("kernel", KERNELS_MAX)

    def __repr__(self) -> str:
        return f"Programs({len(self._modules)} modules, {len(self.kernels)} kernels)"

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        self._modules.check_new(module)
        check_format(program, self._info)
        try:
            loaded = Module(*build_program(self._context, self._unit, program))
        except DriverError as error:
            raise driver.error_of(error, "loading a module") from error
        self._modules.add(module, loaded)
        return loaded.info

    def build(self, program: Program) -> bytes:
        check_format(program, self._info)
        try:
            return pack(*build_program(self._context, self._unit, program))
        except DriverError as error:
            raise driver.error_of(error, "building a program") from error

    def load_built(self, module: Handle, built: bytes) -> ModuleInfo:
        self._modules.check_new(module)
        try:
            loaded = Module(*unpack(self._context, self._unit, built))
        except DriverError as error:
            raise driver.error_of(error, "loading a built module") from error
        self._modules.add(module, loaded)
        return loaded.info

    def unload(self, module: Handle) -> None:
        self._modules.remove(module)

    def check_global(self, module: Handle, name: str) -> None:
        """Raise InvalidArgument: no format that is taken has variables that a host can name."""
        self._modules.check(module)
        raise InvalidArgument(f"the module has no variable {name!r}")

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self.kernels.check_new(kernel)
        loaded = self._modules[module]
        try:
            bound = BoundKernel(*loaded.kernel(name), self._info, self._unit.address_bits)
        except DriverError as error:
            raise driver.error_of(error, f"getting kernel {name}") from error
        self.kernels.add(kernel, bound)

    def clear(self) -> None:
        """Forget everything."""
        self.kernels.clear()
        self._modules.clear()
