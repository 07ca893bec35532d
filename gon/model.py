"""The vocabulary: frozen values that every layer speaks of. No behaviour beyond checking
themselves.

Handles are 64-bit numbers chosen by the client; 0 is never a buffer, module, kernel or event, and
is the default stream. Values are frozen `msgspec.Struct`s: making their classes takes a tenth of
what dataclasses take of a client's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, NewType, TypeAlias

import msgspec

from gon.errors import InvalidArgument

Handle = NewType("Handle", int)
DEFAULT_STREAM = Handle(0)

Dim3: TypeAlias = tuple[int, int, int]


class BufferAt(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A kernel argument: a buffer seen from `offset_bytes` on."""

    buffer: int
    offset_bytes: int


class LocalBytes(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """A kernel argument: `size_bytes` of memory local to each block (OpenCL `local`, CUDA
    `__shared__`).
    """

    size_bytes: int


# A kernel argument as it travels: a buffer's handle, the bytes of a value, or one of the structs
# above.
LaunchArg: TypeAlias = int | bytes | BufferAt | LocalBytes


# What a graph is made of: ops without their stream, which is the one the graph is run on. Tags are
# those of the same ops by themselves (gon.wire.ops).
class GraphLaunch(msgspec.Struct, frozen=True, array_like=True, tag=34, gc=False):
    """A launch of a graph; as `Device.launch`."""

    kernel: int
    grid: Dim3
    block: Dim3
    shared_bytes: int
    args: tuple[LaunchArg, ...]


class GraphCopy(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """A copy between buffers; as `Device.copy`."""

    source: int
    source_offset: int
    target: int
    target_offset: int
    size_bytes: int


class GraphFill(msgspec.Struct, frozen=True, array_like=True, tag=6, gc=False):
    """A fill; as `Device.fill`."""

    buffer: int
    offset: int
    size_bytes: int
    pattern: bytes


GraphOp: TypeAlias = GraphLaunch | GraphCopy | GraphFill
# Where a graph's named argument stands: in which op (a launch, counted from 0), as which argument.
# A slot is all places of one name.
GraphPlace: TypeAlias = tuple[int, int]
GraphSlot: TypeAlias = tuple[GraphPlace, ...]
# A slot, counted from 0, and what stands in its places for one run.
GraphChange: TypeAlias = tuple[int, LaunchArg]


# A dimension of a tensor: its size, or the name of the parameter that tells it at each launch.
Dim: TypeAlias = int | str


class ParamKind(Enum):
    """What a kernel's parameter takes."""

    BUFFER = "buffer"
    VALUE = "value"
    LOCAL = "local"


class Param(msgspec.Struct, frozen=True):
    """One parameter of a kernel.

    `type_name` is the source's own spelling; `dtype` the NumPy dtype string of a value, or of the
    elements a pointer points to, "" where the type has none (structs); `size_bytes` the size of a
    value, 0 where unknown; `writes` whether a launch may write through it (a pointer that is not to
    const). Functions of engines take tensors: `shape` is then theirs, of elements of `size_bytes`,
    and None for everything else; a host of an older version has no such thing. `qualifiers` are the
    numbers that OpenCL has for the address space, the access and the type's qualifiers, where they
    are known.
    """

    name: str
    kind: ParamKind
    type_name: str
    dtype: str = ""
    size_bytes: int = 0
    writes: bool = False
    shape: tuple[Dim, ...] | None = None
    qualifiers: tuple[int, int, int] | None = None


class KernelInfo(msgspec.Struct, frozen=True):
    """A kernel's signature; `max_block` is the most threads one block of it may have.

    Of a kernel of OpenCL also: the shape that its blocks must have, where the source says so, the
    local and private memory that it takes by itself, what sizes of blocks are best a multiple of,
    and its attributes, as its compiler writes them; a host of an older version tells none of them.
    """

    name: str
    params: tuple[Param, ...]
    max_block: int
    required_block: Dim3 | None = None
    local_bytes: int = 0
    private_bytes: int = 0
    block_multiple: int = 1
    attributes: str = ""


class Program(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a module is made of.

    `names` are the name expressions of templates to instantiate (`scale<float>`); `headers` are
    pairs of a name, as the source includes it, and its text. Both are for "cuda-c".
    """

    code: bytes
    code_format: str
    options: str = ""
    names: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class GlobalInfo(msgspec.Struct, frozen=True):
    """A variable of a module that the program reaches by name (`__constant__`, `__device__`).

    `dtype` is the NumPy dtype string of its elements, "" where the type has none.
    """

    name: str
    type_name: str
    dtype: str
    size_bytes: int


class ModuleInfo(msgspec.Struct, frozen=True):
    """What loading a module gave: its kernels, and the compiler's log (warnings; may be empty).

    `source` is the text that was compiled where the program was translated, "" otherwise.
    """

    kernels: tuple[KernelInfo, ...]
    log: str = ""
    source: str = ""
    globals: tuple[GlobalInfo, ...] = ()


class DeviceInfo(msgspec.Struct, frozen=True):
    """What a device is and takes. Sizes in bytes; `max_block_dims` and `max_block` in threads.

    `properties` are an OpenCL device's own answers to clGetDeviceInfo, by number; a host of an
    older version tells none. `withheld` are formats of programs that the unit's site forbids, each
    with the reason; so with them.
    """

    name: str
    kind: str
    vendor: str
    driver: str
    formats: tuple[str, ...]
    memory_bytes: int
    max_block: int
    max_block_dims: Dim3
    local_bytes: int
    compute_units: int
    view_alignment_bytes: int
    properties: tuple[tuple[int, bytes], ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()


class Configuration(msgspec.Struct, frozen=True, array_like=True):
    """What a unit is loaded to be, for one lease, and how it came to be that.

    `state` is "configuring", "ready", or "failed": then the unit is what it was before, as
    `personality` says, and `reason` why. `elapsed_us` is what the last change took in all, of which
    the drained streams had `drained_us`; `warm` whether its engines were loaded before.
    """

    personality: str
    state: str = "ready"
    reason: str = ""
    elapsed_us: float = 0.0
    drained_us: float = 0.0
    warm: bool = True


def dim3(value: int | Sequence[int], what: str) -> Dim3:
    """Return `value` (an int or 1 to 3 ints, each ≥ 1 and < 2³²) as three ints.

    Raises InvalidArgument naming `what`.
    """
    parts = tuple(value) if isinstance(value, Sequence) else (value,)
    if not 1 <= len(parts) <= 3:
        raise InvalidArgument(f"{what} has {len(parts)} dimensions; 1 to 3 are possible")
    for part in parts:
        if isinstance(part, bool) or not hasattr(part, "__index__"):
            raise InvalidArgument(f"{what} is {value!r}; whole numbers are needed")
        if not 1 <= part < 1 << 32:
            raise InvalidArgument(f"{what} is {value!r}; each dimension must be 1 to 2**32 - 1")
    padded = (*(int(part) for part in parts), 1, 1)
    return (padded[0], padded[1], padded[2])


class LaunchConfig:
    """How many blocks of how many threads a launch runs, and the block-local memory it adds.

    `grid` counts blocks, `block` threads a block, each an int or 1 to 3 ints; `shared_bytes` is
    CUDA's dynamic shared memory. Immutable. Raises InvalidArgument for anything else.
    """

    __slots__ = ("block", "coded", "grid", "shared_bytes", "threads")

    grid: Dim3
    block: Dim3
    shared_bytes: int
    threads: int
    # What the native launch keeps here: it is coded once for all launches of this configuration.
    coded: bytes

    def __init__(
        self, grid: int | Sequence[int], block: int | Sequence[int] = 1, shared_bytes: int = 0
    ) -> None:
        if shared_bytes < 0:
            raise InvalidArgument(f"shared_bytes is {shared_bytes}; it must be 0 or more")
        object.__setattr__(self, "grid", dim3(grid, "grid"))
        object.__setattr__(self, "block", dim3(block, "block"))
        object.__setattr__(self, "shared_bytes", int(shared_bytes))
        object.__setattr__(self, "coded", b"")
        object.__setattr__(self, "threads", self.block[0] * self.block[1] * self.block[2])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"LaunchConfig is immutable: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LaunchConfig):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shared = f", shared_bytes={self.shared_bytes}" if self.shared_bytes else ""
        return f"LaunchConfig(grid={self.grid}, block={self.block}{shared})"

    def _key(self) -> tuple[Dim3, Dim3, int]:
        return (self.grid, self.block, self.shared_bytes)


class UnitInfo(msgspec.Struct, frozen=True):
    """One exportable accelerator as its daemon describes it.

    `slices` are its fixed, equal shares; `engines` say what runs those formats that are no kernels,
    `walls` what keeps its workers from the rest of the host; an older host tells nothing: "".
    """

    id: str
    kind: str
    name: str
    personality: str
    personalities: tuple[str, ...]
    formats: tuple[str, ...]
    memory_bytes: int
    slices: int
    slices_free: int
    engines: tuple[str, ...] = ()
    walls: str = ""

    @property
    def slice_bytes(self) -> int:
        """Memory of one slice."""
        return self.memory_bytes // self.slices

    @property
    def memory_free_bytes(self) -> int:
        """Memory of the slices that no lease holds."""
        return self.slice_bytes * self.slices_free

    def __str__(self) -> str:
        gib = 1 << 30
        return (
            f"{self.id}  {self.kind}  {self.name}  personality {self.personality}"
            f" of {'/'.join(self.personalities)}  formats {', '.join(self.formats)}"
            f"  memory {self.memory_free_bytes / gib:.1f} of {self.memory_bytes / gib:.1f} GiB free"
            f"  slices {self.slices_free} of {self.slices} free  walls {self.walls or 'unknown'}"
        )


class LeaseTerms(msgspec.Struct, frozen=True):
    """What a lease entitles to, as both sides know it.

    `fence` grows with every lease a host ever gives (its upper 32 bits are the daemon's `epoch`):
    whoever sees a smaller one sees a stale lease. `token` opens the lease's data links and is known
    to no one else.
    """

    id: str
    unit: str
    personality: str
    epoch: int
    fence: int
    token: bytes
    memory_bytes: int
    lease_s: float
    grace_s: float
    endpoint: str
    personalities: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"LeaseTerms({self.id} on {self.unit}, fence {self.fence:#x}, {self.endpoint})"


class CommandTimes(NamedTuple):
    """When a command was queued on the device, submitted, began and ended: never falling, in ns of
    the device's clock, which may begin anywhere. When this was told it was `told_ns` by that clock,
    or later; 0 where that is not known.
    """

    queued_ns: int
    submitted_ns: int
    began_ns: int
    ended_ns: int
    told_ns: int = 0
