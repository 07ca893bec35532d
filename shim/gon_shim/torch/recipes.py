"""What a call of a kernel makes of what it is given, noted once and followed from then on.

    kernel, types, shapes and strides, numbers ──known?──▶ recipe ──▶ storages to be made
                                                  └─ no ─▶ the kernel, on stand-ins ──▶ recipe

A kernel decides by types, shapes and strides, by numbers, and by the bounds of places
(gon_shim.torch.indexing): the first three are a recipe's key, the last is asked again each time.
Floats of a kernel that says so (`told`) are no part of it: what an optimiser is told anew at each
step is a number of the recipe.

Rules: what a recipe gives is what its kernel would have given; what is no recipe, and every call
that fails, is left to the kernel. At most RECIPES_MAX are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from gon.errors import GonError
from gon.forked import new_lock
from gon_client.xp.array import Array
from gon_client.xp.maker import Maker
from gon_client.xp.recipe import Recipe
from gon_client.xp.recorder import Recorder, ToldIn, Unrecordable
from gon_client.xp.runner import Runner
from gon_client.xp.storage import Operand, Storage
from gon_client.xp.views import View, whole
from gon_shim.torch import edge, noting
from gon_shim.torch.dtypes import TYPES, torch_of
from gon_shim.torch.limits import RECIPES_MAX
from gon_shim.torch.noting import Asked, Noted
from gon_shim.torch.storage import Content, held, is_all, tensor_from, write

# What a kernel is to give, arrays and nothing else.
Given: TypeAlias = "tuple[Array | None, ...] | None"
Kernel: TypeAlias = Callable[..., Given]
_ONE: Final = View(0, (), ())


class Layout(NamedTuple):
    """What a tensor of one result is, in C order; `numpys` is the type of what it looks at."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    view: View
    size_bytes: int


class Known(NamedTuple):
    """What a call makes: its recipe and numbers (one itself, or which is told, and its type), the
    layout of each result, None for one that is none; and what places are to lie within.
    """

    recipe: Recipe
    numbers: tuple[np.generic | ToldIn, ...]
    layouts: tuple[Layout | None, ...]
    asked: tuple[Asked, ...]


_KNOWN: Final[dict[object, Known | None]] = {}
_LOCK: Final = new_lock()


class Call:
    """One call of a kernel: what it is by the key, and what it is of."""

    __slots__ = ("key", "operands", "runner", "tensors", "told")

    def __init__(self, kernel: object) -> None:
        self.key: list[object] = [kernel, torch.get_default_dtype()]
        self.operands: list[Operand] = []
        self.tensors: list[Tensor] = []
        self.told: list[float] = []
        self.runner: Maker | None = None

    def take(self, given: Iterable[object], told: bool) -> bool:
        """Take what a kernel is given; return whether that may be known at all."""
        key = self.key
        for each in given:
            kind = type(each)
            if isinstance(each, Tensor):
                if not self._take_tensor(each):
                    return False
            elif isinstance(each, float):
                if told and each == each and each not in (0.0, 1.0):
                    key.append(float)
                    self.told.append(each)
                else:
                    # Told apart as 0.0 and -0.0 are.
                    key.append(repr(each))
            elif isinstance(each, int):
                key += (kind, each)
            elif isinstance(each, list | tuple):
                parts = cast("Sequence[object]", each)
                key += (kind, len(parts))
                if not self.take(parts, told):
                    return False
            elif isinstance(each, complex):
                return False
            else:
                key.append(each)
        return True

    def _take_tensor(self, given: Tensor) -> bool:
        content = edge.attached_to(given)
        if not isinstance(content, Content):
            return False
        array, dtype = content.array, given.dtype
        # Told apart from others of these strides by no key, and read so by kernels alone.
        if array is None or given.is_neg() or given.is_conj():
            return False
        storage = array.storage
        # Of the few types that have a name each there is one object.
        if TYPES.get(dtype) is not storage.dtype:
            return False
        runner = storage.runner
        if self.runner is not runner:
            if self.runner is not None:
                return False
            self.runner = runner
        shape, strides, offset = given.shape, given.stride(), given.storage_offset()
        self.key += (dtype, shape, strides)
        assert isinstance(offset, int)
        self.operands.append((storage, View(offset, shape, strides)))
        self.tensors.append(given)
        return True


