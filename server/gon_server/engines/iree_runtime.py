"""The edge to IREE's runtime: the narrow surface of it that is used, typed, and the one place that
maps its errors.

One device serves a process: `local-sync`, which runs a program in the thread that calls it. Of what
was measured (ARCHITECTURE.md) it answers small programs in less than half the time of `local-task`.

Memory of the host is imported, not copied: IREE gets its address and nothing else, so a call keeps
what it is given. An address must be a multiple of `ALIGNMENT_BYTES`, for code
is compiled to load from such: IREE takes others and crashes.

Must not know: engines, where memory came from.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from gon.errors import DeviceError, GonError, InvalidArgument, OutOfMemory

ALIGNMENT_BYTES: Final = 64
_BYTES: Final = np.dtype(np.uint8)
_DEVICE: Final = "local-sync"

# What IREE calls the elements that MLIR calls so; signs are none of its business.
_ELEMENTS: Final = {
    "i1": "BOOL_8",
    "i8": "INT_8",
    "i16": "INT_16",
    "i32": "INT_32",
    "i64": "INT_64",
    "ui8": "INT_8",
    "ui16": "INT_16",
    "ui32": "INT_32",
    "ui64": "INT_64",
    "bf16": "BFLOAT_16",
    "f16": "FLOAT_16",
    "f32": "FLOAT_32",
    "f64": "FLOAT_64",
    "complex<f32>": "COMPLEX_64",
    "complex<f64>": "COMPLEX_128",
}
# What its bindings make of what goes wrong, by the status.
_ERRORS: Final = (RuntimeError, ValueError, IndexError)
# What a program says of arguments that it does not take.
_REFUSALS: Final = frozenset(("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"))
# `Error invoking function: <file>:<line>: <STATUS>; <words>; …`
_STATUS: Final = re.compile(r":\d+: (?P<status>[A-Z_]+); (?P<words>.*)", re.DOTALL)


class _Buffer(Protocol):
    """Memory, as IREE sees it."""


class _Mapped(Protocol):
    def asarray(self, shape: list[int], dtype: np.dtype[np.uint8], /) -> NDArray[np.uint8]: ...


class _View(Protocol):
    @property
    def shape(self) -> list[int]: ...
    @property
    def byte_length(self) -> int: ...
    def map(self) -> _Mapped: ...


class _Allocator(Protocol):
    def import_host_allocation(
        self, memory: ctypes.Array[ctypes.c_char], memory_type: int, usage: int, /
    ) -> _Buffer: ...


class _Device(Protocol):
    @property
    def allocator(self) -> _Allocator: ...


class _Driver(Protocol):
    def create_device_by_uri(self, uri: str, /) -> _Device: ...


class _List(Protocol):
    def push_ref(self, value: _Buffer | _View, /) -> None: ...
    def get_as_object(self, index: int, kind: object, /) -> _View: ...


class _Function(Protocol):
    @property
    def reflection(self) -> dict[str, str]: ...


class _Module(Protocol):
    @property
    def function_names(self) -> list[str]: ...
    def lookup_function(self, name: str, /) -> _Function | None: ...


class _ModuleClass(Protocol):
    def copy_buffer(self, instance: object, image: bytes, /) -> _Module: ...


class _ViewClass(Protocol):
    def __call__(self, buffer: _Buffer, shape: Sequence[int], element: int, /) -> _View: ...


class _Instance(Protocol):
    def invoke(self, function: _Function, given: _List, got: _List, /) -> None: ...


class _Binding(Protocol):
    """`iree.runtime._binding`: its names are IREE's own."""

    @property
    def VmModule(self) -> _ModuleClass: ...
    @property
    def HalBufferView(self) -> _ViewClass: ...
    @property
    def HalElementType(self) -> object: ...
    @property
    def MemoryType(self) -> object: ...
    @property
    def BufferUsage(self) -> object: ...

    def VmInstance(self) -> object: ...
    def VmContext(self, instance: object, modules: Sequence[_Module], /) -> _Instance: ...
    def VmVariantList(self, capacity: int, /) -> _List: ...
    def create_hal_module(self, instance: object, device: _Device, /) -> _Module: ...
    def get_cached_hal_driver(self, uri: str, /) -> _Driver: ...


_binding = cast(_Binding, importlib.import_module("iree.runtime._binding"))


class Given(NamedTuple):
    """A tensor that a program is given: where it is, its bytes, its element, its sizes; and what
    keeps its memory.
    """

    address: int
    size_bytes: int
    element: str
    shape: tuple[int, ...]
    owner: object = None


