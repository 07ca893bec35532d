"""What is raised here, and as what PyTorch's programs expect it.

Rules: what PyTorch would say of the same call on any device is said in its words: the call is made
again on tensors without elements ("meta"), where it fails as there. Everything is a GonError too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.utils import _pytree as pytree

from gon.errors import GonError, InvalidArgument, LimitExceeded, OutOfMemory, Unsupported


class UnsupportedByDevice(Unsupported, NotImplementedError):
    """An operation, or elements of a type, that the device does not have."""


class OutOfRange(InvalidArgument, IndexError):
    """A place that is not there."""


class OutOfDeviceMemory(OutOfMemory, torch.OutOfMemoryError):
    """The lease's memory is used up."""


class TooLarge(LimitExceeded, RuntimeError):
    """More than a tensor may be."""


class Mixed(InvalidArgument, RuntimeError):
    """Operands that do not go together."""


def as_expected(error: GonError) -> GonError:
    """Return an error as the one that programs of PyTorch look for."""
    if isinstance(error, NotImplementedError | IndexError | RuntimeError):
        return error
    if isinstance(error, OutOfMemory):
        return OutOfDeviceMemory(error.message)
    if isinstance(error, Unsupported):
        return UnsupportedByDevice(error.message)
    if isinstance(error, LimitExceeded):
        return TooLarge(error.message)
    if type(error) is InvalidArgument:
        return (OutOfRange if "out of bounds" in error.message else Mixed)(error.message)
    return error


def raise_by_meta(operation: object, args: Sequence[object], named: Mapping[str, object]) -> None:
    """Do a call on tensors without elements: raise what PyTorch raises for it, if it does."""
    by_meta(operation, args, named)


def by_meta(operation: object, args: Sequence[object], named: Mapping[str, object]) -> object:
    """Return what a call on tensors without elements gives, None where PyTorch cannot say. Raises
    what PyTorch raises for it.
    """
    assert callable(operation)

    def plain(each: object) -> object:
        if isinstance(each, torch.Tensor):
            if each.device.type == "cpu" and not each.dim():
                return each
            return torch.empty_strided(each.shape, each.stride(), dtype=each.dtype, device="meta")
        return torch.device("meta") if isinstance(each, torch.device) else each

    given, kept = pytree.tree_map(plain, (tuple(args), dict(named)))
    try:
        found: object = operation(*given, **kept)
    except NotImplementedError:
        return None
    return found
