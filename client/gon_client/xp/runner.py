"""Makes programs of what arrays are to be, and posts them: one a device.

    nodes that are needed ──▶ draft ──known?──▶ program, loaded once ──▶ outputs, one launch

A draft does not say where in buffers things lie, nor what numbers are: so work that repeats is one
that is known, and costs one operation for each new buffer and one for the launch. Rules: outputs
are what was asked for, and what arrays or nodes elsewhere still look at; so nothing is computed
twice. Everything is queued on the device's default stream, but what may fail on its elements
(gon_client.xp.doubts): a failure stops a stream, so that has one of its own, behind the other, and
is waited for before anything that needs it, or writes what it reads. Programs are kept up to
ARRAY_PROGRAMS_MAX. What threads note and post is one thread's at a time.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from gon.array_limits import (
    ARRAY_BETWEEN_BYTES_MAX,
    ARRAY_PROGRAMS_MAX,
    ARRAY_STEPS_MAX,
)
from gon.array_ops import AnyOperation
from gon.array_program import ARRAY_FORMAT, FUNCTION, encode
from gon.array_rules import Dtype, Shape, Spec, result_of
from gon.errors import GonError, InvalidArgument, Unsupported
from gon.forked import new_rlock
from gon.model import LaunchConfig
from gon_client.array import DeviceArray
from gon_client.buffer import HostArray
from gon_client.device import Device
from gon_client.event import Event
from gon_client.launch import launch
from gon_client.stream import Stream
from gon_client.xp.doubts import Group, apart
from gon_client.xp.draft import Draft, Target
from gon_client.xp.pins import Pins
from gon_client.xp.storage import Node, Operand, Storage, cost_of
from gon_client.xp.views import View

if TYPE_CHECKING:
    from gon_client.models import Models
    from gon_client.module import Kernel

_ONCE: Final = LaunchConfig(1)

Got = TypeVar("Got")


class Runner:
    """Runs what is to be done on one device; `Device.arrays` is the device's."""

    def __init__(self, device: Device) -> None:
        """Raises Unsupported for a device that takes no array programs."""
        if ARRAY_FORMAT not in device.info.formats:
            raise Unsupported(
                f"{device.name} takes {', '.join(device.info.formats)}, and no arrays: a unit does "
                "whose memory is its host's, as a gpu or apu (gon.local(personalities=('gpu',)))"
            )
        self.device = device
        self._lock = new_rlock()
        self._programs: dict[object, Kernel] = {}
        self._configuration = device.configuration
        # What was posted, may fail, and nobody has waited for, with what made it; and where.
        self._doubtful: list[tuple[Storage, Node]] = []
        self._aside: Stream | None = None
        self._before: Event | None = None
        self._pins = Pins()

    def __repr__(self) -> str:
        return f"Runner({self.device.name}, {len(self._programs)} programs)"

    def make(self, operation: AnyOperation, operands: Sequence[Operand]) -> tuple[Storage, Shape]:
        """Return what an operation will give. Raises InvalidArgument, LimitExceeded."""
        spec = result_of(operation, [Spec(value.dtype, view.shape) for value, view in operands])
        return self.made(operation, operands, spec), spec.shape

    def made(self, operation: AnyOperation, operands: Sequence[Operand], spec: Spec) -> Storage:
        """Return what an operation will give, which is known to be that."""
        self.device.check_ours()
        storages = [value for value, _ in operands if isinstance(value, Storage)]
        with self._lock:
            weight, between_bytes = cost_of(operands)
            if _is_much(weight, between_bytes):
                self.evaluate(storages)
                weight, between_bytes = cost_of(operands)
            made = Storage(self, spec.dtype, math.prod(spec.shape))
            made.node = Node(operation, operands, weight, between_bytes)
            reader = weakref.ref(made)
            for each in storages:
                each.note_reader(reader)
                if each.buffer is not None:
                    self._pins.note(each)
            self.evaluate(self._pins.due())
            if any(each.shared for each in storages):
                self.evaluate([made])
                self.settle()
        return made

    def zeros(self, dtype: Dtype, size: int) -> Storage:
        """Return elements that are zero, there at once: a device's new memory is."""
        made = Storage(self, dtype, size)
        made.put(self.device.allocate(max(1, size * dtype.itemsize)))
        return made

    def evaluate(self, wanted: Sequence[Storage]) -> None:
        """Queue what makes these storages, together as far as one program may."""
        group: list[Storage] = []
        weight = between_bytes = 0
        for each in wanted:
            node = each.node
            if node is None:
                continue
            weight, between_bytes = weight + node.weight, between_bytes + node.between_bytes
            if group and _is_much(weight, between_bytes):
                self._run(group)
                group, weight, between_bytes = [], node.weight, node.between_bytes
            group.append(each)
        if group:
            self._run(group)

    def write(self, target: Target) -> None:
        """Queue what writes a target, whose source is there; all that was made of its elements
        before is run first. Raises what making the source raised.
        """
        with self._lock:
            self.evaluate([target.storage, *target.storage.waiting()])
            self.settle()
            draft = Draft()
            result = draft.write(target)
            self._launch(self.device.default_stream, draft, [result])
            target.storage.readers.clear()

    def fetch(self, storage: Storage, begin: int, extent: int) -> HostArray:
        """Return elements that are there, or posted, waiting for them. Raises what making them
        raised.
        """
        found: HostArray | None = None
        if storage.in_doubt:
            with self._lock:
                if storage.in_doubt:
                    found = self._settle(partial(self._fetch, storage, begin, extent))
        if found is not None:
            return found
        return storage.part(begin, extent).get()

    def settle(self) -> None:
        """Wait for what was posted and may fail, and note what has."""
        with self._lock:
            if self._doubtful:
                self._settle(self._look)

    def _fetch(self, storage: Storage, begin: int, extent: int) -> HostArray:
        return storage.part(begin, extent).get(stream=self._aside)

    def _look(self) -> None:
        """Read of what was posted last and may fail: a sync of the device tells a failure once, the
        memory that was not written as long as there is such.
        """
        buffer = self._doubtful[0][0].buffer
        assert buffer is not None
        buffer.read_now(np.empty(1, np.uint8), stream=self._aside)

    def _settle(self, wait: Callable[[], Got]) -> Got | None:
        """Return what a wait on the stream of what may fail gives, None where something failed:
        then each of what was posted is there, or has its error.
        """
        try:
            found = wait()
        except GonError as error:
            self._failed(error)
            return None
        for storage, _ in self._doubtful:
            storage.in_doubt = False
        self._doubtful = []
        return found

    def _failed(self, error: GonError) -> None:
        """Do again what failed together, in parts that fail for one reason each; note why such a
        part did.
        """
        posted, self._doubtful = self._doubtful, []
        for storage, node in posted:
            # Not there, but as before: what it was to be made of has not changed.
            storage.buffer, storage.node = None, node
        order, _ = _collected([storage for storage, _ in posted])
        groups = apart(order, finely=True)
        if len(groups) > 1:
            self._make(groups, order)
            self.settle()
        else:
            for storage, _ in posted:
                storage.fail(error)

    def _run(self, wanted: Sequence[Storage]) -> None:
        """Queue what makes what is wanted."""
        with self._lock:
            order, in_doubt = _collected(wanted)
            if in_doubt:
                self.settle()
            self._make(apart(order, finely=False), wanted)

    def _make(self, groups: Sequence[Group], wanted: Sequence[Storage]) -> None:
        """Queue programs that make these groups, for what is wanted of them."""
        asked = {id(each) for each in wanted}
        for group in groups:
            if group.may_fail:
                self.settle()
            error = _error_of(group)
            if error is None:
                self._post(group, asked)
                continue
            for each in group.storages:
                each.fail(error)

    def _post(self, group: Group, asked: set[int]) -> None:
        draft = Draft()
        uses: dict[int, int] = {}
        nodes: list[Node] = []
        for each in group.storages:
            assert each.node is not None
            nodes.append(each.node)
            for value, _ in each.node.operands:
                uses[id(value)] = uses.get(id(value), 0) + 1
        for each, node in zip(group.storages, nodes, strict=True):
            draft.add(each, node)
        kept = [
            (each, node)
            for each, node in zip(group.storages, nodes, strict=True)
            if id(each) in asked or each.arrays or each.nodes > uses.get(id(each), 0)
        ]
        results: list[DeviceArray] = []
        for each, _ in kept:
            buffer = self.device.allocate(max(1, each.size * each.dtype.itemsize))
            results.append(DeviceArray(buffer, 0, (each.size,), each.dtype))
            plain = View(0, (each.size,), (1,))
            draft.outputs.append((draft.values[id(each)], plain, each.size, 0, (1,)))
        if not results:
            return
        stream = self._stream_aside() if group.may_fail else self.device.default_stream
        error: GonError | None = None
        try:
            self._launch(stream, draft, results)
        except InvalidArgument as raised:
            # A device of this process may tell at once.
            if not group.may_fail:
                raise
            error = raised
        for (each, _), result in zip(kept, results, strict=True):
            each.in_doubt = group.may_fail
            each.put(result.buffer)
            if each.nodes > uses.get(id(each), 0):
                self._pins.note(each)
        if group.may_fail:
            self._doubtful = kept
        if error is not None:
            self._failed(error)

    def _stream_aside(self) -> Stream:
        """Return the stream of what may fail, behind all that is on the default one."""
        if self._aside is None:
            self._aside = self.device.create_stream()
        self._before = self.device.default_stream.record(self._before)
        self._aside.wait(self._before)
        return self._aside

    def _launch(self, stream: Stream, draft: Draft, results: Sequence[DeviceArray]) -> None:
        device = self.device
        if self._configuration is not device.configuration:
            # Programs may have gone with the personality.
            self._programs.clear()
            self._configuration = device.configuration
        key = draft.key
        kernel = self._programs.get(key)
        if kernel is None:
            kernel = device.compile(encode(draft.program()), ARRAY_FORMAT).get_kernel(FUNCTION)
            if len(self._programs) >= ARRAY_PROGRAMS_MAX:
                del self._programs[next(iter(self._programs))]
            self._programs[key] = kernel
        launch(stream, _ONCE, kernel, *draft.given, *results, *draft.numbers)


