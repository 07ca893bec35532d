"""The device contract: what a unit can be asked, by handle.

Backends on the host implement `HostDevice`; the client's remote device implements `Device` over the
wire; the user API stands on `Device` alone, so a program runs the same in this process or remotely.
`gon.testing.check_device` is the contract's conformance suite, docs/CONTRACT.md its text.

Rules:
- Handles are chosen by the caller, each once; 0 is only ever the default stream, which always
  exists.
- Ops of one stream take effect in the order of the calls; streams order among themselves by events
  only.
- Calls that return None or give a `Pending` may fail later: the error is then raised by the first
  wait that follows. A backend may raise at the call. Either way a failed op has no effect but on
  what it should have written.
- Offsets and sizes are bytes; a transfer of no bytes does nothing. A range outside its buffer, an
  unknown handle, a wrong argument raise InvalidArgument or its subclasses, never reach the driver.
- Data given to `write` may be changed as soon as the call returns.

Must not know: wires, sockets, leases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from gon.model import (
    DeviceInfo,
    Dim3,
    GraphChange,
    GraphOp,
    GraphSlot,
    Handle,
    LaunchArg,
    ModuleInfo,
    Program,
)

if TYPE_CHECKING:
    from gon._port import Port


class Pending(Protocol):
    """An answer that may not be there yet."""

    def done(self) -> bool:
        """Return whether `wait` would return at once. Never blocks."""
        ...

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when the op has taken effect; raise its error, or WaitTimeout (the op goes on)."""
        ...


class Settled:
    """A Pending that is over: what a device that works at the call gives."""

    __slots__ = ()

    def done(self) -> bool:
        return True

    def wait(self, timeout_s: float | None = None) -> None:  # noqa: ARG002
        return


SETTLED = Settled()


class Device(Protocol):
    """Buffers, streams, events, modules and launches, by handle."""

    @property
    def info(self) -> DeviceInfo:
        """What the device is; fixed for its life."""
        ...

    # Buffers --------------------
    def allocate(self, buffer: Handle, size_bytes: int) -> None:
        """Make a buffer of `size_bytes` > 0 zeroed bytes. Raises OutOfMemory."""
        ...

    def free(self, buffer: Handle) -> None:
        """Give the buffer back once all work queued before has finished with it."""
        ...

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        """Copy `data` (contiguous bytes) into the buffer from `offset` on.

        On a stream with nothing queued it has taken effect, for every stream, before the next op.
        """
        ...

    def read(self, stream: Handle, buffer: Handle, offset: int, out: memoryview) -> Pending:
        """Copy bytes from `offset` on into `out` (writable, contiguous bytes), which is filled once
        waited for.
        """
        ...

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_offset: int,
        target: Handle,
        target_offset: int,
        size: int,
    ) -> None:
        """Copy `size` bytes between buffers; ranges in one buffer must not overlap."""
        ...

    def fill(self, stream: Handle, buffer: Handle, offset: int, size: int, pattern: bytes) -> None:
        """Repeat `pattern` (1, 2, 4, 8, 16, 32, 64 or 128 bytes) over `size` bytes, a multiple of
        its length.
        """
        ...

    # Streams and events --------------------
    def create_stream(self, stream: Handle) -> None: ...

    def close_stream(self, stream: Handle) -> None:
        """Forget the stream; work queued on it is finished."""
        ...

    def sync(self, stream: Handle) -> Pending:
        """Wait for everything queued on the stream."""
        ...

    def sync_all(self) -> Pending:
        """Wait for everything queued on every stream."""
        ...

    def create_event(self, event: Handle) -> None: ...

    def close_event(self, event: Handle) -> None: ...

    def record(self, stream: Handle, event: Handle) -> None:
        """Let the event happen when everything queued on the stream so far has; an earlier record
        is forgotten.
        """
        ...

    def wait_event(self, stream: Handle, event: Handle) -> None:
        """Hold what is queued on the stream from now on until the event's last record has happened.

        An event that was never recorded holds nothing.
        """
        ...

    def sync_event(self, event: Handle) -> Pending:
        """Wait for the event's last record; at once if it was never recorded."""
        ...

    def elapsed_us(self, start: Handle, end: Handle) -> float:
        """Return device time between two recorded events in µs; waits for both.

        Raises InvalidArgument for an event that was never recorded.
        """
        ...

    # Programs --------------------
    def load(self, module: Handle, program: Program) -> ModuleInfo:
        """Compile or load a program; formats are those of `info.formats`.

        Raises CompileError with the compiler's log, Unsupported for a format the device does not
        take or a construct that it cannot run.
        """
        ...

    def unload(self, module: Handle) -> None:
        """Forget the module; the handles of its kernels and variables stay valid until closed or
        freed, as does queued work.
        """
        ...

    def get_global(self, buffer: Handle, module: Handle, name: str) -> None:
        """Name a module's variable as a buffer, of the size its `ModuleInfo.globals` tells.

        `free` forgets the name. Raises InvalidArgument if the module has no variable of that name.
        """
        ...

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        """Name one kernel of a module. Raises InvalidArgument if it has none of that name."""
        ...

    def close_kernel(self, kernel: Handle) -> None: ...

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        """Run the kernel over grid · block threads.

        Raises KernelArgumentError, LaunchTooLarge, Unsupported (`shared_bytes` where the format has
        no such thing).
        """
        ...

    # Graphs --------------------
    @property
    def takes_graphs(self) -> bool:
        """Whether the three calls below are for this device: a host of an older version has no
        graphs.
        """
        ...

    def define_graph(
        self, graph: Handle, captured: Sequence[GraphOp], slots: Sequence[GraphSlot]
    ) -> None:
        """Keep captured ops to be run again and again, and which arguments of them may change.

        They are checked when they are run. Raises InvalidArgument for no ops and for a slot that
        is no argument of a launch, LimitExceeded.
        """
        ...

    def run_graph(self, graph: Handle, stream: Handle, changes: Sequence[GraphChange]) -> None:
        """Run the graph's ops, in order, as if each were called on `stream`; in the places of the
        slots named by `changes` stand those arguments, for this run.

        Where one of them raises, those behind it are not run, and the error's `place` is its place
        in the graph.
        """
        ...

    def close_graph(self, graph: Handle) -> None:
        """Forget the graph; what is queued by it goes on."""
        ...

    def close(self) -> None:
        """Finish or drop all work and give everything back; idempotent.

        No other call is allowed afterwards.
        """
        ...


