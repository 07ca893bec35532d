"""While a call is noted (gon_shim.torch.recipes): what stands for what the kernel is given.

Tensors are others of the same storages, floats that are told each time are `Told`, and the arrays
of these tensors are stand-ins of a recorder. Rules: each thread notes its own; a kernel finds out
nothing about a `Told` but that it is neither 0 nor 1.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn, Self, TypeVar, cast

import numpy as np
from torch import Tensor

from gon.array_rules import Dtype
from gon_client.xp.array import Array
from gon_client.xp.recorder import Recorder, Unrecordable
from gon_client.xp.views import View
from gon_shim.torch import edge
from gon_shim.torch.dtypes import numpy_of

Answer = TypeVar("Answer")


class Asked(NamedTuple):
    """What a kernel asked of a tensor beyond its type and shape, and was answered: None where that
    raised IndexError.
    """

    tensor: int
    ask: Callable[[Tensor], object]
    answer: object

    def is_so(self, tensor: Tensor) -> bool:
        """Return whether the answer is still that."""
        return _answered(self.ask, tensor) == self.answer


class Told(float):
    """A float of which nothing is known yet: what is computed with it is NaN, and no recipe."""

    which: int

    def __new__(cls, which: int) -> Self:
        made = float.__new__(cls, math.nan)
        made.which = which
        return made

    def __eq__(self, other: object) -> bool:
        if type(other) in (int, float, bool) and other in (0, 1):
            return False
        raise Unrecordable

    def __ne__(self, other: object) -> bool:
        return not self.__eq__(other)

    def __bool__(self) -> bool:
        return True

    def _unknown(self, other: object) -> NoReturn:
        del other
        raise Unrecordable

    __lt__ = __le__ = __gt__ = __ge__ = _unknown
    __hash__ = float.__hash__


class Noted:
    """What is noted of one call."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.asked: list[Asked] = []
        self._places: dict[int, int] = {}
        self._tensors: list[Tensor] = []
        self._arrays: list[Array] = []
        self._told = 0

    def __repr__(self) -> str:
        return f"Noted({len(self._tensors)} tensors, {self.recorder!r})"

    def stand_ins(self, given: Sequence[object], told: bool) -> list[object]:
        """Return what stands for what a kernel is given."""
        return [self._stand_in(each, told) for each in given]

    def _stand_in(self, given: object, told: bool) -> object:
        if isinstance(given, Tensor):
            return self._stand_in_tensor(given)
        if isinstance(given, list | tuple):
            parts = self.stand_ins(cast("Sequence[object]", given), told)
            return tuple(parts) if isinstance(given, tuple) else parts
        if told and type(given) is float and given == given and given not in (0.0, 1.0):
            self._told += 1
            return Told(self._told - 1)
        return given

    def _stand_in_tensor(self, given: Tensor) -> Tensor:
        alias = edge.alias_of(given)
        shape, strides = tuple(given.shape), tuple(given.stride())
        size = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        storage = self.recorder.stand_in(numpy_of(given.dtype), size if all(shape) else 0)
        self._places[id(alias)] = len(self._tensors)
        self._tensors.append(alias)
        self._arrays.append(Array(storage, View(0, shape, strides)))
        return alias

    def array_of(self, tensor: Tensor) -> Array:
        """Return what stands for a tensor's elements."""
        found = self._arrays[self._place_of(tensor)]
        return Array(found.storage, found.view)

    def ask(self, tensor: Tensor, ask: Callable[[Tensor], Answer]) -> Answer:
        """Return an answer, and note that it was given."""
        place = self._place_of(tensor)
        self.asked.append(Asked(place, ask, _answered(ask, tensor)))
        return ask(tensor)

    def number(self, told: Told, dtype: Dtype) -> np.generic:
        """Return what stands for a number in a type."""
        if dtype.kind != "f":
            raise Unrecordable
        return self.recorder.told(dtype, told.which)

    def _place_of(self, tensor: Tensor) -> int:
        found = self._places.get(id(tensor))
        if found is None:
            raise Unrecordable
        return found


def _answered(ask: Callable[[Tensor], object], tensor: Tensor) -> object:
    try:
        return ask(tensor)
    except IndexError:
        return None


class _State(threading.local):
    noted: Noted | None = None


_STATE = _State()


@contextmanager
def noting(noted: Noted) -> Generator[None]:
    """Note what kernels do in this block and thread."""
    before, _STATE.noted = _STATE.noted, noted
    try:
        yield
    finally:
        _STATE.noted = before


def noted_now() -> Noted | None:
    """Return what this thread notes, if it does."""
    return _STATE.noted


def asked(tensor: Tensor, ask: Callable[[Tensor], Answer]) -> Answer:
    """Return what is asked of a tensor beyond its type and shape."""
    noted = _STATE.noted
    return ask(tensor) if noted is None else noted.ask(tensor, ask)


def in_type(given: object, dtype: Dtype) -> np.generic:
    """Return a number in a type."""
    if isinstance(given, Told):
        noted = _STATE.noted
        assert noted is not None
        return noted.number(given, dtype)
    return dtype.type(given)


def unrepeatable() -> None:
    """Say that what follows is another thing each time."""
    if _STATE.noted is not None:
        raise Unrecordable