def runner_on(device: Models) -> Runner:
    """Return what runs arrays on a device. Raises Unsupported."""
    assert isinstance(device, Device)
    return Runner(device)


def _is_much(weight: int, between_bytes: int) -> bool:
    """Return whether this is more than one program should be."""
    return weight > ARRAY_STEPS_MAX or between_bytes > ARRAY_BETWEEN_BYTES_MAX // 2


def _error_of(group: Group) -> GonError | None:
    """Return why what a group is made of is not there."""
    for each in group.storages:
        for value, _ in () if each.node is None else each.node.operands:
            if isinstance(value, Storage) and value.error is not None:
                return value.error
    return None


def _collected(wanted: Sequence[Storage]) -> tuple[list[Storage], bool]:
    """Return all that is to be made, each behind what it is made of, and whether some of that is in
    doubt.
    """
    order: dict[int, Storage] = {}
    in_doubt = False
    for each in wanted:
        in_doubt |= _collect(each, order)
    return list(order.values()), in_doubt


def _collect(storage: Storage, order: dict[int, Storage]) -> bool:
    node = storage.node
    if node is None:
        return storage.in_doubt
    if id(storage) in order:
        return False
    in_doubt = False
    for value, _ in node.operands:
        if isinstance(value, Storage):
            in_doubt |= _collect(value, order)
    order[id(storage)] = storage
    return in_doubt
