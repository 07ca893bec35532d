"""Functions of engines: a model as a callable from device arrays to device arrays.

A function is a kernel whose parameters are tensors (gon.model.Param). Calling it checks what it is
given, makes what it gives back, and posts one launch: nothing waits.

What follows from the shapes and elements of a call is a plan, which is kept: a call like the last
one only compares. Whether an array is closed, or another device's, is looked at each time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from gon.errors import BadHandle, InvalidArgument, KernelArgumentError
from gon.limits import SHAPES_CACHED_MAX
from gon.model import LaunchConfig, Param, ParamKind
from gon_client.array import DeviceArray
from gon_client.buffer import HostArray
from gon_client.launch import launch
from gon_client.staying import Stays

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.module import Kernel
    from gon_client.stream import Stream

Given: TypeAlias = DeviceArray | HostArray
Outputs: TypeAlias = DeviceArray | Sequence[DeviceArray]

_ONCE = LaunchConfig(1)


class Output(NamedTuple):
    """An output that a call makes: its buffer's bytes, what it is."""

    size_bytes: int
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


class Plan(NamedTuple):
    """What follows from the tensors of a call, which are as many inputs, and outputs where it makes
    none: arguments of the values, what outputs are made.
    """

    inputs: int
    makes: bool
    tensors: Sequence[tuple[tuple[int, ...], np.dtype[np.generic]]]
    values: Sequence[object]
    outputs: Sequence[Output]

    def is_for(self, inputs: int, given: Sequence[Given], device: Device, *, makes: bool) -> bool:
        """Return whether these are the plan's tensors, all of them arrays of the device."""
        if makes != self.makes or inputs != self.inputs or len(given) != len(self.tensors):
            return False
        for array, (shape, dtype) in zip(given, self.tensors, strict=True):
            if type(array) is not DeviceArray or array.dtype is not dtype or array.shape != shape:
                return False
            buffer = array.buffer
            if buffer.closed or buffer.device is not device:
                return False
        return True


class Function(Stays):
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
        self._values = [param.name for param in params if param.shape is None]
        # Where each parameter's argument is among inputs, outputs and values, in this order.
        ordered = (*self._inputs, *self._outputs)
        places = {id(param): place for place, param in enumerate(ordered)}
        values = {name: len(ordered) + place for place, name in enumerate(self._values)}
        self._places = [places.get(id(param), values.get(param.name, 0)) for param in params]
        self._in_order = self._places == list(range(len(params)))
        launcher = kernel.launcher
        # What queues a call like the last one natively.
        self._quick = None
        if launcher is not None and self._in_order and not self._values:
            self._quick = launcher
        # By what the tensors are; the last one that was gone by.
        self._plans: dict[object, Plan] = {}
        self._latest: Plan | None = None

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
        quick, latest = self._quick, self._latest
        if quick is not None and latest is not None and not values:
            on = stream or self.kernel.device.default_stream
            if out is None:
                made = quick.anew(on, _ONCE, self.kernel, latest, inputs)
                if made is not None:
                    return made[0] if len(made) == 1 else made
            elif (
                type(out) is DeviceArray
                and not latest.makes
                and len(inputs) == latest.inputs
                and quick.again(on, _ONCE, latest.tensors, inputs, out)
            ):
                return out
        device, makes = self.kernel.device, out is None
        results = () if out is None else _listed(out)
        plan = latest
        given = (*inputs, *results)
        if plan is None or values or not plan.is_for(len(inputs), given, device, makes=makes):
            plan = self._planned(inputs, given, values, makes=makes)
            inputs = tuple(
                [each if isinstance(each, DeviceArray) else device.asarray(each) for each in inputs]
            )
        if makes:
            allocate = device.allocate
            results = tuple(
                [
                    DeviceArray(allocate(size), 0, shape, dtype)
                    for size, shape, dtype in plan.outputs
                ]
            )
        args = (*inputs, *results, *plan.values)
        if not self._in_order:
            args = tuple([args[place] for place in self._places])
        launch(stream or device.default_stream, _ONCE, self.kernel, *args)
        return results[0] if len(results) == 1 else results

    def _planned(
        self,
        inputs: Sequence[Given],
        given: Sequence[Given],
        values: Mapping[str, object],
        *,
        makes: bool,
    ) -> Plan:
        """Return the plan of a call, one that is kept or a new one. Raises as a call."""
        key = None if values else _key_of(inputs, given, makes=makes)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(inputs, given, values, makes=makes)
            if key is not None:
                if len(self._plans) >= SHAPES_CACHED_MAX:
                    self._plans.clear()
                self._plans[key] = plan
        else:
            for param, array in zip((*self._inputs, *self._outputs), given, strict=False):
                self._check_there(param, array)
        if key is not None:
            self._latest = plan
        return plan

    def _plan(
        self,
        inputs: Sequence[Given],
        given: Sequence[Given],
        values: Mapping[str, object],
        *,
        makes: bool,
    ) -> Plan:
        """Check what the function is given, and find what follows from it."""
        dims: dict[str, int] = {}
        told_by: dict[str, str] = {}
        self._check_count("inputs", len(inputs), self._inputs)
        if not makes:
            self._check_count("outputs", len(given) - len(inputs), self._outputs)
        for param, array in zip((*self._inputs, *self._outputs), given, strict=False):
            self._check(param, array, dims, told_by)
        if unknown := [name for name in values if name not in self._values]:
            raise KernelArgumentError(f"{self!r} has no parameter {unknown[0]!r}")
        outputs = [self._output(param, dims) for param in self._outputs] if makes else []
        tensors = [(tuple(array.shape), array.dtype) for array in given]
        worth = [self._value(name, dims, values) for name in self._values]
        return Plan(len(inputs), makes, tensors, worth, outputs)

    def _output(self, param: Param, dims: Mapping[str, int]) -> Output:
        shape: list[int] = []
        for dim in param.shape or ():
            if isinstance(dim, str) and dim not in dims:
                raise KernelArgumentError(
                    f"{self.kernel.info.name}: the inputs do not tell how large {_told(param)} is: "
                    "give it by out="
                )
            shape.append(dims[dim] if isinstance(dim, str) else dim)
        dtype = _dtype_of(param)
        return Output(max(1, math.prod(shape) * dtype.itemsize), tuple(shape), dtype)

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
        self._check_there(param, given)
        if not hasattr(given, "dtype"):
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

    def _check_there(self, param: Param, given: Given) -> None:
        """Raise BadHandle for an array that cannot be used, or not here."""
        if isinstance(given, DeviceArray) and (
            given.buffer.closed or given.device is not self.device
        ):
            why = "closed" if given.device is self.device else "another device's"
            name = self.kernel.info.name
            raise BadHandle(f"{name}, {param.name}: the array is {why}")

    def _value(self, name: str, dims: Mapping[str, int], values: Mapping[str, object]) -> object:
        if name in values:
            return values[name]
        if name in dims:
            return np.int64(dims[name])
        raise KernelArgumentError(f"{self.kernel.info.name}: {name}= is needed")


def _listed(out: Outputs) -> tuple[DeviceArray, ...]:
    return (out,) if isinstance(out, DeviceArray) else tuple(out)


def _key_of(inputs: Sequence[Given], given: Sequence[Given], *, makes: bool) -> object:
    """Return what a call's plan follows from, None if it is not given arrays."""
    try:
        return len(inputs), makes, tuple([(each.shape, each.dtype) for each in given])
    except AttributeError:
        return None


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
