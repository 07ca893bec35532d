"""The edge to what PyTorch has for backends written in Python, most of it of no public name.

    storage ── bytes on "gon" of no memory of this process ──▶ tensor: a view of it, by strides

Rules: nothing else in this package names what begins with an underscore in PyTorch. A tensor here
is one of PyTorch's own, so views, saved values of autograd, parameters and `.data` share its
storage as they do anywhere; an address is only told, never read: PyTorch tells storages apart by
it.
"""
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Final, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._C import (
    DispatchKey,
    DispatchKeySet,
    FunctionSchema,
    _construct_storage_from_data_pointer,
    _dispatch_has_kernel_for_dispatch_key,
)
from torch._C._acc import (
    DeviceGuard,
    PrivateUse1Hooks,
    create_empty_tensor,
    register_python_privateuseone_device_guard,
    register_python_privateuseone_hook,
)
from torch._C._autograd import DeviceType
from torch.utils.backend_registration import (
    generate_methods_for_privateuse1_backend,
    rename_privateuse1_backend,
)

from gon.array_program import c_strides as _c_strides
from gon.forked import new_lock

NAME: Final = "gon"
# Where addresses begin: no process has memory there.
_FIRST_ADDRESS: Final = 1 << 48
_ALIGNED_BYTES: Final = 512
_HELD: Final = "gon"


class Overload(Protocol):
    """An operation of PyTorch, one of its overloads."""

    _schema: FunctionSchema

    def __call__(self, *args: object, **named: object) -> object: ...

    def name(self) -> str: ...

    def redispatch(self, keys: object, /, *args: object, **named: object) -> object: ...

    @property
    def _handle(self) -> _Handle: ...


class _Handle(Protocol):
    """What PyTorch keeps of an operation in C++."""

    def redispatch_boxed(self, keys: object, /, *args: object, **named: object) -> object: ...


Called: TypeAlias = Callable[..., object]

_CPU = DispatchKeySet(DispatchKey.CPU)
# What storages hold, by their address; looked through for what is gone when it is twice as long as
# it was then.
_by_address: dict[int, weakref.ref[object]] = {}
_LOOKED_THROUGH_FROM: Final = 4096
_most = _LOOKED_THROUGH_FROM
_forgetting = new_lock()
_addresses = itertools.count(_FIRST_ADDRESS, _ALIGNED_BYTES)


class _Hooks(PrivateUse1Hooks):
    def is_available(self) -> bool:
        return True

    def has_primary_context(self, device_index: int) -> bool:  # noqa: ARG002 - the one there is
        return True

    def is_built(self) -> bool:
        return True


class _Guard(DeviceGuard):
    def type_(self) -> DeviceType:  # type: ignore[override] # what its C++ takes
        return DeviceType.PrivateUse1


def announce(module: object) -> None:
    """Make "gon" a device of PyTorch, with `torch.gon` as its module. Raises RuntimeError where
    another backend has taken the one place there is.
    """
    rename_privateuse1_backend(NAME)
    generate_methods_for_privateuse1_backend(for_storage=False)
    torch._register_device_module(NAME, module)  # type: ignore[no-untyped-call]
    register_python_privateuseone_hook(_Hooks())
    register_python_privateuseone_device_guard(_Guard())


def register(calls: Mapping[str, Called], rest: Called) -> list[torch.library.Library]:
    """Let PyTorch make these calls for its operations on the device, and `rest` with every other
    one first; as long as what is returned lives.
    """
    operations = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    for name, called in calls.items():
        operations.impl(name, called, "PrivateUse1")  # type: ignore[no-untyped-call]
    others = torch.library.Library("_", "IMPL")  # type: ignore[no-untyped-call]
    others.fallback(rest, "PrivateUse1")  # type: ignore[no-untyped-call]
    # Elements stay of the types that they are of: half as wide, they cost NumPy more.
    through = torch.library.fallthrough_kernel
    others.fallback(through, "AutocastPrivateUse1")  # type: ignore[no-untyped-call]
    # A copy reads, and writes, signs that are told apart from elements itself.
    for key in ("Conjugate", "Negative"):
        operations.impl("_copy_from", through, key)  # type: ignore[no-untyped-call]
    # Memory of the processor need not be pinned for this device: `DataLoader` asks for that.
    operations.impl("_pin_memory", _as_it_is, "CPU")  # type: ignore[no-untyped-call]
    return [operations, others]


def _as_it_is(tensor: Tensor, device: object = None) -> Tensor:
    del device
    return cast("Tensor", torch.ops.aten.alias(tensor))


def tensor_here(array: NDArray[np.generic]) -> Tensor:
    """Return an array of NumPy's as a tensor of the processor: the same memory."""
    return torch.from_numpy(array)


@cache
def _device() -> torch.device:
    return torch.device(NAME, 0)


def new_storage(
    size_bytes: int, held: object, copied: Callable[[object], torch.UntypedStorage]
) -> torch.UntypedStorage:
    """Return a storage on the device, of bytes that PyTorch never touches. What it holds lives as
    long as it does, and `copied` is how `copy.deepcopy` copies it.
    """
    address = next(_addresses)
    made = _construct_storage_from_data_pointer(address, _device(), size_bytes)
    # PyTorch gives a storage in C++ one object in Python, for as long as it lives.
    _by_address[address] = weakref.ref(held)
    if len(_by_address) > _most:
        _forget()
    attributes = vars(made)
    attributes[_HELD] = held
    attributes["__deepcopy__"] = copied
    return cast("torch.UntypedStorage", made)


