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
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from gon.array_limits import ARRAY_PROGRAMS_MAX
from gon.array_ops import AnyOperation
from gon.array_program import ARRAY_FORMAT, FUNCTION, encode
from gon.array_rules import Dtype, Spec
from gon.errors import GonError, InvalidArgument, Unsupported
from gon.forked import new_lock
from gon.model import LaunchConfig
from gon_client.array import DeviceArray
from gon_client.buffer import HostArray
from gon_client.device import Device
from gon_client.event import Event
from gon_client.launch import launch
from gon_client.stream import Stream
from gon_client.xp.backlog import Backlog
from gon_client.xp.doubts import Group, apart, may_fail
from gon_client.xp.draft import Draft, Target
from gon_client.xp.maker import Maker
from gon_client.xp.pins import Pins
from gon_client.xp.recipe import Cost, Recipe, Result
from gon_client.xp.storage import Node, Operand, Storage
from gon_client.xp.views import whole

if TYPE_CHECKING:
    from gon_client.models import Models
    from gon_client.module import Kernel

_ONCE: Final = LaunchConfig(1)

Got = TypeVar("Got")


class Runner(Maker):
    """Runs what is to be done on one device; `Device.arrays` is the device's."""

    def __init__(self, device: Device) -> None:
        """Raises Unsupported for a device that takes no array programs."""
        if ARRAY_FORMAT not in device.info.formats:
            raise Unsupported(
                f"{device.name} takes {', '.join(device.info.formats)}, and no arrays: a unit does "
                "whose memory is its host's, as a gpu or apu (gon.local(personalities=('gpu',)))"
            )
        self.device = device
        self._lock = new_lock()
        self._programs: dict[object, Kernel] = {}
        self._configuration = device.configuration
        # What was posted, may fail, and nobody has waited for, with what made it; and where.
        self._doubtful: list[tuple[Storage, Node]] = []
        self._aside: Stream | None = None
        self._before: Event | None = None
        self._pins = Pins()
        self._backlog = Backlog()

    def __repr__(self) -> str:
        return f"Runner({self.device.name}, {len(self._programs)} programs)"

    def made(self, operation: AnyOperation, operands: Sequence[Operand], spec: Spec) -> Storage:
        inputs = sum(isinstance(value, Storage) for value, _ in operands)
        result = Result(0, spec.dtype, math.prod(spec.shape))
        cost = Cost(1, inputs, len(operands) - inputs, result.size * spec.dtype.itemsize)
        may = may_fail(operation, operands)
        return self._noted(Node(operation, operands, cost, may_fail=may), (result,))[0]

    def follow(self, recipe: Recipe, operands: Sequence[Operand]) -> list[Storage]:
        """Return what a recipe will give of operands, its numbers behind them."""
        return self._noted(Node(recipe, operands, recipe.cost, may_fail=False), recipe.results)

    def _noted(self, node: Node, results: Sequence[Result]) -> list[Storage]:
        self.device.check_ours()
        with self._lock:
            due = self._backlog.due(node.work, node.cost)
            if due:
                self._relieve(due, node.operands)
            made: list[Storage] = []
            for _, dtype, size in results:
                each = Storage(self, dtype, size)
                each.node = node
                made.append(each)
            node.made = tuple([weakref.ref(each) for each in made])
            self._backlog.add(node)
            reader = weakref.ref(node)
            is_shared = False
            for value, _ in node.operands:
                if isinstance(value, Storage):
                    value.note_reader(reader)
                    is_shared |= value.shared
                    if value.buffer is not None:
                        self._pins.note(value)
            pinned = self._pins.due()
            if pinned:
                self.evaluate(pinned)
            if is_shared:
                self.evaluate(made)
                self.settle()
        return made

    def _relieve(self, due: Sequence[Storage], operands: Sequence[Operand]) -> None:
        """Queue what is due; if that fails, what is needed now: why others do not go is told to who
        asks for them.
        """
        try:
            self.evaluate(due)
        except GonError:
            self.evaluate([value for value, _ in operands if isinstance(value, Storage)])
        self._backlog.recount()

    def zeros(self, dtype: Dtype, size: int) -> Storage:
        """Return elements that are zero, there at once: a device's new memory is."""
        made = Storage(self, dtype, size)
        made.put(self.device.allocate(max(1, size * dtype.itemsize)))
        return made

    def evaluate(self, wanted: Sequence[Storage]) -> None:
        """Queue what makes these storages, together."""
        asked = [each for each in wanted if each.node is not None]
        if asked:
            self._run(asked)

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
        order = _collected([storage for storage, _ in posted]).nodes
        groups = apart(order, finely=True)
        if len(groups) > 1:
            self._make(groups, [each for node in order for each in node.results()])
            self.settle()
        else:
            for storage, _ in posted:
                storage.fail(error)

    def _run(self, wanted: Sequence[Storage]) -> None:
        """Queue what makes what is wanted."""
        with self._lock:
            found = _collected(wanted)
            if found.in_doubt:
                self.settle()
            if found.uncertain:
                self._make(apart(found.nodes, finely=False), wanted)
            elif found.nodes:
                group = Group(found.nodes, may_fail=False)
                self._post(group, {id(each) for each in wanted}, found.uses)

    def _make(self, groups: Sequence[Group], wanted: Sequence[Storage]) -> None:
        """Queue programs that make these groups, for what is wanted of them."""
        asked = {id(each) for each in wanted}
        for group in groups:
            if group.may_fail:
                self.settle()
            error = _error_of(group)
            if error is None:
                self._post(group, asked, _uses_in(group))
                continue
            for node in group.nodes:
                for each in node.results():
                    each.fail(error)

    def _post(self, group: Group, asked: set[int], uses: Mapping[int, int]) -> None:
        """Queue a program that makes a group; `uses` is how often nodes of it read each storage."""
        draft = Draft()
        for node in group.nodes:
            draft.add(node)
        kept = [
            (each, node)
            for node in group.nodes
            for each in node.results()
            if id(each) in asked or each.arrays or each.nodes > uses.get(id(each), 0)
        ]
        results: list[DeviceArray] = []
        for each, _ in kept:
            buffer = self.device.allocate(max(1, each.size * each.dtype.itemsize))
            results.append(DeviceArray(buffer, 0, (each.size,), each.dtype))
            plain = whole((each.size,))
            draft.outputs.append((draft.values[id(each)], plain, each.size, 0, plain.strides))
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


