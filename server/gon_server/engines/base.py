"""What an engine is: it loads programs of one format and runs their functions on a unit's memory.

    Engine ──load(program)──▶ EngineProgram ──bind(function, tensors, values)──▶ Bound ──run(data)

A function has a kernel's signature (gon.model.KernelInfo): tensors are its BUFFER parameters, with
a shape; those that it `writes` are its outputs. Every dimension of a shape that is a name is told
by the VALUE parameter of that name, an int64 (gon_server.engines.signature makes such signatures).
So a call is a launch like any other, and streams, failures, graphs and quotas need not know what
an engine is. A result whose size the function finds out, as a compressed size, is written into one
more output: a tensor of uint64.

Rules:
- The entry points `gon.engines` name engines by the format that they take; what one names is an
  `OpenEngine`. Its module imports its library at the top: it is imported only in processes that
  run such programs, never by gond.
- Tensors are the buffers' own memory, as NumPy sees it, or, where that is not the host's, copies in
  it (gon_server.staging): an engine reads and writes them in place, nothing else, inputs
  never. Their sizes, alignment and overlap have been checked; what stands in them is the caller's,
  and may be anything.
- A `Bound` holds for as long as its tensors' memory: it is kept for the next launch on that memory
  with the same numbers, and dropped before the memory goes. What can be done once is done in
  `bind`. Bytes given by value, which are keys and nonces, are a run's alone: nobody keeps them.
- Everything happens in the one thread that calls, and has happened when the call returns; but runs,
  and what they bind, may be in another thread than all else: one run at a time, no load meanwhile.
  Threads of an engine's own are no more than its `Share` says, and give up the GIL where they can.
- Programs are a stranger's: an engine reads no file, opens no socket, starts no process for them.
  The library's errors leave as ours.
Must not know: streams, handles, wires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gon.model import KernelInfo, Program

# The range of a buffer that a parameter names, in its shape. Elements of types that NumPy has not
# (bfloat16) are seen as bytes of their size ("V2"). Inputs are read-only.
Tensor: TypeAlias = NDArray[np.generic]


def address_of(tensor: Tensor) -> int:
    """Return where a tensor begins: a tenth of what `ctypes.data` takes, which makes an object."""
    address: int = tensor.__array_interface__["data"][0]
    return address


@dataclass(frozen=True, slots=True)
class Share:
    """What of the host an engine may take beside the buffers."""

    threads: int


@dataclass(frozen=True, slots=True)
class Uses:
    """What a program is made of, for personalities to admit or refuse: the types of elements in it
    ("float32", "bfloat16", …, by gon.model's `type_name`s) and its operations, by the names that
    its format gives them; `dynamic` says whether shapes in it are known only when it runs.
    """

    elements: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    dynamic: bool = False


class Bound(Protocol):
    """A function and what it is to be run on."""

    def run(self, data: Sequence[bytes] = (), /) -> None:
        """Run it; `data` are the bytes that the function takes by value, in the order of their
        parameters, each of its size. The outputs are written when this returns. Raises
        InvalidArgument for inputs that the program refuses, DeviceError for what fails in it;
        outputs are then of no use.
        """
        ...


class EngineProgram(Protocol):
    """A loaded program. It belongs to one module of one lease."""

    @property
    def functions(self) -> tuple[KernelInfo, ...]:
        """The signatures of what can be run; fixed. At least one."""
        ...

    @property
    def uses(self) -> Uses:
        """What it is made of; fixed."""
        ...

    @property
    def size_bytes(self) -> int:
        """What it takes of the host's memory for as long as it is loaded, as far as that is known:
        above all its weights. What a run needs besides is not in it.
        """
        ...

    @property
    def fills(self) -> bool:
        """Whether every run that does not fail writes all of its outputs; fixed."""
        ...

    def bind(self, function: str, tensors: Sequence[Tensor], values: Mapping[str, bytes]) -> Bound:
        """Make a function ready to run on these tensors, one for each BUFFER parameter in their
        order; `values` are the numbers among its VALUE parameters, coded, by name.

        Nothing is written yet. Raises InvalidArgument for what the function cannot take.
        """
        ...

    def unload(self) -> None:
        """Give back what the program holds. Its Bounds have been dropped."""
        ...


class Engine(Protocol):
    """Executes one program format."""

    @property
    def format(self) -> str:
        """The format that it takes, as in `Program.code_format`."""
        ...

    @property
    def version(self) -> str:
        """The library behind it and its version, for people: "onnxruntime 1.30.0"."""
        ...

    def load(self, program: Program) -> EngineProgram:
        """Check and load a program.

        Raises CompileError with what the library says of a program that is none, Unsupported for
        one that is not run here, naming the reason, LimitExceeded.
        """
        ...


@runtime_checkable
class Building(Protocol):
    """What an engine may give besides: compiling in one process of a host and loading in another,
    where a compiler takes more time and memory than a lease's worker has for it.
    """

    def is_compiled(self, program: Program) -> bool:
        """Return whether something of a program is compiled, so that building it apart is worth a
        process; of what is no program, any answer will do.
        """
        ...

    def build(self, program: Program) -> bytes:
        """Compile a program for any process of this host. Raises as `Engine.load`."""
        ...

    def load_built(self, built: bytes) -> EngineProgram:
        """Load what `build` gave. Raises DeviceError for anything else, otherwise as `load`."""
        ...


class OpenEngine(Protocol):
    """What an entry point names."""

    def __call__(self, share: Share) -> Engine:
        """Make the engine ready. Raises Unsupported where its library does not work here."""
        ...
