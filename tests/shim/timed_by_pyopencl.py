"""A program of pyopencl that measures, and what may come in between: the collector, which ends what
the program has forgotten; another thread; the handler of a signal.

It looks into the driver, which lives in the same Python: that is there once a device was asked for.
"""

from __future__ import annotations

import gc
import importlib
import sys
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

import pyopencl as cl

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from gon_client.event import Event as Point
    from gon_shim.opencl.command import Command
    from gon_shim.opencl.course import Course

SOURCE = "kernel void one(global float *x) { x[get_global_id(0)] += 1; }"
MANY = 200


class Interrupted(Exception):
    """As Ctrl-C."""


class Program(NamedTuple):
    """What launches."""

    context: cl.Context
    kernel: cl.Kernel
    buffer: cl.Buffer

    def queue(self) -> cl.CommandQueue:
        return cl.CommandQueue(
            self.context, properties=cl.command_queue_properties.PROFILING_ENABLE
        )

    def launch(self, queue: cl.CommandQueue) -> cl.Event:
        return cl.enqueue_nd_range_kernel(queue, self.kernel, (16,), (16,))


def program() -> Program:
    (platform,) = (each for each in cl.get_platforms() if each.name == "GoN")
    context = cl.Context(platform.get_devices())
    kernel = cl.Kernel(cl.Program(context, SOURCE).build(), "one")
    buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, 64)
    kernel.set_args(buffer)
    return Program(context, kernel, buffer)


def events_end_while_one_grows(run: Program, queue: cl.CommandQueue) -> None:
    events = importlib.import_module("gon_shim.opencl.event")
    queues = importlib.import_module("gon_shim.opencl.queue")
    plain: Callable[[Course], Command] = events.Command
    kept: list[cl.Event] = []

    def command(course: Course) -> Command:
        kept.clear()
        return plain(course)

    with patch.object(events, "Command", command):
        run.launch(queue).wait()
        kept.append(run.launch(queue))
        run.launch(queue).wait()
        # That which grows, for its queue is released.
        before = len(queues.Queue.all())
        for _ in range(2):
            other = run.queue()
            run.launch(other)
            kept.append(run.launch(other))
            del other
    assert not kept
    assert not events._SEEDS
    assert len(queues.Queue.all()) == before, "a queue ends with its events"


def another_thread_queues_in_between(run: Program, queue: cl.CommandQueue) -> None:
    again = importlib.import_module("gon_shim.opencl.again")
    queues = importlib.import_module("gon_shim.opencl.queue")
    plain = again.seeded
    first = run.launch(queue)
    first.wait()
    assert first.profile.start <= first.profile.end
    (course,) = (each.course for each in queues.Queue.all())
    between: list[cl.Event] = []

    def seeded(*given: object) -> object:
        # On the stream, the launch comes before this; by its number, behind it.
        with patch.object(again, "seeded", plain):
            between.append(run.launch(queue))
        return plain(*given)

    with patch.object(again, "seeded", seeded):
        launched = run.launch(queue)
    launched.wait()
    assert course.over < course.last - 1, "what was queued behind it is not known to be over"
    between[0].wait()


def what_makes_an_event_queues_or_is_interrupted(run: Program) -> None:
    devices = importlib.import_module("gon_client.device")
    plain: Callable[[object], Point] = devices.Device.create_event
    queue = run.queue()
    calls = 0

    def create_event(self: object) -> Point:
        nonlocal calls
        calls += 1
        if calls == 1:
            cl.enqueue_marker(queue)
        if calls == 5:
            raise Interrupted
        return plain(self)

    with patch.object(devices.Device, "create_event", create_event):
        # One fails, on which pyopencl tries again.
        for _ in range(MANY):
            run.launch(queue)
        queue.finish()
    assert calls > 5


def a_handler_raises_at_the_head_of_a_launch(run: Program, queue: cl.CommandQueue) -> None:
    again = importlib.import_module("gon_shim.opencl.again")

    def handler(frame: FrameType, _what: str, _given: object) -> None:
        if frame.f_code is again.Again.launch.__code__:
            sys.settrace(None)
            raise Interrupted

    run.launch(queue).wait()
    sys.settrace(handler)
    try:
        # A launch that is lost has a code that says so, on which pyopencl tries again.
        run.launch(queue).wait()
    finally:
        assert sys.gettrace() is None, "the handler was called"
        sys.settrace(None)


def released_queues_keep_nothing(run: Program) -> None:
    again = importlib.import_module("gon_shim.opencl.again")
    points = importlib.import_module("gon_client.event")
    queue = run.queue()
    for _ in range(3):
        run.launch(queue).wait()
    del queue
    gc.collect()
    assert repr(again.AGAIN) == "Again(0)"
    assert not [each for each in gc.get_objects() if type(each) is points.Event]


def a_wait_asks_for_no_more_than_it_waits_for(run: Program) -> None:
    queues = importlib.import_module("gon_shim.opencl.queue")
    pair = run.queue(), run.queue()
    for queue in pair:
        event = run.launch(queue)
        event.wait()
        assert event.profile.start <= event.profile.end
    meters = [each.meter for each in queues.Queue.all()]
    first, second = run.launch(pair[1]), run.launch(pair[1])
    run.launch(pair[0])
    pair[0].finish()
    # Those of the other queue are left.
    assert sorted(len(each._wanted) for each in meters) == [0, 2]
    first.wait()
    second.wait()
    del first, second
    assert not any(each._wanted for each in meters)


def a_question_comes_at_once_where_nothing_else_waits_for_it(run: Program) -> None:
    queues = importlib.import_module("gon_shim.opencl.queue")
    queue, plain = run.queue(), cl.CommandQueue(run.context)
    (meter,) = (each.meter for each in queues.Queue.all() if each.meter is not None)
    for _ in range(9):
        event = run.launch(queue)
        event.wait()
        assert event.profile.start <= event.profile.end
    latest = meter._latest
    native = importlib.import_module("gon.native").NATIVE
    expected = importlib.import_module("gon_shim.opencl.limits").WAITS_EXPECTED_AFTER
    assert not native or meter._single >= expected
    for _ in range(2):
        event = run.launch(queue)
        run.launch(plain)
        event.wait()
        plain.finish()
    assert meter._single == 0
    assert latest is not meter._latest


def main() -> None:
    """Do all of it; assert that it is right."""
    run = program()
    queue = run.queue()
    another_thread_queues_in_between(run, queue)
    events_end_while_one_grows(run, queue)
    a_handler_raises_at_the_head_of_a_launch(run, queue)
    del queue
    what_makes_an_event_queues_or_is_interrupted(run)
    a_wait_asks_for_no_more_than_it_waits_for(run)
    a_question_comes_at_once_where_nothing_else_waits_for_it(run)
    released_queues_keep_nothing(run)
    print("good")


if __name__ == "__main__":
    main()
