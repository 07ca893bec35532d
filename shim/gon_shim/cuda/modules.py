"""Modules, their functions and variables.

What a unit takes decides: PTX and machine code go to CUDA GPUs as they are, and nowhere else. CUDA
C's source is no image of CUDA's own; here it is one, on every unit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from _gon_cuda import ffi, lib
from gon.errors import InvalidArgument
from gon_client.module import Kernel
from gon_client.module import Module as Loaded
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import CuError, require, say
from gon_shim.cuda.handles import Handles
from gon_shim.cuda.images import read_image
from gon_shim.cuda.scopes import Scope, current, ends, unit
from gon_shim.cuda.unit import UNIT

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers

_Thing = TypeVar("_Thing")

_REFUSALS: Final = {
    "ptx": lib.CUDA_ERROR_INVALID_PTX,
    "cubin": lib.CUDA_ERROR_NO_BINARY_FOR_GPU,
    "fatbin": lib.CUDA_ERROR_NO_BINARY_FOR_GPU,
    "cuda-c": lib.CUDA_ERROR_INVALID_SOURCE,
}


class Module:
    """A module of a context, with what programs have asked of it."""

    def __init__(self, loaded: Loaded, scope: Scope) -> None:
        self.loaded = loaded
        self.scope = scope
        self.functions: dict[str, CData] = {}
        self.addresses: dict[str, int] = {}

    def end(self) -> None:
        """Forget its functions and variables."""
        for function in self.functions.values():
            FUNCTIONS.take(function)
        UNIT.free_of(self)


_MODULES = Handles[Module]("CUmodule", lib.CUDA_ERROR_INVALID_HANDLE)
FUNCTIONS: Final = Handles[Kernel]("CUfunction", lib.CUDA_ERROR_INVALID_HANDLE)


@entry("cuModuleLoadData")
def load(at: Pointers, image: CData) -> None:
    require(at and image, lib.CUDA_ERROR_INVALID_VALUE)
    here = unit()
    read = read_image(image)
    formats = here.device.info.formats
    if read.code_format not in formats:
        say(f"{here.device.name} takes {', '.join(formats)}; a module in {read.code_format} came")
        raise CuError(_REFUSALS[read.code_format])
    code = read.code if read.code_format == "cubin" else read.code.decode(errors="replace")
    at[0] = _MODULES.add(Module(here.device.compile(code, read.code_format), current()))


@entry("cuModuleLoadDataEx")
def load_with(
    at: Pointers, image: CData, _count: int, _options: Numbers, _values: Pointers
) -> None:
    # Options of the compiler for PTX: those that matter say where its words go.
    load(at, image)


@entry("cuModuleUnload")
def unload(handle: CData) -> None:
    unit()
    _MODULES.take(handle).end()


@ends
def _end(scope: Scope) -> None:
    for module in _MODULES.take_all(lambda module: module.scope is scope):
        module.end()


@entry("cuModuleGetFunction")
def get_function(at: Pointers, handle: CData, name_at: CData) -> None:
    require(at and name_at, lib.CUDA_ERROR_INVALID_VALUE)
    module = _MODULES.of(handle)
    name = ffi.string(name_at).decode(errors="replace")
    if name not in module.functions:
        kernel = _found(name, module.loaded.get_kernel)
        module.functions[name] = FUNCTIONS.add(kernel)
    at[0] = module.functions[name]


@entry("cuModuleGetGlobal_v2")
def get_global(address_at: Numbers, size_at: Numbers, handle: CData, name_at: CData) -> None:
    require(name_at, lib.CUDA_ERROR_INVALID_VALUE)
    here, module = unit(), _MODULES.of(handle)
    name = ffi.string(name_at).decode(errors="replace")
    if name not in module.addresses:
        module.addresses[name] = here.add(_found(name, module.loaded.get_global), module)
    address = module.addresses[name]
    if address_at:
        address_at[0] = address
    if size_at:
        size_at[0] = here.at(address)[0].size_bytes


@entry("cuFuncGetAttribute")
def function_attribute(at: Numbers, what: int, handle: CData) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    known = ffi.typeof("CUfunction_attribute").elements
    require(what in known, lib.CUDA_ERROR_INVALID_VALUE)
    kernel = FUNCTIONS.of(handle)
    most = lib.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
    at[0] = kernel.info.max_block if what == most else 0


def _found(name: str, look: Callable[[str], _Thing]) -> _Thing:
    """Return what a module has by this name. Raises CuError."""
    try:
        return look(name)
    except InvalidArgument as error:
        say(error.message)
        raise CuError(lib.CUDA_ERROR_NOT_FOUND) from None
