"""Operations whose results have a size, or a truth, that depends on values: these wait for it."""

from __future__ import annotations

from torch import Tensor

from gon.array_ops import Nonzero, Reduce
from gon_client.xp.array import Array, apply
from gon_client.xp.creation import arange
from gon_client.xp.manipulation import repeat
from gon_client.xp.searching import unique_all
from gon_client.xp.views import broadcast, broadcast_shape
from gon_shim.torch.kernels import direct, kernel
from gon_shim.torch.reductions import reduced
from gon_shim.torch.storage import array_of, device


@kernel("nonzero")
def nonzero(self: Tensor) -> Array:
    x = array_of(self)
    flat = x if x.ndim else x.in_shape((1,))
    found = x.make(Nonzero(), [flat.operand])
    axes = tuple(range(flat.ndim))
    count = x.make(Reduce("count_nonzero", axes, "int64"), [flat.operand])
    x.storage.runner.evaluate([found.storage, count.storage])
    rows = found.T[: int(count)]
    return rows if x.ndim else rows[:, :0]


@kernel("masked_select")
def masked_select(self: Tensor, mask: Tensor) -> Array:
    x, under = array_of(self), array_of(mask)
    shape = broadcast_shape(x.shape, under.shape)
    return x.seen(broadcast(x.view, shape))[under.seen(broadcast(under.view, shape))]


@kernel("_unique2")
def unique(
    self: Tensor,
    sorted: bool = True,  # noqa: A002 - PyTorch's name
    return_inverse: bool = False,
    return_counts: bool = False,
) -> tuple[Array, Array, Array]:
    del sorted, return_inverse, return_counts  # all of it costs one wait
    found = unique_all(array_of(self))
    return found.values, found.inverse_indices, found.counts


@kernel("repeat_interleave.Tensor")
def repeat_interleave(repeats: Tensor, *, output_size: int | None = None) -> Array:
    """Return each place as often as is said there."""
    del output_size
    return repeat(arange(repeats.shape[0], device=device()), array_of(repeats))


@direct("equal")
def equal(self: Tensor, other: Tensor) -> bool:
    if self.shape != other.shape:
        return False
    same = apply("equal", array_of(self), array_of(other))
    return bool(reduced(same, "all", None, keepdim=False))
