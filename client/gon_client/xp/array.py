"""An array of the Python Array API standard, on a device.

    y = xp.sqrt(x * 2 + 1)      # nothing is sent yet
    y.numpy()                   # one program, one launch, one read

Operations are noted, and posted together once somebody wants what they give: what reads elements,
what hands the array to a kernel, or because there are as many as a program may have. Views look at
the same elements, as NumPy's do; what is written through one is seen through all.

Rules: only what needs an element waits: bool, int, float, complex, numpy, `__dlpack__`, and
functions whose result has a size that depends on values.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn, Self, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from gon.array_ops import AnyOperation, Apply, Cast
from gon.array_rules import Dtype, Shape, Spec, check_shape, element_of, promoted
from gon.errors import InvalidArgument
from gon_client.array import DeviceArray
from gon_client.buffer import HostArray
from gon_client.xp.draft import Target
from gon_client.xp.indexing import Key, part_of, write_part
from gon_client.xp.maker import Maker
from gon_client.xp.operators import ALONE, Number, Operators
from gon_client.xp.products import matmul
from gon_client.xp.scalars import scalar_beside
from gon_client.xp.storage import Operand, Storage
from gon_client.xp.views import (
    View,
    broadcast,
    broadcast_shape,
    permuted,
    reshaped,
    whole,
)

if TYPE_CHECKING:
    from gon_client.device import Device

Given: TypeAlias = "Array | Number | np.generic"
_VERSION = "2024.12"
_NAMESPACE = "gon_client.xp"
# What NumPy's operator ** does instead of raising floats to a power.
_POWERS = {2: "square", 0.5: "sqrt", -1: "reciprocal", 1: "positive"}
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


class Array(Operators["Array"]):
    """An array; made by the functions of `gon.xp`."""

    __slots__ = ("_storage", "_view")

    # NumPy leaves operators to this class.
    __array_ufunc__ = None

    def __init__(self, storage: Storage, view: View) -> None:
        self._storage = storage
        self._view = view
        storage.arrays += 1

    def __del__(self) -> None:
        self._storage.arrays -= 1

    def __repr__(self) -> str:
        return f"Array(shape={self.shape}, dtype={self.dtype}, on {self.device.name})"

    @property
    def dtype(self) -> Dtype:
        return self._storage.dtype

    @property
    def shape(self) -> Shape:
        return self._view.shape

    @property
    def ndim(self) -> int:
        return len(self._view.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._view.size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def device(self) -> Device:
        return self._storage.runner.device

    @property
    def T(self) -> Array:  # noqa: N802 - the standard's name
        """The transposed matrix."""
        if self.ndim != 2:
            raise InvalidArgument(f"T of {self.ndim} dimensions; permute_dims takes any")
        return Array(self._storage, permuted(self._view, (1, 0)))

    @property
    def mT(self) -> Array:  # noqa: N802 - the standard's name
        """The array with each of its matrices, in its last two dimensions, transposed."""
        if self.ndim < 2:
            raise InvalidArgument(f"mT of {self.ndim} dimensions")
        order = (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)
        return Array(self._storage, permuted(self._view, order))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without dimensions has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[place] for place in range(len(self)))

    # Elements here -----------------
    def numpy(self) -> HostArray:
        """Return the array's content, waiting for it. Raises the error of what should have made
        it.
        """
        plain = self._plain()
        storage = plain.storage
        found = storage.runner.fetch(storage, plain.view.base, plain.size)
        return found.reshape(self.shape)

    def item(self) -> Number:
        """Return the one element, waiting for it."""
        if self.size != 1:
            raise TypeError(f"{self.size} elements are not one number")
        found: Number = self.numpy().item()
        return found

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        """Refuse: NumPy would fetch arrays where nobody sees it."""
        del dtype, copy
        raise TypeError("an array of a device does not become NumPy's by itself: call x.numpy()")

    def __dlpack__(
        self,
        *,
        stream: object = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """Return a capsule of the array's content here, in the host's memory; it waits."""
        if copy is False:
            raise BufferError("the elements are elsewhere: they must be copied")
        if stream is not None:
            raise BufferError("memory of the host has no streams")
        found = cast("NDArray[np.number]", self.numpy())
        device = None if dl_device is None else (int(dl_device[0]), dl_device[1])
        return found.__dlpack__(max_version=max_version, dl_device=device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Say that `__dlpack__` gives memory of the host."""
        return 1, 0

    def to_device(self, device: Device, /, *, stream: object = None) -> Array:
        """Return the array on a device: itself if it is there, else a copy."""
        if stream is not None:
            raise InvalidArgument("arrays are on the default stream of their device")
        if device is self.device:
            return self
        plain = self._plain()
        there = device.arrays.zeros(self.dtype, self.size)
        plain.storage.runner.settle()
        if self.size:
            target = there.part(0, self.size)
            target.copy_from(plain.storage.part(plain.view.base, self.size))
        return Array(there, whole(self.shape))

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """Return `gon.xp`."""
        if api_version not in (None, "2021.12", "2022.12", "2023.12", _VERSION):
            raise InvalidArgument(f"version {api_version!r} of the standard; {_VERSION} is here")
        return sys.modules[_NAMESPACE]

    def device_array(self) -> DeviceArray:
        """Return the array for kernels and functions of its device: its elements, or, where these
        do not lie one behind the other, a copy. From then on it is used where it is called.
        """
        plain = self._plain()
        storage = plain.storage
        storage.runner.evaluate(storage.waiting())
        storage.runner.settle()
        storage.shared = True
        flat = storage.part(plain.view.base, self.size)
        return DeviceArray(flat.buffer, flat.offset, self.shape, self.dtype)

    # For this package ----------------
    @property
    def storage(self) -> Storage:
        return self._storage

    @property
    def view(self) -> View:
        return self._view

    @property
    def operand(self) -> Operand:
        return self._storage, self._view

    def seen(self, view: View) -> Array:
        """Return the same elements as they are seen by another view."""
        return Array(self._storage, view)

    def copied(self) -> Array:
        """Return an array of its own with this content, in C order."""
        return self.make(Cast(element_of(self.dtype)), [self.operand])

    def __copy__(self) -> Array:
        return self.copied()

    def __deepcopy__(self, memo: object) -> Array:
        return self.copied()

    def in_shape(self, shape: Shape) -> Array:
        """Return the elements in another shape: the same where they can be seen so, else copies."""
        view = reshaped(self._view, shape)
        if view is None:
            return self.copied().seen(whole(shape))
        return self.seen(view)

    def make(self, operation: AnyOperation, operands: Sequence[Operand]) -> Array:
        """Return what an operation gives, here. Raises InvalidArgument, LimitExceeded."""
        return made(self._storage.runner, operation, operands)

    def apply(self, function: str, *others: Given) -> Array:
        """Return a function of the elements, and of others'."""
        return apply(function, self, *others)

    def _plain(self) -> Array:
        """Return the array with its elements there, one behind the other."""
        plain = self if self._view.is_plain else self.copied()
        plain.storage.runner.evaluate([plain.storage])
        return plain

    def _apply(self, function: str, other: object = ALONE, *, reflected: bool = False) -> Array:
        if other is ALONE:
            return apply(function, self)
        if not _is_given(other):
            return cast("Array", NotImplemented)
        return apply(function, other, self) if reflected else apply(function, self, other)

    def _power(self, other: object) -> Array:
        # Whole numbers are squared as such by a whole number only.
        is_square = type(other) is int and other == 2
        if isinstance(other, int | float) and self.dtype.kind in ("fciub" if is_square else "fc"):
            named = _POWERS.get(other)
            if named is not None:
                return apply(named, self)
        return self._apply("pow", other)

    def __matmul__(self, other: Array) -> Array:
        return matmul(self, other)

    def __imatmul__(self, other: Array) -> Self:
        return self._in_place(matmul(self, other))

    def __getitem__(self, key: Key) -> Array:
        return part_of(self, key)

    def __setitem__(self, key: Key, value: Given) -> None:
        if isinstance(value, Array) and value.storage.runner is not self._storage.runner:
            runner_of(self, value)
        write_part(self, key, value)

    # In place: the elements are written, and seen through all views ------
    def _in_place(self, result: Array) -> Self:
        if cast("object", result) is NotImplemented:
            return cast("Self", result)
        if result.shape != self.shape or not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise InvalidArgument(
                f"{result.dtype}{list(result.shape)} in the place of {self.dtype}{list(self.shape)}"
            )
        if result.dtype != self.dtype:
            result = self.make(Cast(element_of(self.dtype)), [result.operand])
        storage = self._storage
        if storage.arrays == 1 and not storage.shared:
            # Nobody else looks at these elements: others will do.
            result.storage.arrays += 1
            storage.arrays -= 1
            self._storage, self._view = result.storage, result.view
        else:
            self.assign(result.operand)
        return self

    def assign(self, source: Operand) -> None:
        """Write an operand of this shape and type into the elements."""
        if self._view.repeats:
            raise InvalidArgument("elements that are seen more than once cannot be written: copy")
        storage = self._storage
        value, view = source
        if isinstance(value, Storage):
            storage.runner.evaluate([value, storage])
            if value.buffer is storage.buffer:
                copy = Array(value, view).copied()
                source = copy.operand
                storage.runner.evaluate([copy.storage])
        if self.size:
            storage.runner.write(Target(source, storage, self._view))


