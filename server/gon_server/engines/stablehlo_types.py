"""The types of StableHLO that programs may take and give, from how MLIR writes them.

A tensor is `tensor<?x4xf32>`, in the versioned form `!vhlo.tensor_v1<?x4x!vhlo.f32_v1>`; `?` is a
size that each call tells.

Rules: pure. What is not known here is refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gon.errors import Unsupported

# Elements by MLIR's names of them: how NumPy and JAX call them, and the bytes of one.
_ELEMENTS: Final = {
    "bool": ("bool", 1),
    "i1": ("bool", 1),
    "i8": ("int8", 1),
    "i16": ("int16", 2),
    "i32": ("int32", 4),
    "i64": ("int64", 8),
    "ui8": ("uint8", 1),
    "ui16": ("uint16", 2),
    "ui32": ("uint32", 4),
    "ui64": ("uint64", 8),
    "bf16": ("bfloat16", 2),
    "f16": ("float16", 2),
    "f32": ("float32", 4),
    "f64": ("float64", 8),
    "complex<f32>": ("complex64", 8),
    "complex<f64>": ("complex128", 16),
}
_VERSIONED: Final = re.compile(r"!vhlo\.(\w+?)_v\d+")
_TENSOR: Final = re.compile(r"tensor<((?:(?:\d+|\?)x)*)(complex<\w+>|\w+)>")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: its element as MLIR calls it, and its sizes, None for one that each call tells."""

    element: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = "".join("?x" if size is None else f"{size}x" for size in self.shape)
        return f"tensor<{sizes}{self.element}>"

    @property
    def dtype(self) -> str:
        """What NumPy and JAX call the element."""
        return _ELEMENTS[self.element][0]

    @property
    def dynamic(self) -> bool:
        """Whether calls tell sizes of it."""
        return None in self.shape


def plain(text: str) -> str:
    """Return a type without its version."""
    return _VERSIONED.sub(lambda match: match[1], text).replace("bool", "i1")


def tensor_of(text: str) -> Tensor:
    """Read a type. Raises Unsupported for one that is no tensor, or of elements not known here."""
    match = _TENSOR.fullmatch(plain(text))
    if match is None or match[2] not in _ELEMENTS:
        raise Unsupported(f"values of type {plain(text)[:200]} cannot be passed")
    sizes = match[1].split("x")[:-1]
    return Tensor(match[2], tuple(None if size == "?" else int(size) for size in sizes))
