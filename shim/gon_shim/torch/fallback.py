"""Operations that no kernel does: made of others as PyTorch itself makes them, or done by the
processor of this machine.

    no kernel, or none for such elements ──▶ PyTorch's own way of others ──▶ the processor: fetch,
                                                                             do, send back

Rules: what the processor does waits, so it is never silent: each such operation is warned of once,
and counted where `gon.stats` tells it. GON_TORCH_FALLBACK=0 refuses it instead. What gives a view
is never done so: nobody else would see what is written into it.
"""

from __future__ import annotations

import inspect
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

from gon_client.xp.default import DEFAULT
from gon_shim.torch import edge
from gon_shim.torch.edge import Overload
from gon_shim.torch.errors import Mixed, UnsupportedByDevice, by_meta

VARIABLE = "GON_TORCH_FALLBACK"
Table: TypeAlias = Mapping[object, Callable[..., object]]
_made_of_others = cast("Table", decomposition_table)
# What a thread is in the middle of making of others: made of itself, it is not made of others.
_within = threading.local()
_told: set[str] = set()
_INNER = ("gon_shim.torch", "torch.")


def fallen_back() -> frozenset[str]:
    """Return the operations that the processor has done so far."""
    return frozenset(_told)


def fall_back(operation: Overload, *args: object, **named: object) -> object:
    """Do an operation that has no kernel. Raises UnsupportedByDevice."""
    outs = edge.outs_of(operation)
    plain = edge.without_outs(operation) if outs else operation
    if plain is None:
        return _by_the_processor(operation, args, named)
    kept = {key: value for key, value in named.items() if key not in outs}
    found = _of_others(plain, args, kept)
    if found is NotImplemented:
        found = _by_the_processor(plain, args, kept)
    return _written(found, [cast("Tensor", named[out]) for out in outs]) if outs else found


def _of_others(operation: Overload, args: Sequence[object], named: Mapping[str, object]) -> object:
    """Do an operation by others, if PyTorch says how; return NotImplemented if it does not."""
    under: set[str] = _within.__dict__.setdefault("names", set())
    name = operation.name()
    make = _made_of_others.get(operation)
    if make is None or name in under:
        return NotImplemented
    if edge.is_in_place(operation) and not cast("Tensor", args[0]).is_floating_point():
        # Made of others in place, it would write what its type does not take.
        plain = edge.not_in_place(operation)
        result = None if plain is None else by_meta(plain, args, named)
        if isinstance(result, Tensor):
            _check_taken(result, cast("Tensor", args[0]))
    under.add(name)
    try:
        return make(*args, **named)
    finally:
        under.discard(name)


def _written(found: object, targets: Sequence[Tensor]) -> object:
    """Write results into what was named for them."""
    results = cast("tuple[object, ...]", found if isinstance(found, tuple) else (found,))
    for target, result in zip(targets, results, strict=True):
        assert isinstance(result, Tensor)
        _check_taken(result, target)
        if target.shape != result.shape:
            target.resize_(result.shape)
        target.copy_(result)
    return targets[0] if len(targets) == 1 else tuple(targets)


def _check_taken(result: Tensor, target: Tensor) -> None:
    """Raise Mixed for a result that what it is to be written to does not take."""
    if not torch.can_cast(result.dtype, target.dtype):
        raise Mixed(
            f"result type {result.dtype} can't be cast to the desired output type {target.dtype}"
        )


def _by_the_processor(
    operation: Overload, args: Sequence[object], named: Mapping[str, object]
) -> object:
    """Fetch what an operation is of, do it here, and send what it gives and writes."""
    _announce(operation)
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
    for target in edge.written(operation, args, named):
        # What is not brought is this machine's, and written there.
        original, copy = brought.get(id(target), (target, target))
        if copy is original:
            continue
        if original.shape != copy.shape:
            original.resize_(copy.shape)
        original.copy_(copy)
    return pytree.tree_map(there, found)


def _announce(operation: Overload) -> None:
    """Count an operation that the processor is to do, and warn of its first time. Raises
    UnsupportedByDevice where that is not wanted, or cannot be.
    """
    name = operation.name()
    refusal = f"The operator '{name}' is not implemented for the device gon"
    if edge.gives_view(operation):
        raise UnsupportedByDevice(f"{refusal}: it gives a view of elements that are on the unit.")
    if os.environ.get(VARIABLE, "1") in ("", "0"):
        raise UnsupportedByDevice(
            f"{refusal}, and {VARIABLE}=0 keeps this machine's processor from doing it."
        )
    DEFAULT.device.done_here[name] += 1
    if name not in _told:
        _told.add(name)
        warnings.warn(
            f"gon: {name} is done by this machine's processor, which fetches its operands and "
            f"sends what it gives ({VARIABLE}=0 refuses it)",
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """Return how far up the program is that called PyTorch."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_INNER):
        frame, level = frame.f_back, level + 1
    return level