class Kept:
    """A kernel, and what is known of its calls."""

    __slots__ = ("_apart", "_kernel", "_name", "_told")

    def __init__(self, name: str, kernel: Kernel, *, told: bool, apart: bool = False) -> None:
        """`kernel` is given what PyTorch gives, and returns what is to be made; `apart` says that
        each result is made of operands of its own, and is not to fail for others'.
        """
        self._apart = apart
        self._name = name
        self._kernel = kernel
        self._told = told

    def __repr__(self) -> str:
        return f"Kept({self._name})"

    def follow(
        self, args: Sequence[object], named: Mapping[str, object]
    ) -> tuple[list[Storage], Known] | None:
        """Return what is to be made, and how it is to be seen; None for what is left to the kernel
        itself.
        """
        call = Call(self._name)
        if not call.take(args, self._told):
            return None
        if named:
            call.key += named
            if not call.take(named.values(), self._told):
                return None
        runner = call.runner
        if not isinstance(runner, Runner):
            return None
        if self._apart and any(
            isinstance(value, Storage) and value.uncertain for value, _ in call.operands
        ):
            return None
        key = tuple(call.key)
        known = _KNOWN.get(key)
        if known is None and key not in _KNOWN:
            known = self._note(key, Recorder(runner.device), args, named)
        if known is None:
            return None
        for asked in known.asked:
            if not asked.is_so(call.tensors[asked.tensor]):
                return None
        operands = call.operands
        for number in known.numbers:
            operands.append((number.now(call.told) if isinstance(number, ToldIn) else number, _ONE))
        return runner.follow(known.recipe, operands), known

    def _note(
        self,
        key: tuple[object, ...],
        recorder: Recorder,
        args: Sequence[object],
        named: Mapping[str, object],
    ) -> Known | None:
        """Return what a call makes, and keep it; None if that is no recipe."""
        found: Known | None = None
        try:
            found = self._noted(Noted(recorder), args, named)
        except Unrecordable:
            pass
        except (GonError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            # The kernel itself says why.
            return None
        with _LOCK:
            if len(_KNOWN) >= RECIPES_MAX:
                del _KNOWN[next(iter(_KNOWN))]
            _KNOWN[key] = found
        return found

    def _noted(self, noted: Noted, args: Sequence[object], named: Mapping[str, object]) -> Known:
        given = noted.stand_ins(args, self._told)
        kept = dict(zip(named, noted.stand_ins(tuple(named.values()), self._told), strict=True))
        with noting.noting(noted):
            made = self._kernel(*given, **kept)
            if made is None:
                raise Unrecordable
            arrays = [each if each is None or is_all(each) else each.copied() for each in made]
        recipe, numbers = noted.recorder.finish(
            [each.storage for each in arrays if each is not None]
        )
        return Known(
            recipe,
            tuple(numbers),
            tuple([None if each is None else _layout(each) for each in arrays]),
            tuple(noted.asked),
        )


def _layout(array: Array) -> Layout:
    storage, shape = array.storage, tuple(array.shape)
    dtype = storage.dtype
    strides = whole(shape).strides
    return Layout(
        torch_of(dtype), shape, strides, whole((storage.size,)), storage.size * dtype.itemsize
    )


def tensors_of(storages: Sequence[Storage], known: Known) -> list[Tensor | None]:
    """Return new tensors of what a recipe makes."""
    rest = iter(storages)
    return [
        None if each is None else tensor_from(next(rest), each.dtype, each.shape, each.strides)
        for each in known.layouts
    ]


def rewrite(tensor: Tensor, storage: Storage, layout: Layout | None) -> None:
    """Write what a recipe makes of a tensor's shape and type into the elements that it sees."""
    assert layout is not None
    content = held(tensor)
    if layout.size_bytes == content.size_bytes and tensor.is_contiguous() and storage.size:
        content.bounds = content.octets = None
        content.array = Array(storage, layout.view)
    else:
        write(tensor, Array(storage, whole(layout.shape)))
