"""The programs that engines have loaded for a device: modules and kernels, by handle.

Rules: a kernel keeps its program, as a device's kernels do after their module's unload. What a
kernel was bound to is kept for launches on the same memory with the same values, whatever buffers
have that memory by then, and dropped before the memory goes. Bytes given by value, which are keys
and nonces, are not kept: such a function is bound anew, on tensors that are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from gon.errors import GonError, InvalidArgument, LaunchTooLarge, OutOfMemory, Unsupported
from gon.limits import KERNELS_MAX, MODULES_MAX
from gon.model import BufferAt, Dim3, Handle, KernelInfo, LaunchArg, ModuleInfo, ParamKind
from gon_server.devices.books import Table
from gon_server.engines.base import Bound, EngineProgram, Tensor
from gon_server.engines.limits import BOUND_MAX
from gon_server.engines.signature import resolve

T = TypeVar("T")

_ONE: Dim3 = (1, 1, 1)

# What arguments stand for: of a buffer its memory, by its identity, and where in it; of anything
# else 0 and that.
Places: TypeAlias = tuple[tuple[int, object], ...]


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

    __slots__ = ("_bounds", "_data", "_held", "_seen", "info")

    def __init__(self, held: Held, info: KernelInfo) -> None:
        self._held = held
        self._bounds: dict[Places, Bound] = {}
        # Parameters that are bytes given by value, by their place; of functions that have some, the
        # tensors and numbers that arguments without those bytes stand for.
        self._data = {
            place: param
            for place, param in enumerate(info.params)
            if param.kind is ParamKind.VALUE and not param.dtype
        }
        self._seen: dict[Places, tuple[Sequence[Tensor], Mapping[str, bytes]]] = {}
        self.info = info
        held.count += 1

    def __repr__(self) -> str:
        return f"EngineKernel({self.info.name}, bound {len(self._bounds)} times)"

    @property
    def keeps(self) -> bool:
        """Whether what it is bound to is kept."""
        return not self._data

    def bound_to(self, places: Places) -> Bound | None:
        """Return the function bound to this memory and these values, if that takes no look at what
        they are.
        """
        if not self._data:
            return self._bounds.get(places)
        if len(places) != len(self.info.params):
            return None
        seen = self._seen.get(self._apart(places))
        if seen is None:
            return None
        tensors, numbers = seen
        values = dict(numbers)
        for place, param in self._data.items():
            given = places[place][1]
            if not isinstance(given, bytes) or len(given) != param.size_bytes:
                return None
            values[param.name] = given
        return self._held.program.bind(self.info.name, tensors, values)

    def bind(
        self, args: tuple[LaunchArg, ...], places: Places, memory: Callable[[Handle], memoryview]
    ) -> Bound:
        """Bind the function to arguments. Raises as `resolve` and the program do."""
        tensors, values = resolve(self.info, args, memory)
        bound = self._held.program.bind(self.info.name, tensors, values)
        if self._data:
            data = {param.name for param in self._data.values()}
            numbers = {name: each for name, each in values.items() if name not in data}
            _keep(self._seen, self._apart(places), (tensors, numbers))
        else:
            _keep(self._bounds, places, bound)
        return bound

    def _apart(self, places: Places) -> Places:
        """Return what is not bytes given by value: those may be keys, and are not kept."""
        return tuple([each for at, each in enumerate(places) if at not in self._data])

    def forget(self, memory: int) -> None:
        """Drop what is bound to memory."""
        for kept in (self._bounds, self._seen):
            for places in [each for each in kept if any(memory == at for at, _ in each)]:
                del kept[places]

    def close(self) -> None:
        self._bounds.clear()
        self._seen.clear()
        self._held.let_go()


class EnginePrograms:
    """Modules and kernels that engines run."""

    def __init__(self, memory: Callable[[Handle], memoryview]) -> None:
        """`memory` gives the bytes of a buffer, in place, by one object as long as they are there;
        `forget_memory` is to be called before they go.
        """
        self._memory = memory
        self.modules: Table[Held] = Table("module", MODULES_MAX)
        self.kernels: Table[EngineKernel] = Table("kernel", KERNELS_MAX)
        # Kernels that are bound to memory, by its identity.
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
        with telling_memory("the function"):
            self.bound(kernel, tuple(args)).run()

    def bound(self, kernel: EngineKernel, args: tuple[LaunchArg, ...]) -> Bound:
        """Return a function bound to what `args` stand for. Raises as `Device.launch`."""
        try:
            places = tuple([self._place(arg) for arg in args])
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
        bound = kernel.bind(args, places, self._memory)
        for memory, _ in places:
            if memory:
                self._bound.setdefault(memory, set()).add(kernel)
        return bound

    def forget_memory(self, memory: memoryview) -> None:
        """Drop what is bound to memory that goes."""
        for kernel in self._bound.pop(id(memory), ()):
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


def _keep(kept: dict[Places, T], places: Places, what: T) -> None:
    """Keep one more of BOUND_MAX; the oldest goes."""
    if len(kept) >= BOUND_MAX:
        del kept[next(iter(kept))]
    kept[places] = what