def _forget() -> None:
    global _most
    with _forgetting:
        for address, reference in list(_by_address.items()):
            if reference() is None:
                _by_address.pop(address, None)
        _most = max(_LOOKED_THROUGH_FROM, 2 * len(_by_address))


def attached(storage: torch.UntypedStorage) -> object:
    """Return what a storage holds, None for one that is not the device's."""
    found = vars(storage).get(_HELD)
    # PyTorch looks at a storage through another one, of the same address, to save and load it.
    if found is not None:
        return found
    reference = _by_address.get(storage.data_ptr())
    return None if reference is None else reference()


def attached_to(tensor: Tensor) -> object:
    """Return what a tensor's storage holds, None for one that is not the device's, or is looked at
    through another.
    """
    return vars(tensor.untyped_storage()).get(_HELD)


def is_seen_by_others(storage: torch.UntypedStorage) -> bool:
    """Return whether more than one tensor looks at a storage."""
    # The tensor counts, and the object in Python that is asked.
    return torch._C._storage_Use_Count(storage._cdata) > 2


def alias_of(tensor: Tensor) -> Tensor:
    """Return another tensor of the same elements."""
    return cast("Tensor", _alias(tensor))


def tensor_on(
    storage: torch.UntypedStorage,
    dtype: torch.dtype,
    shape: Sequence[int],
    strides: Sequence[int],
    offset: int = 0,
) -> Tensor:
    """Return a tensor that looks at a storage of the device."""
    made = create_empty_tensor((0,), dtype)
    _set(made, storage, offset, shape, strides)
    return made


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a tensor in C order."""
    return _c_strides(tuple(shape))


def by_numbers(operation: Overload) -> Called:
    """Return a call that does an operation which only changes how a tensor looks at its storage, or
    is made of others: by the code that does so for tensors of the processor.
    """
    return partial(operation._handle.redispatch_boxed, _CPU)


def overload(name: str) -> Overload:
    """Return an operation by its name, "add.Tensor". Raises AttributeError."""
    packet, _, which = name.partition(".")
    return cast("Overload", getattr(getattr(torch.ops.aten, packet), which or "default"))


def is_made_of_others(operation: Overload) -> bool:
    """Return whether an operation has its gradient from those that PyTorch makes it of: a kernel
    for it would take that away.
    """
    return _dispatch_has_kernel_for_dispatch_key(operation.name(), "CompositeImplicitAutograd")


def gives_several(operation: Overload) -> bool:
    """Return whether an operation gives a tuple of tensors."""
    return len(operation._schema.returns) > 1


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
        outs = outs_of(other)
        if outs and _taken(other) == taken:
            found.append(Writing(name, other, outs))
    in_place = _overloads(packet + "_")
    named = f"{packet}_.{which}" if which else f"{packet}_"
    if named in in_place and _taken(in_place[named]) == taken:
        found.append(Writing(named, in_place[named], ()))
    return found


def written(
    operation: Overload, args: Sequence[object], named: Mapping[str, object]
) -> list[Tensor]:
    """Return the tensors that an operation writes into, those of lists too."""
    found: list[object] = []
    for place, each in enumerate(operation._schema.arguments):
        if each.alias_info is not None and each.alias_info.is_write:
            given = args[place] if place < len(args) else named.get(each.name)
            found += cast("list[object]", given) if isinstance(given, list | tuple) else [given]
    return [each for each in found if isinstance(each, Tensor)]


def outs_of(operation: Overload) -> tuple[str, ...]:
    """Return what an operation is told to write by name."""
    return tuple(each.name for each in operation._schema.arguments if each.is_out)


def is_in_place(operation: Overload) -> bool:
    """Return whether an operation writes into its first operand."""
    first = operation._schema.arguments[0].alias_info if operation._schema.arguments else None
    return first is not None and first.is_write


def not_in_place(operation: Overload) -> Overload | None:
    """Return the operation that returns what this one writes into its first operand."""
    packet, _, which = operation.name().removeprefix("aten::").partition(".")
    plain = packet.removesuffix("_")
    found = _overloads(plain).get(f"{plain}.{which}" if which else plain)
    return found if found is not None and _taken(found) == _taken(operation) else None


def gives_view(operation: Overload) -> bool:
    """Return whether an operation gives another look at what it is given."""
    told = [each.alias_info for each in operation._schema.returns]
    return any(each is not None and not each.is_write for each in told)


def without_outs(operation: Overload) -> Overload | None:
    """Return the operation that returns what this one writes."""
    packet = operation.name().removeprefix("aten::").partition(".")[0]
    taken = _taken(operation)
    return next(
        (
            other
            for other in _overloads(packet).values()
            if not outs_of(other) and _taken(other) == taken
        ),
        None,
    )


def _taken(operation: Overload) -> list[tuple[str, str]]:
    """Return what an operation takes, but for what it is told to write."""
    return [(each.name, str(each.type)) for each in operation._schema.arguments if not each.is_out]


def _overloads(packet: str) -> dict[str, Overload]:
    found = getattr(torch.ops.aten, packet, None)
    if found is None:
        return {}
    return {
        packet if which == "default" else f"{packet}.{which}": getattr(found, which)
        for which in found.overloads()
    }


_alias = by_numbers(overload("alias"))
_set = by_numbers(overload("set_.source_Storage_storage_offset"))
