"""The table of operations that units do, and how each becomes what PyTorch calls.

    @kernel("add.Tensor")                 add.Tensor(x, y)            a new tensor
    def add(x, y, alpha=1) -> Array  ──▶  add_.Tensor(x, y)           written into x
                                          add.out(x, y, out=z)        written into z

A kernel is given tensors and returns arrays that are to be made: nothing is sent. Its variants that
write are made here, by their schemas. Rules: a kernel that fails says it as PyTorch does
(gon_shim.torch.errors).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Final, TypeAlias, TypeVar, cast

import torch
from torch import Tensor

from gon.errors import GonError
from gon_client.xp.array import Array
from gon_shim.torch import edge, narrow
from gon_shim.torch.dtypes import numpy_of, torch_of
from gon_shim.torch.edge import Called, Overload
from gon_shim.torch.errors import Mixed, UnsupportedByDevice, as_expected, raise_by_meta
from gon_shim.torch.fallback import fall_back
from gon_shim.torch.recipes import Given, Kept, rewrite, tensors_of
from gon_shim.torch.storage import cast_to, tensor_of, write

Made: TypeAlias = "Array | Tensor | tuple[Array | Tensor | None, ...] | None"
Kernel = TypeVar("Kernel", bound=Callable[..., Made])
Direct = TypeVar("Direct", bound=Called)


# What PyTorch makes by code of its own for each kind of device, which ends in an assertion of its.
_BY_CODE: Final = ("kaiser_window", "kaiser_window.periodic", "kaiser_window.beta")
# By the full name of an operation: what returns arrays, and what is called as it stands.
KERNELS: Final[dict[str, Callable[..., Made]]] = {}
DIRECT: Final[dict[str, Called]] = {}
# What asks nothing of a unit, and is called as it stands.
LOOKS: Final[dict[str, Called]] = {}
# Whose floats are numbers of their recipes (gon_shim.torch.recipes): what they do does not depend
# on them but where they are 0 or 1.
TOLD: Final[set[str]] = set()


def kernel(*names: str, told: bool = False) -> Callable[[Kernel], Kernel]:
    """Let a function be what these operations are made by; `told` puts them into TOLD."""

    def decorate(function: Kernel) -> Kernel:
        for name in names:
            assert name not in KERNELS, name
            KERNELS[name] = function
        TOLD.update(names if told else ())
        return function

    return decorate


def direct(*names: str) -> Callable[[Direct], Direct]:
    """Let a function be called for these operations, with what PyTorch gives and returning it."""

    def decorate(function: Direct) -> Direct:
        for name in names:
            assert name not in DIRECT, name
            DIRECT[name] = function
        return function

    return decorate


def calls() -> dict[str, Called]:
    """Return what PyTorch is to call, by the full names of operations."""
    found = dict(LOOKS)
    for name, function in KERNELS.items():
        operation = edge.overload(name)
        is_made = edge.is_made_of_others(operation)
        assert not is_made, name
        told = name in TOLD
        found[name] = guarded(operation, _new(name, function, told))
        for other in edge.writing(operation):
            if other.in_place:
                wrapped = _into_first(other.name, function, told)
            else:
                wrapped = _into_named(other, function)
            found[other.name] = guarded(other.operation, wrapped)
    for name, called in DIRECT.items():
        found[name] = _guarded_direct(edge.overload(name), called)
    for name in _BY_CODE:
        found[name] = partial(rest, edge.overload(name))
    return found


def guarded(operation: Overload, called: Called) -> Called:
    """Return a call whose failures are said in PyTorch's words, those of the operation; what the
    unit does not do with such elements is done elsewhere.
    """

    @wraps(called)
    def call(*args: object, **named: object) -> object:
        try:
            return called(*args, **named)
        except UnsupportedByDevice:
            return rest(operation, *args, **named)
        except GonError as error:
            expected = as_expected(error)
            if isinstance(expected, Mixed | IndexError):
                raise_by_meta(operation, args, named)
            raise expected from error

    return call


def _guarded_direct(operation: Overload, called: Called) -> Called:
    """Return a call whose failures are said in PyTorch's words. The processor does none of these:
    what it does is fetched and sent by them.
    """

    @wraps(called)
    def call(*args: object, **named: object) -> object:
        try:
            try:
                return called(*args, **named)
            except UnsupportedByDevice:
                if narrow.concerns(args, named):
                    return narrow.done(operation, args, named)
                raise
        except GonError as error:
            raise as_expected(error) from error

    return call


def rest(operation: Overload, *args: object, **named: object) -> object:
    """Do what no kernel does, its failures said in PyTorch's words."""
    try:
        if narrow.concerns(args, named):
            return narrow.done(operation, args, named)
        return fall_back(operation, *args, **named)
    except GonError as error:
        raise as_expected(error) from error


