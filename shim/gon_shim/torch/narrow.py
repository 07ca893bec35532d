"""Elements of bfloat16, which NumPy has not: the bits are kept on the unit, and what is computed
with them is computed in float32, as the processor does it.

    bfloat16 ── bits, shifted ──▶ float32 ──▶ the operation ──▶ float32 ── rounded ──▶ bfloat16

Rules: each operation rounds once, to nearest, ties to even. Nothing is fetched; but bits are looked
at as others of another type (gon_shim.torch.storage), so each is a program or two of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from gon_shim.torch import edge
from gon_shim.torch.edge import Overload
from gon_shim.torch.errors import by_meta

NARROW: Final = torch.bfloat16
_WIDE: Final = torch.float32
_HALF, _ODD, _NAN = 0x7FFF, 1, 0x7FC0


def bits(tensor: Tensor) -> Tensor:
    """Return the elements as they lie there."""
    return tensor.view(torch.uint16)


def widened(tensor: Tensor) -> Tensor:
    """Return narrow elements as float32, exactly."""
    if tensor.device.type != edge.NAME:
        return tensor.to(_WIDE)
    return (bits(tensor).to(torch.int32) << 16).view(_WIDE)


def rounded(tensor: Tensor) -> Tensor:
    """Return numbers as narrow elements, of the two next ones the nearer, or the even one."""
    if tensor.device.type != edge.NAME:
        return tensor.to(NARROW)
    wide = tensor.to(_WIDE)
    whole = wide.view(torch.int32)
    nearest = (whole + (((whole >> 16) & _ODD) + _HALF)) >> 16
    return torch.where(wide.isnan(), _NAN, nearest).to(torch.uint16).view(NARROW)


def concerns(args: Sequence[object], named: Mapping[str, object]) -> bool:
    """Return whether a call is given narrow elements, or is to give such."""
    return any(
        each is NARROW or (isinstance(each, Tensor) and each.dtype is NARROW)
        for each in pytree.tree_leaves((tuple(args), dict(named)))
    )


def done(operation: Overload, args: Sequence[object], named: Mapping[str, object]) -> object:
    """Do an operation that is given, or is to give, narrow elements."""
    wide: dict[int, tuple[Tensor, Tensor]] = {}

    def widen(each: object) -> object:
        if isinstance(each, Tensor) and each.dtype is NARROW:
            return wide.setdefault(id(each), (each, widened(each)))[1]
        return _WIDE if each is NARROW else each

    def narrow(each: object, is_narrow: bool) -> object:
        if not isinstance(each, Tensor):
            return each
        for original, copy in wide.values():
            if copy is each:
                return original
        return rounded(each) if is_narrow and each.dtype is _WIDE else each

    given, kept = pytree.tree_map(widen, (tuple(args), dict(named)))
    found = operation(*given, **kept)
    for target in edge.written(operation, args, named):
        if id(target) in wide:
            original, copy = wide[id(target)]
            if original.shape != copy.shape:
                original.resize_(copy.shape)
            original.copy_(copy)
    results, spec = pytree.tree_flatten(found)
    narrowed = _are_narrow(operation, args, named, len(results))
    return pytree.tree_unflatten(map(narrow, results, narrowed), spec)


def _are_narrow(
    operation: Overload, args: Sequence[object], named: Mapping[str, object], count: int
) -> list[bool]:
    """Return which of the results that are float32 now would have been narrow: a type that is named
    decides, then the tensors that are no single numbers. Of several types PyTorch knows: norms take
    that of the first, others the wider one.
    """
    given = pytree.tree_leaves((tuple(args), dict(named)))
    types = [each for each in given if isinstance(each, torch.dtype)]
    if types:
        return [NARROW in types] * count
    tensors = [each for each in given if isinstance(each, Tensor) and each.is_floating_point()]
    sized = [each for each in tensors if each.dim()] or tensors
    if all(each.dtype is NARROW for each in sized):
        return [True] * count
    if not any(each.dtype is NARROW for each in sized):
        return [False] * count
    told = pytree.tree_leaves(by_meta(operation, args, named))
    if len(told) != count:
        return [False] * count
    return [isinstance(each, Tensor) and each.dtype is NARROW for each in told]
