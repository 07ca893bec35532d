"""Modules and their kernels: what a source compiled to on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.errors import InvalidArgument
from gon.model import Handle, KernelInfo, ModuleInfo
from gon.native import NATIVE
from gon_client.arguments import takes_of
from gon_client.function import Function
from gon_client.staying import Stays

if TYPE_CHECKING or NATIVE:
    from gon_client._launcher import Launcher
if TYPE_CHECKING:
    from gon_client.buffer import Buffer
    from gon_client.device import Device


class Kernel(Stays):
    """A function that launches run. Made by `Module.get_kernel`; `info` is its signature."""

    __slots__ = ("__weakref__", "device", "handle", "info", "launcher", "takes")

    def __init__(self, device: Device, handle: Handle, info: KernelInfo) -> None:
        self.device = device
        self.handle = handle
        self.info = info
        # What a launch needs, found once.
        self.takes = takes_of(info, device)
        self.launcher = None if device.express is None else Launcher(self, device.express)

    def __repr__(self) -> str:
        params = ", ".join(f"{param.type_name} {param.name}" for param in self.info.params)
        return f"Kernel({self.info.name}({params}))"

    def __del__(self) -> None:
        self.device.drop(self.device.own_contract.close_kernel, self.handle)


class Module(Stays):
    """A compiled source. Made by `Device.compile`; `log` is what the compiler said."""

    __slots__ = ("__weakref__", "_info", "device", "handle")

    def __init__(self, device: Device, handle: Handle, info: ModuleInfo) -> None:
        self.device = device
        self.handle = handle
        self._info = info

    def __repr__(self) -> str:
        return f"Module({', '.join(self.kernel_names)})"

    @property
    def kernel_names(self) -> tuple[str, ...]:
        return tuple(kernel.name for kernel in self._info.kernels)

    @property
    def log(self) -> str:
        return self._info.log

    @property
    def source(self) -> str:
        """The text the unit's compiler was given where the program was translated, else ""."""
        return self._info.source

    @property
    def global_names(self) -> tuple[str, ...]:
        return tuple(info.name for info in self._info.globals)

    def get_global(self, name: str) -> Buffer:
        """Return a `__constant__` or `__device__` variable of the source as a buffer.

        It is the variable itself: what is copied there is what kernels see from then on, in the
        order of streams. Raises InvalidArgument listing the names there are.
        """
        for info in self._info.globals:
            if info.name == name:
                return self.device.make_global(self.handle, info)
        known = ", ".join(self.global_names) or "none"
        raise InvalidArgument(f"the module has no variable {name!r}; there are: {known}")

    def get_kernel(self, name: str) -> Kernel:
        """Return the kernel of that name. Raises InvalidArgument listing the names there are."""
        for info in self._info.kernels:
            if info.name == name:
                return self.device.make_kernel(self.handle, info)
        known = ", ".join(self.kernel_names) or "none"
        raise InvalidArgument(f"the module has no kernel {name!r}; there are: {known}")

    def get_function(self, name: str) -> Function:
        """Return a function of a module that an engine runs, to be called with arrays.

        Raises InvalidArgument listing the names there are.
        """
        return Function(self.get_kernel(name))

    def __del__(self) -> None:
        self.device.drop(self.device.own_contract.unload, self.handle)