def _new(name: str, function: Callable[..., Made], told: bool) -> Called:
    """Return a call that returns new tensors."""
    is_several = edge.gives_several(edge.overload(name))
    kept = Kept(name, lambda *args, **named: _arrays_of(function(*args, **named)), told=told)

    def called(*args: object, **named: object) -> object:
        followed = kept.follow(args, named)
        if followed is not None:
            storages, known = followed
            made = tensors_of(storages, known)
            return tuple(made) if is_several else made[0]
        return _tensors(function(*args, **named))

    return called


def _tensors(made: Made) -> object:
    if isinstance(made, Array):
        return tensor_of(made)
    if isinstance(made, tuple):
        return tuple([tensor_of(each) if isinstance(each, Array) else each for each in made])
    return made


def _arrays_of(made: Made) -> Given:
    """Return what is to be made, if that is arrays and nothing else."""
    if isinstance(made, Array):
        return (made,)
    if isinstance(made, tuple) and not any(isinstance(each, Tensor) for each in made):
        return cast("Given", made)
    return None


def _into_first(name: str, function: Callable[..., Made], told: bool) -> Called:
    """Return a call that writes into its first operand."""

    def made(first: Tensor, *args: object, **named: object) -> Given:
        found = function(first, *args, **named)
        assert isinstance(found, Array)
        return (fitting(found, first),)

    kept = Kept(name, made, told=told)

    def called(first: Tensor, *args: object, **named: object) -> Tensor:
        followed = kept.follow((first, *args), named)
        if followed is not None:
            storages, known = followed
            rewrite(first, storages[0], known.layouts[0])
            return first
        found = function(first, *args, **named)
        assert isinstance(found, Array)
        write(first, fitting(found, first))
        return first

    return called


def _into_named(variant: edge.Writing, function: Callable[..., Made]) -> Called:
    """Return a call that writes into what is named to be written."""

    def called(*args: object, **named: object) -> object:
        outs = [cast("Tensor", named.pop(name)) for name in variant.outs]
        made = function(*args, **named)
        results = made if isinstance(made, tuple) else (made,)
        for out, result in zip(outs, results, strict=True):
            assert isinstance(result, Array)
            _check_type(result, out)
            if out.shape != result.shape:
                out.resize_(result.shape)
            write(out, fitting(result, out))
        return outs[0] if len(outs) == 1 else tuple(outs)

    return called


def fitting(made: Array, target: Tensor) -> Array:
    """Return an array in the type of elements of what it is written to. Raises Mixed."""
    if made.shape != target.shape:
        raise Mixed(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(made.shape)}"
        )
    _check_type(made, target)
    return cast_to(made, numpy_of(target.dtype))


def _check_type(made: Array, target: Tensor) -> None:
    """Raise Mixed for an array that cannot be written to a tensor of its type."""
    found = torch_of(made.dtype)
    if found != target.dtype and not torch.can_cast(found, target.dtype):
        raise Mixed(f"result type {found} can't be cast to the desired output type {target.dtype}")