class Runtime:
    """IREE's runtime with its device."""

    def __init__(self) -> None:
        self._instance = _binding.VmInstance()
        device = _binding.get_cached_hal_driver(_DEVICE).create_device_by_uri(_DEVICE)
        self._hal = _binding.create_hal_module(self._instance, device)
        self._import = device.allocator.import_host_allocation
        self._memory_type = _sum(
            _binding.MemoryType, "HOST_LOCAL", "HOST_COHERENT", "DEVICE_VISIBLE"
        )
        self._usage = _sum(_binding.BufferUsage, "DEFAULT", "MAPPING")
        self._elements = {
            each: _sum(_binding.HalElementType, name) for each, name in _ELEMENTS.items()
        }
        # What stands for tensors of no elements, which need no memory.
        self._nothing = ctypes.create_string_buffer(2 * ALIGNMENT_BYTES)

    def load(self, image: bytes) -> Loaded:
        """Load a module. Raises DeviceError for what is none of this version."""
        try:
            module = _binding.VmModule.copy_buffer(self._instance, image)
            context = _binding.VmContext(self._instance, [self._hal, module])
            return Loaded(self, context, module)
        except _ERRORS as error:
            raise _mapped(error) from None

    def memory(self, address: int, size_bytes: int) -> _Buffer:
        """Return memory of the host as IREE sees it. Whoever asks keeps the memory."""
        if not size_bytes:
            start = ctypes.addressof(self._nothing)
            address, size_bytes = start + -start % ALIGNMENT_BYTES, 1
        there = (ctypes.c_char * size_bytes).from_address(address)
        return self._import(there, self._memory_type, self._usage)

    def view(self, given: Given) -> tuple[_Buffer, _View]:
        """Return a tensor as IREE sees it, and the memory that must live as long."""
        buffer = self.memory(given.address, given.size_bytes)
        return buffer, _binding.HalBufferView(buffer, given.shape, self._elements[given.element])


class Loaded:
    """A module whose functions can be run: by one thread at a time. `declarations` is how the
    module itself declares them, by name.
    """

    def __init__(self, runtime: Runtime, context: _Instance, module: _Module) -> None:
        self._runtime = runtime
        self._context = context
        self._functions = {
            name: function
            for name in module.function_names
            if (function := module.lookup_function(name)) is not None
        }
        self.declarations = {
            name: function.reflection.get("iree.abi.declaration", "")
            for name, function in self._functions.items()
        }

    def call(
        self,
        name: str,
        inputs: Sequence[Given],
        outputs: Sequence[Given],
        *,
        in_place: bool,
        fixed: bool,
    ) -> Call:
        """Make a call ready that reads the inputs where they are, and has the results where the
        outputs are: the function takes those too and writes them itself, or without `in_place` its
        results are copied there. With `fixed` results have the same sizes each time, so they are
        looked at once.

        Raises InvalidArgument for what cannot be passed, DeviceError.
        """
        function = self._functions[name]
        given = _binding.VmVariantList(len(inputs) + len(outputs))
        kept: list[object] = [each.owner for each in (*inputs, *outputs)]
        try:
            for each in inputs:
                buffer, view = self._runtime.view(each)
                kept.append(buffer)
                given.push_ref(view)
            for each in outputs if in_place else ():
                buffer = self._runtime.memory(each.address, each.size_bytes)
                kept.append(buffer)
                given.push_ref(buffer)
        except _ERRORS as error:
            raise _mapped(error) from None
        return Call(
            *(self._context, function, given, tuple(outputs), kept),
            copied=not in_place,
            fixed=fixed,
        )


class Call:
    """A function and what it is run on."""

    __slots__ = (
        "_context", "_copied", "_fixed", "_function", "_given", "_kept", "_looked", "_outputs",
    )  # fmt: skip

    def __init__(
        self,
        context: _Instance,
        function: _Function,
        given: _List,
        outputs: tuple[Given, ...],
        kept: list[object],
        *,
        copied: bool,
        fixed: bool,
    ) -> None:
        self._context = context
        self._function = function
        self._given = given
        self._outputs = outputs
        self._kept = kept
        self._copied = copied
        self._fixed = fixed
        self._looked = False

    def run(self, data: Sequence[bytes] = ()) -> None:  # noqa: ARG002 - programs take none
        """Run the function; return once it has. Raises InvalidArgument for what it refuses, or if
        its results have other sizes than was said, DeviceError, OutOfMemory.
        """
        try:
            got = self.invoke()
            if self._looked:
                return
            for place, output in enumerate(self._outputs):
                view = got.get_as_object(place, _binding.HalBufferView)
                made = tuple(view.shape)
                if made != output.shape:
                    words = f"result {place} has sizes {made}, not {output.shape}"
                    raise RuntimeError(f":0: INVALID_ARGUMENT; {words}")
                if view.byte_length != output.size_bytes:
                    # A module's declaration of itself is only its word.
                    words = f"result {place} has {view.byte_length} bytes"
                    raise RuntimeError(f":0: INVALID_ARGUMENT; {words}, not {output.size_bytes}")
                if self._copied and output.size_bytes:
                    there = (ctypes.c_ubyte * output.size_bytes).from_address(output.address)
                    made_here = view.map().asarray([output.size_bytes], _BYTES)
                    np.frombuffer(memoryview(there), np.uint8)[:] = made_here
        except _ERRORS as error:
            raise _mapped(error) from None
        self._looked = self._fixed

    def invoke(self) -> _List:
        """Call the library and nothing else; return what it gives. Raises what it raises."""
        got = _binding.VmVariantList(len(self._outputs))
        self._context.invoke(self._function, self._given, got)
        return got


def _sum(flags: object, *names: str) -> int:
    total = 0
    for name in names:
        total |= int(getattr(flags, name))
    return total


def _mapped(error: Exception) -> GonError:
    """Return what stands for an error of the runtime's."""
    match = _STATUS.search(str(error))
    status, words = ("", str(error)) if match is None else (match["status"], match["words"])
    words = words.split("; while ")[0].strip().rstrip(";")[:1000]
    if status in _REFUSALS:
        return InvalidArgument(f"the program refuses this: {words}")
    if status == "RESOURCE_EXHAUSTED":
        return OutOfMemory(f"the program has no memory: {words}")
    return DeviceError(f"the program has failed: {words}")
