"""Runs batches of ops on a device: the quota, and the rule of what happens after a failure.

A posted op that fails poisons its stream and what it should have written; what touches something
poisoned is skipped, not run, and passes the first failure on. A wait on a poisoned stream or event
answers with that failure and clears the stream; a buffer stays poisoned until it is wholly
overwritten or freed; a wait for all streams also reports failures that nothing has waited for
(gon_server.failures).

Rules: the memory quota is counted here, on the only way to the device. Must not know: links,
sessions, frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from gon.clock import SYSTEM_CLOCK, Clock
from gon.device import Bounded, HostDevice, Pending
from gon.errors import GonError, InvalidArgument, RemoteProtocolError
from gon.limits import INLINE_BYTES_MAX
from gon.model import Dim3, Handle, LaunchArg
from gon.wire import image_ops, ops, timing_ops
from gon.wire.batch import Batch, Failure, Reply, Sent, encode
from gon.wire.ops import AnyOp
from gon_server.aside import RunsAside
from gon_server.besides import run_besides
from gon_server.failures import Failures
from gon_server.footprint import AnyLaunch, Footprint, Key, Noun, footprint
from gon_server.holding import Holding
from gon_server.imaging import image_formats, make_image
from gon_server.lease_modules import BuildsAhead, LeaseModules, LoadModule
from gon_server.line import Payload
from gon_server.making import make_or_forget
from gon_server.ordering import Ordering
from gon_server.pins import Pins
from gon_server.quota import Quota
from gon_server.reaching import name_of, poisoned_elsewhere, reached, unreached
from gon_server.recalling import Contents, Recalling, recall_failed, recalled
from gon_server.replaying import Replaying
from gon_server.timing import told_of_event

# The ops of a hot loop; a module's name is found quicker than an attribute of one.
_LAUNCH, _SYNC, _ALLOCATE, _FREE = ops.Launch, ops.Sync, ops.Allocate, ops.Free


class Executor:
    """One lease's device behind its quota; `load` is how modules get there, if not by its own,
    `contents` what its host keeps, `program_bytes` the most that an uploaded program may have.
    """

    def __init__(
        self,
        device: HostDevice,
        memory_bytes: int,
        load: LoadModule | None = None,
        contents: Contents | None = None,
        program_bytes: int = 0,
        clock: Clock = SYSTEM_CLOCK,
        ahead: BuildsAhead | None = None,
    ) -> None:
        self._device = device
        self._ahead = ahead
        self._recalling = Recalling(device, contents)
        self.replaying = Replaying(device, self.run_op, self.fail)
        # Numbers from the wire are handles as they are: calling `Handle` for each costs a launch.
        self._launch = cast(
            "Callable[[int, int, Dim3, Dim3, int, Sequence[LaunchArg]], None]", device.launch
        )
        self._sync = cast("Callable[[int], Pending]", device.sync)
        self.quota = Quota(memory_bytes)
        self._modules = LeaseModules(device, load or device.load, self.quota, program_bytes)
        if isinstance(device, Bounded):
            device.bound_memory(memory_bytes)
        self._failures = Failures()
        self._live, self._poison = self._failures.live, self._failures.poison
        self.pins = Pins()
        is_function = device.is_aside if isinstance(device, RunsAside) else _is_none
        graphs = self.replaying.graphs
        ordering = Ordering(self._footprint, self._live, self.quota, graphs, is_function)
        self.holding = Holding(device, self, ordering, clock)
        self._window_of: Handle | None = None
        self._upload: tuple[ops.Write | ops.WritePart, int] | None = None

    def __repr__(self) -> str:
        return f"Executor({self.quota!r}, {len(self._poison)} handles poisoned)"

    def run(self, batch: Batch, *, skip: int = 0) -> list[Reply]:
        """Run the ops of a batch after the first `skip`; return the replies, but for held waits'.
        If the last one has a size, nothing speaks against that read: its bytes are given by
        `begin_read`. Raises RemoteProtocolError for a large read that is not the last op.
        """
        replies: list[Reply] = []
        number = batch.first + skip - 1
        for op in batch.ops[skip:] if skip else batch.ops:
            number += 1
            reply = self.holding.run(op, number)
            if reply is not None:
                replies.append(reply)
                if reply.size_bytes and number != batch.first + len(batch.ops) - 1:
                    raise RemoteProtocolError("a large read that is not the last op of its batch")
        return replies

    def run_op(self, op: AnyOp, number: int) -> Reply | None:
        """Run one op, or skip it for a failure; return its answer if it has one."""
        try:
            if type(op) is ops.RunGraph:
                self._replay(op, number)
                return None
            if self._poison:
                return self._guarded(op, number)
            if type(op) is _LAUNCH:
                self._launch(op.stream, op.kernel, op.grid, op.block, op.shared_bytes, op.args)
                return None
            if type(op) is _SYNC:
                self._sync(op.stream).wait()
                return Reply(op.reply)
            if type(op) is _ALLOCATE or type(op) is _FREE:
                self._make_or_free(op)
                return None
            return self._step(op, number)
        except GonError as error:
            return self.fail(op, Failure.of(error, name_of(op), number))

    def _replay(self, op: ops.RunGraph, number: int) -> None:
        clean = not self._poison
        touched = self._footprint(op)
        failure = None if clean else self._poison.get(touched.reads[1])
        if failure is not None:  # the graph could not be made
            self._failures.skip(touched, failure, number)
        else:
            self.replaying.run(op, number, clean=clean)

    @property
    def poison(self) -> dict[Key, Failure]:
        """The very book of what is poisoned: while it is empty, ops may be run past this."""
        return self._poison

    # Payloads --------------------
    def begin_write(self, op: ops.Write | ops.WritePart, number: int) -> memoryview | None:
        """Return where the payload of an upload goes, or None if the op fails or is skipped.

        The window stays open until `end_window`, which also makes the bytes the buffer's.
        """
        try:
            if self._poison:
                touched = self._footprint(op)
                failure = self._failures.of(touched)
                if failure is not None:
                    self._failures.skip(touched, failure, number)
                    return None
                if touched.cleans and self._failures.overwriting.completes(op):
                    self._failures.clean(touched)
            stream = Handle(op.stream)
            view = self._device.host_window(
                stream, Handle(op.buffer), op.offset, op.size_bytes, write=True
            )
        except GonError as error:
            self.fail(op, Failure.of(error, "Write", number))
            return None
        self._window_of = stream
        self._upload = op, number
        return view

    def take_upload(self, op: ops.Write | ops.WritePart, number: int, data: Payload) -> None:
        """Run an upload whose bytes are here."""
        try:
            target = self.begin_write(op, number)
            if target is not None:
                target[:] = data
        finally:
            self.end_window()

    def begin_read(self, op: ops.Read, at: int, size_bytes: int) -> memoryview:
        """Return the bytes of a read from its byte `at` on. Raises what the device raises.

        The window stays open until `end_window`.
        """
        stream = Handle(op.stream)
        view = self._device.host_window(
            stream, Handle(op.buffer), op.offset + at, size_bytes, write=False
        )
        self._window_of = stream
        return view

    def end_window(self) -> None:
        """Close the window that `begin_write` or `begin_read` has left open, if any.

        An upload that fails here has failed; what was read is there, whatever happens afterwards.
        """
        if self._window_of is None:
            return
        stream, self._window_of = self._window_of, None
        upload, self._upload = self._upload, None
        try:
            self._device.close_window(stream)
        except GonError as error:
            if upload is not None:
                self.fail(upload[0], Failure.of(error, "Write", upload[1]))

    # Ops --------------------
    def _step(self, op: AnyOp, number: int) -> Reply | None:
        """Run one op."""
        device = self._device
        match op:
            case ops.Sync():
                self._sync(op.stream).wait()
                return Reply(op.reply)
            case ops.Read() | ops.Reach():
                return self._read(op)
            case ops.Write() | ops.WritePart():
                data = memoryview(ops.inline_data(op))
                device.write(Handle(op.stream), Handle(op.buffer), op.offset, data)
            case ops.Launch(stream, kernel, grid, block, shared_bytes, args):
                self._launch(stream, kernel, grid, block, shared_bytes, args)
            case ops.LaunchRange() | image_ops.ImageWork() | timing_ops.NoteCommand():
                run_besides(device, op)
            case ops.Copy(stream, source, at, target, target_at, size):
                device.copy(Handle(stream), Handle(source), at, Handle(target), target_at, size)
            case ops.Fill(stream, buffer, at, size, pattern):
                device.fill(Handle(stream), Handle(buffer), at, size, pattern)
            case ops.Record():
                device.record(Handle(op.stream), Handle(op.event))
            case ops.WaitEvent():
                device.wait_event(Handle(op.stream), Handle(op.event))
            case ops.SyncAll():
                device.sync_all().wait()
                return Reply(op.reply, failure=self.report_all(number))
            case ops.SyncEvent():
                device.sync_event(Handle(op.event)).wait()
                return Reply(op.reply)
            case (
                ops.Elapsed() | ops.Load() | ops.LoadUploaded() | ops.Reconfigure()
                | image_ops.ImageFormats() | timing_ops.EventQuestion()
            ):  # fmt: skip
                return Reply(op.reply, encode(self._told(op)))
            case ops.Recall() | ops.Keep():
                return self._recalling.run(op)
            case ops.Allocate() | ops.Free() | image_ops.MakeImage():
                return self._make_or_free(op)
            case _:
                self._make_or_forget(op)
        return None

    def _told(self, op: AnyOp) -> Sent:
        if isinstance(op, ops.Load | ops.LoadUploaded):
            self._look_at_pins()
            try:
                info = self._modules.load(op)
            finally:
                if self._ahead is not None:
                    self._ahead.forget(op.program)
            self._live.update(self._footprint(op).makes)
            return info
        if isinstance(op, ops.Reconfigure):
            return self._modules.reconfigure(op)
        if isinstance(op, image_ops.ImageFormats):
            return image_formats(self._device, op)
        if isinstance(op, timing_ops.EventQuestion):
            return told_of_event(self._device, op)
        assert isinstance(op, ops.Elapsed)
        return self._device.elapsed_us(Handle(op.start), Handle(op.end))

    def _make_or_forget(self, op: AnyOp) -> None:
        make_or_forget(self._device, self.replaying, op)
        touched = self._footprint(op)
        self._live.update(touched.makes)
        self._live.difference_update(touched.forgets)
        self._modules.follow(op, touched)

    def _make_or_free(self, op: ops.Allocate | ops.Free | image_ops.MakeImage) -> Reply | None:
        if isinstance(op, image_ops.MakeImage):
            self._look_at_pins()
            if (Noun.BUFFER, op.beneath) in self._live and op.beneath not in self.quota.sizes:
                raise InvalidArgument("an image over a module's variable")
            make_image(self._device, op, self.quota)
            self._live.add((Noun.BUFFER, op.image))
            return Reply(op.reply) if isinstance(op, image_ops.ViewImage) else None
        key = (Noun.BUFFER, op.buffer)
        if isinstance(op, ops.Allocate):
            self._look_at_pins()
            self.quota.ask(op.size_bytes, "a buffer of")
            self._device.allocate(Handle(op.buffer), op.size_bytes)
            self.quota.add(op.buffer, op.size_bytes)
            self._live.add(key)
        elif not self.pins.holds_up(op):
            try:
                self._device.free(Handle(op.buffer))
            finally:
                # Freed, even where that meets the failure of what was queued before it.
                self.quota.drop(op.buffer)
                self._live.discard(key)
                self._modules.forget(key)
        return None

    def _look_at_pins(self) -> None:
        """Free what is held up by reads that this very frame says are there."""
        if self.pins.late:
            self.pins.look()

    def _read(self, op: ops.Read | ops.Reach) -> Reply:
        if isinstance(op, ops.Reach):
            return reached(self._device, op, clean=not self._poison)
        if op.size_bytes > INLINE_BYTES_MAX:
            return Reply(op.reply, None, op.size_bytes)
        data = bytes(self.begin_read(op, 0, op.size_bytes))
        self.end_window()
        return Reply(op.reply, data)

    # Failures --------------------
    def _guarded(self, op: AnyOp, number: int) -> Reply | None:
        """Run or skip an op while something is poisoned."""
        touched = self._footprint(op)
        failure = self._failures.of(touched)
        match op:
            case ops.SyncAll() | ops.Reach():
                return self._step(op, number)
            case ops.Sync() | ops.SyncEvent():
                # The work queued before the failure is waited for all the same.
                if failure is None:
                    return poisoned_elsewhere(self._step(op, number))
                if touched.reads[0] in self._live:
                    self._step(op, number)
                return self._report(op.reply, touched, failure, number)
            case (
                ops.Read() | ops.Elapsed() | timing_ops.EventQuestion() | ops.LoadUploaded()
                | image_ops.ViewImage()
            ) if failure is not None:  # fmt: skip
                return self._report(op.reply, touched, failure, number)
            case ops.Recall():
                if failure is not None:
                    self._failures.skip(touched, failure, number)
                    return recall_failed(op)
                reply = self._step(op, number)
                if reply == recalled(op):
                    self._failures.clean(touched)
                return reply
            case (
                ops.Free() | ops.CloseStream() | ops.CloseEvent() | ops.CloseKernel()
                | ops.CloseGraph()
            ):  # fmt: skip
                # What was never made, because making it failed, is forgotten without a word.
                if self._failures.forget(touched):
                    return None
            case ops.Record() | ops.WaitEvent() if failure is not None:
                # Order stands: what is usable again once that is told comes behind the same work.
                if self._live.issuperset(touched.writes) and self._live.issuperset(touched.reads):
                    self._step(op, number)
            case _:
                pass
        if failure is not None:
            self._failures.skip(touched, failure, number)
            return None
        reply = self._step(op, number)
        self._failures.clean(touched)
        return reply

    def fail(self, op: AnyOp, failure: Failure) -> Reply | None:
        """Answer with the failure where the caller waits for one, poison where not."""
        answer: Reply | None = None
        if isinstance(op, ops.Recall):
            answer = recall_failed(op)  # it fails as a write does
        elif isinstance(op, ops.Reach) and op.write:
            answer = unreached(op)
        elif (reply := getattr(op, "reply", None)) is not None:
            return Reply(reply, failure=failure)
        touched = self._footprint(op)
        self._failures.add(touched, failure)
        return answer

    def _footprint(self, op: AnyOp) -> Footprint:
        return footprint(op, self.quota.sizes, self._written_by, self.quota.pixels)

    def _written_by(self, op: AnyLaunch) -> list[Handle]:
        if (Noun.KERNEL, op.kernel) not in self._live:
            return []
        return self._device.written_by(Handle(op.kernel), op.args)

    def build_ahead(self, op: ops.Load) -> Pending | None:
        """Have a program built that can be loaded once that is over."""
        return None if self._ahead is None else self._ahead.ahead(op.program)

    def skips(self, op: AnyOp) -> bool:
        """Return whether an op is to be skipped for a failure."""
        return bool(self._poison) and self._failures.of(self._footprint(op)) is not None

    def _report(self, reply: int, touched: Footprint, failure: Failure, number: int) -> Reply:
        """Answer with a failure; its stream or event is usable again, its buffers are not."""
        self._failures.told(touched, failure, number)
        return Reply(reply, failure=failure)

    def report_all(self, before: int) -> Failure | None:
        """Tell all, as gon_server.failures has it."""
        return self._failures.tell_all(before)


def _is_none(_kernel: int) -> bool:
    return False
