"""The device contract by queued ops: the remote end of a unit as `gon.device.Device`.

Every method makes one op; nothing waits but what must: loading a module, large uploads, reads and
syncs once they are waited for. What can be known here is checked here, so that it raises at the
call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace
from msgspec.structs import replace as replace_fields

from gon.device import KnownWrite, Pending
from gon.errors import InvalidArgument, LimitExceeded, Unsupported
from gon.limits import (
    FILL_PATTERN_BYTES_MAX,
    GRAPH_BYTES_MAX,
    INLINE_BYTES_MAX,
    NAME_BYTES_MAX,
    SOURCE_BYTES_MAX,
)
from gon.model import (
    Configuration,
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
from gon.native import NATIVE
from gon.numbered import Numbers
from gon.wire import ops
from gon.wire.batch import decode, encode_op
from gon.wire.versions import IMAGES, TIMES
from gon_client.counts import LinkCounts
from gon_client.known import KnownContents
from gon_client.link import SessionLink
from gon_client.looks import RemoteLooking
from gon_client.numbers import U64, check_numbers
from gon_client.pending import Answer, Waiting, caller
from gon_client.remote_images import RemoteImages
from gon_client.remote_timing import RemoteTiming
from gon_client.texts import check_text, program_bytes

if TYPE_CHECKING or NATIVE:
    from gon_client._transfers import Transfers

# What uploads of programs are known by: numbers beyond those of all other handles, and a module's.
_UPLOADS = 1 << 63
# Made for every launch: a module's name is found quicker than an attribute of one.
_LAUNCH, _SYNC, _RUN = ops.Launch, ops.Sync, ops.RunGraph
# The first version whose hosts have graphs.
_GRAPHS_SINCE = next(row.since for row in ops.TABLE if row.op is ops.DefineGraph)
_RANGES_SINCE = next(row.since for row in ops.TABLE if row.op is ops.LaunchRange)
_ELASTIC_SINCE = next(row.since for row in ops.TABLE if row.op is ops.Reconfigure)


def _check_target(out: memoryview) -> None:
    if out.readonly or not out.c_contiguous:
        raise InvalidArgument("out is read-only or not contiguous")


class RemoteDevice:
    """A lease's device, over a session."""

    def __init__(self, link: SessionLink) -> None:
        self._link = link
        self._post = link.post
        self._cookies = link.cookies
        self._express = link.express
        self._waiting: Waiting = link.express or link
        self._mapped = link.mapped if link.mapped.is_there else None
        self._transfers: Transfers | None = None
        if link.express is not None:
            self._transfers = Transfers(link, link.express)
            if self._mapped is None:
                link.express.copies = self._transfers
        self._known = KnownContents(link)
        self.numbers: Numbers = link.numbers
        self.looking = RemoteLooking(link, self._waiting)
        self.images = RemoteImages(link, self._waiting) if link.version >= IMAGES else None
        self.timing = RemoteTiming(link, self._waiting) if link.version >= TIMES else None

    def __repr__(self) -> str:
        return f"RemoteDevice({self.info.name}, {self._link!r})"

    @property
    def info(self) -> DeviceInfo:
        return self._link.device

    def counts(self) -> LinkCounts:
        """Return what the session has carried so far."""
        known, side_links = self._known, self._link.side_links
        compressed, spared = self._link.bulk.compressed()
        return replace(
            self._link.counts(),
            recalled=known.recalled,
            recalled_bytes=known.recalled_bytes,
            compression=self._link.bulk.compression,
            compressed=compressed,
            compressed_bytes=spared,
            side_links=side_links.alive,
            side_links_added=side_links.added,
            side_links_lost=side_links.lost,
            mapped_bytes=self._link.mapped.mapped_bytes,
            direct_copies=self._link.mapped.copies,
            direct_bytes=self._link.mapped.copied_bytes,
        )

    # Buffers --------------------
    def allocate(self, buffer: Handle, size_bytes: int) -> None:
        check_numbers(size_bytes)
        if self._express is not None:
            self._express.allocate(buffer, size_bytes)
        else:
            self._post(ops.Allocate(buffer, size_bytes))
        if self._mapped is not None:
            self._mapped.allocated(buffer, size_bytes)

    def free(self, buffer: Handle) -> None:
        if self._mapped is not None and self._mapped.holds_up(buffer):
            return
        if self._express is not None:
            self._express.free(buffer)
        else:
            self._post(ops.Free(buffer))

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        check_numbers(offset)
        size, quick = data.nbytes, self._express
        if size <= INLINE_BYTES_MAX:
            if quick is not None:
                quick.write(stream, buffer, offset, data)
            else:
                self._post(ops.Write(stream, buffer, offset, size, bytes(data)), size)
        elif self._mapped is not None and self._mapped.upload(stream, buffer, offset, data):
            return
        elif self._transfers is None or not self._transfers.send(stream, buffer, offset, data):
            op = ops.Write(stream, buffer, offset, size, None)
            self._link.bulk.upload(op, data, caller(2))

    def write_known(self, stream: Handle, writes: Sequence[KnownWrite]) -> None:
        check_numbers(*(write.offset for write in writes))
        known = self._known
        for write in known.write(stream, writes, self._cookies) if known.kept else writes:
            self.write(stream, *write)

    def read(self, stream: Handle, buffer: Handle, offset: int, out: memoryview) -> Pending:
        _check_target(out)
        check_numbers(offset)
        size = out.nbytes
        if self._express is not None and size <= INLINE_BYTES_MAX and offset < U64:
            quick = self._express.read(stream, buffer, offset, out)
            if quick is not None:
                return quick
        cookie = next(self._cookies)
        answer = Answer(self._waiting, out, caller(2))
        op = ops.Read(stream, buffer, offset, size, cookie)
        if size <= INLINE_BYTES_MAX:
            self._link.ask(op, cookie, answer)
        else:
            self._link.bulk.ask(op, answer)
        return answer

    def read_now(
        self,
        stream: Handle,
        buffer: Handle,
        offset: int,
        out: memoryview,
        timeout_s: float | None = None,
    ) -> None:
        _check_target(out)
        check_numbers(offset)
        mapped, transfers = self._mapped, self._transfers
        if mapped and mapped.download(stream, buffer, offset, out, timeout_s):
            return
        if timeout_s is None and transfers and transfers.fetch(stream, buffer, offset, out):
            return
        answer = Answer(self._waiting, out, caller(2))
        op = ops.Read(stream, buffer, offset, out.nbytes, next(self._cookies))
        try:
            self._link.bulk.ask(op, answer, waited=True)
            answer.wait(timeout_s)
        finally:
            self._link.bulk.let_be(answer)

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_offset: int,
        target: Handle,
        target_offset: int,
        size: int,
    ) -> None:
        check_numbers(source_offset, target_offset, size)
        self._post(ops.Copy(stream, source, source_offset, target, target_offset, size))

    def fill(self, stream: Handle, buffer: Handle, offset: int, size: int, pattern: bytes) -> None:
        check_numbers(offset, size)
        if not 0 < len(pattern) <= FILL_PATTERN_BYTES_MAX:
            raise InvalidArgument(f"a pattern of {len(pattern)} bytes: 1 to 128 are possible")
        self._post(ops.Fill(stream, buffer, offset, size, pattern))

    # Streams and events -------------
    def create_stream(self, stream: Handle) -> None:
        self._post(ops.CreateStream(stream))
        if self._mapped is not None:
            self._mapped.has_streams = True

    def close_stream(self, stream: Handle) -> None:
        self._post(ops.CloseStream(stream))

    def sync(self, stream: Handle) -> Pending:
        if self._express is not None:
            return self._express.sync(stream)
        cookie = next(self._cookies)
        answer = Answer(self._waiting)
        self._link.ask(_SYNC(stream, cookie), cookie, answer)
        return answer

    def sync_all(self) -> Pending:
        cookie = next(self._cookies)
        answer = Answer(self._waiting)
        self._link.ask(ops.SyncAll(cookie), cookie, answer)
        return answer

    def create_event(self, event: Handle) -> None:
        self._post(ops.CreateEvent(event))

    def close_event(self, event: Handle) -> None:
        self._post(ops.CloseEvent(event))

    def record(self, stream: Handle, event: Handle) -> None:
        self._post(ops.Record(stream, event))

    def wait_event(self, stream: Handle, event: Handle) -> None:
        self._post(ops.WaitEvent(stream, event))

    def sync_event(self, event: Handle) -> Pending:
        cookie = next(self._cookies)
        answer = Answer(self._waiting)
        self._link.ask(ops.SyncEvent(event, cookie), cookie, answer)
        return answer

    def elapsed_us(self, start: Handle, end: Handle) -> float:
        cookie = next(self._cookies)
        answer = Answer(self._waiting)
        self._link.ask(ops.Elapsed(start, end, cookie), cookie, answer)
        answer.wait()
        return decode(float, answer.data)

    # Programs --------------------
    def load(self, module: Handle, program: Program) -> ModuleInfo:
        size = program_bytes(program, self._link.program_bytes)
        if size > SOURCE_BYTES_MAX:
            return self._upload_and_load(module, program)
        cookie = next(self._cookies)
        return self._loaded(ops.Load(module, program, cookie), cookie, size)

    def _upload_and_load(self, module: Handle, program: Program) -> ModuleInfo:
        """Load a program that is too large for a batch: by a buffer and a stream of its own."""
        stream = buffer = Handle(_UPLOADS + module)
        code = memoryview(program.code)
        self.create_stream(stream)
        self.allocate(buffer, code.nbytes)
        try:
            # Whether there is room for it is asked before it is sent.
            self.read(stream, buffer, 0, memoryview(bytearray(1))).wait()
            self.write_known(stream, (KnownWrite(buffer, 0, code),))
            cookie = next(self._cookies)
            rest = replace_fields(program, code=b"")
            op = ops.LoadUploaded(module, rest, stream, buffer, code.nbytes, cookie)
            return self._loaded(op, cookie, 0)
        finally:
            self.free(buffer)
            self.close_stream(stream)

    def _loaded(self, op: ops.Load | ops.LoadUploaded, cookie: int, size: int) -> ModuleInfo:
        answer = Answer(self._waiting)
        self._link.ask(op, cookie, answer, size)
        answer.wait()
        return decode(ModuleInfo, answer.data)

    def unload(self, module: Handle) -> None:
        self._post(ops.Unload(module))

    def get_global(self, buffer: Handle, module: Handle, name: str) -> None:
        check_text(name, NAME_BYTES_MAX, "name")
        self._post(ops.GetGlobal(buffer, module, name))

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        check_text(name, NAME_BYTES_MAX, "name")
        self._post(ops.GetKernel(kernel, module, name))

    def close_kernel(self, kernel: Handle) -> None:
        self._post(ops.CloseKernel(kernel))

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        if shared_bytes:
            check_numbers(shared_bytes)
        taken = args if isinstance(args, tuple) else tuple(args)
        self._post(_LAUNCH(stream, kernel, grid, block, shared_bytes, taken))

    def launch_range(
        self,
        stream: Handle,
        kernel: Handle,
        offset: Dim3,
        total: Dim3,
        block: Dim3,
        args: Sequence[LaunchArg],
    ) -> None:
        if self._link.version < _RANGES_SINCE:
            raise Unsupported("the host's gond is of an older version, which launches whole blocks")
        self._post(ops.LaunchRange(stream, kernel, offset, total, block, tuple(args)))

    # Personalities --------------------
    def reconfigure(self, personality: str, *, keep: bool) -> Configuration:
        if self._link.version < _ELASTIC_SINCE:
            raise Unsupported("the host's gond is of an older version, whose units are gpus")
        check_text(personality, NAME_BYTES_MAX, "personality")
        cookie = next(self._cookies)
        answer = Answer(self._waiting)
        self._link.ask(ops.Reconfigure(personality, keep, cookie), cookie, answer)
        answer.wait()
        return decode(Configuration, answer.data)

    # Graphs --------------------
    @property
    def takes_graphs(self) -> bool:
        return self._link.version >= _GRAPHS_SINCE

    def define_graph(
        self, graph: Handle, captured: Sequence[GraphOp], slots: Sequence[GraphSlot]
    ) -> None:
        op = ops.DefineGraph(graph, tuple(captured), tuple(slots))
        size = len(encode_op(op))
        if size > GRAPH_BYTES_MAX:
            raise LimitExceeded(f"a graph of {size} bytes: at most {GRAPH_BYTES_MAX} are possible")
        self._post(op, size)

    def run_graph(self, graph: Handle, stream: Handle, changes: Sequence[GraphChange]) -> None:
        self._post(_RUN(graph, stream, tuple(changes)))

    def close_graph(self, graph: Handle) -> None:
        self._post(ops.CloseGraph(graph))

    def close(self) -> None:
        self._link.close()
