"""Functions of engines: a model as a callable from device arrays to device arrays.

A function is a kernel whose parameters are tensors (gon.model.Param). Calling it checks what it is
given, makes what it gives back, and posts one launch: nothing waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gon.errors import BadHandle, InvalidArgument, KernelArgumentError
from gon.model import LaunchConfig, Param, ParamKind
from gon_client.array import DeviceArray
from gon_client.buffer import HostArray
from gon_client.launch import launch

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.module import Kernel
    from gon_client.stream import Stream

Given: TypeAlias = DeviceArray | HostArray
Outputs: TypeAlias = DeviceArray | Sequence[DeviceArray]

_ONCE = LaunchConfig(1)


class Function:
    """One function of a loaded program. Made by `Device.onnx` and `Module.get_function`."""

    def __init__(self, kernel: Kernel) -> None:
        """Raises InvalidArgument for a kernel that is no function of an engine."""
        params = kernel.info.params
        tensors = [param for param in params if param.shape is not None]
        if any(param.kind is not ParamKind.VALUE for param in params if param.shape is None):
            raise InvalidArgument(f"{kernel.info.name} is a kernel: gon.launch runs it")
        self.kernel = kernel
        self._inputs = [param for param in tensors if not param.writes]
        self._outputs = [param for param in tensors if param.writes]
        self._values = {param.name for param in params if param.shape is None}

    def __repr__(self) -> str:
        def told(params: Sequence[Param]) -> str:
            return ", ".join(_told(param) for param in params)

        return f"Function({self.kernel.info.name}({told(self._inputs)}) -> {told(self._outputs)})"

    @property
    def device(self) -> Device:
        return self.kernel.device

    def __call__(
        self,
        *inputs: Given,
        out: Outputs | None = None,
        stream: Stream | None = None,
        **values: object,
    ) -> DeviceArray | tuple[DeviceArray, ...]:
        """Queue the function and return its output, a tuple where there are several.

        Inputs are device arrays, or NumPy arrays, which are uploaded. Outputs are `out`, or new
        arrays; one whose size the inputs do not tell needs an `out`. Other parameters are given by
        name. Returns at once; an error of the function is raised by the next wait, naming this
        call's line.

        Raises KernelArgumentError (count, type or shape, naming what was given), BadHandle.
        """
        dims: dict[str, int] = {}
        told_by: dict[str, str] = {}
        self._check_count("inputs", len(inputs), self._inputs)
        for param, given in zip(self._inputs, inputs, strict=True):
            self._check(param, given, dims, told_by)
        results = self._results(out, dims, told_by)
        device = self.device
        arrays = [
            each if isinstance(each, DeviceArray) else device.asarray(each) for each in inputs
        ]
        named = {
            param.name: array
            for param, array in zip(
                (*self._inputs, *self._outputs), (*arrays, *results), strict=True
            )
        }
        args = [
            named[param.name] if param.shape is not None else self._value(param.name, dims, values)
            for param in self.kernel.info.params
        ]
        if unknown := [name for name in values if name not in self._values]:
            raise KernelArgumentError(f"{self!r} has no parameter {unknown[0]!r}")
        launch(stream or device.default_stream, _ONCE, self.kernel, *args)
        return results[0] if len(results) == 1 else tuple(results)

    def _results(
        self, out: Outputs | None, dims: dict[str, int], told_by: dict[str, str]
    ) -> list[DeviceArray]:
        if out is not None:
            given = [out] if isinstance(out, DeviceArray) else list(out)
            self._check_count("outputs", len(given), self._outputs)
            for param, array in zip(self._outputs, given, strict=True):
                self._check(param, array, dims, told_by)
            return given
        made: list[DeviceArray] = []
        for param in self._outputs:
            shape: list[int] = []
            for dim in param.shape or ():
                if isinstance(dim, str) and dim not in dims:
                    raise KernelArgumentError(
                        f"{self.kernel.info.name}: the inputs do not tell how large {_told(param)} "
                        "is: give it by out="
                    )
                shape.append(dims[dim] if isinstance(dim, str) else dim)
            made.append(self.device.empty(shape, _dtype_of(param)))
        return made

    def _check_count(self, what: str, given: int, params: Sequence[Param]) -> None:
        if given != len(params):
            names = ", ".join(_told(param) for param in params)
            raise KernelArgumentError(
                f"{self.kernel.info.name} has {len(params)} {what} ({names}), {given} were given"
            )

    def _check(
        self, param: Param, given: Given, dims: dict[str, int], told_by: dict[str, str]
    ) -> None:
        """Raise KernelArgumentError unless the array can be that tensor; learn its dimensions."""
        name = self.kernel.info.name
        if isinstance(given, DeviceArray):
            if given.buffer.closed or given.device is not self.device:
                why = "closed" if given.device is self.device else "another device's"
                raise BadHandle(f"{name}, {param.name}: the array is {why}")
        elif not hasattr(given, "dtype"):
            what = type(given).__name__
            raise KernelArgumentError(f"{name}, {param.name}: an array is needed, not a {what}")
        shape = tuple(given.shape)
        wrong = f"{name}: {_told(param)} is needed, {given.dtype}{list(shape)} was given"
        wanted = param.shape or ()
        if not _fits(param, given.dtype) or len(shape) != len(wanted):
            raise KernelArgumentError(wrong)
        for dim, size in zip(wanted, shape, strict=True):
            if isinstance(dim, int):
                if dim != size:
                    raise KernelArgumentError(wrong)
            elif dims.setdefault(dim, size) != size:
                raise KernelArgumentError(f"{wrong}; {dim} is {dims[dim]} by {told_by[dim]}")
            else:
                told_by.setdefault(dim, param.name)

    def _value(self, name: str, dims: Mapping[str, int], values: Mapping[str, object]) -> object:
        if name in values:
            return values[name]
        if name in dims:
            return np.int64(dims[name])
        raise KernelArgumentError(f"{self.kernel.info.name}: {name}= is needed")


def _told(param: Param) -> str:
    return f"{param.name} {param.type_name}[{', '.join(map(str, param.shape or ()))}]"


def _dtype_of(param: Param) -> np.dtype[np.generic]:
    return np.dtype(param.dtype or f"V{param.size_bytes}")


def _fits(param: Param, dtype: np.dtype[np.generic]) -> bool:
    """Return whether an array has the tensor's elements; those that NumPy has not go by their name,
    as other packages define them, or as bytes of their size.
    """
    if param.dtype:
        return dtype == np.dtype(param.dtype)
    return dtype.name == param.type_name or dtype == _dtype_of(param)
