"""Types of elements: PyTorch's beside NumPy's. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from gon.array_rules import Dtype
from gon_shim.torch.errors import UnsupportedByDevice

TYPES: Final[dict[torch.dtype, Dtype]] = {
    torch.bool: np.dtype(np.bool_),
    torch.uint8: np.dtype(np.uint8),
    torch.uint16: np.dtype(np.uint16),
    torch.uint32: np.dtype(np.uint32),
    torch.uint64: np.dtype(np.uint64),
    torch.int8: np.dtype(np.int8),
    torch.int16: np.dtype(np.int16),
    torch.int32: np.dtype(np.int32),
    torch.int64: np.dtype(np.int64),
    torch.float16: np.dtype(np.float16),
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
    torch.complex64: np.dtype(np.complex64),
    torch.complex128: np.dtype(np.complex128),
}
_TORCHS: Final[dict[Dtype, torch.dtype]] = {numpys: torchs for torchs, numpys in TYPES.items()}


def numpy_of(dtype: torch.dtype) -> Dtype:
    """Return NumPy's type of elements. Raises UnsupportedByDevice for one that units have not."""
    found = TYPES.get(dtype)
    if found is None:
        raise UnsupportedByDevice(f"gon has no elements of {dtype}")
    return found


def torch_of(dtype: Dtype) -> torch.dtype:
    """Return PyTorch's type of elements."""
    return _TORCHS[dtype]


def floating(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which functions of real numbers have their results."""
    if dtype.is_floating_point or dtype.is_complex:
        return dtype
    return torch.get_default_dtype()


def summed(dtype: torch.dtype, named: torch.dtype | None = None) -> torch.dtype:
    """Return the type in which elements are summed up: the named one, int64 for whole numbers."""
    if named is not None:
        return named
    return dtype if dtype.is_floating_point or dtype.is_complex else torch.int64
