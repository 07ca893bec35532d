"""Graphs: work that is captured once and then launched again and again, as one message each time.

`Device.capture` gives a Graph; its `with` block captures. While it does, the device's contract is a
recorder, for the thread that captures; calls of other threads go on to the device.

Rules: arguments are checked where they are captured, replacements where they are given, by what
checks those of a launch. A graph keeps what it uses alive.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Self, cast

from gon.device import Device as Contract
from gon.errors import BadHandle, InvalidArgument, KernelArgumentError, LimitExceeded
from gon.limits import GRAPH_NAMES_MAX, GRAPH_OPS_MAX, NAME_BYTES_MAX
from gon.model import (
    Dim3,
    GraphChange,
    GraphCopy,
    GraphFill,
    GraphLaunch,
    GraphOp,
    GraphPlace,
    GraphSlot,
    Handle,
    LaunchArg,
    LaunchConfig,
    Param,
    ParamKind,
)
from gon_client.array import DeviceArray
from gon_client.buffer import Buffer
from gon_client.staying import Stays

if TYPE_CHECKING:
    from gon_client.arguments import Take
    from gon_client.device import Device
    from gon_client.module import Kernel
    from gon_client.stream import Stream

# What a call of the contract is called in a refusal; others by their own name.
_CALLS = {
    "allocate": "allocating a buffer",
    "free": "closing a buffer",
    "write": "an upload",
    "write_known": "an upload",
    "read": "a read",
    "read_now": "a read",
    "create_stream": "a new stream",
    "close_stream": "closing a stream",
    "sync": "a sync",
    "sync_all": "a sync of the device",
    "create_event": "a new event",
    "close_event": "closing an event",
    "record": "recording an event",
    "wait_event": "waiting for an event",
    "sync_event": "the sync of an event",
    "elapsed_us": "the time between events",
    "load": "compiling a program",
    "get_global": "a module's variable",
    "get_kernel": "a module's kernel",
    "define_graph": "another graph",
    "run_graph": "the launch of a graph",
    "close_graph": "closing a graph",
}
# What is asked for without touching the device.
_OPEN = frozenset(("info", "close", "takes_graphs"))


class Named:
    """An argument of a launch that may be replaced; made by `Graph.scalar` and `Graph.buffer`."""

    __slots__ = ("graph", "kind", "name", "value")

    def __init__(self, graph: Graph, name: str, kind: ParamKind, value: object) -> None:
        self.graph = graph
        self.name = name
        self.kind = kind
        self.value = value

    def __repr__(self) -> str:
        return f"Named({self.name!r}, {self.value!r})"


class Use(NamedTuple):
    """A buffer that a graph uses: for what, and by which name, "" where it cannot be replaced."""

    buffer: Buffer
    where: str
    name: str


class Slot:
    """All places of one name: which parameter it was given for first, and what takes values."""

    __slots__ = ("kernel", "number", "param", "places", "take")

    def __init__(self, number: int, kernel: str, param: Param, take: Take) -> None:
        self.number = number
        self.kernel = kernel
        self.param = param
        self.take = take
        self.places: list[GraphPlace] = []


class Recorder:
    """What stands for the device's contract while a graph is captured: takes what can be captured,
    and refuses the rest.
    """

    def __init__(self, capture: Capture, contract: Contract) -> None:
        self._capture = capture
        self._contract = contract

    def __repr__(self) -> str:
        return f"Recorder({self._capture!r})"

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        self._contract.launch(stream, kernel, grid, block, shared_bytes, args)

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_offset: int,
        target: Handle,
        target_offset: int,
        size: int,
    ) -> None:
        if self._capture.is_here():
            self._capture.add(GraphCopy(source, source_offset, target, target_offset, size))
        else:
            self._contract.copy(stream, source, source_offset, target, target_offset, size)

    def fill(self, stream: Handle, buffer: Handle, offset: int, size: int, pattern: bytes) -> None:
        if self._capture.is_here():
            self._capture.add(GraphFill(buffer, offset, size, pattern))
        else:
            self._contract.fill(stream, buffer, offset, size, pattern)

    def __getattr__(self, name: str) -> object:
        """Return the device's own call in other threads, one that refuses in this one."""
        if name in _OPEN or name.startswith("_") or not self._capture.is_here():
            return cast(object, getattr(self._contract, name))
        refusal = self._capture.refusal

        def refuse(*_args: object, **_named: object) -> NoReturn:
            raise refusal(_CALLS.get(name, name))

        return refuse


