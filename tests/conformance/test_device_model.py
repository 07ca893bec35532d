"""Random programs on devices that compute must end as a plain model of them does, whatever the
order.

A program uses several streams, and orders them by events wherever two of them touch one buffer:
then the contract leaves one outcome only. The simulator runs it in an order drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gon.device import Device
from gon.model import BufferAt, Handle
from gon.testing.device_trial import Trial, bytes_of
from gon_server.devices import opencl, sim
from gon_server.devices.opencl_runtime import select
from tests.fake_cuda import open_fake

BUFFERS, STREAMS, WORDS = 3, 3, 64
SIZE = 4 * WORDS

OPENERS: dict[str, Callable[[], Device]] = {
    "sim-0": lambda: sim.open_device(""),
    "sim-7": lambda: sim.open_device("7"),
    "opencl": lambda: opencl.open_device(""),
    "opencl-apart": lambda: opencl.OpenClDevice(select(""), "", may_share=False),
    "cuda-fake-0": lambda: open_fake(0),
    "cuda-fake-7": lambda: open_fake(7),
}


@dataclass(frozen=True)
class Step:
    """One op; what each number means depends on `kind`, always within range."""

    kind: str
    stream: int
    target: int
    source: int
    offset: int
    size: int
    number: int


STEPS = st.builds(
    Step,
    kind=st.sampled_from(["write", "fill", "copy", "advance", "read", "replace"]),
    stream=st.integers(0, STREAMS - 1),
    target=st.integers(0, BUFFERS - 1),
    source=st.integers(0, BUFFERS - 1),
    offset=st.integers(0, SIZE // 2),
    size=st.integers(1, SIZE // 2),
    number=st.integers(0, 255),
)


@dataclass
class Model:
    """What the buffers hold, and which stream touched each last."""

    content: list[npt.NDArray[np.uint8]] = field(
        default_factory=lambda: [np.zeros(SIZE, np.uint8) for _ in range(BUFFERS)]
    )
    touched_by: dict[int, int] = field(default_factory=dict[int, int])
    reads: list[tuple[bytearray, bytes]] = field(default_factory=list[tuple[bytearray, bytes]])


class Program:
    """Runs steps on a device and on the model, side by side."""

    def __init__(self, trial: Trial, advance: Handle) -> None:
        self.trial = trial
        self.model = Model()
        self.advance = advance
        self.streams = [trial.stream() for _ in range(STREAMS)]
        self.events = [trial.event() for _ in range(STREAMS)]
        self.buffers = [trial.buffer(SIZE) for _ in range(BUFFERS)]

    def run(self, step: Step) -> None:
        stream = self.streams[step.stream]
        self._order(step.stream, step.target)
        if step.kind == "copy":
            self._order(step.stream, step.source)
        getattr(self, f"_{step.kind}")(step, stream)

    def _order(self, stream: int, buffer: int) -> None:
        last = self.model.touched_by.get(buffer, stream)
        if last != stream:
            self.trial.device.record(self.streams[last], self.events[last])
            self.trial.device.wait_event(self.streams[stream], self.events[last])
        self.model.touched_by[buffer] = stream

    def _write(self, step: Step, stream: Handle) -> None:
        data = bytearray(bytes([step.number]) * step.size)
        target = self.buffers[step.target]
        self.trial.device.write(stream, target, step.offset, memoryview(data))
        self.model.content[step.target][step.offset : step.offset + step.size] = step.number
        data[:] = bytes(step.size)

    def _fill(self, step: Step, stream: Handle) -> None:
        size = step.size // 4 * 4
        pattern = bytes([step.number, 1, 2, 3])
        self.trial.device.fill(stream, self.buffers[step.target], step.offset, size, pattern)
        where = slice(step.offset, step.offset + size)
        self.model.content[step.target][where] = np.frombuffer(pattern * (size // 4), np.uint8)

    def _copy(self, step: Step, stream: Handle) -> None:
        origin, goal, size = step.offset, step.number % (SIZE // 2), step.size
        source, target = step.source, step.target
        if source == target and abs(origin - goal) < size:
            return
        device, content = self.trial.device, self.model.content
        device.copy(stream, self.buffers[source], origin, self.buffers[target], goal, size)
        content[target][goal : goal + size] = content[source][origin : origin + size].copy()

    def _advance(self, step: Step, stream: Handle) -> None:
        alignment = self.trial.device.info.view_alignment_bytes
        offset = step.offset // max(alignment, 4) * max(alignment, 4)
        count = step.size // 4
        if count == 0:
            return
        factor, term = bytes_of(step.number, np.uint32), bytes_of(5, np.uint32)
        view = BufferAt(self.buffers[step.target], offset) if offset else self.buffers[step.target]
        launch = self.trial.device.launch
        launch(stream, self.advance, (count, 1, 1), (1, 1, 1), 0, (view, factor, term))
        words = self.model.content[step.target][offset : offset + 4 * count].view(np.uint32)
        words[:] = words * np.uint32(step.number) + np.uint32(5)

    def _read(self, step: Step, stream: Handle) -> None:
        out = bytearray(step.size)
        self.trial.device.read(stream, self.buffers[step.target], step.offset, memoryview(out))
        content = self.model.content[step.target]
        wanted = content[step.offset : step.offset + step.size].tobytes()
        self.model.reads.append((out, wanted))

    def _replace(self, step: Step, stream: Handle) -> None:
        del stream
        self.trial.device.free(self.buffers[step.target])
        self.buffers[step.target] = self.trial.buffer(SIZE)
        self.model.content[step.target] = np.zeros(SIZE, np.uint8)
        self.model.touched_by.pop(step.target, None)

    def finish(self) -> None:
        """Wait for everything and compare all that was read and all that is there."""
        self.trial.device.sync_all().wait()
        for number, (out, wanted) in enumerate(self.model.reads):
            assert bytes(out) == wanted, f"read {number}"
        for buffer, content in zip(self.buffers, self.model.content, strict=True):
            self.trial.expect_content(buffer, content, "at the end")
            self.trial.device.free(buffer)
        for stream, event in zip(self.streams, self.events, strict=True):
            self.trial.device.close_stream(stream)
            self.trial.device.close_event(event)


@pytest.fixture(scope="module", params=OPENERS)
def bench(request: pytest.FixtureRequest) -> Iterator[tuple[Trial, Handle]]:
    """A device for all programs of one backend, with the suite's kernel `advance`."""
    device = OPENERS[request.param]()
    trial = Trial(device)
    (advance,) = trial.kernels("advance")
    yield trial, advance
    device.close()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=40))
def test_programs_end_as_the_model_does(bench: tuple[Trial, Handle], steps: list[Step]) -> None:
    program = Program(*bench)
    for step in steps:
        program.run(step)
    program.finish()
