"""Random numbers: drawn on the unit, from a seed and a place in its stream.

Each call draws at the next place, so what a program draws depends on its seed and its calls alone:
on no link, and on no other program. Both travel as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gon.array_ops import Cumulate, Draw
from gon.array_rules import element_of
from gon.forked import new_lock
from gon_client.xp.array import Array, apply
from gon_client.xp.views import View, whole
from gon_shim.torch import edge
from gon_shim.torch.dtypes import numpy_of
from gon_shim.torch.errors import Mixed
from gon_shim.torch.kernels import direct, kernel
from gon_shim.torch.noting import unrepeatable
from gon_shim.torch.reductions import reduced, sort
from gon_shim.torch.storage import array_of, cast_to, device, tensor_of, write

_ONE = View(0, (), ())
_HALF_PLACES = 2048
_SEED_MASK = (1 << 64) - 1


class Stream:
    """Which seed it is, and where in its stream."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self.seed = torch.initial_seed() & _SEED_MASK
        self.place = 0

    def __repr__(self) -> str:
        return f"Stream(seed {self.seed}, place {self.place})"

    def begin(self, seed: int) -> None:
        with self._lock:
            self.seed, self.place = seed & _SEED_MASK, 0

    def next(self) -> tuple[int, int]:
        with self._lock:
            self.place += 1
            return self.seed, self.place - 1

    def state(self) -> Tensor:
        """Return what `restore` takes, as PyTorch keeps it: bytes."""
        return edge.tensor_here(np.array([self.seed, self.place], np.uint64).view(np.uint8))

    def restore(self, state: Tensor) -> None:
        seed, place = state.cpu().contiguous().numpy().view(np.uint64)
        with self._lock:
            self.seed, self.place = int(seed), int(place)


STREAM = Stream()


def drawn(
    function: Literal["uniform", "normal"], shape: Sequence[int], dtype: torch.dtype
) -> Array:
    """Return random elements of a type: of float32 or float64, made of others' places."""
    unrepeatable()
    kept = torch.float64 if dtype == torch.float64 else torch.float32
    seed, place = STREAM.next()
    operands = [(np.uint64(each), _ONE) for each in (seed, place)]
    operation = Draw(function, math.prod(shape), element_of(numpy_of(kept)))
    storage, _ = device().arrays.make(operation, operands)
    x = Array(storage, whole(tuple(shape)))
    if function == "uniform" and dtype == torch.float16:
        # As many places as it has below 1: rounded, some would be 1.
        x = apply("floor", x * _HALF_PLACES) * (1 / _HALF_PLACES)
    return cast_to(x, numpy_of(dtype))


def _check(generator: torch.Generator | None) -> None:
    if generator is not None:
        raise Mixed("gon takes no generator: torch.gon.manual_seed(seed) begins its stream anew")


@direct("uniform_")
def uniform_(
    self: Tensor,
    from_: float = 0.0,
    to: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    _check(generator)
    x = drawn("uniform", self.shape, self.dtype)
    if (from_, to) != (0.0, 1.0):
        x = x * (to - from_) + from_
    write(self, x)
    return self


@direct("normal_")
def normal_(
    self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: torch.Generator | None = None
) -> Tensor:
    _check(generator)
    x = drawn("normal", self.shape, self.dtype)
    if (mean, std) != (0.0, 1.0):
        x = x * std + mean
    write(self, x)
    return self


@direct("random_", "random_.to", "random_.from")
def random_(self: Tensor, *bounds: int | None, generator: torch.Generator | None = None) -> Tensor:
    _check(generator)
    low, high = (0, bounds[0]) if len(bounds) == 1 else bounds or (0, None)
    if high is None:
        kind = self.dtype
        high = 2 if kind == torch.bool else 1 << (24 if kind.is_floating_point else 31)
        high = high if kind.is_floating_point or kind == torch.bool else torch.iinfo(kind).max
    low = low or 0
    if high <= low:
        raise Mixed(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    x = apply("floor", drawn("uniform", self.shape, torch.float64) * (high - low)) + low
    write(self, cast_to(x, numpy_of(self.dtype)))
    return self


@direct("bernoulli_.float")
def bernoulli_(self: Tensor, p: float = 0.5, *, generator: torch.Generator | None = None) -> Tensor:
    _check(generator)
    hits = drawn("uniform", self.shape, torch.float32) < p
    write(self, cast_to(hits, numpy_of(self.dtype)))
    return self


@kernel("bernoulli")
def bernoulli(self: Tensor, *, generator: torch.Generator | None = None) -> Array:
    _check(generator)
    hits = drawn("uniform", self.shape, self.dtype) < array_of(self)
    return cast_to(hits, numpy_of(self.dtype))


@kernel("exponential")
def exponential(
    self: Tensor, lambd: float = 1.0, *, generator: torch.Generator | None = None
) -> Array:
    _check(generator)
    return apply("log1p", -drawn("uniform", self.shape, self.dtype)) * (-1 / lambd)


@kernel("multinomial")
def multinomial(
    self: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Array:
    _check(generator)
    weights = array_of(self)
    if replacement:
        total = weights.make(
            Cumulate("sum", weights.ndim - 1, element_of(weights.dtype)), [weights.operand]
        )
        drawn_at = drawn("uniform", (*self.shape[:-1], num_samples, 1), self.dtype)
        drawn_at = drawn_at * total[..., -1:].in_shape((*self.shape[:-1], 1, 1))
        under = total.in_shape((*self.shape[:-1], 1, self.shape[-1])) <= drawn_at
        return reduced(under, "sum", -1, False, torch.int64)
    # The first of waits as long as weights are short: without one that has been.
    waits = apply("log1p", -drawn("uniform", self.shape, self.dtype)) * -1.0 / weights
    _, places = sort(tensor_of(waits), -1)
    return places[..., :num_samples]


@direct("randperm.generator_out", "randperm.out")
def randperm(n: int, generator: torch.Generator | None = None, *, out: Tensor) -> Tensor:
    _check(generator)
    out.resize_((n,))
    _, places = sort(tensor_of(drawn("uniform", (n,), torch.float64)), 0)
    write(out, cast_to(places, numpy_of(out.dtype)))
    return out


@kernel("native_dropout")
def dropout(
    input: Tensor,  # noqa: A002 - PyTorch's name
    p: float,
    train: bool | None,
) -> tuple[Array, Array]:
    x = array_of(input)
    if train is False or not p:
        return x, drawn("uniform", input.shape, torch.float32) < 2.0
    kept = drawn("uniform", input.shape, torch.float32) >= p
    scale = 0.0 if p >= 1 else 1 / (1 - p)
    return x * cast_to(kept, x.dtype) * scale, kept
