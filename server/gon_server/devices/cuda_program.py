"""A module on a CUDA device: a loaded image, and the kernels and variables that it gives."""

from __future__ import annotations

from gon.errors import InvalidArgument, Unsupported
from gon.model import Dim3, KernelInfo, ModuleInfo
from gon_server.devices.cuda_build import Built, Signature
from gon_server.devices.cuda_cubin import ParamSize, params_of
from gon_server.devices.cuda_driver import Cuda, CudaFunction
from gon_server.devices.cuda_kernel import max_threads
from gon_server.devices.cuda_memory import DeviceBuffer


class Module:
    """A loaded program; its kernels and variables keep it loaded."""

    __slots__ = ("_kernels", "_left_out", "_module", "_variables", "info")

    def __init__(self, cuda: Cuda, built: Built, param_size: ParamSize) -> None:
        """Load it. Raises CompileError, Unsupported, CUDA's errors."""
        self._module = cuda.api.function.Module()
        self._module.load(built.image)
        self._left_out = built.left_out
        self._kernels = {
            signature.name: self._kernel(cuda, signature, param_size)
            for signature in built.signatures
        }
        self._variables = {variable.info.name: variable for variable in built.variables}
        self.info = ModuleInfo(
            kernels=tuple(info for _function, info, _block in self._kernels.values()),
            log=built.log,
            globals=tuple(variable.info for variable in built.variables),
        )

    def _kernel(
        self, cuda: Cuda, signature: Signature, param_size: ParamSize
    ) -> tuple[CudaFunction, KernelInfo, Dim3 | None]:
        function = self._module.get_function(signature.symbol)
        params = signature.params
        if params is None:
            params = params_of(function.ptr, param_size)
        info = KernelInfo(signature.name, params, max_threads(cuda, function))
        return function, info, signature.required_block

    def __repr__(self) -> str:
        return f"Module({', '.join(self._kernels)})"

    def kernel(self, name: str) -> tuple[CudaFunction, KernelInfo, Dim3 | None]:
        """Return a kernel, and the shape of its blocks if it demands one.

        Raises InvalidArgument, Unsupported.
        """
        found = self._kernels.get(name)
        if found is None:
            if name in self._left_out:
                raise Unsupported(f"kernel {name} cannot be launched: {self._left_out[name]}")
            names = ", ".join(self._kernels) or "none"
            raise InvalidArgument(f"the module has no kernel {name!r}; it has: {names}")
        return found

    def variable(self, name: str) -> DeviceBuffer:
        """Return a variable as a buffer. Raises InvalidArgument, CUDA's errors."""
        found = self._variables.get(name)
        if found is None:
            names = ", ".join(self._variables) or "none"
            raise InvalidArgument(f"the module has no variable {name!r}; it has: {names}")
        address = self._module.get_global_var(found.symbol)
        return DeviceBuffer(address, found.info.size_bytes, self, borrowed=True)
