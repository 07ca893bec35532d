"""The programs that engines have loaded for a device: modules and kernels, by handle.

Rules: a kernel keeps its program, as a device's kernels do after their module's unload. What a
kernel was bound to is kept for launches on the same memory with the same numbers, whatever buffers
have that memory by then, and dropped before the memory goes. Bytes given by value, which are keys
and nonces, are not part of that: they are a run's, and not kept. A function may run in another
thread than the one that all else is done in: what it is bound to is found and made with a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from gon.errors import GonError, InvalidArgument, LaunchTooLarge, OutOfMemory, Unsupported
from gon.limits import KERNELS_MAX, MODULES_MAX
from gon.model import BufferAt, Dim3, Handle, KernelInfo, LaunchArg, ModuleInfo, ParamKind
from gon_server.devices.books import Table
from gon_server.engines.base import Bound, EngineProgram, Tensor
from gon_server.engines.limits import BOUND_MAX
from gon_server.engines.signature import resolve

_ONE: Dim3 = (1, 1, 1)

# What arguments stand for: of a buffer its memory, by its identity, and where in it; of bytes that
# are a run's alone 0 and their size; of anything else 0 and that.
Places: TypeAlias = tuple[tuple[int, object], ...]


class Copies(Protocol):
    """Memory of the host that stands for that of buffers (gon_server.staging)."""

    def staged(
        self,
        bound: Bound,
        info: KernelInfo,
        args: Sequence[LaunchArg],
        tensors: Sequence[Tensor],
        *,
        fills: bool,
    ) -> Bound:
        """Return what runs `bound` on the buffers; `fills` says whether it writes all of its
        outputs.
        """
        ...


class Held:
    """A program, and how many handles there are of it and its functions."""

    __slots__ = ("count", "program")

    def __init__(self, program: EngineProgram) -> None:
        self.program = program
        self.count = 1

    def let_go(self) -> None:
        """Note that one handle less is there; unload the program with the last."""
        self.count -= 1
        if not self.count:
            self.program.unload()


class EngineKernel:
    """One function of a program, and what it was run on lately."""

    __slots__ = ("_bounds", "_held", "data", "info")

    def __init__(self, held: Held, info: KernelInfo) -> None:
        self._held = held
        self._bounds: dict[Places, Bound] = {}
        # The places of parameters that are bytes given by value.
        self.data = frozenset(
            place
            for place, param in enumerate(info.params)
            if param.kind is ParamKind.VALUE and not param.dtype
        )
        self.info = info
        held.count += 1

    def __repr__(self) -> str:
        return f"EngineKernel({self.info.name}, bound {len(self._bounds)} times)"

    def bound_to(self, places: Places) -> Bound | None:
        """Return the function bound to this memory and these numbers, if it is."""
        return self._bounds.get(places)

    def bind(
        self,
        args: tuple[LaunchArg, ...],
        places: Places,
        memory: Callable[[Handle], memoryview],
        copies: Copies | None,
    ) -> Bound:
        """Bind the function to arguments, on `copies` where memory is those. Raises as `resolve`
        and the program do.
        """
        tensors, values = resolve(self.info, args, memory)
        program = self._held.program
        for place in self.data:
            del values[self.info.params[place].name]
        bound = program.bind(self.info.name, tensors, values)
        if copies is not None:
            bound = copies.staged(bound, self.info, args, tensors, fills=program.fills)
        if len(self._bounds) >= BOUND_MAX:
            del self._bounds[next(iter(self._bounds))]
        self._bounds[places] = bound
        return bound

    def forget(self, memory: int) -> None:
        """Drop what is bound to memory."""
        bounds = self._bounds
        for places in [each for each in bounds if any(memory == at for at, _ in each)]:
            del bounds[places]

    def close(self) -> None:
        self._bounds.clear()
        self._held.let_go()


class EnginePrograms:
    """Modules and kernels that engines run."""

    def __init__(
        self, memory: Callable[[Handle], memoryview], copies: Copies | None = None
    ) -> None:
        """`memory` gives the bytes of a buffer, in place or as one of `copies`, by one object as
        long as they are there; `forget_memory` is to be called before they go.
        """
        self._memory = memory
        self._copies = copies
        self.modules: Table[Held] = Table("module", MODULES_MAX)
        self.kernels: Table[EngineKernel] = Table("kernel", KERNELS_MAX)
        # Kernels that are bound to memory, by its identity.
        self._bound: dict[int, set[EngineKernel]] = {}
        self._binding = threading.Lock()

    def __repr__(self) -> str:
        return f"EnginePrograms({len(self.modules)} modules, {len(self.kernels)} kernels)"

    def add(self, module: Handle, program: EngineProgram) -> ModuleInfo:
        """Enter a loaded program. Raises BadHandle, LimitExceeded."""
        self.modules.add(module, Held(program))
        return ModuleInfo(program.functions)

    def size_bytes(self, module: Handle) -> int:
        """Return what a module's program takes of the host's memory; of what is none here, 0."""
        held = self.modules.get(module)
        return 0 if held is None else held.program.size_bytes

    def unload(self, module: Handle) -> None:
        self.modules.remove(module).let_go()

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self.kernels.check_new(kernel)
        held = self.modules[module]
        info = next((each for each in held.program.functions if each.name == name), None)
        if info is None:
            names = ", ".join(each.name for each in held.program.functions)
            raise InvalidArgument(f"the module has no function {name!r}; it has: {names}")
        self.kernels.add(kernel, EngineKernel(held, info))

    def close_kernel(self, kernel: Handle) -> None:
        closed = self.kernels.remove(kernel)
        with self._binding:
            closed.close()
            for kernels in self._bound.values():
                kernels.discard(closed)

    def run(
        self,
        kernel: EngineKernel,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        """Run a function on what `args` stand for, now. Raises as `Device.launch`."""
        if grid != _ONE or block != _ONE:
            raise LaunchTooLarge(
                f"function {kernel.info.name} over {grid} blocks of {block} threads; it is run once"
            )
        if shared_bytes:
            raise Unsupported(f"shared_bytes is {shared_bytes}; functions of engines have none")
        with telling_memory("the function"):
            with self._binding:
                bound = self.bound(kernel, tuple(args))
            bound.run([each for at in sorted(kernel.data) if isinstance(each := args[at], bytes)])

    def bound(self, kernel: EngineKernel, args: tuple[LaunchArg, ...]) -> Bound:
        """Return a function bound to what `args` stand for. Raises as `Device.launch`."""
        try:
            places = tuple(
                [
                    (0, len(arg))
                    if isinstance(arg, bytes) and at in kernel.data
                    else self._place(arg)
                    for at, arg in enumerate(args)
                ]
            )
        except GonError:
            # What is wrong with the arguments as a whole is said first.
            resolve(kernel.info, args, self._memory)
            raise
        return kernel.bound_to(places) or self._bind(kernel, args, places)

    def _place(self, arg: LaunchArg) -> tuple[int, object]:
        if isinstance(arg, int):
            return id(self._memory(Handle(arg))), 0
        if isinstance(arg, BufferAt):
            return id(self._memory(Handle(arg.buffer))), arg.offset_bytes
        return 0, arg

    def _bind(self, kernel: EngineKernel, args: tuple[LaunchArg, ...], places: Places) -> Bound:
        bound = kernel.bind(args, places, self._memory, self._copies)
        for memory, _ in places:
            if memory:
                self._bound.setdefault(memory, set()).add(kernel)
        return bound

    def forget_memory(self, memory: memoryview) -> None:
        """Drop what is bound to memory that goes."""
        kernels = self._bound.pop(id(memory), None)
        if kernels is not None:
            with self._binding:
                for kernel in kernels:
                    kernel.forget(id(memory))

    def clear(self) -> None:
        """Unload everything."""
        for kernel in self.kernels.values():
            kernel.close()
        for held in self.modules.values():
            held.let_go()
        self.kernels.clear()
        self.modules.clear()
        self._bound.clear()


@contextmanager
def telling_memory(what: str) -> Generator[None]:
    """Raise OutOfMemory where there is no memory for what an engine does."""
    try:
        yield
    except GonError:
        raise
    except MemoryError as error:
        raise OutOfMemory(f"there is no memory for {what}: {error}") from None
