"""StableHLO functions: what JAX exports, called like what it was exported from.

    dev.stablehlo(function)        exported at the first call with arrays of such shapes
    dev.stablehlo(exported)        jax.export.Exported, or what its serialize() gave
    dev.stablehlo(mlir_bytes)      without JAX: arrays in, arrays out

Arguments and results are trees of arrays, as JAX has them, where JAX is there. Arrays of the device
are used where they are; what is called is posted, and results are arrays of the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np
from numpy.typing import DTypeLike

from gon.errors import InvalidArgument
from gon_client.array import DeviceArray
from gon_client.function import Function, Output
from gon_client.jax_export import Exported, Jax, Sizes, Tree, is_exported, platform_index

if TYPE_CHECKING:
    from gon_client.models import Models
    from gon_client.stream import Stream

STABLEHLO: Final = "stablehlo"
# Kinds of arguments that one function is exported for at once: each is a module on the device.
EXPORTS_MAX: Final = 64
_BYTECODE: Final = b"ML\xefR"
_Shapes: TypeAlias = tuple[tuple[Sizes, np.dtype[np.generic]], ...]


class StableHlo(Function):
    """A StableHLO program on a device, called with arrays: its first function. Made by
    `Device.stablehlo`.
    """

    def __init__(self, device: Models, code: bytes, options: str = "") -> None:
        module = device.compile(code, STABLEHLO, options)
        super().__init__(module.get_kernel(module.kernel_names[0]))


class ExportedFunction:
    """An exported JAX function on a device. Made by `Device.stablehlo`."""

    def __init__(self, device: Models, jax: Jax, exported: Exported) -> None:
        self._jax = jax
        self._exported = exported
        options = (
            f"--platform-index={platform_index(exported)}" if len(exported.platforms) > 1 else ""
        )
        code = exported.mlir_module_serialized
        self._function = StableHlo(device, code, options)
        self._types = [np.dtype(cast(DTypeLike, each.dtype)) for each in exported.in_avals]
        self._results = [np.dtype(cast(DTypeLike, each.dtype)) for each in exported.out_avals]
        shapes = [each.shape for each in exported.out_avals]
        # Where only a call tells sizes of results, there are none here.
        is_fixed = all(isinstance(size, int) for each in shapes for size in each)
        self._outputs = self._made(cast("list[Sizes]", shapes)) if is_fixed else None
        # Sizes of results, by those of inputs.
        self._known: dict[_Shapes, list[Sizes]] = {}

    def __repr__(self) -> str:
        return f"ExportedFunction({self._function!r})"

    def __call__(self, *args: object, stream: Stream | None = None, **named: object) -> object:
        """Post a call; return its results as the function's own lie: arrays of the device.

        Raises InvalidArgument for arguments that lie otherwise, or of other shapes and elements.
        """
        return self.call_flat(*self._jax.leaves((args, named)), stream)

    def call_flat(self, leaves: Sequence[object], tree: Tree, stream: Stream | None) -> object:
        """As a call, with the arguments' leaves and how they lie."""
        if tree != self._exported.in_tree:
            raise InvalidArgument(f"arguments lie as {tree}, not as {self._exported.in_tree}")
        given = [
            np.asarray(leaf, dtype) if isinstance(leaf, bool | int | float) else _array(leaf)
            for leaf, dtype in zip(leaves, self._types, strict=True)
        ]
        made = self._made(self._result_shapes(given)) if self._outputs is None else self._outputs
        allocate = self._function.device.allocate
        out = [DeviceArray(allocate(size), 0, shape, dtype) for size, shape, dtype in made]
        kept = [given[place] for place in self._exported.module_kept_var_idx]
        self._function(*kept, out=out, stream=stream)
        return self._exported.out_tree.unflatten(out)

    def _made(self, shapes: Sequence[Sizes]) -> list[Output]:
        """Return what results of such sizes are."""
        return [
            Output(max(1, math.prod(shape) * dtype.itemsize), tuple(shape), dtype)
            for shape, dtype in zip(shapes, self._results, strict=True)
        ]

    def _result_shapes(self, given: Sequence[DeviceArray | np.ndarray]) -> list[Sizes]:
        key = shapes_of(given)
        known = self._known.get(key)
        if known is None:
            specs = [
                self._jax.spec(each.shape, dtype)
                for each, dtype in zip(given, self._types, strict=True)
            ]
            if len(self._known) >= EXPORTS_MAX:
                self._known.clear()
            known = self._known[key] = self._jax.result_shapes(self._exported, specs)
        return known


class TracedFunction:
    """A JAX function on a device, exported for each kind of arguments that it is called with. Made
    by `Device.stablehlo`.
    """

    def __init__(self, device: Models, function: Callable[..., object]) -> None:
        self._device = device
        self._function = function
        self._jax = Jax()
        self._exports: dict[tuple[object, _Shapes], ExportedFunction] = {}

    def __repr__(self) -> str:
        name = getattr(self._function, "__name__", repr(self._function))
        return f"TracedFunction({name}, exported {len(self._exports)} times)"

    def __call__(self, *args: object, stream: Stream | None = None, **named: object) -> object:
        """Post a call, as ExportedFunction does; the first of its kind exports and compiles."""
        leaves, tree = self._jax.leaves((args, named))
        given = [_array(each) for each in leaves]
        key = (tree, shapes_of(given))
        found = self._exports.get(key)
        if found is None:
            specs = [self._jax.spec(each.shape, each.dtype) for each in given]
            found = self._export(*cast("_Args", tree.unflatten(specs)))
            if len(self._exports) >= EXPORTS_MAX:
                del self._exports[next(iter(self._exports))]
            self._exports[key] = found
        return found.call_flat(leaves, tree, stream)

    def _export(self, args: Sequence[object], named: dict[str, object]) -> ExportedFunction:
        exported = self._jax.export(self._function, args, named)
        return ExportedFunction(self._device, self._jax, exported)


_Args: TypeAlias = tuple[tuple[object, ...], dict[str, object]]
Exportable: TypeAlias = bytes | str | Exported | Callable[..., object]


def stablehlo(
    device: Models, program: Exportable, specs: Sequence[object]
) -> StableHlo | ExportedFunction | TracedFunction:
    """Make a program callable; see Device.stablehlo."""
    if isinstance(program, str):
        program = program.encode()
    if isinstance(program, bytes | bytearray | memoryview):
        code = bytes(program)
        if code.startswith(_BYTECODE) or _is_text(code):
            return StableHlo(device, code)
        jax = Jax()
        return ExportedFunction(device, jax, jax.read(code))
    if is_exported(program):
        return ExportedFunction(device, Jax(), cast(Exported, program))
    if not callable(program):
        raise InvalidArgument(f"{type(program).__qualname__} is no function and no program")
    if not specs:
        return TracedFunction(device, program)
    jax = Jax()
    return ExportedFunction(device, jax, jax.export(program, specs, {}))


def _is_text(code: bytes) -> bool:
    """Return whether this may be MLIR's text: what JAX serializes begins with zeros soon."""
    return b"\0" not in code[:64]


def _array(leaf: object) -> DeviceArray | np.ndarray:
    return leaf if isinstance(leaf, DeviceArray) else np.asarray(leaf)


def shapes_of(arrays: Sequence[DeviceArray | np.ndarray]) -> _Shapes:
    """Return what tells one kind of arguments from another."""
    return tuple([(each.shape, each.dtype) for each in arrays])
