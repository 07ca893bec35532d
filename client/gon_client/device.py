"""The device a program sees: a local-looking accelerator, wherever it is.

Stands on the device contract alone: over the wire for a lease, in this process for `gon.local()`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gon.device import Device as Contract
from gon.device import KnownWrite, Recalling
from gon.elastic import Elastic
from gon.errors import BadHandle, GonError, InvalidArgument, LimitExceeded, OutOfMemory, Unsupported
from gon.limits import GRAPHS_MAX, NAME_BYTES_MAX
from gon.model import (
    DEFAULT_STREAM,
    Configuration,
    DeviceInfo,
    GlobalInfo,
    Handle,
    KernelInfo,
    Program,
)
from gon.personalities import GPU
from gon.transport.base import Link
from gon_client.array import DeviceArray, Shape, element_of, shape_of
from gon_client.buffer import Buffer, check_kind, contiguous, host_bytes
from gon_client.contracted import Contracted
from gon_client.counts import LinkCounts
from gon_client.event import Event
from gon_client.forgotten import Forgotten
from gon_client.graph import Capture, Graph
from gon_client.models import Models
from gon_client.module import Kernel, Module
from gon_client.staying import Stays
from gon_client.stream import Stream
from gon_client.texts import check_text, code_of

if TYPE_CHECKING:
    from gon_client._express import Express


class Owned(Protocol):
    """Whatever belongs to one device."""

    @property
    def device(self) -> Device: ...


def _nothing() -> None: ...


class Device(Contracted, Models, Stays):
    """A leased unit, or one in this process. Made by `Host.acquire` and `gon.local`.

    A context manager; closing gives everything back. What was made by it and is forgotten by the
    program is given back by itself, and so is the device once nothing of it is left.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        where: str,
        memory_bytes: int,
        counts: Callable[[], LinkCounts],
        on_close: Callable[[], object],
        on_forgotten: Callable[[], None] = _nothing,
        express: Express | None = None,
        lead: Callable[[Callable[[Link], Link]], None] | None = None,
        personality: str = GPU,
        held_up: Callable[[], int] = int,
    ) -> None:
        """`express` is the quick way of launches, `lead` leads the device's links through another,
        where it has these. `held_up` tells how many bytes of freed buffers are not back yet.
        `on_forgotten` is called by a finalizer, instead of `on_close`.
        """
        self._on_forgotten = on_forgotten
        super().__init__(contract, express)
        self._where = where
        self.memory_bytes = self._free_bytes = memory_bytes
        self._counts, self._held_up = counts, held_up
        self._on_close, self.lead = on_close, lead
        self.configuration = Configuration(personality)
        self._handles = itertools.count(1)
        self._dropped = Forgotten()
        # What this machine's processor did in the unit's place, by operation, and how often.
        self.done_here: Counter[str] = Counter()
        # Graphs there are; buffers closed so far, by which graphs know.
        self._graphs = self.closes = 0
        self.default_stream = Stream(self, DEFAULT_STREAM)
        self._upload_stream: Stream | None = None

    def __repr__(self) -> str:
        return f"Device({self.name} at {self._where}{', closed' if self._closed else ''})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def info(self) -> DeviceInfo:
        """What the device is: memory, limits, the formats it takes."""
        return self.contract.info

    @property
    def name(self) -> str:
        return self.contract.info.name

    # Memory --------------------
    def allocate(self, size_bytes: int) -> Buffer:
        """Return a new buffer of zeros. Raises OutOfMemory when the lease has no room for it."""
        if size_bytes < 1:
            raise InvalidArgument(f"a buffer of {size_bytes} bytes; at least 1 is needed")
        handle = None
        if self.capturing is None and not self._closed:
            handle = self._dropped.take_buffer(size_bytes)
        if handle is None:
            handle = self._handle_for(size_bytes)
            self.contract.allocate(handle, size_bytes)
            self._free_bytes -= size_bytes
        elif self.express is not None:
            self.express.renew(handle, size_bytes)
        else:
            self.forget_buffer(handle, size_bytes)
            self.contract.allocate(handle, size_bytes)
            self._free_bytes -= size_bytes
        return Buffer(self, handle, size_bytes, size_bytes)

    def zeros(self, shape: Shape, dtype: DTypeLike = np.float32) -> DeviceArray:
        """Return a new array of zeros."""
        sizes = shape_of(shape)
        element = element_of(dtype)
        size_bytes = math.prod(sizes) * element.itemsize
        return DeviceArray(self.allocate(max(1, size_bytes)), 0, sizes, element)

    def empty(self, shape: Shape, dtype: DTypeLike = np.float32) -> DeviceArray:
        """Return a new array of no promised content (zeros: no tenant sees another's)."""
        return self.zeros(shape, dtype)

    def asarray(
        self, data: ArrayLike, dtype: DTypeLike | None = None, *, cache: bool = False
    ) -> DeviceArray:
        """Return a new array with the content of `data`, there for every stream from now on.

        With `cache` the host keeps the content, beyond the lease, and is asked for it first: what
        it has is not sent. That pays where the link is slower than a digest of the bytes, about
        half a gigabyte a second, and costs a round trip where the host has none of it. `data` may
        be a file, as np.memmap.
        """
        return self.asarrays((data,), dtype, cache=cache)[0]

    def asarrays(
        self, datas: Sequence[ArrayLike], dtype: DTypeLike | None = None, *, cache: bool = False
    ) -> list[DeviceArray]:
        """Return new arrays, as `asarray` does; with `cache` all questions share round trips."""
        hosts = [contiguous(data, dtype) for data in datas]
        arrays = [self.zeros(host.shape, host.dtype) for host in hosts]
        writes = [
            KnownWrite(array.buffer.handle, 0, host_bytes(host, "data"))
            for array, host in zip(arrays, hosts, strict=True)
            if host.nbytes
        ]
        if writes:
            self.write_first(writes, cache=cache)
        return arrays

    # Work --------------------
    def compile(
        self,
        source: str | bytes,
        code_format: str = "opencl-c",
        options: str = "",
        *,
        name_expressions: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Module:
        """Compile or load `source`; returns when the device has it.

        For "cuda-c", `name_expressions` names the templates to instantiate, as `scale<float>`, and
        `headers` gives the text of what the source includes, by name: a program reads no files of
        the host. Raises CompileError with the compiler's log, InvalidArgument for a format the
        device does not take (`info.formats` says which), Unsupported for what it cannot run.
        """
        if code_format not in self.info.formats:
            takes = f"{self.name} takes {', '.join(self.info.formats)}"
            why = dict(self.info.withheld).get(code_format, takes)
            raise InvalidArgument(f"format {code_format!r}; {why}")
        code = code_of(source)
        handle = self._new_handle()
        given = tuple((headers or {}).items())
        program = Program(code, code_format, options, tuple(name_expressions), given)
        return Module(self, handle, self.contract.load(handle, program))

    def reconfigure(self, personality: str, *, keep: bool = False) -> Configuration:
        """Let the unit be another of the personalities that it was acquired with, once all streams
        have finished; return how long that took.

        Arrays, streams, events and graphs stay; programs are unloaded, unless `keep`. Raises
        Unsupported for what the unit cannot be, which is then what it was, with all programs.
        """
        self.check_free("reconfigure")
        if not isinstance(self.contract, Elastic):
            raise Unsupported("this device is of one personality: gon.local(personalities=…)")
        check_text(personality, NAME_BYTES_MAX, "personality")
        was = self.configuration.personality
        try:
            self.configuration = Configuration(was, "configuring")
            self.configuration = self.contract.reconfigure(personality, keep=keep)
        except GonError as error:
            self.configuration = Configuration(was, "failed", error.message)
            raise
        return self.configuration

    def create_stream(self) -> Stream:
        """Return a new stream, unordered with all others."""
        self._collect()
        handle = self._new_handle()
        self.contract.create_stream(handle)
        return Stream(self, handle)

    def create_event(self) -> Event:
        """Return a new event that has not been recorded."""
        self._collect()
        handle = self._new_handle()
        self.contract.create_event(handle)
        return Event(self, handle)

    def capture(self) -> Graph:
        """Return a graph, to be made by a `with` block: what the block calls is not run, but kept,
        to be run as often as wanted by `Graph.launch`.

            with dev.capture() as g:
                gon.launch(s, config, saxpy, g.scalar("a", np.float32(2)), g.buffer("x", x), y, n)
                z.copy_from(y)
            g.launch(stream)
            g.launch(stream, a=np.float32(3), x=other)

        Launches, copies between buffers of the device and fills can be captured; anything else
        raises InvalidArgument in the block. Raises Unsupported where the host is too old for it.
        """
        if not self.contract.takes_graphs:
            raise Unsupported("the host's gond is of an older version, which has no graphs")
        return Graph(self)

    def sync(self, timeout_s: float | None = None) -> None:
        """Wait for every stream; raises the first error since the last wait."""
        self.contract.sync_all().wait(timeout_s)

    def counts(self) -> LinkCounts:
        """Return what the device has cost on the network so far; see `gon.stats`."""
        return self._counts()

    def close(self) -> None:
        """Give everything back; idempotent. Work that nobody waited for may be dropped."""
        if not self._closed:
            self._closed = True
            self.end_capture()
            self._dropped.clear()
            try:
                self.contract.close()
            finally:
                self._on_close()

    def forsake(self) -> None:
        """Be of no use in a child of fork, where all of it is the parent's."""
        super().forsake()
        self._dropped.clear()
        self._on_close = self._on_forgotten = _nothing

    def __del__(self) -> None:
        if not self._closed:
            self._on_forgotten()

    # For the nouns of this package --
    def make_graph(self, capture: Capture) -> Handle:
        """Send what was captured. Raises LimitExceeded, InvalidArgument."""
        self._collect()
        if self._graphs >= GRAPHS_MAX:
            raise LimitExceeded(f"there are {GRAPHS_MAX} graphs already, the most possible")
        handle = self._new_handle()
        self.contract.define_graph(handle, capture.ops, capture.slots)
        self._graphs += 1
        return handle

    def forget_graph(self, handle: Handle) -> None:
        """Close a graph now."""
        self.contract.close_graph(handle)
        self._graphs -= 1

    def write(self, stream: Handle, writes: Sequence[KnownWrite], *, cache: bool) -> None:
        """Write host memory to buffers, by its content if that is wanted and the host keeps any."""
        contract = self.contract
        if cache and isinstance(contract, Recalling):
            contract.write_known(stream, writes)
            return
        for buffer, offset, data in writes:
            contract.write(stream, buffer, offset, data)

    def write_first(self, writes: Sequence[KnownWrite], *, cache: bool = False) -> None:
        """Write first contents, there for whatever is queued later, on whatever stream: theirs
        carries nothing else, so it is always idle.
        """
        if self._upload_stream is None:
            self._upload_stream = self.create_stream()
        self.write(self._upload_stream.handle, writes, cache=cache)

    def handle_of(self, stream: Stream | None) -> Handle:
        """Return the stream's handle, the default stream's for None. Raises BadHandle."""
        if stream is None:
            return DEFAULT_STREAM
        check_kind(stream, Stream, "stream")
        if stream.device is not self:
            self.own(stream, "stream")
        return stream.handle

    def own(self, thing: Owned, what: str) -> None:
        """Raise BadHandle unless `thing` belongs to this device, InvalidArgument for no thing."""
        if not hasattr(thing, "device"):
            raise InvalidArgument(f"the {what} is none: {thing!r}")
        if thing.device is not self:
            raise BadHandle(f"the {what} belongs to another device: {thing!r}")

    def hold(self, size_bytes: int, make: Callable[[Handle], None]) -> Handle:
        """Return the handle of what `make` makes of so many bytes. Raises OutOfMemory."""
        handle = self._handle_for(size_bytes)
        make(handle)
        self._free_bytes -= size_bytes
        return handle

    def _handle_for(self, size_bytes: int) -> Handle:
        """Return a new handle for so many bytes. Raises OutOfMemory."""
        self._collect()
        if size_bytes > (free := self._free_bytes - self._held_up()):
            raise OutOfMemory(f"{size_bytes} bytes asked for, {free} bytes of this device are free")
        return self._new_handle()

    def make_kernel(self, module: Handle, info: KernelInfo) -> Kernel:
        self._collect()
        handle = self._new_handle()
        self.contract.get_kernel(handle, module, info.name)
        return Kernel(self, handle, info)

    def make_global(self, module: Handle, info: GlobalInfo) -> Buffer:
        handle = self._new_handle()
        self.contract.get_global(handle, module, info.name)
        return Buffer(self, handle, info.size_bytes, 0)

    def forget_buffer(self, handle: Handle, held_bytes: int) -> None:
        """Free a buffer now."""
        self.contract.free(handle)
        self.closes += 1
        self._free_bytes += held_bytes

    def drop_buffer(self, handle: Handle, held_bytes: int) -> None:
        """Note a buffer that the program has forgotten; for finalizers, as `drop`."""
        self._dropped.append((None, handle, held_bytes))

    def drop(self, give_back: Callable[[Handle], None], handle: Handle) -> None:
        """Note what the program has forgotten, and what gives it back."""
        self._dropped.append((give_back, handle, 0))

    def _collect(self) -> None:
        """Give back what finalizers have noted; not while a graph is captured."""
        while self.capturing is None and (left := self._dropped.take()) is not None:
            give_back, handle, held_bytes = left
            if give_back is None:
                self.forget_buffer(handle, held_bytes)
            else:
                give_back(handle)

    def _new_handle(self) -> Handle:
        if self._closed:
            raise BadHandle("the device is closed")
        return Handle(next(self._handles))
