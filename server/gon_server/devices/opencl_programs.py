"""The programs of an OpenCL device: modules and kernels by handle, compiled here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from gon.limits import KERNELS_MAX, MODULES_MAX
from gon.model import DeviceInfo, Handle, ModuleInfo, Program
from gon_server.devices import opencl_driver as driver
from gon_server.devices.books import Table, check_format
from gon_server.devices.opencl_build import BUILT_FORMAT, Facts, build_program, pack, unpack
from gon_server.devices.opencl_driver import DriverError
from gon_server.devices.opencl_images import DeviceImages
from gon_server.devices.opencl_kernel import BoundKernel
from gon_server.devices.opencl_memory import DeviceBuffer
from gon_server.devices.opencl_program import Module
from gon_server.devices.opencl_trial import PROGRAM, Trial


class ProgramCalls:
    """What of the contract is programs alone; a base of the device."""

    _programs: Programs

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        return self._programs.load(module, program)

    @property
    def build_identity(self) -> str:
        return self._programs.build_identity

    @property
    def trial(self) -> bytes:
        return self._programs.trial.built

    def prepare_build(self) -> None:
        self._programs.prepare_build()

    def build(self, program: Program) -> bytes:
        return self._programs.build(program)

    def load_built(self, module: Handle, built: bytes) -> ModuleInfo:
        return self._programs.load_built(module, built)

    def unload(self, module: Handle) -> None:
        self._programs.unload(module)

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self._programs.get_kernel(kernel, module, name)

    def close_kernel(self, kernel: Handle) -> None:
        self._programs.kernels.remove(kernel)


class Programs:
    """Modules and kernels of one device; see gon.device.Device and gon.device.Builder."""

    def __init__(
        self,
        context: driver.Context,
        unit: driver.Unit,
        info: DeviceInfo,
        trial: Trial,
        allocate: Callable[[bytes], DeviceBuffer],
        images: DeviceImages | None,
    ) -> None:
        """`allocate` returns a buffer of given contents, for the variables of a module; `images`
        are what kernels may take besides.
        """
        self.trial = trial
        self._allocate = allocate
        self._images = images
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
            loaded = self._module(*build_program(self._context, self._unit, program))
        except DriverError as error:
            raise driver.error_of(error, "loading a module") from error
        self._modules.add(module, loaded)
        return loaded.info

    @property
    def build_identity(self) -> str:
        """What a build depends on beside its program: the runtime, the processor, our format."""
        return f"{self._info.driver}, {self._info.name}, format {BUILT_FORMAT}"

    def prepare_build(self) -> None:
        """Load the compiler, where opening the device has not."""
        if not self.trial.compiled:
            self.build(PROGRAM)

    def build(self, program: Program) -> bytes:
        check_format(program, self._info)
        try:
            return pack(*build_program(self._context, self._unit, program))
        except DriverError as error:
            raise driver.error_of(error, "building a program") from error

    def load_built(self, module: Handle, built: bytes) -> ModuleInfo:
        self._modules.check_new(module)
        try:
            loaded = self._module(*unpack(self._context, self._unit, built))
        except DriverError as error:
            raise driver.error_of(error, "loading a built module") from error
        self._modules.add(module, loaded)
        return loaded.info

    def _module(self, program: driver.Program, facts: Facts) -> Module:
        initial = facts.variables_initial
        return Module(program, facts, self._allocate(initial) if initial else None)

    def unload(self, module: Handle) -> None:
        self._modules.remove(module)

    def variable(self, module: Handle, name: str) -> DeviceBuffer:
        """Return a module's variable as a buffer. Raises InvalidArgument."""
        try:
            return self._modules[module].variable(name)
        except DriverError as error:
            raise driver.error_of(error, f"naming variable {name}") from error

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self.kernels.check_new(kernel)
        loaded = self._modules[module]
        try:
            bound = BoundKernel(
                *loaded.kernel(name), self._info, self._unit.address_bits, loaded.variables,
                self._images,
            )  # fmt: skip
        except DriverError as error:
            raise driver.error_of(error, f"getting kernel {name}") from error
        self.kernels.add(kernel, bound)

    def clear(self) -> None:
        """Forget everything."""
        self.kernels.clear()
        self._modules.clear()
