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
from torch._decomp import (
    decomposition_table,  # pyright: ignore[reportUnknownVariableType] - cast below
)
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
    under: set[str] = _within.__dict__.setdefault("names", set())
    name = operation.name()
    if name not in under:
        under.add(name)
        try:
            found = _of_others(operation, args, named)
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


def _of_others(operation: Overload, args: Sequence[object], named: Mapping[str, object]) -> object:
    """Do an operation by others, if PyTorch says how; return NotImplemented if it does not."""
    outs = edge.outs_of(operation)
    source = edge.without_outs(operation) if outs else operation
    make = None if source is None else _made_of_others.get(source)
    if make is None:
        return NotImplemented
    kept = {key: value for key, value in named.items() if key not in outs}
    found = make(*args, **kept)
    if not outs or found is NotImplemented:
        return found
    results = cast("tuple[object, ...]", found if isinstance(found, tuple) else (found,))
    targets = [cast("Tensor", named[out]) for out in outs]
    for target, result in zip(targets, results, strict=True):
        assert isinstance(result, Tensor)
        if target.shape != result.shape:
            target.resize_(result.shape)
        target.copy_(result)
    return targets[0] if len(targets) == 1 else tuple(targets)


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
