"""Operations that no kernel does: made of others as PyTorch itself makes them, or refused by name.

Rules: what is neither is done by the processor only where the environment asks for that
(GON_TORCH_FALLBACK=1): elements are fetched, which waits, and sent back; each such operation is
warned of once.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch.utils import _pytree as pytree

from gon_shim.torch import edge
from gon_shim.torch.edge import Overload
from gon_shim.torch.errors import UnsupportedByDevice

VARIABLE = "GON_TORCH_FALLBACK"
Table: TypeAlias = Mapping[object, Callable[..., object]]
_made_of_others = cast("Table", decomposition_table)
# What a thread is in the middle of making of others: made of itself, it is not made of others.
_within = threading.local()
_told: set[str] = set()


def fallen_back() -> frozenset[str]:
    """Return the operations that the processor has done so far."""
    return frozenset(_told)


def fall_back(operation: Overload, *args: object, **named: object) -> object:
    """Do an operation that has no kernel. Raises UnsupportedByDevice."""
    make = _made_of_others.get(operation)
    under: set[str] = _within.__dict__.setdefault("names", set())
    name = operation.name()
    if make is not None and name not in under:
        under.add(name)
        try:
            found = make(*args, **named)
        finally:
            under.discard(name)
        if found is not NotImplemented:
            return found
    if os.environ.get(VARIABLE, "0") in ("", "0"):
        raise UnsupportedByDevice(
            f"The operator '{name}' is not implemented for the device gon. {VARIABLE}=1 lets the "
            "processor do such operations: it fetches their operands and sends what they give."
        )
    if name not in _told:
        _told.add(name)
        warnings.warn(f"gon: {name} is done by the processor ({VARIABLE})", stacklevel=2)
    return _by_the_processor(operation, args, named)


def _by_the_processor(
    operation: Overload, args: Sequence[object], named: Mapping[str, object]
) -> object:
    brought: dict[int, tuple[Tensor, Tensor]] = {}

    def here(each: object) -> object:
        if isinstance(each, Tensor) and each.device.type == edge.NAME:
            return brought.setdefault(id(each), (each, each.cpu()))[1]
        return torch.device("cpu") if isinstance(each, torch.device) else each

    def there(each: object) -> object:
        if not isinstance(each, Tensor):
            return each
        for original, copy in brought.values():
            if copy is each:
                return original
        return each.to(edge.NAME)

    given, kept = pytree.tree_map(here, (tuple(args), dict(named)))
    found = operation(*given, **kept)
    for name in edge.written(operation, args, named):
        original, copy = brought[id(name)]
        original.copy_(copy)
    return pytree.tree_map(there, found)
