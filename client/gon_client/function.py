"""Functions of programs: tensors in, tensors out, in the device's memory.

A function is a kernel whose parameters are tensors (gon.model.Param.shape): its inputs, then its
outputs, then the sizes that only a call tells. A call checks, makes room for what is written, and
posts one launch; nobody waits.

Must not know: formats, engines.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from gon.errors import InvalidArgument, Unsupported
from gon.model import LaunchConfig, Param
from gon_client.array import DeviceArray
from gon_client.buffer import HostArray
from gon_client.launch import launch
from gon_client.module import Kernel

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.stream import Stream

# Gives NumPy the elements that it has not itself; JAX brings it along.
with suppress(ImportError):
    importlib.import_module("ml_dtypes")

Given: TypeAlias = DeviceArray | HostArray | np.generic | bool | int | float
_ONCE: Final = LaunchConfig(1, 1)


class Function:
    """A function of a module on a device."""

    def __init__(self, kernel: Kernel) -> None:
        """Take a kernel of tensors. Raises Unsupported for any other."""
        tensors = [each for each in kernel.info.params if each.shape is not None]
        if not any(each.writes for each in tensors):
            raise Unsupported(f"{kernel.info.name} is a kernel: gon.launch runs it")
        self._kernel = kernel
        self._inputs = tuple(each for each in tensors if not each.writes)
        self._outputs = tuple(each for each in tensors if each.writes)
        self._sizes = tuple(each.name for each in kernel.info.params if each.shape is None)
        self._input_types = tuple(_dtype_of(each) for each in self._inputs)
        self._output_types = tuple(_dtype_of(each) for each in self._outputs)

    def __repr__(self) -> str:
        takes = ", ".join(_spelled(each) for each in self._inputs)
        gives = ", ".join(_spelled(each) for each in self._outputs)
        return f"Function({self._kernel.info.name}({takes}) -> ({gives}))"

    @property
    def device(self) -> Device:
        return self._kernel.device

    @property
    def inputs(self) -> tuple[Param, ...]:
        """What it takes."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Param, ...]:
        """What it gives."""
        return self._outputs

    def call(
        self,
        inputs: Sequence[Given],
        *,
        out: Sequence[DeviceArray] | None = None,
        shapes: Sequence[Sequence[int]] | None = None,
        stream: Stream | None = None,
    ) -> list[DeviceArray]:
        """Post a call; return its results, which are written once it has run.

        Arrays of the device are read in place, others are uploaded. Results are written to `out`
        where given, else to new arrays; `shapes` says their sizes where only the call tells those.
        Raises InvalidArgument for arrays of other elements or shapes than the function takes.
        """
        if len(inputs) != len(self._inputs):
            raise InvalidArgument(
                f"{self._kernel.info.name} takes {len(self._inputs)} arrays, not {len(inputs)}"
            )
        sizes: dict[str, int] = {}
        arrays: list[DeviceArray] = []
        for param, dtype, given in zip(self._inputs, self._input_types, inputs, strict=True):
            array = self._array(param, dtype, given)
            _fit(param, array.shape, sizes)
            arrays.append(array)
        made = self._room(sizes, out, shapes)
        told = [np.int64(sizes[name]) for name in self._sizes]
        stream = stream or self.device.default_stream
        launch(stream, _ONCE, self._kernel, *arrays, *made, *told)
        return made

    def _array(self, param: Param, dtype: np.dtype[np.generic], given: Given) -> DeviceArray:
        """Return what stands for an input, on the device."""
        if isinstance(given, DeviceArray):
            self.device.own(given, param.name)
            _check_type(param, dtype, given.dtype)
            return given
        host = np.asarray(given)
        if not isinstance(given, bool | int | float):
            _check_type(param, dtype, host.dtype)
        elif not np.can_cast(np.min_scalar_type(host), dtype, "same_kind"):
            raise InvalidArgument(f"{param.name} is {param.type_name}, not {given!r}")
        if host.dtype.itemsize == dtype.itemsize:
            host = host.view(dtype) if host.dtype != dtype and host.ndim else host
        return self.device.asarray(host.astype(dtype, copy=False))

    def _room(
        self,
        sizes: dict[str, int],
        out: Sequence[DeviceArray] | None,
        shapes: Sequence[Sequence[int]] | None,
    ) -> list[DeviceArray]:
        """Return where the results go."""
        for what in (out, shapes):
            if what is not None and len(what) != len(self._outputs):
                raise InvalidArgument(
                    f"{self._kernel.info.name} gives {len(self._outputs)} arrays, not {len(what)}"
                )
        said = shapes if out is None else [each.shape for each in out]
        for param, shape in zip(self._outputs, said or (), strict=False):
            _fit(param, tuple(shape), sizes)
        if out is not None:
            for param, dtype, array in zip(self._outputs, self._output_types, out, strict=True):
                self.device.own(array, param.name)
                _check_type(param, dtype, array.dtype)
            return list(out)
        made: list[DeviceArray] = []
        for param, dtype in zip(self._outputs, self._output_types, strict=True):
            made.append(self.device.empty(_shape_of(param, sizes), dtype))
        return made


def _fit(param: Param, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    """Take the sizes that a shape tells. Raises InvalidArgument for another one than is taken."""
    wanted = param.shape or ()
    fits = len(shape) == len(wanted)
    for size, dim in zip(shape, wanted, strict=False):
        fits = fits and size == (sizes.setdefault(dim, size) if isinstance(dim, str) else dim)
    if not fits:
        raise InvalidArgument(f"{_spelled(param)} is needed, not an array of shape {list(shape)}")


def _shape_of(param: Param, sizes: Mapping[str, int]) -> tuple[int, ...]:
    try:
        return tuple(sizes[dim] if isinstance(dim, str) else dim for dim in param.shape or ())
    except KeyError as error:
        raise InvalidArgument(
            f"{_spelled(param)}: only the caller knows its sizes: give out or shapes"
        ) from error


def _check_type(param: Param, dtype: np.dtype[np.generic], given: np.dtype[np.generic]) -> None:
    """Raise InvalidArgument for other elements; bytes stand for those that NumPy has not."""
    if given != dtype and not (given.kind == "V" and given.itemsize == param.size_bytes):
        raise InvalidArgument(f"{_spelled(param)} is needed, not an array of {given}")


def _dtype_of(param: Param) -> np.dtype[np.generic]:
    """Return the elements as NumPy has them; as bytes where it has not."""
    if param.dtype:
        return np.dtype(param.dtype)
    try:
        return np.dtype(param.type_name)
    except TypeError:
        return np.dtype(f"V{param.size_bytes}")


def _spelled(param: Param) -> str:
    sizes = ", ".join(str(each) for each in param.shape or ())
    return f"{param.name}: {param.type_name}[{sizes}]"