class Capture:
    """A graph while it is captured: the ops so far, by one thread."""

    def __init__(self, graph: Graph, device: Device) -> None:
        self.recorder = cast(Contract, Recorder(self, device.contract))
        self.ops: list[GraphOp] = []
        self.names: dict[str, Slot] = {}
        # What the graph keeps alive.
        self.uses: dict[tuple[Handle, str], Use] = {}
        self.kernels: dict[Handle, Kernel] = {}
        self._graph = graph
        self._thread = threading.get_ident()

    def __repr__(self) -> str:
        return f"Capture({len(self.ops)} ops)"

    @property
    def slots(self) -> tuple[GraphSlot, ...]:
        return tuple(tuple(slot.places) for slot in self.names.values())

    def is_here(self) -> bool:
        """Return whether this is the thread that captures."""
        return threading.get_ident() == self._thread

    def refusal(self, what: str) -> InvalidArgument:
        return InvalidArgument(
            f"{what} cannot be captured into a graph: "
            "launches, copies between buffers and fills can"
        )

    def add(self, op: GraphOp) -> None:
        """Keep an op. Raises LimitExceeded."""
        if len(self.ops) >= GRAPH_OPS_MAX:
            raise LimitExceeded(f"a graph of more than {GRAPH_OPS_MAX} ops")
        self.ops.append(op)

    def use(self, buffer: Buffer, where: str, name: str = "") -> None:
        """Keep a buffer alive."""
        self.uses.setdefault((buffer.handle, name), Use(buffer, where, name))

    def add_launch(self, kernel: Kernel, config: LaunchConfig, args: Sequence[object]) -> None:
        """Keep a launch whose count and block were checked. Raises as `gon.launch`."""
        place = len(self.ops)
        taken: list[LaunchArg] = []
        named: list[tuple[int, Named]] = []
        used: list[tuple[Buffer, Param, str]] = []
        for index, (given, take) in enumerate(zip(args, kernel.takes, strict=True)):
            value = given
            if isinstance(given, Named):
                value = given.value
                named.append((index, given))
            taken.append(take(value))
            if isinstance(value, Buffer | DeviceArray):
                buffer = value.buffer if isinstance(value, DeviceArray) else value
                name = given.name if isinstance(given, Named) else ""
                used.append((buffer, kernel.info.params[index], name))
        before = dict(self.names)
        try:
            for index, each in named:
                self._name(kernel, index, each)
        except InvalidArgument:
            self.names = before
            raise
        grid, block = config.grid, config.block
        self.add(GraphLaunch(kernel.handle, grid, block, config.shared_bytes, tuple(taken)))
        for index, each in named:
            self.names[each.name].places.append((place, index))
        for buffer, param, name in used:
            self.use(buffer, f"kernel {kernel.info.name}, parameter {param.name!r}", name)
        self.kernels[kernel.handle] = kernel

    def _name(self, kernel: Kernel, index: int, given: Named) -> None:
        """Give the name a slot if it has none. Raises InvalidArgument, KernelArgumentError where it
        cannot stand for this parameter too.
        """
        param = kernel.info.params[index]
        where = f"kernel {kernel.info.name}, parameter {param.name!r} ({param.type_name})"
        if given.graph is not self._graph:
            raise InvalidArgument(f"{where}: {given.name!r} is a name of another graph")
        if param.kind is not given.kind:
            raise KernelArgumentError(
                f"{where}: graph parameter {given.name!r} is a {given.kind.value}, "
                f"the parameter takes a {param.kind.value}"
            )
        known = self.names.get(given.name)
        if known is None:
            if len(self.names) >= GRAPH_NAMES_MAX:
                raise LimitExceeded(f"a graph with more than {GRAPH_NAMES_MAX} names")
            take = kernel.takes[index]
            self.names[given.name] = Slot(len(self.names), kernel.info.name, param, take)
            return
        first = known.param
        if (param.dtype, param.size_bytes) != (first.dtype, first.size_bytes):
            raise KernelArgumentError(
                f"{where}: graph parameter {given.name!r} stands for kernel {known.kernel}'s "
                f"{first.name!r} ({first.type_name}) already, which is of another type"
            )


