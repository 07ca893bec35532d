"""The programs that engines have loaded for a device: modules and kernels, by handle.

Rules: a kernel keeps its program, as a device's kernels do after their module's unload. What a
kernel was bound to is kept for launches with the same arguments, and dropped before one of those
buffers goes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from gon.errors import GonError, InvalidArgument, LaunchTooLarge, OutOfMemory, Unsupported
from gon.limits import KERNELS_MAX, MODULES_MAX
from gon.model import BufferAt, Dim3, Handle, KernelInfo, LaunchArg, ModuleInfo
from gon_server.devices.books import Table
from gon_server.engines.base import Bound, EngineProgram
from gon_server.engines.limits import BOUND_MAX
from gon_server.engines.signature import resolve

_ONE: Dim3 = (1, 1, 1)


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

    __slots__ = ("_bounds", "_held", "info")

    def __init__(self, held: Held, info: KernelInfo) -> None:
        self._held = held
        self._bounds: dict[tuple[LaunchArg, ...], Bound] = {}
        self.info = info
        held.count += 1

    def __repr__(self) -> str:
        return f"EngineKernel({self.info.name}, bound {len(self._bounds)} times)"

    def bound_to(self, args: tuple[LaunchArg, ...]) -> Bound | None:
        """Return the function bound to these arguments, if it is."""
        return self._bounds.get(args)

    def bind(self, args: tuple[LaunchArg, ...], memory: Callable[[Handle], memoryview]) -> Bound:
        """Bind the function to arguments. Raises as `resolve` and the program do."""
        tensors, values = resolve(self.info, args, memory)
        bound = self._held.program.bind(self.info.name, tensors, values)
        if len(self._bounds) >= BOUND_MAX:
            del self._bounds[next(iter(self._bounds))]
        self._bounds[args] = bound
        return bound

    def forget(self, buffer: Handle) -> None:
        """Drop what is bound to a buffer."""
        for args in [args for args in self._bounds if _names(args, buffer)]:
            del self._bounds[args]

    def close(self) -> None:
        self._bounds.clear()
        self._held.let_go()


class EnginePrograms:
    """Modules and kernels that engines run."""

    def __init__(self, memory: Callable[[Handle], memoryview]) -> None:
        """`memory` gives the bytes of a buffer, in place."""
        self._memory = memory
        self.modules: Table[Held] = Table("module", MODULES_MAX)
        self.kernels: Table[EngineKernel] = Table("kernel", KERNELS_MAX)
        # Kernels that are bound to a buffer.
        self._bound: dict[int, set[EngineKernel]] = {}

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
        args = tuple(args)
        with telling_memory("the function"):
            (kernel.bound_to(args) or self._bind(kernel, args)).run()

    def _bind(self, kernel: EngineKernel, args: tuple[LaunchArg, ...]) -> Bound:
        bound = kernel.bind(args, self._memory)
        for arg in args:
            if isinstance(arg, int | BufferAt):
                buffer = arg if isinstance(arg, int) else arg.buffer
                self._bound.setdefault(buffer, set()).add(kernel)
        return bound

    def forget_buffer(self, buffer: Handle) -> None:
        """Drop what is bound to a buffer that goes."""
        for kernel in self._bound.pop(buffer, ()):
            kernel.forget(buffer)

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


def _names(args: Sequence[LaunchArg], buffer: int) -> bool:
    return any(
        arg == buffer
        if isinstance(arg, int)
        else isinstance(arg, BufferAt) and arg.buffer == buffer
        for arg in args
    )