def made(runner: Maker, operation: AnyOperation, operands: Sequence[Operand]) -> Array:
    """Return what an operation gives. Raises InvalidArgument, LimitExceeded."""
    storage, shape = runner.make(operation, operands)
    return Array(storage, whole(shape))


def runner_of(*given: object) -> Maker:
    """Return the runner of arrays. Raises TypeError for none, InvalidArgument for two devices."""
    arrays = [each for each in given if isinstance(each, Array)]
    if not arrays:
        raise TypeError("an array is needed")
    runner = arrays[0].storage.runner
    for each in arrays:
        if each.storage.runner is not runner:
            raise InvalidArgument(
                f"arrays of two devices: {each.device!r}, {arrays[0].device!r}; "
                "x.to_device(device) copies one"
            )
    return runner


def apply(function: str, *given: Given) -> Array:
    """Return a function of elements, of operands in the shape that all are broadcast to."""
    runner = runner_of(*given)
    operands = operands_of(given, strict=function not in _COMPARISONS)
    shape = broadcast_shape(*[view.shape for _, view in operands])
    if all(view.shape != shape for _, view in operands):
        check_shape(shape)
    spec = Spec(promoted(function, *[value.dtype for value, _ in operands]), shape)
    seen = [(value, broadcast(view, shape)) for value, view in operands]
    return Array(runner.made(_operation(function), seen, spec), whole(shape))


_operation = lru_cache(maxsize=128)(Apply)


_ONE = View(0, (), ())


def operands_of(given: Sequence[Given], *, strict: bool = True) -> list[Operand]:
    """Return operands: numbers of Python have the arrays' type of elements, as far as that has
    their kind. Raises OverflowError for one that it cannot have, unless it is not `strict`.
    """
    dtypes = [each.dtype for each in given if isinstance(each, Array | np.generic)]
    found: list[Operand] = []
    for each in given:
        if isinstance(each, Array):
            found.append(each.operand)
        elif isinstance(each, np.generic):
            found.append((each, _ONE))
        else:
            found.append((scalar_beside(each, dtypes, strict=strict), _ONE))
    return found


def _is_given(given: object) -> TypeGuard[Given]:
    return isinstance(given, Array | bool | int | float | complex | np.generic)