class Graph(Stays):
    """Captured work. Made by `Device.capture`; closed when forgotten."""

    __slots__ = (
        "__weakref__",
        "_capture",
        "_closed",
        "_count",
        "_handle",
        "_kernels",
        "_looked",
        "_names",
        "_uses",
        "device",
    )

    def __init__(self, device: Device) -> None:
        self.device = device
        self._capture: Capture | None = None
        self._handle: Handle | None = None
        self._closed = False
        self._names: dict[str, Slot] = {}
        self._uses: tuple[Use, ...] = ()
        self._kernels: tuple[Kernel, ...] = ()
        self._count = 0
        # How many buffers the device had closed when those of the graph were last looked at.
        self._looked = 0

    def __repr__(self) -> str:
        if self._capture is not None:
            return f"Graph({len(self._capture.ops)} ops so far)"
        state = ", closed" if self._closed else ""
        return f"Graph({self._count} ops, names {', '.join(self._names) or 'none'}{state})"

    # Capture --------------------
    def __enter__(self) -> Self:
        if self._handle is not None or self._closed:
            raise InvalidArgument("the graph is captured already")
        capture = Capture(self, self.device)
        self.device.begin_capture(capture)
        self._capture = capture
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        capture, self._capture = self._capture, None
        if capture is None or self.device.capturing is not capture:
            return
        self.device.end_capture()
        if error is not None:
            self._closed = True
            return
        if not capture.ops:
            raise InvalidArgument("nothing was captured: a graph has one op at least")
        self._handle = self.device.make_graph(capture)
        self._names = capture.names
        self._uses = tuple(capture.uses.values())
        self._kernels = tuple(capture.kernels.values())
        self._count = len(capture.ops)
        self._looked = -1

    def scalar(self, name: str, value: object) -> Named:
        """Return `value` as an argument of captured launches, to be replaced by that name."""
        return self._named(name, ParamKind.VALUE, value)

    def buffer(self, name: str, value: DeviceArray | Buffer) -> Named:
        """Return an array or buffer as an argument of captured launches, to be replaced by that
        name.
        """
        return self._named(name, ParamKind.BUFFER, value)

    def _named(self, name: str, kind: ParamKind, value: object) -> Named:
        if self._capture is None:
            raise InvalidArgument(f"{name!r}: names are given while the graph is captured")
        if not name.isidentifier() or len(name.encode()) > NAME_BYTES_MAX:
            raise InvalidArgument(f"{name!r} is no name as Python has them")
        return Named(self, name, kind, value)

    # Launches --------------------
    def launch(self, stream: Stream, /, **changes: object) -> None:
        """Queue all that was captured on `stream`, in the order of its capture; named arguments are
        replaced for this time. Returns at once; an error of the device is raised by the next wait.

        Raises InvalidArgument for an unknown name, KernelArgumentError for a value of the wrong
        type or size, BadHandle for what is closed or another device's, LeaseLost.
        """
        device, handle = self.device, self._handle
        if handle is None or self._closed:
            raise BadHandle("the graph is closed" if self._closed else "the graph is not captured")
        device.own(stream, "stream")
        if self._looked != device.closes:
            self._look(changes)
        taken: list[GraphChange] = []
        for name, value in changes.items():
            slot = self._names.get(name)
            if slot is None:
                known = ", ".join(self._names) or "none"
                raise InvalidArgument(f"the graph has no parameter {name!r}; there are: {known}")
            taken.append((slot.number, _replacement(name, slot, value)))
        device.contract.run_graph(handle, stream.handle, taken)

    def _look(self, changes: Mapping[str, object]) -> None:
        """Raise BadHandle if a buffer that this launch uses was closed."""
        closed = [used for used in self._uses if used.buffer.closed]
        for used in closed:
            if used.name not in changes:
                raise BadHandle(f"{used.where}: the buffer is closed, and the graph uses it")
        if not closed:
            self._looked = self.device.closes

    def close(self) -> None:
        """Forget the graph; idempotent. What is queued by it goes on."""
        self.device.check_free("closing a graph")
        if not self._closed:
            self._closed = True
            self._uses, self._kernels = (), ()
            if self._handle is not None:
                self.device.forget_graph(self._handle)

    def __del__(self) -> None:
        if not self._closed and self._handle is not None:
            self._closed = True
            self.device.drop(self.device.forget_graph, self._handle)


def _replacement(name: str, slot: Slot, value: object) -> LaunchArg:
    """Return what stands in the slot's places. Raises InvalidArgument's subclasses."""
    try:
        return slot.take(value)
    except InvalidArgument as error:
        raise type(error)(f"graph parameter {name!r}: {error.message}") from None
