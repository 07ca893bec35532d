"""The null backend: checks handles, keeps sizes, does nothing; what is read is zeros.

It measures what everything but a device costs. A module in its format, "null", is text: a kernel's
name a line, and after it what its parameters take, apart by blanks: "buffer", "const" (a buffer not
written), "local", or a value's size in bytes. A line "variable NAME SIZE" is a variable.

Rules: a launch is as near to nothing as can be: it looks its handles up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gon.device import SETTLED, Pending
from gon.errors import CompileError, InvalidArgument, OutOfMemory
from gon.limits import (
    BUFFERS_MAX,
    EVENTS_MAX,
    KERNELS_MAX,
    MODULES_MAX,
    STREAMS_MAX,
    VALUE_ARGS_BYTES_MAX,
)
from gon.model import (
    DEFAULT_STREAM,
    BufferAt,
    DeviceInfo,
    Dim3,
    GlobalInfo,
    Handle,
    KernelInfo,
    LaunchArg,
    ModuleInfo,
    Param,
    ParamKind,
    Program,
)
from gon_server.devices.books import (
    Table,
    bytes_view,
    check_bare,
    check_copy,
    check_format,
    check_pattern,
    check_range,
    check_size,
    writable_view,
)
from gon_server.devices.graphs import GraphLoop

FORMAT: Final = "null"
MAX_BLOCK: Final = 1024
INFO: Final = DeviceInfo(
    name="null",
    kind="null",
    vendor="GoN",
    driver="none",
    formats=(FORMAT,),
    memory_bytes=1 << 40,
    max_block=MAX_BLOCK,
    max_block_dims=(MAX_BLOCK, MAX_BLOCK, MAX_BLOCK),
    local_bytes=1 << 16,
    compute_units=1,
    view_alignment_bytes=1,
)


class NullDevice(GraphLoop):
    """A device that is not there, as gon.device.HostDevice."""

    def __init__(self) -> None:
        super().__init__()
        self._allocated_bytes = 0
        self._buffers: Table[int] = Table("buffer", BUFFERS_MAX)
        self._streams: Table[bool] = Table("stream", STREAMS_MAX)
        self._events: Table[bool] = Table("event", EVENTS_MAX)
        self._modules: Table[ModuleInfo] = Table("module", MODULES_MAX)
        self._kernels: Table[KernelInfo] = Table("kernel", KERNELS_MAX)
        self._streams[DEFAULT_STREAM] = True

    def __repr__(self) -> str:
        return f"NullDevice({len(self._buffers)} buffers)"

    @property
    def info(self) -> DeviceInfo:
        return INFO

    # Buffers --------------------------------------------------------------------------------------
    def allocate(self, buffer: Handle, size_bytes: int) -> None:
        self._buffers.check_new(buffer)
        check_size(size_bytes, INFO.memory_bytes)
        if size_bytes > INFO.memory_bytes - self._allocated_bytes:
            raise OutOfMemory(f"a buffer of {size_bytes} bytes; there are {INFO.memory_bytes}")
        self._buffers.add(buffer, size_bytes)
        self._allocated_bytes += size_bytes

    def free(self, buffer: Handle) -> None:
        self._allocated_bytes -= self._buffers.remove(buffer)

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        self._check(stream, buffer, offset, len(bytes_view(data)))

    def read(self, stream: Handle, buffer: Handle, offset: int, out: memoryview) -> Pending:
        place = writable_view(out)
        self._check(stream, buffer, offset, len(place))
        place[:] = bytes(len(place))
        return SETTLED

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_offset: int,
        target: Handle,
        target_offset: int,
        size: int,
    ) -> None:
        self._check(stream, source, source_offset, size)
        self._check(stream, target, target_offset, size)
        check_copy(source, source_offset, target, target_offset, size)

    def fill(self, stream: Handle, buffer: Handle, offset: int, size: int, pattern: bytes) -> None:
        check_pattern(pattern, size)
        self._check(stream, buffer, offset, size)

    def _check(self, stream: Handle, buffer: Handle, offset: int, size: int) -> None:
        self._streams.check(stream)
        check_range(buffer, offset, size, self._buffers[buffer])

    # Streams and events ---------------------------------------------------------------------------
    def create_stream(self, stream: Handle) -> None:
        self._streams.add(stream, True)

    def close_stream(self, stream: Handle) -> None:
        if stream == DEFAULT_STREAM:
            raise InvalidArgument("the default stream cannot be closed")
        self._streams.remove(stream)

    def sync(self, stream: Handle) -> Pending:
        self._streams.check(stream)
        return SETTLED

    def sync_all(self) -> Pending:
        return SETTLED

    def create_event(self, event: Handle) -> None:
        self._events.add(event, False)

    def close_event(self, event: Handle) -> None:
        self._events.remove(event)

    def record(self, stream: Handle, event: Handle) -> None:
        self._streams.check(stream)
        self._events.check(event)
        self._events[event] = True

    def wait_event(self, stream: Handle, event: Handle) -> None:
        self._streams.check(stream)
        self._events.check(event)

    def sync_event(self, event: Handle) -> Pending:
        self._events.check(event)
        return SETTLED

    def elapsed_us(self, start: Handle, end: Handle) -> float:
        for event in (start, end):
            if not self._events[event]:
                raise InvalidArgument(f"event {event} was never recorded")
        return 0.0

    # Programs -------------------------------------------------------------------------------------
    def load(self, module: Handle, program: Program) -> ModuleInfo:
        self._modules.check_new(module)
        check_format(program, self.info)
        check_bare(program)
        info = parse_module(program.code)
        self._modules.add(module, info)
        return info

    def unload(self, module: Handle) -> None:
        self._modules.remove(module)

    def get_global(self, buffer: Handle, module: Handle, name: str) -> None:
        self._buffers.check_new(buffer)
        for info in self._modules[module].globals:
            if info.name == name:
                self._buffers.add(buffer, info.size_bytes)
                self._allocated_bytes += info.size_bytes
                return
        raise InvalidArgument(f"the module has no variable {name!r}")

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self._kernels.check_new(kernel)
        for info in self._modules[module].kernels:
            if info.name == name:
                self._kernels.add(kernel, info)
                return
        raise InvalidArgument(f"the module has no kernel {name!r}")

    def close_kernel(self, kernel: Handle) -> None:
        self._kernels.remove(kernel)

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,  # noqa: ARG002 - nothing runs
        block: Dim3,  # noqa: ARG002
        shared_bytes: int,  # noqa: ARG002
        args: Sequence[LaunchArg],
    ) -> None:
        if stream not in self._streams or kernel not in self._kernels:
            self._streams.check(stream)
            self._kernels.check(kernel)
        buffers = self._buffers
        for arg in args:
            if type(arg) is int and arg not in buffers:
                buffers.check(arg)

    def written_by(self, kernel: Handle, args: Sequence[LaunchArg]) -> list[Handle]:
        found: list[Handle] = []
        for param, arg in zip(self._kernels[kernel].params, args, strict=False):
            if param.writes and isinstance(arg, int | BufferAt):
                found.append(Handle(arg if isinstance(arg, int) else arg.buffer))
        return found

    # The host's side ------------------------------------------------------------------------------
    def host_window(
        self, stream: Handle, buffer: Handle, offset: int, size: int, *, write: bool
    ) -> memoryview:
        self._check(stream, buffer, offset, size)
        view = memoryview(bytearray(size))
        return view if write else view.toreadonly()

    def close_window(self, stream: Handle) -> None:
        self._streams.check(stream)

    def close(self) -> None:
        for table in (self._kernels, self._modules, self._events, self._buffers, self._streams):
            table.clear()


def parse_module(code: bytes) -> ModuleInfo:
    """Return the kernels a module describes. Raises CompileError naming the first bad line."""
    kernels: list[KernelInfo] = []
    variables: list[GlobalInfo] = []
    for number, line in enumerate(code.decode(errors="replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            if words[0] == "variable":
                variables.append(_variable(words[1:]))
                continue
            params = tuple(_param(f"p{index}", word) for index, word in enumerate(words[1:]))
        except ValueError as error:
            log = f"line {number}: {error}"
            raise CompileError("the module does not compile", log=log) from error
        kernels.append(KernelInfo(words[0], params, MAX_BLOCK))
    return ModuleInfo(tuple(kernels), globals=tuple(variables))


def _variable(words: list[str]) -> GlobalInfo:
    if len(words) != 2 or not words[1].isdecimal() or not 1 <= int(words[1]) <= INFO.memory_bytes:
        raise ValueError(f"{' '.join(words)!r} is no variable: a name and its size are needed")
    return GlobalInfo(words[0], "bytes", "", int(words[1]))


def _param(name: str, word: str) -> Param:
    if word in ("buffer", "const"):
        return Param(name, ParamKind.BUFFER, "void*", writes=word == "buffer")
    if word == "local":
        return Param(name, ParamKind.LOCAL, "void*")
    if not word.isdecimal() or not 1 <= int(word) <= VALUE_ARGS_BYTES_MAX:
        raise ValueError(f"{word!r} is no parameter: buffer, const, local or a value's size")
    return Param(name, ParamKind.VALUE, "bytes", size_bytes=int(word))


def open_device(address: str) -> NullDevice:
    """Open a null device; there is one kind, so the address is "". Raises InvalidArgument."""
    if address:
        raise InvalidArgument(f"a null device has no address, not {address!r}")
    return NullDevice()
