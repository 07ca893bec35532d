"""The elastic unit: a device that takes programs of engines beside its kernels, and whose
personality may change in the middle of a workload.

    launch ─┬─ kernel of the device below ──▶ the device, as ever (and by its port, past this)
            └─ function of an engine ──▶ the stream is waited for ──▶ engine, on the buffers' memory
                                              or, where that is not the host's, on copies (staging)

Buffers, streams and events are the device's below, whatever the personality is; only programs are
of one. A function has run when its launch returns, behind all that was queued on its stream: so
order, events and failures are what they are for kernels.

Rules: one thread at a time uses a unit, as any device; but functions may run in another thread, one
at a time (gon_server.aside). What a personality does not admit is refused
at loading. A change that fails changes nothing.
Must not know: leases, links, gond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from gon.clock import Clock
from gon.device import Bounded, HostDevice, Ported
from gon.elastic import InPlace
from gon.errors import BadHandle, GonError, InvalidArgument, LimitExceeded, Unsupported
from gon.images import Imaging
from gon.limits import KERNELS_MAX, MODULES_MAX
from gon.model import (
    Configuration,
    DeviceInfo,
    Dim3,
    Handle,
    LaunchArg,
    ModuleInfo,
    Program,
)
from gon.native import NATIVE
from gon.personalities import Personality
from gon.placement import Memory, Placed
from gon.ranges import Ranged
from gon.timing import Timed
from gon_server.devices.graphs import GraphLoop
from gon_server.engines.admission import check_format, check_program, formats_of
from gon_server.engines.base import Building, EngineProgram
from gon_server.engines.choice import EngineRules, asked_engine
from gon_server.engines.programs import EnginePrograms, telling_memory
from gon_server.engines.shelf import Shelf
from gon_server.engines.signature import written
from gon_server.paces import Paces
from gon_server.staging import HostCopies

if TYPE_CHECKING or NATIVE:
    from gon._port import Port
    from gon_server._elastic_port import ElasticPort

BuildProgram: TypeAlias = Callable[[Program], bytes]
LoadModule: TypeAlias = Callable[[Handle, Program], ModuleInfo]


class ElasticUnit(GraphLoop):
    """A device and engines, as gon.device.HostDevice and Elastic."""

    def __init__(
        self,
        base: HostDevice,
        shelf: Shelf,
        personalities: Sequence[Personality],
        clock: Clock,
        load: LoadModule | None = None,
        build: BuildProgram | None = None,
        withheld: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`personalities` are those that it may take, the first one now; `load` loads kernels, if
        not the device itself, and `build` builds what engines can have built elsewhere. `withheld`
        says why it may not take others.
        """
        super().__init__()
        self._base = base
        self._shelf = shelf
        self._clock = clock
        self._load_kernels = load or base.load
        self._build = build
        self._withheld = withheld
        self._launch_kernel = base.launch
        self._sync = base.sync
        self._may_be = {each.name: each for each in personalities}
        self._is = personalities[0]
        self.configuration = Configuration(self._is.name)
        # Which functions take long, and so are to run aside.
        self.paces = Paces()
        # Told what the unit has become.
        self.changed: Callable[[str], None] = lambda _personality: None
        self.info = _with_formats(base.info, personalities, shelf.rules)
        below = base.port if isinstance(base, Ported) else None
        self.port: Port | None = below
        self._elastic_port: ElasticPort | None = None
        self._copies: HostCopies | None = None
        self.allocate = base.allocate
        self.in_place = isinstance(base, InPlace) and base.in_place
        if isinstance(base, InPlace) and base.in_place:
            self.memory_of = base.memory_of
            self._programs = EnginePrograms(self.memory_of)
            base.watch(self._forget_memory)
            if below is not None:
                self.port = self._elastic_port = ElasticPort(
                    below, self._programs.kernels, self.memory_of, self.paces.slow
                )
        else:
            # The device's port knows nothing of functions, and leaves them to this.
            self.memory_of = self._no_memory_of
            self._copies = copies = HostCopies(base)
            self.allocate = copies.allocate
            self._programs = EnginePrograms(copies.memory_of, copies)
            copies.watch(self._forget_memory)
        self._functions = self._programs.kernels
        # Programs of the device below, and what was unloaded by a change: by then their handles are
        # the caller's still.
        self._modules: set[int] = set()
        self._kernels: set[int] = set()
        self._gone_modules: set[int] = set()
        self._gone_kernels: set[int] = set()
        # What is the device's own, and goes no way round.
        self.write, self.read = base.write, base.read
        self.copy, self.fill = base.copy, base.fill
        self.create_stream, self.close_stream = base.create_stream, base.close_stream
        self.sync, self.sync_all = base.sync, base.sync_all
        self.create_event, self.close_event = base.create_event, base.close_event
        self.record, self.wait_event = base.record, base.wait_event
        self.sync_event, self.elapsed_us = base.sync_event, base.elapsed_us
        self.images = base.images if isinstance(base, Imaging) else None
        self.timing = base.timing if isinstance(base, Timed) else None
        self.host_window, self.close_window = base.host_window, base.close_window

    def __repr__(self) -> str:
        return f"ElasticUnit({self._is.name}, {self._programs!r}, over {self._base!r})"

    def free(self, buffer: Handle) -> None:
        self._forget_launches()
        if self._copies is not None:
            self._copies.free(buffer)
        self._base.free(buffer)

    def _forget_memory(self, memory: memoryview) -> None:
        self._forget_launches()
        self._programs.forget_memory(memory)

    def _forget_launches(self) -> None:
        if self._elastic_port is not None:
            self._elastic_port.forget()

    def bound_memory(self, size_bytes: int) -> None:
        if self._copies is not None:
            self._copies.most_bytes = size_bytes
        if isinstance(self._base, Bounded):
            self._base.bound_memory(size_bytes)

    def _no_memory_of(self, buffer: Handle) -> memoryview:  # noqa: ARG002 - whichever it is
        raise Unsupported(f"the memory of {self.info.name} is not this host's")

    def watch(self, gone: Callable[[memoryview], None]) -> None:
        if isinstance(self._base, InPlace):
            self._base.watch(gone)

    def lie_in(self, memory: Memory) -> bool:
        """Only where the unit takes kernels: who may run machine code in this process gains nothing
        by changing what an engine is reading.
        """
        if not any(each.kernels for each in self._may_be.values()):
            return False
        return isinstance(self._base, Placed) and self._base.lie_in(memory)

    def place_of(self, buffer: Handle) -> int | None:
        return self._base.place_of(buffer) if isinstance(self._base, Placed) else None

    # Programs -------------------------------------------------------------------------------------
    def load(self, module: Handle, program: Program) -> ModuleInfo:
        kernel_formats = self._base.info.formats
        check_format(self._is, program.code_format, kernel_formats, self.info.withheld)
        self._programs.modules.check_new(module)
        _check_room("module", module, self._gone_modules, MODULES_MAX)
        if program.code_format in kernel_formats:
            info = self._load_kernels(module, program)
            self._modules.add(module)
            return info
        if module in self._modules:
            raise BadHandle(f"module {module} is there already")
        with telling_memory("the program"):
            loaded = self._load_program(program)
        try:
            check_program(self._is, loaded.uses, loaded.functions)
            return self._programs.add(module, loaded)
        except GonError:
            loaded.unload()
            raise

    def _load_program(self, program: Program) -> EngineProgram:
        name, bare = asked_engine(program)
        engine = self._shelf.open(program.code_format, name)
        build = self._build
        if build is not None and isinstance(engine, Building) and engine.is_compiled(bare):
            return engine.load_built(build(program))
        return engine.load(bare)

    def program_bytes(self, module: Handle) -> int:
        return self._programs.size_bytes(module)

    def unload(self, module: Handle) -> None:
        if module in self._programs.modules:
            self._programs.unload(module)
        elif module in self._gone_modules:
            self._gone_modules.remove(module)
        else:
            self._base.unload(module)
            self._modules.discard(module)

    def get_global(self, buffer: Handle, module: Handle, name: str) -> None:
        self._check_there(module)
        if module in self._programs.modules:
            raise InvalidArgument(f"the module has no variable {name!r}: functions have none")
        self._base.get_global(buffer, module, name)

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self._check_there(module)
        self._functions.check_new(kernel)
        _check_room("kernel", kernel, self._gone_kernels, KERNELS_MAX)
        if module in self._programs.modules:
            if kernel in self._kernels:
                raise BadHandle(f"kernel {kernel} is there already")
            self._programs.get_kernel(kernel, module, name)
            return
        self._base.get_kernel(kernel, module, name)
        self._kernels.add(kernel)

    def close_kernel(self, kernel: Handle) -> None:
        if kernel in self._functions:
            self._forget_launches()
            self._programs.close_kernel(kernel)
            self.paces.forget(kernel)
        elif kernel in self._gone_kernels:
            self._gone_kernels.remove(kernel)
        else:
            self._base.close_kernel(kernel)
            self._kernels.discard(kernel)

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        function = self._functions.get(kernel)
        if function is not None:
            self._sync(stream).wait()
            if self._copies is not None:
                self._copies.stream = stream
            began_s = self._clock.now_s()
            self._programs.run(function, grid, block, shared_bytes, args)
            self.paces.took(kernel, self._clock.now_s() - began_s)
        elif kernel in self._gone_kernels:
            raise Unsupported(
                f"the kernel's module was unloaded when the unit became a {self._is.name}: "
                "load it again, or keep it with reconfigure(…, keep=True)"
            )
        else:
            self._launch_kernel(stream, kernel, grid, block, shared_bytes, args)

    def is_aside(self, kernel: int) -> bool:
        return self._copies is None and kernel in self._functions

    def call(
        self, kernel: Handle, grid: Dim3, block: Dim3, shared_bytes: int, args: Sequence[LaunchArg]
    ) -> None:
        self._programs.run(self._functions[kernel], grid, block, shared_bytes, args)

    def launch_range(
        self,
        stream: Handle,
        kernel: Handle,
        offset: Dim3,
        total: Dim3,
        block: Dim3,
        args: Sequence[LaunchArg],
    ) -> None:
        if kernel in self._functions:
            raise Unsupported("a program of an engine has no threads to begin anywhere")
        if kernel in self._gone_kernels:
            self.launch(stream, kernel, total, block, 0, args)  # which says why not
        elif isinstance(self._base, Ranged):
            self._base.launch_range(stream, kernel, offset, total, block, args)
        else:
            raise Unsupported("this unit launches whole blocks of threads from 0 on")

    def written_by(self, kernel: Handle, args: Sequence[LaunchArg]) -> list[Handle]:
        function = self._functions.get(kernel)
        if function is not None:
            return written(function.info, args)
        return [] if kernel in self._gone_kernels else self._base.written_by(kernel, args)

    def _check_there(self, module: Handle) -> None:
        if module in self._gone_modules:
            raise InvalidArgument(
                f"module {module} was unloaded when the unit became a {self._is.name}"
            )

    # Personalities --------------------------------------------------------------------------------
    def reconfigure(self, personality: str, *, keep: bool) -> Configuration:
        wanted = self._may_be.get(personality)
        if wanted is None:
            why = self._withheld.get(personality)
            raise Unsupported(
                f"personality {personality!r}: this lease may be {', '.join(self._may_be)}; "
                + (why or "acquire(personalities=…) names what it may be")
            )
        begun_s = self._clock.now_s()
        self.configuration = Configuration(self._is.name, "configuring")
        try:
            self.sync_all().wait()
            drained_s = self._clock.now_s()
            warm = wanted.kernels or self._shelf.open_some(wanted.formats)
        except GonError as error:
            self.configuration = Configuration(self._is.name, "failed", error.message)
            raise
        if not keep:
            self._unload_all()
        self._is = wanted
        self.changed(wanted.name)
        self.configuration = Configuration(
            wanted.name,
            elapsed_us=(self._clock.now_s() - begun_s) * 1e6,
            drained_us=(drained_s - begun_s) * 1e6,
            warm=warm,
        )
        return self.configuration

    def _unload_all(self) -> None:
        """Unload every program; their handles stay the caller's, until he closes them."""
        self._gone_kernels |= self._kernels | set(self._functions)
        self._gone_modules |= self._modules | set(self._programs.modules)
        for function in self._functions:
            self.paces.forget(function)
        self._forget_launches()
        self._programs.clear()
        if self._copies is not None:
            self._copies.clear()
        for kernel in self._kernels:
            self._base.close_kernel(Handle(kernel))
        for module in self._modules:
            self._base.unload(Handle(module))
        self._kernels.clear()
        self._modules.clear()

    def close(self) -> None:
        self._forget_launches()
        self._programs.clear()
        self._base.close()


def _check_room(noun: str, handle: Handle, gone: set[int], most: int) -> None:
    """Raise BadHandle, LimitExceeded if a new handle cannot be taken beside those that are gone."""
    if handle in gone:
        raise BadHandle(f"{noun} {handle} is there already, unloaded by a change")
    if len(gone) >= most:
        raise LimitExceeded(f"{most} {noun}s were unloaded by changes and not closed yet")


def _with_formats(
    info: DeviceInfo, personalities: Sequence[Personality], rules: EngineRules
) -> DeviceInfo:
    """Return what the unit is: it takes what any of its personalities takes."""
    formats = dict.fromkeys(
        each for personality in personalities for each in formats_of(personality, info.formats)
    )
    withheld = tuple((each, rules.about((each,))) for each in rules.formats if each not in formats)
    return replace(info, formats=tuple(formats), withheld=withheld)
