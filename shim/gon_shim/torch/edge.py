"""The edge to what PyTorch has for backends written in Python, most of it without a public name.

    storage ── bytes on "gon" of no memory of this process ──▶ tensor: a view of it, by strides

Rules: nothing else in this package names what begins with an underscore in PyTorch. A tensor here is
one of PyTorch's own, so views, saved values of autograd, parameters and `.data` share its storage as
they do anywhere; an address is only told, never read: PyTorch tells storages apart by it.
"""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias, cast

import torch
from torch import Tensor

from gon.array_program import c_strides as _c_strides

NAME: Final = "gon"
# Where addresses begin: no process has memory there.
_FIRST_ADDRESS: Final = 1 << 48
_ALIGNED_BYTES: Final = 512


class Overload(Protocol):
    """An operation of PyTorch, one of its overloads."""

    _schema: torch._C.FunctionSchema

    def __call__(self, *args: object, **named: object) -> object: ...

    def name(self) -> str: ...

    def redispatch(self, keys: object, /, *args: object, **named: object) -> object: ...


Called: TypeAlias = Callable[..., object]

_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_addresses = itertools.count(_FIRST_ADDRESS, _ALIGNED_BYTES)


class _Hooks(torch._C._acc.PrivateUse1Hooks):
    def is_available(self) -> bool:
        return True

    def has_primary_context(self, device_index: int) -> bool:  # noqa: ARG002 - the one there is
        return True

    def is_built(self) -> bool:
        return True


class _Guard(torch._C._acc.DeviceGuard):
    def type_(self) -> torch._C._autograd.DeviceType:  # type: ignore[override] # what its C++ takes
        return torch._C._autograd.DeviceType.PrivateUse1


def is_free() -> bool:
    """Return whether no other backend has taken the place that PyTorch has for one."""
    return torch._C._get_privateuse1_backend_name() == "privateuseone"


def is_ours() -> bool:
    """Return whether the place is taken by this backend."""
    return torch._C._get_privateuse1_backend_name() == NAME


def announce(module: object) -> None:
    """Make "gon" a device of PyTorch, with `torch.gon` as its module."""
    torch.utils.rename_privateuse1_backend(NAME)
    torch.utils.generate_methods_for_privateuse1_backend(for_storage=False)
    torch._register_device_module(NAME, module)
    torch._C._acc.register_python_privateuseone_hook(_Hooks())
    torch._C._acc.register_python_privateuseone_device_guard(_Guard())


def new_storage(size_bytes: int) -> torch.UntypedStorage:
    """Return a storage on the device, of bytes that PyTorch never touches."""
    address = next(_addresses)
    made = torch._C._construct_storage_from_data_pointer(
        address, torch.device(NAME, 0), size_bytes
    )
    return cast("torch.UntypedStorage", made)


def tensor_on(
    storage: torch.UntypedStorage,
    dtype: torch.dtype,
    shape: Sequence[int],
    strides: Sequence[int],
    offset: int = 0,
) -> Tensor:
    """Return a tensor that looks at a storage of the device."""
    made = torch._C._acc.create_empty_tensor((0,), dtype)
    _set.redispatch(_CPU, made, storage, offset, shape, strides)
    return made


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a tensor in C order."""
    return _c_strides(tuple(shape))


def by_numbers(operation: Overload, *args: object, **named: object) -> object:
    """Do an operation that only changes how a tensor looks at its storage, by the code that does so
    for tensors of the processor.
    """
    return operation.redispatch(_CPU, *args, **named)


def overload(name: str) -> Overload:
    """Return an operation by its name, "add.Tensor". Raises AttributeError."""
    packet, _, which = name.partition(".")
    return cast("Overload", getattr(getattr(torch.ops.aten, packet), which or "default"))


class Writing(NamedTuple):
    """A variant of an operation that writes into its first operand, or into named ones."""

    name: str
    operation: Overload
    outs: tuple[str, ...]

    @property
    def in_place(self) -> bool:
        return not self.outs


def writing(operation: Overload) -> list[Writing]:
    """Return the variants of an operation that write what it would return."""
    full = operation.name().removeprefix("aten::")
    packet, _, which = full.partition(".")
    taken = _taken(operation)
    found: list[Writing] = []
    for name, other in _overloads(packet).items():
        outs = tuple(each.name for each in other._schema.arguments if each.is_out)
        if outs and _taken(other) == taken:
            found.append(Writing(name, other, outs))
    in_place = _overloads(packet + "_")
    named = f"{packet}_.{which}" if which else f"{packet}_"
    if named in in_place and _taken(in_place[named]) == taken:
        found.append(Writing(named, in_place[named], ()))
    return found


def written(
    operation: Overload, args: Sequence[object], named: Mapping[str, object]
) -> list[object]:
    """Return the operands that an operation writes into."""
    found: list[object] = []
    for place, each in enumerate(operation._schema.arguments):
        if each.alias_info is not None and each.alias_info.is_write:
            given = args[place] if place < len(args) else named.get(each.name)
            if given is not None:
                found.append(given)
    return found


def _taken(operation: Overload) -> list[tuple[str, str]]:
    """Return what an operation takes, but for what it is told to write."""
    return [
        (each.name, str(each.type)) for each in operation._schema.arguments if not each.is_out
    ]


def _overloads(packet: str) -> dict[str, Overload]:
    found = getattr(torch.ops.aten, packet, None)
    if found is None:
        return {}
    return {
        packet if which == "default" else f"{packet}.{which}": getattr(found, which)
        for which in found.overloads()
    }


_set = overload("set_.source_Storage_storage_offset")