@runtime_checkable
class RunsPrograms(Protocol):
    """What a device may tell besides: whether its driver runs programs of the host, as a linker, to
    launch a kernel.
    """

    @property
    def runs_programs(self) -> bool: ...


@runtime_checkable
class Builder(Protocol):
    """What a device may give besides: building in one process of a host and loading in another."""

    @property
    def build_identity(self) -> str:
        """What a build depends on beside its program: it loads where the same is said."""
        ...

    @property
    def trial(self) -> bytes:
        """What this process has found out by opening the device; another one that gives it to the
        backend's opener, as second argument, opens the same device without its compiler.
        """
        ...

    def prepare_build(self) -> None:
        """Load the compiler: the next build takes its own time only. Raises as `build`."""
        ...

    def build(self, program: Program) -> bytes:
        """Compile a program for any process with the same device. Raises as `Device.load`."""
        ...

    def load_built(self, module: Handle, built: bytes) -> ModuleInfo:
        """Load what `build` gave; as `Device.load` otherwise. Raises DeviceError for what is not
        this device's.
        """
        ...


@runtime_checkable
class Bounded(Protocol):
    """What a device may give besides: a bound on what it takes for this process in all, also of
    what was freed and is kept for later buffers.
    """

    def bound_memory(self, size_bytes: int) -> None:
        """Take no more than this, and what cutting it into buffers costs."""
        ...


class KnownWrite(NamedTuple):
    """A write whose content the device's host may have already."""

    buffer: Handle
    offset: int
    data: memoryview


@runtime_checkable
class Waiting(Protocol):
    """What a device may give besides: a read that is waited for where it is called, so that nothing
    that other threads do has to wait for it.
    """

    def read_now(
        self,
        stream: Handle,
        buffer: Handle,
        offset: int,
        out: memoryview,
        timeout_s: float | None = None,
    ) -> None:
        """As `Device.read`, for more than INLINE_BYTES_MAX, and the wait for it."""
        ...


@runtime_checkable
class Recalling(Protocol):
    """What a device may give besides: writing contents that its host has kept without their bytes
    being sent.
    """

    def write_known(self, stream: Handle, writes: Sequence[KnownWrite]) -> None:
        """Do as many `Device.write`s, in any order; what the host does not have it keeps, if it
        can. Data must stay as it is until this returns.
        """
        ...


@runtime_checkable
class Peering(Protocol):
    """What a device may give besides: copies from other devices of its process, by themselves."""

    def copy_from_peer(
        self,
        stream: Handle,
        target: Handle,
        target_offset: int,
        peer: Device,
        peer_stream: Handle,
        source: Handle,
        source_offset: int,
        size: int,
    ) -> bool:
        """Queue a copy of `size` bytes from a buffer of `peer`: behind what is queued on both
        streams, and before what is queued on either from now on.

        Return False, having done nothing, where `peer` is none whose memory it reaches.
        """
        ...


@runtime_checkable
class Ported(Protocol):
    """What a device may give besides: a quick way of launches and waits (gon._port), None where the
    native modules are not there.
    """

    @property
    def port(self) -> Port | None: ...


@runtime_checkable
class HostDevice(Device, Protocol):
    """What a device gives besides on the host it sits in: its memory, so that links can send and
    receive in place.
    """

    def host_window(
        self, stream: Handle, buffer: Handle, offset: int, size: int, *, write: bool
    ) -> memoryview:
        """Return host memory that is the buffer's range once all work queued on `stream` has
        finished.

        With `write` the caller fills it and `close_window` makes the bytes the buffer's; without,
        it is read only. A device whose memory is not the host's gives pinned staging. Waits for the
        stream. One window a stream at a time; nothing may be queued on the stream while it is open.
        """
        ...

    def close_window(self, stream: Handle) -> None:
        """End the stream's window."""
        ...

    def written_by(self, kernel: Handle, args: Sequence[LaunchArg]) -> list[Handle]:
        """Return the buffers a launch may write: those given for parameters that are pointers to
        non-const.
        """
        ...
