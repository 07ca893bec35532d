"""Products of matrices and vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from gon_client.xp.array import Array, apply
from gon_client.xp.operators import Number
from gon_client.xp.products import matmul, vecdot
from gon_shim.torch.dtypes import numpy_of
from gon_shim.torch.errors import Mixed, UnsupportedByDevice
from gon_shim.torch.kernels import kernel
from gon_shim.torch.storage import array_of


def product(self: Tensor, other: Tensor) -> Array:
    """Return the product of matrices, or stacks of them. Raises Mixed for several types."""
    if self.dtype != other.dtype:
        raise Mixed(
            f"expected m1 and m2 to have the same dtype, but got: {self.dtype} != {other.dtype}"
        )
    if self.dtype == torch.bool:
        raise UnsupportedByDevice("products of bool, on gon")
    return matmul(array_of(self), array_of(other))


@kernel("mm", "bmm", "mv")
def mm(self: Tensor, mat2: Tensor) -> Array:
    return product(self, mat2)


@kernel("dot")
def dot(self: Tensor, tensor: Tensor) -> Array:
    # `vecdot` takes the first one's conjugate.
    return vecdot(array_of(self.conj()), array_of(tensor))


@kernel("vdot")
def vdot(self: Tensor, other: Tensor) -> Array:
    return vecdot(array_of(self), array_of(other))


@kernel("addmm", "addmv")
def addmm(
    self: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Array:
    found = product(mat1, mat2)
    dtype = numpy_of(self.dtype)
    if alpha != 1:
        found = apply("multiply", found, dtype.type(alpha))
    if not beta:
        return found
    more = array_of(self)
    return apply("add", found, more if beta == 1 else apply("multiply", more, dtype.type(beta)))


@kernel("baddbmm")
def baddbmm(
    self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Array:
    return addmm(self, batch1, batch2, beta=beta, alpha=alpha)