def _error_of(group: Group) -> GonError | None:
    """Return why what a group is made of is not there."""
    for node in group.nodes:
        for value, _ in node.operands:
            if isinstance(value, Storage) and value.error is not None:
                return value.error
    return None


def _uses_in(group: Group) -> dict[int, int]:
    """Return how often nodes of a group read each storage."""
    uses: dict[int, int] = {}
    for node in group.nodes:
        for value, _ in node.operands:
            uses[id(value)] = uses.get(id(value), 0) + 1
    return uses


class _Collected:
    """All that is to be done, each node behind what it needs; how often these read each storage;
    whether some of what they need is in doubt; and whether some may fail, or must since something
    is not there.
    """

    __slots__ = ("in_doubt", "nodes", "seen", "uncertain", "uses")

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.seen: set[int] = set()
        self.uses: dict[int, int] = {}
        self.in_doubt = self.uncertain = False

    def add(self, storage: Storage) -> None:
        node = storage.node
        if node is None:
            self.in_doubt |= storage.in_doubt
            self.uncertain |= storage.error is not None
            return
        if id(node) in self.seen:
            return
        self.seen.add(id(node))
        uses = self.uses
        for value, _ in node.operands:
            if isinstance(value, Storage):
                uses[id(value)] = uses.get(id(value), 0) + 1
                self.add(value)
        self.nodes.append(node)
        self.uncertain |= node.may_fail


def _collected(wanted: Sequence[Storage]) -> _Collected:
    found = _Collected()
    for each in wanted:
        found.add(each)
    return found
