"""A module on an OpenCL device: a built program and the kernels that it gives."""

from __future__ import annotations

from gon.errors import InvalidArgument, Unsupported
from gon.model import ModuleInfo
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_build import Facts, Signature, cut_log


class Module:
    """A built program; its kernels keep it alive."""

    __slots__ = ("_left_out", "_program", "_signatures", "info")

    def __init__(self, program: driver.Program, facts: Facts) -> None:
        self._program = program
        self._signatures = {signature.info.name: signature for signature in facts.signatures}
        self._left_out = facts.left_out
        notes = "".join(
            f"\nkernel {name} is left out: {why}" for name, why in facts.left_out.items()
        )
        self.info = ModuleInfo(tuple(s.info for s in facts.signatures), cut_log(facts.log + notes))

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
        return driver.create_kernel(self._program, name), signature
