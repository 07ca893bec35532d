"""A module on an OpenCL device: a built program, the kernels that it gives, its variables."""

from __future__ import annotations

from gon.errors import InvalidArgument, Unsupported
from gon.model import ModuleInfo
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_build import Facts, Signature, cut_log
from gon_server.devices.opencl_memory import DeviceBuffer


class Module:
    """A built program; its kernels keep it alive, and its variables, one buffer for all of them."""

    __slots__ = ("_left_out", "_places", "_program", "_signatures", "info", "variables")

    def __init__(
        self, program: driver.Program, facts: Facts, variables: DeviceBuffer | None = None
    ) -> None:
        self._program = program
        self._signatures = {signature.info.name: signature for signature in facts.signatures}
        self._left_out = facts.left_out
        self._places = {place.info.name: place for place in facts.variables}
        self.variables = variables
        notes = "".join(
            f"\nkernel {name} is left out: {why}" for name, why in facts.left_out.items()
        )
        self.info = ModuleInfo(
            tuple(signature.info for signature in facts.signatures),
            cut_log(facts.log + notes),
            facts.source,
            tuple(place.info for place in facts.variables),
        )

    def __repr__(self) -> str:
        return f"Module({', '.join(self._signatures)})"

    def kernel(self, name: str) -> tuple[driver.Kernel, Signature]:
        """Return a kernel object of its own. Raises InvalidArgument, Unsupported, DriverError."""
        signature = self._signatures.get(name)
        if signature is None:
            if name in self._left_out:
                raise Unsupported(f"kernel {name} cannot be launched: {self._left_out[name]}")
            names = ", ".join(self._signatures) or "none"
            raise InvalidArgument(f"the module has no kernel {name!r}; it has: {names}")
        return driver.create_kernel(self._program, signature.symbol or name), signature

    def variable(self, name: str) -> DeviceBuffer:
        """Return a variable of the module as a buffer. Raises InvalidArgument, DriverError."""
        place = self._places.get(name)
        if place is None or self.variables is None:
            names = ", ".join(self._places) or "none"
            raise InvalidArgument(f"the module has no variable {name!r}; it has: {names}")
        return self.variables.part(place.offset_bytes, place.info.size_bytes)
