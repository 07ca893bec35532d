"""Makes programs of what arrays are to be, and posts them: one a device.

    nodes that are needed ──▶ draft ──known?──▶ program, loaded once ──▶ outputs, one launch

A draft does not say where in buffers things lie, nor what numbers are: so work that repeats is one
that is known, and costs one operation for each new buffer and one for the launch. Rules: outputs
are what was asked for, and what arrays or nodes elsewhere still look at; so nothing is computed
twice. Everything is queued on the device's default stream. Programs are kept up to
ARRAY_PROGRAMS_MAX.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from gon.array_limits import (
    ARRAY_BETWEEN_BYTES_MAX,
    ARRAY_PROGRAMS_MAX,
    ARRAY_STEPS_MAX,
)
from gon.array_ops import AnyOperation
from gon.array_program import (
    ARRAY_FORMAT,
    FUNCTION,
    ArrayProgram,
    Input,
    Output,
    Step,
    encode,
)
from gon.array_program import Operand as CodedOperand
from gon.array_rules import Dtype, Shape, Spec, element_of, result_of
from gon.errors import Unsupported
from gon.model import LaunchConfig
from gon_client.array import DeviceArray
from gon_client.device import Device
from gon_client.launch import launch
from gon_client.xp.storage import Node, Operand, Storage, cost_of
from gon_client.xp.views import View

if TYPE_CHECKING:
    from gon_client.models import Models
    from gon_client.module import Kernel

_ONCE: Final = LaunchConfig(1)

# What a draft's value is: an input, a number, or what a step gives; and which of these.
_INPUT, _NUMBER, _STEP = range(3)
Value: TypeAlias = tuple[int, int]
# A draft's operand, output and step.
Seen: TypeAlias = tuple[Value, View]
Written: TypeAlias = tuple[Value, View, int, int, tuple[int, ...]]
Made: TypeAlias = tuple[AnyOperation, tuple[Seen, ...]]


class Target(NamedTuple):
    """Elements of a storage, to be written with what an operand of the same shape is."""

    source: Operand
    storage: Storage
    view: View


class Draft:
    """A program in the making: what it is (`key`), and what it is to be run on."""

    def __init__(self) -> None:
        self.given: list[DeviceArray] = []
        self.numbers: list[np.generic] = []
        self.steps: list[Made] = []
        self.outputs: list[Written] = []
        self._inputs: dict[tuple[int, int, int], int] = {}
        self.values: dict[int, Value] = {}

    @property
    def key(self) -> object:
        """What tells one program from others."""
        return (
            tuple([(each.dtype, each.shape) for each in self.given]),
            tuple([each.dtype for each in self.numbers]),
            tuple(self.steps),
            tuple(self.outputs),
        )

    def seen(self, operand: Operand) -> Seen:
        """Return an operand, whose elements are inputs unless a step makes them."""
        value, view = operand
        if not isinstance(value, Storage):
            self.numbers.append(value)
            return (_NUMBER, len(self.numbers) - 1), view
        made = self.values.get(id(value))
        if made is not None:
            return made, view
        low, high = view.span()
        if low == high:
            low = high = 0
            view = View(0, view.shape, view.strides)
        place = (id(value), low, high)
        number = self._inputs.get(place)
        if number is None:
            number = self._inputs[place] = len(self.given)
            self.given.append(value.part(low, high - low))
        return (_INPUT, number), View(view.base - low, view.shape, view.strides)

    def add(self, storage: Storage, node: Node) -> None:
        """Add a step."""
        seen = tuple([self.seen(operand) for operand in node.operands])
        self.values[id(storage)] = (_STEP, len(self.steps))
        self.steps.append((node.operation, seen))

    def program(self) -> ArrayProgram:
        """Return what it is as a program."""
        first = (0, len(self.given), len(self.given) + len(self.numbers))

        def coded(seen: Seen) -> CodedOperand:
            (kind, number), view = seen
            return CodedOperand(first[kind] + number, *view)

        return ArrayProgram(
            inputs=tuple(Input(element_of(each.dtype), each.size) for each in self.given),
            numbers=tuple(element_of(each.dtype) for each in self.numbers),
            steps=tuple(
                Step(operation, tuple(map(coded, operands))) for operation, operands in self.steps
            ),
            outputs=tuple(
                Output(coded((value, view)), extent, base, strides)
                for value, view, extent, base, strides in self.outputs
            ),
        )


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
        self._lock = threading.RLock()
        self._programs: dict[object, Kernel] = {}
        self._configuration = device.configuration

    def __repr__(self) -> str:
        return f"Runner({self.device.name}, {len(self._programs)} programs)"

    def make(self, operation: AnyOperation, operands: Sequence[Operand]) -> tuple[Storage, Shape]:
        """Return what an operation will give. Raises InvalidArgument, LimitExceeded."""
        spec = result_of(operation, [Spec(value.dtype, view.shape) for value, view in operands])
        return self.made(operation, operands, spec), spec.shape

    def made(self, operation: AnyOperation, operands: Sequence[Operand], spec: Spec) -> Storage:
        """Return what an operation will give, which is known to be that."""
        storages = [value for value, _ in operands if isinstance(value, Storage)]
        weight, between_bytes = cost_of(operands)
        if _is_much(weight, between_bytes):
            self.evaluate(storages)
            weight, between_bytes = cost_of(operands)
        made = Storage(self, spec.dtype, math.prod(spec.shape))
        made.node = Node(operation, operands, weight, between_bytes)
        reader = weakref.ref(made)
        for each in storages:
            each.note_reader(reader)
        if any(each.shared for each in storages):
            self.evaluate([made])
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
        before is run first.
        """
        self.evaluate([target.storage, *target.storage.waiting()])
        self._run([], target)
        target.storage.readers.clear()

    def _run(self, wanted: Sequence[Storage], target: Target | None = None) -> None:
        """Queue one program that makes what is wanted, and writes a target."""
        with self._lock:
            draft = Draft()
            order: dict[int, Storage] = {}
            uses: dict[int, int] = {}
            for each in wanted:
                _collect(each, order, uses)
            for each in order.values():
                assert each.node is not None
                draft.add(each, each.node)
            asked = {id(each) for each in wanted}
            kept = [
                each
                for number, each in order.items()
                if number in asked or each.arrays or each.nodes > uses.get(number, 0)
            ]
            results: list[DeviceArray] = []
            for each in kept:
                buffer = self.device.allocate(max(1, each.size * each.dtype.itemsize))
                results.append(DeviceArray(buffer, 0, (each.size,), each.dtype))
                plain = View(0, (each.size,), (1,))
                draft.outputs.append((draft.values[id(each)], plain, each.size, 0, (1,)))
            if target is not None:
                results.append(_add_target(draft, target))
            if results:
                self._launch(draft, results)
            for each, result in zip(kept, results, strict=False):
                each.put(result.buffer)

    def _launch(self, draft: Draft, results: Sequence[DeviceArray]) -> None:
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
        launch(device.default_stream, _ONCE, kernel, *draft.given, *results, *draft.numbers)


def runner_on(device: Models) -> Runner:
    """Return what runs arrays on a device. Raises Unsupported."""
    assert isinstance(device, Device)
    return Runner(device)


def _is_much(weight: int, between_bytes: int) -> bool:
    """Return whether this is more than one program should be."""
    return weight > ARRAY_STEPS_MAX or between_bytes > ARRAY_BETWEEN_BYTES_MAX // 2


def _add_target(draft: Draft, target: Target) -> DeviceArray:
    low, high = target.view.span()
    value, view = draft.seen(target.source)
    base = target.view.base - low
    draft.outputs.append((value, view, high - low, base, target.view.strides))
    return target.storage.part(low, high - low)


def _collect(storage: Storage, order: dict[int, Storage], uses: dict[int, int]) -> None:
    """Add a storage that is to be made, behind all it is made of, and count who uses them."""
    node = storage.node
    if node is None or id(storage) in order:
        return
    for value, _ in node.operands:
        if isinstance(value, Storage):
            uses[id(value)] = uses.get(id(value), 0) + 1
            _collect(value, order, uses)
    order[id(storage)] = storage
